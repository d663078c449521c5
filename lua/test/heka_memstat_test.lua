-- heka_memstat: memory statistics of the daemon.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/heka_memstat.lua"
local COLUMNS = {
    { "HeapSys", "B", "max" }, { "HeapAlloc", "B", "max" }, { "HeapIdle", "B", "max" }, { "HeapInuse", "B", "max" },
    { "HeapReleased", "B", "max" }, { "HeapObjects", "count", "max" },
}
local EMPTY = "nan nan nan nan nan nan"

local function load(config, options)
    return harness.load(SCRIPT, config, options)
end

local function fields(heap_sys)
    return {
        HeapSys = heap_sys, HeapAlloc = 2, HeapIdle = 3, HeapInuse = 4, HeapReleased = 5,
        HeapObjects = { value = 6, value_type = 2 },
    }
end

test("each statistic has its column", function()
    local filter = load { rows = 2 }
    equal(filter:process { Timestamp = 60e9, Fields = fields(4000000000) }, 0)
    equal(filters.tick(filter, 0), {
        { "cbuf", "Stats", filters.cbuf(0, 60, COLUMNS, { EMPTY, "4000000000 2 3 4 5 6" }) },
    })
end)

test("the greatest value of a row is kept", function()
    local filter = load { rows = 2, sec_per_row = 10 }
    for _, heap_sys in ipairs { 5, 9, 7 } do
        filter:process { Timestamp = 10e9, Fields = fields(heap_sys) }
    end
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 10, COLUMNS, { EMPTY, "9 2 3 4 5 6" }))
end)

test("a statistic that is no number is left out", function()
    local filter = load { rows = 2 }
    equal(filter:process { Timestamp = 60e9, Fields = { HeapSys = "x", HeapIdle = 3 } }, 0)
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "nan nan 3 nan nan nan" }))
end)

test("anomalies are annotated and alerted", function()
    filters.check_ticks(load, "Stats", 2, function(filter, ns)
        equal(filter:process { Timestamp = ns, Fields = fields(1) }, 0)
    end)
end)

test("the graph survives a restart", function()
    local filter = load { rows = 2 }
    filter:process { Timestamp = 60e9, Fields = fields(1) }
    local restarted = load({ rows = 2 }, { preserved = filter:preserved() })
    equal(filters.tick(restarted, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "1 2 3 4 5 6" }))
    equal(load({ preservation_version = 2 }).env._PRESERVATION_VERSION, 2)
    equal(restarted.env._PRESERVATION_VERSION, 0)
end)

harness.finish()
