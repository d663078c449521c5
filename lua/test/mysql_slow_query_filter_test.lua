-- The mysql_slow_query filter: averages per row.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/mysql_slow_query.lua"
local COLUMNS = {
    { "Query_Time", "s", "none" }, { "Lock_Time", "s", "none" }, { "Rows_Examined", "count", "none" },
    { "Rows_Sent", "count", "none" }, { "Count", "count", "sum" },
}
local EMPTY = "nan nan nan nan nan"

local function load(config, options)
    return harness.load(SCRIPT, config, options)
end

local function see(filter, query_time, lock_time, examined, sent, ns)
    return filter:process { Timestamp = ns or 60e9, Fields = {
        Query_time = query_time, Lock_time = lock_time, Rows_examined = examined, Rows_sent = sent,
    } }
end

local function graph(row)
    return filters.cbuf(0, 60, COLUMNS, { EMPTY, row })
end

test("like queries have their own average", function()
    local filter = load { rows = 2 }
    equal(see(filter, 2.5, 0.5, 5, 4), 0)
    equal(see(filter, 2.5, 0.5, 5, 4), 0)
    equal(filters.tick(filter, 0), { { "cbuf", "Statistics", graph "2.5 0.5 5 4 2" } })
end)

test("averages are exact and row counts rounded down", function()
    local filter = load { rows = 2 }
    see(filter, 1, 0, 1, 1)
    see(filter, 2, 0.5, 2, 2)
    equal(filters.tick(filter, 0)[1][3], graph "1.5 0.25 1 1 2")
    see(filter, 3, 0.25, 2, 3)
    equal(filters.tick(filter, 0)[1][3], graph "2 0.25 1 2 3")
end)

test("rows are averaged apart", function()
    local filter = load { rows = 2 }
    see(filter, 1, 1, 1, 1, 0)
    see(filter, 3, 3, 3, 3, 60e9)
    see(filter, 3, 3, 3, 3, 59e9)
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(0, 60, COLUMNS, { "2 2 2 2 2", "3 3 3 3 1" }))
end)

test("a query older than the graph is passed over", function()
    local filter = load { rows = 2 }
    see(filter, 1, 1, 1, 1, 120e9)
    equal(see(filter, 1, 1, 1, 1, 0), 0)
    equal(filters.tick(filter, 0)[1][3], filters.cbuf(60, 60, COLUMNS, { EMPTY, "1 1 1 1 1" }))
end)

test("a query without one of the values fails and does not count", function()
    local filter = load { rows = 2 }
    equal(see(filter, 1, 1, 1, nil), -1)
    equal(see(filter, "1", 1, 1, 1), -1)
    equal(see(filter, 1, nil, 1, 1), -1)
    equal(see(filter, 1, 1, true, 1), -1)
    equal(filters.tick(filter, 0)[1][3], graph(EMPTY))
end)

test("anomalies are annotated and alerted", function()
    filters.check_ticks(load, "Statistics", 5, function(filter, ns) equal(see(filter, 1, 1, 1, 1, ns), 0) end)
end)

test("averages survive a restart", function()
    local filter = load { rows = 2 }
    see(filter, 1, 1, 1, 1)
    local restarted = load({ rows = 2 }, { preserved = filter:preserved() })
    see(restarted, 2, 2, 4, 4)
    equal(filters.tick(restarted, 0)[1][3], graph "1.5 1.5 2 2 2")
    equal(load({ preservation_version = 2 }).env._PRESERVATION_VERSION, 2)
    equal(restarted.env._PRESERVATION_VERSION, 0)
end)

harness.finish()
