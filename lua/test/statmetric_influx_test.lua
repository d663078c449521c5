-- statmetric_influx: statistics as JSON of InfluxDB up to 0.8.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local function encode(fields)
    local output, err = harness.load("lua_encoders/statmetric_influx.lua"):encode { Fields = fields }
    return output or err
end

test("a statistic becomes a point of its series", function()
    equal(encode { timestamp = 1408404848, c = 5 },
        '[{"points":[[1408404848000,5]],"name":"c","columns":["time","value"]}]')
end)

test("every field but the timestamp and bytes makes a series", function()
    equal(encode {
        { name = "a.b", value = { 0.25, 7 } }, { name = "timestamp", value = 10 },
        { name = "raw", value = "x", value_type = 1 }, { name = "s", value = "t\n" }, { name = "ok", value = true },
        { name = "odd", value = 0 / 0 }, { name = "huge", value = -1 / 0 }, { name = "none", value = {} },
    }, '[{"points":[[10000,0.25]],"name":"a.b","columns":["time","value"]},' ..
        '{"points":[[10000,"t\\n"]],"name":"s","columns":["time","value"]},' ..
        '{"points":[[10000,true]],"name":"ok","columns":["time","value"]},' ..
        '{"points":[[10000,null]],"name":"odd","columns":["time","value"]},' ..
        '{"points":[[10000,null]],"name":"huge","columns":["time","value"]},' ..
        '{"points":[[10000,null]],"name":"none","columns":["time","value"]}]')
end)

test("without statistics the object is empty", function()
    equal(encode { timestamp = 10 }, "{}")
end)

test("without a timestamp the message fails", function()
    equal(encode { c = 5 }, "Failed serializing: no field timestamp")
    equal(encode { c = 5, timestamp = "now" }, "Failed serializing: no field timestamp")
end)

harness.finish()
