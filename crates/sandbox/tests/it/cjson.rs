//! The library `cjson`, as scripts see it.

use heka_sandbox::{Kind, Outcome};

use crate::harness::{Run, eval, settings};

fn with(text: &str) -> String {
    eval(&format!("require 'cjson' {text}"))
}

/// What a value is written as, or the error.
fn encoded(value: &str) -> String {
    with(&format!("local ok, r = pcall(cjson.encode, {value}) return r"))
}

/// A text decoded and encoded again, or the error. The text stands in long brackets.
fn decoded(text: &str) -> String {
    with(&format!(
        "cjson.encode_invalid_numbers(true) cjson.decode_null(true)
         local ok, r = pcall(cjson.decode, [=[{text}]=]) return ok and cjson.encode(r) or r"
    ))
}

#[test]
fn the_example_of_the_specification_holds() {
    let found = with(
        "local t = cjson.decode('{\"a\":null,\"b\":[1,2],\"c\":{}}')
         return tostring(t.a) .. cjson.encode(t.b) .. cjson.encode(t.c)",
    );
    assert_eq!(found, "nil[1,2]{}");
    assert_eq!(encoded("{1, nil, 3}"), "[1,null,3]");
    assert_eq!(encoded("'/\\127'"), "\"\\/\\u007f\"");
    assert_eq!(encoded("1e17"), "1e+17");
    assert_eq!(encoded("{[1] = 1, [20] = 2}"), "Cannot serialise table: excessively sparse array");
    assert_eq!(decoded("{\"a\" 1}"), "Expected colon but found T_NUMBER at character 6");
}

#[test]
fn the_table_is_that_of_heka() {
    let found = with(
        "local names = {'encode', 'decode', 'encode_sparse_array', 'encode_max_depth', 'decode_max_depth',
           'encode_number_precision', 'encode_invalid_numbers', 'decode_invalid_numbers', 'decode_null'}
         for _, name in ipairs(names) do assert(type(cjson[name]) == 'function', name) end
         assert(cjson == require 'cjson')
         assert(not cjson.new and not cjson.encode_keep_buffer and not cjson.safe)
         return cjson._NAME .. cjson._VERSION .. type(cjson.null)",
    );
    assert_eq!(found, "cjson2.1.0userdata");
}

#[test]
fn values_are_written_as_lua_cjson_writes_them() {
    for (value, text) in [
        ("true", "true"),
        ("nil", "null"),
        ("cjson.null", "null"),
        ("0.1", "0.1"),
        ("1/3", "0.33333333333333"),
        ("-0", "-0"),
        ("1e100", "1e+100"),
        ("''", "\"\""),
        ("'\\0\\b\\t\\n\\v\\f\\r\\27\"\\\\'", "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001b\\\"\\\\\""),
        (
            "'a long text without anything special, but then: \\n.'",
            "\"a long text without anything special, but then: \\n.\"",
        ),
        ("{}", "{}"),
        ("{{}, {{}}}", "[{},[{}]]"),
        ("{a = {1, 'x', false}}", "{\"a\":[1,\"x\",false]}"),
        ("{[0] = 1}", "{\"0\":1}"),
        ("{[1.5] = 1}", "{\"1.5\":1}"),
        ("{[-1] = {}}", "{\"-1\":{}}"),
        ("{1, 2, x = 3}", "{\"1\":1,\"2\":2,\"x\":3}"),
        ("{[10] = 1}", "[null,null,null,null,null,null,null,null,null,1]"),
        ("{[11] = 1}", "Cannot serialise table: excessively sparse array"),
        ("{[1e300] = 1}", "Cannot serialise table: excessively sparse array"),
        ("{[true] = 1}", "Cannot serialise boolean: table key must be a number or string"),
        ("{print}", "Cannot serialise function: type not supported"),
        ("print", "Cannot serialise function: type not supported"),
        ("0/0", "Cannot serialise number: must not be NaN or Infinity"),
        ("{[-1/0] = 1}", "Cannot serialise number: must not be NaN or Infinity"),
        ("1, 2", "bad argument #1 to '?' (expected 1 argument)"),
    ] {
        let value = value.replace("print", "pairs");
        assert_eq!(encoded(&value), text, "{value}");
    }
    let found = with("local ok, e = pcall(function() local r = cjson.encode() end) return e");
    assert_eq!(found, "f.lua:1: bad argument #1 to 'encode' (expected 1 argument)");
}

