-- Turns the ever growing counters of /proc/stat into differences and CPU percentages.
--
-- Reads the messages of the linux_procstat decoder. The first message is only remembered; each further one is compared
-- with the one before it.
--
-- Configuration ([NAME.config]):
--   whitelist        string, none   Lua pattern; only fields whose name it matches are reported.
--   extras           bool, false    report also the differences, and percentages by state.
--   percent_integer  bool, true     round percentages to whole numbers, 0 to 100; otherwise they are fractions, 0 to 1.
--
--   [ProcStatFilter]
--   type = "SandboxFilter"
--   filename = "lua_filters/procstat.lua"
--   message_matcher = "Type == 'stats.procstat'"
--
--       [ProcStatFilter.config]
--       whitelist = "cpu$"
--       extras = false
--       percent_integer = true
--
-- Messages: per message one of Type heka.sandbox.procstat with the Payload of the original and the fields (all double)
-- - <cpu>_percent: share of the time in which the processor was not idle;
-- with extras, where <state> is user, nice, system, idle, iowait, irq, softirq, steal, guest or guestnice:
-- - <cpu>_delta_<state>, <cpu>_delta_ticks (sum of all states);
-- - <cpu>_percent_user, _nice, _system, _idle, _iowait;
-- - softirq_delta_<i>, <name>_delta for plain counters such as ctxt and processes.

local string = require "string"
local ceil = require("math").ceil

local find, sub = string.find, string.sub
local read_message, read_next_field, inject_message = read_message, read_next_field, inject_message
local type, pairs = type, pairs

local STATES = { "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guestnice" }
local IDLE, LAST_PERCENT = 4, 5

local whitelist = read_config("whitelist")
local extras = read_config("extras")
local percent_integer = read_config("percent_integer") ~= false

local previous, current = nil, {}
local fields = {}
local field_count

local function put(name, value)
    field_count = field_count + 1
    local field = fields[field_count]
    if field then
        field.name, field.value = name, value
    else
        fields[field_count] = { name = name, value = value }
    end
end

local function percent(share)
    -- The zero turns a negative zero into a plain one.
    if percent_integer then return ceil(share * 100 - 0.5) + 0 end
    return share
end

local function put_cpu(name, now, before)
    local ticks, count = 0, #now
    for i = 1, count do
        local delta = now[i] - before[i]
        ticks = ticks + delta
        if extras and STATES[i] then put(name .. "_delta_" .. STATES[i], delta) end
    end
    if extras then put(name .. "_delta_ticks", ticks) end
    if ticks <= 0 or count < IDLE then return end

    if extras then
        for i = 1, count < LAST_PERCENT and count or LAST_PERCENT do
            put(name .. "_percent_" .. STATES[i], percent((now[i] - before[i]) / ticks))
        end
    end
    put(name .. "_percent", percent(1 - (now[IDLE] - before[IDLE]) / ticks))
end

local function put_field(name, now, before)
    if type(now) ~= type(before) then return end
    if type(now) == "number" then
        if extras then put(name .. "_delta", now - before) end
    elseif #now ~= #before then
        return
    elseif sub(name, 1, 3) == "cpu" then
        put_cpu(name, now, before)
    elseif extras and name == "softirq" then
        for i = 1, #now do put(name .. "_delta_" .. i, now[i] - before[i]) end
    end
end

--- Reads all values of a field, or nil if one of them is no number.
local function read_array(name, first, count)
    local variable, values = "Fields[" .. name .. "]", { first }
    for i = 1, count - 1 do
        local value = read_message(variable, 0, i)
        if type(value) ~= "number" then return nil end
        values[i + 1] = value
    end
    return values
end

function process_message()
    field_count = 0
    local kind, name, value, _, count = read_next_field()
    while kind do
        if type(value) == "number" and (not whitelist or find(name, whitelist)) then
            if count > 1 then value = read_array(name, value, count) end
            current[name] = value
            if previous and value then put_field(name, value, previous[name]) end
        end
        kind, name, value, _, count = read_next_field()
    end

    local first = not previous
    previous, current = current, previous or {}
    for old in pairs(current) do current[old] = nil end
    if first then return 0 end

    for i = #fields, field_count + 1, -1 do fields[i] = nil end
    inject_message({ Type = "procstat", Payload = read_message("Payload"), Fields = fields })
    return 0
end
