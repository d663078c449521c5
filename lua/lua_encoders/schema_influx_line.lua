-- Writes every field of a message as a line of InfluxDB's line protocol (InfluxDB 0.9 and later).
--
-- Where many messages pass, the influx_batch filter makes far fewer requests with the same lines.
--
-- Configuration ([NAME.config]):
--   decimal_precision      string, "6"              digits after the point of a number.
--   name_prefix            string, none             put before the measurement's name; may hold %{..}, a header or
--                                                   field of the message.
--   name_prefix_delimiter  string, none             put between prefix and name.
--   skip_fields            string, none             fields that make no points, separated by spaces; **all_base**
--                                                   stands for the message headers.
--   source_value_field     string, none             make a point of this field only, named by the prefix alone.
--   tag_fields             string, "**all_base**"   headers and fields that become tags, separated by spaces; **all**
--                                                   stands for all of them, **all_base** for the headers Logger, Type,
--                                                   Severity and Hostname.
--   timestamp_precision    string, "ms"             unit of the timestamps: ms, s, m or h.
--   value_field_key        string, "value"          key of the value.
--
--   [LinuxStatsDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/linux_loadavg.lua"
--
--   [LoadAvg]
--   type = "FilePollingInput"
--   ticker_interval = 5
--   file_path = "/proc/loadavg"
--   decoder = "LinuxStatsDecoder"
--
--   [InfluxLineEncoder]
--   type = "SandboxEncoder"
--   filename = "lua_encoders/schema_influx_line.lua"
--
--       [InfluxLineEncoder.config]
--       skip_fields = "**all_base** FilePath"
--       tag_fields = "Hostname env"
--       timestamp_precision = "s"
--
--   [influx]
--   type = "HttpOutput"
--   message_matcher = "Type =~ /^stats\\./"
--   address = "http://127.0.0.1:8086/write?db=mydb&precision=s"
--   encoder = "InfluxLineEncoder"
--
-- Output: "name,tag=.. value=.. timestamp" and a newline for each value of each field.

local line_protocol = require "ts_line_protocol"
local concat = require("table").concat

local read_next_field, inject_payload = read_next_field, inject_payload
local influxdb_line_msg = line_protocol.influxdb_line_msg

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

local NO_OUTPUT = -2

function process_message()
    if not read_next_field() then return NO_OUTPUT end
    inject_payload("txt", "influx_line", concat(influxdb_line_msg(config), "\n"), "\n")
    return 0
end
