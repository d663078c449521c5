-- Graphs slow queries: per row their number, and the averages of their times and row counts.
--
-- Reads the fields that the mysql_slow_query and mariadb_slow_query decoders make.
--
-- Configuration ([NAME.config]):
--   sec_per_row           uint, 60       seconds that one row of the graph covers.
--   rows                  uint, 1440     rows that the graph keeps.
--   anomaly_config        string, none   anomaly detection, in the syntax of the anomaly module; the title is
--                                        "Statistics".
--   preservation_version  uint, 0        raise it whenever rows or sec_per_row change and preserve_data is on.
--
--   [SlowQueries]
--   type = "SandboxFilter"
--   filename = "lua_filters/mysql_slow_query.lua"
--   message_matcher = "Type == 'mysql.slow-query'"
--   ticker_interval = 60
--   preserve_data = true
--
--       [SlowQueries.config]
--       anomaly_config = 'mww_nonparametric("Statistics", 5, 15, 10, 0.8)'
--
-- Messages: at each tick a heka.sandbox-output with the graph, payload_type "cbuf", payload_name "Statistics"; with
-- anomaly_config a line of annotations stands before the graph, and an anomaly makes a message of payload_type "alert".

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"
local floor = require("math").floor

local read_message, inject_payload, type = read_message, inject_payload, type

local TITLE = "Statistics"
local QUERY_TIME, LOCK_TIME, ROWS_EXAMINED, ROWS_SENT, COUNT = 1, 2, 3, 4, 5

local rows = read_config("rows") or 1440
local sec_per_row = read_config("sec_per_row") or 60
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))

_PRESERVATION_VERSION = read_config("preservation_version") or 0

graph = circular_buffer.new(rows, COUNT, sec_per_row)
graph:set_header(QUERY_TIME, "Query_Time", "s", "none")
graph:set_header(LOCK_TIME, "Lock_Time", "s", "none")
graph:set_header(ROWS_EXAMINED, "Rows_Examined", "count", "none")
graph:set_header(ROWS_SENT, "Rows_Sent", "count", "none")
graph:set_header(COUNT, "Count", "count", "sum")

-- The graph shows rounded averages; what they are averages of is kept beside it.
totals = circular_buffer.new(rows, ROWS_SENT, sec_per_row)
annotation.set_prune(TITLE, rows * sec_per_row * 1e9)

function process_message()
    local timestamp = read_message("Timestamp")
    local query_time, lock_time = read_message("Fields[Query_time]"), read_message("Fields[Lock_time]")
    local examined, sent = read_message("Fields[Rows_examined]"), read_message("Fields[Rows_sent]")
    if type(timestamp) ~= "number" or type(query_time) ~= "number" or type(lock_time) ~= "number"
        or type(examined) ~= "number" or type(sent) ~= "number" then
        return -1
    end

    local count = graph:add(timestamp, COUNT, 1)
    if not count then return 0 end -- older than the graph

    graph:set(timestamp, QUERY_TIME, totals:add(timestamp, QUERY_TIME, query_time) / count)
    graph:set(timestamp, LOCK_TIME, totals:add(timestamp, LOCK_TIME, lock_time) / count)
    graph:set(timestamp, ROWS_EXAMINED, floor(totals:add(timestamp, ROWS_EXAMINED, examined) / count))
    graph:set(timestamp, ROWS_SENT, floor(totals:add(timestamp, ROWS_SENT, sent) / count))
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
