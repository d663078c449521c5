if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal, raises = harness.test, harness.equal, harness.raises
local field, fields = harness.field, harness.fields

local COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    .. '"$http_user_agent"'
local LINE = '127.0.0.1 - - [10/Feb/2014:08:46:41 -0800] "GET / HTTP/1.1" 304 0 "-" "Mozilla/5.0 (X11; Ubuntu; '
    .. 'Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0"'
local AGENT = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0"

local function new(config)
    if type(config) == "string" then config = { log_format = config } end
    return harness.load("lua_decoders/nginx_access.lua", config)
end

local function decode(log_format, line)
    local messages, err = new(log_format):decode { Payload = line, Type = "in", Logger = "l" }
    return messages and messages[1], err
end

test("a combined line with the user agent transformed", function()
    local d = new { log_format = COMBINED, user_agent_transform = true, type = "combined" }
    local messages = d:decode { Payload = LINE, Type = "in", Logger = "l" }
    equal(#messages, 1)
    local m = messages[1]
    equal(m.Timestamp, 1392050801000000000)
    equal({ m.Type, m.Logger, m.Payload }, { "combined", "l" })
    equal(fields(m), { remote_addr = "127.0.0.1", remote_user = "-", request = "GET / HTTP/1.1", status = 304,
        body_bytes_sent = 0, http_referer = "-", user_agent_browser = "Firefox", user_agent_version = 26,
        user_agent_os = "Linux" })
    equal(field(m, "remote_addr").representation, "ipv4")
    equal(field(m, "body_bytes_sent").representation, "B")
    equal(field(m, "status").value_type, 3)
end)

test("without a type the input's stays, and payload_keep keeps the line", function()
    local d = new { log_format = COMBINED, payload_keep = true }
    local m = d:decode { Payload = LINE, Type = "in" }[1]
    equal({ m.Type, m.Payload }, { "in", LINE })
    equal(fields(m).http_user_agent, AGENT)
end)

test("the user agent is kept as configured", function()
    local unknown = string.gsub(LINE, "Mozilla/.*", 'curl (Linux)"')
    local function agent(keep, conditional, line)
        local d = new { log_format = COMBINED, user_agent_transform = true, user_agent_keep = keep,
            user_agent_conditional = conditional }
        local f = fields(d:decode({ Payload = line })[1])
        return { f.http_user_agent or "gone", f.user_agent_os or "none" }
    end
    equal(agent(false, false, LINE), { "gone", "Linux" })
    equal(agent(true, false, LINE), { AGENT, "Linux" })
    equal(agent(false, true, LINE), { "gone", "Linux" })
    equal(agent(false, true, unknown), { "curl (Linux)", "Linux" })
    equal(agent(false, false, unknown), { "gone", "Linux" })
end)

test("upstream lists", function()
    local m = decode("$msec $request_time $upstream_addr $upstream_status $upstream_response_time",
        "1399500744.123 0.005 10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 200, 502 : 200 0.001, 0.002 : 0.003")
    equal(m.Timestamp, 1399500744122999808)
    equal(fields(m), { request_time = 0.005, upstream_addr = { "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80" },
        upstream_status = { 200, 502, 200 }, upstream_response_time = { 0.001, 0.002, 0.003 } })
    equal(field(m, "request_time").representation, "s")
    equal(field(m, "upstream_response_time").representation, "s")
    m = decode("$upstream_addr $upstream_status $upstream_response_time $upstream_response_length", "- - - -")
    equal(fields(m), { upstream_addr = "-", upstream_status = 0, upstream_response_time = 0,
        upstream_response_length = "-" })
    m = decode("$upstream_response_length.", "12, -, 7.")
    equal(field(m, "upstream_response_length"), { name = "upstream_response_length", value = { 12, 0, 7 },
        value_type = 3, representation = "B" })
end)

test("time and host", function()
    local m = decode("$remote_addr [$time_local] \"$request\" $status $request_time",
        '10.0.0.9 [02/Mar/2015:10:00:00 +0100] "GET /a HTTP/1.1" 404 0.012')
    equal({ m.Timestamp, fields(m).status, fields(m).request }, { 1425286800e9, 404, "GET /a HTTP/1.1" })
    for text, representation in pairs { ["10.0.0.1"] = "ipv4", ["::1"] = "ipv6", ["2001:db8::1:2"] = "ipv6",
        ["www.example.com"] = "hostname", ["-"] = "hostname" } do
        m = decode("$host $status", text .. " 200")
        equal({ field(m, "host").value[1], field(m, "host").representation }, { text, representation })
    end
    equal(decode("$host $status", "66.249.66.1.example.com 200"), nil)
    equal(decode("$time_iso8601", "2014-02-10T08:46:41-08:00").Timestamp, 1392050801e9)
    equal(decode("$status", "200").Timestamp, 1500000000e9)
    equal(decode("$upstream_cache_last_modified", "Mon, 10 Feb 2014 08:46:41 GMT").Fields[1].value[1], 1392022001e9)
    equal(decode("$upstream_cache_last_modified", "-").Fields[1].value[1], "-")
end)

test("times that are not times fail", function()
    for _, stamp in ipairs { "10/Feb/2014:24:46:41 -0800", "10/Foo/2014:08:46:41 -0800", "32/Feb/2014:08:46:41 -0800",
        "10/Feb/2014:08:60:41 -0800", "10/Feb/2014:08:46:41 0800", "10/Feb/2014:08:46" } do
        equal(decode("[$time_local]", "[" .. stamp .. "]"), nil, stamp)
    end
end)

test("stamps of different days and zones do not mix", function()
    local d = new "$time_local"
    for stamp, seconds in pairs {
        ["10/Feb/2014:08:46:41 -0800"] = 1392050801, ["10/Feb/2014:08:46:41 +0000"] = 1392022001,
        ["11/Feb/2014:00:00:00 -0800"] = 1392105600, ["10/Feb/2014:23:59:60 -0800"] = 1392105600,
        ["10/Feb/2014:10:01:02 +0530"] = 1392006662,
    } do
        equal(d:decode({ Payload = stamp })[1].Timestamp, seconds * 1e9, stamp)
    end
end)

test("text ends where the literal before it says", function()
    equal(decode("[$foo]", "[bar]"), nil)
    equal(fields(decode("|$foo|", "|a b|")), { foo = "a b" })
    equal(fields(decode("$foo $bar", "a  b")), { foo = "a", bar = "b" })
    equal(fields(decode('"$foo" "$bar"', [["a \"b\" c" ""]])), { foo = [[a \"b\" c]], bar = "" })
    equal(fields(decode('"$foo" $bar', [["a\\" b]])), { foo = [[a\\]], bar = "b" })
    equal(decode("$remote_addr $remote_user $status", "1.2.3.4 bob smith 200"), nil)
    equal(fields(decode("${foo} $bar", "${foo} x")), { bar = "x" })
    equal(fields(decode("$foo $foo", "a b")), { foo = "b" })
    equal(fields(decode("$foo", "a trailing text")), { foo = "a" })
end)

test("constrained texts", function()
    for format, texts in pairs {
        ["$https$is_args$request_completion"] = { ["on?OK"] = { https = "on", is_args = "?", request_completion = "OK" },
            [""] = { https = "", is_args = "", request_completion = "" } },
        ["$pipe $scheme"] = { ["p https"] = { pipe = "p", scheme = "https" }, [". http"] = { pipe = ".", scheme = "http" } },
        ["$nginx_version"] = { ["1.10.3"] = { nginx_version = "1.10.3" } },
        ["$server_protocol $request_method"] = {
            ["HTTP/1.1 GET"] = { server_protocol = "HTTP/1.1", request_method = "GET" },
            ["HTTP/2.0 PATCH"] = { server_protocol = "HTTP/2.0", request_method = "PATCH" } },
        ["$upstream_cache_status"] = { REVALIDATED = { upstream_cache_status = "REVALIDATED" } },
        ["$connection $pid $remote_port"] = { ["1 2 3"] = { connection = 1, pid = 2, remote_port = 3 } },
    } do
        for text, expected in pairs(texts) do equal(fields(decode(format, text)), expected, format) end
    end
    for format, text in pairs { ["$status"] = "20", ["$request_time"] = "1", ["$scheme"] = "ftp",
        ["$nginx_version"] = "1.2", ["$server_protocol"] = "FTP/1.0", ["$body_bytes_sent"] = "-" } do
        equal(decode(format, text), nil, format)
    end
end)

test("a line that does not match fails without a text", function()
    local _, err = decode(COMBINED, "nonsense")
    equal(err, "Failed parsing:  payload: nonsense")
end)

test("a message too large for the output fails and the decoder lives", function()
    local d = harness.load("lua_decoders/nginx_access.lua", { log_format = "$a" }, { output_limit = 100 })
    local _, err = d:decode { Payload = string.rep("x", 200) }
    equal(string.sub(err, 1, 61), "Failed parsing: inject_message() output_limit exceeded payloa")
    equal(#d:decode { Payload = "x" }, 1)
end)

test("a missing format stops the start", function()
    raises("could not parse the log_format configuration", new, {})
    raises("could not parse the log_format configuration", new, "")
end)

test("user agents", function()
    local clf = harness.load("x", {}, { source = [[clf = require "common_log_format"]] }).env.clf
    for ua, expected in pairs {
        [AGENT] = { "Firefox", 26, "Linux" },
        ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) "
            .. "Chrome/32.0.1700.77 Safari/537.36"] = { "Chrome", 32, "Macintosh" },
        ["Mozilla/5.0 (iPad; CPU OS 7_0 like Mac OS X) AppleWebKit/537.51.1 (KHTML, like Gecko) Version/7.0 "
            .. "Mobile/11A465 Safari/9537.53"] = { "Safari", 9537, "iPad" },
        ["Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)"] = { "MSIE", 10, "Windows 8" },
        ["Opera/9.80 (Android 2.3; Linux; Opera Mobi/ADR; U; en) Presto/2.10 Version/11.50"] =
            { "Opera Mobi", 11, "Android" },
        ["Opera/9.80 (J2ME/MIDP; Opera Mini/7.1; U; en) Presto/2.8 Version/11.10"] = { "Opera Mini", 11 },
        ["Opera/9.80 (Windows NT 6.1) Presto/2.12 Version/12.16"] = { "Opera", 12, "Windows 7" },
        ["Mozilla/5.0 (Mobile; rv:26.0) Gecko/26.0 Firefox/26.0"] = { "Firefox", 26, "FirefoxOS" },
        ["x Windows NT 10.0 y"] = { nil, nil, "Windows 10" },
        ["Firefox"] = { "Firefox" },
        ["-"] = {},
    } do
        equal({ clf.normalize_user_agent(ua) }, expected, ua)
        equal({ clf.normalize_user_agent(ua) }, expected, ua .. " again")
    end
    for i = 1, 1100 do clf.normalize_user_agent("Chrome/" .. i) end
    equal({ clf.normalize_user_agent("Chrome/3") }, { "Chrome", 3 })
end)

test("real lines of an access log", function()
    local d = new { log_format = COMBINED, user_agent_transform = true }
    local m = d:decode { Payload = '83.149.9.216 - - [17/May/2015:10:05:43 +0000] "GET /presentations/'
        .. 'logstash-monitorama-2013/images/kibana-dashboard3.png HTTP/1.1" 200 171717 '
        .. '"http://semicomplete.com/presentations/logstash-monitorama-2013/" "Mozilla/5.0 (Macintosh; Intel Mac OS X '
        .. '10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36"' }[1]
    equal(m.Timestamp, 1431857143e9)
    equal(fields(m), { remote_addr = "83.149.9.216", remote_user = "-", status = 200, body_bytes_sent = 171717,
        request = "GET /presentations/logstash-monitorama-2013/images/kibana-dashboard3.png HTTP/1.1",
        http_referer = "http://semicomplete.com/presentations/logstash-monitorama-2013/",
        user_agent_browser = "Chrome", user_agent_version = 32, user_agent_os = "Macintosh" })
end)

test("every variable with a type", function()
    local cases = { ["1.2.3.4"] = { "ipv4", "remote_addr server_addr host hostname server_name proxy_protocol_addr" },
        ["12"] = { "B", "body_bytes_sent bytes_sent content_length request_length" },
        ["012"] = { "none", "status connection connection_requests pid remote_port server_port tcpinfo_rtt "
            .. "tcpinfo_rttvar tcpinfo_snd_cwnd tcpinfo_rcv_space" } }
    for text, case in pairs(cases) do
        for name in string.gmatch(case[2], "%S+") do
            local one = field(decode("$" .. name .. ";", text .. ";"), name)
            equal({ one.value[1], one.representation or "none" }, { tonumber(text) or text, case[1] }, name)
        end
    end
    for status in string.gmatch("HIT MISS EXPIRED BYPASS STALE UPDATING REVALIDATED -", "%S+") do
        equal(fields(decode("$upstream_cache_status;", status .. ";")), { upstream_cache_status = status })
    end
    equal(fields(decode("$binary_remote_addr;", "\1\2\3\255;")), { binary_remote_addr = "\1\2\3\255" })
end)

harness.finish()
