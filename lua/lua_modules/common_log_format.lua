-- Grammars (LPeg) for the access logs of nginx and Apache, built from the server's own log format.
--
-- Here: build_nginx_grammar(format), build_apache_grammar(format), nginx_error_grammar, normalize_user_agent(ua).
-- Not here: messages (the decoders nginx_access, apache_access and nginx_error make those).
--
-- Configuration: none. Use:
--   local clf = require "common_log_format"
--   local grammar = clf.build_nginx_grammar('$remote_addr [$time_local] "$request" $status')
--   local fields = grammar:match(line)        -- nil, or {remote_addr = {value =, representation =}, time = ns, ..}
--
-- How a format is read, from left to right: white space matches one or more white space characters; other text
-- matches itself; a variable with a known type matches that type. Any other variable is text up to the character
-- that ended the literal before it, at first white space: hence "$request" and $a $b work and [$a] does not. After
-- a quotation mark it is the text up to the next one that has no backslash before it.
-- What has matched is never tried in another way.

local l = require "lpeg"
local string = require "string"
local dt = require "date_time"
local ip = require "ip_address"

local P, R, S, C, Cc, Cf, Cg, Cmt, Ct = l.P, l.R, l.S, l.C, l.Cc, l.Cf, l.Cg, l.Cmt, l.Ct
local byte, char, find, gsub, lower, match, sub = string.byte, string.char, string.find, string.gsub,
    string.lower, string.match, string.sub
local error, ipairs, tonumber = error, ipairs, tonumber
local time_to_ns = dt.time_to_ns

local M = {}

-- The types of variables ------------------------------------------------------------------------------------------

local digit, space = R "09", S " \t\n\v\f\r"
local digits = digit ^ 1
local integer = digits / tonumber
local double = digits * "." * digits / tonumber
local status = digit * digit * digit / tonumber
local dash_zero = "-" * Cc(0)

-- A value with its representation: {value =, representation =}.
local function with(pattern, representation)
    return Ct(Cg(pattern, "value") * Cg(Cc(representation), "representation"))
end

local bytes = with(integer, "B")
local seconds = with(double, "s")
local escaped = "%" * R("09", "af", "AF") * R("09", "af", "AF")
local host_name = (R("09", "az", "AZ") + S "-._~!$&'()*+,;=" + escaped) ^ 1
local host = with(C(ip.v4), "ipv4") + with(C(ip.v6), "ipv6") + with(C(host_name), "hostname")

local method = C((R "AZ" + S "-_") ^ 1)
local protocol = C("HTTP/" * digits * "." * digits)

-- The time stamps of access logs, much faster than by dt.clf_timestamp: the form is checked without captures, and
-- the day and its offset are converted only when they change.
local month = P "Jan" + "Feb" + "Mar" + "Apr" + "May" + "Jun" + "Jul" + "Aug" + "Sep" + "Oct" + "Nov" + "Dec"
local number_00_23, number_00_59 = R "01" * digit + "2" * R "03", R "05" * digit
local clf_form = ("0" * R "19" + R "12" * digit + "3" * R "01") * "/" * month * "/" * digit * digit * digit * digit
    * ":" * number_00_23 * ":" * number_00_59 * ":" * (number_00_59 + "60") * " "
    * S "+-" * number_00_23 * number_00_59
local last_day, last_offset, midnight

local function clf_to_ns(stamp)
    local day, offset = sub(stamp, 1, 11), sub(stamp, 22)
    if day ~= last_day or offset ~= last_offset then
        local ns = time_to_ns(dt.clf_timestamp:match(day .. ":00:00:00 " .. offset))
        if not ns then return nil end
        midnight, last_day, last_offset = ns / 1e9, day, offset
    end
    local h1, h2, _, m1, m2, _, s1, s2 = byte(stamp, 13, 20)
    -- 1933008 is what six zeros add up to as character codes: 48 * (36000 + 3600 + 600 + 60 + 10 + 1).
    return (midnight + h1 * 36000 + h2 * 3600 + m1 * 600 + m2 * 60 + s1 * 10 + s2 - 1933008) * 1e9
