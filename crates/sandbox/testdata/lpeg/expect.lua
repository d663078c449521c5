-- Writes the answers of C LPeg behind the cases: lua5.1 expect.lua (in this folder).

local function read(path)
   local file = assert(io.open(path))
   local text = file:read("*a")
   file:close()
   return text
end

local prelude = read("prelude.lua")
local lines = {}
for line in io.lines("cases.tsv") do
   local case = line:match("^([^\t]+)")
   if case and not case:match("^%-%-") then
      local chunk = prelude .. "\nreturn answer(setfenv(function() " .. case .. " end, environment))"
      line = case .. "\t" .. assert(loadstring(chunk, "=case"))()
   end
   lines[#lines + 1] = line
end
local file = assert(io.open("cases.tsv", "w"))
file:write(table.concat(lines, "\n"), "\n")
file:close()
