//! A script's data over restarts.
//!
//! Here: the globals of a script as statements that make them again, and running such statements. Not here: when and where
//! they are kept. Invariants: what is written is what Heka wrote, but for numbers, which keep all their digits; tables
//! that several names share are shared again. Source: sandbox.md of Heka's behaviour, section 6.

use std::collections::HashMap;

use crate::error::PreserveError;
use crate::lua::{GLOBALS, Lua, Type};

/// Name of the global that says which data a script understands.
const VERSION: &str = "_PRESERVATION_VERSION";
/// Deepest nesting of tables.
const DEPTH_MAX: usize = 200;
/// Bytes of statements that are compiled at once: one function has room for so many constants only.
const PIECE_BYTES: usize = 64 << 10;

/// The first line, up to the version.
const FIRST_LINE: &[u8] = b"if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= ";

/// The statements that restore the script's globals.
pub(crate) fn save(lua: Lua<'_>) -> Result<Vec<u8>, PreserveError> {
    lua.push_value(GLOBALS);
    let mut saver = Saver { lua, out: Vec::new(), paths: HashMap::new(), globals: lua.pointer(-1) };
    lua.raw_get_text(GLOBALS, VERSION);
    let version = match lua.type_of(-1) {
        Type::Number => lua.number(-1).unwrap_or_default() as i64,
        _ => 0,
    };
    lua.pop(1);
    saver.out.extend_from_slice(FIRST_LINE);
    saver.out.extend_from_slice(format!("{version} then return end\n").as_bytes());
    saver.fields(b"_G", 0)?;
    lua.pop(1);
    Ok(saver.out)
}

struct Saver<'l> {
    lua: Lua<'l>,
    out: Vec<u8>,
    /// Where tables and objects were written that may come again.
    paths: HashMap<*const (), Vec<u8>>,
    globals: *const (),
}

impl Saver<'_> {
    /// Writes the entries of the table on top.
    fn fields(&mut self, path: &[u8], depth: usize) -> Result<(), PreserveError> {
        if depth > DEPTH_MAX || self.lua.reserve_stack(8).is_err() {
            return Err(PreserveError::Depth(DEPTH_MAX));
        }
        let lua = self.lua;
        let table = lua.top();
        lua.push_nil();
        while lua.next(table) {
            if self.is_kept() && !(depth == 0 && lua.bytes(-2) == Some(VERSION.as_bytes())) {
                let mut key = path.to_vec();
                self.key(&mut key)?;
                self.value(key, depth)?;
            }
            lua.pop(1);
        }
        Ok(())
    }

    /// True if the value on top is data.
    fn is_kept(&self) -> bool {
        let lua = self.lua;
        match lua.type_of(-1) {
            Type::Boolean | Type::Number | Type::String => true,
            Type::Table => {
                let has_metatable = lua.metatable(-1);
                if has_metatable {
                    lua.pop(1);
                }
                !has_metatable && lua.pointer(-1) != self.globals
            }
            Type::Userdata => lua.is_preserved(-1),
            _ => false,
        }
    }

    /// Appends the key below the value on top.
    fn key(&self, path: &mut Vec<u8>) -> Result<(), PreserveError> {
        let lua = self.lua;
        path.push(b'[');
        match lua.type_of(-2) {
            Type::String => write_quoted(lua.bytes(-2).unwrap_or_default(), path),
            Type::Number => write_number(lua.number(-2).unwrap_or_default(), path),
            Type::Boolean if lua.boolean(-2) => path.extend_from_slice(b"true"),
            Type::Boolean => path.extend_from_slice(b"false"),
            other => return Err(PreserveError::Key(other.name())),
        }
        path.push(b']');
        Ok(())
    }

    fn value(&mut self, path: Vec<u8>, depth: usize) -> Result<(), PreserveError> {
        let lua = self.lua;
        match lua.type_of(-1) {
            Type::Table | Type::Userdata => return self.shared(path, depth),
            _ => {}
        }
        self.out.extend_from_slice(&path);
        self.out.extend_from_slice(b" = ");
        match lua.type_of(-1) {
            Type::String => write_quoted(lua.bytes(-1).unwrap_or_default(), &mut self.out),
            Type::Number => write_number(lua.number(-1).unwrap_or_default(), &mut self.out),
            _ if lua.boolean(-1) => self.out.extend_from_slice(b"true"),
            _ => self.out.extend_from_slice(b"false"),
        }
        self.out.push(b'\n');
        Ok(())
    }

    /// A table or an object: in full once, after that by where it is.
    fn shared(&mut self, path: Vec<u8>, depth: usize) -> Result<(), PreserveError> {
        let lua = self.lua;
        let place = lua.pointer(-1);
        if let Some(first) = self.paths.get(&place) {
            self.out.extend_from_slice(&path);
            self.out.extend_from_slice(b" = ");
            self.out.extend_from_slice(first);
            self.out.push(b'\n');
            return Ok(());
        }
        if lua.type_of(-1) == Type::Userdata {
            lua.object_preserve(-1, &path, &mut self.out);
            self.paths.insert(place, path);
            return Ok(());
        }
        self.out.extend_from_slice(&path);
        self.out.extend_from_slice(b" = {}\n");
        self.paths.insert(place, path.clone());
        self.fields(&path, depth + 1)
    }
}

