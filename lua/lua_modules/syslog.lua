-- Grammars (LPeg) for what rsyslog writes, built from its string templates; and the names of severities.
--
-- Here: build_rsyslog_grammar(template), severity, facility. Not here: the texts of single programs (syslog_message).
--
-- Configuration: none. Use:
--   local syslog = require "syslog"
--   local grammar = syslog.build_rsyslog_grammar("<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\n")
--   local t = grammar:match(line)   -- nil, or {pri = {facility =, severity =}, timestamp = ns, syslogtag = {..}, ..}
--
-- How a template is read: a white space character matches exactly one white space character of any kind; other text
-- matches itself; %property:from:to:options% matches the property's own form, and its name in lower case is the key.
-- from and to are ignored; of the options count sp-if-no-1st-sp (one or more spaces, without a value) and date-*.
-- msg reaches to the text that follows it in the template, and to the end of the line where no text follows.
-- A value of structured-data is {} for "-", or the element as {id =, _parameter = value}; further elements are kept in
-- the same form at [1], [2], ..

local l = require "lpeg"
local math = require "math"
local string = require "string"
local table = require "table"
local dt = require "date_time"
local ip = require "ip_address"

local P, R, S, C, Cc, Cf, Cg, Cs, Ct = l.P, l.R, l.S, l.C, l.Cc, l.Cf, l.Cg, l.Cs, l.Ct
local char, gmatch, lower, match, sub, upper = string.char, string.gmatch, string.lower, string.match, string.sub,
    string.upper
local error, floor, ipairs, pairs, sort, tonumber = error, math.floor, ipairs, pairs, table.sort, tonumber
local time_to_ns = dt.time_to_ns

local M = {}

local digit, space = R "09", S " \t\n\v\f\r"
local printable = R "!~"

-- Names -----------------------------------------------------------------------------------------------------------

