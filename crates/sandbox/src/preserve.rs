//! A script's data over restarts.
//!
//! Here: the globals of a script as statements that make them again, and running such statements. Not here: when and where
//! they are kept. Invariants: what is written is what Heka wrote, but for numbers, which keep all their digits; tables
//! that several names share are shared again. Source: sandbox.md of Heka's behaviour, section 6.

use std::collections::HashMap;
use std::ffi::c_int;

use crate::error::PreserveError;
use crate::lua::{GLOBALS, Lua, Type};

/// Name of the global that says which data a script understands.
const VERSION: &str = "_PRESERVATION_VERSION";
/// Deepest nesting of tables; each level makes the statements of all below it longer.
const DEPTH_MAX: usize = 1000;
/// Room on the stack for a table, a key and a value.
const STACK_A_LEVEL: usize = 3;
/// Most bytes of statements, and how many more for each byte that the script uses: every entry's statement repeats the keys
/// on the way to it, which may be long.
const STATEMENT_BYTES_MAX: usize = 16 << 20;
const STATEMENT_BYTES_FACTOR: usize = 16;
/// Bytes of statements that are compiled at once: one function has room for so many constants only.
const PIECE_BYTES: usize = 64 << 10;
/// Steps that restoring may take: some, and for each byte of statements.
const RESTORE_STEPS: u64 = 1_000_000;
const RESTORE_STEPS_A_BYTE: u64 = 16;
/// What errors of Lua's call the statements.
const CHUNK: &std::ffi::CStr = c"=data";

/// The first line, up to the version.
const FIRST_LINE: &[u8] = b"if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= ";

/// The statements that restore the script's globals.
pub(crate) fn save(lua: Lua<'_>) -> Result<Vec<u8>, PreserveError> {
    lua.raw_get_text(GLOBALS, VERSION);
    let version = match lua.type_of(-1) {
        Type::Number => lua.number(-1).unwrap_or_default() as i64,
        _ => 0,
    };
    lua.pop(1);
    lua.push_value(GLOBALS);
    let used = lua.host().memory.used;
    let mut saver = Saver {
        lua,
        out: Vec::new(),
        bytes_max: STATEMENT_BYTES_MAX.saturating_add(used.saturating_mul(STATEMENT_BYTES_FACTOR)),
        path: b"_G".to_vec(),
        paths: HashMap::new(),
        globals: lua.pointer(-1),
    };
    saver.out.extend_from_slice(FIRST_LINE);
    saver.out.extend_from_slice(format!("{version} then return end\n").as_bytes());
    saver.tables()?;
    Ok(saver.out)
}

struct Saver<'l> {
    lua: Lua<'l>,
    out: Vec<u8>,
    bytes_max: usize,
    /// The expression of the entry that is being written.
    path: Vec<u8>,
    /// Where tables and objects were written that may come again.
    paths: HashMap<*const (), Vec<u8>>,
    globals: *const (),
}

