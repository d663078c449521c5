-- influx_batch: gathering and flushing of line protocol.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/influx_batch.lua"

local MESSAGE = {
    Timestamp = 1500000000e9, Logger = "lg", Type = "ty", Severity = 6, Hostname = "my,host",
    Fields = {
        { name = "resp time", value = 1.5 }, { name = "cnt", value = 3 }, { name = "cnt", value = 9 },
        { name = "str", value = { 'a "q"', "b" } },
    },
}

local function load(config, options)
    return harness.load(SCRIPT, config or {}, options)
end

local function sorted_lines(text)
    local lines = {}
    for line in text:gmatch("([^\n]*)\n") do table.insert(lines, line) end
    table.sort(lines)
    return lines
end

local function point(filter, value)
    return filter:process { Timestamp = 1e9, Type = "t", Fields = { a = value } }
end

local LINE = "a,Type=t value=%d.000000 1000\n"
local PLAIN = { tag_fields = "Type" }

test("every value of every field makes a line", function()
    local filter = load()
    equal(filter:process(MESSAGE), 0)
    local out = filters.tick(filter, 0)
    equal({ #out, out[1][1], out[1][2] }, { 1, "txt", "influx_line" })
    local tags = ",Logger=lg,Type=ty,Severity=6,Hostname=my\\,host value="
    equal(sorted_lines(out[1][3]), {
        "cnt" .. tags .. "3.000000 1500000000000", "cnt_fidx_1" .. tags .. "9.000000 1500000000000",
        "resp\\ time" .. tags .. "1.500000 1500000000000", "str" .. tags .. '"a \\"q\\"" 1500000000000',
        "str_vidx_1" .. tags .. '"b" 1500000000000',
    })
end)

test("messages gather until the tick", function()
    local filter = load(PLAIN)
    point(filter, 1)
    point(filter, 2)
    equal(filters.outputs(filter), {})
    equal(filters.tick(filter, 0), { { "txt", "influx_line", LINE:format(1) .. LINE:format(2) } })
    equal(filters.tick(filter, 0), {})
end)

test("flush_count flushes earlier", function()
    local filter = load { tag_fields = "Type", flush_count = 2 }
    point(filter, 1)
    equal(filters.outputs(filter), {})
    point(filter, 2)
    equal(filters.outputs(filter), { { "txt", "influx_line", LINE:format(1) .. LINE:format(2) } })
    point(filter, 3)
    equal(filters.tick(filter, 0), { { "txt", "influx_line", LINE:format(3) } })
end)

test("flush_count 1 puts out every message", function()
    local filter = load { tag_fields = "Type", flush_count = 1 }
    point(filter, 1)
    point(filter, 2)
    equal(filters.outputs(filter), {
        { "txt", "influx_line", LINE:format(1) }, { "txt", "influx_line", LINE:format(2) },
    })
end)

test("a full buffer is put out before the next lines", function()
    local filter = load(PLAIN, { output_limit = 3 * #LINE:format(1) })
    point(filter, 1)
    point(filter, 2)
    equal(point(filter, 3), 0)
    equal(filters.outputs(filter), { { "txt", "influx_line", LINE:format(1) .. LINE:format(2) } })
    equal(filters.tick(filter, 0), { { "txt", "influx_line", LINE:format(3) } })
end)

test("a message that exceeds the limit by itself fails alone", function()
    local filter = load(PLAIN, { output_limit = 100 })
    local function long() return filter:process { Timestamp = 1e9, Type = "t", Fields = { a = ("x"):rep(100) } } end
    equal({ long() }, { -1, "the lines of one message exceed output_limit" })
    equal(point(filter, 1), 0)
    equal({ long() }, { -1, "the lines of one message exceed output_limit" })
    equal(filters.outputs(filter), { { "txt", "influx_line", LINE:format(1) } })
    equal(filters.tick(filter, 0), {})
end)

test("a message without fields adds nothing", function()
    local filter = load()
    equal(filter:process { Timestamp = 1e9 }, 0)
    equal(filters.tick(filter, 0), {})
end)

test("the options of the line protocol are read", function()
    local filter = load { tag_fields = "env", skip_fields = "env", timestamp_precision = "s", decimal_precision = "2",
        name_prefix = "%{Type}", name_prefix_delimiter = ".", value_field_key = "v" }
    filter:process { Timestamp = 54321e9, Type = "t", Fields = { load = 0.111, env = "de v" } }
    equal(filters.tick(filter, 0)[1][3], "t.load,env=de\\ v v=0.11 54321\n")

    filter = load { tag_fields = "Type", name_prefix = "p", source_value_field = "a" }
    filter:process { Timestamp = 1e9, Type = "t", Fields = { a = 1, b = 2 } }
    equal(filters.tick(filter, 0)[1][3], "p,Type=t value=1.000000 1000\n")
end)

harness.finish()
