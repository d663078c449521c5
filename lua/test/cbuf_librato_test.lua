-- cbuf_librato: rows of a graph as gauges.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_encoders/cbuf_librato.lua"

local function load(config, options)
    return harness.load(SCRIPT, config, options)
end

local function encode(encoder, payload, name, host)
    return encoder:encode {
        Logger = "L", Hostname = host or "h", Payload = payload, Fields = { payload_name = name or "n" },
    }
end

local function graph(time, ...)
    return filters.cbuf(time, 5, { { "A" } }, { ... })
end

local function gauges(...)
    local out = {}
    for i, pair in ipairs { ... } do
        out[i] = ('{"value":%s,"measure_time":%d,"name":"A","source":"h"}'):format(pair[1], pair[2])
    end
    return '{"gauges":[' .. table.concat(out, ",") .. "]}"
end

test("all rows but the newest are sent, without gaps", function()
    local text = '{"time":100,"rows":3,"columns":1,"seconds_per_row":5,"column_info":[{"name":"A"}]}\n1\nnan\n3\n'
    local encoder = load()
    equal(encode(encoder, text), '{"gauges":[{"value":1,"measure_time":100,"name":"A","source":"h"}]}')
    equal({ encode(encoder, text) }, {})
end)

test("of a known graph only the rows since then are sent", function()
    local encoder = load()
    encode(encoder, graph(100, "1", "2", "3", "4"))
    equal(encode(encoder, graph(105, "2", "3", "4.5", "5")), gauges({ "4.5", 115 }))
    equal(encode(encoder, graph(115, "4.5", "5", "6", "7")), gauges({ "5", 120 }, { "6", 125 }))
    equal(encode(encoder, graph(130, "7", "8", "9", "10")), gauges({ "7", 130 }, { "8", 135 }, { "9", 140 }))
end)

test("graphs are told apart by message_key", function()
    local encoder = load()
    equal(encode(encoder, graph(100, "1", "2", "3"), "a"), gauges({ 1, 100 }, { 2, 105 }))
    equal(encode(encoder, graph(100, "1", "2", "3"), "b"), gauges({ 1, 100 }, { 2, 105 }))
    encoder = load { message_key = "%{Logger}" }
    equal(encode(encoder, graph(100, "1", "2", "3"), "a"), gauges({ 1, 100 }, { 2, 105 }))
    equal({ encode(encoder, graph(100, "1", "2", "3"), "b") }, {})
end)

test("a graph without new values is seen again", function()
    local encoder = load()
    encode(encoder, graph(100, "1", "2", "3"))
    equal({ encode(encoder, graph(105, "2", "nan", "4")) }, {})
    equal(encode(encoder, graph(105, "2", "3", "4")), gauges({ 3, 110 }))
end)

test("columns have their names, and lines for the chart are passed over", function()
    local columns = { { "A_b" }, { "Max", "ms", "max" } }
    local text = filters.cbuf(100, 5, columns, { "1 nan", "2 -0.5", "3 4" })
    local expected = '{"gauges":[{"value":1,"measure_time":100,"name":"A_b","source":"h\\"x"},' ..
        '{"value":2,"measure_time":105,"name":"A_b","source":"h\\"x"},' ..
        '{"value":-0.5,"measure_time":105,"name":"Max","source":"h\\"x"}]}'
    equal(encode(load(), text, "n", 'h"x'), expected)
    equal(encode(load(), '{"annotations":{}}\n' .. text, "n", 'h"x'), expected)
    equal(encode(load(), '{"options":{"stackedGraph":true}}\n' .. text, "n", 'h"x'), expected)
end)

test("malformed graphs fail", function()
    local function failure(payload)
        local output, err = encode(load(), payload)
        return output or err
    end
    local header = '{"time":100,"rows":3,"columns":1,"seconds_per_row":5,"column_info":[{"name":"A"}]}\n'
    equal(failure "", "Failed serializing: no circular buffer header")
    equal(failure "x\n1\n", "Failed serializing: no circular buffer header")
    equal(failure '{"annotations":{}}', "Failed serializing: no circular buffer header")
    equal(failure "{}\n1\n", "Failed serializing: incomplete circular buffer header")
    equal(failure(header:gsub('"time":100', '"time":"x"') .. "1\n2\n3\n"),
        "Failed serializing: incomplete circular buffer header")
    for _, change in ipairs { { '"rows":3', '"rows":"3"' }, { '"columns":1', '"columns":1.5' }, { ':%[.*%]', ":7" },
        { '"column_info"', '"info"' }, { '"rows":3', '"rows":-1' } } do
        equal(failure(header:gsub(change[1], change[2]) .. "1\n2\n3\n"),
            "Failed serializing: incomplete circular buffer header")
    end
    equal(failure(header:gsub('"seconds_per_row":5', '"seconds_per_row":0') .. "1\n2\n3\n"),
        "Failed serializing: incomplete circular buffer header")
    equal(failure(header:gsub('"columns":1', '"columns":2') .. "1\t1\n2\t2\n3\t3\n"),
        "Failed serializing: columns differs from the number of column_info entries")
    equal(failure(header:gsub('"name"', '"nome"') .. "1\n2\n3\n"), "Failed serializing: column_info without a name")
    equal(failure(header .. "1\n2\n"), "Failed serializing: rows differs from the number of rows")
    equal(failure(header .. "1\n2\n3\n4\n"), "Failed serializing: rows differs from the number of rows")
    equal(failure(header:gsub('"rows":3', '"rows":2') .. "1\n2\n"), "Failed serializing: fewer than three rows")
    equal(failure(header .. "1\ninf\n3\n"), "Failed serializing: malformed row 2")
    equal(failure(header .. "1\t2\n2\n3\n"), "Failed serializing: malformed row 1")
    equal(failure(header .. "x\n2\n3\n"), "Failed serializing: malformed row 1")
end)

test("a graph out of step with the one before fails", function()
    local encoder = load()
    encode(encoder, graph(100, "1", "2", "3"))
    equal({ encode(encoder, graph(95, "1", "2", "3")) },
        { [2] = "Failed serializing: older than the graph sent before" })
    equal({ encode(encoder, graph(107, "1", "2", "3")) },
        { [2] = "Failed serializing: time does not fit seconds_per_row" })
    -- Neither counts as sent.
    equal(encode(encoder, graph(105, "2", "3", "4")), gauges({ 3, 110 }))
end)

test("what was sent survives a restart", function()
    local encoder = load()
    encode(encoder, graph(100, "1", "2", "3"))
    local restarted = load({}, { preserved = encoder:preserved() })
    equal({ encode(restarted, graph(100, "1", "2", "3")) }, {})
    equal(encode(restarted, graph(105, "2", "3", "4")), gauges({ 3, 110 }))
end)

harness.finish()
