//! The library `hyperloglog`. The count itself is in `heka_sketches`.

use std::ffi::c_int;

use heka_sketches::HyperLogLog;
use mlua_sys::lua_CFunction;

use super::sketch::{ARGUMENTS, BYTES_A_STEP, ask, check, check_key, wrong, wrong_text};
use crate::error::Raise;
use crate::function::entry;
use crate::lua::Lua;
use crate::object::{Object, Written};

/// Steps of an estimate: it looks at sixteen thousand registers.
const ESTIMATE_STEPS: usize = 2048;
/// Hashes of a key.
const HASHES: usize = 1;

impl Object for HyperLogLog {
    const NAME: &'static str = "mozsvc.hyperloglog";
    const PRESERVED: bool = true;

    fn methods() -> Vec<(&'static str, lua_CFunction)> {
        vec![
            ("add", entry(add)),
            ("count", entry(count)),
            ("merge", entry(merge)),
            ("clear", entry(clear)),
            ("fromstring", entry(from_string)),
        ]
    }

    fn memory(&self) -> usize {
        Self::MEMORY
    }

    fn output(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> Written {
        if out.len() + self.bytes().len() > bytes_max {
            return Written::TooLong;
        }
        out.extend_from_slice(self.bytes());
        Written::Done
    }

    fn preserve(&mut self, key: &[u8], out: &mut Vec<u8>) {
        Self::preserve(self, key, out);
    }
}

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 3);
    let functions = [("new", entry(new)), ("count", entry(count_all)), ("version", entry(version))];
    lua.set_functions(&functions);
    Ok(())
}

fn version(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_bytes(HyperLogLog::VERSION.as_bytes());
    Ok(1)
}

/// `new()`.
fn new(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.top() != 0 {
        return Err(ARGUMENTS);
    }
    ask(lua, Some(HyperLogLog::MEMORY))?;
    lua.push_object(HyperLogLog::new().map_err(|error| wrong(1, &error))?)?;
    Ok(1)
}

/// `count(one, other, ..)` of the library: keys of all together, as in Heka's successor.
fn count_all(lua: Lua<'_>) -> Result<c_int, Raise> {
    let arguments = lua.top();
    if arguments < 2 {
        return Err(ARGUMENTS);
    }
    let mut sets = Vec::new();
    for index in 1..=arguments {
        lua.charge(ESTIMATE_STEPS)?;
        sets.push(&*lua.check_object::<HyperLogLog>(index)?);
    }
    lua.push_number(HyperLogLog::count_all(&sets) as f64);
    Ok(1)
}

/// `add(key)`: true if the estimate may have changed.
fn add(lua: Lua<'_>) -> Result<c_int, Raise> {
    let set = check::<HyperLogLog>(lua, 1)?;
    lua.push_boolean(set.add(check_key(&lua, HASHES)?));
    Ok(1)
}

/// `count()`.
fn count(lua: Lua<'_>) -> Result<c_int, Raise> {
    let set = check::<HyperLogLog>(lua, 0)?;
    if !set.is_counted() {
        lua.charge(ESTIMATE_STEPS)?;
    }
    lua.push_number(set.count() as f64);
    Ok(1)
}

/// `merge(other)`: the set itself, as in Heka's successor.
fn merge(lua: Lua<'_>) -> Result<c_int, Raise> {
    check::<HyperLogLog>(lua, 1)?;
    lua.charge(ESTIMATE_STEPS)?;
    // A copy: the other one may be the set itself.
    let other = lua.check_object::<HyperLogLog>(2)?.clone();
    check::<HyperLogLog>(lua, 1)?.merge(&other);
    lua.push_value(1);
    Ok(1)
}

/// `clear()`.
fn clear(lua: Lua<'_>) -> Result<c_int, Raise> {
    let set = check::<HyperLogLog>(lua, 0)?;
    lua.charge(HyperLogLog::MEMORY / BYTES_A_STEP)?;
    set.clear();
    Ok(0)
}

/// `fromstring(bytes)`: takes over preserved state, or the text form of another one.
fn from_string(lua: Lua<'_>) -> Result<c_int, Raise> {
    let set = check::<HyperLogLog>(lua, 1)?;
    let bytes = lua.check_text(2)?;
    lua.charge(bytes.len() / BYTES_A_STEP)?;
    set.restore(bytes).map_err(|error| wrong_text(&error))?;
    Ok(0)
}
