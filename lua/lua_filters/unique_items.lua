-- Estimates how many different values a message variable had in each period, such as the daily active users.
--
-- The estimate takes some 12 KiB of memory whatever the number of values, and is off by about 1 %.
--
-- Configuration ([NAME.config]):
--   message_variable      string, required   the variable to count, such as "Fields[uid]" or "Hostname".
--   title                 string, "Estimated Unique Daily <message_variable>"
--                         title of the graph.
--   enable_delta          bool, false   put out the changes too, for a cbufd_aggregator; needed where several daemons
--                                       count disjoint parts of the values.
--   rows                  uint, 365   periods that the graph keeps.
--   seconds_per_row       uint, 86400   length of a period.
--   preservation_version  uint, 0   raise it whenever enable_delta, rows or seconds_per_row change and preserve_data is
--                                   on.
--
--   [ActiveDailyUsers]
--   type = "SandboxFilter"
--   filename = "lua_filters/unique_items.lua"
--   message_matcher = "Logger == 'auth' && Type == 'request.summary'"
--   ticker_interval = 60
--   preserve_data = true
--
--       [ActiveDailyUsers.config]
--       message_variable = "Fields[uid]"
--       title = "Estimated Active Daily Users"
--
-- Messages: at each tick a heka.sandbox-output with the graph, payload_type "cbuf", payload_name as configured; with
-- enable_delta another with the changes since the last tick, payload_type "cbufd".

require "circular_buffer"
require "hyperloglog"
local floor = require("math").floor
local match = require("string").match

local read_message, inject_payload, type = read_message, inject_payload, type

local message_variable = read_config("message_variable")
    or error("message_variable configuration must be specified")
local title = read_config("title") or "Estimated Unique Daily " .. message_variable
local enable_delta = read_config("enable_delta") or false
local rows = read_config("rows") or 365
local seconds_per_row = read_config("seconds_per_row") or 86400
local ns_per_row = seconds_per_row * 1e9

_PRESERVATION_VERSION = read_config("preservation_version") or 0

graph = circular_buffer.new(rows, 1, seconds_per_row, enable_delta)
graph:set_header(1, match(message_variable, "^Fields%[(.*)%]$") or message_variable)
sketch = hyperloglog.new()
active_period = 0

function process_message()
    local timestamp, item = read_message("Timestamp"), read_message(message_variable)
    local kind = type(item)
    if type(timestamp) ~= "number" or (kind ~= "string" and kind ~= "number") then return -1 end

    local period = floor(timestamp / ns_per_row)
    if period < active_period then return 0 end
    if period > active_period then
        active_period = period
        sketch:clear()
    end

    if sketch:add(item) then
        graph:set(timestamp, 1, sketch:count())
    end
    return 0
end

function timer_event()
    inject_payload("cbuf", title, graph:format("cbuf"))
    if enable_delta then
        inject_payload("cbufd", title, graph:format("cbufd"))
    end
end
