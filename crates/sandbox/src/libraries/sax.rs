//! The library `sax`: windows of series and their words. Both themselves are in `heka_sketches`.

use std::borrow::Cow;
use std::ffi::c_int;

use heka_sketches::{Error, SaxWindow, SaxWord};
use mlua_sys::lua_CFunction;

use super::sketch::{ask, wrong};
use crate::error::Raise;
use crate::function::entry;
use crate::lua::{Lua, Type};
use crate::object::{Object, Written};

/// Longest series.
const VALUES_MAX: usize = 4096;

/// The error of a call with too few or too many arguments.
const ARGUMENTS: Raise = Raise::Argument(0, Cow::Borrowed("incorrect number of args"));

impl Object for SaxWindow {
    const NAME: &'static str = "mozsvc.sax.window";
    const PRESERVED: bool = true;

    fn methods() -> Vec<(&'static str, lua_CFunction)> {
        vec![("add", entry(add)), ("clear", entry(clear)), ("get_word", entry(get_word))]
    }

    fn operators() -> Vec<(&'static str, lua_CFunction)> {
        operators()
    }

    fn memory(&self) -> usize {
        self.memory()
    }

    fn output(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> Written {
        write_word(&self.word(), out, bytes_max)
    }

    fn preserve(&mut self, key: &[u8], out: &mut Vec<u8>) {
        Self::preserve(self, key, out);
    }
}

impl Object for SaxWord {
    const NAME: &'static str = "mozsvc.sax.word";
    const PRESERVED: bool = true;

    fn methods() -> Vec<(&'static str, lua_CFunction)> {
        Vec::new()
    }

    fn operators() -> Vec<(&'static str, lua_CFunction)> {
        operators()
    }

    fn memory(&self) -> usize {
        Self::memory_for(self.as_bytes().len())
    }

    fn output(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> Written {
        write_word(self, out, bytes_max)
    }

    fn preserve(&mut self, key: &[u8], out: &mut Vec<u8>) {
        Self::preserve(self, key, out);
    }
}

/// The same for both, so that they can be compared.
fn operators() -> Vec<(&'static str, lua_CFunction)> {
    vec![("__eq", entry(equal)), ("__tostring", entry(to_string))]
}

fn write_word(word: &SaxWord, out: &mut Vec<u8>, bytes_max: usize) -> Written {
    if out.len() + word.as_bytes().len() > bytes_max {
        return Written::TooLong;
    }
    out.extend_from_slice(word.as_bytes());
    Written::Done
}

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 4);
    lua.set_functions(&[("mindist", entry(mindist)), ("version", entry(version))]);
    for (name, new) in [("window", entry(new_window)), ("word", entry(new_word))] {
        lua.push_table(0, 1);
        lua.set_functions(&[("new", new)]);
        lua.raw_set_text(-2, name);
    }
    Ok(())
}

fn version(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_bytes(SaxWord::VERSION.as_bytes());
    Ok(1)
}

fn check_arguments(lua: Lua<'_>, count: c_int) -> Result<(), Raise> {
    if lua.top() == count { Ok(()) } else { Err(ARGUMENTS) }
}

/// `window.new(n, w, c)`.
fn new_window(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_arguments(lua, 3)?;
    let (n, w, c) = (lua.check_integer(1)?, lua.check_integer(2)?, lua.check_integer(3)?);
    let values = usize::try_from(n).unwrap_or(0).min(VALUES_MAX);
    ask(lua, Some(SaxWindow::memory_for(values)))?;
    lua.push_object(SaxWindow::new(n, w, c).map_err(|error| wrong(1, &error))?)?;
    Ok(1)
}

/// `word.new(values, w, c)` and `word.new(text, c)`.
fn new_word(lua: Lua<'_>) -> Result<c_int, Raise> {
    match lua.top() {
        2 => word_of_text(lua),
        3 => word_of_values(lua),
        _ => Err(Raise::argument(0, "incorrect number of arguments")),
    }
}

