-- Graphs disk activity, as the linux_diskstats decoder reports it.
--
-- Configuration ([NAME.config]):
--   rows            uint, 1440     rows that the graphs keep. A row covers one polling interval.
--   anomaly_config  string, none   anomaly detection, in the syntax of the anomaly module; the titles are "Disk Stats"
--                                  and "Time doing IO".
--
--   [DiskStatsFilter]
--   type = "SandboxFilter"
--   filename = "lua_filters/diskstats.lua"
--   message_matcher = "Type == 'stats.diskstats'"
--   ticker_interval = 10
--   preserve_data = true
--
--       [DiskStatsFilter.config]
--       rows = 1440
--
-- The messages say in the field TickerInterval how often the disk is polled. When rows or that interval change, the
-- graphs start anew. One filter watches one disk: use a message_matcher on Fields[FilePath] if several are polled.
--
-- Messages: at each tick two heka.sandbox-output, payload_type "cbuf": payload_name "Disk Stats" with the operations
-- since the message before, and "Time doing IO" with the kernel's time counters in ms; with anomaly_config a line of
-- annotations stands before each graph, and all anomalies together make one message of payload_type "alert".

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"
local floor = require("math").floor

local read_message, inject_payload, type = read_message, inject_payload, type
local circular_buffer = circular_buffer

local COUNT_TITLE, TIME_TITLE = "Disk Stats", "Time doing IO"
local COUNTERS = {
    "WritesCompleted", "ReadsCompleted", "SectorsWritten", "SectorsRead", "WritesMerged", "ReadsMerged",
}
local TIMES = { "TimeWriting", "TimeReading", "TimeDoingIO", "WeightedTimeDoingIO" }

local rows = read_config("rows") or 1440
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))

local variables = {}
for i, name in ipairs(COUNTERS) do variables[i] = "Fields[" .. name .. "]" end
for i, name in ipairs(TIMES) do variables[#COUNTERS + i] = "Fields[" .. name .. "]" end

-- Made with the first message, which says how long a row is.
count_graph = nil
time_graph = nil
-- Counters of the message before, in the order of COUNTERS.
last_counters = nil

local function build_graphs(interval)
    count_graph = circular_buffer.new(rows, #COUNTERS, interval)
    for column, name in ipairs(COUNTERS) do
        count_graph:set_header(column, name, "per_" .. interval .. "_s", "none")
    end
    time_graph = circular_buffer.new(rows, #TIMES, interval)
    for column, name in ipairs(TIMES) do
        time_graph:set_header(column, name, "ms", "max")
    end
    annotation.set_prune(COUNT_TITLE, rows * interval * 1e9)
    annotation.set_prune(TIME_TITLE, rows * interval * 1e9)
end

local function fits(graph, interval)
    if not graph then return false end
    local graph_rows, _, sec_per_row = graph:get_configuration()
    return graph_rows == rows and sec_per_row == interval
end

local values = {}

function process_message()
    local timestamp, interval = read_message("Timestamp"), read_message("Fields[TickerInterval]")
    if type(timestamp) ~= "number" or type(interval) ~= "number" then return -1 end
    interval = floor(interval)
    if interval < 1 or interval > 2147483647 then return -1 end
    for i = 1, #variables do
        local value = read_message(variables[i])
        if type(value) ~= "number" then return -1 end
        values[i] = value
    end

    if not fits(count_graph, interval) or not fits(time_graph, interval) then build_graphs(interval) end

    local last = last_counters
    if last then
        for i = 1, #COUNTERS do
            count_graph:set(timestamp, i, values[i] - last[i])
            last[i] = values[i]
        end
    else
        last_counters = {}
        for i = 1, #COUNTERS do last_counters[i] = values[i] end
    end
    for i = 1, #TIMES do
        time_graph:set(timestamp, i, values[#COUNTERS + i])
    end
    return 0
end

local function put_graph(ns, title, graph)
    if not anomaly_config then
        inject_payload("cbuf", title, graph)
        return
    end

    if not alert.throttled(ns) then
        local text, annotations = anomaly.detect(ns, title, graph, anomaly_config)
        if text then
            annotation.concat(title, annotations)
            alert.queue(ns, text)
        end
    end
    inject_payload("cbuf", title, annotation.prune(title, ns) or "", graph)
end

function timer_event(ns)
    if not count_graph then return end -- no message yet

    put_graph(ns, COUNT_TITLE, count_graph)
    put_graph(ns, TIME_TITLE, time_graph)
    alert.send_queue(ns)
end
