//! Scripts that use the libraries of texts and tables to take more than they may.
//!
//! Each must end, by a limit of its sandbox and soon; how long it took of a processor is printed.
#![allow(clippy::print_stderr, reason = "figures are shown to who asks for them")]

use heka_sandbox::{Ended, Kind};

use crate::harness::{Run, settings};

const LIBRARIES: &str = "require 'string' require 'table' require 'struct' require 'math' ";
const STEPS: &str = "instruction_limit exceeded";
const MEMORY: &str = "not enough memory";

/// Time of a processor that this thread took, in ms; 0 where the system does not tell.
fn time_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default() / 1e6
}

/// Runs statements over and over; they must end by the limit. Gives the time of the call in ms.
fn ends_by(wanted: &str, prepare: &str, attack: &str) -> f64 {
    let script =
        format!("{LIBRARIES} {prepare} function process_message() while true do {attack} end end");
    let mut run = Run::start(&settings(Kind::Filter), &script).expect(attack);
    let before = time_ms();
    let text = match run.process() {
        Err(Ended::Failed(report)) => report.text,
        other => panic!("{attack}: {other:?}"),
    };
    let taken = time_ms() - before;
    eprintln!("{taken:7.1} ms  {attack}");
    assert!(text.contains(wanted), "{attack}: {text}");
    // Memory is bounded with what texts take while they are made.
    assert!(run.sandbox.usage().memory_max <= 24 << 20, "{attack}: {:?}", run.sandbox.usage());
    taken
}

fn all_end(wanted: &str, attacks: &[(&str, &str)]) {
    let taken: Vec<f64> =
        attacks.iter().map(|(prepare, attack)| ends_by(wanted, prepare, attack)).collect();
    // An unoptimised build has no time to keep.
    if !cfg!(debug_assertions) {
        assert!(taken.iter().all(|ms| *ms < 250.0), "{taken:?}");
    }
}

#[test]
fn patterns_end() {
    all_end(
        STEPS,
        &[
            ("local s, p = ('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40)", "s:find(p)"),
            ("local s = ('a'):rep(3e5)", "s:find('.-.-.-.-.-b')"),
            ("local s = ('a'):rep(3e5)", "s:find('.*.*.*.*b')"),
            ("local s = ('a'):rep(3e5)", "s:match('(a*)(a*)(a*)%1%2%3b')"),
            ("local s = ('('):rep(3e5)", "s:find('%b()')"),
            ("local s = ('a'):rep(1e5)", "s:gsub('a', 'a')"),
            ("local s = ('a'):rep(1e5)", "for c in s:gmatch('.') do end"),
            ("local s = ('a'):rep(1e6)", "s:find('[b-z]')"),
            ("local s = ('a'):rep(1e6)", "s:find('%f[b]')"),
            ("local s = ('a'):rep(1e6)", "s:match('^[ab]*c')"),
            ("local a, b = ('a'):rep(1e6) .. 'b', ('a'):rep(2e6)", "b:find(a, 1, true)"),
            ("local a, b = ('a'):rep(1e6) .. 'b', ('a'):rep(2e6)", "b:find(a)"),
            ("local a, b = ('ab'):rep(5e5), ('a'):rep(2e6)", "b:find(a, 1, true)"),
            ("local n = 0", "n = n + 1 ('x'):find('[a-z]' .. n)"),
            ("local p = ('[%w_]'):rep(2000)", "('x'):find(p .. 'y')"),
            ("local s, p = ('x'):rep(1000), ('()'):rep(32)", "s:gsub(p, '%1%2%3')"),
        ],
    );
}

#[test]
fn a_pattern_of_many_options_ends() {
    let many = "local p, s = ('a?'):rep(3e5), ('a'):rep(3e5)";
    let taken = ends_by("pattern too complex", many, "s:find(p)");
    assert!(cfg!(debug_assertions) || taken < 250.0);
    let fewer = "local s = ('a'):rep(3e4) local p = ('a?'):rep(3e4) .. s";
    let taken = ends_by(STEPS, fewer, "s:find(p)");
    assert!(cfg!(debug_assertions) || taken < 250.0);
}