#[test]
fn bytes_beyond_ascii_stay() {
    assert_eq!(encoded("'\\195\\188\\255'"), "\"\\xc3\\xbc\\xff\"");
    assert_eq!(
        decoded("\"\\u00fc\\ud83d\\ude00\\u0000/\""),
        "\"\\xc3\\xbc\\xf0\\x9f\\x98\\x80\\u0000\\/\""
    );
}

#[test]
fn texts_are_read_as_lua_cjson_reads_them() {
    for (text, value) in [
        ("1", "1"),
        (" \t\n\r[ 1 , 2 ] ", "[1,2]"),
        ("\"\"", "\"\""),
        ("null", "null"),
        ("[true,false,null]", "[true,false,null]"),
        ("[0x10]", "[16]"),
        ("[NaN,nan,-Infinity,inf]", "[NaN,NaN,-Infinity,Infinity]"),
        ("[007]", "[7]"),
        ("[+5]", "[5]"),
        ("[1.]", "[1]"),
        ("[-.5]", "[-0.5]"),
        ("[1e5,1E-2,12345678901234567890]", "[100000,0.01,1.2345678901235e+19]"),
        ("{\"a\":{\"b\":[{}]}}", "{\"a\":{\"b\":[{}]}}"),
        ("{\"a\":1,\"a\":2}", "{\"a\":2}"),
        ("{\"a\\tb\":1}", "{\"a\\tb\":1}"),
        ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        ("\"a\tb\"", "\"a\\tb\""),
        ("", "Expected value but found T_END at character 1"),
        ("[", "Expected value but found T_END at character 2"),
        ("{", "Expected object key string but found T_END at character 2"),
        ("[1", "Expected comma or array end but found T_END at character 3"),
        ("[1,]", "Expected value but found T_ARR_END at character 4"),
        ("[1 2]", "Expected comma or array end but found T_NUMBER at character 4"),
        ("{]", "Expected object key string but found T_ARR_END at character 2"),
        ("[}", "Expected value but found T_OBJ_END at character 2"),
        ("{1:2}", "Expected object key string but found T_NUMBER at character 2"),
        ("{\"a\":}", "Expected value but found T_OBJ_END at character 6"),
        ("{\"a\":1,}", "Expected object key string but found T_OBJ_END at character 8"),
        ("{\"a\":1 \"b\"}", "Expected comma or object end but found T_STRING at character 8"),
        ("1 2", "Expected the end but found T_NUMBER at character 3"),
        ("[1]]", "Expected the end but found T_ARR_END at character 4"),
        ("nul", "Expected value but found invalid token at character 1"),
        ("[.5]", "Expected value but found invalid token at character 2"),
        ("-", "Expected value but found invalid number at character 1"),
        ("- 1", "Expected value but found invalid number at character 1"),
        ("1e", "Expected the end but found invalid token at character 2"),
        ("\"abc", "Expected value but found unexpected end of string at character 5"),
        ("\"a\\qb\"", "Expected value but found invalid escape code at character 3"),
        ("\"a\\u12g4\"", "Expected value but found invalid unicode escape code at character 3"),
        ("\"\\ud800\"", "Expected value but found invalid unicode escape code at character 2"),
        ("\"\\udc00\"", "Expected value but found invalid unicode escape code at character 2"),
        (
            "\"\\ud800\\u0041\"",
            "Expected value but found invalid unicode escape code at character 2",
        ),
        ("\"x\\", "Expected value but found invalid escape code at character 3"),
    ] {
        // The first line break of long brackets is none.
        let text = if text.contains('\n') { format!("\n{text}") } else { text.to_owned() };
        assert_eq!(decoded(&text), value, "{text}");
    }
    assert_eq!(with("return cjson.decode(12) + 1"), "13");
    assert_eq!(with("return cjson.decode('[1]\\0]')[1]"), "1");
    let found = with("local ok, e = pcall(cjson.decode, '\\0[') return e");
    assert_eq!(found, "JSON parser does not support UTF-16 or UTF-32");
    let found = with("local ok, e = pcall(cjson.decode, {}) return e");
    assert_eq!(found, "bad argument #1 to '?' (string expected, got table)");
    let found = with("local ok, e = pcall(cjson.decode) return e");
    assert_eq!(found, "bad argument #1 to '?' (expected 1 argument)");
}