impl Saver<'_> {
    /// Writes the table on top and those in it, and removes it. Of each table that is being written, the stack holds it and
    /// the key of its current entry.
    fn tables(&mut self) -> Result<(), PreserveError> {
        let lua = self.lua;
        // How long the path of each table is.
        let mut levels = vec![self.path.len()];
        lua.push_nil();
        while let Some(&length) = levels.last() {
            self.path.truncate(length);
            if !lua.next(-2) {
                levels.pop();
                lua.pop(1);
                continue;
            }
            let is_version = levels.len() == 1 && lua.bytes(-2) == Some(VERSION.as_bytes());
            if is_version || !self.is_kept() || !self.entry()? {
                lua.pop(1);
                continue;
            }
            levels.push(self.path.len());
            if levels.len() > DEPTH_MAX || lua.reserve_stack(STACK_A_LEVEL).is_err() {
                return Err(PreserveError::Depth(DEPTH_MAX));
            }
            lua.push_nil();
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

    /// Writes the value on top, whose key is below it; true if it is a table whose entries are to follow.
    fn entry(&mut self) -> Result<bool, PreserveError> {
        self.key()?;
        let is_open = match self.lua.type_of(-1) {
            Type::Table | Type::Userdata => self.shared(),
            _ => {
                self.scalar();
                false
            }
        };
        if self.out.len() > self.bytes_max {
            return Err(PreserveError::Size(self.bytes_max));
        }
        Ok(is_open)
    }

    /// Appends the key below the value on top to the path.
    fn key(&mut self) -> Result<(), PreserveError> {
        let (lua, path) = (self.lua, &mut self.path);
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

    /// Writes `path = `.
    fn assignment(&mut self) {
        self.out.extend_from_slice(&self.path);
        self.out.extend_from_slice(b" = ");
    }

    fn scalar(&mut self) {
        let lua = self.lua;
        self.assignment();
        match lua.type_of(-1) {
            Type::String => write_quoted(lua.bytes(-1).unwrap_or_default(), &mut self.out),
            Type::Number => write_number(lua.number(-1).unwrap_or_default(), &mut self.out),
            _ if lua.boolean(-1) => self.out.extend_from_slice(b"true"),
            _ => self.out.extend_from_slice(b"false"),
        }
        self.out.push(b'\n');
    }

    /// Writes a table or an object: in full once, after that by where it is. True if it is a table whose entries are to
    /// follow.
    fn shared(&mut self) -> bool {
        let lua = self.lua;
        let place = lua.pointer(-1);
        if let Some(first) = self.paths.get(&place) {
            self.out.extend_from_slice(&self.path);
            self.out.extend_from_slice(b" = ");
            self.out.extend_from_slice(first);
            self.out.push(b'\n');
            return false;
        }
        self.paths.insert(place, self.path.clone());
        if lua.type_of(-1) == Type::Userdata {
            lua.object_preserve(-1, &self.path, &mut self.out);
            return false;
        }
        self.assignment();
        self.out.extend_from_slice(b"{}\n");
        true
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
///
/// Memory is not limited meanwhile, since what was saved had room. Steps are, far beyond what the statements need: a
/// script's own functions may run, as metamethods of the table of globals.
pub(crate) fn restore(lua: Lua<'_>, statements: &[u8]) -> Result<(), String> {
    let Some(statements) = wanted(lua, statements) else { return Ok(()) };
    let host = lua.host();
    let memory = std::mem::replace(&mut host.memory.limit, 0);
    let steps = host.meter.limit;
    if steps != 0 {
        let more = (statements.len() as u64).saturating_mul(RESTORE_STEPS_A_BYTE);
        host.meter.limit = steps.max(RESTORE_STEPS).saturating_add(more);
    }
    host.memory.exempt = true;
    host.meter.begin(lua.state());
    let restored = run_all(lua, statements);
    let host = lua.host();
    host.memory.limit = memory;
    host.meter.limit = steps;
    restored
}

/// The statements behind the first line, if the script's version is that of the data, or it has none.
fn wanted<'s>(lua: Lua<'_>, statements: &'s [u8]) -> Option<&'s [u8]> {
    let Some(after) = statements.strip_prefix(FIRST_LINE) else { return Some(statements) };
    let end = memchr::memchr(b'\n', after).unwrap_or(after.len());
    let line = std::str::from_utf8(&after[..end]).unwrap_or_default();
    let version = line.split_ascii_whitespace().next().and_then(|text| text.parse::<f64>().ok());
    lua.raw_get_text(GLOBALS, VERSION);
    let own = match lua.type_of(-1) {
        Type::Nil => None,
        Type::Boolean if !lua.boolean(-1) => None,
        Type::Number => Some(lua.number(-1).unwrap_or_default()),
        _ => Some(f64::NAN),
    };
    lua.pop(1);
    let is_wanted = own.is_none() || own == version;
    // The line stays, so that the lines of the file are counted.
    is_wanted.then_some(&after[end..])
}

fn run_all(lua: Lua<'_>, statements: &[u8]) -> Result<(), String> {
    let mut rest = statements;
    let mut lines = 0;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_len(rest));
        run(lua, piece, lines)?;
        lines += memchr::memchr_iter(b'\n', piece).count();
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

/// Runs statements before which there are so many lines.
fn run(lua: Lua<'_>, statements: &[u8], lines: usize) -> Result<(), String> {
    let top = lua.top();
    // SAFETY: the bytes are valid; errors are returned, memory is not refused.
    let status = unsafe {
        let start = statements.as_ptr().cast();
        match mlua_sys::luaL_loadbuffer(lua.state(), start, statements.len(), CHUNK.as_ptr()) {
            0 => mlua_sys::lua_pcall(lua.state(), 0, 0, 0),
            status => status,
        }
    };
    let error = (status != 0).then(|| {
        let text = lua.text(-1).unwrap_or(b"(null)");
        error_text(&String::from_utf8_lossy(text), status, lines)
    });
    lua.set_top(top);
    error.map_or(Ok(()), Err)
}

/// An error of Lua's with the line of the file, if the statements could not be compiled; else without any, since what is
/// wrong is then the script's.
fn error_text(text: &str, status: c_int, lines: usize) -> String {
    let placed = text.strip_prefix("data:").and_then(|text| text.split_once(": "));
    let Some((line, what)) = placed else { return text.to_owned() };
    match line.parse::<usize>() {
        Ok(line) if status == mlua_sys::LUA_ERRSYNTAX => format!("line {}: {what}", line + lines),
        _ => what.to_owned(),
    }
}
