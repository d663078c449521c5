-- schema_influx_line: fields as InfluxDB's line protocol.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local function encode(config, message)
    return harness.load("lua_encoders/schema_influx_line.lua", config):encode(message)
end

local function lines(config, message)
    local out = {}
    for line in encode(config, message):gmatch("([^\n]*)\n") do table.insert(out, line) end
    table.sort(out)
    return out
end

test("headers and fields become tags", function()
    equal(encode({ tag_fields = "Hostname env", skip_fields = "env", timestamp_precision = "s" },
        { Timestamp = 54321e9, Hostname = "h", Fields = { env = "de v", load = 0.11 } }),
        "load,Hostname=h,env=de\\ v value=0.110000 54321\n")
    equal(encode({ tag_fields = "**all**" },
        { Timestamp = 54321e9, Type = "t", Severity = 4, Hostname = "h", Fields = { a = 1 } }),
        "a,Logger=,Type=t,Severity=4,Hostname=h,a=1 value=1.000000 54321000\n")
end)

test("all base headers are the default tags, in milliseconds", function()
    equal(encode({}, { Timestamp = 54321e9 + 1999999, Type = "t", Logger = "l", Severity = 4, Hostname = "h,i",
        Fields = { a = 1 } }), "a,Logger=l,Type=t,Severity=4,Hostname=h\\,i value=1.000000 54321001\n")
end)

test("precision, names and key are configurable", function()
    local message = { Timestamp = 7200e9, Type = "a b", Fields = { load = 0.126 } }
    equal(encode({ tag_fields = "Type", timestamp_precision = "m", decimal_precision = "2", name_prefix = "%{Type}",
        name_prefix_delimiter = "/", value_field_key = "v" }, message), "a\\ b/load,Type=a\\ b v=0.13 120\n")
    equal(encode({ tag_fields = "Type", timestamp_precision = "h", name_prefix = "p", source_value_field = "load" },
        message), "p,Type=a\\ b value=0.126000 2\n")
end)

test("strings are quoted and booleans written plain", function()
    local config = { tag_fields = "Type" }
    equal(encode(config, { Timestamp = 1e9, Type = "t", Fields = { a = 'x "y"' } }),
        'a,Type=t value="x \\"y\\"" 1000\n')
    equal(encode(config, { Timestamp = 1e9, Type = "t", Fields = { a = true } }), "a,Type=t value=true 1000\n")
end)

test("repeats and several values are numbered", function()
    equal(lines({ tag_fields = "Type" }, { Timestamp = 1e9, Type = "t", Fields = {
        { name = "a", value = 1 }, { name = "a", value = { 2, 3 } } } }), {
        "a,Type=t value=1.000000 1000", "a_fidx_1,Type=t value=2.000000 1000",
        "a_fidx_1_vidx_1,Type=t value=3.000000 1000",
    })
end)

test("a message without fields makes no output", function()
    equal({ encode({}, { Timestamp = 1e9, Type = "t" }) }, {})
end)

harness.finish()
