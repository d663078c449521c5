-- heka_message_schema: counts and value types of what passed.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local filters = require "harness_filters"
local test, equal = harness.test, harness.equal

local SCRIPT = "lua_filters/heka_message_schema.lua"
local HEAD = "Logger -> Type -> EnvVersion -> Field Attributes.\n" ..
    "The number in brackets is the number of occurrences of each logger/type/attribute.\n\n"

local function schema_of(...)
    local filter = harness.load(SCRIPT)
    for i = 1, select("#", ...) do
        equal(filter:process((select(i, ...))), 0)
    end
    local out = filters.tick(filter, 0)
    equal(#out, 1)
    equal({ out[1][1], out[1][2], out[1][3]:sub(1, #HEAD) }, { "txt", "Message Schema", HEAD })
    return out[1][3]:sub(#HEAD + 1)
end

test("loggers, types, versions and fields are listed", function()
    local message = { Logger = "L", Type = "T", Fields = { a = "x", b = 1 } }
    equal(schema_of(message, message),
        "L [2]\n    T [2]\n         -no version- [2]\n            a (string)\n            b (number)\n")
end)

test("empty names are spelt out", function()
    equal(schema_of({ EnvVersion = "1" }, {}),
        "-no logger- [2]\n    -no type- [2]\n         -no version- [1]\n         1 [1]\n")
end)

test("value types have names and a change of type is a mismatch", function()
    local fields = {
        { name = "bytes", value = "x", value_type = 1 }, { name = "integer", value = 1, value_type = 2 },
        { name = "flag", value = true }, { name = "mixed", value = "-" },
    }
    equal(schema_of({ Logger = "L", Type = "T", Fields = fields }, { Logger = "L", Type = "T", Fields = {
        { name = "bytes", value = "x", value_type = 1 }, { name = "integer", value = 1, value_type = 2 },
        { name = "flag", value = true }, { name = "mixed", value = 3 }, { name = "odd", value = 1, value_type = 9 },
    } }), "L [2]\n    T [2]\n         -no version- [2]\n            bytes (string)\n            flag (bool)\n" ..
        "            integer (number)\n            mixed (mismatch)\n" ..
        "            odd (unknown - optional [1])\n")
end)

test("a field that some messages lack is optional, and repeats in a message count once", function()
    equal(schema_of(
        { Logger = "L", Type = "T", Fields = { { name = "a", value = 1 }, { name = "a", value = 2 } } },
        { Logger = "L", Type = "T" },
        { Logger = "L", Type = "T", Fields = { { name = "a", value = 1 }, { name = "a", value = 2 } } }),
        "L [3]\n    T [3]\n         -no version- [3]\n            a (number - optional [2])\n")
end)

test("the schema survives a restart", function()
    local filter = harness.load(SCRIPT)
    filter:process { Logger = "L", Type = "T", Fields = { a = 1 } }
    local restarted = harness.load(SCRIPT, {}, { preserved = filter:preserved() })
    restarted:process { Logger = "L", Type = "T", Fields = { a = 1 } }
    equal(filters.tick(restarted, 0)[1][3],
        HEAD .. "L [2]\n    T [2]\n         -no version- [2]\n            a (number)\n")
end)

harness.finish()
