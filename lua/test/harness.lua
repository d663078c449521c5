-- Runs the shipped Lua scripts over made-up messages, as the sandbox would, and records what they send out.
--
-- Here: the sandbox's script API (read_config, read_message, write_message, read_next_field, inject_message,
-- inject_payload, add_to_payload, decode_message), its restricted environment and `require`, a clock that the test
-- owns, the limits on instructions, output and injections; and the checks and the loop of a test file.
-- Not here: the native modules (native.lua) and the wire format (protobuf.lua).
-- From its surroundings it needs `loadfile` and `setfenv`, and lpeg and cjson by `require`.
--
-- A test file:
--
--   if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
--   local harness = require "harness"
--   local test, equal = harness.test, harness.equal
--
--   test("a line becomes a message", function()
--       local decoder = harness.load("lua_decoders/nginx_error.lua", { type = "my.error" })
--       local messages, err = decoder:decode { Payload = "2014/01/10 .." }
--       equal(harness.fields(messages[1]), { tid = 0 })
--   end)
--
--   harness.finish()
--
-- harness.load(path, config, options) -> plugin
--   path      relative to the share directory; its folder tells the kind
--   config    what read_config() offers
--   options   kind = "decoder"|"filter"|"encoder"|"output"|"input"; source = script text instead of the file;
--             preserved = what plugin:preserved() gave; output_limit, instruction_limit, max_process_inject,
--             max_timer_inject; hostname, name
--   plugin:process(message)     -> status, error text; `plugin.injected` grows; raises what terminates a sandbox
--   plugin:timer(ns)            calls timer_event
--   plugin:decode(message)      -> list of finished messages (headers inherited), or nil and the decode error
--   plugin:encode(message)      -> bytes, or nil and the error; nil alone for "no output"
--   plugin:take()               -> what was injected since the last call, and forgets it
--   plugin:preserved()          -> the globals that preserve_data would save
--   plugin.env                  the script's globals
-- What is injected is a list of finished messages as the rest of the daemon would see them, in the shape
--   {Uuid =, Timestamp =, Type =, .., Fields = {{name =, value = {..}, value_type = 0..4, representation =}, ..}}
-- without header inheritance; those of inject_payload() have Type "heka.sandbox-output" in filters.
-- Messages given to process() may have Fields as {name = value} too; times are ns.

require "string"
require "table"
require "math"
require "os"

local native = require "native"
local protobuf = require "protobuf"

local base = {
    assert = assert, error = error, getfenv = getfenv, getmetatable = getmetatable, ipairs = ipairs, next = next,
    pairs = pairs, pcall = pcall, rawequal = rawequal, rawget = rawget, rawset = rawset, select = select,
    setfenv = setfenv, setmetatable = setmetatable, tonumber = tonumber, tostring = tostring, type = type,
    unpack = unpack, xpcall = xpcall, gcinfo = gcinfo, _VERSION = _VERSION,
}
local loadfile, setfenv, real_require = loadfile, setfenv, require
local loadstring = loadstring
local debug = debug
local format, find, gmatch, gsub, match, sub = string.format, string.find, string.gmatch, string.gsub, string.match,
    string.sub
local concat, sort = table.concat, table.sort
local floor, ceil = math.floor, math.ceil

local M = {}

-- Where things are ------------------------------------------------------------------------------------------------

--- The directory that holds lua_modules, lua_decoders and so on; a host sets the global SHARE_DIR instead.
M.share_dir = SHARE_DIR or (arg and gsub(arg[0], "[^/]*$", "") .. "..") or "."

-- Time ------------------------------------------------------------------------------------------------------------

local now_ns = 1500000000 * 1e9

--- Sets the clock that scripts and unset timestamps read; it starts at 2017-07-14T02:40:00Z.
function M.set_time(ns)
    now_ns = ns
end

local function days_from_civil(year, month, day)
    year = year + floor((month - 1) / 12)
    month = (month - 1) % 12 + 1
    if month <= 2 then year = year - 1 end
    local era = floor(year / 400)
    local year_of_era = year - era * 400
    local day_of_year = floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
    return era * 146097 + year_of_era * 365 + floor(year_of_era / 4) - floor(year_of_era / 100) + day_of_year - 719468