#[test]
fn texts_end() {
    all_end(
        STEPS,
        &[
            ("", "(''):rep(2e9)"),
            ("", "('x'):rep(1e6)"),
            ("local s = ('aB'):rep(1e6)", "s:lower()"),
            ("local s = ('aB'):rep(1e6)", "s:upper()"),
            ("local s = ('aB'):rep(1e6)", "s:reverse()"),
            ("local s = ('aB'):rep(1e6)", "s:sub(2)"),
            ("local s = ('aB'):rep(1e6)", "s:byte(1, 7900)"),
            ("local t = {('x'):rep(7900):byte(1, -1)}", "string.char(unpack(t))"),
            ("", "('%99.99f'):format(1e308)"),
            ("", "('%99.99e'):format(1e-308)"),
            ("", "('%.99g'):format(1e-308)"),
            ("", "('%.14g'):format(1/3)"),
            (
                "local f = ('%99.99f'):rep(70) local t = {} for i = 1, 70 do t[i] = 1/3 end",
                "f:format(unpack(t))",
            ),
            (
                "local f = ('%.14g'):rep(5000) local t = {} for i = 1, 5000 do t[i] = 1/3 end",
                "f:format(unpack(t))",
            ),
            ("local s = ('\\n'):rep(1e6)", "('%q'):format(s)"),
            ("local s = ('x'):rep(1e6)", "('%s'):format(s)"),
            ("local f = ('x'):rep(1e6)", "f:format()"),
            ("local s = ('x'):rep(1e5)", "s:gsub('x', function() end)"),
            ("local s = ('x'):rep(1e5)", "s:gsub('x', {})"),
            (
                "local s, t = ('x'):rep(1e5), setmetatable({}, {__index = function() end})",
                "s:gsub('x', t)",
            ),
        ],
    );
}

#[test]
fn texts_that_grow_are_refused() {
    all_end(
        MEMORY,
        &[
            ("local s = ''", "s = s .. ('x'):rep(1e6) .. 'y'"),
            ("", "('x'):rep(1e7)"),
            ("", "('abc'):rep(1e7)"),
            ("local s = ('x'):rep(1e5)", "s:gsub('x', s)"),
            ("local s = ('x'):rep(1e5)", "s:gsub('x', function() return s end)"),
            ("local s = ('x'):rep(1e5)", "s:gsub('x', {x = s})"),
            ("local s = 'x'", "s = s:gsub('.+', '%0%0%0%0%0%0%0%0')"),
            (
                "local s = ('x'):rep(1e6)",
                "('%s%s%s%s%s%s%s%s%s'):format(s, s, s, s, s, s, s, s, s)",
            ),
            ("local s = ('\\0'):rep(1e6) local f = ('%q'):rep(4)", "f:format(s, s, s, s)"),
            ("local s, t = ('x'):rep(1e6), {} for i = 1, 20 do t[i] = s end", "table.concat(t)"),
            (
                "local s, t = ('x'):rep(1e6), {} for i = 1, 20 do t[i] = 'y' end",
                "table.concat(t, s)",
            ),
            (
                "local s = ('x'):rep(1e6) local f = ('c0'):rep(20)",
                "struct.pack(f, s, s, s, s, s, s, s, s, s, s, s, s, s)",
            ),
            ("local s = ('x'):rep(1e6)", "s:match(('(x*)'):rep(1) .. ('()'):rep(3)) s = s .. s"),
        ],
    );
}

#[test]
fn a_billion_bytes_are_refused_at_once() {
    for attack in ["('x'):rep(1e9)", "('xy'):rep(2e9)"] {
        let taken = ends_by(MEMORY, "", attack);
        assert!(taken < 50.0, "{taken}");
    }
    let mut set = settings(Kind::Filter);
    set.limits.memory = 0;
    let mut run =
        Run::start(&set, "require 'string' function process_message() return #('x'):rep(1e9) end")
            .unwrap();
    assert_eq!(run.ends(), "process_message() instruction_limit exceeded");
}

