//! The library `lpeg`: recorded answers of LPeg 1.0.2, and what only scripts can see.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use heka_sandbox::{Kind, Limits, Settings};

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
        let mut run = Run::start(&Settings { limits, ..settings(Kind::Filter) }, &script).unwrap();
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

/// Asks all recorded cases; `before` runs first.
fn check_cases(before: &str) {
    const PRELUDE: &str = include_str!("../../testdata/lpeg/prelude.lua");
    /// Prints in pieces, since a line has a longest.
    const SAY: &str = "require 'coroutine' require 'io'
        local function say(text)
           for first = 1, #text, 4000 do print(text:sub(first, first + 3999)) end
           print('\\n')
        end";
    let cases = include_str!("../../testdata/lpeg/cases.tsv");
    let cases: Vec<_> = cases.lines().filter_map(|line| line.split_once('\t')).collect();
    let mut wrong = Vec::new();
    for cases in cases.chunks(CASES_PER_SCRIPT) {
        let mut script = format!("{PRELUDE}{SAY}\n{before}\nfunction process_message()\n");
        for (case, _) in cases {
            script.push_str(&format!("say(answer(setfenv(function() {case} end, environment)))\n"));
        }
        script.push_str("return 0 end");
        let limits = Limits { instructions: 100_000_000, memory: 64 << 20, ..Limits::default() };
        let settings = Settings { limits, keep_printed: true, ..settings(Kind::Input) };
        let mut run = Run::start(&settings, &script).unwrap();
        run.process().unwrap();
        let printed = run.sandbox.take_printed().concat();
        let found: Vec<_> = printed.split_terminator('\n').collect();
        assert_eq!(found.len(), cases.len());
        for ((case, wanted), found) in cases.iter().zip(found) {
            if found != *wanted {
                wrong.push(format!("{case}\n  LPeg: {wanted}\n  ours: {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn scripts_see_what_they_see_with_lpeg() {
    check_cases("");
}

#[test]
fn what_patterns_need_is_not_collected() {
    check_cases("collectgarbage('setpause', 50) collectgarbage('setstepmul', 2000)");
}

/// A filter whose `process_message` runs these statements and returns 0.
fn filter(limits: Limits, text: &str) -> Run {
    let script = format!(
        "require 'string' require 'table'\nlocal lpeg = require 'lpeg'\n\
         local P, R, S, V, B, C = lpeg.P, lpeg.R, lpeg.S, lpeg.V, lpeg.B, lpeg.C\n\
         local Cs, Ct, Cg, Cb, Cc, Cf = lpeg.Cs, lpeg.Ct, lpeg.Cg, lpeg.Cb, lpeg.Cc, lpeg.Cf\n\
         local Cmt, Carg, Cp = lpeg.Cmt, lpeg.Carg, lpeg.Cp\n\
         function timer_event() end\n\
         function process_message() {text} return 0 end"
    );
    Run::start(&Settings { limits, ..settings(Kind::Filter) }, &script).unwrap()
}

/// How statements end that cannot come to an end.
fn ends(limits: Limits, text: &str) -> String {
    filter(limits, text).ends()
}

#[test]
fn functions_that_are_for_debugging_say_so() {
    let text = "T: process_message() f.lua:1: function only implemented in debug mode";
    assert_eq!(lpeg("return lpeg.pcode(lpeg.P(1))"), text);
    assert_eq!(lpeg("return lpeg.ptree(lpeg.P(1))"), text);
}

#[test]
fn code_points_match_their_encodings() {
    assert_eq!(lpeg(r#"return lpeg.utfR(0x20, 0x7e):match("a")"#), "2");
    assert_eq!(lpeg(r#"return lpeg.utfR(0xe9, 0x20ac):match("\195\169")"#), "3");
    assert_eq!(lpeg(r#"return lpeg.utfR(0xe9, 0x20ac):match("\226\130\172")"#), "4");
    assert_eq!(lpeg(r#"return lpeg.utfR(0xe9, 0x20ac):match("\226\130\173")"#), "nil");
    assert_eq!(lpeg(r#"return lpeg.utfR(0, 0x10ffff):match("\244\143\191\191")"#), "5");
    let invalid =
        "T: process_message() f.lua:1: bad argument #2 to 'utfR' (invalid code point range)";
    for range in ["2, 1", "0, 0x110000", "-1, 5"] {
        assert_eq!(lpeg(&format!("return lpeg.utfR({range})")), invalid);
    }
}

#[test]
fn a_script_cannot_reach_what_keeps_a_pattern() {
    assert_eq!(lpeg("return getmetatable(lpeg.P(1)).__gc"), "nil");
    assert_eq!(lpeg("return pcall(getfenv, lpeg.P(1))"), "false");
    // As in LPeg what is added to the library is a method.
    assert_eq!(lpeg("lpeg.x = function() return 7 end return lpeg.P(1):x()"), "7");
}

/// LPeg 1.0.2 gives a wrong stack here, or is aborted by its own assertion.
#[test]
fn values_of_predicates_are_kept_or_dropped() {
    let show = "local function show(...) local out = '' for i = 1, select('#', ...) do \
                out = out .. tostring((select(i, ...))) .. ',' end return out end \
                local seven = lpeg.Cmt('a', function() return true, 7 end) ";
    assert_eq!(lpeg(&format!("{show} return show((#seven * 'a'):match('a'))")), "2,");
    assert_eq!(lpeg(&format!("{show} return show((-seven * 1):match('a'))")), "nil,");
    assert_eq!(lpeg(&format!("{show} return show((-seven + lpeg.C'a'):match('a'))")), "a,");
}

#[test]
fn deep_captures_are_refused() {
    let deep = |count: usize, wrap: &str| {
        lpeg(&format!(
            "local p = lpeg.P'x' for i = 1, {count} do p = {wrap} end \
             return (select('#', p:match('x')))"
        ))
    };
    assert_eq!(deep(150, "lpeg.C(p)"), "150");
    let text = "T: process_message() f.lua:1: subcapture nesting too deep";
    assert_eq!(deep(250, "lpeg.C(p)"), text);
    assert_eq!(deep(250, "p / function(x) return x end"), text);
    let text = "T: process_message() f.lua:1: pattern nesting too deep (limit is 400)";
    assert_eq!(deep(500, "lpeg.Ct(p)"), text);
}

#[test]
fn matches_in_functions_of_matches_end() {
    // Each level calls the next one by a function capture, until Lua's own limit of calls.
    for capture in [
        "lpeg.Cmt('a', function() return true, again() end)",
        "lpeg.P'a' / function() return again() end",
    ] {
        let found = lpeg(&format!(
            "local again local p local n = 0 \
            again = function() n = n + 1 return p:match('a') end \
            p = {capture} local ok, text = pcall(again) return tostring(ok) .. ' ' .. tostring(text):gsub('^.-: ', '') .. tostring(n > 30)"
        ));
        assert!(found.starts_with("false "), "{capture}: {found}");
        assert!(found.contains("overflow"), "{found}");
        assert!(found.ends_with("true"), "{found}");
    }
    // At each level captures lie as deep as they may.
    let found = lpeg(
        "local p, again again = function() return p:match('a') end p = lpeg.P'a' / function() return again() end \
         for i = 1, 180 do p = lpeg.Ct(p) end local ok, text = pcall(again) return text:gsub('^.-: ', '')",
    );
    assert!(found.contains("overflow"), "{found}");
}

#[test]
fn the_stack_of_choices_can_be_larger() {
    let nested = "local p = P{P'(' * V(1) ^ 0 * ')'} local function try(n) \
                  return p:match(('('):rep(n) .. (')'):rep(n)) end ";
    let mut run = filter(Limits::default(), &format!("{nested} try(500)"));
    assert_eq!(
        run.ends(),
        "process_message() f.lua:7: backtrack stack overflow (current limit is 400)"
    );
    let mut run = filter(
        Limits::default(),
        &format!("{nested} lpeg.setmaxstack(10000) inject_payload('txt', '', try(3000))"),
    );
    run.process().unwrap();
    assert_eq!(run.take(), ["P(txt,) 6001"]);
    let text = "process_message() f.lua:7: bad argument #1 to 'setmaxstack' (out of range)";
    for wrong in ["0", "-1", "1e10", "2^31"] {
        assert_eq!(ends(Limits::default(), &format!("lpeg.setmaxstack({wrong})")), text);
    }
    // More than there is memory for.
    let text = format!(
        "{nested} lpeg.setmaxstack(1e9) local ok, e = pcall(try, 1e6) inject_payload('txt', '', e)"
    );
    let mut run = filter(Limits { memory: 4 << 20, instructions: 0, ..Limits::default() }, &text);
    run.process().unwrap();
    assert_eq!(run.take(), ["P(txt,) not enough memory"]);
}

#[test]
fn exponential_grammars_use_up_the_steps() {
    let exponential = "local p = P{V(2) * -1, P'a' * V(2) * 'b' + P'a' * V(2) * 'c' + 'a'} p:match(('a'):rep(60))";
    let text = "process_message() instruction_limit exceeded";
    assert_eq!(ends(Limits { instructions: 100_000, ..Limits::default() }, exponential), text);
    // Caught once, and then no more.
    let caught = format!("pcall(function() {exponential} end) {exponential}");
    assert_eq!(ends(Limits { instructions: 100_000, ..Limits::default() }, &caught), text);
    // Values of one list again and again: the engine's other loop.
    let values =
        "local p = C(1) for i = 1, 40 do p = Cs(Cg(p, 'x') * (Cb'x' * Cb'x')) end p:match('a')";
    let found = ends(Limits { instructions: 100_000, ..Limits::default() }, values);
    assert_eq!(found, text);
    // Building is charged too.
    let building = "local p = C'x' while true do p = p + p end";
    assert!(!ends(Limits { instructions: 100_000, ..Limits::default() }, building).is_empty());
    let building = "local p = P'x' while true do lpeg.match('x', 'x') end";
    // As a debug build is slow, it may be the time instead.
    let found = ends(Limits { instructions: 100_000, ..Limits::default() }, building);
    assert!(found.starts_with(text), "{found}");
}

#[test]
fn steps_of_a_match_count_as_instructions() {
    let mut run =
        filter(Limits::default(), "local p = (C'ab' + 1) ^ 0 / 0 p:match(('x'):rep(1000))");
    run.process().unwrap();
    let taken = run.sandbox.usage().instructions;
    assert!((1000..20_000).contains(&taken), "{taken}");
}

#[test]
fn memory_that_patterns_take_is_limited() {
    let limits = Limits { memory: 1 << 20, instructions: 0, ..Limits::default() };
    let little = Limits { memory: 256 << 10, ..limits };
    let building = [
        "local all = {} for i = 1, 1e9 do all[i] = P(i .. 'x') end",
        "local p = P'x' for i = 1, 1e9 do p = p * (S'ab' + Cc(i)) end",
        "local p = P'x' while true do p = p + S'abc' * p end",
        "local p = P'xy' * S'xy' ^ 100000",
        "local all = {} for i = 1, 1e9 do all[i] = Cc(i .. 'x') end",
        "local all = {} for i = 1, 1e9 do all[i] = P(true) all[i]:match('') end",
    ];
    for text in building {
        assert_eq!(ends(little, text), "process_message() not enough memory", "{text}");
    }
    let matching = [
        "Ct(C(1) ^ 0):match(('x'):rep(1e5))",
        "Cs((P(1) / ('y'):rep(1000)) ^ 0):match(('x'):rep(1e5))",
        "Cs((P(1) / function() return ('y'):rep(1e4) end) ^ 0):match(('x'):rep(1e5))",
        "local _ = (C(1) ^ 0 / 0):match(('x'):rep(5e5))",
        "Ct((Cmt(1, function() return true, ('x'):rep(1000) .. math.random() end)) ^ 0):match(('x'):rep(1e4))",
        "Ct((P(1) / function() return {{}, {}, {}} end) ^ 0):match(('x'):rep(1e5))",
    ];
    for text in matching {
        let found = ends(limits, &format!("require 'math' {text}"));
        assert_eq!(found, "process_message() not enough memory", "{text}");
    }
}

#[test]
fn patterns_are_collected_with_what_they_hold() {
    let limits = Limits { memory: 512 << 10, instructions: 0, ..Limits::default() };
    let mut run = filter(
        limits,
        "for i = 1, 2000 do
           -- A circle through a function, a new name, a value of each kind.
           local p
           p = Cg(Cmt(1, function() return p ~= nil end), 'name' .. i) * Cc(i, 'value' .. i, {}, i / 3)
              / function(a) return a end / {} / ('text' .. i)
           p = P{'r' .. i, ['r' .. i] = p + Cb('name' .. i)}
           local s = p:match('x')
         end",
    );
    run.process().unwrap();
    let before = run.sandbox.usage().memory;
    for _ in 0..3 {
        run.process().unwrap();
    }
    run.timer(0).unwrap();
    let after = run.sandbox.usage().memory;
    assert!(after < before.max(256 << 10), "{before} {after}");
}

#[test]
fn values_live_as_long_as_patterns_that_use_them() {
    let mut run = filter(
        Limits { instructions: 0, ..Limits::default() },
        "local function garbage() for i = 1, 5e3 do local t = {i .. 'x'} end end
         -- Parts are dropped, the names must stay the same.
         local all = {}
         for i = 1, 50 do
            local name = 'n' .. i
            all[i] = Cg(P'x', name) * Cb('n' .. i) / function(x) return x .. name end
            all[i] = all[i] * Cc({name}) + Cc(i)
            garbage()
         end
         garbage()
         for i = 1, 50 do
            local text, list = all[i]:match('x')
            assert(text == 'xn' .. i and list[1] == 'n' .. i, i)
            all[i] = Ct(Cg(all[i], 'n' .. i) * Cb('n' .. i))
         end
         garbage()
         for i = 1, 50 do assert(all[i]:match('x')['n' .. i] == 'xn' .. i) end",
    );
    run.process().unwrap();
}

#[test]
fn holders_do_not_outgrow_what_they_hold() {
    // The pattern keeps its size while parts come and go.
    let limits = Limits { memory: 1 << 20, instructions: 0, ..Limits::default() };
    let mut run = filter(
        limits,
        "local p = Cc('a') + P(true)
         for i = 1, 1e5 do p = p + Cc(i) end
         assert(p:match('x') == 'a')
         local q = P(false)
         for i = 1, 1e5 do q = q * Cc(i) end",
    );
    run.process().unwrap();
}

#[test]
fn errors_in_functions_leave_all_as_it_was() {
    let mut run = filter(
        Limits::default(),
        "local fails = P(function() error('no', 0) end)
         local inner = Ct(C(1) ^ 0 * fails)
         local outer = Ct((Cmt(C(1), function(_, i, c) if c == 'x' then error({c}) end return i, inner:match('ab') end)) ^ 0)
         for i = 1, 100 do
            local ok, e = pcall(outer.match, outer, 'aax')
            assert(not ok and (type(e) == 'table' and e[1] == 'x' or e == 'no'), tostring(e))
            ok, e = pcall(fails.match, fails, 'x')
            assert(not ok and e == 'no')
            assert(#Ct(C(1) ^ 0):match('abc') == 3)
            assert(Cs((P'a' / 'b' + 1) ^ 0):match('banana') == 'bbnbnb')
         end",
    );
    run.process().unwrap();
    run.process().unwrap();
}

#[test]
fn extra_arguments_and_many_results_have_their_places() {
    let found = lpeg(
        "local p = lpeg.Carg(200) * lpeg.C(1) ^ 0 * lpeg.Carg(1)
         local t = {} for i = 1, 200 do t[i] = 'arg' .. i end
         local list = {p:match(('x'):rep(300), 1, unpack(t))}
         return #list .. list[1] .. list[2] .. list[302]",
    );
    assert_eq!(found, "302arg200xarg1");
    let found = lpeg(
        "local p = lpeg.P'a' / function() local t = {} for i = 1, 500 do t[i] = i end return unpack(t) end
         local list = {(p * p * lpeg.C'b'):match('aab')}
         return #list .. ' ' .. list[500] .. ' ' .. list[1001]",
    );
    assert_eq!(found, "1001 500 b");
    let found = lpeg(
        "local p = lpeg.Cmt('a', function() local t = {} for i = 1, 500 do t[i] = i end return true, unpack(t) end)
         local list = {(p * p * lpeg.Cmt(lpeg.C'b' * p, function(_, i, ...) return i, ... end)):match('aaba')}
         return #list .. ' ' .. list[1000] .. ' ' .. list[1001] .. ' ' .. list[1501]",
    );
    assert_eq!(found, "1501 500 b 500");
}

#[test]
fn tonumber_in_a_pattern_is_luas_own() {
    for (subject, wanted) in [
        ("12", "12"),
        ("007", "7"),
        ("99999999999999", "99999999999999"),
        ("9007199254740993", "9.007199254741e+15"),
        ("1e3", "1000"),
        ("0x1F", "31"),
        (" 5 ", "5"),
        ("-5", "-5"),
        ("5x", "nil"),
        ("", "nil"),
        ("-", "nil"),
        ("inf", "inf"),
    ] {
        let text = format!("return (lpeg.P(1) ^ 0 / tonumber):match('{subject}')");
        assert_eq!(lpeg(&text), wanted, "{subject}");
        // And what a script puts in its place is called.
        let text = format!("tonumber = type {text}");
        assert_eq!(lpeg(&text), "string");
    }
    let more = "local list = {(lpeg.C'1' * lpeg.C(1) / tonumber):match('1z')} return #list";
    assert!(lpeg(more).starts_with("T: "), "{}", lpeg(more));
    assert_eq!(lpeg("return (lpeg.C'ff' * lpeg.Cc(16) / tonumber):match('ff')"), "255");
    assert_eq!(lpeg("return lpeg.Ct(lpeg.Cc(true) / tonumber):match('')[1]"), "nil");
}

/// An input has no limit of steps: it must end all the same when the daemon stops.
#[test]
fn a_match_without_limit_can_be_stopped() {
    let limits = Limits { instructions: 0, memory: 0, ..Limits::default() };
    let script = "local lpeg = require 'lpeg' local P, V = lpeg.P, lpeg.V
        function process_message()
           local p = P{V(2) * -1, P'a' * V(2) * 'b' + P'a' * V(2) * 'c' + 'a'}
           print('begins')
           p:match(('a'):rep(60))
        end";
    let script = format!("require 'string' {script}");
    let mut run = Run::start(&Settings { limits, ..settings(Kind::Input) }, &script).unwrap();
    let stopper = run.sandbox.stopper();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            stopper.stop();
        });
        assert_eq!(run.ends(), "process_message() shutting down");
    });
}

#[test]
fn allocations_may_fail_anywhere() {
    let script = "require 'string' require 'table' local lpeg = require 'lpeg'
        local C, Ct, Cg, P, Cmt = lpeg.C, lpeg.Ct, lpeg.Cg, lpeg.P, lpeg.Cmt
        function process_message()
           local word = Cg(C(lpeg.R'az' ^ 1), 'word' .. #('x'))
           local p = P{'S', S = Ct(word * (' ' * lpeg.V'N') ^ 0), N = lpeg.R'09' ^ 1 / function(d) return {d .. 'x'} end}
           p = p * Cmt(P'!', function(_, i) return i, ('y'):rep(20) .. i end) + lpeg.Cs((P'a' / 'b' + 1) ^ 0)
           local t, y = p:match('abc 12 34!')
           assert(t[2][1] == '34x' and #y > 20)
           return 0
        end";
    let mut failed = 0;
    for number in 0..400 {
        let mut run = Run::of(script);
        run.sandbox.fail_allocation(number);
        match run.process() {
            Ok(_) => {}
            Err(ended) => {
                assert!(ended.text().ends_with("not enough memory"), "{number}: {}", ended.text());
                failed += 1;
            }
        }
    }
    assert!(failed > 5, "{failed}");
}

#[test]
fn large_grammars_are_built_and_matched() {
    let rules = "local t = {'r1'} for i = 1, {n} do \
                 t['r' .. i] = C('<' .. i .. '>') * (V('r' .. (i % {n} + 1)) + -1) end ";
    let of = |count: usize| {
        lpeg(&format!(
            "{} return (lpeg.Ct(lpeg.P(t)):match('<1><2><3>'))[3]",
            rules
                .replace("{n}", &count.to_string())
                .replace("C(", "lpeg.C(")
                .replace("V(", "lpeg.V(")
        ))
    };
    assert_eq!(of(250), "<3>");
    assert_eq!(
        of(251),
        "T: process_message() f.lua:1: bad argument #1 to 'P' (grammar has too many rules)"
    );
}
