//! Functions and operators that make patterns.
//!
//! Here: their arguments as LPeg checks them. Not here: what they do (`heka_lpeg`), grammars (`grammar`). Each one makes
//! its operands patterns where they lie, pushes the new pattern's holder and replaces it by the pattern.

use std::ffi::c_int;

use heka_lpeg::{CharSet, Error, Pattern};
use mlua_sys::lua_CFunction;

use super::keys::{self, Key};
use super::pattern::{ask, coerce, push, push_holder, push_plain, raise};
use crate::error::Raise;
use crate::function::entry;
use crate::lua::{Lua, Type};

/// Most that LPeg takes as the number of a capture or argument.
const NUMBER_MAX: i64 = i16::MAX as i64;

type Made = Result<Pattern<Key>, Error>;

pub(super) fn functions() -> Vec<(&'static str, lua_CFunction)> {
    vec![
        ("P", entry(pattern)),
        ("R", entry(range)),
        ("S", entry(set)),
        ("V", entry(reference)),
        ("B", entry(|lua| unary(lua, Pattern::behind))),
        ("utfR", entry(code_points)),
        ("C", entry(|lua| unary(lua, Pattern::capture))),
        ("Cs", entry(|lua| unary(lua, Pattern::substitution))),
        ("Ct", entry(|lua| unary(lua, Pattern::table))),
        ("Cp", entry(position)),
        ("Cc", entry(constants)),
        ("Carg", entry(argument)),
        ("Cb", entry(back)),
        ("Cg", entry(group)),
        ("Cf", entry(|lua| with_function(lua, Pattern::fold))),
        ("Cmt", entry(|lua| with_function(lua, Pattern::match_time))),
    ]
}

pub(super) fn operators() -> Vec<(&'static str, lua_CFunction)> {
    vec![
        ("__mul", entry(|lua| binary(lua, Pattern::sequence))),
        ("__add", entry(|lua| binary(lua, Pattern::choice))),
        ("__sub", entry(|lua| binary(lua, Pattern::difference))),
        ("__pow", entry(repeat)),
        ("__div", entry(divide)),
        ("__len", entry(|lua| unary(lua, Pattern::and))),
        ("__unm", entry(|lua| unary(lua, Pattern::not))),
    ]
}

/// A pattern of the first argument.
fn unary(lua: Lua<'_>, make: impl Fn(&Pattern<Key>) -> Made) -> Result<c_int, Raise> {
    let part = coerce(lua, 1)?;
    ask(lua, part.size() + 1)?;
    let links = push_holder(lua, 1);
    push(lua, make(&part).map_err(raise)?, links)?;
    Ok(1)
}

/// A pattern of the first two arguments.
fn binary(
    lua: Lua<'_>,
    make: impl Fn(&Pattern<Key>, &Pattern<Key>) -> Made,
) -> Result<c_int, Raise> {
    let first = coerce(lua, 1)?;
    let second = coerce(lua, 2)?;
    ask(lua, first.size() + second.size() + 2)?;
    let links = push_holder(lua, 1) + push_holder(lua, 2);
    let links = links + keys::join(lua);
    push(lua, make(&first, &second).map_err(raise)?, links)?;
    Ok(1)
}

/// A pattern of the first argument and the key of another one.
fn keyed(
    lua: Lua<'_>,
    value: c_int,
    make: impl Fn(&Pattern<Key>, Key) -> Made,
) -> Result<c_int, Raise> {
    let part = coerce(lua, 1)?;
    ask(lua, part.size() + 1)?;
    let links = push_holder(lua, 1);
    let key = keys::intern(lua, value);
    let links = links + 1 + keys::join(lua);
    push(lua, make(&part, key).map_err(raise)?, links)?;
    Ok(1)
}

fn with_function(lua: Lua<'_>, make: impl Fn(&Pattern<Key>, Key) -> Made) -> Result<c_int, Raise> {
    lua.check_type(2, Type::Function)?;
    keyed(lua, 2, make)
}

fn pattern(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_any(1)?;
    coerce(lua, 1)?;
    lua.set_top(1);
    Ok(1)
}

