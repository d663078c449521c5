-- What a call costs with Lua 5.1's own string library: lua5.1 texts.lua BENCH.tsv, beside `cargo bench --bench texts`.
--
-- From each time that of the same loop with a function of C that does next to nothing is taken off.

local rounds, calls = 40, 20000
local clock = os.clock

local function best(run)
   local best = math.huge
   for _ = 1, rounds do
      local begun = clock()
      run()
      best = math.min(best, (clock() - begun) / calls)
   end
   return best
end

local make = {
   match = function(pattern, _, text)
      local match = string.match
      return function() for _ = 1, calls do match(text, pattern) end end
   end,
   find = function(pattern, _, text)
      local find = string.find
      return function() for _ = 1, calls do find(text, pattern) end end
   end,
   gmatch = function(pattern, _, text)
      local gmatch = string.gmatch
      return function() for _ = 1, calls do for _ in gmatch(text, pattern) do end end end
   end,
   gsub = function(pattern, replacement, text)
      local gsub = string.gsub
      return function() for _ = 1, calls do gsub(text, pattern, replacement) end end
   end,
   format = function(form, _, argument)
      local format = string.format
      argument = tonumber(argument) or argument
      return function() for _ = 1, calls do format(form, argument) end end
   end,
   tostring = function(_, _, argument)
      local tostring = tostring
      argument = tonumber(argument)
      return function() for _ = 1, calls do tostring(argument) end end
   end,
}

local len = string.len
local empty = best(function() for _ = 1, calls do len("text", "text") end end)
for line in io.lines(arg[1]) do
   local name, kind, pattern, replacement, text = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$")
   local time = best(make[kind](pattern, replacement, text)) - empty
   print(("%-28s %-9s %8.1f ns"):format(name, kind, time * 1e9))
end
