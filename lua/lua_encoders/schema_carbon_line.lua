-- Writes every field of a message as a line of Graphite's plain text protocol.
--
-- Configuration ([NAME.config]):
--   name_prefix            string, none   put before the field's name; may hold %{..}, a header or field of the
--                                         message.
--   name_prefix_delimiter  string, "."    put between prefix and name.
--   skip_fields            string, none   fields that make no lines, separated by spaces, spelt as in the output
--                                         (foo_bar for the field foo.bar); **all_base** stands for the message headers.
--   source_value_field     string, none   write this field only, named by the prefix alone.
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
--   [CarbonLineEncoder]
--   type = "SandboxEncoder"
--   filename = "lua_encoders/schema_carbon_line.lua"
--
--       [CarbonLineEncoder.config]
--       name_prefix = "%{Hostname}.%{Type}"
--       skip_fields = "**all_base** FilePath"
--
--   [carbon]
--   type = "TcpOutput"
--   message_matcher = "Type =~ /^stats\\./"
--   address = "127.0.0.1:2003"
--   encoder = "CarbonLineEncoder"
--   use_framing = false
--
-- Output: "name value seconds" and a newline for each value of each field that reads as a plain positive number.

local line_protocol = require "ts_line_protocol"
local concat = require("table").concat

local read_next_field, inject_payload = read_next_field, inject_payload
local carbon_line_msg = line_protocol.carbon_line_msg

local config = line_protocol.set_config({
    carbon_format = true,
    name_prefix = read_config("name_prefix") or false,
    name_prefix_delimiter = read_config("name_prefix_delimiter") or ".",
    skip_fields_str = read_config("skip_fields") or false,
    source_value_field = read_config("source_value_field") or false,
    timestamp_precision = "s",
})

local NO_OUTPUT = -2

function process_message()
    if not read_next_field() then return NO_OUTPUT end
    inject_payload("txt", "carbon_line", concat(carbon_line_msg(config), "\n"), "\n")
    return 0
end
