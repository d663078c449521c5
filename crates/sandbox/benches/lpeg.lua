-- Patterns over the lines of an access log, in the sandbox and with C LPeg: lua5.1 lpeg.lua LOG MODULES CASE.
--
-- Prints nanoseconds per line: time of the processor, best of some rounds, of the case of that number. In the sandbox it
-- prints the names of the cases, and process_message(number) measures one.

if arg then package.path = arg[2] .. "/?.lua" end
require "io" require "string" require "table" require "os" require "math"
local lpeg = require "lpeg"
local C, Cf, Cg, Cmt, Cs, Ct, P, R, S = lpeg.C, lpeg.Cf, lpeg.Cg, lpeg.Cmt, lpeg.Cs, lpeg.Ct, lpeg.P, lpeg.R, lpeg.S

local lines_max, rounds = 2000, 6

local lines = {}
for line in io.lines(arg and arg[1] or read_config("log")) do
   lines[#lines + 1] = line
   if #lines == lines_max then break end
end

-- One pattern without captures, and the same with whatever `field` makes of each field.
local function combined(field)
   local text, digits = (1 - P" ") ^ 1, R"09" ^ 1
   local quoted = (1 - P'"') ^ 0
   return field(text, "addr") * " " * field(text, "ident") * " " * field(text, "user")
      * " [" * field((1 - P"]") ^ 1, "time") * "] \"" * field(quoted, "request") * "\" "
      * field(digits, "status") * " " * field(digits + "-", "bytes")
      * " \"" * field(quoted, "referer") * "\" \"" * field(quoted, "agent") * '"' * -1
end

local function plain(pattern) return pattern end
local function named(pattern, name)
   return name == "ident" and pattern or Cg(C(pattern), name)
end
local function listed(pattern) return C(pattern) end
local function numbers(pattern, name)
   if name == "status" or name == "bytes" then return Cg(pattern / tonumber, name) end
   return named(pattern, name)
end

local clf = require "common_log_format"
local format = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
   .. '"$http_referer" "$http_user_agent"'

local word = C(R("az", "AZ") ^ 1)
local cases = {
   {"no captures", combined(plain)},
   {"9 captures", combined(listed)},
   {"8 fields of a table", Ct(combined(named))},
   {"8 fields, 2 numbers", Ct(combined(numbers))},
   {"nginx grammar", clf.build_nginx_grammar(format)},
   {"words in a table", Ct((word + 1) ^ 0)},
   {"substitution", Cs((P'"' / "'" + P" " / "%0%0" + 1) ^ 0)},
   {"fold", Cf(C("") * (word / function() return 1 end + 1) ^ 0, function(first) return first end)},
   {"match-time", (Cmt(C(R("az", "AZ") ^ 1), function() return true end) + 1) ^ 0},
   {"last field by rule", P{"S", S = '"' * C((1 - P'"') ^ 0) * '"' * -1 + 1 * lpeg.V"S"}},
}

local function measure(pattern)
   local best, match = math.huge, lpeg.match
   for _ = 1, rounds do
      local begun = os.clock()
      for index = 1, #lines do match(pattern, lines[index]) end
      best = math.min(best, os.clock() - begun)
   end
   return best / #lines * 1e9
end

function process_message(number)
   print(measure(cases[number][2]))
   return 0
end

for _, case in ipairs(cases) do
   assert(lpeg.match(case[2], lines[1]), case[1])
   if not arg then print(case[1]) end
end
if arg then process_message(tonumber(arg[3])) end
