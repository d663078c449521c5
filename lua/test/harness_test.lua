-- The harness itself: what it claims of the sandbox's script API, by the specified examples.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local protobuf = require "protobuf"
local test, equal, raises, near = harness.test, harness.equal, harness.raises, harness.near

local function script(source, kind, config, options)
    options = options or {}
    options.source, options.kind = source, kind or "filter"
    return harness.load("f.lua", config, options)
end

local function payload_of(message)
    local fields = harness.fields(message)
    return { fields.payload_type, fields.payload_name, message.Payload }
end

test("numbers become text", function()
    local f = script [[
function process_message()
  add_to_payload(1, "|", 2.5, "|", -0.25, "|", 1e-9, "|", 1/3, "|", nil, "|", true)
  inject_payload("txt", "nums") return 0
end]]
    equal(f:process {}, 0)
    equal(payload_of(f.injected[1]), { "txt", "nums", "1|2.5|-0.25|0|0.33333333|nil|true" })
    f = script [[function process_message()
  inject_payload("", "ts", 1500000000123456789, " ", 2147483647, " ", 2147483648, " ", 0/0, " ", -1/0) return 0 end]]
    f:process {}
    equal(payload_of(f.injected[1]), { "txt", "ts", "1.5000000001234568e+18 2147483647 2147483648 nan -inf" })
end)

