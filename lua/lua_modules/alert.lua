-- Sends alerts, and no more than one in a given time.
--
-- Configuration: none. Use, in a filter:
--   local alert = require "alert"
--   alert.set_throttle(300e9)
--   alert.send(ns, "the disk is full")          -- P(alert, "") unless the last alert was less than 300 s ago
--   alert.queue(ns, "text"); alert.send_queue(ns)        -- several texts in one message
--
-- State: the global _LAST_ALERT, the time of the last alert in ns; preserve_data keeps it. A time of 0 is never
-- throttled. Text that waits in the payload buffer is sent with the alert.

local math = require "math"
local table = require "table"

local _G = _G
local inject_payload = inject_payload
local concat, max = table.concat, math.max

_LAST_ALERT = 0

local M = {}

local throttle = 3600e9
local queued, queued_count = {}, 0

--- Sets the time in ns that must have passed between two alerts; an hour unless set.
function M.set_throttle(ns)
    throttle = ns
end

--- Says whether an alert at this time would be held back.
function M.throttled(ns)
    if ns == 0 then return false end
    local last = _G._LAST_ALERT
    return ns < last or ns - last <= throttle
end

local throttled = M.throttled

--- Sends the text, unless it is nil or empty or held back; says whether it was sent.
function M.send(ns, text)
    if not text or text == "" or throttled(ns) then return false end
    inject_payload("alert", "", text)
    _G._LAST_ALERT = max(ns, _G._LAST_ALERT)
    return true
end

--- Keeps the text for send_queue, unless it is nil or empty or would be held back; says whether it was kept.
function M.queue(ns, text)
    if not text or text == "" or throttled(ns) then return false end
    queued_count = queued_count + 1
    queued[queued_count] = text
    return true
end

--- Sends what was queued as one text and empties the queue, even when it is held back; says whether it was sent.
function M.send_queue(ns)
    if queued_count == 0 then return false end
    local text = concat(queued, "\n")
    queued, queued_count = {}, 0
    return M.send(ns, text)
end

return M
