//! Data over restarts.

use std::sync::Arc;

use heka_sandbox::{Kind, Outcome, PreserveError, Sandbox, Script, StartError};

use crate::harness::{Run, World, settings};

const REQUIRE: &str = "require 'circular_buffer' require 'bloom_filter' require 'hyperloglog' \
    require 'cuckoo_filter' require 'sax' require 'cjson' ";

fn saved(script: &str) -> Vec<u8> {
    Run::of(script).sandbox.preserve().unwrap()
}

/// Starts a script with preserved data.
fn start(script: &str, preserved: &[u8]) -> Result<Run, StartError> {
    let mut world = World::default();
    let source = Script { name: "f.lua".to_owned(), source: Arc::from(script.as_bytes()) };
    let sandbox = Sandbox::start(&settings(Kind::Filter), &source, Some(preserved), &mut world)?;
    Ok(Run { sandbox, world })
}

/// What `check` of a script says once data was made by `make`, preserved and restored.
fn after(make: &str, check: &str) -> String {
    let data = saved(&format!("{REQUIRE}{make}"));
    let script = format!(
        "{REQUIRE} local function check() {check} end
         function process_message() inject_payload('', '', tostring(check())) return 0 end"
    );
    let mut run = start(&script, &data).unwrap();
    let outcome = run.process();
    assert!(matches!(outcome, Ok(Outcome::Done)), "{outcome:?}");
    run.take().concat().strip_prefix("P(txt,) ").unwrap_or_default().to_owned()
}

