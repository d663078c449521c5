-- The `re` module against what LPeg's own gives.

package.path = "../lua_modules/?.lua;" .. package.path
local lpeg = require "lpeg"
local re = require "re"

local checks = 0

local function show(...)
   local texts = {}
   for index = 1, select("#", ...) do
      local value = select(index, ...)
      if type(value) == "table" then
         local items = {}
         for key, item in pairs(value) do items[#items + 1] = tostring(key) .. "=" .. show(item) end
         table.sort(items)
         value = "{" .. table.concat(items, ";") .. "}"
      end
      texts[index] = tostring(value)
   end
   return table.concat(texts, ",")
end

local function same(wanted, ...)
   local found = show(...)
   if found ~= wanted then
      error(("wanted %s, found %s"):format(wanted, found), 2)
   end
   checks = checks + 1
end

local function fails(wanted, call, ...)
   local ok, message = pcall(call, ...)
   message = tostring(message):gsub("^[^ ]*:%d+: ", "")
   if ok or message ~= wanted then
      error(("wanted the error %s, found %s"):format(wanted, message), 2)
   end
   checks = checks + 1
end

local function with(definitions, pattern, subject)
   return re.compile(pattern, definitions):match(subject)
end

-- Texts, classes, names of classes.
same("2", re.match("a", "'a'"))
same("nil", re.match("b", "'a'"))
same("3", re.match([[a"]], [["a" '"']]))
same("1", re.match("ab", ""))
same("3", re.match("]a", "[]a]+"))
same("4", re.match("^a-", "[a^-]+"))
same("2", re.match("b", "[^a]"))
same("nil", re.match("a", "[^a]"))
same("2", re.match("b", "[a-c]"))
same("3", re.match("-a", "[%a-]+"))
same("4", re.match("abc", "%a+ !%a"))
same("6", re.match("ab_ 9", "%w+ %A %s %d"))
same("3", re.match("x\n", "'x' %nl"))
same("2", with({foo = "bar", x = lpeg.P "q"}, "%x", "q"))
same("4", with({foo = "bar"}, "%foo", "bar"))

-- Sequence, choice, repetition, predicates, comments.
same("4", re.match("ab", "'a' --comment\n 'b' {}") + 1)
same("1", re.match("ab", "'x' / "))
same("3", re.match("aaa", "'a'^2"))
same("4", re.match("aaa", "'a'^+2"))
same("3", re.match("aaa", "'a'^-2"))
same("a,a", re.match("aaa", "{'a'}^2"))
same("1", re.match("aa", "'a'^0"))
same("3", re.match("aa", "'a'++"))
same("a", re.match("a", "&'a' {.} !."))
same("2", re.match("b", "'a'? 'b'"))
same("nil", re.match("", "."))

-- Captures.
same("{1=a;x=a}", re.match("aaa", "{| {:x: 'a' :} {:'a':} |}"))
same("4", re.match("aba", "{:x: 'a' :} 'b' =x {}"))
same("nil", re.match("abb", "{:x: 'a' :} 'b' =x {}"))
same("xbx", re.match("aba", "{~ ('a' -> 'x' / .)* ~}"))
same("{1=b}", re.match("aba", "('a' {'b'}) -> {}"))
same("b", re.match("aba", "({'a'} {'b'}) -> 2"))
same("3", re.match("aba", "({'a'} {'b'}) -> 0"))
same("ba", re.match("aba", "({'a'} {'b'}) -> '%2%1'"))
same("x", re.match("ab", [['a' -> "x" ]]))
same("a,b", re.match("ab", "{'a'}{:'b':}"))

-- Definitions of the caller.
same("A", with({f = string.upper}, "'a' -> f", "a"))
same("xa", with({f = "x%0"}, "'a' -> f", "a"))
same("7", with({f = {a = 7}}, "'a' -> f", "a"))
same("6", with({f = function(_, _, digit) return true, digit + 1 end}, "{[0-9]} => f", "5"))
same("ab!", with({f = function(a, b) return a .. b .. "!" end}, "({'a'} {'b'}) ~> f", "ab"))

-- Grammars.
same("4", re.match("aab", "S <- 'a' S / 'b'"))
same("4", re.match("aab", "S <- 'a' <S> / 'b'"))
same("3", re.match("ab", "A <- B 'b' B <- 'a'"))
same("a", re.match("ab", "A <- {B} 'b' B<-'a'"))
same("3", re.match("ab", " a_1<-'a' b1 b1 <-'b'"))
same("a", re.match("abc", "{.} (A <- 'b')"))
same("{1=a;2={1=b;2={};3=c}}", re.match("(a(b()c))", "S <- '(' {| ({%a} / S)* |} ')'"))

-- The other functions.
same("3,4", re.find("xxaby", "'ab'"))
same("nil", re.find("xxaby", "'zb'"))
same("3,4", re.find("xxaby", "{'a'}{'b'}"))
same("nil", re.find("xxaby", "'a'", 4))
same("3,2", re.find("xxaby", "''", 3))
same("b<a>n<a>n<a>", re.gsub("banana", "'a'", "<%0>"))
same("bxnxnx", re.gsub("banana", "{'a'}", {a = "x"}))
same("bAnAnA", re.gsub("banana", "{'a'}", string.upper))
same("bAnAnA", re.gsub("banana", lpeg.C "a", string.upper))
same("2", re.match("a", lpeg.P "a"))
same("3", re.match("xa", "'a'", 2))
re.updatelocale()
same("2", re.match("a", "%a"))

-- Errors.
fails("undefined name: f", re.compile, "'a' -> f", {})
fails("undefined name: f", re.compile, "'a' => f")
fails("name 'foo' undefined", re.compile, "%foo")
fails("name 'foo' undefined", re.match, "b", "[%foo]")
fails("'a' already defined as a rule", re.compile, "a <- 'x' a <- 'y'")
fails("rule 'a' used outside a grammar", re.compile, "a")
fails("rule 'B' undefined in given grammar", re.match, "ab", "A <- B C")
fails("pattern error near '('", re.compile, "(")
fails("pattern error near ''abc'", re.compile, "'abc")
fails("pattern error near ')xxxxxxxxxxxxxxxxxxxx...'", re.compile, "'abc' 'de' )" .. ("x"):rep(30))
fails("pattern error near '" .. ("@"):rep(20) .. "'", re.compile, "'a' " .. ("@"):rep(20))
fails("pattern error near '" .. ("@"):rep(21) .. "...'", re.compile, "'a' " .. ("@"):rep(21))
fails("pattern error near '[abc'", re.compile, "[abc")
fails("pattern error near '-> '", re.compile, "'a' -> ")
fails("pattern error near ':x: 'a'}'", re.match, "a", "{:x: 'a'}")
fails("pattern error near '^x'", re.compile, "'a'^x")
fails("pattern error near '3'", re.compile, 3)
fails("back reference 'x' not found", re.match, "b", "=x")
fails("no capture '3'", with, {f = 3}, "'a' -> f", "a")
fails("loop body may accept empty string", re.compile, "('a'*)*")
fails("rule 'A' may be left recursive", re.compile, "A <- A 'x'")

print(("ok: re, %d checks"):format(checks))
