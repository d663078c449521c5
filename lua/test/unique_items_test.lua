-- unique_items: distinct values per period.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/unique_items.lua"
local DAY = 86400e9
local TITLE = "Estimated Unique Daily Fields[uid]"

local function load(config, options)
    config.message_variable = config.message_variable or "Fields[uid]"
    config.rows = config.rows or 2
    return harness.load(SCRIPT, config, options)
end

local function see(filter, uid, timestamp)
    return filter:process { Timestamp = timestamp, Fields = { uid = uid } }
end

test("the same value counts once", function()
    local filter = load {}
    equal(see(filter, "bob", DAY), 0)
    equal(see(filter, "bob", DAY + 1e9), 0)
    equal(filters.tick(filter, DAY), { { "cbuf", TITLE, filters.cbuf(0, 86400, { { "uid" } }, { "nan", "1" }) } })
    equal(see(filter, 7, DAY + 2e9), 0)
    equal(filters.tick(filter, DAY), { { "cbuf", TITLE, filters.cbuf(0, 86400, { { "uid" } }, { "nan", "2" }) } })
end)

test("a new period starts at zero and the old one stays as it was", function()
    local filter = load {}
    see(filter, "a", DAY)
    see(filter, "b", DAY)
    see(filter, "a", 2 * DAY)
    equal(see(filter, "c", DAY), 0)
    equal(filters.tick(filter, DAY), { { "cbuf", TITLE, filters.cbuf(86400, 86400, { { "uid" } }, { "2", "1" }) } })
end)

test("period, title and variable are configurable", function()
    local filter = load { seconds_per_row = 60, title = "Hosts", message_variable = "Hostname" }
    equal(filter:process { Timestamp = 60e9, Hostname = "h" }, 0)
    equal(filters.tick(filter, 0), { { "cbuf", "Hosts", filters.cbuf(0, 60, { { "Hostname" } }, { "nan", "1" }) } })
end)

test("a message without a usable value fails", function()
    local filter = load {}
    equal(filter:process { Timestamp = DAY }, -1)
    equal(see(filter, true, DAY), -1)
end)

test("changes are put out once", function()
    local filter = load { enable_delta = true }
    see(filter, "a", DAY)
    see(filter, "b", DAY)
    local graph = filters.cbuf(0, 86400, { { "uid" } }, { "nan", "2" })
    equal(filters.tick(filter, 0), {
        { "cbuf", TITLE, graph },
        { "cbufd", TITLE, filters.header(0, 2, 86400, { { "uid" } }) .. "86400\t2\n" },
    })
    equal(filters.tick(filter, 0), { { "cbuf", TITLE, graph } })
end)

test("the count survives a restart", function()
    local filter = load {}
    see(filter, "a", DAY)
    local restarted = load({}, { preserved = filter:preserved() })
    see(restarted, "a", DAY)
    see(restarted, "b", DAY)
    equal(filters.tick(restarted, 0)[1][3], filters.cbuf(0, 86400, { { "uid" } }, { "nan", "2" }))
    equal(load({ preservation_version = 3 }).env._PRESERVATION_VERSION, 3)
    equal(restarted.env._PRESERVATION_VERSION, 0)
end)

test("the variable must be configured", function()
    harness.raises(": message_variable configuration must be specified", harness.load, SCRIPT, {})
end)

harness.finish()
