//! The libraries `bloom_filter`, `hyperloglog`, `cuckoo_filter` and `sax`, as scripts see them.

use heka_sandbox::Outcome;

use crate::harness::{Run, eval};

const REQUIRE: &str =
    "require 'bloom_filter' require 'hyperloglog' require 'cuckoo_filter' require 'sax' ";

fn with(text: &str) -> String {
    eval(&format!("{REQUIRE}{text}"))
}

/// The error of a call.
fn error(call: &str) -> String {
    let text = eval(&format!(
        "{REQUIRE} local b, h, c = bloom_filter.new(20, 0.01), hyperloglog.new(), cuckoo_filter.new(5)
         local w = sax.window.new(4, 2, 4)
         local ok, e = pcall(function() local r = {call} end) return e"
    ));
    text.rsplit_once("f.lua:3: ").map_or(text.clone(), |(_, text)| text.to_owned())
}

#[test]
fn sets_count_as_the_specification_has_it() {
    let found = with(
        "local b = bloom_filter.new(1000, 0.01)
         for i = 1, 500 do b:add(i) end
         local r = b:count() .. ' ' .. tostring(b:query(500)) .. ' ' .. tostring(b:query('500'))
         local h = hyperloglog.new()
         for i = 1, 500 do h:add(i % 100) end
         r = r .. ' ' .. h:count()
         local c = cuckoo_filter.new(1000)
         for i = 1, 500 do c:add(i % 10) end
         r = r .. ' ' .. c:count() .. ' ' .. tostring(c:delete(3)) .. ' ' .. tostring(c:delete(3))
         b:clear() h:clear() c:clear()
         return r .. ' ' .. b:count() .. h:count() .. c:count()",
    );
    assert_eq!(found, "500 true false 100 10 true false 000");
    let found =
        with("local h = hyperloglog.new() for i = 0, 99999 do h:add(i) end return h:count()");
    assert_eq!(found, "100070");
    let found = with(
        "return bloom_filter.version() .. hyperloglog.version() .. cuckoo_filter.version() .. sax.version()",
    );
    assert_eq!(found, "0.2.00.1.00.1.00.4.0");
    let found = with(
        "local a, b = hyperloglog.new(), hyperloglog.new()
         for i = 1, 50 do a:add(i) b:add(i + 25) end
         local both = hyperloglog.count(a, b)
         return both .. ' ' .. tostring(a:merge(b) == a) .. ' ' .. a:count() .. ' ' .. a:merge(a):count()",
    );
    assert_eq!(found, "75 true 75 75");
}