end

local clf_time = C(clf_form) / clf_to_ns

-- Text up to the terminator: the last byte of the literal before, or white space.
local white = {}
local texts = {
    [white] = C((1 - space) ^ 0),
    ['"'] = C((1 - S '"\\') ^ 0 * (P "\\" * 1 * (1 - S '"\\') ^ 0) ^ 0),
}

local function text_until(terminator)
    local pattern = texts[terminator]
    if not pattern then
        pattern = C((1 - P(terminator)) ^ 0)
        texts[terminator] = pattern
    end
    return pattern
end

-- The tokens of a format become one pattern, in order. `state.terminator` is what ends a text variable.
local function add_white(state)
    state.pattern = state.pattern * space ^ 1
    state.terminator = white
    return state
end

local function add_literal(state, text)
    state.pattern = state.pattern * P(text)
    state.terminator = sub(text, -1)
    return state
end

local function add_variable(state, name, pattern)
    if name then
        state.pattern = state.pattern * Cg(pattern or text_until(state.terminator), name)
    else
        state.pattern = state.pattern * pattern
    end
    return state
end

local function compile(tokens, format)
    local list = format and tokens:match(format)
    if not list or #list == 0 then error("could not parse the log_format configuration", 0) end
    local state = { pattern = P(true), terminator = white }
    for _, token in ipairs(list) do token[1](state, token[2], token[3]) end
    return Ct(state.pattern)
end

-- nginx -----------------------------------------------------------------------------------------------------------

local function list_of(item)
    return item * ((P ", " + " : ") * item) ^ 0
end

local no_list = -(P ", " + " : ")

local http_date = dt.build_strftime_grammar("%a, %d %b %Y %H:%M:%S GMT")

local nginx_types = {
    time_local = clf_time,
    time_iso8601 = dt.rfc3339 / time_to_ns,
    msec = double / dt.seconds_to_ns,
    request_time = seconds,
    status = status,
    request_method = method,
    scheme = C(P "https" + "http"),
    server_protocol = protocol,
    https = C(P "on" ^ -1),
    is_args = C(P "?" ^ -1),
    request_completion = C(P "OK" ^ -1),
    pipe = C(S "p."),
    nginx_version = C(digits * "." * digits * "." * digits),
    binary_remote_addr = C(P(4)),
    upstream_addr = Ct(list_of(C((1 - S ", ") ^ 1))),
    upstream_status = Ct(list_of(status + dash_zero)),
    upstream_response_time = with(Ct(list_of(double + dash_zero)), "s"),
    upstream_response_length = C(P "-") * no_list + with(Ct(list_of(integer + dash_zero)), "B"),
    upstream_cache_status = C(P "HIT" + "MISS" + "EXPIRED" + "BYPASS" + "STALE" + "UPDATING" + "REVALIDATED" + "-"),
    upstream_cache_last_modified = C(P "-") + http_date / time_to_ns,
}
for _, name in ipairs { "remote_addr", "server_addr", "host", "hostname", "server_name", "proxy_protocol_addr" } do
    nginx_types[name] = host
end
for _, name in ipairs { "body_bytes_sent", "bytes_sent", "content_length", "request_length" } do
    nginx_types[name] = bytes
end
for _, name in ipairs { "connection", "connection_requests", "pid", "remote_port", "server_port", "tcpinfo_rtt",
    "tcpinfo_rttvar", "tcpinfo_snd_cwnd", "tcpinfo_rcv_space" } do
    nginx_types[name] = integer
end

local nginx_times = { time_local = true, time_iso8601 = true, msec = true }

local nginx_name = (R("09", "az", "AZ") + "_") ^ 1
local nginx_variable = "$" * (C(nginx_name) / function(name)
    return { add_variable, nginx_times[name] and "time" or name, nginx_types[name] }
end)
local nginx_literal = C((1 - (space + "$" * nginx_name)) ^ 1) / function(text) return { add_literal, text } end
local white_token = space ^ 1 / function() return { add_white } end
local nginx_tokens = Ct((white_token + nginx_variable + nginx_literal) ^ 1) * -1

