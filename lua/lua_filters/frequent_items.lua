-- Finds the most frequent values of a message variable in bounded memory.
--
-- A fixed number of candidates is counted. While there is room a new value takes a place; when there is none it costs
-- every candidate one count, and candidates without a count leave. A value that is in more than 1/max_items of the
-- messages is therefore always among the candidates, with a weight that is at most its true count.
--
-- Configuration ([NAME.config]):
--   message_variable   string, required   the variable to count, such as "Fields[remote_addr]" or "Hostname".
--   max_items          uint, 1000         number of candidates kept.
--   min_output_weight  uint, 100          only values with a greater weight are put out.
--   reset_days         uint, 1            number of days, by the messages' timestamps in UTC, after which counting
--                                         starts anew.
--
--   [FrequentAddresses]
--   type = "SandboxFilter"
--   filename = "lua_filters/frequent_items.lua"
--   message_matcher = "Type == 'nginx.access'"
--   ticker_interval = 60
--   preserve_data = true
--
--       [FrequentAddresses.config]
--       message_variable = "Fields[remote_addr]"
--       max_items = 10000
--       min_output_weight = 100
--       reset_days = 1
--
-- Messages: at each tick a heka.sandbox-output, payload_type "tsv", payload_name "Weighting by <message_variable>".

local floor = require("math").floor

local read_message, type, pairs = read_message, type, pairs
local add_to_payload, inject_payload = add_to_payload, inject_payload

local message_variable = read_config("message_variable")
    or error("message_variable configuration must be specified")
local max_items = read_config("max_items") or 1000
local min_output_weight = read_config("min_output_weight") or 100
local reset_days = read_config("reset_days") or 1

local TITLE = "Weighting by " .. message_variable
local NS_PER_DAY = 24 * 60 * 60 * 1e9

-- Global, as preserved data is; read by their global names, because restoring replaces tables.
items = {}
item_count = 0
active_day = 0

local function decrement_all()
    local kept = 0
    for item, count in pairs(items) do
        if count > 1 then
            items[item] = count - 1
            kept = kept + 1
        else
            items[item] = nil
        end
    end
    item_count = kept
end

function process_message()
    local timestamp, item = read_message("Timestamp"), read_message(message_variable)
    -- A NaN cannot be counted: it differs from itself.
    if type(timestamp) ~= "number" or item == nil or item ~= item then return -1 end

    local day = floor(timestamp / NS_PER_DAY)
    if day < active_day then return 0 end
    if day - active_day >= reset_days then
        active_day, items, item_count = day, {}, 0
    end

    local count = items[item]
    if count then
        items[item] = count + 1
    elseif item_count < max_items then
        items[item] = 1
        item_count = item_count + 1
    else
        decrement_all()
    end
    return 0
end

function timer_event()
    add_to_payload(message_variable, "\tWeight\n")
    for item, count in pairs(items) do
        if count > min_output_weight then
            add_to_payload(item, "\t", count, "\n")
        end
    end
    inject_payload("tsv", TITLE)
end
