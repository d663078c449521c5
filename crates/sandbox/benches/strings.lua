-- Calls of the libraries string and table, in the sandbox and in Lua 5.1: lua5.1 strings.lua ROUNDS.
--
-- In the sandbox, process_message(number) runs the case of that number, and returns how often it was done.

require "string" require "table" require "math" require "os"

local line = '192.168.1.17 - alice [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326'
local pairs_text = "level=info component=input status=200 elapsed=17 user=alice"
local short = "GET /apache_pb.gif HTTP/1.0"
local combined = '^(%S+) (%S+) (%S+) %[(.-)%] "(.-)" (%d+) (%d+)$'
local replacements = {info = "INFO", input = "INPUT", alice = "bob"}

local numbers, texts, objects = {}, {}, {}
for i = 1, 1000 do
   numbers[i] = (i * 7919) % 1009
   texts[i] = "key-" .. (i * 7919) % 1009
   objects[i] = {value = (i * 7919) % 1009}
end
local words = {}
for word in line:gmatch("%S+") do words[#words + 1] = word end

local function copy(t)
   local new = {}
   for i = 1, #t do new[i] = t[i] end
   return new
end

local function upper(word) return word:upper() end
local function less(a, b) return a < b end
local function by_value(a, b) return a.value < b.value end

-- Name, how often it is done in a round, and what is done.
local cases = {
   {"find plain, found", 20000, function(n) for _ = 1, n do line:find("HTTP", 1, true) end end},
   {"find literal, found", 20000, function(n) for _ = 1, n do line:find("HTTP") end end},
   {"find literal, near", 20000, function(n) for _ = 1, n do short:find("GET") end end},
   {"find byte", 20000, function(n) for _ = 1, n do line:find(" ") end end},
   {"find literal, absent", 20000, function(n) for _ = 1, n do line:find("POST") end end},
   {"find digits", 20000, function(n) for _ = 1, n do short:find("%d+") end end},
   {"find anchored", 20000, function(n) for _ = 1, n do short:find("^GET ") end end},
   {"match a capture", 20000, function(n) for _ = 1, n do pairs_text:match("status=(%d+)") end end},
   {"match two captures", 20000, function(n) for _ = 1, n do pairs_text:match("(%w+)=(%w+)") end end},
   {"match nothing", 20000, function(n) for _ = 1, n do pairs_text:match("^%d+") end end},
   {"match a log line", 5000, function(n) for _ = 1, n do line:match(combined) end end},
   {"gmatch pairs", 5000, function(n)
      for _ = 1, n do for key, value in pairs_text:gmatch("(%w+)=(%w+)") do end end
   end},
   {"gsub text", 5000, function(n) for _ = 1, n do pairs_text:gsub(" ", "_") end end},
   {"gsub, absent", 20000, function(n) for _ = 1, n do pairs_text:gsub("\t", " ") end end},
   {"gsub trim", 10000, function(n) for _ = 1, n do ("  text "):gsub("^%s*(.-)%s*$", "%1") end end},
   {"gsub captures", 5000, function(n) for _ = 1, n do pairs_text:gsub("(%w+)=(%w+)", "%2=%1") end end},
   {"gsub table", 5000, function(n) for _ = 1, n do pairs_text:gsub("%w+", replacements) end end},
   {"gsub function", 5000, function(n) for _ = 1, n do pairs_text:gsub("%w+", upper) end end},
   {"format %d %s", 20000, function(n) for i = 1, n do ("%d %s"):format(i, short) end end},
   {"format %.2f", 20000, function(n) for i = 1, n do ("%.2f"):format(i / 7) end end},
   {"format %g", 20000, function(n) for i = 1, n do ("%g"):format(i / 7) end end},
   {"format a line", 10000, function(n)
      for i = 1, n do ("%s [%5d] %-8s %x %03d"):format("host", i, "info", i, i % 1000) end
   end},
   {"format %q", 20000, function(n) for _ = 1, n do ("%q"):format(short) end end},
   {"len", 20000, function(n) for _ = 1, n do line:len() end end},
   {"sub", 20000, function(n) for _ = 1, n do line:sub(5, 12) end end},
   {"byte", 20000, function(n) for _ = 1, n do line:byte(5) end end},
   {"char", 20000, function(n) for _ = 1, n do string.char(72, 105) end end},
   {"lower", 20000, function(n) for _ = 1, n do line:lower() end end},
   {"rep", 20000, function(n) for _ = 1, n do ("ab"):rep(20) end end},
   {"reverse", 20000, function(n) for _ = 1, n do short:reverse() end end},
   {"concat words", 10000, function(n) for _ = 1, n do table.concat(words, " ") end end},
   {"concat 1000 numbers", 100, function(n) for _ = 1, n do table.concat(numbers, ",") end end},
   {"insert at the end", 20000, function(n)
      local t = {} for i = 1, n do table.insert(t, i) end
   end},
   {"insert and remove", 20000, function(n)
      local t = {1, 2, 3} for i = 1, n do table.insert(t, i) table.remove(t) end
   end},
   {"insert in front, of 100", 2000, function(n)
      local t = {} for i = 1, 100 do t[i] = i end
      for i = 1, n do table.insert(t, 1, i) table.remove(t, 1) end
   end},
   {"sort 1000 numbers", 20, function(n) for _ = 1, n do table.sort(copy(numbers)) end end},
   {"sort 1000 texts", 20, function(n) for _ = 1, n do table.sort(copy(texts)) end end},
   {"sort 1000 numbers, function", 10, function(n) for _ = 1, n do table.sort(copy(numbers), less) end end},
   {"sort 1000 tables, function", 10, function(n) for _ = 1, n do table.sort(copy(objects), by_value) end end},
   {"sort 10 numbers, function", 2000, function(n)
      for _ = 1, n do table.sort({5, 3, 8, 1, 9, 2, 7, 4, 6, 0}, less) end
   end},
   {"foreach, of 1000", 100, function(n) for _ = 1, n do table.foreach(numbers, function() end) end end},
   {"unpack 10", 20000, function(n) for _ = 1, n do unpack(words) end end},
}

-- Also for the names, without a number.
function process_message(number)
   local case = cases[number]
   if not case then return -1, nil end
   case[3](case[2])
   return -1, case[1] .. "=" .. case[2]
end

if arg then
   local rounds = tonumber(arg[1]) or 10
   for _, case in ipairs(cases) do
      local best = math.huge
      for _ = 1, rounds do
         local before = os.clock()
         case[3](case[2])
         best = math.min(best, os.clock() - before)
      end
      print(("%s\t%.3f"):format(case[1], best / case[2] * 1e9))
   end
end
