if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal, near, raises = harness.test, harness.equal, harness.near, harness.raises
local fields = harness.fields

local TRADITIONAL = [[%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\n]]

local function new(template, config)
    config = config or {}
    config.template = template
    return harness.load("lua_decoders/rsyslog.lua", config)
end

local function decode(template, line, config)
    local messages, err = new(template, config):decode { Payload = line, Type = "in", Hostname = "h0", Severity = 1 }
    return messages and messages[1], err
end

local grammar_script = harness.load("x", {}, { source = [[syslog = require "syslog"]] })
local syslog = grammar_script.env.syslog

test("the traditional format", function()
    harness.set_time(harness.utc(2014, 6, 1) * 1e9)
    local m = decode(TRADITIONAL, "Feb 10 12:58:58 testhost widget[4322]: test message.\n", { type = "t" })
    equal({ m.Timestamp, m.Type, m.Hostname, m.Pid, m.Payload, m.Severity },
        { 1392037138e9, "t", "testhost", 4322, "test message.", 1 })
    equal(fields(m), { programname = "widget" })
    equal(decode(TRADITIONAL, "Feb 10 12:58:58 testhost widget[4322]: test message."), nil, "without newline")
    equal(decode(TRADITIONAL, "Feb 10 12:58:58 testhost widget[4322]:test message.\n"), nil, "without space")
end)

test("the forward format", function()
    local template = [[<%PRI%>%TIMESTAMP:::date-rfc3339% %HOSTNAME% %syslogtag:1:32%%msg:::sp-if-no-1st-sp%%msg%\n]]
    local m = decode(template, "<28>2014-02-10T12:58:59.123456-08:00 h app: m x\n")
    near(m.Timestamp, 1392065939123456000, 128)
    equal({ m.Severity, m.Hostname, m.Payload, m.Pid }, { 4, "h", "m x" })
    equal(fields(m), { syslogfacility = 3, programname = "app" })
end)

test("the grammar keeps what the properties say", function()
    local g = syslog.build_rsyslog_grammar([[<%PRI%>%TIMESTAMP:::date-rfc3339% %HOSTNAME% %syslogtag%%msg%\n]])
    equal(g:match("<34>2015-03-02T10:00:00Z web1 su[55]: hello there\n"), {
        pri = { facility = 4, severity = 2 }, timestamp = 1425290400e9, hostname = "web1",
        syslogtag = { programname = "su", pid = 55 }, msg = " hello there",
    })
end)

test("the message ends at the text that follows it", function()
    equal(decode([[%programname%: %msg%\n]], "app: a: b\n").Payload, "a: b")
    equal(decode("%msg%|%hostname%", "a: b|h").Payload, "a: b")
    equal(decode("[%msg%] %hostname%", "[a [b] c] h").Payload, "a [b")
    equal(decode("[%msg%] %hostname%", "[a b] h").Payload, "a b")
    equal(decode("%msg% from %hostname%", "a b from h").Payload, "a b")
    equal(decode("%msg%\n", "a b\n").Payload, "a b", "a newline as such")
    equal(decode("%msg%", "a b\nc").Payload, "a b")
    equal(decode("%msg% ", "a b\n").Payload, "a b")
    equal(decode([["%msg%"]], [["a b"]]).Payload, "a b")
end)

test("times in every form", function()
    harness.set_time(harness.utc(2014, 6, 1) * 1e9)
    for template, text in pairs {
        ["%timestamp%"] = "Feb 10 12:58:58", ["%timereported:::date-rfc3164%"] = "Feb 10 12:58:58",
        ["%TIMESTAMP:::date-rfc3164-buggyday%"] = "Feb 10 12:58:58",
        ["%timestamp:::date-rfc3339%"] = "2014-02-10T12:58:58Z", ["%timestamp:::date-mysql%"] = "20140210125858",
        ["%timestamp:::date-pgsql%"] = "2014-02-10 12:58:58", ["%timestamp:::date-unixtimestamp%"] = "1392037138",
        ["%timestamp:1:10:date-rfc3339,csv%"] = "2014-02-10T12:58:58Z",
    } do
        local m = decode(template, text)
        equal({ m.Timestamp, fields(m) }, { 1392037138e9, {} }, template)
    end
    equal(fields(decode("%timegenerated%", "Feb 10 12:58:58")), { timegenerated = 1392037138e9 })
    local m = decode("%timestamp:::date-unixtimestamp%.%timestamp:::date-subseconds%", "1392037138.000250")
    equal({ m.Timestamp, fields(m) }, { 1392037138e9, { ["timestamp-subseconds"] = 0.00025 } })
    equal(decode("%timestamp%", "Xxx 10 12:58:58"), nil)
end)

