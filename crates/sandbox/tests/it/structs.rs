//! The library `struct`.

use heka_sandbox::Kind;

use crate::harness::eval;
use crate::recorded;

#[test]
fn results_and_errors_are_those_of_the_library() {
    let file = include_str!("../../testdata/structs.txt");
    recorded::check(Kind::Filter, "require 'string' require 'struct'", file);
}

#[test]
fn the_data_is_no_size_of_itself() {
    // In struct 0.2 it was, and what it held was used after it was gone.
    let found = eval(
        "local s = require 'struct' local ok, e = pcall(function() return s.unpack('c0', '1') end) return e",
    );
    assert_eq!(found, "f.lua:1: format `c0' needs a previous size");
    let found = eval(
        "local s = require 'struct' local ok, e = pcall(function() return s.unpack('b', 'x', 0) end) return e",
    );
    assert_eq!(found, "f.lua:1: bad argument #2 to 'unpack' (data string too short)");
}
