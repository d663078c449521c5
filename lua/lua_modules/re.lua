-- Patterns written as text: compile, match, find, gsub, updatelocale, over LPeg.
--
-- The language is that of LPeg's documented `re` module. Here: its grammar, written in LPeg, whose captures build the
-- pattern; caches of compiled patterns. Not here: matching.

local lpeg = require "lpeg"
local string = require "string"

local format, gsub, sub, upper = string.format, string.gsub, string.sub, string.upper
local error, pairs, setmetatable, tonumber, type = error, pairs, setmetatable, tonumber, type
local C, Cb, Cc, Cf, Cg = lpeg.C, lpeg.Cb, lpeg.Cc, lpeg.Cf, lpeg.Cg
local Cmt, Cp, Cs, Ct, Carg = lpeg.Cmt, lpeg.Cp, lpeg.Cs, lpeg.Ct, lpeg.Carg
local P, R, S, V = lpeg.P, lpeg.R, lpeg.S, lpeg.V

-- Bytes of a pattern that an error shows.
local EXCERPT_MAX = 20

local any = P(1)

-- Patterns under the names that `%name` knows, beside those that the caller defines.
local predefined = {nl = P"\n"}

-- Letters of the locale's classes; a capital letter means all other bytes.
local CLASSES = {
   a = "alpha", c = "cntrl", d = "digit", g = "graph", l = "lower",
   p = "punct", s = "space", u = "upper", w = "alnum", x = "xdigit",
}

-- Compiled patterns by their text, for each of the three functions that take one; dropped when nobody else holds them.
local compiled, finders, replacers

local function updatelocale()
   local classes = lpeg.locale()
   for letter, name in pairs(CLASSES) do
      predefined[letter] = classes[name]
      predefined[upper(letter)] = any - classes[name]
   end
   local weak = {__mode = "v"}
   compiled = setmetatable({}, weak)
   finders = setmetatable({}, weak)
   replacers = setmetatable({}, {__mode = "k"})
end

updatelocale()

--------------------------------------------------------------------------------
-- What the captures of the grammar call.

local function refuse(text, position)
   local excerpt = sub(text, position, position + EXCERPT_MAX)
   if #text >= position + EXCERPT_MAX then
      excerpt = excerpt .. "..."
   end
   error(format("pattern error near '%s'", excerpt), 2)
end

-- What the caller defined under a name.
local function definition(name, definitions)
   local value = definitions and definitions[name]
   if not value then
      error("undefined name: " .. name)
   end
   return value
end

-- The pattern that `%name` means.
local function named(name, definitions)
   local value = definitions and definitions[name]
   if not value then
      value = predefined[name]
   end
   if not value then
      error(format("name '%s' undefined", name))
   end
   return value
end

local function rule_reference(name, in_grammar)
   if not in_grammar then
      error(format("rule '%s' used outside a grammar", name))
   end
   return V(name)
end

local function new_grammar(name, pattern)
   return {name, [name] = pattern}
end

local function add_rule(rules, name, pattern)
   if rules[name] then
      error(format("'%s' already defined as a rule", name))
   end
   rules[name] = pattern
   return rules
end

local function sequence(first, second) return first * second end
local function choice(first, second) return first + second end
local function followed_by(pattern) return #pattern end
local function not_followed_by(pattern) return -pattern end
local function power(pattern, count) return pattern ^ count end
local function divide(pattern, by) return pattern / by end
local function apply(pattern, operator, argument) return operator(pattern, argument) end
local function group(name, pattern) return Cg(pattern, name) end
local function anonymous(pattern) return Cg(pattern) end

-- Exactly so many times.
local function times(pattern, count)
   local result = P(true)
   for _ = 1, count do
      result = result * pattern
   end
   return result
end

local function class(complement, set)
   return complement == "^" and any - set or set
end

-- Matches what the last group of that name matched.
local function same_again(name)
   return Cmt(Cb(name), function(subject, position, text)
      if type(text) ~= "string" then
         return nil
      end
      local after = position + #text
      return sub(subject, position, after - 1) == text and after
   end)
end

--------------------------------------------------------------------------------
-- The grammar.

