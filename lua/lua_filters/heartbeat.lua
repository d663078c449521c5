-- Watches the hosts that send heartbeats and alerts when one falls silent.
--
-- Any message that the message_matcher lets through counts as a heartbeat of its Hostname at its Timestamp.
--
-- Configuration ([NAME.config]):
--   heartbeat_timeout  uint, 30    seconds of silence after which a host counts as down.
--   alert_throttle     uint, 300   least number of seconds between two alerts about the same host.
--
--   [heartbeat]
--   type = "SandboxFilter"
--   filename = "lua_filters/heartbeat.lua"
--   message_matcher = "Type == 'heartbeat'"
--   ticker_interval = 30
--   preserve_data = true
--
--       [heartbeat.config]
--       heartbeat_timeout = 30
--       alert_throttle = 300
--
-- Messages: at each tick a heka.sandbox-output, payload_type "json", payload_name "heartbeat", with the state of all
-- hosts; before it, if hosts are down, one of payload_type "alert" with a line for each of them.

local cjson = require "cjson"
local alert = require "alert"
local floor = require("math").floor
local format = require("string").format

local read_message, type, pairs = read_message, type, pairs
local add_to_payload, inject_payload = add_to_payload, inject_payload

local timeout_ms = (read_config("heartbeat_timeout") or 30) * 1000
local throttle_ms = (read_config("alert_throttle") or 300) * 1000

-- Hostname -> { last_heartbeat = ms, status = "up" or "down", last_alert = ms }
hosts = {}

function process_message()
    local timestamp, name = read_message("Timestamp"), read_message("Hostname")
    if type(timestamp) ~= "number" then return -1 end

    local host = hosts[name]
    if not host then
        host = { status = "up", last_alert = 0 }
        hosts[name] = host
    end
    host.last_heartbeat = floor(timestamp / 1e6)
    return 0
end

function timer_event(ns)
    local now = floor(ns / 1e6)

    -- Alerts first: they must not take along the text of the report, which is made in the same buffer.
    for name, host in pairs(hosts) do
        if now - host.last_heartbeat > timeout_ms then
            host.status = "down"
            if now - host.last_alert > throttle_ms then
                -- Throttled here for each host, so not once more by the module: time 0.
                alert.queue(0, "Missing Heartbeat - " .. name .. "\n")
                host.last_alert = now
            end
        else
            host.status = "up"
        end
    end
    alert.send_queue(0)

    local separator = "{"
    for name, host in pairs(hosts) do
        add_to_payload(separator, cjson.encode(name), format(
            ':{"last_heartbeat":%.14g,"status":"%s","last_alert":%.14g}', host.last_heartbeat, host.status,
            host.last_alert))
        separator = ","
    end
    if separator == "{" then add_to_payload(separator) end
    inject_payload("json", "heartbeat", "}")
end
