-- schema_influx: messages as JSON of InfluxDB up to 0.8.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local MESSAGE = {
    Timestamp = 54321e9, Type = "t", Payload = "p", Hostname = "h", Pid = 1, Logger = "l", Severity = 4,
    Fields = {
        { name = "i", value = { 123, 456 }, value_type = 2 }, { name = "s", value = "a" }, { name = "s", value = "b" },
        { name = "raw", value = "x", value_type = 1 },
    },
}

local function encode(config, message)
    return harness.load("lua_encoders/schema_influx.lua", config):encode(message)
end

test("a message becomes one point of one series", function()
    equal(encode({}, MESSAGE), '[{"points":[[54321000,"t","p","h",1,"l",4,"",[123,456],"a","b"]],"name":"series",' ..
        '"columns":["time","Type","Payload","Hostname","Pid","Logger","Severity","EnvVersion","i","s","s2"]}]')
end)

test("headers and fields can be skipped", function()
    equal(encode({ skip_fields = "Payload Pid EnvVersion s" }, MESSAGE),
        '[{"points":[[54321000,"t","h","l",4,[123,456]]],"name":"series",' ..
        '"columns":["time","Type","Hostname","Logger","Severity","i"]}]')
    equal(encode({ exclude_base_fields = true, skip_fields = "s" }, MESSAGE),
        '[{"points":[[54321000,[123,456]]],"name":"series","columns":["time","i"]}]')
end)

test("a field called Timestamp is left out", function()
    equal(encode({ exclude_base_fields = true }, { Timestamp = 1e9, Fields = { Timestamp = 5, a = true } }),
        '[{"points":[[1000,true]],"name":"series","columns":["time","a"]}]')
end)

test("the second value of a repeated field is read from the repeat", function()
    equal(encode({ exclude_base_fields = true }, { Timestamp = 1e9, Fields = {
        { name = "a", value = { 1, 2 } }, { name = "a", value = "raw", value_type = 1 },
        { name = "a", value = { 3, 4 } } } }),
        '[{"points":[[1000,[1,2],[3,4]]],"name":"series","columns":["time","a","a3"]}]')
end)

test("the name of the series is interpolated", function()
    local function name(series)
        return encode({ series = series, exclude_base_fields = true, skip_fields = "i s raw" }, MESSAGE)
            :match('"name":"(.-)",')
    end
    equal(name("%{Logger}.%{Pid}.x"), "l.1.x")
    equal(name("%{i}"), "123")
    equal(name("%{nope}%"), "%{nope}%")
    equal(name("%{Severity}%{EnvVersion}%{s}"), "4a")
end)

test("multi_series makes a series for each field", function()
    equal(encode({ multi_series = true, exclude_base_fields = true, series = "s" },
        { Timestamp = 54321e9, Fields = { a = 1 } }),
        '[{"points":[[54321000,1]],"name":"s.a","columns":["time","value"]}]')
    equal(encode({ multi_series = true, skip_fields = "Payload Pid Severity EnvVersion Hostname s" }, MESSAGE),
        '[{"points":[[54321000,"t","l",123]],"name":"series.i","columns":["time","Type","Logger","value"]},' ..
        '{"points":[[54321000,"t","l","x"]],"name":"series.raw","columns":["time","Type","Logger","value"]}]')
    equal(encode({ multi_series = true }, { Timestamp = 1e9 }), "{}")
end)

test("headers that are not set keep their place", function()
    equal(encode({ skip_fields = "Payload" }, { Timestamp = 1e9, Type = "t", Fields = { a = 1 } }),
        '[{"points":[[1000,"t","",null,"",null,"",1]],"name":"series",' ..
        '"columns":["time","Type","Hostname","Pid","Logger","Severity","EnvVersion","a"]}]')
end)

test("text is escaped and odd numbers are null", function()
    local out = encode({ exclude_base_fields = true }, { Timestamp = 1e9, Fields = {
        { name = "t", value = 'a"b\\c/d\n\t\r\8\12\1\127\0é' },
        { name = "n", value = { 0 / 0, 1 / 0, 1e15, 0.1 } } } })
    equal(out, '[{"points":[[1000,"a\\"b\\\\c\\/d\\n\\t\\r\\b\\f\\u0001\\u007f\\u0000é",[null,null,1e+15,0.1]]],' ..
        '"name":"series","columns":["time","t","n"]}]')
end)

test("a long payload fits", function()
    local payload = ("x"):rep(40000)
    local out = encode({ skip_fields = "Type Hostname Pid Logger Severity EnvVersion" },
        { Timestamp = 1e9, Payload = payload })
    equal(out, '[{"points":[[1000,"' .. payload .. '"]],"name":"series","columns":["time","Payload"]}]')
end)

test("nothing of one message is left for the next", function()
    local encoder = harness.load("lua_encoders/schema_influx.lua", { exclude_base_fields = true })
    encoder:encode(MESSAGE)
    equal(encoder:encode { Timestamp = 1e9, Fields = { s = "c" } },
        '[{"points":[[1000,"c"]],"name":"series","columns":["time","s"]}]')
end)

harness.finish()
