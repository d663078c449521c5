-- Writes messages as JSON for InfluxDB up to version 0.8.
--
-- Configuration ([NAME.config]):
--   series               string, "series"   name of the series; %{name} stands for a header (Type, Payload, Hostname,
--                                           Pid, Logger, Severity, EnvVersion), else for a field.
--   skip_fields          string, none       headers and fields that make no columns, separated by spaces.
--   multi_series         bool, false        make a series for each field, named "<series>.<field>", instead of one
--                                           series with a column for each.
--   exclude_base_fields  bool, false        make no columns of headers.
--
--   [influxdb]
--   type = "SandboxEncoder"
--   filename = "lua_encoders/schema_influx.lua"
--
--       [influxdb.config]
--       series = "heka.%{Logger}"
--       skip_fields = "Pid EnvVersion"
--
--   [InfluxOutput]
--   type = "HttpOutput"
--   message_matcher = "Type == 'nginx.access'"
--   address = "http://127.0.0.1:8086/db/heka/series"
--   encoder = "influxdb"
--   username = "root"
--   password = "root"
--
-- Output: [{"points":[[<ms>,..]],"name":"<series>","columns":["time",..]}]. Repeats of a field are numbered (str,
-- str2), several values of a field make an array; bytes are left out. With multi_series there is one such object for
-- each field, with its first value, bytes too, in the column "value"; {} if there are no fields. Headers that are not
-- set, and values that JSON cannot express (nan, inf), are null.

local string = require "string"
local concat = require("table").concat
local math = require "math"

local char, format, find, gmatch, gsub = string.char, string.format, string.find, string.gmatch, string.gsub
local floor, huge = math.floor, math.huge
local read_message, read_next_field = read_message, read_next_field
local add_to_payload, inject_payload, type, tostring = add_to_payload, inject_payload, type, tostring

local BYTES = 1
local HEADERS = { "Type", "Payload", "Hostname", "Pid", "Logger", "Severity", "EnvVersion" }

-- By hand, because cjson.encode() reserves six times a string's length, and long payloads would exceed output_limit.
local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\8"] = "\\b", ["\t"] = "\\t", ["\n"] = "\\n",
    ["\12"] = "\\f", ["\r"] = "\\r" }
for code = 0, 127 do
    local c = char(code)
    if (code < 32 or code == 127) and not ESCAPES[c] then ESCAPES[c] = format("\\u%04x", code) end
end

local function json_value(value)
    local kind = type(value)
    if kind == "string" then
        return '"' .. gsub(value, '[%c"\\/]', ESCAPES) .. '"'
    elseif kind == "number" then
        if value ~= value or value == huge or value == -huge then return "null" end
        return format("%.14g", value)
    end
    return value == nil and "null" or tostring(value)
end

local series = read_config("series") or "series"
local multi_series = read_config("multi_series")

local skipped = { Timestamp = true }
for name in gmatch(read_config("skip_fields") or "", "%S+") do skipped[name] = true end

-- The headers that make columns, and those columns as JSON.
local headers, header_columns = {}, '"time"'
if not read_config("exclude_base_fields") then
    for _, name in ipairs(HEADERS) do
        if not skipped[name] then
            headers[#headers + 1] = name
            header_columns = header_columns .. "," .. json_value(name)
        end
    end
end

local is_header = {}
for _, name in ipairs(HEADERS) do is_header[name] = true end

local function variable(name)
    local value
    if is_header[name] then
        value = read_message(name)
    else
        value = read_message("Fields[" .. name .. "]")
    end
    if value ~= nil then return tostring(value) end -- else the text stays as it is
end

local function series_name()
    if not find(series, "%{", 1, true) then return series end
    return (gsub(series, "%%{(.-)}", variable))
end

--- The values that all points of the message begin with.
local function point_start()
    local start = format("%.14g", floor((read_message("Timestamp") or 0) / 1e6))
    for i = 1, #headers do
        start = start .. "," .. json_value(read_message(headers[i]))
    end
    return start
end

local seen = {}

--- The name that the next occurrence of a field goes by, and its index among those of that name.
local function numbered(name)
    local index = seen[name] or 0
    seen[name] = index + 1
    return index == 0 and name or name .. (index + 1), index
end

local values = {}

--- All values of an occurrence of a field, as JSON.
local function json_field(name, index, first, count)
    if count <= 1 then return json_value(first) end
    local variable_name = "Fields[" .. name .. "]"
    for i = 1, count do
        values[i] = json_value(read_message(variable_name, index, i - 1))
    end
    return "[" .. concat(values, ",", 1, count) .. "]"
end

local columns = {}

local function encode_single()
    add_to_payload('[{"points":[[', point_start())
    local column_count = 0
    local kind, name, value, _, count = read_next_field()
    while kind do
        if not skipped[name] then
            local column, index = numbered(name)
            if kind ~= BYTES then
                column_count = column_count + 1
                columns[column_count] = json_value(column)
                add_to_payload(",", json_field(name, index, value, count))
            end
        end
        kind, name, value, _, count = read_next_field()
    end

    add_to_payload(']],"name":', json_value(series_name()), ',"columns":[', header_columns)
    for i = 1, column_count do add_to_payload(",", columns[i]) end
    inject_payload("json", "influx", "]}]")
end

local function encode_multi()
    local start, prefix = point_start(), series_name() .. "."
    local separator = "["
    local kind, name, value = read_next_field()
    while kind do
        if not skipped[name] then
            add_to_payload(separator, '{"points":[[', start, ",", json_value(value), ']],"name":',
                json_value(prefix .. numbered(name)), ',"columns":[', header_columns, ',"value"]}')
            separator = ","
        end
        kind, name, value = read_next_field()
    end
    inject_payload("json", "influx", separator == "[" and "{}" or "]")
end

function process_message()
    for name in pairs(seen) do seen[name] = nil end
    if multi_series then encode_multi() else encode_single() end
    return 0
end