--- The grammar of a line that nginx writes with this log_format.
function M.build_nginx_grammar(log_format)
    return compile(nginx_tokens, log_format)
end

-- Apache ----------------------------------------------------------------------------------------------------------

local bracketed_time = "[" * clf_time * "]"
local bytes_or_dash = with(integer + dash_zero, "B")

-- What a directive without argument captures: its name and its type; no type means text.
local apache_directives = {
    a = { "remote_addr", host },
    A = { "server_addr", host },
    b = { "body_bytes_sent", bytes_or_dash },
    B = { "body_bytes_sent", bytes },
    D = { "request_time", with(integer, "us") },
    f = { "request_filename" },
    h = { "remote_addr", host },
    H = { "server_protocol", protocol },
    I = { "request_length", bytes },
    k = { "connection_requests", integer },
    l = { "remote_user" },
    L = { "request_log_id" },
    m = { "request_method", method },
    O = { "response_length", bytes },
    p = { "server_port", integer },
    P = { "pid", integer },
    q = { "query_string" },
    r = { "request" },
    R = { "request_handler" },
    s = { "status", status },
    S = { "total_length", bytes },
    t = { "time", bracketed_time },
    T = { "request_time", with(integer, "s") },
    u = { "remote_user" },
    U = { "uri" },
    v = { "server_name", host },
    V = { "server_name", host },
    X = { "connection_status", C(S "X+-") },
    ["%"] = { nil, P "%" },
}

local function header_name(prefix, argument)
    return prefix .. gsub(lower(argument), "%-", "_")
end

local ports = {
    canonical = { "server_port", integer },
    ["local"] = { "server_port", integer },
    remote = { "remote_port", integer },
}
local pids = {
    pid = { "pid", integer },
    tid = { "tid", integer },
    hextid = { "tid", R("09", "af", "AF") ^ 1 / function(text) return tonumber(text, 16) end },
}
local fraction = digits / function(text) return tonumber("0." .. text) end
local times = {
    sec = { "time", integer / function(n) return n * 1e9 end },
    msec = { "time", integer / function(n) return n * 1e6 end },
    usec = { "time", integer / function(n) return n * 1e3 end },
    msec_frac = { "sec_frac", fraction },
    usec_frac = { "sec_frac", fraction },
}

-- A format may lack a date; then the line has no time and must not match.
local function custom_time(format)
    return Cmt(dt.build_strftime_grammar(format), function(_, at, t)
        local ns = time_to_ns(t)
        if not ns then return false end
        return at, ns
    end)
end

local apache_arguments = {
    a = function() return apache_directives.a end,
    C = function(argument) return { "cookie_" .. argument } end,
    e = function(argument) return { "env_" .. argument } end,
    i = function(argument) return { header_name("http_", argument) } end,
    n = function(argument) return { "module_" .. argument } end,
    o = function(argument) return { header_name("sent_http_", argument) } end,
    p = function(argument) return ports[argument] or error("unknown port format: " .. argument, 0) end,
    P = function(argument) return pids[argument] or error("unknown pid format: " .. argument, 0) end,
    t = function(argument)
        local form = match(argument, "^begin:(.*)") or match(argument, "^end:(.*)") or argument
        return times[form] or { "time", custom_time(form) }
    end,
}

local function apache_variable(argument, name)
    local directive
    if argument then
        local make = apache_arguments[name]
        directive = make and make(argument)
    else
        directive = apache_directives[name]
    end
    if not directive then error("unknown variable: " .. name, 0) end
    return { add_variable, directive[1], directive[2] }
end

local three_digits = digit * digit * digit
local modifier = P "!" ^ -1 * three_digits * ("," * three_digits) ^ 0
local apache_token = "%" * modifier ^ -1 * S "<>" ^ -1 * ("{" * C((1 - P "}") ^ 0) * "}" + Cc(nil)) * C(P(1))
    / apache_variable