end

--- Seconds since the epoch of a UTC date, rounded as C does.
function M.utc(year, month, day, hour, min, sec)
    return days_from_civil(year, month, day) * 86400 + (hour or 0) * 3600 + (min or 0) * 60 + (sec or 0)
end

local function script_time(t)
    if t == nil then return floor(now_ns / 1e9) end
    local function get(name, default)
        local n = tonumber(t[name])
        if n then return n < 0 and ceil(n) or floor(n) end
        if not default then error(format("field '%s' missing in date table", name), 3) end
        return default
    end
    local sec, min, hour = get("sec", 0), get("min", 0), get("hour", 12)
    local day, month, year = get("day"), get("month"), get("year")
    return M.utc(year, month, day, hour, min, sec)
end

local CONVERSIONS = "aAbBcCdDeFgGhHIjklmMnprRSstTuUVwWxXyYzZ%"

local function script_date(form, seconds)
    form = form or "%c"
    seconds = floor(seconds or now_ns / 1e9)
    if sub(form, 1, 1) == "!" then form = sub(form, 2) end
    if sub(form, 1, 2) ~= "*t" then
        for spec in gmatch(form, "%%(.?)") do
            if spec == "" or not find(CONVERSIONS .. "EO", spec, 1, true) then
                error(format("bad argument #1 to 'date' (invalid conversion specifier '%%%s')", spec), 2)
            end
        end
    end
    return os.date("!" .. form, seconds)
end

local script_os = { clock = os.clock, difftime = os.difftime, time = script_time, date = script_date }

-- The environment of a script -------------------------------------------------------------------------------------

local function pick(library, names)
    local out = {}
    for name in gmatch(names, "%S+") do out[name] = library[name] end
    return out
end

local cjson_module

-- The sandbox's cjson drops null values on decoding; the common one marks them.
local function load_cjson()
    if cjson_module then return cjson_module end
    local cjson = real_require "cjson"
    if cjson.decode("[null]")[1] == nil then
        cjson_module = cjson
        return cjson
    end
    local keep_null, null = false, cjson.null
    local function strip(value)
        for key, item in pairs(value) do
            if item == null then
                value[key] = nil
            elseif type(item) == "table" then
                strip(item)
            end
        end
    end
    cjson_module = {}
    for key, value in pairs(cjson) do cjson_module[key] = value end
    cjson_module.decode = function(...)
        local value = cjson.decode(...)
        if not keep_null then
            if value == null then return nil end
            if type(value) == "table" then strip(value) end
        end
        return value
    end
    cjson_module.decode_null = function(flag)
        if flag ~= nil then keep_null = flag end
        return keep_null
    end
    return cjson_module
end

local RESTRICTED = { decoder = true, filter = true, encoder = true }

local BUILTIN = {
    string = function()
        return pick(string, "byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper")
    end,
    table = function() return pick(table, "concat foreach foreachi getn insert maxn remove setn sort") end,
    math = function() return pick(math, "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp "
        .. "log log10 max min mod modf pi pow rad random randomseed sin sinh sqrt tan tanh") end,
    os = function(plugin)
        if RESTRICTED[plugin.kind] then return script_os end
        local all = pick(os, "execute getenv remove rename tmpname")
        for key, value in pairs(script_os) do all[key] = value end
        return all
    end,
    io = function(plugin)
        if RESTRICTED[plugin.kind] then error("module 'io' disabled", 0) end
        return io
    end,
    cjson = load_cjson,
    lpeg = function() return real_require "lpeg" end,
    circular_buffer = function() return native.circular_buffer end,
    bloom_filter = function() return native.bloom_filter end,
    cuckoo_filter = function() return native.cuckoo_filter end,
    hyperloglog = function() return native.hyperloglog end,
}

