-- es_payload: the index line before a payload.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local function encode(config, message)
    return harness.load("lua_encoders/es_payload.lua", config):encode(message)
end

local MAY = 1400025600e9 -- 2014-05-14

test("index and time of the message", function()
    equal(encode({ index = "%{Logger}-%{%Y.%m.%d}", es_index_from_timestamp = true },
        { Logger = "L", Timestamp = MAY, Payload = '{"a":1}' }),
        '{"index":{"_index":"L-2014.05.14","_type":"message"}}\n{"a":1}\n')
end)

test("the clock's time is the default", function()
    harness.set_time(1456790400e9)
    equal(encode({}, { Timestamp = MAY, Payload = "{}" }),
        '{"index":{"_index":"heka-2016.03.01","_type":"message"}}\n{}\n')
end)

test("a newline at the end is not doubled", function()
    equal(encode({ index = "i" }, { Payload = "{}\n" }), '{"index":{"_index":"i","_type":"message"}}\n{}\n')
    equal(encode({ index = "i" }, { Payload = "{}\n\n" }), '{"index":{"_index":"i","_type":"message"}}\n{}\n\n')
    equal(encode({ index = "i" }, {}), '{"index":{"_index":"i","_type":"message"}}\n\n')
end)

test("type and id are interpolated, and slashes escaped", function()
    equal(encode({ index = "a/b", type_name = "%{Type}", id = "%{n}-%{Hostname}" },
        { Type = "t", Hostname = "h", Payload = "{}", Fields = { n = 5 } }),
        '{"index":{"_index":"a\\/b","_type":"t","_id":"5-h"}}\n{}\n')
end)

test("what cannot be interpolated stays", function()
    equal(encode({ index = "i", id = "%{nope}" }, { Payload = "{}" }),
        '{"index":{"_index":"i","_type":"message","_id":"%{nope}"}}\n{}\n')
end)

harness.finish()
