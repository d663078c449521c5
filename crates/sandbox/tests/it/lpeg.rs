//! The library `lpeg`: recorded answers of LPeg 1.0.2, and what only scripts can see.

use heka_sandbox::{Kind, Limits};

use crate::harness::{Run, eval, settings};

/// What the recorded cases were asked with: functions by name, and how answers are written.
const PRELUDE: &str = r##"
require "string" require "table"
local lpeg = require "lpeg"
local function text(value)
   local kind = type(value)
   return (kind == "string" or kind == "number") and tostring(value)
      or kind == "table" and "table" or tostring(value)
end
local function number(value) return type(value) == "number" and value or 0 end
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
local function check(build, subject, start)
   local results
   local function run(...) results = {n = select("#", ...), ...} end
   local ok, message = pcall(function()
      run(lpeg.match(setfenv(build, environment)(), subject, start, "first", 2))
   end)
   if not ok then
      message = message:gsub("^[^:]*:%d+: ", ""):gsub("^bad argument #%d+ to '.-' %((.*)%)$", "%1")
      return "! " .. message
   end
   if results.n == 1 and results[1] == nil then return "none" end
   local texts = {}
   for index = 1, results.n do texts[index] = show(results[index]) end
   return "= " .. table.concat(texts, ", ")
end
"##;

/// Cases that one script checks.
const CASES_PER_SCRIPT: usize = 100;

/// A subject as the files write it, as a string of Lua's.
fn lua_string(text: &str) -> String {
    let mut out = String::from("\"");
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                out.push('\\');
                out.push(bytes.next().map_or('\\', char::from));
            }
            b'"' => out.push_str("\\\""),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:03}")),
        }
    }
    out + "\""
}

fn check_recorded(cases: &str) {
    let lines = cases.lines().filter(|line| !line.is_empty() && !line.starts_with("--"));
    let cases: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    assert!(cases.len() > 100, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for cases in cases.chunks(CASES_PER_SCRIPT) {
        let mut script = format!("{PRELUDE}\nfunction process_message()\n");
        for case in cases {
            let (expr, subject, start) = (case[0], lua_string(case[1]), case[2]);
            script.push_str(&format!(
                "inject_payload('txt', '', check(function() return P({expr}) end, {subject}, {start}))\n"
            ));
        }
        script.push_str("return 0 end");
        let limits = Limits { instructions: 0, ..Limits::default() };
        let mut run =
            Run::start(&heka_sandbox::Settings { limits, ..settings(Kind::Filter) }, &script)
                .unwrap();
        run.process().unwrap();
        let found = run.take();
        assert_eq!(found.len(), cases.len());
        for (case, found) in cases.iter().zip(found) {
            let found = found.strip_prefix("P(txt,) ").unwrap();
            let wanted = crate::harness::shown(case[3].as_bytes());
            if found != wanted {
                wrong.push(format!("{}\t{}\n  LPeg: {wanted}\n  ours: {found}", case[0], case[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn documented_semantics_are_those_of_lpeg() {
    check_recorded(include_str!("../../../lpeg/testdata/semantics.tsv"));
}

#[test]
fn random_patterns_give_what_lpeg_gives() {
    check_recorded(include_str!("../../../lpeg/testdata/random.tsv"));
}

/// Runs statements that may use the library as `lpeg` and return text.
fn lpeg(text: &str) -> String {
    eval(&format!("require 'string' require 'table' local lpeg = require 'lpeg' {text}"))
}

#[test]
fn the_library_has_the_functions_of_0_12_and_1_0() {
    assert_eq!(lpeg("return lpeg.version()"), "0.12");
    assert_eq!(lpeg("return lpeg.type(lpeg.P(1))"), "pattern");
}

#[test]
fn re_is_built_in() {
    let checks = include_str!("../../../../lua/test/re_test.lua");
    let without_path: Vec<_> =
        checks.lines().filter(|it| !it.starts_with("package.path")).collect();
    let script = format!(
        "require 'string' require 'table'\n\
         local function print(text) said = text end\n\
         {}\n\
         function process_message() add_to_payload(said) inject_payload() return 0 end",
        without_path.join("\n")
    );
    let mut run = Run::of(&script);
    run.process().unwrap();
    let said = run.take().concat();
    assert!(said.starts_with("P(txt,) ok: re, "), "{said}");
}
