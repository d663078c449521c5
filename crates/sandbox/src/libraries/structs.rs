//! The library `struct`: numbers and strings in binary structures.
//!
//! Here: arguments and results. Not here: formats (`heka-luatext`). Source of texts and of which argument they name: struct
//! 0.2, which counts past a string before it says that it is too short.

use std::ffi::c_int;

use heka_luatext::{Error, PackFormat, Unpacked, pack_size};

use super::text::{BYTES_PER_STEP, raise};
use crate::error::Raise;
use crate::function::entry;
use crate::lua::Lua;

/// Pushes the library.
pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 3);
    lua.set_functions(&[("pack", entry(pack)), ("unpack", entry(unpack)), ("size", entry(size))]);
    Ok(())
}

/// An error with the number of the argument that it is about; `argument` is that of a string that does not fit.
#[cold]
fn fault(error: Error, argument: c_int) -> Raise {
    let number = match error {
        Error::InvalidPackOption { .. } | Error::StringSize | Error::CharsSize => 1,
        Error::StringTooShort => argument + 1,
        Error::DataTooShort => 2,
        error => return raise(error),
    };
    Raise::argument(number, error.to_string())
}

/// The format, argument 1; each of its bytes is charged.
fn format(lua: Lua<'_>) -> Result<&[u8], Raise> {
    // Arguments stay where they are.
    let format = lua.text(1).ok_or_else(|| lua.wrong_type(1, "string"))?;
    lua.charge(format.len() / 4)?;
    Ok(format)
}

fn pack(lua: Lua<'_>) -> Result<c_int, Raise> {
    let mut format = PackFormat::new(format(lua)?);
    // As there, an argument that is missing is nil.
    lua.push_nil();
    lua.build(|out| {
        let mut argument = 1;
        while let Some(item) = format.next_pack(out).map_err(|error| fault(error, argument))? {
            argument += 1;
            if item.takes_text() {
                let text = lua.check_text(argument)?;
                let bytes = item.text_bytes(text).min(text.len() + 1);
                lua.charge(bytes / BYTES_PER_STEP)?;
                lua.ask_memory(out.len().saturating_add(bytes))?;
                item.write_text(text, out).map_err(|error| fault(error, argument))?;
            } else {
                item.write_number(lua.check_number(argument)?, out);
            }
        }
        Ok(())
    })
}

fn unpack(lua: Lua<'_>) -> Result<c_int, Raise> {
    let mut format = PackFormat::new(format(lua)?);
    let data = lua.check_text(2)?;
    // What lies before the data is past its end, as an index that counts from 0.
    let first = lua.optional_integer(3, 1)?.wrapping_sub(1);
    let mut at = usize::try_from(first).unwrap_or(usize::MAX);
    lua.set_top(2);
    let mut count = 0;
    loop {
        let previous = || if count == 0 { None } else { lua.number(-1) };
        let item = format.next_unpack(data, &mut at, previous).map_err(|error| fault(error, 2))?;
        let Some(item) = item else { break };
        if item.drops_previous {
            lua.pop(1);
            count -= 1;
        }
        lua.reserve_stack(2).map_err(|_| Raise::text("stack overflow (too many results)"))?;
        match item.value {
            Unpacked::Number(number) => lua.push_number(number),
            Unpacked::Text(text) => lua.push_part(text)?,
        }
        count += 1;
    }
    lua.push_number(at as f64 + 1.0);
    Ok(count + 1)
}

fn size(lua: Lua<'_>) -> Result<c_int, Raise> {
    let size = pack_size(format(lua)?).map_err(|error| fault(error, 1))?;
    lua.push_number(size as f64);
    Ok(1)
}
