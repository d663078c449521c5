-- Watches the plugins of the daemon itself and alerts when their failures grow in an unusual way.
--
-- Configuration ([NAME.config]):
--   anomaly_config  string, 'mww_nonparametric("DEFAULT", 1, 5, 10, 0.7)'
--                   anomaly detection, in the syntax of the anomaly module. The title is the name of a plugin; DEFAULT
--                   stands for all plugins without an entry of their own.
--
--   [HekaProcessMessageFailures]
--   type = "SandboxFilter"
--   filename = "lua_filters/heka_process_message_failures.lua"
--   message_matcher = "Type == 'heka.all-report'"
--   ticker_interval = 60
--
-- Each plugin's count is kept for an hour, minute by minute. The daemon's counts start from zero when it restarts,
-- hence preserve_data is better left off.
--
-- Messages: at a tick at which anomalies were found, one heka.sandbox-output of payload_type "alert" with a line for
-- each of them; at most one line per plugin and hour.

require "circular_buffer"
local cjson = require "cjson"
local alert = require "alert"
local anomaly = require "anomaly"

local read_message, type, ipairs, pairs, pcall = read_message, type, ipairs, pairs, pcall
local circular_buffer, decode = circular_buffer, cjson.decode

local SECTIONS = { "inputs", "decoders", "filters", "encoders", "outputs" }
local ROWS, SEC_PER_ROW = 60, 60
local NS_PER_HOUR = 60 * 60 * 1e9

local anomaly_config = anomaly.parse_config(
    read_config("anomaly_config") or 'mww_nonparametric("DEFAULT", 1, 5, 10, 0.7)')

-- Titles with settings of their own; all other plugins get a copy of DEFAULT's as long as they are watched.
local has_settings = {}
for title in pairs(anomaly_config) do has_settings[title] = true end

-- Plugin name -> { graph = circular buffer, reported_at = ns, alerted_at = ns }
local watched = {}
local newest_report = 0

local function copy(value)
    if type(value) ~= "table" then return value end
    local twin = {}
    for k, v in pairs(value) do twin[k] = copy(v) end
    return twin
end

local function watch(name)
    local graph = circular_buffer.new(ROWS, 1, SEC_PER_ROW)
    graph:set_header(1, "Failures", "count", "max")
    watched[name] = { graph = graph, reported_at = 0, alerted_at = 0 }
    -- A copy, because detect() keeps there when it last ran: plugins that shared it would take turns.
    if not has_settings[name] then anomaly_config[name] = copy(anomaly_config.DEFAULT) end
    return watched[name]
end

local function unwatch(name)
    watched[name] = nil
    if not has_settings[name] then anomaly_config[name] = nil end
end

--- Takes in what a report says of one plugin; returns what is wrong with it, if anything.
local function take_entry(section, entry, timestamp)
    if type(entry) ~= "table" then return "invalid entry in section " .. section end
    local failures = entry.ProcessMessageFailures
    if type(failures) ~= "table" then return end -- this kind of plugin does not count them
    if type(entry.Name) ~= "string" then return "missing plugin Name" end

    local plugin = watched[entry.Name] or watch(entry.Name)
    plugin.reported_at = timestamp
    -- No failures leave the cell empty: the step from nothing to something is the anomaly sought.
    local count = failures.value
    if type(count) == "number" and count > 0 then plugin.graph:set(timestamp, 1, count) end
end

function process_message()
    local ok, report = pcall(decode, read_message("Payload"))
    local timestamp = read_message("Timestamp")
    if not ok or type(report) ~= "table" or type(timestamp) ~= "number" then return -1 end

    for _, section in ipairs(SECTIONS) do
        local entries = report[section]
        if type(entries) == "table" then
            for _, entry in ipairs(entries) do
                local problem = take_entry(section, entry, timestamp)
                if problem then return -1, problem end
            end
        end
    end
    newest_report = timestamp
    return 0
end

function timer_event(ns)
    for name, plugin in pairs(watched) do
        if plugin.reported_at < newest_report then
            unwatch(name) -- it has ended, as a decoder does with its connection
        elseif ns - plugin.alerted_at > NS_PER_HOUR then
            local text = anomaly.detect(ns, name, plugin.graph, anomaly_config)
            if text then
                alert.queue(0, text)
                plugin.alerted_at = ns
            end
        end
    end
    alert.send_queue(0)
end
