//! The library `cuckoo_filter`. The filter itself is in `heka_sketches`.

use std::ffi::c_int;

use heka_sketches::{CuckooFilter, Error};
use mlua_sys::lua_CFunction;

use super::sketch::{
    ARGUMENTS, BYTES_A_STEP, ask, check, check_count, check_key, wrong, wrong_text,
};
use crate::error::Raise;
use crate::function::entry;
use crate::lua::Lua;
use crate::object::Object;

/// Hashes of a key.
const HASHES: usize = 1;
/// Steps of looking for room in a filter that is full.
const FULL_STEPS: usize = 1000;

impl Object for CuckooFilter {
    const NAME: &'static str = "mozsvc.cuckoo_filter";
    const PRESERVED: bool = true;

    fn methods() -> Vec<(&'static str, lua_CFunction)> {
        vec![
            ("add", entry(add)),
            ("query", entry(query)),
            ("delete", entry(delete)),
            ("count", entry(count)),
            ("clear", entry(clear)),
            ("fromstring", entry(from_string)),
        ]
    }

    fn memory(&self) -> usize {
        self.memory()
    }

    fn preserve(&mut self, key: &[u8], out: &mut Vec<u8>) {
        Self::preserve(self, key, out);
    }
}

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 2);
    lua.set_functions(&[("new", entry(new)), ("version", entry(version))]);
    Ok(())
}

fn version(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_bytes(CuckooFilter::VERSION.as_bytes());
    Ok(1)
}

/// `new(items)`.
fn new(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.top() != 1 {
        return Err(ARGUMENTS);
    }
    let items = lua.check_integer(1)?;
    if items < 5 {
        return Err(wrong(1, &Error::CuckooItems));
    }
    ask(lua, CuckooFilter::memory_for(items))?;
    lua.push_object(CuckooFilter::new(items).map_err(|error| wrong(1, &error))?)?;
    Ok(1)
}

/// `add(key)`: false if it seems to be there, or the filter is full.
fn add(lua: Lua<'_>) -> Result<c_int, Raise> {
    let filter = check::<CuckooFilter>(lua, 1)?;
    let key = check_key(&lua, HASHES)?;
    let is_added = filter.add(key);
    if !is_added && !filter.query(key) {
        lua.charge(FULL_STEPS)?;
    }
    lua.push_boolean(is_added);
    Ok(1)
}

/// `query(key)`: true if it may be there.
fn query(lua: Lua<'_>) -> Result<c_int, Raise> {
    let filter = check::<CuckooFilter>(lua, 1)?;
    lua.push_boolean(filter.query(check_key(&lua, HASHES)?));
    Ok(1)
}

/// `delete(key)`: true if it was there.
fn delete(lua: Lua<'_>) -> Result<c_int, Raise> {
    let filter = check::<CuckooFilter>(lua, 1)?;
    lua.push_boolean(filter.delete(check_key(&lua, HASHES)?));
    Ok(1)
}

/// `count()`.
fn count(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_number(check::<CuckooFilter>(lua, 0)?.count() as f64);
    Ok(1)
}

/// `clear()`.
fn clear(lua: Lua<'_>) -> Result<c_int, Raise> {
    let filter = check::<CuckooFilter>(lua, 0)?;
    lua.charge(filter.memory() / BYTES_A_STEP)?;
    filter.clear();
    Ok(0)
}

/// `fromstring(count, bytes)`: takes over preserved state.
fn from_string(lua: Lua<'_>) -> Result<c_int, Raise> {
    let filter = check::<CuckooFilter>(lua, 2)?;
    let count = check_count(lua, 2)?;
    let bytes = lua.check_text(3)?;
    lua.charge(bytes.len() / BYTES_A_STEP)?;
    filter.restore(count, bytes).map_err(|error| wrong_text(&error))?;
    Ok(0)
}
