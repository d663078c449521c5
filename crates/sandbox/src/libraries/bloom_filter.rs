//! The library `bloom_filter`. The filter itself is in `heka_sketches`.

use std::ffi::c_int;

use heka_sketches::{BloomFilter, Error};
use mlua_sys::lua_CFunction;

use super::sketch::{
    ARGUMENTS, BYTES_A_STEP, ask, check, check_count, check_key, wrong, wrong_text,
};
use crate::error::Raise;
use crate::function::entry;
use crate::lua::Lua;
use crate::object::Object;

impl Object for BloomFilter {
    const NAME: &'static str = "mozsvc.bloom_filter";
    const PRESERVED: bool = true;

    fn methods() -> Vec<(&'static str, lua_CFunction)> {
        vec![
            ("add", entry(add)),
            ("query", entry(query)),
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
    lua.push_bytes(BloomFilter::VERSION.as_bytes());
    Ok(1)
}

/// `new(items, probability)`.
fn new(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.top() != 2 {
        return Err(ARGUMENTS);
    }
    let items = lua.check_integer(1)?;
    if items < 2 {
        return Err(wrong(1, &Error::BloomItems));
    }
    let probability = lua.check_number(2)?;
    if !(probability > 0.0 && probability < 1.0) {
        return Err(wrong(2, &Error::Probability));
    }
    ask(lua, BloomFilter::memory_for(items, probability))?;
    let filter = BloomFilter::new(items, probability).map_err(|error| wrong(1, &error))?;
    lua.push_object(filter)?;
    Ok(1)
}

/// `add(key)`: true if it is new.
fn add(lua: Lua<'_>) -> Result<c_int, Raise> {
    let filter = check::<BloomFilter>(lua, 1)?;
    let is_new = filter.add(check_key(&lua, filter.hashes())?);
    lua.push_boolean(is_new);
    Ok(1)
}

/// `query(key)`: true if it may be there.
fn query(lua: Lua<'_>) -> Result<c_int, Raise> {
    let filter = check::<BloomFilter>(lua, 1)?;
    let is_there = filter.query(check_key(&lua, filter.hashes())?);
    lua.push_boolean(is_there);
    Ok(1)
}

/// `count()`.
fn count(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_number(check::<BloomFilter>(lua, 0)?.count() as f64);
    Ok(1)
}

/// `clear()`.
fn clear(lua: Lua<'_>) -> Result<c_int, Raise> {
    let filter = check::<BloomFilter>(lua, 0)?;
    lua.charge(filter.bytes().len() / BYTES_A_STEP)?;
    filter.clear();
    Ok(0)
}

/// `fromstring([count,] bytes)`: takes over preserved state.
fn from_string(lua: Lua<'_>) -> Result<c_int, Raise> {
    let (filter, count) = match lua.top() {
        2 => (check::<BloomFilter>(lua, 1)?, None),
        _ => (check::<BloomFilter>(lua, 2)?, Some(check_count(lua, 2)?)),
    };
    let bytes = lua.check_text(lua.top())?;
    lua.charge(bytes.len() / BYTES_A_STEP)?;
    filter.restore(count, bytes).map_err(|error| wrong_text(&error))?;
    Ok(0)
}
