//! Functions of Lua's own libraries that are ours.

use heka_sandbox::Kind;

use crate::harness::{eval, settings};
use crate::recorded;

#[test]
fn base_functions_do_as_lua_does() {
    recorded::check(Kind::Filter, "", include_str!("../../testdata/base.txt"));
}

#[test]
fn coroutines_do_as_lua_does() {
    let requires = "require 'string' require 'table' require 'io'";
    recorded::check(Kind::Input, requires, include_str!("../../testdata/coroutine.txt"));
}

#[test]
fn math_does_as_lua_does() {
    recorded::check(Kind::Filter, "require 'math'", include_str!("../../testdata/math.txt"));
}

#[test]
fn os_does_as_lua_does() {
    recorded::check(Kind::Filter, "require 'os'", include_str!("../../testdata/os.txt"));
}

#[test]
fn conversions_of_dates_are_checked_as_heka_does() {
    let raised = |format: &str| {
        eval(&format!("require 'os' local ok, e = pcall(os.date, '{format}', 0) return e"))
    };
    let invalid =
        |rest: &str| format!("bad argument #1 to '?' (invalid conversion specifier '%{rest}')");
    assert_eq!(raised("%"), invalid(""));
    assert_eq!(raised("%Y %Q and more"), invalid("Q and more"));
    assert_eq!(raised("%EQ%Y"), invalid("EQ%Y"));
    assert_eq!(raised("%Ox"), invalid("Ox"));
    let found = eval("require 'os' return os.date('%EY|%Od|%s', 86400)");
    assert_eq!(found, "1970|02|86400");
    let found = eval("require 'os' require 'string' return #os.date(('%A '):rep(100), 0)");
    assert_eq!(found, "900");
}

/// Collecting garbage must run nothing of a script's: it happens within functions that own things.
#[test]
fn no_script_sets_a_finalizer() {
    let set = settings(Kind::Input);
    let requires = "require 'io' require 'string' local gc = function() end";
    for chunk in [
        "local m = getmetatable(newproxy(true)) m.__gc = gc",
        "local m = getmetatable(newproxy(true)) rawset(m, '__gc', gc)",
        "local m = getmetatable(newproxy(true)) setmetatable(m, nil)",
        "local m = {} newproxy(setmetatable({}, m)) m.__gc = gc",
        "newproxy('') getmetatable('').__gc = gc",
        "local m = getmetatable(newproxy(true)) setfenv(function() __gc = gc end, m)()",
    ] {
        let found = recorded::outcome(&set, requires, chunk);
        assert!(found.starts_with("false "), "{chunk}: {found}");
    }
    let found = recorded::outcome(
        &set,
        requires,
        "local m = getmetatable(io.stdout) m.__gc = gc m.__index = nil \
         return getmetatable(io.stdout) == m, io.type(io.stdout), type(io.stdout.write)",
    );
    assert_eq!(found, "true true [file] [function]");
}
