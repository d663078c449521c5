-- Graphs statistics of a StatAccumInput.
--
-- The accumulator must put its statistics into fields (emit_in_fields = true).
--
-- Configuration ([NAME.config]):
--   title                 string, "Stats"    title of the graph.
--   rows                  uint, 300          rows that the graph keeps.
--   sec_per_row           uint, 1            seconds that one row of the graph covers.
--   stats                 string, required   names of the statistics to graph, separated by spaces.
--   stat_labels           string, required   as many headers, in the same order, separated by spaces.
--   stat_aggregation      string, "sum"      how rows are to be joined: sum, min, max or none.
--   stat_unit             string, "count"    unit of the columns.
--   anomaly_config        string, none       anomaly detection, in the syntax of the anomaly module.
--   preservation_version  uint, 0            raise it whenever rows, sec_per_row or the number of statistics change and
--                                            preserve_data is on.
--
--   [stat_graph]
--   type = "SandboxFilter"
--   filename = "lua_filters/stat_graph.lua"
--   message_matcher = "Type == 'heka.statmetric'"
--   ticker_interval = 10
--   preserve_data = true
--
--       [stat_graph.config]
--       title = "Hits and Misses"
--       rows = 1440
--       sec_per_row = 10
--       stats = "stats.counters.hits.count stats.counters.misses.count"
--       stat_labels = "hits misses"
--
-- Messages: at each tick a heka.sandbox-output with the graph, payload_type "cbuf", payload_name as configured; with
-- anomaly_config a line of annotations stands before the graph, and an anomaly makes a message of payload_type "alert".

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"
local gmatch = require("string").gmatch

local read_message, inject_payload, type = read_message, inject_payload, type

local function words(key)
    local list = {}
    for word in gmatch(read_config(key) or error(key .. " configuration must be specified"), "%S+") do
        list[#list + 1] = word
    end
    return list
end

local title = read_config("title") or "Stats"
local rows = read_config("rows") or 300
local sec_per_row = read_config("sec_per_row") or 1
local stats = words("stats")
local labels = words("stat_labels")
local aggregation = read_config("stat_aggregation") or "sum"
local unit = read_config("stat_unit") or "count"
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))

if #stats ~= #labels then error("stats and stat_labels must have the same number of entries") end

_PRESERVATION_VERSION = read_config("preservation_version") or 0

graph = circular_buffer.new(rows, #stats, sec_per_row)
local variables = {}
for column, name in ipairs(stats) do
    graph:set_header(column, labels[column], unit, aggregation)
    variables[column] = "Fields[" .. name .. "]"
end
annotation.set_prune(title, rows * sec_per_row * 1e9)

function process_message()
    local timestamp = read_message("Fields[timestamp]")
    if type(timestamp) ~= "number" then return -1 end

    timestamp = timestamp * 1e9
    for column = 1, #variables do
        local value = read_message(variables[column])
        if type(value) == "number" then
            graph:add(timestamp, column, value)
        end
    end
    return 0
end

function timer_event(ns)
    if not anomaly_config then
        inject_payload("cbuf", title, graph)
        return
    end

    if not alert.throttled(ns) then
        local text, annotations = anomaly.detect(ns, title, graph, anomaly_config)
        if text then
            annotation.concat(title, annotations)
            alert.send(ns, text)
        end
    end
    inject_payload("cbuf", title, annotation.prune(title, ns) or "", graph)
end
