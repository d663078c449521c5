-- Graphs HTTP response codes by class.
--
-- Configuration ([NAME.config]):
--   sec_per_row           uint, 60           seconds that one row of the graph covers.
--   rows                  uint, 1440         rows that the graph keeps.
--   status_field          string, "status"   name of the field that holds the status code, a number.
--   anomaly_config        string, none       anomaly detection, in the syntax of the anomaly module.
--   alert_throttle        uint, 3600         least number of seconds between two alerts.
--   preservation_version  uint, 0            raise it whenever rows or sec_per_row change and preserve_data is on.
--
--   [HttpStatus]
--   type = "SandboxFilter"
--   filename = "lua_filters/http_status.lua"
--   message_matcher = "Type == 'nginx.access'"
--   ticker_interval = 60
--   preserve_data = true
--
--       [HttpStatus.config]
--       anomaly_config = 'roc("HTTP Status", 2, 15, 0, 1.5, true, false)'
--
-- Messages: at each tick a heka.sandbox-output with the graph, payload_type "cbuf", payload_name "HTTP Status"; with
-- anomaly_config a line of annotations stands before the graph, and an anomaly makes a message of payload_type "alert".

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"
local floor = require("math").floor

local read_message, inject_payload, type = read_message, inject_payload, type

local TITLE = "HTTP Status"
local UNKNOWN = 6

local rows = read_config("rows") or 1440
local sec_per_row = read_config("sec_per_row") or 60
local status_variable = "Fields[" .. (read_config("status_field") or "status") .. "]"
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))

-- One more than configured: the layout of the columns has a version of its own.
_PRESERVATION_VERSION = (read_config("preservation_version") or 0) + 1

graph = circular_buffer.new(rows, UNKNOWN, sec_per_row)
for class = 1, UNKNOWN - 1 do
    graph:set_header(class, "HTTP_" .. class .. "00")
end
graph:set_header(UNKNOWN, "HTTP_UNKNOWN")

alert.set_throttle((read_config("alert_throttle") or 3600) * 1e9)
annotation.set_prune(TITLE, rows * sec_per_row * 1e9)

function process_message()
    local timestamp, status = read_message("Timestamp"), read_message(status_variable)
    if type(timestamp) ~= "number" or type(status) ~= "number" then return -1 end

    local class = status / 100
    if class >= 1 and class < UNKNOWN then
        graph:add(timestamp, floor(class), 1)
    else
        graph:add(timestamp, UNKNOWN, 1)
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