test("an empty payload injects nothing and a full one persists", function()
    local f = script [[
function process_message()
  inject_payload(); inject_payload("txt", "n", ""); add_to_payload("kept") return 0
end
function timer_event(ns) inject_payload("txt", "late", "-and sent") end]]
    f:process {}
    equal(#f.injected, 0)
    f:timer(0)
    equal(payload_of(f.injected[1]), { "txt", "late", "kept-and sent" })
end)

test("a table becomes the specified bytes", function()
    local f = script([[function process_message()
inject_message{Uuid = "ABCDEFGHIJKLMNOP", Timestamp = 1e9, Type = "demo", Severity = "5", Pid = 42,
  Fields = {{name = "n", value = 7},
            {name = "n", value = {1, 2}, value_type = 2, representation = "ms"},
            {name = "b", value = "\0\1", value_type = 1},
            {name = "ok", value = {true, false}}}} return 0 end]], "encoder")
    equal(f:encode {}, "\10\16ABCDEFGHIJKLMNOP\16\128\148\235\220\3\26\4demo(\5@*R\14\10\1n\16\3" ..
        "9\0\0\0\0\0\0\28@R\13\10\1n\16\2\26\2ms2\2\1\2R\9\10\1b\16\1*\2\0\1R\10\10\2ok\16\4B\2\1\0")
end)

test("rejected tables raise the specified texts", function()
    local prefix = "inject_message() could not encode protobuf - "
    for text, expected in pairs {
        ["{Fields={a={}}}"] = prefix .. "unsupported type: nil",
        ["{Fields={a={1,'x'}}}"] = prefix .. "array has mixed types",
        ["{Fields={a={value='x',value_type=2}}}"] = prefix .. "invalid string value_type: 2",
        ["{Fields={a={value=1,value_type=4}}}"] = prefix .. "invalid numeric value_type: 4",
        ["{Fields={a={value=true,value_type=0}}}"] = prefix .. "invalid boolean value_type: 0",
        ["{Fields={{value=1}}}"] = prefix .. "field name must be a string",
        ["{Fields={a={{1}}}}"] = prefix .. "unsupported array type: table",
        ["nil"] = "inject_message() takes a single string or table argument",
    } do
        local f = script("function process_message() inject_message(" .. text .. ") return 0 end")
        raises(expected, f.process, f, {})
    end
end)

test("headers are coerced", function()
    local f = script([[function process_message()
 inject_message{Uuid="ABCDEFGHIJKLMNOP", Timestamp="5", Type=12, Severity=-1, Payload=true} return 0 end]], "decoder")
    f:process {}
    equal(f.injected[1], { Uuid = "ABCDEFGHIJKLMNOP", Timestamp = 5, Type = "12", Severity = -1, Fields = {} })
end)

test("bytes are decoded and errors named", function()
    equal(protobuf.decode("\10\16ABCDEFGHIJKLMNOP\16\128\148\235\220\3\26\1T\82\13\10\1n\16\2\26\2ms\50\2\1\2"), {
        Uuid = "ABCDEFGHIJKLMNOP", Timestamp = 1e9, Type = "T",
        Fields = { { name = "n", value_type = 2, representation = "ms", value = { 1, 2 } } },
    })
    raises("invalid message, too short", protobuf.decode, "tiny")
    raises("missing required field uuid: found timestamp: not found", protobuf.decode,
        "\10\16ABCDEFGHIJKLMNOP\26\1T")
    raises("error in tag: 25 wiretype: 0 offset: 20", protobuf.decode,
        "\10\16ABCDEFGHIJKLMNOP\16\1\200\1")
end)

test("what is encoded is decoded again", function()
    local values = { 0, 1, -1, 0.1, -2.5e-300, 1.5e18, 2 ^ 53, 1e-310, math.huge, -math.huge }
    local message = { Uuid = "ABCDEFGHIJKLMNOP", Timestamp = 1, Severity = -3, Pid = -2147483648, Fields = {
        { name = "d", value = values, value_type = 3 },
        { name = "i", value = { 0, 127, 128, -1, -128, 2 ^ 52 }, value_type = 2 },
        { name = "one", value = { -7 }, value_type = 2 },
    } }
    equal(protobuf.decode(protobuf.encode(message)), message)
end)

local CBUF = [[
require "circular_buffer"
cb = circular_buffer.new(3, 2, 60)
cb:set_header(1, "Requests"); cb:set_header(2, "peak latency", "ms/req", "max")
function process_message()
  cb:add(0, 1, 2); cb:add(0, 1, 3); cb:set(70e9, 2, 9); cb:set(70e9, 2, 4)
  inject_payload("cbuf", "web", cb) return 0
end
function timer_event()
  add_to_payload(cb:add(181e9,1,1), " ", cb:current_time(), " ", cb:get(0,1), " ", cb:get(240e9,1), "\n")
  inject_payload("txt", "", cb)
end]]

test("a circular buffer fills, prints and advances", function()
    local f = script(CBUF)
    f:process {}
    local info = '"rows":3,"columns":2,"seconds_per_row":60,"column_info":[{"name":"Requests","unit":"count",' ..
        '"aggregation":"sum"},{"name":"peak_latency","unit":"ms/req","aggregation":"max"}]}\n'
    equal(payload_of(f.injected[1]), { "cbuf", "web", '{"time":0,' .. info .. "5\tnan\nnan\t9\nnan\tnan\n" })
    f:timer(0)
    equal(f.injected[2].Payload, '1 180000000000 nil nil\n{"time":60,' .. info .. "nan\t9\nnan\tnan\n1\tnan\n")
end)

test("a circular buffer gives its deltas once", function()
    local f = script([[
require "circular_buffer"
cb = circular_buffer.new(3, 2, 60, true); cb:set_header(2, "Min", "count", "min")
function process_message()
cb:add(0, 1, 2); cb:set(0, 1, 10); cb:set(0, 2, 5); cb:set(0, 2, 8); cb:add(60e9, 1, 0)
inject_payload("cbufd", "d", cb:format("cbufd"))
inject_payload("cbufd", "d", cb)
return 0 end]])
    f:process {}
    equal(#f.injected, 1)
    equal(string.match(f.injected[1].Payload, "\n(.*)"), "0\t10\t5\n")
end)

test("a circular buffer computes", function()
    local native = require "native"
    local cb = native.circular_buffer.new(5, 1, 1)
    for i = 1, 4 do cb:set(i * 1e9, 1, i) end
    for fn, expected in pairs { sum = 10, avg = 2.5, variance = 1.25, sd = math.sqrt(1.25), min = 1, max = 4 } do
        equal({ cb:compute(fn, 1) }, { expected, 4 }, fn)
    end
    equal({ cb:compute("sum", 1, 3e9, 9e9) }, { nil, 0 })
    raises("end must be >= start", cb.compute, cb, "sum", 1, 3e9, 2e9)
end)

test("the rank sum test agrees with a worked sample", function()
    local native = require "native"
    local cb = native.circular_buffer.new(12, 1, 1)
    -- Two samples of six without ties: ranks of the first 1 2 3 4 6 7, hence U = 23 - 21 = 2.
    for i, value in ipairs { 1, 2, 3, 4, 6, 7, 5, 8, 9, 10, 11, 12 } do cb:set((i - 1) * 1e9, 1, value) end
    local u, p = cb:mannwhitneyu(1, 0, 5e9, 6e9, 11e9)
    equal(u, 2)
    -- z = (34 - 18 - 0.5) / sqrt(36 * 13 / 12) = 2.48199
    near(p, 0.0065323, 1e-5)
end)

test("return codes and errors follow the contract", function()
    local f = script [[function process_message() return -1, "bad line" end]]
    equal({ f:process {} }, { -1, "bad line" })
    f = script [[function process_message() return -1.9 end]]
    equal(f:process {}, -1)
    f = script [[function process_message() return end]]
    raises("process_message() must return a numeric status code", f.process, f, {})
    f = script [[function process_message() return 0, 5 end]]
    raises("process_message() must return a nil or string error message", f.process, f, {})
    f = script [[function process_message() error("boom") end]]
    raises("process_message() f.lua:1: boom", f.process, f, {})
end)

test("limits raise", function()
    local f = script([[
function process_message()
  local a = pcall(function() while true do end end)
  inject_payload("txt", "", tostring(a))
  while true do end
end]], "filter", {}, { instruction_limit = 1000 })
    raises("process_message() instruction_limit exceeded", f.process, f, {})
    equal(f.injected[1].Payload, "false")
    f = script([[function process_message() add_to_payload("123456789") return 0 end]], "filter", {},
        { output_limit = 10 })
    equal(f:process {}, 0)
    f = script([[function process_message() add_to_payload("1234567890") return 0 end]], "filter", {},
        { output_limit = 10 })
    raises("output_limit exceeded", f.process, f, {})
    f = script [[function process_message() inject_payload("", "", 1) inject_payload("", "", 2) return 0 end]]
    raises("inject_payload() exceeded InjectMessage count", f.process, f, {})
end)

test("the environment is restricted", function()
    raises("module 'io' disabled", script, [[require "io"]])
    raises("invalid module name '../x'", script, [[require "../x"]])
    raises("module 'no.such' not found:", script, [[require "no.such"]])
    local f = script [[function process_message() local s = "abc"; return s:len() - 3 end]]
    raises("attempt to index local 's' (a string value)", f.process, f, {})
    f = script [[require "string" function process_message() local s = "abc"; return s:len() - 3 end]]
    equal(f:process {}, 0)
    for name in string.gmatch("dofile load loadfile loadstring print collectgarbage coroutine newproxy io os", "%a+") do
        equal(f.env[name], nil, name)
    end
end)

test("cjson is the sandbox's", function()
    local f = script [[
require "cjson"
function process_message()
  local t = cjson.decode('{"a":null,"b":[1,2],"c":{}}')
  inject_payload("txt", "", t.a, cjson.encode(t.b), cjson.encode(t.c), cjson.encode({1,nil,3}), cjson.encode("/\127"),
    cjson.encode(1e17)) return 0
end]]
    f:process {}
    equal(f.injected[1].Payload, [=[nil[1,2]{}[1,null,3]"\/\u007f"1e+17]=])
end)

test("write_message changes and deletes", function()
    local source = [[function process_message() %s return 0 end]]
    local function write(text, message)
        local f = script(string.format(source, text), "decoder")
        return f:decode(message)[1]
    end
    equal(write([[write_message("Fields[n]", 1, "B")]], {}).Fields,
        { { name = "n", value = { 1 }, value_type = 3, representation = "B" } })
    local first = { Fields = { n = { value = 1, representation = "B" } } }
    equal(write([[write_message("Fields[n]", 2)]], first).Fields,
        { { name = "n", value = { 2 }, value_type = 3, representation = "" } })
    raises("write_message() failed", write, [[write_message("Fields[n]", "x")]], first)
    equal(write([[write_message("Fields[n]", nil)]], first).Fields, {})
    raises("write_message() failed", write, [[write_message("Hostname", 99)]], {})
    equal(write([[write_message("Type", "t")]], {}).Type, "t")
end)

test("fields are iterated in order", function()
    local f = script [[function process_message()
  for i = 1, 4 do
    local a, b, c, d, e = read_next_field()
    add_to_payload(a, ",", b, ",", c, ",", d, ",", e, ";")
  end
  inject_payload() return 0 end]]
    f:process { Fields = { { name = "a", value = "x" }, { name = "b", value = 2 }, { name = "c", value = true } } }
    equal(f.injected[1].Payload, "0,a,x,,1;3,b,2,,1;4,c,true,,1;nil,nil,nil,nil,nil;")
end)

test("missing parts read as specified", function()
    local f = script [[
function process_message()
  add_to_payload("[", read_message("Payload"), "]", read_message("Severity"), read_message("Fields[x]"),
    read_message("Nope"))
  inject_payload() return 0
end
function timer_event() inject_payload("", "", read_message("Payload")) end]]
    f:process {}
    equal(f.injected[1].Payload, "[]nilnilnil")
    f:timer(0)
    equal(f.injected[2].Payload, "nil")
end)

test("a decoder's messages inherit headers", function()
    local f = script([[function process_message() inject_message{Payload="x"} return 0 end]], "decoder")
    local messages = f:decode { Logger = "L", Hostname = "H", Timestamp = 5, Uuid = "ABCDEFGHIJKLMNOP" }
    equal(messages[1].Logger .. messages[1].Hostname .. messages[1].Payload, "LHx")
    equal(messages[1].Timestamp, 1500000000e9)
    equal(messages[1].Uuid ~= "ABCDEFGHIJKLMNOP", true)
end)

test("globals are preserved but hidden parts are not", function()
    local f = script [[
_PRESERVATION_VERSION = 3
require "string"
local hidden = 1
total = 12.5; tags = {"a", on = true}; tags.me = tags; g = function() end
function process_message() total = total + 1 return 0 end]]
    f:process {}
    local kept = f:preserved()
    equal({ kept.version, kept.globals.total, kept.globals.tags[1], kept.globals.string, kept.globals.g },
        { 3, 13.5, "a" })
    local again = script([[_PRESERVATION_VERSION = 3 total = 0]], "filter", {}, { preserved = kept })
    equal(again.env.total, 13.5)
    local changed = script([[_PRESERVATION_VERSION = 4 total = 0]], "filter", {}, { preserved = kept })
    equal(changed.env.total, 0)
end)

test("time is UTC and the test's", function()
    harness.set_time(1500000000e9)
    local f = script([[require "os" function process_message()
 inject_payload("", "", os.date("%Y-%m-%d %H:%M:%S"), " ", os.time(), " ",
   os.time{year="2014", month=2, day="10", hour=16, min=46, sec=41}) return 0 end]])
    f:process {}
    equal(f.injected[1].Payload, "2017-07-14 02:40:00 1500000000 1392050801")
    f = script([[require "os" function process_message() os.date("%Q") return 0 end]])
    raises("invalid conversion specifier '%Q'", f.process, f, {})
    f = script([[require "os" function process_message() os.time{} return 0 end]])
    raises("field 'day' missing in date table", f.process, f, {})
end)

test("the checks of the harness can fail", function()
    raises("values differ", equal, { 1, { 2 } }, { 1, { 3 } })
    raises("values differ", equal, {}, { a = 1 })
    raises("numbers differ", near, 1, 2, 0.5)
    raises("no error raised", raises, "x", function() end)
    raises("wrong error", raises, "x", error, "y")
end)

harness.finish()
