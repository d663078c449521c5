-- Statistics in the text form of Graphite's carbon: "name value seconds" lines.
--
-- Configuration: none. Use, in a filter's timer_event:
--   local graphite = require "graphite"
--   add_to_payload(graphite.count_rate("requests", 10, 5, graphite.ns_to_sec(ns)))
--   add_to_payload(graphite.timeseries_metrics("latency", { 3, 1, 2 }, 5, 90, graphite.ns_to_sec(ns)))
--   inject_payload("txt", "statmetric")

local math = require "math"
local string = require "string"
local table = require "table"

local floor, format, gsub = math.floor, string.format, string.gsub
local concat, sort = table.concat, table.sort
local pairs, tostring = pairs, tostring

local M = {}

--- Whole seconds of a time in ns.
function M.ns_to_sec(ns)
    return floor(ns / 1e9)
end

--- Count and rate of a counter: two lines. `interval` and `sec` are seconds.
function M.count_rate(bucket, count, interval, sec)
    return format("stats.counters.%s.count %d %d\nstats.counters.%s.rate %f %d\n", bucket, count, sec, bucket,
        count / interval, sec)
end

-- The texts of all entries of a table, in the order of their names.
local function all(map, fn)
    local names, out = {}, {}
    for name in pairs(map) do names[#names + 1] = name end
    sort(names)
    for i = 1, #names do out[i] = fn(names[i], map[names[i]]) end
    return concat(out)
end

--- count_rate of every entry of {bucket = count}.
function M.multi_counts_rates(counts, interval, sec)
    return all(counts, function(bucket, count) return M.count_rate(bucket, count, interval, sec) end)
end

--- The lines of a timer from the durations in the array `times`, which gets sorted. `percent` limits what mean_PERCENT
--- and upper_PERCENT look at. Without any duration all lines are 0.
function M.timeseries_metrics(bucket, times, interval, percent, sec)
    sort(times)
    local count = #times
    local within = count - floor((100 - percent) / 100 * count + 0.5)
    if within < 1 then within = 1 end
    local sum, sum_within = 0, 0
    for i = 1, count do
        sum = sum + times[i]
        if i == within then sum_within = sum end
    end
    local divisor = count > 0 and count or 1
    local suffix = gsub(tostring(percent), "%.", "_")
    local prefix = "stats.timers." .. bucket .. "."
    local function line(name, value) return format("%s%s %f %d\n", prefix, name, value, sec) end
    return concat {
        format("%scount %d %d\n", prefix, count, sec),
        line("count_ps", count / interval),
        line("lower", times[1] or 0),
        line("upper", times[count] or 0),
        line("sum", sum),
        line("mean", sum / divisor),
        line("mean_" .. suffix, sum_within / within),
        line("upper_" .. suffix, times[within] or 0),
    }
end

--- timeseries_metrics of every entry of {bucket = times}.
function M.multi_timeseries_metrics(timers, interval, percent, sec)
    return all(timers, function(bucket, times)
        return M.timeseries_metrics(bucket, times, interval, percent, sec)
    end)
end

return M
