-- Makes the cases of the tests with the answers of Lua 5.1: lua5.1 expect.lua FOLDER [SEED]
--
-- A line has a function, its arguments and, last, the answer, with tabs between. A string is written behind a `"`, with
-- `\ddd` for what is no printable byte and for `\`. An answer is `= VALUES`, `none` for nil, or `! ERROR`.

local folder = assert(arg[1], "a folder")
local seed = tonumber(arg[2] or 20110617)
local function random(count)
   seed = (seed * 16807) % 2147483647
   return seed % count
end
local function pick(list) return list[random(#list) + 1] end

local function quote(text)
   return '"' .. text:gsub("[%c\\\127-\255]", function(c) return ("\\%03d"):format(c:byte()) end)
end
local function show(value)
   if type(value) == "number" then return ("%.17g"):format(value) end
   return value == nil and "nil" or quote(value)
end

local function answer(ok, ...)
   if not ok then
      -- Without the place, and without the argument that is blamed.
      local text = tostring((...)):gsub("^[^:]+:%d+: ", ""):gsub("^bad argument #%d+ to '[^']*' %((.*)%)$", "%1")
      return "! " .. text
   end
   local values = {}
   for i = 1, select("#", ...) do values[i] = show((select(i, ...))) end
   if #values == 1 and values[1] == "nil" then return "none" end
   return "= " .. table.concat(values, " ")
end

local out
local function case(name, run, ...)
   local columns = {name}
   for i = 1, select("#", ...) do columns[i + 1] = show((select(i, ...))) end
   columns[#columns + 1] = answer(pcall(run, ...))
   out:write(table.concat(columns, "\t"), "\n")
end

local function each(text, pattern)
   local found = {}
   for a, b, c in text:gmatch(pattern) do
      found[#found + 1] = show(a) .. "," .. show(b) .. "," .. show(c)
   end
   return table.concat(found, ";")
end

local letters = {"a", "a", "b", "b", "c", "1", "2", " ", "(", ")", "-", "]", "%", "^", "$", ".", "\0", "\n", "Z", "\228"}
local items = {
   "a", "a", "b", "c", ".", ".", "%a", "%d", "%s", "%w", "%A", "%D", "%S", "%W", "%p", "%c", "%x", "%u", "%l", "%z",
   "%Z", "%P", "%U", "%L", "%X", "%C", "[ab]", "[^a]", "[^ab]", "[^abc]", "[a-c]", "[%a-]", "[]]", "[^]a]", "[a-%%]",
   "[%]]", "[%w_]", "[^%s]", "[a-]", "[-a]", "[^%w%s]", "[b-a]", "%%", "%.", "%-", "%(", "%]", "-", "]", "^", "$", "ab",
   "ba", "\228", "[\200-\255]", "[%z]", "[^%z]", "[%d%-]",
}
local repeats = {"", "", "", "*", "+", "-", "?"}
local others = {"(", "(", ")", ")", "()", "%1", "%2", "%b()", "%bab", "%baa", "%f[%w]", "%f[^a]", "%f[%z]", "%f[^%z]", "$", "^"}
local faults = {"%", "[", "[a", "[^", "[]", "%f", "%fa", "%b", "%ba", "%0", "%9", ")", "(", "[a%", "\0", "\0a", "(()"}

local function subject(count)
   local bytes = {}
   for i = 1, random(count) do bytes[i] = pick(letters) end
   return table.concat(bytes)
end

local function pattern()
   local parts, open = {}, 0
   if random(6) == 0 then parts[1] = "^" end
   for _ = 0, random(5) do
      local choice = random(12)
      if choice < 8 then
         parts[#parts + 1] = pick(items) .. pick(repeats)
      elseif choice == 8 and open == 0 or choice == 9 then
         parts[#parts + 1] = "(" .. pick(items) .. pick(repeats) .. ")"
         open = open + 1
      elseif random(3) > 0 then
         parts[#parts + 1] = pick(others)
      end
   end
   if random(5) == 0 then parts[#parts + 1] = "$" end
   if random(25) == 0 then table.insert(parts, random(#parts + 1) + 1, pick(faults)) end
   return table.concat(parts)
end

local replacements = {"x", "", "<%0>", "%1", "[%1%2]", "%%", "%", "%a", "%9", "a%1b%0c", "\0"}

local function patterns()
   for _ = 1, 3000 do
      local text, pattern = subject(14), pattern()
      local choice = random(6)
      if choice == 0 then case("find", string.find, text, pattern, random(8) - 3)
      elseif choice == 1 then case("match", string.match, text, pattern, random(8) - 3)
      elseif choice == 2 then case("gmatch", each, text, pattern)
      elseif choice == 3 then case("gsub", string.gsub, text, pattern, pick(replacements))
      elseif choice == 4 then case("gsubn", string.gsub, text, pattern, pick(replacements), random(4) - 1)
      else case("find", string.find, text, pattern, 1) end
   end
end

local function plain()
   for _ = 1, 300 do
      local text, wanted = subject(30):gsub("%W", "a"), subject(5):gsub("[^%w%z]", "b")
      case("find", string.find, text, wanted, random(4))
   end
end

-- Captures at their limit, and what people write.
local function chosen()
   local line = '203.0.113.195 - frank [10/Oct/2014:13:55:36 -0700] "GET /a.gif?x=8&y=en HTTP/1.1" 200 2326 "-" "Mozilla"'
   for _, pattern in ipairs {
      "^(%S+) (%S+) (%S+) %[([^%]]+)%] \"(%S+) (.-) (%S+)\" (%d+) (%d+) \"(.-)\" \"(.-)\"$",
      "%[(.-)%]", "\"([^\"]*)\"", "(%d+)%.(%d+)%.(%d+)%.(%d+)", "%s+$", "^%s*(.-)%s*$", "([%w_]+)=([^&%s]*)", "%f[%a]%a+",
      ".*/(.*)", "(.-)%s(.*)", "()GET()", "%d+$", "\"%s*$", ".-", ".*", "", "^", "$", "()", "%S-\"$", "([^ ]*) *", "x?.y",
   } do
      case("find", string.find, line, pattern, 1)
      case("match", string.match, line, pattern, 1)
      case("gmatch", each, line, pattern)
      case("gsub", string.gsub, line, pattern, "<%0>")
   end
   for _, count in ipairs {31, 32, 33} do
      case("match", string.match, ("a"):rep(40), ("(a)"):rep(count), 1)
      case("match", string.match, ("a"):rep(40), ("()"):rep(count) .. "a", 1)
      case("find", string.find, "b", "b" .. ("(a)"):rep(count), 1)
   end
   for init = -12, 12 do case("find", string.find, "abcabcabc", "b", init) end
   for _, text in ipairs {"a\0b", "a", "\0", "", "a\0c"} do
      for _, pattern in ipairs {"a\0b", "a\0", "\0", "a.\0b", "[a\0b]", "%\0", "%b\0", "%bx\0", "$\0", "%f\0", "a%z"} do
         case("find", string.find, text, pattern, 1)
         case("match", string.match, text, pattern, 1)
         case("gsub", string.gsub, text, pattern, "-")
      end
   end
end

local function number()
   local choice = random(9)
   if choice == 0 then return random(2000) - 1000
   elseif choice == 1 then return random(1e6) / 2 ^ random(20)
   elseif choice == 2 then return (random(2 ^ 31) - 2 ^ 30) * 10 ^ (random(40) - 20)
   elseif choice == 3 then return pick {0, -0, 1 / 0, -1 / 0, 0 / 0, 2 ^ 31, -2 ^ 31, 2 ^ 53, 2 ^ 63, -2 ^ 63, 2 ^ 64, 1e100, 5e-324, 1.7976931348623157e308}
   elseif choice == 4 then return random(1000) + 0.5
   elseif choice == 5 then return random(1e5) / 1000
   elseif choice == 6 then return 10 ^ (random(36) - 18)
   elseif choice == 7 then return random(2 ^ 31) * 2 ^ 20 + random(2 ^ 20)
   else return (random(2 ^ 31) * 2 ^ 21 + random(2 ^ 21)) * 2 ^ (random(600) - 300) end
end

local function directive(kinds)
   local parts = {"%"}
   for _ = 1, random(3) do parts[#parts + 1] = pick {"-", "+", " ", "#", "0"} end
   if random(2) == 0 then parts[#parts + 1] = pick {"1", "5", "10", "20", "99", "7"} end
   if random(2) == 0 then parts[#parts + 1] = "." .. pick {"", "0", "1", "2", "3", "5", "8", "14", "17", "20", "40", "99"} end
   return table.concat(parts) .. pick(kinds)
end

local function formats()
   for _ = 1, 1500 do
      case("format", string.format, "<" .. directive {"d", "i", "u", "x", "X", "o", "c", "e", "E", "f", "f", "g", "g", "G"} .. ">", number())
   end
   for _ = 1, 300 do
      case("format", string.format, directive {"s", "q"}, subject(12) .. (random(8) == 0 and ("x"):rep(95) or ""))
   end
   for _, format in ipairs {"%", "%y", "%5", "%.", "%------d", "%-----d", "%100d", "%.100f", "%5.100s", "%%", "%5%", "%l", "%\0", "%ld", "a%%b%"} do
      case("format", string.format, format, 1)
   end
   for _ = 1, 600 do case("tostring", tostring, number()) end
end

local function write(name, ...)
   out = assert(io.open(folder .. "/" .. name, "w"))
   out:write("-- Answers of Lua 5.1.5; written by expect.lua.\n")
   for _, make in ipairs {...} do make() end
   out:close()
end

write("patterns.tsv", chosen, plain, patterns)
write("formats.tsv", formats)
