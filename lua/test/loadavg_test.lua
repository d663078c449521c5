-- loadavg: load averages.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/loadavg.lua"
local COLUMNS = {
    { "1MinAvg", "Count", "max" }, { "5MinAvg", "Count", "max" }, { "15MinAvg", "Count", "max" },
    { "NumProcesses", "Count", "max" },
}
local EMPTY = "nan nan nan nan"

local function load(config, options)
    return harness.load(SCRIPT, config, options)
end

local function fields(one, five, fifteen, processes)
    return { ["1MinAvg"] = one, ["5MinAvg"] = five, ["15MinAvg"] = fifteen, NumProcesses = processes }
end

test("each average has its column", function()
    local filter = load { rows = 2 }
    equal(filter:process { Timestamp = 60e9, Fields = fields(0.08, 0.04, 0.02, 5) }, 0)
    equal(filters.tick(filter, 0), {
        { "cbuf", "LoadAvg Stats", filters.cbuf(0, 60, COLUMNS, { EMPTY, "0.08 0.04 0.02 5" }) },
    })
    filter:process { Timestamp = 60e9, Fields = fields(0.1, 0.01, 0.01, 9) }
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "0.1 0.04 0.02 9" }))
end)

test("a missing value fails, after the columns before it", function()
    local filter = load { rows = 2 }
    equal(filter:process { Timestamp = 60e9, Fields = fields(1, 2, "3", 4) }, -1)
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "1 2 nan nan" }))
end)

test("anomalies are annotated and alerted", function()
    filters.check_ticks(load, "LoadAvg Stats", 1, function(filter, ns)
        equal(filter:process { Timestamp = ns, Fields = fields(1, 2, 3, 4) }, 0)
    end)
end)

test("the graph survives a restart", function()
    local filter = load { rows = 2 }
    filter:process { Timestamp = 60e9, Fields = fields(1, 2, 3, 4) }
    local restarted = load({ rows = 2 }, { preserved = filter:preserved() })
    equal(filters.tick(restarted, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "1 2 3 4" }))
    equal(load({ preservation_version = 2 }).env._PRESERVATION_VERSION, 2)
    equal(restarted.env._PRESERVATION_VERSION, 0)
end)

harness.finish()
