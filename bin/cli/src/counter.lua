-- Counts the messages that it gets, and puts the count out at each tick.

require "string"

count = 0

function process_message()
    count = count + 1
    return 0
end

function timer_event(ns)
    inject_payload("txt", "count", string.format("%d messages", count))
end