/// Statements in some order, since that of tables may differ.
fn lines(data: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(data).replace("\\\n", "\\n");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn refused(script: &str, preserved: &[u8]) -> String {
    start(script, preserved).err().map_or("it started".to_owned(), |error| error.to_string())
}

#[test]
fn the_example_of_the_specification_is_written() {
    let data = saved(
        "_PRESERVATION_VERSION = 3
         require 'circular_buffer'
         local hidden = 1
         total = 12.5; tags = {'a', on = true}; tags.me = tags; s = 'x\"y\\n'; f = function() end
         cb = circular_buffer.new(2, 1, 60, true); cb:add(0, 1, 4)",
    );
    let text = String::from_utf8(data).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(first, "if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= 3 then return end");
    let mut expected = vec![
        "_G[\"total\"] = 12.5",
        "_G[\"s\"] = \"x\\\"y\\",
        "\"",
        "if _G[\"cb\"] == nil then _G[\"cb\"] = circular_buffer.new(2, 1, 60, true) end",
        "_G[\"cb\"]:set_header(1, \"Column_1\", \"count\", \"sum\")",
        "_G[\"cb\"]:fromstring(\"60 1 4 nan 0 4\")",
        "_G[\"_VERSION\"] = \"Lua 5.1\"",
        "_G[\"tags\"] = {}",
        "_G[\"tags\"][1] = \"a\"",
        "_G[\"tags\"][\"on\"] = true",
        "_G[\"tags\"][\"me\"] = _G[\"tags\"]",
    ];
    let mut found: Vec<_> = rest.lines().collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    // The parts of a value stand together and in order.
    assert!(text.contains("\"x\\\"y\\\n\"\n"));
    let buffer = text.find("if _G[\"cb\"]").unwrap();
    assert!(
        text[buffer..].find(":set_header").unwrap() < text[buffer..].find(":fromstring").unwrap()
    );
}

#[test]
fn values_come_back_as_they_were() {
    let found = after(
        "a = {1.5, 'x', true, false, {}, [-3] = 'm', [0.25] = 'q', [1/0] = 'i', [true] = 't', [false] = 'f'}
         n = {0/0, 1/0, -1/0, -2147483649, -2^31, 2^53, 1e300, 5e-324, 0.1, 1/3, -1e-9, 123456789.123456789}
         b = '' for i = 0, 255 do b = b .. '\\0\\r\\n\\\\\"\\255x' end
         k = {['\\0\\n\"\\\\\\r'] = 1, [''] = 2}",
        "assert(a[1] == 1.5 and a[2] == 'x' and a[3] == true and a[4] == false and next(a[5]) == nil)
         assert(a[-3] == 'm' and a[0.25] == 'q' and a[1/0] == 'i' and a[true] == 't' and a[false] == 'f')
         assert(n[1] ~= n[1] and n[2] == 1/0 and n[3] == -1/0 and n[4] == -2147483649 and n[5] == -2^31)
         assert(n[6] == 2^53 and n[7] == 1e300 and n[8] == 5e-324 and n[9] == 0.1 and n[10] == 1/3)
         assert(n[11] == -1e-9 and n[12] == 123456789.123456789)
         local r = '' for i = 0, 255 do r = r .. '\\0\\r\\n\\\\\"\\255x' end
         assert(b == r and k['\\0\\n\"\\\\\\r'] == 1 and k[''] == 2)
         return 'all'",
    );
    assert_eq!(found, "all");
}

#[test]
fn tables_are_shared_and_cyclic_again() {
    let found = after(
        "one = {x = {}} two = {one.x, one, {one}} one.x.up = one two.me = two g = _G one.g = _G",
        "assert(one.x == two[1] and two[2] == one and two[3][1] == one and one.x.up == one and two.me == two)
         return tostring(g) .. tostring(one.g)",
    );
    assert_eq!(found, "nilnil");
}

#[test]
fn objects_come_back_as_they_were() {
    let found = after(
        "t = {}
         cb = circular_buffer.new(3, 2, 60, true) t.same = cb
         cb:set_header(2, 'peak', 'ms', 'max') cb:add(0, 1, 2) cb:set(60e9, 2, -3e9) cb:add(180e9, 1, 0.5)
         cb:annotate(180e9, 1, 'alert', 'a \"text\"\\nof two lines')
         t.bloom = bloom_filter.new(100, 0.01) for i = 1, 50 do t.bloom:add(i) end
         t.count = hyperloglog.new() for i = 1, 50 do t.count:add(i) end
         t.cuckoo = cuckoo_filter.new(100) for i = 1, 50 do t.cuckoo:add(i) end
         t.window = sax.window.new(4, 2, 4) t.window:add({1, 2, 0/0, 1/0, 9})
         t.empty = sax.window.new(4, 2, 4)
         t.word = sax.word.new('AB#', 5)",
        "assert(t.same == cb and cb:get(60e9, 2) == -3e9 and cb:get(180e9, 1) == 0.5 and cb:get(0, 1) == nil)
         local name, unit, agg = cb:get_header(2)
         assert(name == 'peak' and unit == 'ms' and agg == 'max' and cb:get_delta(180e9, 1) == 0.5)
         assert(t.bloom:count() == 50 and t.bloom:query(50) and t.count:count() == 50)
         assert(t.cuckoo:count() == 50 and t.cuckoo:delete(7) and not t.cuckoo:add(8) and t.cuckoo:add(7))
         return tostring(t.window) .. ' ' .. tostring(t.empty) .. ' ' .. tostring(t.word)",
    );
    assert_eq!(found, "AD ## AB#");
}

#[test]
fn only_data_is_saved() {
    let text = saved(
        "require 'cjson' require 'string' f = function() end null = cjson.null meta = setmetatable({1}, {})
         deep = {f = f, null = cjson.null, ok = 1, lib = string}",
    );
    let mut expected = vec![
        "if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= 0 then return end",
        "_G[\"_VERSION\"] = \"Lua 5.1\"",
        "_G[\"deep\"] = {}",
        "_G[\"deep\"][\"ok\"] = 1",
    ];
    expected.sort_unstable();
    assert_eq!(lines(&text), expected);
}

#[test]
fn keys_without_text_cannot_be_saved() {
    for (key, name) in [("function() end", "function"), ("{}", "table"), ("cb", "userdata")] {
        let script = format!(
            "require 'circular_buffer' local cb = circular_buffer.new(2, 1, 1) t = {{[{key}] = 1}}"
        );
        let error = Run::of(&script).sandbox.preserve().unwrap_err();
        assert_eq!(error.to_string(), format!("serialize_data cannot preserve type '{name}'"));
    }
    // A value that is not data takes its key with it.
    saved("t = {[function() end] = function() end}");
}

#[test]
fn nesting_has_an_end() {
    let chain =
        |depth| format!("list = {{}} local t = list for i = 1, {depth} do t.n = {{}} t = t.n end");
    let data = saved(&chain(998));
    assert!(start("", &data).is_ok());
    let error = Run::of(&chain(999)).sandbox.preserve().unwrap_err();
    assert_eq!(error, PreserveError::Depth(1000));
    assert_eq!(error.to_string(), "serialize_data tables are nested deeper than 1000");
}

#[test]
fn a_long_key_does_not_make_the_data_endless() {
    let error = Run::of(
        "local key = 'x' for i = 1, 19 do key = key .. key end
         t = {[key] = {}} for i = 1, 1000 do t[key][i] = i end",
    )
    .sandbox
    .preserve()
    .unwrap_err();
    assert!(matches!(error, PreserveError::Size(_)), "{error}");
}

#[test]
fn more_constants_than_a_function_may_have_are_restored() {
    let mut set = settings(Kind::Filter);
    (set.limits.memory, set.limits.instructions) = (256 << 20, 1 << 30);
    let make = "t = {} for i = 1, 310000 do t[i] = i + 0.5 end s = {} for i = 1, 5000 do s['key\\n' .. i] = 'v' .. i end";
    let data = Run::start(&set, make).unwrap().sandbox.preserve().unwrap();
    // Memory is not limited while it is restored; afterwards it is again.
    let mut run = start(
        "function process_message()
           for i = 1, 310000, 1000 do assert(t[i] == i + 0.5) end
           for i = 1, 5000, 1000 do assert(s['key\\n' .. i] == 'v' .. i) end
           return 0
         end",
        &data,
    )
    .unwrap();
    assert_eq!(run.ends(), "process_message() not enough memory");
    drop(run);
    let mut world = World::default();
    let source = Script { name: "f.lua".to_owned(), source: Arc::from(b"".as_slice()) };
    let mut run = Sandbox::start(&set, &source, Some(&data), &mut world).unwrap();
    assert_eq!(lines(&run.preserve().unwrap()), lines(&data));
}

#[test]
fn the_version_decides_whether_data_is_restored() {
    let data = saved("_PRESERVATION_VERSION = 2 x = 5");
    let check = "function process_message() inject_payload('', '', x) return 0 end";
    for (own, x) in [
        ("", "5"),
        ("_PRESERVATION_VERSION = 2", "5"),
        ("_PRESERVATION_VERSION = false", "5"),
        ("_PRESERVATION_VERSION = 3", "1"),
        ("_PRESERVATION_VERSION = '2'", "1"),
    ] {
        let mut run = start(&format!("x = 1 {own} {check}"), &data).unwrap();
        assert_eq!(run.process(), Ok(Outcome::Done));
        assert_eq!(run.take(), [format!("P(txt,) {x}")], "{own}");
    }
}

#[test]
fn restoring_keeps_what_the_data_does_not_name() {
    let data = saved("a = 1 t = {x = 1}");
    let mut run = start(
        "a = 2 b = 3 t = {y = 2}
         function process_message() inject_payload('', '', a, b, t.x, t.y) return 0 end",
        &data,
    )
    .unwrap();
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(run.take(), ["P(txt,) 131nil"]);
}

#[test]
fn data_that_does_not_fit_is_an_error_of_the_start() {
    let new = |rows| format!("require 'circular_buffer' cb = circular_buffer.new({rows}, 1, 60)");
    let data = saved(&new(2));
    assert_eq!(
        refused(&new(3), &data),
        "lsb_restore_global_data fromstring() too few values: 2, expected 3"
    );
    let data = saved(&new(4));
    assert_eq!(
        refused(&new(3), &data),
        "lsb_restore_global_data fromstring() too many values, more than: 3"
    );
    let versioned = format!("_PRESERVATION_VERSION = 1 {}", new(3));
    assert!(start(&versioned, &data).is_ok());
    assert_eq!(
        refused("", &data),
        "lsb_restore_global_data attempt to index global 'circular_buffer' (a nil value)"
    );
    assert_eq!(
        refused("", b"if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= 0 then return end\nx = 1\ny = -+2\n"),
        "lsb_restore_global_data line 3: unexpected symbol near '+'"
    );
    let mut long = b"x = 1\n".repeat(20_000);
    long.extend_from_slice(b"y = = 2\n");
    assert_eq!(
        refused("", &long),
        "lsb_restore_global_data line 20001: unexpected symbol near '='"
    );
}

#[test]
fn files_of_heka_are_read() {
    let mut run = start(
        "require 'circular_buffer'
         function process_message() inject_payload('', '', cb:format('cbufd'), x, t[1], t[2]) return 0 end",
        b"if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= 0 then return end\n\
          _G[\"x\"] = \"a\\\nb\\000c\\rd\"\n\
          if _G[\"cb\"] == nil then _G[\"cb\"] = circular_buffer.new(2, 1, 1, true) end\n\
          _G[\"cb\"]:set_header(1, \"Column_1\", \"count\", \"sum\")\n\
          _G[\"cb\"]:fromstring(\"1 1 nan inf 1 5\")\n\
          _G[\"t\"] = {}\n_G[\"t\"][1] = 0/0\n_G[\"t\"][2] = -1/0\n",
    )
    .unwrap();
    assert_eq!(run.process(), Ok(Outcome::Done));
    let made = run.take().concat();
    assert!(made.ends_with("}]}\\n1\\t5\\na\\nb\\x00c\\x0ddnan-inf"), "{made}");
}

#[test]
fn what_a_script_does_while_restored_has_an_end() {
    let data = saved("a = 1");
    let found = refused("setmetatable(_G, {__newindex = function() while true do end end})", &data);
    assert_eq!(found, "lsb_restore_global_data instruction_limit exceeded");
}
