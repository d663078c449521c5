-- Grammars (LPeg) for time stamps, and their conversion to nanoseconds since the epoch.
--
-- Here: the date and time forms of logs, grammars from strftime formats, time_to_ns. Not here: the zone database;
-- only numeric offsets and the zone names of North America are known, everything else counts as UTC.
--
-- Configuration: none. Use:
--   local dt = require "date_time"
--   local ns = dt.time_to_ns(dt.rfc3339:match("2015-03-02T10:00:00.5Z"))      -- 1425290400500000000
--
-- The parts (date_month, time_hour, ..) leave named captures: year, month, day, hour, min, sec (text), sec_frac,
-- offset_hour, offset_min (numbers), offset_sign, period, time_t. The whole forms wrap them in a table for time_to_ns.

local l = require "lpeg"
local os = require "os"
local string = require "string"

local P, R, S, C, Cc, Cg, Ct = l.P, l.R, l.S, l.C, l.Cc, l.Cg, l.Ct
local date, time = os.date, os.time
local error, ipairs, select, tonumber = error, ipairs, select, tonumber
local sub = string.sub

local M = {}

local digit, space, letter = R "09", S " \t\n\v\f\r", R("az", "AZ")
local digit2, digit4 = digit * digit, digit * digit * digit * digit
local number_00_23 = R "01" * digit + "2" * R "03"
local number_00_59 = R "05" * digit
local number_01_12 = "0" * R "19" + "1" * R "02"
local number_01_31 = "0" * R "19" + R "12" * digit + "3" * R "01"

-- Longer names stand before their prefixes, since the first match counts.
local function names(list)
    local out = P(false)
    for i, name in ipairs(list) do out = out + P(name) * Cc(i .. "") end
    return out
end

local MONTHS = { "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December" }
local MONTHS_SHORT = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local weekday = P "Monday" + "Tuesday" + "Wednesday" + "Thursday" + "Friday" + "Saturday" + "Sunday"
local weekday_short = P "Mon" + "Tue" + "Wed" + "Thu" + "Fri" + "Sat" + "Sun"

-- The parts -------------------------------------------------------------------------------------------------------

M.date_fullyear = Cg(C(digit4), "year")
M.date_month = Cg(C(number_01_12), "month")
M.date_mabbr = Cg(names(MONTHS_SHORT), "month")
M.date_mfull = Cg(names(MONTHS), "month")
M.date_mday = Cg(C(number_01_31), "day")
M.date_mday_sp = Cg(" " * C(R "19") + C(R "12" * digit + "3" * R "01"), "day")
M.time_hour = Cg(C(number_00_23), "hour")
M.time_minute = Cg(C(number_00_59), "min")
M.time_second = Cg(C(number_00_59 + "60"), "sec")
M.time_secfrac = Cg("." * digit ^ 1 / tonumber, "sec_frac")

local function offset(sign, hours)
    return Cg(Cc(sign), "offset_sign") * Cg(Cc(hours), "offset_hour") * Cg(Cc(0), "offset_min")
end

local offset_sign = Cg(C(S "+-"), "offset_sign")
local offset_hour = Cg(C(number_00_23) / tonumber, "offset_hour")
local offset_min = Cg(C(number_00_59) / tonumber, "offset_min")

local zone_hours = { PST = 8, PDT = 7, MST = 7, MDT = 6, CST = 6, CDT = 5, EST = 5, EDT = 4 }
M.timezone = P "UTC" * -letter * offset("+", 0)
for _, name in ipairs { "PST", "PDT", "MST", "MDT", "CST", "CDT", "EST", "EDT" } do
    M.timezone = M.timezone + P(name) * -letter * offset("-", zone_hours[name])
end
M.timezone = M.timezone + letter * letter ^ -4 * offset("+", 0)
M.timezone_offset = offset_sign * offset_hour * offset_min

-- The current year and its end, looked up once a year and not once a match.
local year_text, century_text, year_from, year_to = "", "", 0, -1

local function update_year(now)
    year_text = date("%Y", now)
    century_text = sub(year_text, 1, 2)
    local start = { year = year_text, month = 1, day = 1, hour = 0 }
    year_from = time(start)
    start.year = year_text + 1
    year_to = time(start)
end

local function current_year()
    local now = time()
    if now < year_from or now >= year_to then update_year(now) end
    return year_text
end

local function in_current_century(two_digits)
    current_year()
    return century_text .. two_digits
end

-- The whole forms -------------------------------------------------------------------------------------------------

local time_of_day = M.time_hour * ":" * M.time_minute * ":" * M.time_second

M.rfc3339_time_numoffset = offset_sign * offset_hour * ":" * offset_min
M.rfc3339_time_offset = P "Z" + M.rfc3339_time_numoffset
M.rfc3339_partial_time = time_of_day * M.time_secfrac ^ -1
M.rfc3339_full_date = M.date_fullyear * "-" * M.date_month * "-" * M.date_mday
M.rfc3339_full_time = M.rfc3339_partial_time * M.rfc3339_time_offset
M.rfc3339 = Ct(M.rfc3339_full_date * "T" * M.rfc3339_full_time)

