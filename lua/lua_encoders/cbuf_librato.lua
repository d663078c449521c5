-- Sends the rows of circular buffer graphs to Librato as gauges.
--
-- Each column becomes a gauge named after it, with the Hostname as source. The newest row is left out, because it may
-- still grow; of a graph that was seen before, only the rows since then are sent.
--
-- Configuration ([NAME.config]):
--   message_key  string, "%{Logger}:%{payload_name}"   tells the graphs apart; %{..} stands for a header or field of
--                                                      the message.
--
--   [librato_encoder]
--   type = "SandboxEncoder"
--   filename = "lua_encoders/cbuf_librato.lua"
--   preserve_data = true
--
--       [librato_encoder.config]
--       message_key = "%{Logger}:%{payload_name}"
--
--   [librato]
--   type = "HttpOutput"
--   message_matcher = "Type == 'heka.sandbox-output' && Fields[payload_type] == 'cbuf'"
--   encoder = "librato_encoder"
--   address = "https://metrics-api.librato.com/v1/metrics"
--   username = "username@example.com"
--   password = "SECRET"
--
--       [librato.headers]
--       Content-Type = ["application/json"]
--
-- Output: {"gauges":[{"value":..,"measure_time":..,"name":..,"source":..},..]}; none if there are no new values.

local cjson = require "cjson"
local string = require "string"
local interpolate = require "msg_interpolate"

local decode, encode = cjson.decode, cjson.encode
local find, format, gmatch, sub = string.find, string.format, string.gmatch, string.sub
local read_message, add_to_payload, inject_payload = read_message, add_to_payload, inject_payload
local interpolate_from_msg = interpolate.interpolate_from_msg
local type, pcall, tonumber = type, pcall, tonumber

local message_key = read_config("message_key") or "%{Logger}:%{payload_name}"

local NO_OUTPUT = -2

-- Key of a graph -> header time of the graph that was sent last, in s.
last_times = {}

--- Decodes the line at `at`: its JSON object, or nil, and where the next line begins.
local function json_line(payload, at)
    local stop = find(payload, "\n", at, true) or #payload + 1
    local ok, value = pcall(decode, sub(payload, at, stop - 1))
    return ok and type(value) == "table" and value or nil, stop + 1
end

local function is_count(value)
    return type(value) == "number" and value >= 1 and value % 1 == 0
end

--- The header of a graph and where its rows begin, or nil and the reason why it is none.
local function parse_header(payload)
    local header, at = json_line(payload, 1)
    -- A line for the chart may stand first.
    if header and (header.annotations or header.options) and not header.column_info then
        header, at = json_line(payload, at)
    end
    if not header then return nil, "no circular buffer header" end

    local info = header.column_info
    if type(header.time) ~= "number" or type(info) ~= "table" or not is_count(header.rows)
        or not is_count(header.columns) or not is_count(header.seconds_per_row) then
        return nil, "incomplete circular buffer header"
    end
    if header.columns ~= #info then return nil, "columns differs from the number of column_info entries" end
    for column = 1, #info do
        if type(info[column]) ~= "table" or type(info[column].name) ~= "string" then
            return nil, "column_info without a name"
        end
    end
    return header, at
end

--- The first row to send, below one if the graph has none that was sent before; or nil and the reason why not.
local function first_row(header, last_time)
    if not last_time then return 1 end
    local elapsed = header.time - last_time
    if elapsed < 0 then return nil, "older than the graph sent before" end
    if elapsed % header.seconds_per_row ~= 0 then return nil, "time does not fit seconds_per_row" end
    return header.rows - elapsed / header.seconds_per_row
end

local gauges = {}

--- Appends the gauges of a row to `gauges`; returns how many there are now, or nil if the row is malformed.
local function collect_row(line, header, sources, time, count)
    local column = 0
    for cell in gmatch(line, "[^\t]+") do
        column = column + 1
        if column > header.columns then return nil end
        if cell ~= "nan" then
            -- A number begins with a digit: tonumber() also knows words such as inf.
            local value = find(cell, "^%-?%d") and tonumber(cell)
            if not value then return nil end
            count = count + 1
            gauges[count] = format('{"value":%.14g,"measure_time":%.14g,%s', value, time, sources[column])
        end
    end
    if column ~= header.columns then return nil end
    return count
end

function process_message()
    local payload = read_message("Payload")
    local header, at = parse_header(payload)
    if not header then return -1, at end
    if header.rows < 3 then return -1, "fewer than three rows" end

    local key = interpolate_from_msg(message_key)
    local start, reason = first_row(header, last_times[key])
    if not start then return -1, reason end

    local source = encode(read_message("Hostname"))
    local sources = {}
    for column = 1, header.columns do
        sources[column] = format('"name":%s,"source":%s}', encode(header.column_info[column].name), source)
    end

    local row, count = 0, 0
    for line in gmatch(sub(payload, at), "[^\n]+") do
        row = row + 1
        if row >= start and row < header.rows then
            local time = header.time + (row - 1) * header.seconds_per_row
            count = collect_row(line, header, sources, time, count)
            if not count then return -1, "malformed row " .. row end
        end
    end
    if row ~= header.rows then return -1, "rows differs from the number of rows" end
    if count == 0 then return NO_OUTPUT end

    for i = 1, count do
        add_to_payload(i == 1 and '{"gauges":[' or ",", gauges[i])
        gauges[i] = nil
    end
    last_times[key] = header.time
    inject_payload("json", "librato", "]}")
    return 0
end