fn range(lua: Lua<'_>) -> Result<c_int, Raise> {
    let mut set = CharSet::EMPTY;
    for index in 1..=lua.top() {
        let &[first, last] = lua.check_text(index)? else {
            return Err(Raise::argument(index, "range must have two characters"));
        };
        set = set.union(&CharSet::range(first..=last));
    }
    push_plain(lua, Pattern::set(&set))?;
    Ok(1)
}

fn set(lua: Lua<'_>) -> Result<c_int, Raise> {
    let bytes = lua.check_text(1)?;
    lua.charge(bytes.len() / 16)?;
    push_plain(lua, Pattern::set(&bytes.iter().copied().collect()))?;
    Ok(1)
}

fn reference(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.is_none_or_nil(1) {
        return Err(Raise::argument(1, "non-nil value expected"));
    }
    let name = keys::intern(lua, 1);
    push(lua, Pattern::reference(name), 1)?;
    Ok(1)
}

fn code_points(lua: Lua<'_>) -> Result<c_int, Raise> {
    let code = |index| -> Result<Option<u32>, Raise> {
        lua.check_integer(index).map(|code| u32::try_from(code).ok())
    };
    let (first, last) = (code(1)?, code(2)?);
    let made = first.zip(last).ok_or(Error::CodePoints);
    let made = made.and_then(|(first, last)| Pattern::code_points(first, last));
    push_plain(lua, made.map_err(raise)?)?;
    Ok(1)
}

fn repeat(lua: Lua<'_>) -> Result<c_int, Raise> {
    let count = lua.check_number(2)? as i32;
    let part = coerce(lua, 1)?;
    let copies = usize::try_from(count).unwrap_or(0).saturating_add(1);
    ask(lua, (part.size() + 1).saturating_mul(copies))?;
    let links = push_holder(lua, 1);
    push(lua, part.repeat(count).map_err(raise)?, links)?;
    Ok(1)
}

fn divide(lua: Lua<'_>) -> Result<c_int, Raise> {
    match lua.type_of(2) {
        Type::Function => keyed(lua, 2, Pattern::apply),
        Type::Table => keyed(lua, 2, Pattern::query),
        Type::String => {
            let text = lua.bytes(2).unwrap_or_default();
            lua.charge(text.len() / 16)?;
            lua.ask_memory(text.len())?;
            unary(lua, |part| part.replace(text))
        }
        Type::Number => {
            let number = lua.check_integer(2)?;
            coerce(lua, 1)?;
            let number = u16::try_from(number).ok().filter(|it| i64::from(*it) <= NUMBER_MAX);
            let number = number.ok_or_else(|| Raise::argument(1, "invalid number"))?;
            unary(lua, |part| part.select(number))
        }
        _ => Err(Raise::argument(2, "invalid replacement value")),
    }
}

fn position(lua: Lua<'_>) -> Result<c_int, Raise> {
    push_plain(lua, Pattern::position())?;
    Ok(1)
}

fn constants(lua: Lua<'_>) -> Result<c_int, Raise> {
    let count = lua.top();
    let values = usize::try_from(count).unwrap_or_default();
    ask(lua, 2 * values + 2)?;
    if count == 1 {
        let key = keys::intern(lua, 1);
        push(lua, Pattern::constants([key]).map_err(raise)?, 1)?;
        return Ok(1);
    }
    lua.push_table(values, 0);
    let holder = lua.top();
    let mut keys = Vec::with_capacity(values);
    for index in 1..=count {
        keys.push(keys::intern(lua, index));
        lua.raw_set_index(holder, index);
    }
    push(lua, Pattern::constants(keys).map_err(raise)?, values)?;
    Ok(1)
}

fn argument(lua: Lua<'_>) -> Result<c_int, Raise> {
    let number = lua.check_integer(1)?;
    let number = u16::try_from(number).ok().filter(|it| (1..=NUMBER_MAX).contains(&i64::from(*it)));
    let number = number.ok_or_else(|| Raise::argument(1, "invalid argument index"))?;
    push_plain(lua, Pattern::argument(number))?;
    Ok(1)
}

fn back(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_any(1)?;
    let name = keys::intern(lua, 1);
    push(lua, Pattern::back(name), 1)?;
    Ok(1)
}

fn group(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.is_none_or_nil(2) {
        return unary(lua, |part| part.group(None));
    }
    keyed(lua, 2, |part, name| part.group(Some(name)))
}
