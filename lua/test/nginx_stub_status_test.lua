if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local function decode(text, config)
    local messages, err = harness.load("lua_decoders/nginx_stub_status.lua", config):decode { Payload = text }
    return messages and messages[1], err
end

local PAGE = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630948 31070465 \n"
    .. "Reading: 6 Writing: 179 Waiting: 106 \n"

test("the page becomes fields", function()
    local m = decode(PAGE)
    equal(harness.fields(m), { connections = 291, accepts = 16630948, handled = 16630948, requests = 31070465,
        reading = 6, writing = 179, waiting = 106 })
    equal(harness.field(m, "requests").value_type, 3)
    equal({ m.Type, m.Payload }, { "nginx_stub_status" })
end)

test("type and payload as configured", function()
    local m = decode(PAGE, { type = "t", payload_keep = true })
    equal({ m.Type, m.Payload }, { "t", PAGE })
end)

test("another page fails", function()
    equal({ decode("<html>") }, { nil, "Failed parsing:  payload: <html>" })
end)

harness.finish()
