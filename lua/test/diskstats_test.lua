-- diskstats: operations since the message before, and time counters.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/diskstats.lua"
local NOW = 1500000000

local function columns(unit)
    local counts = {}
    for i, name in ipairs { "WritesCompleted", "ReadsCompleted", "SectorsWritten", "SectorsRead", "WritesMerged",
        "ReadsMerged" } do
        counts[i] = { name, unit, "none" }
    end
    return counts, {
        { "TimeWriting", "ms", "max" }, { "TimeReading", "ms", "max" }, { "TimeDoingIO", "ms", "max" },
        { "WeightedTimeDoi", "ms", "max" },
    }
end

local function load(config, options)
    return harness.load(SCRIPT, config, options)
end

local function read_disk(filter, ns, count, time, interval)
    return filter:process { Timestamp = ns, Fields = {
        WritesCompleted = count, ReadsCompleted = 2 * count, SectorsWritten = 3 * count, SectorsRead = 4 * count,
        WritesMerged = 5 * count, ReadsMerged = 6 * count, NumIOInProgress = 1,
        TimeWriting = time, TimeReading = time, TimeDoingIO = time, WeightedTimeDoingIO = time,
        TickerInterval = interval or 10,
    } }
end

local function graphs(interval, counts, times)
    local count_columns, time_columns = columns(("per_" .. interval .. "_s"):sub(1, 7))
    return {
        { "cbuf", "Disk Stats", filters.cbuf(0, interval, count_columns, counts) },
        { "cbuf", "Time doing IO", filters.cbuf(0, interval, time_columns, times) },
    }
end

local NO_COUNTS, NO_TIMES = "nan nan nan nan nan nan", "nan nan nan nan"

test("counters are shown as differences, times as they are", function()
    local filter = load { rows = 2 }
    equal(read_disk(filter, 10e9, 7, 7), 0)
    equal(filters.tick(filter, 0), graphs(10, { NO_COUNTS, NO_COUNTS }, { NO_TIMES, "7 7 7 7" }))
    equal(read_disk(filter, 10e9, 7, 7), 0)
    equal(filters.tick(filter, 0), graphs(10, { NO_COUNTS, "0 0 0 0 0 0" }, { NO_TIMES, "7 7 7 7" }))
    equal(read_disk(filter, 10e9, 9, 8), 0)
    equal(filters.tick(filter, 0), graphs(10, { NO_COUNTS, "2 4 6 8 10 12" }, { NO_TIMES, "8 8 8 8" }))
end)

test("before the first message there is nothing to show", function()
    equal(filters.tick(load {}, 0), {})
end)

test("another interval starts the graphs anew", function()
    local filter = load { rows = 2 }
    read_disk(filter, 10e9, 1, 1)
    read_disk(filter, 5e9, 3, 2, 5)
    equal(filters.tick(filter, 0), graphs(5, { NO_COUNTS, "2 4 6 8 10 12" }, { NO_TIMES, "2 2 2 2" }))
end)

test("the interval is a whole number of seconds", function()
    local filter = load { rows = 2 }
    equal(read_disk(filter, 1e9, 1, 1, 1), 0)
    equal(filters.tick(filter, 0), graphs(1, { NO_COUNTS, NO_COUNTS }, { NO_TIMES, "1 1 1 1" }))
    equal(read_disk(filter, 2e9, 2, 2, 2.9), 0)
    equal(filters.tick(filter, 0), graphs(2, { NO_COUNTS, "1 2 3 4 5 6" }, { NO_TIMES, "2 2 2 2" }))
    equal(read_disk(filter, 0, 2, 2, 2147483648), -1)
end)

test("a message without one of the values fails and changes nothing", function()
    local filter = load { rows = 2 }
    read_disk(filter, 10e9, 1, 1)
    equal(read_disk(filter, 10e9, 2, "x"), -1)
    equal(read_disk(filter, 10e9, 2, nil), -1)
    equal(read_disk(filter, 10e9, 2, 2, "10"), -1)
    equal(read_disk(filter, 10e9, 2, 2, 0), -1)
    equal(read_disk(filter, 10e9, 2, 2, -1), -1)
    equal(filter:process { Timestamp = 10e9, Fields = { WritesCompleted = 1 } }, -1)
    equal(filters.tick(filter, 0), graphs(10, { NO_COUNTS, NO_COUNTS }, { NO_TIMES, "1 1 1 1" }))
end)

test("anomalies of both graphs make one alert", function()
    local filter = load { rows = 10, anomaly_config =
        'roc("Disk Stats", 1, 2, 0, 9, false, true) roc("Time doing IO", 4, 2, 0, 9, false, true)' }
    read_disk(filter, (NOW - 10) * 1e9, 1, 1)
    read_disk(filter, (NOW - 10) * 1e9, 2, 1)
    local out = filters.tick(filter, NOW * 1e9)
    equal(#out, 3)
    equal({ out[1][1], out[1][2], out[1][3]:sub(1, 17) }, { "cbuf", "Disk Stats", '{"annotations":[{' })
    equal({ out[2][1], out[2][2], out[2][3]:sub(1, 17) }, { "cbuf", "Time doing IO", '{"annotations":[{' })
    equal(out[3], { "alert", "", "Disk Stats - algorithm: roc col: 1 msg: unexpected data\n" ..
        "Time doing IO - algorithm: roc col: 4 msg: unexpected data" })

    -- Annotations leave the graph with their row.
    out = filters.tick(filter, (NOW + 99) * 1e9)
    equal(#out, 2)
    equal({ out[1][3]:sub(1, 17), out[2][3]:sub(1, 17) }, { '{"annotations":[{', '{"annotations":[{' })
    out = filters.tick(filter, (NOW + 100) * 1e9)
    equal({ filters.annotations(out, 1), filters.annotations(out, 2) },
        { '{"annotations":{}}', '{"annotations":{}}' })
end)

test("a watched disk without anomalies has empty annotations", function()
    local filter = load { rows = 2, anomaly_config = 'roc("Other", 1, 2, 0, 9, false, true)' }
    read_disk(filter, 10e9, 1, 1)
    local plain = graphs(10, { NO_COUNTS, NO_COUNTS }, { NO_TIMES, "1 1 1 1" })
    equal(filters.tick(filter, 10e9), {
        { "cbuf", "Disk Stats", '{"annotations":{}}\n' .. plain[1][3] },
        { "cbuf", "Time doing IO", '{"annotations":{}}\n' .. plain[2][3] },
    })
end)

test("the graphs survive a restart, unless rows changed", function()
    local filter = load { rows = 2 }
    read_disk(filter, 0, 1, 1)
    local restarted = load({ rows = 2 }, { preserved = filter:preserved() })
    read_disk(restarted, 10e9, 3, 2)
    equal(filters.tick(restarted, 0), graphs(10, { NO_COUNTS, "2 4 6 8 10 12" }, { "1 1 1 1", "2 2 2 2" }))
    restarted = load({ rows = 3 }, { preserved = restarted:preserved() })
    read_disk(restarted, 20e9, 4, 3)
    equal(filters.tick(restarted, 0), graphs(10, { NO_COUNTS, NO_COUNTS, "1 2 3 4 5 6" },
        { NO_TIMES, NO_TIMES, "3 3 3 3" }))
end)

harness.finish()
