//! The libraries that scripts `require`.
//!
//! Here: the list. Not here: how they are found (`base::require`).

use crate::error::Raise;
use crate::lua::{GLOBALS, Lua, REGISTRY};

mod bloom_filter;
mod circular_buffer;
pub(crate) mod cjson;
mod cuckoo_filter;
mod hyperloglog;
mod lfs;
pub(crate) mod lpeg;
mod math;
mod os;
mod sax;
mod sketch;
mod snappy;
pub(crate) mod string;
mod structs;
mod table;
mod text;

/// Largest buffer that the host keeps for the next call.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// Pushes a library.
pub(crate) type Open = fn(Lua<'_>) -> Result<(), Raise>;

/// A library and when it is there.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    /// One of Lua's own.
    Builtin(Open),
    /// One that only open kinds have.
    OnlyOpen(Open),
    /// One of Heka's; a file of its name is taken first.
    Native(Open),
}

/// The library of a name.
pub(crate) fn find(name: &str) -> Option<Found> {
    Some(match name {
        "math" => Found::Builtin(math::open),
        "string" => Found::Builtin(string::open),
        "struct" => Found::Native(structs::open),
        "table" => Found::Builtin(table::open),
        "os" => Found::Builtin(os::open),
        "coroutine" => Found::Builtin(open_coroutine),
        "bloom_filter" => Found::Native(bloom_filter::open),
        "circular_buffer" => Found::Native(circular_buffer::open),
        "cjson" => Found::Native(cjson::open),
        "cuckoo_filter" => Found::Native(cuckoo_filter::open),
        "hyperloglog" => Found::Native(hyperloglog::open),
        "lpeg" => Found::Native(lpeg::open),
        "sax" => Found::Native(sax::open),
        "snappy" => Found::Native(snappy::open),
        "lfs" => Found::OnlyOpen(lfs::open),
        "io" => Found::OnlyOpen(open_io),
        _ => return None,
    })
}

fn open_coroutine(lua: Lua<'_>) -> Result<(), Raise> {
    crate::base::coroutine::open(lua);
    Ok(())
}

/// Lua's own: complete, with processes. Scripts do not get the table with the finalizer of files, but a copy.
fn open_io(lua: Lua<'_>) -> Result<(), Raise> {
    crate::environment::open_native(lua, mlua_sys::luaopen_io)?;
    lua.raw_get_text(REGISTRY, "FILE*");
    lua.push_table(0, 2);
    lua.raw_get_text(-2, "__tostring");
    lua.raw_set_text(-2, "__tostring");
    // The methods were the table itself.
    lua.push_table(0, 8);
    for method in ["close", "flush", "lines", "read", "seek", "setvbuf", "write"] {
        lua.raw_get_text(-3, method);
        lua.raw_set_text(-2, method);
    }
    lua.push_value(-1);
    lua.raw_set_text(-4, "__index");
    lua.raw_set_text(-2, "__index");
    lua.raw_set_text(-2, "__metatable");
    lua.pop(1);
    lua.raw_get_text(GLOBALS, "io");
    Ok(())
}
