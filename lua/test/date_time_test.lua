if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal, raises = harness.test, harness.equal, harness.raises

local function modules()
    local f = harness.load("modules", {}, { source = [[
dt = require "date_time"
ip = require "ip_address"
function process_message() return 0 end]] })
    return f.env.dt, f.env.ip
end
local dt, ip = modules()

local function ns(grammar, text)
    return dt.time_to_ns(grammar:match(text))
end

test("rfc3339 with fraction and offset", function()
    local t = dt.rfc3339:match("2015-03-02T10:00:00.5-02:30")
    equal(t, { year = "2015", month = "03", day = "02", hour = "10", min = "00", sec = "00", sec_frac = 0.5,
        offset_sign = "-", offset_hour = 2, offset_min = 30 })
    equal(dt.time_to_ns(t), 1425299400.5e9)
    equal(ns(dt.rfc3339, "2015-03-02T10:00:00.5Z"), 1425290400.5e9)
    equal(dt.rfc3339:match("2015-03-02t10:00:00Z"), nil)
    equal(dt.rfc3339:match("2015-13-02T10:00:00Z"), nil)
    equal(ns(dt.rfc3339, "2016-12-31T23:59:60Z"), 1483228800e9)
end)

test("the fixed forms", function()
    equal(ns(dt.clf_timestamp, "10/Feb/2014:08:46:41 -0800"), 1392050801e9)
    equal(ns(dt.mysql_timestamp, "20140210084641"), 1392022001e9)
    equal(ns(dt.pgsql_timestamp, "2014-02-10 08:46:41"), 1392022001e9)
    harness.set_time(harness.utc(2014, 7, 1) * 1e9)
    equal(ns(dt.rfc3164_timestamp, "Feb 10 08:46:41"), 1392022001e9)
    equal(ns(dt.rfc3164_timestamp, "Feb  9   08:46:41"), 1391935601e9)
    harness.set_time(harness.utc(2015, 1, 1) * 1e9)
    equal(ns(dt.rfc3164_timestamp, "Feb 10 08:46:41"), (1392022001 + 365 * 86400) * 1e9)
end)

test("the year follows the clock at match time", function()
    harness.set_time((harness.utc(2016, 1, 1) - 1) * 1e9)
    equal(dt.rfc3164_timestamp:match("Feb 10 08:46:41").year, "2015")
    harness.set_time(harness.utc(2016, 1, 1) * 1e9)
    equal(dt.rfc3164_timestamp:match("Feb 10 08:46:41").year, "2016")
    harness.set_time(harness.utc(2014, 1, 1) * 1e9)
    equal(dt.rfc3164_timestamp:match("Feb 10 08:46:41").year, "2014")
end)

test("a 12 hour strftime format", function()
    local g = dt.build_strftime_grammar("%d/%b/%Y %I:%M %p")
    equal(ns(g, "02/Mar/2015 12:30 AM"), 1425256200e9)
    equal(ns(g, "02/Mar/2015 12:30 PM"), (1425256200 + 43200) * 1e9)
    equal(ns(g, "02/Mar/2015 11:30 PM"), (1425256200 + 23 * 3600) * 1e9)
end)

test("every strftime specifier matches its text", function()
    local when = { year = "2014", month = "2", day = "10", hour = "8", min = "46", sec = "41" }
    local seconds = 1392022001
    for format, text in pairs {
        ["%Y-%m-%d %H:%M:%S"] = "2014-02-10 08:46:41",
        ["%F %T"] = "2014-02-10 08:46:41",
        ["%D %X"] = "02/10/14 08:46:41",
        ["%x %r"] = "02/10/14 08:46:41 AM",
        ["%c"] = "Mon Feb 10 08:46:41 2014",
        ["%A %B %e %k:%M:%S %G"] = "Monday February 10  8:46:41 2014",
        ["%a %h %d %l:%M:%S %p %g"] = "Mon Feb 10  8:46:41 AM 14",
        ["%s"] = "1392022001",
        ["%C %j %u %U %V %w %W %F %R:%S"] = "20 041 1 06 07 1 06 2014-02-10 08:46:41",
        ["%F%n%T%t%%"] = "2014-02-10\n08:46:41\t%",
        ["%F %T %z"] = "2014-02-10 00:46:41 -0800",
        ["%F %T %Z"] = "2014-02-10 00:46:41 PST",
        ["%Z %F %T"] = "UTC 2014-02-10 08:46:41",
        ["[%F]  %T"] = "[2014-02-10]\t 08:46:41",
    } do
        equal(ns(dt.build_strftime_grammar(format), text), seconds * 1e9, format)
    end
    equal(dt.time_to_ns(when), seconds * 1e9)
end)