/// Appends a string as Lua's `%q` does.
pub(crate) fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', byte]),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => out.extend_from_slice(b"\\000"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends a number so that Lua reads the same one again.
fn write_number(number: f64, out: &mut Vec<u8>) {
    if number.is_nan() {
        out.extend_from_slice(b"0/0");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"1/0" } else { b"-1/0" });
    } else {
        let start = out.len();
        heka_luatext::heka_number(number, out);
        let same = std::str::from_utf8(&out[start..]).ok().and_then(|text| text.parse().ok());
        if same != Some(number) {
            out.truncate(start);
            out.extend_from_slice(format!("{number:e}").as_bytes());
        }
    }
}

/// Runs statements that restore globals; the script's own version decides whether.
pub(crate) fn restore(lua: Lua<'_>, statements: &[u8]) -> Result<(), String> {
    let mut rest = statements;
    if let Some(after) = rest.strip_prefix(FIRST_LINE) {
        let end = memchr::memchr(b'\n', after).unwrap_or(after.len());
        let line = std::str::from_utf8(&after[..end]).unwrap_or_default();
        let version =
            line.split_ascii_whitespace().next().and_then(|text| text.parse::<f64>().ok());
        rest = after.get(end + 1..).unwrap_or_default();
        lua.raw_get_text(GLOBALS, VERSION);
        let own = match lua.type_of(-1) {
            Type::Nil => None,
            Type::Number => Some(lua.number(-1).unwrap_or_default()),
            _ => Some(f64::NAN),
        };
        lua.pop(1);
        if own.is_some() && own != version {
            return Ok(());
        }
    }
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_len(rest));
        run(lua, piece)?;
        rest = after;
    }
    Ok(())
}

/// Bytes of some whole statements: lines that do not go on.
fn piece_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', &text[at..]) {
        at += end + 1;
        let before = &text[..at - 1];
        let escapes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        if escapes % 2 == 0 && at >= PIECE_BYTES {
            return at;
        }
    }
    text.len()
}

/// Runs statements without limits.
fn run(lua: Lua<'_>, statements: &[u8]) -> Result<(), String> {
    let top = lua.top();
    let failed = |lua: Lua<'_>| {
        let text = String::from_utf8_lossy(lua.text(-1).unwrap_or(b"(null)")).into_owned();
        lua.set_top(top);
        Err(text)
    };
    lua.host().memory.exempt = true;
    // SAFETY: the bytes are valid; errors are returned; the hook is that of the last call, so it is set aside.
    unsafe {
        mlua_sys::lua_sethook(lua.state(), None, 0, 0);
        let start = statements.as_ptr().cast();
        let name = c"=preserved data".as_ptr();
        if mlua_sys::luaL_loadbuffer(lua.state(), start, statements.len(), name) != 0
            || mlua_sys::lua_pcall(lua.state(), 0, 0, 0) != 0
        {
            return failed(lua);
        }
    }
    lua.set_top(top);
    Ok(())
}
