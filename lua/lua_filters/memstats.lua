-- Graphs the use of memory and swap space, as the linux_memstats decoder reports it.
--
-- Configuration ([NAME.config]):
--   sec_per_row           uint, 60       seconds that one row of the graph covers.
--   rows                  uint, 1440     rows that the graph keeps.
--   anomaly_config        string, none   anomaly detection, in the syntax of the anomaly module; the title is "Memory
--                                        Stats".
--   preservation_version  uint, 0        raise it whenever rows or sec_per_row change and preserve_data is on.
--
--   [MemoryStatsFilter]
--   type = "SandboxFilter"
--   filename = "lua_filters/memstats.lua"
--   message_matcher = "Type == 'stats.memstats'"
--   ticker_interval = 60
--   preserve_data = true
--
-- Messages: at each tick a heka.sandbox-output with the graph, payload_type "cbuf", payload_name "Memory Stats"; with
-- anomaly_config a line of annotations stands before the graph, and an anomaly makes a message of payload_type "alert".

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"

local read_message, inject_payload, type = read_message, inject_payload, type

local TITLE = "Memory Stats"
-- All but the last column hold the field of their name; SwapUsed is SwapTotal without SwapFree.
local COLUMNS = {
    "MemFree", "Cached", "Active", "Inactive", "VmallocUsed", "Shmem", "SwapCached", "SwapFree", "SwapUsed",
}
local SWAP_FREE, SWAP_USED = 8, 9

local rows = read_config("rows") or 1440
local sec_per_row = read_config("sec_per_row") or 60
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))

_PRESERVATION_VERSION = read_config("preservation_version") or 0

graph = circular_buffer.new(rows, #COLUMNS, sec_per_row)
local variables = {}
for column, name in ipairs(COLUMNS) do
    graph:set_header(column, name, "Count", "max")
    variables[column] = "Fields[" .. name .. "]"
end
annotation.set_prune(TITLE, rows * sec_per_row * 1e9)

function process_message()
    local timestamp = read_message("Timestamp")
    if type(timestamp) ~= "number" then return -1 end

    local value
    for column = 1, SWAP_FREE do
        value = read_message(variables[column])
        if type(value) ~= "number" then return -1 end
        graph:set(timestamp, column, value)
    end

    local swap_total = read_message("Fields[SwapTotal]")
    if type(swap_total) ~= "number" then return -1 end
    graph:set(timestamp, SWAP_USED, swap_total - value)
    return 0
end

function timer_event(ns)
    if not anomaly_config then
        inject_payload("cbuf", TITLE, graph)
        return
    end

    if not alert.throttled(ns) then
        local text, annotations = anomaly.detect(ns, TITLE, graph, anomaly_config)
        if text then
            annotation.concat(TITLE, annotations)
            alert.send(ns, text)
        end
    end
    inject_payload("cbuf", TITLE, annotation.prune(TITLE, ns) or "", graph)
end
