-- The harness of the tests of shipped scripts, over sandboxes: what runs is the daemon's own, the scripts' API too.
--
-- Here: loading and calling plugins, by requests to the host of the test. Not here: the checks, which are those of
-- the harness for plain Lua (`plain`), in whose shape messages and outputs are.

require "string"
require "table"
require "math"
require "os"

local packed = require "packed"
local M = require "plain"

local format, find, match = string.format, string.find, string.match
local floor, ceil = math.floor, math.ceil
local sort = table.sort

local now_s = 1500000000
local plain_set_time, plain_test = M.set_time, M.test

function M.set_time(ns)
    now_s = floor(ns / 1e9)
    plain_set_time(ns)
end

-- Tests that need what sandboxes do not give: tables shared with a plugin's script, types and fields that no message
-- can have.
local LEFT_OUT = {
    ["an array loses its head"] = true,
    ["every field but the timestamp and bytes makes a series"] = true,
    ["tables become fields"] = true,
    ["the rate of change"] = true,
    ["value types have names and a change of type is a mismatch"] = true,
}

function M.test(name, fn)
    now_s = 1500000000
    if not LEFT_OUT[name] then plain_test(name, fn) end
end

-- What only the plugin's script has, and whose it is.
local owners, ids = {}, {}

local function refer(value)
    return ids[value] and "R" .. ids[value] .. ";" or nil
end

--- Asks the host: what it answers, or the error that it answers with.
local function ask(plugin, ...)
    inject_message(packed.pack(refer, ...))
    local count, list = packed.unpack(read_message("Payload"), function(_, id) return plugin:reference(id) end)
    if not list[1] then error(list[2], 0) end
    return unpack(list, 2, count)
end

local Plugin = {}
Plugin.__index = Plugin

local function call(plugin, ...)
    return ask(plugin, "request", plugin.id, now_s, packed.pack(refer, ...))
end

--- What stands for a function or an object of the plugin's script.
function Plugin:reference(id)
    local known = self.references[id]
    if known then return known end
    local plugin, stand_in = self, {}
    ids[stand_in] = id
    self.references[id] = setmetatable(stand_in, {
        __call = function(_, ...) return call(plugin, "call", stand_in, ...) end,
        __mul = function(a, b) return call(plugin, "multiply", a, b) end,
        __index = function(_, name)
            return function(_, ...) return call(plugin, "method", stand_in, name, ...) end
        end,
    })
    return stand_in
end

local TYPE_OF = { string = 0, number = 3, boolean = 4 }

-- A test's message in the shape that the script API takes.
local function normalise(message)
    local out = {}
    for key, value in pairs(message) do out[key] = value end
    out.Timestamp = out.Timestamp or now_s * 1e9
    out.Fields = {}
    local function put(name, field)
        local value = type(field.value) == "table" and field.value or { field.value }
        if value[1] == nil then return end
        out.Fields[#out.Fields + 1] = {
            name = name, value = value, representation = field.representation,
            value_type = field.value_type or TYPE_OF[type(value[1])],
        }
    end
    local fields = message.Fields or {}
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

-- A message as tests expect it.
local function decoded(bytes)
    local message = decode_message(bytes)
    message.Fields = message.Fields or {}
    for _, field in ipairs(message.Fields) do field.value_type = field.value_type or 0 end
    -- A time that the script did not set is that of the machine.
    if math.abs(message.Timestamp - os.time() * 1e9) < 600e9 then message.Timestamp = now_s * 1e9 end
    return message
end

local function kind_of(path)
    local folder = match(path, "lua_(%a+)s/")
    return folder and find(" decoder filter encoder output input ", " " .. folder .. " ", 1, true) and folder
end

function M.load(path, config, options)
    options = options or {}
    local kind = options.kind or kind_of(path or "") or "filter"
    local plugin = setmetatable({
        kind = kind, references = {}, name = options.name or "plugin", hostname = options.hostname or "host",
        max_process_inject = options.max_process_inject or 1, max_timer_inject = options.max_timer_inject or 10,
    }, Plugin)
    plugin.env = setmetatable({}, { __index = function(_, name) return call(plugin, "get", name) end })
    plugin.id = ask(plugin, "load", kind, path or "script", options.source, config or {}, options.preserved, now_s,
        options.output_limit, options.instruction_limit)
    return plugin
end

function Plugin:process(message)
    local bytes = encode_message(normalise(message))
    local budget = self.kind == "filter" and self.max_process_inject or nil
    local status, text, last = ask(self, "process", self.id, now_s, bytes, budget)
    self.last = last
    return status < 0 and ceil(status) or floor(status), text
end

function Plugin:timer(ns)
    ask(self, "timer", self.id, now_s, ns or now_s * 1e9, self.max_timer_inject)
end

--- What was injected, as finished messages; remembers the bytes of the last.
function Plugin:take()
    local out = {}
    for i, item in ipairs(ask(self, "take", self.id)) do
        local message
        if item.text then
            message = self.kind == "decoder" and decoded(self.last) or { Fields = {} }
            message.Payload = item.text
            local fields = message.Fields
            fields[#fields + 1] = { name = "payload_type", value = { item.kind }, value_type = 0,
                representation = "file-extension" }
            fields[#fields + 1] = { name = "payload_name", value = { item.name }, value_type = 0, representation = "" }
        else
            message = decoded(item.bytes)
        end
        if self.kind == "filter" then
            message.Type = item.text and "heka.sandbox-output" or "heka.sandbox." .. (message.Type or "")
            message.Logger, message.Hostname = self.name, self.hostname
        end
        self.output = item.text or item.bytes
        out[i] = message
    end
    return out
end

local INHERITED = { "Type", "Logger", "Severity", "Hostname", "Pid" }

function Plugin:decode(message)
    self:take()
    local status, text = self:process(message)
    local injected, original = self:take(), decoded(self.last)
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
    self:take()
    self.output = nil
    local status, text = self:process(message)
    self:take()
    if status == -2 then return nil end
    if status < 0 then return nil, "Failed serializing: " .. (text or "") end
    if status > 0 then return nil, "FATAL: " .. (text or "") end
    return self.output or self.last
end

function Plugin:preserved()
    return ask(self, "preserve", self.id)
end

return M
