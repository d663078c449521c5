-- memstats: memory and swap space.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/memstats.lua"
local COLUMNS = {
    { "MemFree", "Count", "max" }, { "Cached", "Count", "max" }, { "Active", "Count", "max" },
    { "Inactive", "Count", "max" }, { "VmallocUsed", "Count", "max" }, { "Shmem", "Count", "max" },
    { "SwapCached", "Count", "max" }, { "SwapFree", "Count", "max" }, { "SwapUsed", "Count", "max" },
}
local EMPTY = "nan nan nan nan nan nan nan nan nan"

local function load(config, options)
    return harness.load(SCRIPT, config, options)
end

local function fields()
    return {
        MemFree = 1, Cached = 2, Active = 3, Inactive = 4, VmallocUsed = 5, Shmem = 6, SwapCached = 7, SwapFree = 8,
        SwapTotal = 20,
    }
end

test("each value has its column, and used swap space is computed", function()
    local filter = load { rows = 2 }
    equal(filter:process { Timestamp = 60e9, Fields = fields() }, 0)
    equal(filters.tick(filter, 0), {
        { "cbuf", "Memory Stats", filters.cbuf(0, 60, COLUMNS, { EMPTY, "1 2 3 4 5 6 7 8 12" }) },
    })
end)

test("a missing value fails, after the columns before it", function()
    local filter = load { rows = 2 }
    local some = fields()
    some.SwapTotal = nil
    equal(filter:process { Timestamp = 60e9, Fields = some }, -1)
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "1 2 3 4 5 6 7 8 nan" }))

    filter = load { rows = 2 }
    some.Cached = nil
    equal(filter:process { Timestamp = 60e9, Fields = some }, -1)
    equal(filters.tick(filter, 0)[1][3],
        filters.cbuf(0, 60, COLUMNS, { EMPTY, "1 nan nan nan nan nan nan nan nan" }))
end)

test("anomalies are annotated and alerted", function()
    filters.check_ticks(load, "Memory Stats", 9, function(filter, ns)
        equal(filter:process { Timestamp = ns, Fields = fields() }, 0)
    end)
end)

test("the graph survives a restart", function()
    local filter = load { rows = 2 }
    filter:process { Timestamp = 60e9, Fields = fields() }
    local restarted = load({ rows = 2 }, { preserved = filter:preserved() })
    equal(filters.tick(restarted, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { EMPTY, "1 2 3 4 5 6 7 8 12" }))
    equal(load({ preservation_version = 2 }).env._PRESERVATION_VERSION, 2)
    equal(restarted.env._PRESERVATION_VERSION, 0)
end)

harness.finish()
