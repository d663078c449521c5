-- Grammar (LPeg) for log events as Java's slf4j back ends often write them, with their stack traces.
--
-- Configuration: none. Use:
--   local t = require "sfl4j".logevent_grammar:match(text)
--   -- nil, or {severity = 0-7, timestamp = ns, class =, message =, stacktrace =}
--
-- An event is "LEVEL [YYYY-MM-DD hh:mm:ss,mmm] class: message" and the lines of its stack trace.

local l = require "lpeg"
local dt = require "date_time"

local P, R, S, C, Cc, Cg, Ct = l.P, l.R, l.S, l.C, l.Cc, l.Cg, l.Ct
local tonumber = tonumber

local space = S " \t"
local level = P "TRACE" * Cc(7) + P "DEBUG" * Cc(7) + P "INFO" * Cc(6) + P "WARN" * Cc(4) + P "ERROR" * Cc(3)
    + P "FATAL" * Cc(0)
local fraction = Cg(P "," * (R "09" ^ 1 / function(text) return tonumber("0." .. text) end), "sec_frac")
local time = Ct(dt.rfc3339_full_date * space ^ 1 * dt.time_hour * ":" * dt.time_minute * ":" * dt.time_second
    * fraction) / dt.time_to_ns

return {
    logevent_grammar = Ct(Cg(level, "severity") * space ^ 1 * "[" * Cg(time, "timestamp") * "]" * space ^ 1
        * Cg(C((1 - S ": \t\n") ^ 1), "class") * ":" * space ^ 0
        * Cg(C((1 - P "\n") ^ 0), "message") * P "\n" ^ -1
        * Cg(C(P(1) ^ 0), "stacktrace")),
}
