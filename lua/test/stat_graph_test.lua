-- stat_graph: statistics of an accumulator.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal, raises = harness.test, harness.equal, harness.raises

local SCRIPT = "lua_filters/stat_graph.lua"

local function load(config, options)
    config.stats, config.stat_labels = config.stats or "a.b c.d", config.stat_labels or "ab cd"
    return harness.load(SCRIPT, config, options)
end

local COLUMNS = { { "ab" }, { "cd" } }

test("each statistic has its column, by the time in the field", function()
    local filter = load { rows = 2 }
    equal(filter:process { Timestamp = 900e9, Fields = { timestamp = 1, ["a.b"] = 4, other = 5 } }, 0)
    equal(filters.tick(filter, 0), { { "cbuf", "Stats", filters.cbuf(0, 1, COLUMNS, { "nan nan", "4 nan" }) } })
end)

test("values of a row are added", function()
    local filter = load { rows = 2, sec_per_row = 10 }
    filter:process { Fields = { timestamp = 10, ["a.b"] = 4, ["c.d"] = 0.5 } }
    filter:process { Fields = { timestamp = { value = 19, value_type = 2 }, ["a.b"] = 3, ["c.d"] = "x" } }
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 10, COLUMNS, { "nan nan", "7 0.5" }))
end)

test("title, unit and aggregation are configurable", function()
    local filter = load { rows = 2, title = "Hits", stats = "x", stat_labels = "y", stat_unit = "ms",
        stat_aggregation = "none" }
    equal(filters.tick(filter, 0), {
        { "cbuf", "Hits", filters.cbuf(0, 1, { { "y", "ms", "none" } }, { "nan", "nan" }) },
    })
end)

test("a message without timestamp fails", function()
    local filter = load {}
    equal(filter:process { Fields = { ["a.b"] = 4 } }, -1)
    equal(filter:process { Fields = { timestamp = "1", ["a.b"] = 4 } }, -1)
end)

test("anomalies are annotated and alerted", function()
    filters.check_ticks(load, "Stats", 2, function(filter, ns)
        equal(filter:process { Fields = { timestamp = ns / 1e9, ["c.d"] = 4 } }, 0)
    end)
end)

test("wrong configurations are refused", function()
    raises(": stats configuration must be specified", harness.load, SCRIPT, {})
    raises(": stat_labels configuration must be specified", harness.load, SCRIPT, { stats = "a" })
    raises(": stats and stat_labels must have the same number of entries", load, { stats = "a" })
end)

test("the graph survives a restart", function()
    local filter = load { rows = 2 }
    filter:process { Fields = { timestamp = 1, ["a.b"] = 4 } }
    local restarted = load({ rows = 2 }, { preserved = filter:preserved() })
    equal(filters.tick(restarted, 0)[1][3], filters.cbuf(0, 1, COLUMNS, { "nan nan", "4 nan" }))
    equal(load({ preservation_version = 2 }).env._PRESERVATION_VERSION, 2)
    equal(restarted.env._PRESERVATION_VERSION, 0)
end)

harness.finish()
