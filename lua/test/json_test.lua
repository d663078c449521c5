if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal, raises = harness.test, harness.equal, harness.raises
local fields = harness.fields

local function new(config)
    return harness.load("lua_decoders/json.lua", config)
end

local function decode(text, config)
    local messages, err = new(config):decode { Payload = text, Type = "in", Hostname = "h0", Logger = "l0" }
    return messages and messages[1], err
end

test("nested values become fields with joined names", function()
    local m = decode('{"a":1,"b":{"c":"x","d":[1,"two",{"e":true}]},"n":null,"empty":{}}')
    equal({ m.Type, m.Payload, m.Logger, m.Timestamp }, { "json", nil, "l0", 1500000000e9 })
    equal(fields(m), { a = 1, ["b.c"] = "x", ["b.d.1"] = 1, ["b.d.2"] = "two", ["b.d.3.e"] = true })
    equal(harness.field(m, "a").value_type, 3)
end)

local MAPPED = { map_fields = true, Severity = "severity", Hostname = "hostname", Timestamp = "time",
    timestamp_format = "%m/%d/%Y %H:%M:%S", maximum_depth = 2, separator = "-" }

test("headers, time, depth and separator", function()
    local m = decode('{"hostname":"w","time":"05/07/2014 15:12:24","msg":"m","severity":3,"n1":{"f":{"n2":"v"}}}', MAPPED)
    equal({ m.Hostname, m.Severity, m.Timestamp }, { "w", 3, 1399475544000000000 })
    equal(fields(m), { msg = "m", ["n1-f"] = '{"n2":"v"}' })
end)

test("the depth counts the separator as it is written", function()
    local text = '{"alpha":{"b":{"c":1}}}'
    equal(fields(decode(text, { maximum_depth = 1 })), { alpha = '{"b":{"c":1}}' })
    equal(fields(decode(text, { maximum_depth = 2 })), { ["alpha.b"] = '{"c":1}' })
    equal(fields(decode(text, { maximum_depth = 3 })), { ["alpha.b.c"] = 1 })
    equal(fields(decode(text, { maximum_depth = 2, separator = "%w" })), { ["alpha%wb"] = '{"c":1}' })
end)

test("every mapping", function()
    local config = { map_fields = true, type = "t", Payload = "p", Uuid = "u", Type = "t", Logger = "l", Hostname = "h",
        Severity = "s", EnvVersion = "e", Pid = "i" }
    local m = decode('{"p":"P","u":"ABCDEFGHIJKLMNOP","t":"T","l":"L","h":"H","s":1,"e":2,"i":3,"x":0}', config)
    equal({ m.Payload, m.Uuid, m.Type, m.Logger, m.Hostname, m.Severity, m.EnvVersion, m.Pid, fields(m) },
        { "P", "ABCDEFGHIJKLMNOP", "T", "L", "H", 1, "2", 3, { x = 0 } })
    m = decode('{"p":1,"t":2,"l":3,"h":true,"s":"6","e":"7"}', config)
    equal({ m.Payload, m.Type, m.Logger, m.Hostname, m.Severity, m.EnvVersion }, { nil, "in", "l0", "h0" })
    equal(fields(m), { p = 1, t = 2, l = 3, h = true, s = "6", e = "7" })
    config.map_fields = false
    equal(fields(decode('{"p":"P","s":1}', config)), { p = "P", s = 1 })
end)

test("time without map_fields, in ns, and missing", function()
    equal(decode('{"time":2014}', { Timestamp = "time" }).Timestamp, 2014)
    equal(decode('{"time":"2014"}', { Timestamp = "time" }).Timestamp, 2014)
    equal(fields(decode('{"time":"x","a":1}', { Timestamp = "time" })), { a = 1 })
    local d = new { Timestamp = "time", timestamp_format = "%s" }
    equal(d:decode({ Payload = '{"time":"7"}' })[1].Timestamp, 7e9)
    equal(d:decode({ Payload = '{"time":8}' })[1].Timestamp, 8e9)
    equal(d:decode({ Payload = '{"a":1}' })[1].Timestamp, 1500000000e9, "the time of the message before")
    raises("unknown strftime specifier: Q", new, { timestamp_format = "%Q" })
end)

test("failures name their reason", function()
    local function failure(text, config)
        local _, err = decode(text, config)
        return err
    end
    equal(failure("{"), "Failed parsing: Failed to decode JSON. payload: {")
    equal(failure("3"), "Failed parsing: Failed to flatten message. payload: 3")
    equal(failure("3", { map_fields = true, Type = "t" }), "Failed parsing: Failed to flatten message. payload: 3")
    equal(failure("null"), "Failed parsing: Failed to flatten message. payload: null")
    equal(failure("[1,2]"), "Failed parsing: Failed to inject message. payload: [1,2]")
    for _, value in ipairs { '"x"', "true", "{}" } do
        local text = '{"time":' .. value .. "}"
        equal(failure(text, MAPPED), "Failed parsing: Failed to decode timestamp. payload: " .. text)
    end
    local no_date = { Timestamp = "t", timestamp_format = "%H:%M" }
    equal(failure('{"t":"10:00"}', no_date), 'Failed parsing: Failed to decode timestamp. payload: {"t":"10:00"}')
end)

test("an array of objects, the payload and the type", function()
    equal(fields(decode('[{"a":1},{"a":2}]')), { ["1.a"] = 1, ["2.a"] = 2 })
    local m = decode('{"a":1}', { payload_keep = true, type = "mine" })
    equal({ m.Payload, m.Type }, { '{"a":1}', "mine" })
end)

test("a failure leaves nothing behind for the next message", function()
    local d = new(MAPPED)
    equal(d:decode { Payload = '{"hostname":"w","time":"x"}' }, nil)
    local m = d:decode({ Payload = '{"time":"05/07/2014 15:12:24"}', Hostname = "h0" })[1]
    equal({ m.Hostname, fields(m) }, { "h0", {} })
end)

local util = harness.load("x", {}, { source = [[util = require "util"]] }).env.util

test("tables become fields", function()
    local out = {}
    util.table_to_fields({ a = { b = { c = 1 } }, d = "x" }, out, "p", "_", 3)
    equal(out, { p_a_b = '{"c":1}', p_d = "x" })
end)

test("an array loses its head", function()
    for index, expected in pairs { [0] = { 1, 2, 3 }, [1] = { 1, 2, 3 }, [2] = { 2, 3 }, [3] = { 3 }, [4] = {}, [9] = {} } do
        local array = { 1, 2, 3 }
        util.behead_array(index, array)
        equal(array, expected)
    end
end)

harness.finish()
