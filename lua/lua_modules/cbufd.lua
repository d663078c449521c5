-- Grammar (LPeg) for the text of circular buffer deltas ("cbufd").
--
-- Configuration: none. Use:
--   local cbufd = require "cbufd"
--   local t = cbufd.grammar:match(read_message("Payload"))
--   -- nil, or {header = '{"time":..}', {time = ns, v1, v2, ..}, ..}; a value that did not change is NaN
--
-- The text is the header line and one line for each row: the row's time in seconds and its values, separated by tabs.

local l = require "lpeg"

local P, R, C, Cc, Cg, Ct = l.P, l.R, l.C, l.Cc, l.Cg, l.Ct
local tonumber = tonumber

local digits = R "09" ^ 1
local number = P "-" ^ -1 * digits * ("." * digits) ^ -1
local value = number / tonumber + P "-" ^ -1 * "nan" * Cc(0 / 0)
local time = number / function(seconds) return seconds * 1e9 end
local row = Ct(Cg(time, "time") * ("\t" * value) ^ 1) * "\n"
local header = Cg(C((1 - P "\n") ^ 1), "header") * "\n"

return { grammar = Ct(header * row ^ 1) * -1 }
