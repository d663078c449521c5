-- The alert encoder: an alert as text for people.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local function encode(message)
    return harness.load("lua_encoders/alert.lua"):encode(message)
end

test("time, host, plugin and text stand on lines of their own", function()
    equal(encode { Timestamp = 1400077218000000000, Hostname = "h1", Logger = "FxaX", Payload = "down" },
        "Timestamp: 2014-05-14T14:20:18Z\nHostname: h1\nPlugin: FxaX\nAlert: down\n")
end)

test("what is not set is empty", function()
    equal(encode { Timestamp = 0 }, "Timestamp: 1970-01-01T00:00:00Z\nHostname: \nPlugin: \nAlert: \n")
end)

test("the last nanoseconds of a second round up", function()
    equal(encode({ Timestamp = 1400077218999999999 }):sub(1, 31), "Timestamp: 2014-05-14T14:20:19Z")
end)

harness.finish()