-- Any of the names in lower or upper case, as its number; longer names come before their beginnings.
local function names(numbers)
    local list = {}
    for name in pairs(numbers) do list[#list + 1] = name end
    sort(list, function(a, b) return a > b end)
    local pattern = P(false)
    for _, name in ipairs(list) do pattern = pattern + (P(name) + P(upper(name))) * Cc(numbers[name]) end
    return pattern
end

--- A severity by name, as its number.
M.severity = names {
    debug = 7, info = 6, notice = 5, warning = 4, warn = 4, error = 3, err = 3, crit = 2, alert = 1, emerg = 0,
    panic = 0,
}

--- A facility by name, as its number.
M.facility = names {
    kern = 0, user = 1, mail = 2, daemon = 3, auth = 4, security = 4, syslog = 5, lpr = 6, news = 7, uucp = 8,
    cron = 9, authpriv = 10, ftp = 11, ntp = 12, audit = 13, alert = 14, clock = 15, local0 = 16, local1 = 17,
    local2 = 18, local3 = 19, local4 = 20, local5 = 21, local6 = 22, local7 = 23,
}

-- Properties ------------------------------------------------------------------------------------------------------

local function up_to(n)
    return C(printable ^ -n)
end

local number = digit ^ 1 / tonumber
local priority = (digit * digit ^ -2) / function(text)
    local n = tonumber(text)
    return { facility = floor(n / 8), severity = n % 8 }
end
local no_priority = P(true) / function() return { facility = 0, severity = 0 } end
local severity_digit = R "07" / tonumber

local program = (printable - S ":[") ^ 1
local tag = Ct(Cg(C(program), "programname") * ("[" * Cg(digit ^ 1 / tonumber, "pid") * "]") ^ -1) * P ":" ^ -1

local sd_name = (printable - S '=]"') ^ 1
local sd_value = Cs((P '\\"' / '"' + P "\\\\" / "\\" + P "\\]" / "]" + (1 - S '"]')) ^ 0)
local sd_param = Cg(" " * (sd_name / function(name) return "_" .. name end) * '="' * sd_value * '"')
local function set(t, name, value)
    t[name] = value
    return t
end
local sd_element = "[" * Cf(Ct(Cg(C(sd_name), "id")) * sd_param ^ 0, set) * "]"
local structured_data = Ct "" * "-" + Cf(sd_element * Cg(sd_element) ^ 0, function(first, further)
    first[#first + 1] = further
    return first
end)

local month, day, hour = "0" * R "19" + "1" * R "02", "0" * R "19" + R "12" * digit + "3" * R "01",
    R "01" * digit + "2" * R "03"
local year, minute = digit * digit * digit * digit, R "05" * digit
local two_digits_padded = C(S " 0123" * digit)

local properties = {
    pri = priority + no_priority,
    ["pri-text"] = M.facility * "." * M.severity * "<" * digit ^ 1 * ">" / function(facility, severity)
        return { facility = facility, severity = severity }
    end,
    syslogtag = tag,
    hostname = up_to(255),
    source = up_to(255),
    fromhost = up_to(255),
    ["fromhost-ip"] = C(ip.v4 + ip.v6),
    programname = C(program),
    rawmsg = C(P(1) ^ 0),
    ["app-name"] = up_to(48),
    procid = up_to(128),
    msgid = up_to(32),
    inputname = C(printable ^ 0),
    iut = C(digit ^ 1),
    ["protocol-version"] = C(digit ^ 1),
    syslogfacility = digit * digit ^ -2 / tonumber,
    ["syslogfacility-text"] = M.facility,
    syslogseverity = severity_digit,
    ["syslogseverity-text"] = M.severity,
    syslogpriority = severity_digit,
    ["syslogpriority-text"] = M.severity,
    ["structured-data"] = structured_data,
    ["$now"] = C(year * "-" * month * "-" * day),
    ["$year"] = C(year),
    ["$month"] = C(month),
    ["$day"] = C(day),
    ["$hour"] = C(hour),
    ["$hhour"] = C(R "01"),
    ["$qhour"] = C(R "03"),
    ["$minute"] = C(minute),
    ["$bom"] = C "\239\187\191",
    msg = true,
}
local time_properties = { timestamp = "timestamp", timereported = "timestamp", timegenerated = "timegenerated" }

local rfc3164 = dt.rfc3164_timestamp / time_to_ns
local dates = {
    ["date-rfc3164"] = rfc3164,
    ["date-rfc3164-buggyday"] = rfc3164,
    ["date-rfc3339"] = dt.rfc3339 / time_to_ns,
    ["date-mysql"] = dt.mysql_timestamp / time_to_ns,
    ["date-pgsql"] = dt.pgsql_timestamp / time_to_ns,
    ["date-unixtimestamp"] = digit ^ 1 / dt.seconds_to_ns,
}
local subseconds = digit ^ 1 / function(text) return tonumber("0." .. text) end

-- Templates -------------------------------------------------------------------------------------------------------

-- The options of what stands between the first colon and the closing %.
local function find_options(rest)
    if not rest then return "" end
    if sub(rest, 1, 2) == "R," then return match(rest, "%-%-end:(.*)$") or "" end
    return match(rest, "^[^:]*:[^:]*:(.*)$") or ""
end

local function property_token(name, rest)
    name = lower(name)
    local options = find_options(rest)
    local token = { property = name }
    local is_time = time_properties[name]
    if not is_time and not properties[name] then error("invalid rsyslog property: '" .. name .. "'", 0) end
    if options == "sp-if-no-1st-sp" then
        token.pattern = P " " ^ 1
        return token
    end
    if not is_time then
        if name ~= "msg" then token.pattern = Cg(properties[name], name) end
        return token
    end
    local form = rfc3164
    for option in gmatch(options, "[^,]+") do
        if option == "date-subseconds" then
            token.pattern = Cg(subseconds, is_time .. "-subseconds")
            return token
        end
        form = dates[option] or form
    end
    token.pattern = Cg(form, is_time)
    return token
end

local escapes = { n = "\n", t = "\t", r = "\r", ['"'] = '"', ["'"] = "'", ["\\"] = "\\", ["%"] = "%", a = "\a",
    b = "\b", f = "\f", v = "\v" }
local property_name = (R("09", "az", "AZ") + S "$!_.-") ^ 1
local property = "%" * C(property_name) * (":" * C((1 - P "%") ^ 0)) ^ -1 * "%" / property_token
local literal_char = C(1 - (space + S "%\\")) + "\\" * (C(S "ntr\"'\\%abfv") / escapes
    + digit * digit ^ -2 / function(text)
        local code = tonumber(text)
        if code > 255 then error("could not parse the rsyslog template", 0) end
        return char(code)
    end)
local literal = Cf(literal_char ^ 1, function(a, b) return a .. b end)
    / function(text) return { text = text, pattern = P(text) } end
local white = C(space) / function(text) return { white = text, pattern = space } end
local tokens = Ct((white + property + literal) ^ 1) * -1

-- What ends the message that stands before `list[at]`: the text that follows. White space alone says nothing, as
-- messages are full of it; then the line ends the message.
local function message_end(list, at)
    local pattern = P(true)
    while list[at] do
        local token = list[at]
        if token.text then return pattern * token.pattern end
        if not token.white or token.white == "\n" then break end
        pattern = pattern * space
        at = at + 1
    end
    return P "\n"
end

--- The table grammar of the lines that rsyslog writes by this template; raises if it does not understand it.
function M.build_rsyslog_grammar(template)
    local list = template and tokens:match(template)
    if not list then error("could not parse the rsyslog template", 0) end
    local grammar = P(true)
    for at, token in ipairs(list) do
        local pattern = token.pattern
        if not pattern then pattern = Cg(C((1 - message_end(list, at + 1)) ^ 0), "msg") end
        grammar = grammar * pattern
    end
    return Ct(grammar)
end

return M
