-- Adds up the graph changes of many senders into one graph.
--
-- The senders are filters that put out circular buffer deltas (payload_type "cbufd"), such as unique_items or
-- cbufd_aggregator itself with enable_delta on, usually on other hosts. There is a graph for each payload_name.
--
-- Configuration ([NAME.config]):
--   enable_delta          bool, false    put out the changes of the aggregate too, for the next level of aggregation.
--   anomaly_config        string, none   anomaly detection, in the syntax of the anomaly module; the title is the
--                                        payload_name.
--   preservation_version  uint, 0        raise it whenever enable_delta changes and preserve_data is on.
--
--   [TelemetryServerMetricsAggregator]
--   type = "SandboxFilter"
--   filename = "lua_filters/cbufd_aggregator.lua"
--   message_matcher = "Logger == 'TelemetryServerMetrics' && Fields[payload_type] == 'cbufd'"
--   ticker_interval = 60
--   preserve_data = true
--
--       [TelemetryServerMetricsAggregator.config]
--       enable_delta = false
--       anomaly_config = 'roc("Request Statistics", 1, 15, 0, 1.5, true, false)'
--
-- A graph takes its size and headers from the first change seen of it. Values of "sum" columns are added; of "min" and
-- "max" columns the extreme is kept; columns without aggregation stay empty.
--
-- Messages: at each tick, for each graph, a heka.sandbox-output with the graph, payload_type "cbuf", its payload_name;
-- with enable_delta another of payload_type "cbufd"; with anomaly_config a line of annotations stands before the graph,
-- and all anomalies together make one message of payload_type "alert".

require "circular_buffer"
local cjson = require "cjson"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"
local cbufd = require "cbufd"

local read_message, inject_payload = read_message, inject_payload
local tostring, pairs, pcall = tostring, pairs, pcall
local circular_buffer, decode, grammar = circular_buffer, cjson.decode, cbufd.grammar

local enable_delta = read_config("enable_delta") or false
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))

_PRESERVATION_VERSION = read_config("preservation_version") or 0

-- payload_name -> { graph = circular buffer, columns = number, aggregations = { "sum", .. } }
graphs = {}

--- Makes the graph that a header describes; raises if it describes none.
local function build(header, name)
    local graph = circular_buffer.new(header.rows, header.columns, header.seconds_per_row, enable_delta)
    local aggregations = {}
    for column = 1, header.columns do
        local info = header.column_info[column]
        graph:set_header(column, info.name, info.unit, info.aggregation)
        aggregations[column] = info.aggregation
    end
    if anomaly_config then
        annotation.set_prune(name, header.rows * header.seconds_per_row * 1e9)
    end
    return { graph = graph, columns = header.columns, aggregations = aggregations }
end

local function find_graph(name, header_text)
    local entry = graphs[name]
    if entry then return entry end

    local ok, header = pcall(decode, header_text)
    if not ok then return nil end
    ok, entry = pcall(build, header, name)
    if not ok then return nil end
    graphs[name] = entry
    return entry
end

function process_message()
    local delta = grammar:match(read_message("Payload"))
    if not delta then return -1 end

    local name = read_message("Fields[payload_name]")
    local entry = find_graph(name == nil and "" or tostring(name), delta.header)
    if not entry then return -1 end

    local graph, columns, aggregations = entry.graph, entry.columns, entry.aggregations
    for i = 1, #delta do
        local row = delta[i]
        for column = 1, columns do
            local value = row[column]
            if value and value == value then -- nan: not changed
                local aggregation = aggregations[column]
                if aggregation == "sum" then
                    graph:add(row.time, column, value)
                elseif aggregation ~= "none" then
                    graph:set(row.time, column, value)
                end
            end
        end
    end
    return 0
end

function timer_event(ns)
    for name, entry in pairs(graphs) do
        local graph = entry.graph:format("cbuf")
        if anomaly_config then
            if not alert.throttled(ns) then
                local text, annotations = anomaly.detect(ns, name, graph, anomaly_config)
                if text then
                    annotation.concat(name, annotations)
                    alert.queue(ns, text)
                end
            end
            inject_payload("cbuf", name, annotation.prune(name, ns) or "", graph)
        else
            inject_payload("cbuf", name, graph)
        end

        if enable_delta then
            inject_payload("cbufd", name, graph:format("cbufd"))
        end
    end
    alert.send_queue(ns)
end
