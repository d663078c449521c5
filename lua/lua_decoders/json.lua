-- Decodes JSON objects; nested ones become fields with joined names.
--
-- Configuration ([NAME.config]):
--   type              string, "json"   Type of the messages
--   payload_keep      bool, false      keeps the text as Payload
--   map_fields        bool, false      enables the next two lines
--   Payload, Uuid, Type, Logger, Hostname   string, none   JSON key whose string value becomes that header
--   Severity, EnvVersion, Pid               string, none   JSON key whose number value becomes that header
--   Timestamp         string, none     JSON key of the time, with map_fields or without
--   timestamp_format  string, none     strftime format of the time; without it the value is nanoseconds
--   maximum_depth     number, none     tables whose joined name has this many parts become JSON text
--   separator         string, "."      joins the names of nested objects
--   tz                string, "UTC"    applied by the host: the zone in which time stamps are read
--
--   [JsonDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/json.lua"
--     [JsonDecoder.config]
--     type = "MyApp.logs"
--     map_fields = true
--     Severity = "severity"
--     Timestamp = "time"
--     timestamp_format = "%Y-%m-%dT%H:%M:%S%z"
--
-- Message: a field for each string, number (DOUBLE) and boolean; null, {} and [] leave none. A key that became a header
-- is no field. A mapped key of another JSON type stays a field, and the header is the input's, also for Type. Failures:
-- "Failed to decode JSON.", "Failed to flatten message.", "Failed to decode timestamp.", "Failed to inject message.".

local cjson = require "cjson"
local dt = require "date_time"
local util = require "util"

local decode, table_to_fields, time_to_ns = cjson.decode, util.table_to_fields, dt.time_to_ns
local read_message, inject_message = read_message, inject_message
local ipairs, pcall, tonumber, type = ipairs, pcall, tonumber, type

local payload_keep = read_config("payload_keep")
local separator = read_config("separator") or "."
local maximum_depth = read_config("maximum_depth")
local time_key = read_config("Timestamp")
local timestamp_format = read_config("timestamp_format")
local time_grammar = timestamp_format and dt.build_strftime_grammar(timestamp_format)

-- Every message goes out through this one table.
local msg = { Type = read_config("type") or "json" }

-- What is mapped: the header, the JSON key, the type that the value must have.
local mappings = {}
if read_config("map_fields") then
    local function add(kind, ...)
        for _, header in ipairs { ... } do
            local key = read_config(header)
            if key then mappings[#mappings + 1] = { header = header, key = key, kind = kind } end
        end
    end
    add("string", "Payload", "Uuid", "Type", "Logger", "Hostname")
    add("number", "Severity", "EnvVersion", "Pid")
end

-- The time in ns; nothing for a value that is no time.
local function read_time(value)
    if not time_grammar then return tonumber(value) end
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" then return nil end
    local t = time_grammar:match(value)
    return t and time_to_ns(t)
end

function process_message()
    local payload = read_message("Payload")
    local good, json = pcall(decode, payload)
    if not good then return -1, "Failed to decode JSON." end
    if type(json) ~= "table" then return -1, "Failed to flatten message." end

    if payload_keep then msg.Payload = payload end
    for i = 1, #mappings do
        local mapping = mappings[i]
        local value = json[mapping.key]
        if type(value) == mapping.kind then
            msg[mapping.header] = value
            json[mapping.key] = nil
        else
            msg[mapping.header] = nil
        end
    end

    msg.Timestamp = nil
    if time_key then
        local value = json[time_key]
        if value ~= nil then
            json[time_key] = nil
            local ns = read_time(value)
            if not ns and time_grammar then return -1, "Failed to decode timestamp." end
            msg.Timestamp = ns
        end
    end

    local fields = {}
    if not pcall(table_to_fields, json, fields, nil, separator, maximum_depth) then
        return -1, "Failed to flatten message."
    end
    msg.Fields = fields
    if not pcall(inject_message, msg) then return -1, "Failed to inject message." end
    return 0
end
