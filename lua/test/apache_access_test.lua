if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal, raises = harness.test, harness.equal, harness.raises
local field, fields = harness.field, harness.fields

local function new(config)
    if type(config) == "string" then config = { log_format = config } end
    return harness.load("lua_decoders/apache_access.lua", config)
end

local function decode(log_format, line)
    local messages, err = new(log_format):decode { Payload = line, Type = "in" }
    return messages and messages[1], err
end

test("a vhost combined line", function()
    local m = decode([[%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"]],
        [[www.example.com:443 192.0.2.1 ident frank [10/Oct/2000:13:55:36 -0700] "GET /x HTTP/1.0" 200 2326 "-" "]]
        .. [[Mozilla/4.08"]])
    equal(m.Timestamp, 971211336000000000)
    equal(m.Type, "in")
    equal(fields(m), { server_name = "www.example.com", server_port = 443, remote_addr = "192.0.2.1",
        remote_user = "frank", request = "GET /x HTTP/1.0", status = 200, response_length = 2326, http_referer = "-",
        http_user_agent = "Mozilla/4.08" })
    equal(field(m, "server_name").representation, "hostname")
    equal(field(m, "remote_addr").representation, "ipv4")
    equal(field(m, "response_length").representation, "B")
end)

test("custom times, durations and sizes", function()
    local m = decode("%{%Y-%m-%d %H:%M:%S}t.%{msec_frac}t %b %D %T", "2014-05-07 22:12:24.250 - 1500 1")
    equal(m.Timestamp, 1399500744000000000)
    equal(fields(m), { sec_frac = 0.25, body_bytes_sent = 0, request_time = 1 })
    equal({ field(m, "request_time").representation, field(m, "body_bytes_sent").representation }, { "s", "B" })
    equal(field(decode("%T %D", "1 1500"), "request_time"),
        { name = "request_time", value = { 1500 }, value_type = 3, representation = "us" })
    for format, text in pairs { ["%{sec}t"] = "1399500744", ["%{begin:msec}t"] = "1399500744000",
        ["%{end:usec}t"] = "1399500744000000", ["%{begin:%s}t"] = "1399500744",
        ["%t"] = "[07/May/2014:22:12:24 +0000]" } do
        equal(decode(format, text).Timestamp, 1399500744e9, format)
    end
    equal(decode("%{%H:%M}t", "10:00"), nil, "a time without a date")
end)

test("every directive", function()
    for format, case in pairs {
        ["%a %A"] = { "1.2.3.4 ::1", { remote_addr = "1.2.3.4", server_addr = "::1" } },
        ["%h"] = { "host.example", { remote_addr = "host.example" } },
        ["%{c}a"] = { "1.2.3.4", { remote_addr = "1.2.3.4" } },
        ["%V %v"] = { "a b", { server_name = "b" } },
        ["%B %I %O %S"] = { "1 2 3 4", { body_bytes_sent = 1, request_length = 2, response_length = 3,
            total_length = 4 } },
        ["%H %m"] = { "HTTP/1.0 GET", { server_protocol = "HTTP/1.0", request_method = "GET" } },
        ["%k %p %P"] = { "1 2 3", { connection_requests = 1, server_port = 2, pid = 3 } },
        ["%X"] = { "+", { connection_status = "+" } },
        ["%l %u"] = { "a b", { remote_user = "b" } },
        ["%r"] = { "GET", { request = "GET" } },
        ["%U %q"] = { "/x ?a=1", { uri = "/x", query_string = "?a=1" } },
        ["%f %R %L"] = { "/f h id", { request_filename = "/f", request_handler = "h", request_log_id = "id" } },
        ["%%"] = { "%", {} },
        ["%{X-Forwarded-For}i %{Set-Cookie}o"] = { "a b", { http_x_forwarded_for = "a", sent_http_set_cookie = "b" } },
        ["%{Id}C %{Env}e %{Note}n"] = { "a b c", { cookie_Id = "a", env_Env = "b", module_Note = "c" } },
        ["%{canonical}p %{remote}p"] = { "1 2", { server_port = 1, remote_port = 2 } },
        ["%{local}p"] = { "1", { server_port = 1 } },
        ["%{pid}P %{tid}P"] = { "1 2", { pid = 1, tid = 2 } },
        ["%{hextid}P"] = { "fF", { tid = 255 } },
        ["%<s %>s"] = { "200 302", { status = 302 } },
        ["%400,501{Referer}i"] = { "a", { http_referer = "a" } },
        ["%!200,304{Referer}i"] = { "a", { http_referer = "a" } },
        ["%!200>s"] = { "404", { status = 404 } },
        [ [[a\tb\"%r\"\\\065]] ] = { 'a\tb"x y"\\A', { request = "x y" } },
        ["%b"] = { "12", { body_bytes_sent = 12 } },
    } do
        local m = decode(format, case[1])
        equal(m and fields(m), case[2], format)
    end
end)

test("unknown directives stop the start", function()
    raises("unknown variable: Y", new, "%Y")
    raises("unknown variable: Y", new, "%{x}Y")
    raises("unknown variable: r", new, "%{x}r")
    raises("unknown port format: far", new, "%{far}p")
    raises("unknown pid format: x", new, "%{x}P")
    raises("unknown strftime specifier: Q", new, "%{%Q}t")
    for _, bad in ipairs { "", [[\x]], [[\999]], [[%h \]], "%" } do
        raises("could not parse the log_format configuration", new, bad)
    end
    raises("could not parse the log_format configuration", new, {})
end)

local REAL = [[%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"]]

test("real lines of an access log", function()
    local m = decode(REAL, '66.249.73.185 - - [17/May/2015:11:05:58 +0000] "GET /presentations/logstash-1/ HTTP/1.1" '
        .. '304 - "-" "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"')
    equal(m.Timestamp, 1431860758e9)
    equal(fields(m), { remote_addr = "66.249.73.185", remote_user = "-", body_bytes_sent = 0, status = 304,
        request = "GET /presentations/logstash-1/ HTTP/1.1", http_referer = "-",
        http_user_agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)" })
    -- The log's one line that was cut off.
    local cut = '46.118.127.106 - - [20/May/2015:12:05:17 +0000] "GET /scripts/grok-py-test/configlib.py HTTP/1.1" 200 '
        .. '235 "-" "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html'
    local none, err = decode(REAL, cut)
    equal({ none, err }, { nil, "Failed parsing:  payload: " .. cut })
end)

test("user agent, type and payload options", function()
    local line = '1.2.3.4 - - [17/May/2015:11:05:58 +0000] "GET / HTTP/1.1" 304 - "-" "Opera Mini"'
    local m = new({ log_format = REAL, type = "t", payload_keep = true, user_agent_transform = true })
        :decode({ Payload = line })[1]
    equal({ m.Type, m.Payload, fields(m).user_agent_browser, fields(m).user_agent_version,
        fields(m).http_user_agent }, { "t", line, "Opera Mini" })
end)

test("the user agent is kept as configured", function()
    local function agent(text, config)
        config.log_format, config.user_agent_transform = [[\"%{User-Agent}i\"]], true
        local f = fields(new(config):decode({ Payload = '"' .. text .. '"' })[1])
        return { f.http_user_agent or "gone", f.user_agent_os or "none" }
    end
    equal(agent("Firefox/1 (Linux)", {}), { "gone", "Linux" })
    equal(agent("Firefox/1 (Linux)", { user_agent_keep = true }), { "Firefox/1 (Linux)", "Linux" })
    equal(agent("Firefox/1 (Linux)", { user_agent_conditional = true }), { "gone", "Linux" })
    equal(agent("curl (Linux)", { user_agent_conditional = true }), { "curl (Linux)", "Linux" })
    equal(agent("curl (Linux)", {}), { "gone", "Linux" })
end)

harness.finish()
