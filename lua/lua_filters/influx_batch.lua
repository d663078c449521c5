-- Gathers messages as lines of InfluxDB's line protocol, and puts out many at a time.
--
-- One HTTP request with many points costs InfluxDB far less than many requests with one point, which is what the
-- schema_influx_line encoder makes. Send the output with an HttpOutput and a PayloadEncoder.
--
-- Configuration ([NAME.config]):
--   decimal_precision      string, "6"              digits after the point of a number.
--   name_prefix            string, none             put before the measurement's name; may hold %{..} of the message.
--   name_prefix_delimiter  string, none             put between prefix and name.
--   skip_fields            string, none             names of fields that make no points, separated by spaces;
--                                                   **all_base** stands for the message headers.
--   source_value_field     string, none             make a point of this field only, named by the prefix alone.
--   tag_fields             string, "**all_base**"   names of headers and fields that become tags, separated by spaces;
--                                                   **all** stands for all of them, **all_base** for the headers
--                                                   Logger, Type, Severity and Hostname.
--   timestamp_precision    string, "ms"             unit of the timestamps: ms, s, m or h.
--   value_field_key        string, "value"          key of the value.
--   flush_count            uint, 0                  put out what was gathered after this many messages; 0 only at the
--                                                   ticks.
--
--   [InfluxBatch]
--   type = "SandboxFilter"
--   filename = "lua_filters/influx_batch.lua"
--   message_matcher = "Type =~ /^stats\\./"
--   ticker_interval = 10
--   output_limit = 1048576
--
--       [InfluxBatch.config]
--       skip_fields = "**all_base** FilePath"
--       tag_fields = "Hostname"
--       timestamp_precision = "s"
--       flush_count = 1000
--
--   [PayloadEncoder]
--
--   [InfluxOutput]
--   type = "HttpOutput"
--   message_matcher = "Logger == 'InfluxBatch' && Fields[payload_name] == 'influx_line'"
--   address = "http://127.0.0.1:8086/write?db=mydb&precision=s"
--   encoder = "PayloadEncoder"
--
-- output_limit bounds what is gathered; when the next lines do not fit, what there is goes out first.
--
-- Messages: at each tick, and after flush_count messages, a heka.sandbox-output, payload_type "txt", payload_name
-- "influx_line"; nothing if there were no messages.

local line_protocol = require "ts_line_protocol"
local concat = require("table").concat

local add_to_payload, inject_payload, pcall = add_to_payload, inject_payload, pcall

local flush_count = read_config("flush_count") or 0
local config = line_protocol.set_config({
    decimal_precision = read_config("decimal_precision") or "6",
    name_prefix = read_config("name_prefix") or false,
    name_prefix_delimiter = read_config("name_prefix_delimiter") or false,
    skip_fields_str = read_config("skip_fields") or false,
    source_value_field = read_config("source_value_field") or false,
    tag_fields_str = read_config("tag_fields") or "**all_base**",
    timestamp_precision = read_config("timestamp_precision") or "ms",
    value_field_key = read_config("value_field_key") or "value",
})

-- Messages whose lines stand in the payload buffer.
local gathered = 0

local function flush()
    if gathered == 0 then return end
    gathered = 0
    inject_payload("txt", "influx_line")
end

function process_message()
    local lines = line_protocol.influxdb_line_msg(config)
    local count = #lines
    if count == 0 then return 0 end
    lines[count + 1] = "" -- for the newline at the end
    local text = concat(lines, "\n")

    -- It fails only where the text does not fit into output_limit; nothing of it is in the buffer then.
    if not pcall(add_to_payload, text) then
        if gathered == 0 then return -1, "the lines of one message exceed output_limit" end
        flush()
        if not pcall(add_to_payload, text) then return -1, "the lines of one message exceed output_limit" end
    end
    gathered = gathered + 1

    if flush_count > 0 and gathered >= flush_count then flush() end
    return 0
end

function timer_event()
    flush()
end