local function make_require(plugin)
    local env, loaded = plugin.env, {}
    return function(name)
        if name == "debug" then error("module 'debug' disabled", 0) end
        if loaded[name] ~= nil then return loaded[name] end
        local builtin = BUILTIN[name]
        local result
        if builtin then
            result = builtin(plugin)
            env[name] = result
            if name == "string" then plugin.string_methods = result end
            if plugin.running and name == "string" then getmetatable("").__index = result end
        else
            if find(name, "[^%w_.]") then error(format("invalid module name '%s'", name), 0) end
            local path = format("%s/lua_modules/%s.lua", M.share_dir, (gsub(name, "%.", "/")))
            local chunk, err = loadfile(path)
            if not chunk then
                if find(err, "cannot open", 1, true) then
                    error(format("module '%s' not found:\n\tno file '%s'", name, path), 0)
                end
                error(format("error loading module '%s' from file '%s':\n\t%s", name, path, err), 0)
            end
            result = setfenv(chunk, env)(name)
            if result == nil then result = loaded[name] == nil and true or loaded[name] end
        end
        if type(result) == "table" and not getmetatable(result) then setmetatable(result, {}) end
        loaded[name] = result
        return result
    end
end

-- Messages --------------------------------------------------------------------------------------------------------

local TYPE_OF = { string = 0, number = 3, boolean = 4 }
local LUA_TYPE_OF = { [0] = "string", "string", "number", "number", "boolean" }

local function uuid()
    local out = {}
    for i = 1, 16 do out[i] = string.char(math.random(0, 255)) end
    out[7] = string.char(64 + math.random(0, 15))
    out[9] = string.char(160 + math.random(0, 15))
    return concat(out)
end

local function uuid_text(raw)
    if not raw or #raw ~= 16 then return "" end
    local hex = gsub(raw, ".", function(c) return format("%02x", string.byte(c)) end)
    return concat({ sub(hex, 1, 8), sub(hex, 9, 12), sub(hex, 13, 16), sub(hex, 17, 20), sub(hex, 21) }, "-")
end