test("zones", function()
    local g = dt.build_strftime_grammar("%F %T %Z")
    local base = harness.utc(2014, 2, 10) * 1e9
    for zone, hours in pairs { UTC = 0, PST = 8, PDT = 7, MST = 7, MDT = 6, CST = 6, CDT = 5, EST = 5, EDT = 4, CET = 0,
        ESTX = 0, abcde = 0 } do
        equal(ns(g, "2014-02-10 00:00:00 " .. zone), base + hours * 3600e9, zone)
    end
    equal(g:match("2014-02-10 00:00:00 7"), nil)
end)

test("bad strftime formats raise", function()
    raises("unknown strftime specifier: Q", dt.build_strftime_grammar, "%Q")
    raises("could not parse the strftime format", dt.build_strftime_grammar, "")
    raises("could not parse the strftime format", dt.build_strftime_grammar, "%Y%")
    raises("could not parse the strftime format", dt.build_strftime_grammar)
end)

test("a grammar rejects what is out of range", function()
    local g = dt.build_strftime_grammar("%H:%M:%S %j %d")
    equal(g:match("23:59:61 366 31") ~= nil, true)
    for _, text in ipairs { "24:00:00 001 01", "23:60:00 001 01", "23:00:62 001 01", "23:00:00 367 01",
        "23:00:00 000 01", "23:00:00 001 32", "23:00:00 001 00" } do
        equal(g:match(text), nil, text)
    end
end)

test("a time without a date is no time", function()
    equal(ns(dt.build_strftime_grammar("%H:%M"), "10:00"), nil)
    equal(dt.time_to_ns(nil), 0)
    equal(dt.time_to_ns { time_t = 2 }, 2e9)
    equal(dt.time_to_ns { year = 2014, month = 2, day = 10 }, harness.utc(2014, 2, 10, 12) * 1e9)
    equal(dt.seconds_to_ns("1.5"), 1.5e9)
end)

local function whole(pattern, text)
    return pattern:match(text) == #text + 1
end

test("IPv4 addresses", function()
    for _, text in ipairs { "0.0.0.0", "255.255.255.255", "10.1.199.249", "66.249.66.1" } do
        equal(whole(ip.v4, text), true, text)
    end
    for _, text in ipairs { "256.1.1.1", "1.1.1", "1.1.1.256", "01.1.1.1", "a.1.1.1" } do
        equal(whole(ip.v4, text), false, text)
    end
end)

test("IPv6 addresses", function()
    for _, text in ipairs { "1:2:3:4:5:6:7:8", "::", "::1", "::1:2", "1::", "1:2:3:4:5:6:7::", "1::8", "1:2::7:8",
        "1:2:3:4::6:7:8", "::2:3:4:5:6:7:8", "1:2:3:4:5:6::8", "fe80::0aBc:1", "::ffff:10.0.0.1",
        "1:2:3:4:5:6:10.0.0.1", "1:2::10.0.0.1", "2001:db8::", "1:2:3:4:5::7:8" } do
        equal(whole(ip.v6, text), true, text)
    end
    for _, text in ipairs { "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", ":1", "1:::2", "12345::", "g::", "1.2.3.4", "" } do
        equal(whole(ip.v6, text), false, text)
    end
end)

test("every month and weekday by name", function()
    local months = { "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December" }
    local full, short = dt.build_strftime_grammar("%d %B %Y %H"), dt.build_strftime_grammar("%d %b %Y %H")
    for month, name in ipairs(months) do
        local expected = harness.utc(2014, month, 5) * 1e9
        equal(ns(full, "05 " .. name .. " 2014 00"), expected, name)
        equal(ns(short, "05 " .. string.sub(name, 1, 3) .. " 2014 00"), expected, name)
        equal(ns(dt.clf_timestamp, "05/" .. string.sub(name, 1, 3) .. "/2014:00:00:00 +0000"), expected, name)
    end
    equal(full:match("05 Januar 2014 00"), nil)
    full, short = dt.build_strftime_grammar("%A."), dt.build_strftime_grammar("%a.")
    for _, name in ipairs { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" } do
        equal(full:match(name .. ".") ~= nil, true, name)
        equal(short:match(string.sub(name, 1, 3) .. ".") ~= nil, true, name)
        equal(full:match(string.sub(name, 1, 3) .. "."), nil, name)
    end
    equal(ns(dt.build_strftime_grammar("%s"), "7"), 7e9)
end)

harness.finish()