fn word_of_text(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    if text.len() < 2 {
        return Err(wrong(1, &Error::SaxWordLength));
    }
    let cardinality = lua.check_integer(2)?;
    ask(lua, Some(SaxWord::memory_for(text.len())))?;
    lua.push_object(SaxWord::parse(text, cardinality).map_err(|error| wrong(1, &error))?)?;
    Ok(1)
}

fn word_of_values(lua: Lua<'_>) -> Result<c_int, Raise> {
    let (w, c) = (lua.check_integer(2)?, lua.check_integer(3)?);
    if lua.type_of(1) != Type::Table {
        return Err(Raise::argument(1, "array-like table expected"));
    }
    let count = lua.len(1);
    if count > VALUES_MAX {
        return Err(wrong(2, &Error::SaxValues));
    }
    let values = check_values(lua, 1, count)?;
    lua.push_object(SaxWord::from_values(&values, w, c).map_err(|error| wrong(2, &error))?)?;
    Ok(1)
}

/// The last numbers of an array that has so many, at least as many as a window can hold.
fn check_values(lua: Lua<'_>, index: c_int, count: usize) -> Result<Vec<f64>, Raise> {
    let mut values = Vec::with_capacity(count.min(VALUES_MAX));
    for place in 1..=c_int::try_from(count).unwrap_or(c_int::MAX) {
        lua.charge(1)?;
        lua.raw_get_index(index, place);
        let number = lua.number(-1);
        lua.pop(1);
        let number = number.ok_or(Raise::argument(index, "expected array of numbers as input"))?;
        if values.len() == 2 * VALUES_MAX {
            values.drain(..VALUES_MAX);
        }
        values.push(number);
    }
    Ok(values)
}

/// `add(number or array)`: the oldest ones go.
fn add(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_arguments(lua, 2)?;
    let window = lua.check_object::<SaxWindow>(1)?;
    if let Some(number) = lua.number(2) {
        window.add(number);
        return Ok(0);
    }
    if lua.type_of(2) != Type::Table {
        return Err(Raise::argument(2, "number or array-like table expected"));
    }
    for value in check_values(lua, 2, lua.len(2))? {
        window.add(value);
    }
    Ok(0)
}

/// `clear()`.
fn clear(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_arguments(lua, 1)?;
    let window = lua.check_object::<SaxWindow>(1)?;
    lua.charge(window.memory() / 64)?;
    window.clear();
    Ok(0)
}

/// `get_word()`.
fn get_word(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_arguments(lua, 1)?;
    lua.check_object::<SaxWindow>(1)?;
    lua.push_object(check_word(lua, 1)?)?;
    Ok(1)
}

/// Argument `index` as a word: itself, or that of a window.
fn check_word(lua: Lua<'_>, index: c_int) -> Result<SaxWord, Raise> {
    if let Some(word) = lua.object::<SaxWord>(index) {
        lua.charge(word.as_bytes().len() / 64)?;
        return Ok(word.clone());
    }
    let Some(window) = lua.object::<SaxWindow>(index) else {
        return Err(lua.wrong_type(index, "sax.window or sax.word"));
    };
    // Every value is looked at.
    lua.charge(window.memory() / 8)?;
    Ok(window.word())
}

/// `mindist(one, other)`: distance, above, below; nil if there is none.
fn mindist(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_arguments(lua, 2)?;
    let (one, other) = (check_word(lua, 1)?, check_word(lua, 2)?);
    let Some(found) = one.mindist(&other) else {
        lua.push_nil();
        return Ok(1);
    };
    lua.push_number(found.distance);
    lua.push_number(found.above);
    lua.push_number(found.below);
    Ok(3)
}

fn equal(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_arguments(lua, 2)?;
    let is_equal = check_word(lua, 1)? == check_word(lua, 2)?;
    lua.push_boolean(is_equal);
    Ok(1)
}

fn to_string(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_arguments(lua, 1)?;
    lua.push_bytes(check_word(lua, 1)?.as_bytes());
    Ok(1)
}
