//! The library `snappy`: Snappy's raw format, without frames.

use std::ffi::c_int;

use mlua_sys::lua_CFunction;
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use crate::error::Raise;
use crate::function::entry;
use crate::lua::Lua;

/// Bytes that are as much work as an instruction.
const BYTES_A_STEP: usize = 32;

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 3);
    // The reference binding says `decompress`, scripts of Heka's successor say `uncompress`.
    let functions: [(&str, lua_CFunction); 3] = [
        ("compress", entry(compress)),
        ("decompress", entry(uncompress)),
        ("uncompress", entry(uncompress)),
    ];
    lua.set_functions(&functions);
    Ok(())
}

/// `compress(text)`.
fn compress(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    let bytes_max = max_compress_len(text.len());
    if bytes_max == 0 {
        return Err(Raise::text("snappy: the text is too long"));
    }
    with_buffer(lua, text.len(), bytes_max, |out| Encoder::new().compress(text, out))
}

/// `uncompress(bytes)`.
fn uncompress(lua: Lua<'_>) -> Result<c_int, Raise> {
    let bytes = lua.check_text(1)?;
    let length = decompress_len(bytes).map_err(|error| failed(&error))?;
    with_buffer(lua, bytes.len() + length, length, |out| Decoder::new().decompress(bytes, out))
}

fn failed(error: &snap::Error) -> Raise {
    Raise::text(error.to_string())
}

/// Pushes what is written into a buffer of so many bytes, which count against the limit of memory as the result does.
fn with_buffer(
    lua: Lua<'_>,
    work: usize,
    bytes: usize,
    write: impl FnOnce(&mut [u8]) -> Result<usize, snap::Error>,
) -> Result<c_int, Raise> {
    lua.ask_memory(bytes.saturating_mul(2))?;
    lua.charge(1 + work / BYTES_A_STEP)?;
    let mut out = std::mem::take(&mut lua.host().scratch);
    out.clear();
    out.resize(bytes, 0);
    let written = write(&mut out);
    let pushed = match written {
        Ok(len) => {
            lua.push_bytes(out.get(..len).unwrap_or_default());
            Ok(1)
        }
        Err(error) => Err(failed(&error)),
    };
    if out.capacity() <= super::KEPT_BYTES_MAX {
        lua.host().scratch = out;
    }
    pushed
}