#[test]
fn only_a_hyperloglog_has_a_text() {
    let mut run = Run::of(
        "require 'hyperloglog' require 'bloom_filter'
         function process_message()
           add_to_payload(hyperloglog.new())
           local ok, e = pcall(add_to_payload, bloom_filter.new(5, 0.1))
           inject_payload('', '', e)
           return 0
         end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    let made = run.take().concat();
    assert!(made.starts_with("P(txt,) HYLL\\x00\\x00"), "{}", &made[..40]);
    assert!(made.ends_with("bad argument #1 to '?' (unknown userdata type)"), "{}", &made[49000..]);
}

#[test]
fn windows_and_words_are_compared() {
    let found = with(
        "local w = sax.window.new(4, 2, 4)
         local empty = tostring(w)
         w:add({1, 2, 3, 4, 10, 0, 10, 0})
         w:add(10)
         w:add('0')
         local word = w:get_word()
         local same = sax.word.new(tostring(w), 4)
         local r = empty .. ' ' .. tostring(w) .. ' ' .. tostring(word)
         r = r .. ' ' .. tostring(w == word) .. tostring(word == same) .. tostring(same == w)
         w:clear()
         return r .. ' ' .. tostring(w) .. tostring(w == word)",
    );
    assert_eq!(found, "## CC CC truetruetrue ##false");
    let found = with(
        "local a, b = sax.word.new('AB', 4), sax.word.new('DB', 4)
         local d, up, down = sax.mindist(a, b)
         return d .. ' ' .. up .. ' ' .. down .. ' ' .. tostring(sax.mindist(a, sax.word.new('ABC', 4)))",
    );
    assert_eq!(found, "1.3489999771118 0 1.3489999771118 nil");
    let found = with("return tostring(sax.word.new({1, 2, 3, 4, 5, 6}, 3, 3))");
    assert_eq!(found, "ABC");
    let mut run = Run::of(
        "require 'sax' w = sax.window.new(4, 2, 4)
         function process_message() inject_payload('', '', w, sax.word.new('AB', 3)) return 0 end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(run.take(), ["P(txt,) ##AB"]);
}

#[test]
fn wrong_arguments_are_refused_with_hekas_words() {
    for (call, text) in [
        ("bloom_filter.new(2)", "bad argument #0 to 'new' (incorrect number of arguments)"),
        ("bloom_filter.new(1, 0.1)", "bad argument #1 to 'new' (items must be > 1)"),
        (
            "bloom_filter.new(2, 1)",
            "bad argument #2 to 'new' (probability must be between 0 and 1)",
        ),
        (
            "bloom_filter.new(2, 0/0)",
            "bad argument #2 to 'new' (probability must be between 0 and 1)",
        ),
        ("b:add()", "bad argument #-1 to 'add' (incorrect number of arguments)"),
        ("b:add({})", "bad argument #1 to 'add' (must be a string or number)"),
        ("b:query(nil)", "bad argument #1 to 'query' (must be a string or number)"),
        ("b:fromstring('x')", "fromstring() bytes found: 1, expected 24"),
        ("b:fromstring(1, 'xy')", "fromstring() bytes found: 2, expected 24"),
        (
            "b:fromstring(1, 'xy', 3)",
            "bad argument #-1 to 'fromstring' (incorrect number of arguments)",
        ),
        ("b.add(h, 1)", "bad argument #1 to 'add' (mozsvc.bloom_filter expected, got userdata)"),
        ("hyperloglog.new(1)", "bad argument #0 to 'new' (incorrect number of arguments)"),
        ("h:count(1)", "bad argument #-1 to 'count' (incorrect number of arguments)"),
        ("h:add(true)", "bad argument #1 to 'add' (must be a string or number)"),
        ("h:fromstring('x')", "fromstring() bytes found: 1, expected 12304"),
        ("cuckoo_filter.new(4)", "bad argument #1 to 'new' (items must be > 4)"),
        ("cuckoo_filter.new()", "bad argument #0 to 'new' (incorrect number of arguments)"),
        ("c:delete(b)", "bad argument #1 to 'delete' (must be a string or number)"),
        ("c:fromstring(1, 'x')", "fromstring() bytes found: 1, expected 8"),
        ("sax.window.new(1, 2, 3)", "bad argument #1 to 'new' (n is out of range)"),
        ("sax.window.new(4097, 2, 3)", "bad argument #1 to 'new' (n is out of range)"),
        ("sax.window.new(4, 1, 3)", "bad argument #1 to 'new' (w is out of range)"),
        ("sax.window.new(4, 3, 3)", "bad argument #1 to 'new' (n must be evenly divisible by w)"),
        ("sax.window.new(4, 2, 17)", "bad argument #1 to 'new' (cardinality is out of range)"),
        ("sax.window.new(4, 2)", "bad argument #0 to 'new' (incorrect number of args)"),
        ("sax.word.new('A', 4)", "bad argument #1 to 'new' (length of SAX string should be > 1)"),
        (
            "sax.word.new('AE', 4)",
            "bad argument #1 to 'new' (illegal symbols for given cardinality or bad cardinality itself)",
        ),
        (
            "sax.word.new({1, 2}, 3, 4)",
            "bad argument #2 to 'new' (n must be evenly divisible by w)",
        ),
        ("sax.word.new(1, 2, 4)", "bad argument #1 to 'new' (array-like table expected)"),
        ("w:add({1, 'x'})", "bad argument #1 to 'add' (expected array of numbers as input)"),
        ("w:add('x')", "bad argument #1 to 'add' (number or array-like table expected)"),
        (
            "sax.mindist(w, 1)",
            "bad argument #2 to 'mindist' (sax.window or sax.word expected, got number)",
        ),
    ] {
        assert_eq!(error(call), text, "{call}");
    }
}

#[test]
fn sets_that_are_too_large_are_refused_and_not_made() {
    for new in [
        "bloom_filter.new, 1e9, 0.01",
        "bloom_filter.new, 2^31 - 1, 5e-324",
        "bloom_filter.new, 1e15, 0.5",
        "cuckoo_filter.new, 1e9",
        "cuckoo_filter.new, 1e18",
    ] {
        let found = with(&format!("local ok, e = pcall({new}) return e"));
        assert_eq!(found, "not enough memory", "{new}");
    }
    let found = with("local all = {} for i = 1, 1e5 do all[i] = hyperloglog.new() end");
    assert_eq!(found, "T: process_message() not enough memory");
}

#[test]
fn work_on_sets_is_charged() {
    for body in [
        "local b = bloom_filter.new(2, 5e-324) while true do b:add('x') end",
        "local h = hyperloglog.new() local i = 0 while true do i = i + 1 h:add(i) h:count() end",
        "local c = cuckoo_filter.new(5) local i = 0 while true do i = i + 1 c:add(i) end",
        "local w = sax.window.new(4096, 2, 4) while true do w:add(1) local x = w == w:get_word() end",
        "local b = bloom_filter.new(1e6, 0.01) while true do b:clear() end",
    ] {
        // Without optimisation some reach the limit of time before that of steps.
        let found = with(body);
        assert!(found.starts_with("T: process_message() instruction_limit exceeded"), "{found}");
    }
}
