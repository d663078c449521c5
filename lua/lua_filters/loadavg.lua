-- Graphs the load averages and the number of running processes, as the linux_loadavg decoder reports them.
--
-- Configuration ([NAME.config]):
--   sec_per_row           uint, 60       seconds that one row of the graph covers.
--   rows                  uint, 1440     rows that the graph keeps.
--   anomaly_config        string, none   anomaly detection, in the syntax of the anomaly module; the title is "LoadAvg
--                                        Stats".
--   preservation_version  uint, 0        raise it whenever rows or sec_per_row change and preserve_data is on.
--
--   [LoadAvgFilter]
--   type = "SandboxFilter"
--   filename = "lua_filters/loadavg.lua"
--   message_matcher = "Type == 'stats.loadavg'"
--   ticker_interval = 60
--   preserve_data = true
--
-- Messages: at each tick a heka.sandbox-output with the graph, payload_type "cbuf", payload_name "LoadAvg Stats"; with
-- anomaly_config a line of annotations stands before the graph, and an anomaly makes a message of payload_type "alert".

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"

local read_message, inject_payload, type = read_message, inject_payload, type

local TITLE = "LoadAvg Stats"
local COLUMNS = { "1MinAvg", "5MinAvg", "15MinAvg", "NumProcesses" }

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

    for column = 1, #variables do
        local value = read_message(variables[column])
        if type(value) ~= "number" then return -1 end
        graph:set(timestamp, column, value)
    end
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
