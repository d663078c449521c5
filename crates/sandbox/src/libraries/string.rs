//! The library `string`: bytes and formats; patterns in `patterns`.
//!
//! Results and errors are those of Lua 5.1.5, but that `dump` gives nothing: no script can load what it gave, and the
//! layout of byte code is nobody's business. Invariant: work is charged and memory asked for by the length of texts.

use std::ffi::c_int;

use heka_luatext::{Directive, Directives, Error, FORM_MAX, ITEM_BYTES_MAX, Piece};

use super::text;
use crate::error::Raise;
use crate::function::entry;
use crate::lua::{Lua, Type};

mod patterns;

pub(crate) use patterns::Patterns;

/// Bytes of a formatted number after which each is charged: those of usual numbers cost less than an instruction.
const NUMBER_BYTES_FREE: usize = 32;

/// Pushes the library and makes it the methods of strings.
pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 16);
    lua.set_functions(&[
        ("byte", entry(byte)),
        ("char", entry(char)),
        ("dump", entry(dump)),
        ("find", entry(patterns::find)),
        ("format", entry(format)),
        ("gmatch", entry(patterns::gmatch)),
        ("gsub", entry(patterns::gsub)),
        ("len", entry(len)),
        ("lower", entry(lower)),
        ("match", entry(patterns::match_)),
        ("rep", entry(rep)),
        ("reverse", entry(reverse)),
        ("sub", entry(sub)),
        ("upper", entry(upper)),
    ]);
    lua.raw_get_text(-1, "gmatch");
    lua.raw_set_text(-2, "gfind");
    // All strings have one metatable.
    lua.push_bytes(b"");
    lua.push_table(0, 1);
    lua.push_value(-3);
    lua.raw_set_text(-2, "__index");
    lua.set_metatable(-2);
    lua.pop(1);
    Ok(())
}

/// A position that may be counted from the end, as one from the start: 0 where it lies before it.
#[inline]
fn position(position: i64, len: usize) -> usize {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let position = if position < 0 { position + len + 1 } else { position };
    usize::try_from(position).unwrap_or(0)
}

fn len(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_index(lua.check_text(1)?.len());
    Ok(1)
}

fn sub(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    let first = position(lua.check_integer(2)?, text.len()).max(1);
    let last = position(lua.optional_integer(3, -1)?, text.len()).min(text.len());
    lua.push_part(text.get(first - 1..last).unwrap_or_default())?;
    Ok(1)
}

fn byte(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    let first = lua.optional_integer(2, 1)?;
    let first_position = position(first, text.len());
    let last = match lua.is_none_or_nil(3) {
        true => first_position,
        false => position(lua.check_integer(3)?, text.len()),
    };
    let bytes = text.get(first_position.max(1) - 1..last.min(text.len())).unwrap_or_default();
    if let &[byte] = bytes {
        lua.push_number(byte.into());
        return Ok(1);
    }
    lua.reserve_stack(bytes.len())
        .map_err(|_| Raise::text("stack overflow (string slice too long)"))?;
    lua.charge(bytes.len() / 8)?;
    bytes.iter().for_each(|byte| lua.push_number((*byte).into()));
    // The stack has room for so many.
    Ok(bytes.len() as c_int)
}

fn char(lua: Lua<'_>) -> Result<c_int, Raise> {
    let count = lua.top();
    lua.build(|out| {
        for index in 1..=count {
            let byte = u8::try_from(lua.check_int(index)?);
            out.push(byte.map_err(|_| Raise::argument(index, "invalid value"))?);
        }
        lua.charge(out.len() / 8)
    })
}

fn rep(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    let count = usize::try_from(lua.check_int(2)?).unwrap_or(0);
    let bytes = text.len().checked_mul(count).ok_or(Raise::Memory)?;
    lua.ask_text(bytes)?;
    lua.build(|out| {
        out.try_reserve(bytes).map_err(|_| Raise::Memory)?;
        if let &[byte] = text {
            out.resize(bytes, byte);
            return Ok(());
        }
        out.extend_from_slice(&text[..bytes.min(text.len())]);
        while !out.is_empty() && out.len() < bytes {
            out.extend_from_within(..out.len().min(bytes - out.len()));
        }
        Ok(())
    })
}

fn lower(lua: Lua<'_>) -> Result<c_int, Raise> {
    map(lua, heka_luatext::lower)
}

fn upper(lua: Lua<'_>) -> Result<c_int, Raise> {
    map(lua, heka_luatext::upper)
}

fn reverse(lua: Lua<'_>) -> Result<c_int, Raise> {
    map(lua, heka_luatext::reverse)
}

#[inline]
fn map(lua: Lua<'_>, write: fn(&[u8], &mut Vec<u8>)) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    lua.ask_text(text.len())?;
    lua.build(|out| {
        write(text, out);
        Ok(())
    })
}

fn dump(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_type(1, Type::Function)?;
    Err(Raise::text("unable to dump given function"))
}

fn format(lua: Lua<'_>) -> Result<c_int, Raise> {
    let format = lua.check_text(1)?;
    lua.charge(format.len() / text::BYTES_PER_STEP)?;
    lua.build(|out| write_format(lua, format, out))
}

fn write_format(lua: Lua<'_>, format: &[u8], out: &mut Vec<u8>) -> Result<(), Raise> {
    let top = lua.top();
    let mut directives = Directives::new(format);
    let mut argument = 1;
    loop {
        let piece = directives.next(argument < top).map_err(|error| match error {
            Error::NoValue => Raise::argument(argument + 1, "no value"),
            error => text::raise(error),
        })?;
        match piece {
            None => return Ok(()),
            Some(Piece::Literal(bytes)) => out.extend_from_slice(bytes),
            Some(Piece::Directive(directive)) => {
                argument += 1;
                write_argument(lua, &directive, argument, out)?;
            }
        }
    }
}

fn write_argument(
    lua: Lua<'_>,
    directive: &Directive,
    argument: c_int,
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    let before = out.len();
    if directive.takes_text() {
        let bytes = lua.check_text(argument)?;
        lua.charge(1 + bytes.len() / text::BYTES_PER_STEP)?;
        lua.ask_memory(before.saturating_add(4 * bytes.len() + FORM_MAX))?;
        directive.write_text(bytes, out);
        return Ok(());
    }
    directive.write_number(lua.check_number(argument)?, out);
    let bytes = out.len() - before;
    debug_assert!(bytes <= ITEM_BYTES_MAX);
    lua.charge(1 + bytes.saturating_sub(NUMBER_BYTES_FREE))
}