-- A test's message in the one shape that everything here uses; a copy.
local function normalise(message)
    local out = {}
    for key, value in pairs(message) do out[key] = value end
    out.Uuid = out.Uuid or uuid()
    out.Timestamp = out.Timestamp or now_ns
    out.Fields = {}
    local fields = message.Fields or {}
    local function put(name, field)
        local values = type(field.value) == "table" and field.value or { field.value }
        local copy = {}
        for i, value in ipairs(values) do copy[i] = value end
        out.Fields[#out.Fields + 1] = {
            name = name, value = copy, representation = field.representation,
            value_type = field.value_type or TYPE_OF[type(values[1])] or 0,
        }
    end
    for _, field in ipairs(fields) do put(field.name, field) end
    if fields[1] == nil then
        local names = {}
        for name in pairs(fields) do names[#names + 1] = name end
        sort(names)
        for _, name in ipairs(names) do
            local value = fields[name]
            if type(value) ~= "table" or value.value == nil then value = { value = value } end
            put(name, value)
        end
    end
    return out
end

--- The first values of a message's fields by name; a field of several values as a table.
function M.fields(message)
    local out = {}
    for _, field in ipairs(message.Fields) do
        out[field.name] = #field.value == 1 and field.value[1] or field.value
    end
    return out
end

--- Field `name` of a message: {name =, value = {..}, value_type =, representation =}, or nil.
function M.field(message, name)
    for _, field in ipairs(message.Fields) do
        if field.name == name then return field end
    end
end

-- The script API --------------------------------------------------------------------------------------------------

local function find_field(message, name, index)
    for at, field in ipairs(message.Fields) do
        if field.name == name then
            if index == 0 then return field, at end
            index = index - 1
        end
    end
end

local STRING_HEADERS = { Type = true, Logger = true, Payload = true, EnvVersion = true, Hostname = true }
local NUMBER_HEADERS = { Severity = true, Pid = true, Timestamp = true }

local function make_read_message(plugin)
    local last_name, last_field
    return function(...)
        local count = select("#", ...)
        local name, field_index, array_index = ...
        if count < 1 or count > 3 then error("read_message() incorrect number of arguments", 2) end
        if type(name) ~= "string" and type(name) ~= "number" then
            error(format("bad argument #1 to 'read_message' (string expected, got %s)", type(name)), 2)
        end
        if (field_index or 0) < 0 then error("bad argument #2 to 'read_message' (field index must be >= 0)", 2) end
        if (array_index or 0) < 0 then error("bad argument #3 to 'read_message' (array index must be >= 0)", 2) end
        local message = plugin.message
        if not message then return nil end
        if STRING_HEADERS[name] then return message[name] or "" end
        if NUMBER_HEADERS[name] then return message[name] end
        if name == "Uuid" then return uuid_text(message.Uuid) end
        if name == "raw" then return protobuf.encode(message) end
        if name ~= last_name then last_name, last_field = name, match(name, "^Fields%[(.*)%]$") end
        if not last_field then return nil end
        local field = find_field(message, last_field, field_index or 0)
        if not field then return nil end
        local value = field.value[(array_index or 0) + 1]
        if field.value_type == 1 and value == "" then return nil end
        return value
    end
end

local function make_read_next_field(plugin)
    local current, at
    return function(...)
        if select("#", ...) ~= 0 then error("read_next_field() takes no arguments", 2) end
        local message = plugin.message
        if not message then return nil, nil, nil, nil, nil end
        if current ~= message then current, at = message, 0 end
        at = at + 1
        local field = message.Fields[at]
        if not field then
            current = nil
            return nil, nil, nil, nil, nil
        end
        local value = field.value[1]
        if field.value_type == 1 and value == "" then value = nil end
        return field.value_type, field.name, value, field.representation or "", #field.value
    end
end

local function make_write_message(plugin)
    local function failed() error("write_message() failed", 3) end
    return function(...)
        local count = select("#", ...)
        local name, value, representation, field_index, array_index = ...
        if count < 2 or count > 5 then error("write_message() incorrect number of arguments", 2) end
        local kind = type(value)
        if kind ~= "string" and kind ~= "number" and kind ~= "boolean" and kind ~= "nil" then
            error("write_message() only accepts numeric, string, or boolean field values, or nil to delete", 2)
        end
        local message = plugin.message
        if not message then failed() end
        plugin.changed = true
        if STRING_HEADERS[name] then
            if kind ~= "string" then failed() end
            message[name] = value
            return
        elseif NUMBER_HEADERS[name] then
            local number = tonumber(value)
            if not number then failed() end
            message[name] = number < 0 and ceil(number) or floor(number)
            return
        elseif name == "Uuid" then
            local hex = kind == "string" and gsub(gsub(value, "^urn:uuid:", ""), "-", "") or ""
            if not match(hex, "^%x+$") or #hex ~= 32 then failed() end
            message.Uuid = gsub(hex, "%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
            return
        end
        local field_name = match(name, "^Fields%[(.*)%]$")
        if not field_name then failed() end
        local field, at = find_field(message, field_name, field_index or 0)
        if kind == "nil" then
            if not field then
                if find_field(message, field_name, 0) then failed() end
            elseif array_index then
                if array_index >= #field.value then failed() end
                table.remove(field.value, array_index + 1)
            else
                table.remove(message.Fields, at)
            end
            return
        end
        if field then
            if field.value_type ~= TYPE_OF[kind] or (array_index or 0) > #field.value then failed() end
            field.value[(array_index or 0) + 1] = value
            field.representation = representation or ""
            return
        end
        local existing = 0
        while find_field(message, field_name, existing) do existing = existing + 1 end
        if (field_index or 0) > existing or (array_index or 0) > 0 then failed() end
        message.Fields[#message.Fields + 1] = {
            name = field_name, value = { value }, value_type = TYPE_OF[kind], representation = representation,
        }
    end
end

-- Collects one field from a script's value, following the encoder's rules; raises its texts.
local function collect_value(field, value, wanted)
    local kind = type(value)
    local function bad(text, ...) error("inject_message() could not encode protobuf - " .. format(text, ...), 0) end
    if kind == "string" then
        if wanted and wanted ~= 0 and wanted ~= 1 then bad("invalid string value_type: %d", wanted) end
        field.value_type, field.value[#field.value + 1] = wanted or 0, value
    elseif kind == "number" then
        if wanted and wanted ~= 2 and wanted ~= 3 then bad("invalid numeric value_type: %d", wanted) end
        if wanted == 2 then value = value < 0 and ceil(value) or floor(value) end
        field.value_type, field.value[#field.value + 1] = wanted or 3, value
    elseif kind == "boolean" then
        if wanted and wanted ~= 4 then bad("invalid boolean value_type: %d", wanted) end
        field.value_type, field.value[#field.value + 1] = 4, value
    elseif kind == "userdata" then
        local text = native.text(value)
        if not text then bad("user data object does not implement lsb_output") end
        field.value_type, field.value[#field.value + 1] = 1, text
    elseif kind == "table" then
        local first = type(value[1])
        if first == "nil" then
            local inner = value.value_type
            if value.representation ~= nil then field.representation = tostring(value.representation) end
            collect_value(field, value.value, inner ~= nil and tonumber(inner) or wanted)
        elseif TYPE_OF[first] then
            for _, item in pairs(value) do
                if type(item) ~= first then bad("array has mixed types") end
                collect_value(field, item, wanted)
            end
        else
            bad("unsupported array type: %s", first)
        end
    else
        bad("unsupported type: %s", kind)
    end
end

local function collect_message(t)
    local function truncated(n) return n < 0 and ceil(n) or floor(n) end
    local out = { Fields = {} }
    out.Uuid = type(t.Uuid) == "string" and #t.Uuid == 16 and t.Uuid or uuid()
    local timestamp = tonumber(t.Timestamp)
    out.Timestamp = timestamp and truncated(timestamp) or floor(now_ns / 1e9) * 1e9
    for name in pairs(STRING_HEADERS) do
        local value = t[name]
        if type(value) == "string" then
            out[name] = value
        elseif type(value) == "number" then
            out[name] = format("%.14g", value)
        end
    end
    for _, name in ipairs { "Severity", "Pid" } do
        local value = type(t[name]) ~= "table" and tonumber(t[name])
        if value then out[name] = truncated(value) end
    end
    local fields = t.Fields
    if type(fields) ~= "table" then return out end
    local function put(name, value)
        if type(name) ~= "string" then
            error("inject_message() could not encode protobuf - field name must be a string", 0)
        end
        local field = { name = name, value = {} }
        collect_value(field, value)
        out.Fields[#out.Fields + 1] = field
    end
    if type(fields[1]) == "table" then
        for _, field in ipairs(fields) do put(field.name, field) end
    else
        for name, value in pairs(fields) do
            if type(name) == "number" then error("invalid key to 'next'", 0) end
            put(name, value)
        end
    end
    return out
end

local function append(plugin, name, first, ...)
    for i = first, select("#", ...) do
        local value = select(i, ...)
        local kind = type(value)
        local text
        if kind == "string" then
            text = value
        elseif kind == "number" then
            text = native.number_text(value)
        elseif kind == "nil" or kind == "boolean" then
            text = tostring(value)
        elseif kind == "userdata" then
            text = native.text(value)
            if not text then error(format("bad argument #%d to '%s' (unknown userdata type)", i, name), 3) end
        else
            error(format("bad argument #%d to '%s' (unsupported type)", i, name), 3)
        end
        local size = plugin.pending_size + #text
        if plugin.output_limit > 0 and size > plugin.output_limit - 1 then error("output_limit exceeded", 3) end
        plugin.pending[#plugin.pending + 1] = text
        plugin.pending_size = size
    end
end

local function spend(plugin, name)
    if plugin.kind ~= "filter" then return end
    if plugin.budget <= 0 then error(name .. " exceeded InjectMessage count", 3) end
    plugin.budget = plugin.budget - 1
end

local function make_injectors(plugin)
    local function add_to_payload(...)
        if select("#", ...) == 0 then
            error("bad argument #0 to 'add_to_payload' (must have at least one argument)", 2)
        end
        append(plugin, "add_to_payload", 1, ...)
    end
    local function inject_payload(...)
        local count = select("#", ...)
        local kind, name = ...
        for i = 1, count < 2 and count or 2 do
            local value = select(i, ...)
            if type(value) ~= "string" and type(value) ~= "number" then
                error(format("bad argument #%d to 'inject_payload' (string expected, got %s)", i, type(value)), 2)
            end
        end
        append(plugin, "inject_payload", 3, ...)
        local text = concat(plugin.pending)
        if text == "" then return end
        plugin.pending, plugin.pending_size = {}, 0
        if plugin.starting then return end
        spend(plugin, "inject_payload()")
        kind = (kind == nil or kind == "") and "txt" or tostring(kind)
        local message = { Payload = text, Fields = {} }
        if plugin.kind == "decoder" then
            message = normalise(plugin.message)
            message.Payload = text
            message.from_payload = true
        elseif plugin.kind == "filter" then
            message.Uuid, message.Timestamp, message.Type = uuid(), now_ns, "heka.sandbox-output"
            message.Logger, message.Hostname = plugin.name, plugin.hostname
        end
        local fields = message.Fields
        fields[#fields + 1] = { name = "payload_type", value = { kind }, value_type = 0,
            representation = "file-extension" }
        fields[#fields + 1] = { name = "payload_name", value = { tostring(name or "") }, value_type = 0,
            representation = "" }
        plugin.injected[#plugin.injected + 1] = message
        plugin.output = text
    end
    local function inject_message(...)
        local value = ...
        local kind = type(value)
        if select("#", ...) ~= 1 or (kind ~= "table" and kind ~= "string") then
            error("inject_message() takes a single string or table argument", 2)
        end
        local message, bytes
        if kind == "table" then
            message = collect_message(value)
            plugin.pending, plugin.pending_size = {}, 0
            bytes = protobuf.encode(message)
            if plugin.output_limit > 0 and #bytes > plugin.output_limit then
                error("inject_message() output_limit exceeded", 2)
            end
        else
            if value == "" then return end
            bytes = value
            local good, decoded = pcall(protobuf.decode, value)
            if not good and plugin.kind ~= "encoder" then error("inject_message() protobuf unmarshal failed", 2) end
            if good then
                message = decoded
                message.Fields = message.Fields or {}
                for _, field in ipairs(message.Fields) do field.value_type = field.value_type or 0 end
            end
        end
        if plugin.starting then return end
        spend(plugin, "inject_message()")
        if plugin.kind == "filter" then
            message.Type = "heka.sandbox." .. (message.Type or "")
            message.Logger, message.Hostname = plugin.name, plugin.hostname
        end
        plugin.injected[#plugin.injected + 1] = message
        plugin.output = bytes
    end
    return add_to_payload, inject_payload, inject_message
end

-- Plugins ---------------------------------------------------------------------------------------------------------

local Plugin = {}
Plugin.__index = Plugin

local STRING_META = getmetatable("")

-- Calls into the script: string methods only if it has required `string`, and no more instructions than allowed.
local function run(plugin, fn, ...)
    local methods = STRING_META.__index
    STRING_META.__index = plugin.string_methods
    plugin.running = true
    if debug and plugin.instruction_limit > 0 then
        debug.sethook(function() error("instruction_limit exceeded", 0) end, "", plugin.instruction_limit)
    end
    local good, first, second = pcall(fn, ...)
    if debug then debug.sethook() end
    plugin.running = false
    STRING_META.__index = methods
    return good, first, second
end

local function kind_of(path)
    local folder = match(path, "lua_(%a+)s/")
    return folder and find(" decoder filter encoder output input ", " " .. folder .. " ", 1, true) and folder
end

function M.load(path, config, options)
    options = options or {}
    local kind = options.kind or kind_of(path or "") or "filter"
    local plugin = setmetatable({
        kind = kind, config = config or {}, injected = {}, pending = {}, pending_size = 0,
        name = options.name or "plugin", hostname = options.hostname or "host", starting = true,
        output_limit = options.output_limit or 64512, budget = 0,
        instruction_limit = options.instruction_limit or (RESTRICTED[kind] and 1000000 or 0),
        max_process_inject = options.max_process_inject or 1, max_timer_inject = options.max_timer_inject or 10,
    }, Plugin)
    local env = {}
    for name, value in pairs(base) do env[name] = value end
    env._G, env.package = setmetatable(env, {}), {}
    plugin.env = env
    if not RESTRICTED[kind] then env.collectgarbage, env.coroutine = collectgarbage, coroutine end
    env.require = make_require(plugin)
    env.read_config = function(...)
        local key = ...
        if select("#", ...) ~= 1 then error("read_config() must have a single argument", 2) end
        local value = plugin.config[key]
        if type(value) ~= "table" then return value end
    end
    env.decode_message = function(...)
        local bytes = ...
        if select("#", ...) ~= 1 or type(bytes) ~= "string" then
            error("bad argument #0 to 'decode_message' (must have one string argument)", 2)
        end
        return protobuf.decode(bytes)
    end
    local add_to_payload, inject_payload, inject_message = make_injectors(plugin)
    if kind ~= "output" then env.inject_message = inject_message end
    if RESTRICTED[kind] then env.inject_payload, env.add_to_payload = inject_payload, add_to_payload end
    if kind ~= "input" then
        env.read_message, env.read_next_field = make_read_message(plugin), make_read_next_field(plugin)
    end
    if kind == "decoder" or kind == "encoder" then env.write_message = make_write_message(plugin) end

    local chunk, err
    if options.source then
        chunk, err = loadstring(options.source, "=" .. (path or "script"))
    else
        chunk, err = loadfile(M.share_dir .. "/" .. path)
    end
    if not chunk then error(err, 2) end
    local good, failure = run(plugin, setfenv(chunk, env))
    if not good then error(failure, 0) end
    plugin.starting = false
    plugin.pending, plugin.pending_size, plugin.injected = {}, 0, {}
    local kept = options.preserved
    if kept then
        local version = env._PRESERVATION_VERSION
        if not version or version == kept.version then
            for name, value in pairs(kept.globals) do env[name] = value end
        end
    end
    return plugin
end

local function call(plugin, name, budget, ...)
    local fn = plugin.env[name]
    if type(fn) ~= "function" then error(name .. "() function was not found", 0) end
    plugin.budget = budget
    local good, first, second = run(plugin, fn, ...)
    if not good then error(format("%s() %s", name, tostring(first)), 0) end
    return first, second
end

function Plugin:process(message)
    self.message = normalise(message)
    self.changed, self.output = false, nil
    local good, status, text = pcall(call, self, "process_message", self.max_process_inject)
    self.last_message = self.message
    self.message = nil
    if not good then error(status, 0) end
    if type(status) ~= "number" then error("process_message() must return a numeric status code", 0) end
    if text ~= nil and type(text) ~= "string" then
        error("process_message() must return a nil or string error message", 0)
    end
    return status < 0 and ceil(status) or floor(status), text
end

function Plugin:timer(ns)
    call(self, "timer_event", self.max_timer_inject, ns or now_ns)
end

function Plugin:take()
    local injected = self.injected
    self.injected = {}
    return injected
end

local INHERITED = { "Type", "Logger", "Severity", "Hostname", "Pid" }

function Plugin:decode(message)
    self.injected = {}
    local status, text = self:process(message)
    local injected, original = self:take(), self.last_message
    if status < 0 and #injected == 0 then
        return nil, format("Failed parsing: %s payload: %s", text or "", original.Payload or "")
    elseif status < 0 then
        return nil, "Failed after a successful inject_message call: " .. (text or "")
    elseif status > 0 then
        error("FATAL: " .. (text or ""), 0)
    end
    if #injected == 0 then return { original } end
    for _, one in ipairs(injected) do
        for _, name in ipairs(INHERITED) do
            if one[name] == nil then one[name] = original[name] end
        end
    end
    return injected
end

function Plugin:encode(message)
    self.injected = {}
    local status, text = self:process(message)
    self.injected = {}
    if status == -2 then return nil end
    if status < 0 then return nil, "Failed serializing: " .. (text or "") end
    if status > 0 then return nil, "FATAL: " .. (text or "") end
    return self.output or protobuf.encode(self.last_message)
end

local function keep(value, seen)
    local kind = type(value)
    if kind == "number" or kind == "string" or kind == "boolean" then return value end
    if kind == "userdata" then return native.kind(value) and value or nil end
    if kind ~= "table" or getmetatable(value) then return nil end
    if seen[value] then return seen[value] end
    local copy = {}
    seen[value] = copy
    for key, item in pairs(value) do
        local key_kind = type(key)
        if key_kind ~= "string" and key_kind ~= "number" and key_kind ~= "boolean" then
            if keep(item, seen) ~= nil then
                error(format("serialize_data cannot preserve type '%s'", key_kind), 0)
            end
        else
            copy[key] = keep(item, seen)
        end
    end
    return copy
end

function Plugin:preserved()
    local globals, seen = {}, {}
    for name, value in pairs(self.env) do
        if name ~= "_PRESERVATION_VERSION" then globals[name] = keep(value, seen) end
    end
    local version = self.env._PRESERVATION_VERSION
    return { version = type(version) == "number" and floor(version) or 0, globals = globals }
end

-- Checks ----------------------------------------------------------------------------------------------------------

local checks, failures, tests = 0, {}, 0

--- A value as text, keys sorted.
function M.show(value, depth)
    depth = depth or 0
    if type(value) == "string" then return format("%q", value) end
    if type(value) == "number" then return value == floor(value) and format("%.17g", value) or format("%.14g", value) end
    if type(value) ~= "table" or depth > 6 then return tostring(value) end
    local keys, out = {}, {}
    for key in pairs(value) do keys[#keys + 1] = key end
    sort(keys, function(a, b)
        if type(a) == type(b) and type(a) ~= "boolean" then return a < b end
        return tostring(a) < tostring(b)
    end)
    for _, key in ipairs(keys) do
        local item = M.show(value[key], depth + 1)
        out[#out + 1] = type(key) == "number" and key <= #value and item or format("%s = %s", tostring(key), item)
    end
    return "{" .. concat(out, ", ") .. "}"
end

local function same(a, b)
    if type(a) ~= type(b) then return false end
    if type(a) ~= "table" then return a == b or (a ~= a and b ~= b) end
    for key, value in pairs(a) do
        if not same(value, b[key]) then return false end
    end
    for key in pairs(b) do
        if a[key] == nil then return false end
    end
    return true
end

--- Both values are equal; tables by content, NaN equals NaN.
function M.equal(actual, expected, label)
    checks = checks + 1
    if not same(actual, expected) then
        error(format("%s\n    expected %s\n    actual   %s", label or "values differ", M.show(expected),
            M.show(actual)), 2)
    end
end

--- The numbers differ by no more than `tolerance`.
function M.near(actual, expected, tolerance, label)
    checks = checks + 1
    if type(actual) ~= "number" or not (math.abs(actual - expected) <= tolerance) then
        error(format("%s\n    expected %.17g +- %g\n    actual   %s", label or "numbers differ", expected, tolerance,
            M.show(actual)), 2)
    end
end

--- `fn(...)` raises an error whose text contains `text`.
function M.raises(text, fn, ...)
    checks = checks + 1
    local good, failure = pcall(fn, ...)
    if good then error(format("no error raised, expected %q", text), 2) end
    if not find(tostring(failure), text, 1, true) then
        error(format("wrong error\n    expected %s\n    actual   %s", text, tostring(failure)), 2)
    end
end

--- Runs one test; a failure is kept for finish().
function M.test(name, fn)
    tests = tests + 1
    local before = checks
    now_ns = 1500000000 * 1e9
    local good, failure = xpcall(fn, function(err)
        return debug and type(err) == "string" and not find(err, "\n", 1, true) and debug.traceback(err, 2) or err
    end)
    if good and checks == before then good, failure = false, "the test checked nothing" end
    if not good then failures[#failures + 1] = format("%s: %s", name, tostring(failure)) end
end

--- Ends a test file: one line when all went well, else an error with all failures.
function M.finish()
    if tests == 0 then error("no tests ran", 0) end
    if #failures > 0 then
        error(format("%d of %d tests failed\n%s", #failures, tests, concat(failures, "\n")), 0)
    end
    local report = print or function() end
    report(format("ok: %d tests, %d checks%s", tests, checks, arg and " (" .. arg[0] .. ")" or ""))
end

return M