M.rfc3164_timestamp = Ct(M.date_mabbr * space ^ 1
    * Cg(C("3" * R "01" + R "12" * digit + "0" * R "19" + R "19"), "day") * space ^ 1
    * time_of_day * Cg(P(true) / current_year, "year"))

M.clf_timestamp = Ct(M.date_mday * "/" * M.date_mabbr * "/" * M.date_fullyear * ":" * time_of_day * " "
    * M.timezone_offset)

M.mysql_timestamp = Ct(M.date_fullyear * M.date_month * M.date_mday * M.time_hour * M.time_minute * M.time_second)
M.pgsql_timestamp = Ct(M.rfc3339_full_date * " " * M.rfc3339_partial_time)

-- strftime --------------------------------------------------------------------------------------------------------

local hour_12 = "0" * R "19" + "1" * R "02"
local week_00_53 = R "04" * digit + "5" * R "03"
local second_00_61 = Cg(C(number_00_59 + "6" * R "01"), "sec")
local year_short = Cg(digit2 / in_current_century, "year")
local hour_i = Cg(C(hour_12), "hour")
local period = Cg(C(P "AM" + "PM"), "period")
local month_day_year = M.date_month * "/" * M.date_mday * "/" * year_short
local hour_min_sec = M.time_hour * ":" * M.time_minute * ":" * second_00_61

local specifiers = {
    a = weekday_short,
    A = weekday,
    b = M.date_mabbr,
    B = M.date_mfull,
    c = weekday_short * space * M.date_mabbr * space * M.date_mday_sp * space * hour_min_sec * space
        * M.date_fullyear,
    C = digit2,
    d = M.date_mday,
    D = month_day_year,
    e = M.date_mday_sp,
    F = M.rfc3339_full_date,
    g = year_short,
    G = M.date_fullyear,
    h = M.date_mabbr,
    H = M.time_hour,
    I = hour_i,
    j = "00" * R "19" + "0" * R "19" * digit + R "12" * digit2 + "3" * R "05" * digit + "36" * R "06",
    k = Cg(" " * C(digit) + C("1" * digit + "2" * R "03"), "hour"),
    l = Cg(" " * C(R "19") + C("1" * R "02"), "hour"),
    m = M.date_month,
    M = M.time_minute,
    n = P "\n",
    p = period,
    r = hour_i * ":" * M.time_minute * ":" * second_00_61 * space * period,
    R = M.time_hour * ":" * M.time_minute,
    s = Cg(digit ^ 1 / tonumber, "time_t"),
    S = second_00_61,
    t = P "\t",
    T = hour_min_sec,
    u = R "17",
    U = week_00_53,
    V = week_00_53,
    w = R "06",
    W = week_00_53,
    x = month_day_year,
    X = hour_min_sec,
    y = year_short,
    Y = M.date_fullyear,
    z = M.timezone_offset,
    Z = M.timezone,
    ["%"] = P "%",
}

local function specifier(name)
    local pattern = specifiers[name]
    if not pattern then error("unknown strftime specifier: " .. name, 0) end
    return pattern
end

local function sequence(first, ...)
    for i = 1, select("#", ...) do first = first * (select(i, ...)) end
    return first
end

local strftime_format = (("%" * C(1) / specifier + space / function() return space end + C((1 - (space + "%")) ^ 1) / P)
    ^ 1 * -1) / sequence

--- The table grammar of a strftime format; raises on a format that it does not understand.
function M.build_strftime_grammar(format)
    local pattern = format and strftime_format:match(format)
    if not pattern then error("could not parse the strftime format", 0) end
    return Ct(pattern)
end

-- Conversion ------------------------------------------------------------------------------------------------------

-- Logs come day by day: the start of the last day is kept, so that a stamp costs a few additions.
local last_year, last_month, last_day, midnight

local function start_of_day(year, month, day)
    last_year, last_month, last_day = year, month, day
    midnight = time { year = year, month = month, day = day, hour = 0 }
    return midnight
end

--- Nanoseconds of a table that a grammar of this module made; 0 for nil, nil if the table holds no full date.
--- A missing hour is 12, as in os.time; "AM" and "PM" are applied to t.hour.
function M.time_to_ns(t)
    if not t then return 0 end
    if t.time_t then return t.time_t * 1e9 end
    local year, month, day = t.year, t.month, t.day
    if not (year and month and day) then return nil end
    local half = t.period
    if half then
        local hour = tonumber(t.hour) or 12
        if half == "PM" then
            if hour < 12 then t.hour = hour + 12 end
        elseif hour == 12 then
            t.hour = 0
        end
    end
    local seconds = midnight
    if day ~= last_day or month ~= last_month or year ~= last_year then seconds = start_of_day(year, month, day) end
    if not seconds then return nil end
    seconds = seconds + (t.hour or 12) * 3600 + (t.min or 0) * 60 + (t.sec or 0)
    local sec_frac = t.sec_frac
    if sec_frac then seconds = seconds + sec_frac end
    local hours = t.offset_hour
    if hours then
        local offset = hours * 3600 + t.offset_min * 60
        if t.offset_sign == "+" then
            seconds = seconds - offset
        else
            seconds = seconds + offset
        end
    end
    return seconds * 1e9
end

--- Nanoseconds of a number of seconds, given as number or text.
function M.seconds_to_ns(seconds)
    return tonumber(seconds) * 1e9
end

return M
