if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local function decode(text, config)
    local messages, err = harness.load("lua_decoders/graylog_extended.lua", config):decode { Payload = text, Type = "in" }
    return messages and messages[1], err
end

local TEXT = '{"version":"1.1","host":"e.com","short_message":"hi","timestamp":1385053862.3072,"level":1,"_user_id":9001}'

test("a message becomes headers and fields", function()
    local m = decode(TEXT)
    equal({ m.Timestamp, m.EnvVersion, m.Severity, m.Hostname, m.Type, m.Payload },
        { 1385053862307200000, "1.1", 1, "e.com", "in" })
    equal(harness.fields(m), { short_message = "hi", _user_id = 9001 })
end)

test("type and payload as configured", function()
    local m = decode(TEXT, { type = "graylog", payload_keep = true })
    equal({ m.Type, m.Payload }, { "graylog", TEXT })
end)

test("what is no flat object with a time fails", function()
    for text, reason in pairs {
        ["{"] = "Failed to decode JSON.", ["1"] = "Failed to decode JSON.", ["[]"] = "Failed to decode timestamp.",
        ['{"host":"h"}'] = "Failed to decode timestamp.", ['{"timestamp":"1"}'] = "Failed to decode timestamp.",
        ['{"timestamp":1,"a":{"b":1}}'] = "Failed to inject message.",
        ['{"timestamp":1,"a":[1,"x"]}'] = "Failed to inject message.",
    } do
        local _, err = decode(text)
        equal(err, "Failed parsing: " .. reason .. " payload: " .. text)
    end
    equal(harness.fields(decode('{"timestamp":1,"a":[1,2],"b":null}')), { a = { 1, 2 } })
end)

harness.finish()
