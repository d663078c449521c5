-- What a match costs with C LPeg: lua5.1 grammars.lua BENCH.tsv, beside `cargo bench --bench grammars`.

local lpeg = require "lpeg"

local functions = setmetatable({
   tonumber = tonumber,
   keep = function(_, _, ...) return true, ... end,
}, {__index = lpeg})

local rounds, bytes = 300, 1e5

for line in io.lines(arg[1]) do
   local name, expr, subject = line:match("^([^\t]+)\t([^\t]+)\t([^\t]+)$")
   subject = subject:gsub("\\(.)", "%1")
   local pattern = setfenv(assert(loadstring("return P(" .. expr .. ")")), functions)()
   local match = lpeg.match
   local times = math.floor(bytes / #subject)
   assert(match(pattern, subject), name)
   local best = math.huge
   for _ = 1, rounds do
      local begun = os.clock()
      for _ = 1, times do match(pattern, subject) end
      best = math.min(best, (os.clock() - begun) / times)
   end
   print(("%-32s %9.1f ns %6d B"):format(name, best * 1e9, #subject))
end