local space = (predefined.s + "--" * (any - predefined.nl) ^ 0) ^ 0
local name = C(R("az", "AZ", "__") * R("az", "AZ", "09", "__") ^ 0)
local arrow = space * "<-"
local number = C(R"09" ^ 1) * space / tonumber
local text = "'" * C((any - "'") ^ 0) * "'" + '"' * C((any - '"') ^ 0) * '"'

-- Where names are looked up: the definitions are the match's extra argument.
local defined = "%" * (name * Carg(1)) / named
local from_caller = name * Carg(1) / definition

local range = Cs(any * (P"-" / "") * (any - "]")) / R
local item = (defined + range + C(any)) / P
local set = "[" * (C(P"^" ^ -1) * Cf(item * (item - "]") ^ 0, choice)) / class * "]"

-- An operator after a pattern: what to call with the pattern, and with what.
local repetition =
   "*" * Cc(power, 0) + "+" * Cc(power, 1) + "?" * Cc(power, -1)
   + "^" * (Cc(times) * number
      + Cc(power) * C(S"+-" * R"09" ^ 1) * space / function(operator, count)
         return operator, tonumber((gsub(count, "^%+", "")))
      end)
local transformation =
   "->" * space * (Cc(divide) * (text + number + from_caller) + P"{}" * Cc(Ct))
   + "=>" * space * Cc(Cmt) * from_caller
   + "~>" * space * Cc(Cf) * from_caller
local suffix = Cg((repetition + transformation) * space)

-- The group "grammar" tells a reference to a rule whether there is a grammar around it.
local reference = (name * -arrow + "<" * name * ">") * Cb"grammar" / rule_reference

-- What may stand after an expression; at anything else there is an error, and its text says from where on.
local follow = P"/" + ")" + "}" + ":}" + "~}" + "|}" + name * arrow + -any

local language = P{
   "all",
   all = space * Cg(Cc(false), "grammar") * V"expression" / P * (-any + P(refuse)),
   expression = space * (V"grammar" + Cf(V"sequence" * ("/" * space * V"sequence") ^ 0, choice)),
   sequence = Cf(Cc(P"") * V"prefix" ^ 0, sequence) * (#follow + P(refuse)),
   prefix = "&" * space * V"prefix" / followed_by
      + "!" * space * V"prefix" / not_followed_by
      + Cf(V"primary" * space * suffix ^ 0, apply),
   primary = "(" * V"expression" * ")"
      + text / P
      + set
      + defined / P
      + "{:" * (name * ":" * V"expression" / group + V"expression" / anonymous) * ":}"
      + "=" * name / same_again
      + P"{}" / Cp
      + "{~" * V"expression" / Cs * "~}"
      + "{|" * V"expression" / Ct * "|}"
      + "{" * V"expression" / C * "}"
      + "." * Cc(any)
      + reference,
   rule = name * arrow * V"expression",
   grammar = Cg(Cc(true), "grammar")
      * Cf(V"rule" / new_grammar * Cg(V"rule") ^ 0, add_rule) / P,
}

--------------------------------------------------------------------------------
-- The module.

local function compile(pattern, definitions)
   if lpeg.type(pattern) == "pattern" then
      return pattern
   end
   local result = language:match(pattern, 1, definitions)
   if not result then
      error("incorrect pattern", 3)
   end
   return result
end

local function match(subject, pattern, start)
   local made = compiled[pattern]
   if not made then
      made = compile(pattern)
      compiled[pattern] = made
   end
   return made:match(subject, start or 1)
end

local function find(subject, pattern, start)
   local made = finders[pattern]
   if not made then
      made = compile(pattern) / 0
      made = P{Cp() * made * Cp() + 1 * V(1)}
      finders[pattern] = made
   end
   local first, after = made:match(subject, start or 1)
   if first then
      return first, after - 1
   end
   return nil
end

local function replace(subject, pattern, replacement)
   local of_pattern = replacers[pattern] or {}
   replacers[pattern] = of_pattern
   local made = of_pattern[replacement]
   if not made then
      made = Cs((compile(pattern) / replacement + 1) ^ 0)
      of_pattern[replacement] = made
   end
   return made:match(subject)
end

local re = {
   compile = compile,
   find = find,
   gsub = replace,
   match = match,
   updatelocale = updatelocale,
}

return re
