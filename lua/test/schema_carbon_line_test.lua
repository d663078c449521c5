-- schema_carbon_line: fields as lines for Graphite.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local MESSAGE = {
    Timestamp = 54321e9 + 999e6, Hostname = "h", Type = "t",
    Fields = {
        { name = "1MinAvg", value = 0.12 }, { name = "foo.bar", value = { 5, 6 } }, { name = "neg", value = -1 },
    },
}

local function encode(config, message)
    return harness.load("lua_encoders/schema_carbon_line.lua", config):encode(message)
end

local function lines(config, message)
    local out = {}
    for line in encode(config, message):gmatch("([^\n]*)\n") do table.insert(out, line) end
    table.sort(out)
    return out
end

test("each value of each field makes a line", function()
    equal(lines({ name_prefix = "%{Hostname}.%{Type}" }, MESSAGE),
        { "h.t.1MinAvg 0.12 54321", "h.t.foo_bar 5 54321", "h.t.foo_bar_vidx_1 6 54321" })
end)

test("one field alone goes by the prefix", function()
    equal(encode({ name_prefix = "a.b", source_value_field = "1MinAvg" }, MESSAGE), "a.b 0.12 54321\n")
end)

test("without a prefix the delimiter still leads", function()
    equal(encode({ skip_fields = "foo_bar" }, MESSAGE), ".1MinAvg 0.12 54321\n")
    equal(encode({ skip_fields = "foo_bar", name_prefix = "p", name_prefix_delimiter = "" }, MESSAGE),
        "p1MinAvg 0.12 54321\n")
end)

test("skipped names are compared as they are written", function()
    equal(lines({ skip_fields = "foo.bar 1MinAvg" }, MESSAGE), { ".foo_bar 5 54321", ".foo_bar_vidx_1 6 54321" })
    equal(encode({ skip_fields = "**all_base** foo_bar" }, MESSAGE), ".1MinAvg 0.12 54321\n")
end)

test("repeats of a field are numbered", function()
    equal(lines({}, { Timestamp = 1e9, Fields = {
        { name = "a", value = 1 }, { name = "a", value = { 2, 3 } }, { name = "a", value = 4 } } }),
        { ".a 1 1", ".a_fidx_1 2 1", ".a_fidx_1_vidx_1 3 1", ".a_fidx_2 4 1" })
end)

test("only plain positive numbers are sent", function()
    equal(lines({}, { Timestamp = 1e9, Fields = {
        { name = "big", value = 1e14 }, { name = "small", value = 1e-5 }, { name = "flag", value = true },
        { name = "word", value = "x" }, { name = "digits", value = "12" }, { name = "ip", value = "1.2.3.4" },
        { name = "negative", value = "-1" } } }), { ".digits 12 1", ".ip 1.2.3.4 1" })
end)

test("nothing to send is an empty line, and a message without fields nothing", function()
    equal(encode({}, { Timestamp = 1e9, Fields = { neg = -1 } }), "\n")
    equal({ encode({}, { Timestamp = 1e9 }) }, {})
end)

harness.finish()