#[test]
fn tables_end() {
    let filled = "local t = {} for i = 1, 5e4 do t[i] = i end";
    all_end(
        STEPS,
        &[
            ("local t = {}", "table.insert(t, 1, 'x')"),
            ("", "table.insert({}, -2e9, 'x')"),
            ("", "table.insert({}, 2e9, 'x') table.insert({1, 2, 3}, -2e9, 'x')"),
            (filled, "table.insert(t, 1, 'x') table.remove(t, 1)"),
            (filled, "table.maxn(t)"),
            (filled, "table.concat(t)"),
            (filled, "table.foreach(t, type)"),
            (filled, "table.foreachi(t, math.abs) table.foreachi(t, type)"),
            (filled, "table.sort(t)"),
            (filled, "pcall(table.sort, t, function(a, b) return true end)"),
            (filled, "pcall(table.sort, t, function(a, b) return math.random() < 0.5 end)"),
            (filled, "table.sort(t, function(a, b) return false end)"),
            (filled, "table.sort(t, function(a, b) return a < b end)"),
            (filled, "table.sort(t, rawequal)"),
            (filled, "pcall(table.sort, t, math.max)"),
            (
                "local t = {} for i = 1, 1e4 do t[i] = tostring(i) end",
                "table.sort(t) t[1] = t[9999] .. 'x'",
            ),
            (
                "local m = {} m.__lt = function(a, b) return a.v < b.v end
                 local t = {} for i = 1, 2e4 do t[i] = setmetatable({v = i}, m) end",
                "table.sort(t)",
            ),
            ("local t = {} for i = 1, 7900 do t[i] = i end", "unpack(t)"),
            ("local t = {}", "unpack(t, 1, 7900)"),
            ("local f, s = ('b'):rep(7900), ('x'):rep(7900)", "struct.unpack(f, s)"),
            ("local f = ('x'):rep(1e5)", "struct.pack(f)"),
            ("local f = ('x'):rep(1e5)", "struct.size(f)"),
            ("local f = ('!8bd'):rep(1000)", "struct.size(f)"),
            ("local s = ('x'):rep(1e6)", "struct.unpack('s', s .. '\\0')"),
            ("local s = ('x'):rep(1e6) .. '\\0'", "struct.unpack('s', s)"),
        ],
    );
}

#[test]
fn an_order_that_is_none_raises_and_harms_nothing() {
    let script = format!(
        "{LIBRARIES} local seed = 1
         local function bad() seed = (seed * 16807) % 2147483647 return seed % 2 == 0 end
         function process_message()
           for round = 1, 200 do
             local t = {{}} for i = 1, 50 do t[i] = i end
             pcall(table.sort, t, bad)
             local seen = 0
             for i = 0, 51 do if t[i] then seen = seen + 1 end end
             if seen < 49 then return -1, 'lost ' .. seen end
           end
           return 0 end"
    );
    let mut run = Run::of(&script);
    assert_eq!(run.process(), Ok(heka_sandbox::Outcome::Done));
}

/// What PUC's quick sort takes quadratic time for is sorted all the same.
#[test]
fn a_sort_that_was_led_astray_is_a_heap_sort() {
    let script = format!(
        "{LIBRARIES}
         function process_message()
           local n, solid, candidate, gas, value = 2000, 0, 1, {{}}, {{}}
           local t = {{}} for i = 1, n do t[i] = i value[i] = n + 1 end
           local function freeze(x) solid = solid + 1 value[x] = solid end
           local count = 0
           table.sort(t, function(a, b)
             count = count + 1
             if value[a] > n and value[b] > n then freeze(a == candidate and a or b) end
             if value[a] > n then candidate = a elseif value[b] > n then candidate = b end
             return value[a] < value[b] end)
           for i = 2, n do if value[t[i - 1]] > value[t[i]] then return -1, 'unsorted ' .. i end end
           inject_payload('', '', count)
           return 0 end"
    );
    let mut set = settings(Kind::Filter);
    set.limits.instructions = 0;
    let mut run = Run::start(&set, &script).unwrap();
    assert_eq!(run.process(), Ok(heka_sandbox::Outcome::Done));
    let made = run.take().concat();
    let count: f64 = made.trim_start_matches("P(txt,) ").parse().unwrap();
    eprintln!("{count} comparisons");
    assert!(count < 200_000.0, "{count}");
}

/// A sandbox that attacks takes nothing from another one.
#[test]
fn other_sandboxes_go_on() {
    let mut other = Run::of(&format!(
        "{LIBRARIES} function process_message() return -1, (('a1'):gsub('%d', 'x')) end"
    ));
    ends_by(STEPS, "local s = ('a'):rep(3e5)", "s:find('.-.-.-.-b')");
    ends_by(MEMORY, "local s = ('x'):rep(1e5)", "s:gsub('x', s)");
    match other.process() {
        Ok(heka_sandbox::Outcome::Refused { text, .. }) => assert_eq!(text, "ax"),
        other => panic!("{other:?}"),
    }
}
