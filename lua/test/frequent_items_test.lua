-- frequent_items: candidates, their weights, and the daily reset.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/frequent_items.lua"
local DAY = 86400e9

local function load(config)
    config.message_variable = config.message_variable or "Fields[ip]"
    return harness.load(SCRIPT, config)
end

local function see(filter, ip, times, timestamp)
    for _ = 1, times do
        equal(filter:process { Timestamp = timestamp or DAY, Fields = { ip = ip } }, 0)
    end
end

test("only values over the least weight are put out", function()
    local filter = load { min_output_weight = 1 }
    see(filter, "1.2.3.4", 3)
    see(filter, "1.2.3.5", 1)
    equal(filters.tick(filter, DAY), { { "tsv", "Weighting by Fields[ip]", "Fields[ip]\tWeight\n1.2.3.4\t3\n" } })

    filter = load {}
    see(filter, "a", 100)
    see(filter, "b", 101)
    equal(filters.tick(filter, DAY), { { "tsv", "Weighting by Fields[ip]", "Fields[ip]\tWeight\nb\t101\n" } })
end)

test("a new value without room costs every candidate one", function()
    local filter = load { max_items = 2, min_output_weight = 0 }
    see(filter, "a", 3)
    see(filter, "b", 1)
    see(filter, "c", 1)
    equal(filter.env.items, { a = 2 })
    see(filter, "c", 1)
    equal(filter.env.items, { a = 2, c = 1 })
    see(filter, "d", 1)
    equal(filter.env.items, { a = 1 })
end)

test("counting starts anew with the next day and ignores the day before", function()
    local filter = load {}
    see(filter, "a", 2, DAY * 10)
    see(filter, "a", 1, DAY * 11 - 1e9)
    equal(filter.env.items, { a = 3 })
    see(filter, "b", 1, DAY * 11)
    equal(filter.env.items, { b = 1 })
    see(filter, "a", 1, DAY * 11 - 1e9)
    equal(filter.env.items, { b = 1 })
end)

test("reset_days lengthens the period", function()
    local filter = load { reset_days = 3 }
    see(filter, "a", 1, DAY * 10)
    see(filter, "a", 1, DAY * 12)
    equal(filter.env.items, { a = 2 })
    see(filter, "a", 1, DAY * 13)
    equal(filter.env.items, { a = 1 })
end)

test("a message without the variable fails", function()
    local filter = load {}
    equal(filter:process { Timestamp = DAY }, -1)
    equal(filter:process { Timestamp = DAY, Fields = { ip = 0 / 0 } }, -1)
    equal(filters.tick(filter, DAY), { { "tsv", "Weighting by Fields[ip]", "Fields[ip]\tWeight\n" } })
end)

test("headers, numbers and booleans are counted too", function()
    local filter = load { message_variable = "Hostname", min_output_weight = 0 }
    equal(filter:process { Timestamp = DAY, Hostname = "h1" }, 0)
    equal(filters.tick(filter, DAY)[1][3], "Hostname\tWeight\nh1\t1\n")

    filter = load { min_output_weight = 0 }
    see(filter, 404, 2)
    equal(filters.tick(filter, DAY)[1][3], "Fields[ip]\tWeight\n404\t2\n")
    filter = load { min_output_weight = 0 }
    see(filter, true, 2)
    equal(filters.tick(filter, DAY)[1][3], "Fields[ip]\tWeight\ntrue\t2\n")
end)

test("counts survive a restart", function()
    local filter = load { max_items = 2 }
    see(filter, "a", 2)
    see(filter, "b", 1)
    local restarted = harness.load(SCRIPT, { message_variable = "Fields[ip]", max_items = 2 },
        { preserved = filter:preserved() })
    see(restarted, "c", 1)
    equal(restarted.env.items, { a = 1 })
end)

test("the variable must be configured", function()
    harness.raises(": message_variable configuration must be specified", harness.load, SCRIPT, {})
end)

harness.finish()
