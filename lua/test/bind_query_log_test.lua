-- The decoder bind_query_log and the module bind.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal
local fields = harness.fields

local function decode(line, config)
    local messages, err = harness.load("lua_decoders/bind_query_log.lua", config):decode { Payload = line, Type = "in" }
    return messages and messages[1], err
end

local LINE = "27-May-2015 21:06:49.246 queries: info: client 10.0.1.70#41242 (web.company.com): "
    .. "query: web.company.com IN A +E (10.0.1.71)"

test("a query", function()
    local m = decode(LINE, { type = "t" })
    equal({ m.Timestamp, m.Type, m.Payload }, { 1432760809e9, "t", LINE })
    equal(fields(m), { Timestamp = 1.432760809e18, ClientIP = "10.0.1.70", ClientEphemeralPort = "41242",
        FullQuery = "web.company.com", QueryName = "web", QueryDomain = "company.com", RecordClass = "IN",
        RecordType = "A", QueryFlags = { "recursion requested", "EDNS used" }, ServerRespondingIP = "10.0.1.71" })
    equal(harness.field(m, "ClientIP").representation, "ipv4")
    equal(decode(LINE).Type, "in")
end)

test("flags", function()
    local bind = harness.load("x", {}, { source = [[bind = require "bind"; lpeg = require "lpeg"]] }).env
    local flags = bind.lpeg.Ct(bind.bind.query_flags)
    equal(flags:match("-SDCT").QueryFlags, { "recursion not requested", "query signed", "DNSSEC data wanted",
        "no DNSSEC validation check", "TCP used" })
    equal(flags:match("+E(0)K").QueryFlags, { "recursion requested", "EDNS used",
        "DNS cookie without valid server part" })
    equal(flags:match(" "), nil)
    local kind = bind.lpeg.Ct(bind.bind.dns_record_type * " " * bind.bind.dns_record_class)
    equal(kind:match("DLV CH"), { RecordType = "DLV", RecordClass = "CH" })
    equal(kind:match("A XX"), nil)
end)

test("what newer servers write", function()
    local m = decode("27-May-2015 21:06:49.246 queries: info: client @0x7f2c 2001:db8::1#53 (a_b.example): "
        .. "view internal: query: a_b.example. IN HTTPS +E(0)DCV (2001:db8::2)")
    equal({ fields(m).ClientIP, harness.field(m, "ClientIP").representation, fields(m).RecordType, fields(m).FullQuery,
        fields(m).QueryDomain }, { "2001:db8::1", "ipv6", "HTTPS", "a_b.example.", "example" })
    m = decode("27-May-2015 21:06:49.246 queries: info: client 10.0.1.70#1 (github): query: github IN ANY + (10.0.1.71)")
    equal({ fields(m).QueryName, fields(m).QueryDomain, fields(m).RecordType }, { "github", nil, "ANY" })
    m = decode("27-May-2015 21:06:49.246 queries: info: client 10.0.1.70#1 (.): query: . IN NS + (10.0.1.71)")
    equal({ fields(m).FullQuery, fields(m).QueryName }, { ".", "." })
end)

test("other lines fail", function()
    for _, line in ipairs { "x", (string.gsub(LINE, " IN ", " XX ")), (string.gsub(LINE, " %+E ", " ")) } do
        equal({ decode(line) }, { nil, "Failed parsing: Failed to parse the BIND query log line. payload: " .. line })
    end
end)

harness.finish()
