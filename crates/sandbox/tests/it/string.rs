//! The library `string`.

use heka_sandbox::Kind;

use crate::harness::eval;
use crate::recorded;

#[test]
fn results_and_errors_are_those_of_lua() {
    let file = include_str!("../../testdata/string.txt");
    recorded::check(Kind::Filter, "require 'string' require 'math'", file);
}

#[test]
fn strings_have_methods_once_the_library_was_required() {
    let found = eval("local ok, e = pcall(function() return ('x'):len() end) return e");
    assert_eq!(found, "f.lua:1: attempt to index a string value");
    let found = eval(
        "local before = string local s = require 'string' return tostring(before) .. ('x'):len() .. tostring(s == string)",
    );
    assert_eq!(found, "nil1true");
}
