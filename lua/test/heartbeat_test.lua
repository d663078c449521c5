-- heartbeat: hosts that fall silent.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/heartbeat.lua"

local function load(config, options)
    return harness.load(SCRIPT, config or {}, options)
end

local function beat(filter, host, ns)
    equal(filter:process { Timestamp = ns, Hostname = host }, 0)
end

test("a host is up within the timeout", function()
    local filter = load()
    beat(filter, "h1", 1415311858257e6)
    equal(filters.tick(filter, 1415311860257e6), {
        { "json", "heartbeat", '{"h1":{"last_heartbeat":1415311858257,"status":"up","last_alert":0}}' },
    })
end)

test("a silent host is down and alerted", function()
    local filter = load()
    beat(filter, "h1", 1415311858257e6)
    equal(filters.tick(filter, 1415311900e9), {
        { "alert", "", "Missing Heartbeat - h1\n" },
        { "json", "heartbeat", '{"h1":{"last_heartbeat":1415311858257,"status":"down","last_alert":1415311900000}}' },
    })
end)

test("the timeout itself is still up", function()
    local filter = load { heartbeat_timeout = 5 }
    beat(filter, "h1", 1000e9)
    equal(#filters.tick(filter, 1005e9), 1)
    equal(filter.env.hosts.h1.status, "up")
    equal(#filters.tick(filter, 1005e9 + 1e6), 2)
    equal(filter.env.hosts.h1.status, "down")
end)

test("a host is alerted again only after alert_throttle", function()
    local filter = load { alert_throttle = 60 }
    beat(filter, "h1", 1000e9)
    equal(#filters.tick(filter, 1100e9), 2)
    equal(#filters.tick(filter, 1160e9), 1)
    equal(#filters.tick(filter, 1161e9), 2)
end)

test("a host that comes back is up", function()
    local filter = load()
    beat(filter, "h1", 1000e9)
    filters.tick(filter, 1100e9)
    beat(filter, "h1", 1101e9)
    equal(filters.tick(filter, 1110e9), {
        { "json", "heartbeat", '{"h1":{"last_heartbeat":1101000,"status":"up","last_alert":1100000}}' },
    })
end)

test("several silent hosts make one alert", function()
    local filter = load()
    beat(filter, "h1", 1000e9)
    beat(filter, "h2", 1000e9)
    beat(filter, "h3", 1099e9)
    local out = filters.tick(filter, 1100e9)
    equal(#out, 2)
    equal({ out[1][1], #out[1][3] }, { "alert", #"Missing Heartbeat - h1\n\nMissing Heartbeat - h2\n" })
    equal(out[1][3]:find("h1", 1, true) ~= nil and out[1][3]:find("h2", 1, true) ~= nil, true)
    local cjson = require "cjson"
    equal(cjson.decode(out[2][3]), {
        h1 = { last_heartbeat = 1000000, status = "down", last_alert = 1100000 },
        h2 = { last_heartbeat = 1000000, status = "down", last_alert = 1100000 },
        h3 = { last_heartbeat = 1099000, status = "up", last_alert = 0 },
    })
end)

test("without hosts the report is empty, and odd names are escaped", function()
    local filter = load()
    equal(filters.tick(filter, 1000e9), { { "json", "heartbeat", "{}" } })
    beat(filter, 'a"b', 1000e9)
    equal(filters.tick(filter, 1000e9)[1][3], '{"a\\"b":{"last_heartbeat":1000000,"status":"up","last_alert":0}}')
end)

test("the state of the hosts survives a restart", function()
    local filter = load()
    beat(filter, "h1", 1000e9)
    filters.tick(filter, 1100e9)
    local restarted = load({}, { preserved = filter:preserved() })
    equal(filters.tick(restarted, 1110e9), {
        { "json", "heartbeat", '{"h1":{"last_heartbeat":1000000,"status":"down","last_alert":1100000}}' },
    })
end)

harness.finish()
