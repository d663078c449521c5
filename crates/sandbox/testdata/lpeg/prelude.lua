-- What the cases run with: LPeg's functions as globals of theirs, and how their answers are written.

require "string" require "table"
local lpeg = require "lpeg"

-- Every kind of capture of a pattern, by name.
local kinds = {
   C = lpeg.C, Ct = lpeg.Ct, Cs = lpeg.Cs, Cg = lpeg.Cg,
   named = function(p) return lpeg.Ct(lpeg.Cg(p, "n")) end,
   back = function(p) return lpeg.Cg(p, "n") * lpeg.Cb("n") end,
   fold = function(p) return lpeg.Cf(lpeg.Cc("0") * p * lpeg.Cg(p), function(a, ...)
      return tostring(a) .. select("#", ...)
   end) end,
   time = function(p) return lpeg.Cmt(p, function(_, _, ...) return true, ... end) end,
   call = function(p) return p / function(...) return select("#", ...), ... end end,
   nothing = function(p) return p / function() end end,
   text = function(p) return p / "<%0|%1>" end,
   first = function(p) return p / 1 end,
   none = function(p) return p / 0 end,
   query = function(p) return p / {a = "A", ab = "AB", [1] = "one", [true] = "yes"} end,
   position = function(p) return lpeg.Cp() * p * lpeg.Cp() end,
   constants = function(p) return lpeg.Cc(1, "x", nil, true) * p end,
   argument = function(p) return p * lpeg.Carg(1) end,
}
local names = {}
for name in pairs(kinds) do names[#names + 1] = name end
table.sort(names)

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
   if kind == "table" then
      local items = {}
      for key, item in pairs(value) do items[#items + 1] = show(key) .. "=" .. show(item) end
      table.sort(items)
      return "{" .. table.concat(items, ";") .. "}"
   end
   if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(value) end
   return kind
end

local function results(ok, ...)
   if not ok then
      return "! " .. (type(...) == "string" and ((...):gsub("^[^%s:]*:%d+: ", "")) or show(...))
   end
   local texts = {}
   for index = 1, select("#", ...) do texts[index] = show((select(index, ...))) end
   return table.concat(texts, ", ")
end

-- The answer of a case.
local function answer(case)
   return results(pcall(case))
end

-- Joins the answers of a case for all pairs of capture kinds.
local function pairs_of_kinds(case)
   local answers = {}
   for _, outer in ipairs(names) do
      for _, inner in ipairs(names) do
         local text = results(pcall(case, kinds[outer], kinds[inner]))
         answers[#answers + 1] = outer .. "(" .. inner .. ") " .. text
      end
   end
   return table.concat(answers, " / ")
end

local names_of_cases = {
   lpeg = lpeg, kinds = kinds, pairs_of_kinds = pairs_of_kinds, results = results, show = show,
}
for name, value in pairs(lpeg) do names_of_cases[name] = value end
local environment = setmetatable(names_of_cases, {__index = getfenv()})
