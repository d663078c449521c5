if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local function decode(line, config)
    local messages, err = harness.load("lua_decoders/nginx_error.lua", config):decode { Payload = line, Type = "in" }
    return messages and messages[1], err
end

local LINE = '2014/01/10 07:04:56 [notice] 16842#0: using inherited sockets from "6;"'

test("a line without a connection", function()
    local m = decode(LINE)
    equal({ m.Timestamp, m.Severity, m.Pid, m.Payload, m.Type },
        { 1389337496000000000, 5, 16842, 'using inherited sockets from "6;"', "nginx.error" })
    equal(harness.fields(m), { tid = 0 })
    equal(harness.field(m, "tid").value_type, 3)
end)

test("a line with a connection", function()
    local m = decode("2014/01/10 07:05:59 [error] 16842#3: *8878 open() failed")
    equal({ m.Severity, m.Pid, m.Payload }, { 3, 16842, "open() failed" })
    equal(harness.fields(m), { tid = 3, connection = 8878 })
end)

test("the newline of the record is no part of the text", function()
    equal(decode("2014/01/10 07:05:59 [error] 1#2: a\nb\n").Payload, "a\nb")
end)

test("every level", function()
    for level, severity in pairs { debug = 7, info = 6, notice = 5, warn = 4, error = 3, crit = 2, alert = 1, emerg = 0 } do
        equal(decode("2014/01/10 07:05:59 [" .. level .. "] 1#2: x").Severity, severity, level)
    end
    equal({ decode("2014/01/10 07:05:59 [odd] 1#2: x") },
        { nil, "Failed parsing:  payload: 2014/01/10 07:05:59 [odd] 1#2: x" })
end)

test("type and payload as configured", function()
    local m = decode(LINE, { type = "t", payload_keep = true })
    equal({ m.Type, m.Payload }, { "t", LINE })
end)

harness.finish()
