-- Decodes messages in the Graylog Extended Log Format (GELF): one JSON object, neither chunked nor compressed.
--
-- Configuration ([NAME.config]):
--   type          string, none     Type of the messages; without it the input's Type stays
--   payload_keep  bool, false      keeps the JSON text as Payload
--
--   [GelfDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/graylog_extended.lua"
--     [GelfDecoder.config]
--     type = "graylog"
--     payload_keep = false
--
-- Message: Timestamp (timestamp, in seconds), EnvVersion (version), Severity (level), Hostname (host), and a field for
-- each other member under its own name. A message without a timestamp, or with a nested object or an array of mixed
-- types, fails.

local cjson = require "cjson"

local decode = cjson.decode
local read_message, inject_message = read_message, inject_message
local pcall, type = pcall, type

local payload_keep = read_config("payload_keep")

-- Every message goes out through this one table.
local msg = {
    Timestamp = nil, Type = read_config("type"), EnvVersion = nil, Hostname = nil, Severity = nil, Payload = nil,
    Fields = nil,
}

function process_message()
    local payload = read_message("Payload")
    local good, json = pcall(decode, payload)
    if not good or type(json) ~= "table" then return -1, "Failed to decode JSON." end
    local seconds = json.timestamp
    if type(seconds) ~= "number" then return -1, "Failed to decode timestamp." end

    msg.Timestamp = seconds * 1e9
    msg.EnvVersion = json.version
    msg.Severity = json.level
    msg.Hostname = json.host
    json.timestamp, json.version, json.level, json.host = nil, nil, nil, nil
    if payload_keep then msg.Payload = payload end
    msg.Fields = json
    if not pcall(inject_message, msg) then return -1, "Failed to inject message." end
    return 0
end