test("every other property", function()
    for template, case in pairs {
        ["%fromhost% %fromhost-ip%"] = { "h 1.2.3.4", { fromhost = "h", ["fromhost-ip"] = "1.2.3.4" } },
        ["%FROMHOST-IP%"] = { "::1", { ["fromhost-ip"] = "::1" } },
        ["%app-name% %procid% %msgid%"] = { "a 1 -", { ["app-name"] = "a", procid = "1", msgid = "-" } },
        ["%inputname% %iut% %protocol-version%"] = { "imudp 1 0", { inputname = "imudp", iut = "1",
            ["protocol-version"] = "0" } },
        ["%programname%: %rawmsg%"] = { "p: x\ny", { programname = "p", rawmsg = "x\ny" } },
        ["%syslogfacility% %syslogfacility-text%"] = { "4 authpriv", { syslogfacility = 4,
            ["syslogfacility-text"] = 10 } },
        ["%pri-text%"] = { "local7.warning<188>", { ["pri-text"] = 23 } },
        ["%$now% %$year% %$month% %$day%"] = { "2014-02-10 2014 02 10", { ["$now"] = "2014-02-10", ["$year"] = "2014",
            ["$month"] = "02", ["$day"] = "10" } },
        ["%$hour%:%$minute% %$hhour% %$qhour%"] = { "23:59 1 3", { ["$hour"] = "23", ["$minute"] = "59",
            ["$hhour"] = "1", ["$qhour"] = "3" } },
        ["%$bom%x"] = { "\239\187\191x", { ["$bom"] = "\239\187\191" } },
        [ [[\%\t\"\'\\\065%iut%]] ] = { "%\t\"'\\A7", { iut = "7" } },
        ["%iut:R,ERE,0,FIELD:[a:b]--end% x"] = { "7 x", { iut = "7" } },
    } do
        local m = decode(template, case[1])
        equal(m and fields(m), case[2], template)
    end
end)

test("the limits of RFC 5424 names", function()
    for name, limit in pairs { ["app-name"] = 48, procid = 128, msgid = 32, hostname = 255 } do
        local template = "%" .. name .. "% x"
        equal(decode(template, string.rep("a", limit) .. " x") ~= nil, true, name)
        equal(decode(template, string.rep("a", limit + 1) .. " x"), nil, name)
    end
end)

test("severities", function()
    equal(decode("%syslogseverity%", "3").Severity, 3)
    equal(decode("%syslogseverity-text%", "warning").Severity, 4)
    equal(decode("%syslogpriority%", "7").Severity, 7)
    equal(decode("%syslogpriority-text%", "PANIC").Severity, 0)
    local m = decode("%syslogpriority% %syslogseverity%", "3 5")
    equal({ m.Severity, fields(m) }, { 5, {} })
    m = decode("<%pri%>%syslogseverity%", "<13>2")
    equal({ m.Severity, fields(m) }, { 5, { syslogfacility = 1, syslogseverity = 2 } })
    equal(decode("<%pri%>x", "<>x").Severity, 0)
    equal(decode("<%pri%>x", "<1234>x"), nil)
    for name, n in pairs { debug = 7, info = 6, notice = 5, warn = 4, err = 3, error = 3, crit = 2, alert = 1, EMERG = 0 } do
        equal(syslog.severity:match(name), n, name)
    end
    equal(syslog.severity:match("Debug"), nil)
end)

test("host names", function()
    local m = decode("%hostname% %source%", "a b")
    equal({ m.Hostname, fields(m) }, { "a", {} })
    equal(decode("%source%", "b").Hostname, "b")
    equal(decode("%source%", "-").Hostname, "-")
    m = decode("%hostname% %source%", "a b", { hostname_keep = true })
    equal({ m.Hostname, fields(m) }, { "h0", { hostname = "a", source = "b" } })
end)

test("structured data become fields", function()
    local template = "%msgid% %structured-data% %msg%"
    local m = decode(template, "ID47 - text")
    equal({ m.Payload, fields(m) }, { "text", { msgid = "ID47" } })
    m = decode(template, [=[ID47 [ex@1 iut="3" src="a \"b\" \\ \]"][two@1 x=""][three] text]=])
    equal(fields(m), { msgid = "ID47", ["structured-data.ex@1.iut"] = "3",
        ["structured-data.ex@1.src"] = [=[a "b" \ ]]=], ["structured-data.two@1.x"] = "",
        ["structured-data.three"] = "" })
    equal(syslog.build_rsyslog_grammar("%structured-data%"):match([=[[x@1 param="value"]]=]),
        { ["structured-data"] = { id = "x@1", _param = "value" } })
    equal(syslog.build_rsyslog_grammar("%structured-data%"):match("-"), { ["structured-data"] = {} })
end)

test("nothing stays from the message before", function()
    local d = new([[%syslogtag% %hostname%%msg%]])
    local first = d:decode({ Payload = "a[1]: h x" })[1]
    local second = d:decode({ Payload = "b: h2" })[1]
    equal({ first.Pid, first.Hostname, first.Payload }, { 1, "h", " x" })
    equal({ second.Pid, second.Hostname, second.Payload }, { nil, "h2", "" })
end)

test("bad templates stop the start", function()
    raises("invalid rsyslog property: 'nope'", new, "%NOPE%")
    for _, bad in ipairs { "", "%msg", [[\x]], [[\999]], "a%" } do
        raises("could not parse the rsyslog template", new, bad)
    end
    raises("could not parse the rsyslog template", new, nil)
end)

test("real lines of syslog files", function()
    harness.set_time(harness.utc(2006, 1, 1) * 1e9)
    local template = "%TIMESTAMP% %HOSTNAME% %syslogtag% %msg%"
    local m = decode(template, "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 "
        .. "euid=0 tty=NODEVssh ruser= rhost=218.188.2.4 ")
    equal({ m.Timestamp, m.Hostname, m.Pid, fields(m).programname, m.Payload }, { harness.utc(2006, 6, 14, 15, 16, 1) * 1e9,
        "combo", 19939, "sshd(pam_unix)",
        "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4 " })
    m = decode(template, "Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster from 173.234.31.186")
    equal({ m.Timestamp, m.Hostname, m.Pid, fields(m).programname, m.Payload }, { harness.utc(2006, 12, 10, 6, 55, 46) * 1e9,
        "LabSZ", 24200, "sshd", "Invalid user webmaster from 173.234.31.186" })
end)

test("every facility by name", function()
    local names = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock local0 local1 "
        .. "local2 local3 local4 local5 local6 local7"
    local n = 0
    for name in string.gmatch(names, "%S+") do
        equal({ syslog.facility:match(name), syslog.facility:match(string.upper(name)) }, { n, n }, name)
        equal(fields(decode("%syslogfacility-text%.", name .. ".")), { ["syslogfacility-text"] = n })
        n = n + 1
    end
    equal(syslog.facility:match("security"), 4)
end)

test("a property behind white space does not end the message", function()
    equal(decode("%msg% %iut%", "a b\n7").Payload, "a b")
    equal(decode([[%iut%\255]], "7\255") ~= nil, true)
    equal(fields(decode("%programname%%rawmsg%", "p")), { programname = "p", rawmsg = "" })
end)

harness.finish()
