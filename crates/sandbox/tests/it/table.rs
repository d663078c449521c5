//! The library `table`.

use heka_sandbox::Kind;

use crate::recorded;

#[test]
fn results_and_errors_are_those_of_lua() {
    let file = include_str!("../../testdata/table.txt");
    recorded::check(Kind::Filter, "require 'string' require 'table'", file);
}