#[test]
fn nulls_are_left_out_unless_asked_for() {
    let found = with(
        "local t = cjson.decode('[1,null,3]')
         local r = tostring(t[2]) .. tostring(t[3])
         assert(cjson.decode_null(true) == true)
         t = cjson.decode('[1,null]')
         return r .. tostring(t[2] == cjson.null) .. cjson.encode(t) .. tostring(cjson.decode('null') == cjson.null)",
    );
    assert_eq!(found, "nil3true[1,null]true");
}

#[test]
fn options_are_set_and_asked() {
    for (text, value) in [
        ("return cjson.encode_max_depth(nil)", "1000"),
        ("return cjson.encode_max_depth(5)", "5"),
        ("return cjson.decode_max_depth('7')", "7"),
        ("return cjson.encode_number_precision(nil)", "14"),
        ("cjson.encode_number_precision(17) return cjson.encode(0.1)", "0.10000000000000001"),
        ("cjson.encode_number_precision(3) return cjson.encode(math.pi)", "3.14"),
        ("local a, b, c = cjson.encode_sparse_array(true) return tostring(a) .. b .. c", "true210"),
        (
            "local a, b, c = cjson.encode_sparse_array(nil, 3, 4) return tostring(a) .. b .. c",
            "false34",
        ),
        ("cjson.encode_sparse_array(true) return cjson.encode{[20] = 1}", "{\"20\":1}"),
        (
            "cjson.encode_sparse_array(false, 0) return cjson.encode{[12] = 1}",
            "[null,null,null,null,null,null,null,null,null,null,null,1]",
        ),
        ("return cjson.encode_invalid_numbers('null')", "null"),
        ("return cjson.encode_invalid_numbers(nil)", "false"),
        (
            "cjson.encode_invalid_numbers('on') return cjson.encode{0/0, 1/0, -1/0}",
            "[NaN,Infinity,-Infinity]",
        ),
        ("cjson.encode_invalid_numbers('null') return cjson.encode{1/0}", "[null]"),
        ("return cjson.decode_invalid_numbers(nil)", "true"),
        ("return cjson.decode_null('on')", "true"),
    ] {
        assert_eq!(with(&format!("require 'math' {text}")), value, "{text}");
    }
    for (call, text) in [
        ("encode_max_depth", "bad argument #1 to '?' (number expected, got no value)"),
        (
            "encode_max_depth, 0",
            "bad argument #1 to '?' (expected integer between 1 and 2147483647)",
        ),
        ("encode_max_depth, 1, 2", "bad argument #2 to '?' (found too many arguments)"),
        (
            "encode_number_precision, 18",
            "bad argument #1 to '?' (expected integer between 1 and 17)",
        ),
        ("encode_sparse_array", "bad argument #1 to '?' (string expected, got no value)"),
        (
            "encode_sparse_array, true, -1",
            "bad argument #1 to '?' (expected integer between 0 and 2147483647)",
        ),
        ("encode_invalid_numbers, 'x'", "bad argument #1 to '?' (invalid option 'x')"),
        ("decode_invalid_numbers", "bad argument #1 to '?' (string expected, got no value)"),
    ] {
        let found = with(&format!("local ok, e = pcall(cjson.{call}) return e"));
        assert_eq!(found, text, "{call}");
    }
    for text in ["+1", "0x1", "01", "inf", "-NaN"] {
        let found = with(&format!(
            "cjson.decode_invalid_numbers(false) local ok, e = pcall(cjson.decode, '{text}') return e"
        ));
        assert!(found.starts_with("Expected value but found invalid"), "{text}: {found}");
    }
}

