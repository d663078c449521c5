-- Shows the graph changes of many hosts side by side: a graph for each column, a column for each host.
--
-- The senders are filters that put out circular buffer deltas (payload_type "cbufd") on other hosts.
--
-- Configuration ([NAME.config]):
--   max_hosts             uint, required   number of hosts, thus of columns.
--   rows                  uint, required   rows that the graphs keep.
--   host_expiration       uint, 120        seconds of silence after which a host's column may be given to a new host.
--   preservation_version  uint, 0          raise it whenever max_hosts or rows change and preserve_data is on.
--
--   [TelemetryServerMetricsHostAggregator]
--   type = "SandboxFilter"
--   filename = "lua_filters/cbufd_host_aggregator.lua"
--   message_matcher = "Logger == 'TelemetryServerMetrics' && Fields[payload_type] == 'cbufd'"
--   ticker_interval = 60
--   preserve_data = true
--
--       [TelemetryServerMetricsHostAggregator.config]
--       max_hosts = 5
--       rows = 60
--       host_expiration = 120
--
-- A new host takes a free column, else that of the host that has been silent longest; the data of that host stays. When
-- no host has expired, the filter ends with an error.
--
-- Messages: at each tick, for each payload_name and column, a heka.sandbox-output with the graph, payload_type "cbuf",
-- payload_name "<payload_name> (<column name>)"; a line of chart options stands before the graph.

require "circular_buffer"
local cjson = require "cjson"
local cbufd = require "cbufd"

local read_message, inject_payload = read_message, inject_payload
local type, tostring, pairs, pcall, error = type, tostring, pairs, pcall, error
local circular_buffer, decode, grammar = circular_buffer, cjson.decode, cbufd.grammar

local max_hosts = read_config("max_hosts") or error("max_host configuration must be specified")
local rows = read_config("rows") or error("rows configuration must be specified")
local expiration_ns = (read_config("host_expiration") or 120) * 1e9

local CHART_OPTIONS = '{"options":{"stackedGraph":true,"fillGraph":true}}\n'

_PRESERVATION_VERSION = read_config("preservation_version") or 0

-- payload_name -> array, by column of the senders' graphs, of { graph, title, unit, aggregation }
graphs = {}
-- Hostname -> { column = number, last_update = ns }
hosts = {}
host_count = 0

local function set_headers(hostname, column)
    for _, columns in pairs(graphs) do
        for i = 1, #columns do
            columns[i].graph:set_header(column, hostname, columns[i].unit, columns[i].aggregation)
        end
    end
end

--- Frees the column of the host that has been silent longest; nil if none has been silent long enough.
local function expire_host(timestamp)
    local oldest
    for hostname, host in pairs(hosts) do
        if timestamp - host.last_update >= expiration_ns
            and (not oldest or host.last_update < hosts[oldest].last_update) then
            oldest = hostname
        end
    end
    if not oldest then return nil end

    local column = hosts[oldest].column
    hosts[oldest] = nil
    return column
end

local function find_column(hostname, timestamp)
    local host = hosts[hostname]
    if host then
        if timestamp > host.last_update then host.last_update = timestamp end
        return host.column
    end

    local column
    if host_count < max_hosts then
        host_count = host_count + 1
        column = host_count
    else
        column = expire_host(timestamp) or error("The number of hosts exceeds the 'max_hosts' configuration")
    end
    hosts[hostname] = { column = column, last_update = timestamp }
    set_headers(hostname, column)
    return column
end

--- Makes the graphs that a header asks for; raises if it is no header.
local function build(header, name)
    local columns = {}
    for i = 1, header.columns do
        local info = header.column_info[i]
        local graph = circular_buffer.new(rows, max_hosts, header.seconds_per_row)
        for column = 1, max_hosts do
            graph:set_header(column, "Column_" .. column, info.unit, info.aggregation)
        end
        columns[i] = {
            graph = graph, title = name .. " (" .. info.name .. ")", unit = info.unit, aggregation = info.aggregation,
        }
    end
    return columns
end

local function find_graphs(name, header_text)
    local columns = graphs[name]
    if columns then return columns end

    local ok, header = pcall(decode, header_text)
    if not ok then return nil end
    ok, columns = pcall(build, header, name)
    if not ok then return nil end

    graphs[name] = columns
    for hostname, host in pairs(hosts) do
        for i = 1, #columns do
            columns[i].graph:set_header(host.column, hostname, columns[i].unit, columns[i].aggregation)
        end
    end
    return columns
end

function process_message()
    local delta = grammar:match(read_message("Payload"))
    local timestamp = read_message("Timestamp")
    if not delta or type(timestamp) ~= "number" then return -1 end

    local name = read_message("Fields[payload_name]")
    local columns = find_graphs(name == nil and "" or tostring(name), delta.header)
    if not columns then return -1 end

    local host_column = find_column(read_message("Hostname"), timestamp)
    for i = 1, #delta do
        local row = delta[i]
        for column = 1, #columns do
            local value = row[column]
            if value and value == value then -- nan: not changed
                local target = columns[column]
                if target.aggregation == "sum" then
                    target.graph:add(row.time, host_column, value)
                elseif target.aggregation ~= "none" then
                    target.graph:set(row.time, host_column, value)
                end
            end
        end
    end
    return 0
end

function timer_event()
    for _, columns in pairs(graphs) do
        for i = 1, #columns do
            inject_payload("cbuf", columns[i].title, CHART_OPTIONS, columns[i].graph)
        end
    end
end