local escapes = { t = "\t", n = "\n", ['"'] = '"', ["\\"] = "\\" }
local apache_char = C(1 - (space + S "%\\")) + "\\" * (C(S 'tn"\\') / escapes + digit * digit ^ -2 / function(text)
    local code = tonumber(text)
    if code > 255 then error("could not parse the log_format configuration", 0) end
    return char(code)
end)
local apache_literal = Cf(apache_char ^ 1, function(a, b) return a .. b end)
    / function(text) return { add_literal, text } end
local apache_tokens = Ct((white_token + apache_token + apache_literal) ^ 1) * -1

--- The grammar of a line that Apache writes with this LogFormat; raises on directives that it does not know.
function M.build_apache_grammar(log_format)
    return compile(apache_tokens, log_format)
end

-- The error log of nginx ------------------------------------------------------------------------------------------

local level = P(false)
for i, name in ipairs { "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug" } do
    level = level + P(name) * Cc(i - 1)
end

local error_time = dt.build_strftime_grammar("%Y/%m/%d %H:%M:%S") / time_to_ns

--- The grammar of a line in nginx's error log: {Timestamp =, Severity =, Pid =, Fields = {tid =, connection =},
--- Payload =}, without the newline at its end.
M.nginx_error_grammar = Ct(Cg(error_time, "Timestamp") * space ^ 1
    * "[" * Cg(level, "Severity") * "]" * space ^ 1
    * Cg(integer, "Pid") * "#"
    * Cg(Ct(Cg(integer, "tid") * ": " * ("*" * Cg(integer, "connection") * " ") ^ -1), "Fields")
    * Cg(C((1 - P "\n" * -1) ^ 0), "Payload"))

-- User agents -----------------------------------------------------------------------------------------------------

local systems = {
    { "iPod", "iPod" }, { "iPad", "iPad" }, { "iPhone", "iPhone" }, { "Android", "Android" },
    { "BlackBerry", "BlackBerry" }, { "Linux", "Linux" }, { "Macintosh", "Macintosh" },
    { "Mozilla/5.0 (Mobile;", "FirefoxOS" },
    { "Windows NT 10.0", "Windows 10" }, { "Windows NT 6.3", "Windows 8.1" }, { "Windows NT 6.2", "Windows 8" },
    { "Windows NT 6.1", "Windows 7" }, { "Windows NT 6.0", "Windows Vista" }, { "Windows NT 5.1", "Windows XP" },
    { "Windows NT 5.0", "Windows 2000" },
}
local browsers = {
    { "Chrome", "Chrome/(%d+)" }, { "Opera Mini", "/(%d+)[^/]*$" }, { "Opera Mobi", "/(%d+)[^/]*$" },
    { "Opera", "/(%d+)[^/]*$" }, { "MSIE", "MSIE (%d+)" }, { "Safari", "/(%d+)[^/]*$" },
    { "Firefox", "Firefox/(%d+)" },
}

local AGENTS_MAX = 500
local agent_count = 0
local agent_browsers, agent_versions, agent_systems = {}, {}, {}

local function parse_user_agent(ua)
    local browser, version, os
    for _, system in ipairs(systems) do
        if find(ua, system[1], 1, true) then
            os = system[2]
            break
        end
    end
    for _, one in ipairs(browsers) do
        if find(ua, one[1], 1, true) then
            browser, version = one[1], tonumber((match(ua, one[2])))
            break
        end
    end
    return browser, version, os
end

--- Browser, version and operating system of a User-Agent header; nil for what it does not recognise.
--- The answers for the last few hundred different headers are kept.
function M.normalize_user_agent(ua)
    local browser = agent_browsers[ua]
    if browser == nil then
        local version, os
        browser, version, os = parse_user_agent(ua)
        if agent_count == AGENTS_MAX then
            agent_count, agent_browsers, agent_versions, agent_systems = 0, {}, {}, {}
        end
        agent_count = agent_count + 1
        agent_browsers[ua], agent_versions[ua], agent_systems[ua] = browser or false, version, os
        return browser, version, os
    end
    return browser or nil, agent_versions[ua], agent_systems[ua]
end

return M