#[test]
fn nesting_has_an_end_both_ways() {
    let nested = "local function nest(n) local s = '' for i = 1, n do s = s .. '[' end
        for i = 1, n do s = s .. ']' end return s end ";
    let found = with(&format!("{nested} return #cjson.encode(cjson.decode(nest(1000)))"));
    assert_eq!(found, "2000");
    let found = with(&format!("{nested} local ok, e = pcall(cjson.decode, nest(1001)) return e"));
    assert_eq!(found, "Found too many nested data structures (1001) at character 1001");
    let found = with("local t = {} t.t = t local ok, e = pcall(cjson.encode, t) return e");
    assert_eq!(found, "Cannot serialise, excessive nesting (1001)");
    let found = with("local t = {} t[1] = t local ok, e = pcall(cjson.encode, t) return e");
    assert_eq!(found, "Cannot serialise, excessive nesting (1001)");

    // Lua's stack is the last limit.
    let deep = "local s = '' for i = 1, 13 do s = s .. s .. '[' end cjson.decode_max_depth(2^30)
        cjson.encode_max_depth(2^30) ";
    let found = with(&format!("{deep} local ok, e = pcall(cjson.decode, s) return e"));
    assert!(found.starts_with("Found too many nested data structures ("), "{found}");
    let found = with(&format!(
        "{deep} local t = {{}} t[1] = t local ok, e = pcall(cjson.encode, t) return e"
    ));
    assert!(found.starts_with("Cannot serialise, excessive nesting ("), "{found}");
}

#[test]
fn the_text_is_limited() {
    let mut set = settings(Kind::Filter);
    set.limits.output = 64;
    let text = "require 'cjson'
        local t = cjson.decode('[\"this is a test\",\"this is a test\",\"this is a test\",\"this is a test\",\"this is a test\"]')
        function process_message()
          local ok, e = pcall(cjson.encode, t)
          inject_payload('', '', #t, e)
          local a = cjson.encode{'23456789012345678901234567890123456789012345678901234567890'}
          ok, e = pcall(cjson.encode, {'234567890123456789012345678901234567890123456789012345678901'})
          inject_payload('', '', #a, e)
          ok, e = pcall(cjson.encode, '\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0')
          inject_payload('', '', e)
          return 0
        end";
    let mut run = Run::start(&set, text).unwrap();
    assert_eq!(run.process(), Ok(Outcome::Done));
    let error = "strbuf output_limit exceeded";
    assert_eq!(
        run.take(),
        [format!("P(txt,) 5{error}"), format!("P(txt,) 63{error}"), format!("P(txt,) {error}")]
    );
}

#[test]
fn bombs_end_at_a_limit() {
    // A short text for a large table, and the work of reading the same again and again.
    let doubled = "local s = '[],' for i = 1, 16 do s = s .. s end s = '[' .. s .. '1]' ";
    let found =
        with(&format!("{doubled} local t = {{}} for i = 1, 9 do t[i] = cjson.decode(s) end"));
    assert_eq!(found, "T: process_message() not enough memory");
    let found = with(&format!("{doubled} while true do pcall(cjson.decode, s) end"));
    // Without optimisation some reach the limit of time before that of steps.
    assert!(found.starts_with("T: process_message() instruction_limit exceeded"), "{found}");
    let found =
        with("local t = {} for i = 1, 1000 do t[i] = i end while true do cjson.encode(t) end");
    // Without optimisation some reach the limit of time before that of steps.
    assert!(found.starts_with("T: process_message() instruction_limit exceeded"), "{found}");

    let mut set = settings(Kind::Filter);
    (set.limits.output, set.limits.instructions) = (0, 50_000);
    let text = "require 'cjson' cjson.encode_sparse_array(false, 0)
        function process_message()
          local ok, e = pcall(cjson.encode, {[2^30] = 1}) inject_payload('', '', e) return 0
        end";
    let mut run = Run::start(&set, text).unwrap();
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(run.take(), ["P(txt,) instruction_limit exceeded"]);

    (set.limits.memory, set.limits.instructions) = (1 << 20, 1_000_000);
    let text = "require 'cjson' local s = 'x' for i = 1, 16 do s = s .. s end
        function process_message()
          local ok, e = pcall(cjson.encode, {s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s})
          inject_payload('', '', e) return 0
        end";
    let mut run = Run::start(&set, text).unwrap();
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(run.take(), ["P(txt,) not enough memory"]);
}
