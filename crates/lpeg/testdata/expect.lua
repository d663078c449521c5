-- Writes LPeg's answers into the last column of a case file: lua5.1 expect.lua FILE

local lpeg = require "lpeg"

local function text(value)
   local kind = type(value)
   return (kind == "string" or kind == "number") and tostring(value)
      or kind == "table" and "table" or tostring(value)
end

local function number(value)
   return type(value) == "number" and value or 0
end

local functions = {
   upper = function(first) return type(first) == "string" and first:upper() or first end,
   count = function(...) return select("#", ...), ... end,
   none = function() end,
   swap = function(...)
      if select("#", ...) < 2 then return ... end
      local first, second = ...
      return second, first, select(3, ...)
   end,
   join = function(...)
      local texts = {}
      for index = 1, select("#", ...) do texts[index] = text((select(index, ...))) end
      return table.concat(texts, ",")
   end,
   pack = function(...) return {...} end,
   boom = function() error("boom", 0) end,
   keep = function(_, _, ...) return true, ... end,
   ahead = function(_, position, ...) return number(position) + 1, ... end,
   odd = function(_, position, ...) return number(position) % 2 == 1, ... end,
   niltoo = function(_, position) return true, nil, number(position) end,
   here = function(_, position) return tostring(number(position)) end,
   back = function(_, position) return number(position) - 1 end,
   no = function() return false, 1 end,
   tonumber = tonumber,
   map = {a = "A", b = 7, ab = false, [1] = "one"},
}

local environment = setmetatable(functions, {__index = lpeg})

local function quote(value)
   return '"' .. value:gsub('[%c"\\\127-\255]', function(byte)
      if byte == '"' or byte == "\\" then return "\\" .. byte end
      return ("\\%03d"):format(byte:byte())
   end) .. '"'
end

local show
function show(value)
   local kind = type(value)
   if kind == "string" then return quote(value) end
   if kind ~= "table" then return tostring(value) end
   local items = {}
   for key, item in pairs(value) do items[#items + 1] = show(key) .. "=" .. show(item) end
   table.sort(items)
   return "{" .. table.concat(items, ";") .. "}"
end

local function unescape(value)
   return (value:gsub("\\(.)(%d?%d?)", function(first, rest)
      if first:match("%d") then return string.char(tonumber(first .. rest)) end
      return (({n = "\n", t = "\t"})[first] or first) .. rest
   end))
end

local function answer(expr, subject, start)
   local results
   local function run(...) results = {n = select("#", ...), ...} end
   local ok, message = pcall(function()
      local chunk = assert(loadstring("return P(" .. expr .. ")"))
      local pattern = setfenv(chunk, environment)()
      run(lpeg.match(pattern, subject, start, "first", 2))
   end)
   if not ok then
      message = message:gsub("^[^:]*:%d+: ", ""):gsub("^bad argument #%d+ to '.-' %((.*)%)$", "%1")
      return "! " .. message
   end
   if results.n == 1 and results[1] == nil then
      return "none"
   end
   local texts = {}
   for index = 1, results.n do texts[index] = show(results[index]) end
   return "= " .. table.concat(texts, ", ")
end

local path = arg[1]
local lines = {}
for line in io.lines(path) do
   local expr, subject, start = line:match("^([^\t]+)\t([^\t]*)\t([^\t]+)")
   if expr and not line:match("^%-%-") then
      line = table.concat({expr, subject, start, answer(expr, unescape(subject), tonumber(start))}, "\t")
   end
   lines[#lines + 1] = line
end
local file = assert(io.open(path, "w"))
file:write(table.concat(lines, "\n"), "\n")
file:close()
