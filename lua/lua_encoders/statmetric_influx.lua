-- Writes the statistics of a StatAccumInput as JSON for InfluxDB up to version 0.8.
--
-- The accumulator must put its statistics into fields (emit_in_fields = true).
--
-- Configuration: none.
--
--   [StatAccumInput]
--   emit_in_fields = true
--
--   [statmetric_influx_encoder]
--   type = "SandboxEncoder"
--   filename = "lua_encoders/statmetric_influx.lua"
--
--   [influx]
--   type = "HttpOutput"
--   message_matcher = "Type == 'heka.statmetric'"
--   address = "http://127.0.0.1:8086/db/stats/series"
--   encoder = "statmetric_influx_encoder"
--   username = "influx_username"
--   password = "influx_password"
--
-- Output: [{"points":[[<ms>,<value>]],"name":"<statistic>","columns":["time","value"]},..], one object per field; {} if
-- there are no fields but the timestamp. Values that JSON cannot express (nan, inf) are null.

local cjson = require "cjson"
local format = require("string").format
local huge = require("math").huge

local encode = cjson.encode
local read_message, read_next_field = read_message, read_next_field
local add_to_payload, inject_payload, type, tostring = add_to_payload, inject_payload, type, tostring

local BYTES = 1

local function json_value(value)
    local kind = type(value)
    if kind == "number" then
        if value ~= value or value == huge or value == -huge then return "null" end
        return format("%.14g", value)
    elseif kind == "string" then
        return encode(value)
    end
    return value == nil and "null" or tostring(value)
end

function process_message()
    local seconds = read_message("Fields[timestamp]")
    if type(seconds) ~= "number" then return -1, "no field timestamp" end
    local time = format("%.14g", seconds * 1000)

    local separator = "["
    local kind, name, value = read_next_field()
    while kind do
        if name ~= "timestamp" and kind ~= BYTES then
            add_to_payload(separator, '{"points":[[', time, ",", json_value(value), ']],"name":', encode(name),
                ',"columns":["time","value"]}')
            separator = ","
        end
        kind, name, value = read_next_field()
    end
    inject_payload("json", "influx", separator == "[" and "{}" or "]")
    return 0
end
