//! The library `lfs`, for kinds that may reach files: what LuaFileSystem tells and changes.
//!
//! Functions give nil, a message and a number where the system refuses, as LuaFileSystem's do. There is no change of the
//! working directory, which all plugins share.

use std::ffi::{CString, OsStr, c_int};
use std::fs::{self, DirBuilder, Metadata, ReadDir};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::Path;

use mlua_sys::lua_CFunction;

use crate::error::{Raise, cause_text};
use crate::function::entry;
use crate::lua::{Lua, Type};
use crate::object::Object;

/// Mode of a new directory, of which the process's mask takes away.
const DIRECTORY_MODE: u32 = 0o775;
/// What every directory has, and `dir` tells first.
const DOTS: [&[u8]; 2] = [b".", b".."];

/// Names of numbers in the order of LuaFileSystem.
const NUMBERS: [&str; 12] = [
    "dev",
    "ino",
    "nlink",
    "uid",
    "gid",
    "rdev",
    "access",
    "modification",
    "change",
    "size",
    "blocks",
    "blksize",
];

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 10);
    let functions: [(&str, lua_CFunction); 8] = [
        ("attributes", entry(attributes)),
        ("chdir", entry(chdir)),
        ("currentdir", entry(current_dir)),
        ("dir", entry(dir)),
        ("mkdir", entry(make_dir)),
        ("rmdir", entry(remove_dir)),
        ("symlinkattributes", entry(symlink_attributes)),
        ("touch", entry(touch)),
    ];
    lua.set_functions(&functions);
    lua.push_bytes(b"LuaFileSystem 1.6.3");
    lua.raw_set_text(-2, "_VERSION");
    Ok(())
}

fn check_path<'a>(lua: &'a Lua<'_>, index: c_int) -> Result<&'a Path, Raise> {
    Ok(Path::new(OsStr::from_bytes(lua.check_text(index)?)))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Pushes true, or nil, what the system says, and its number.
fn push_result(lua: Lua<'_>, result: io::Result<()>) -> c_int {
    match result {
        Ok(()) => {
            lua.push_boolean(true);
            1
        }
        Err(error) => push_error(lua, &error, &cause_text(&error)),
    }
}

fn push_error(lua: Lua<'_>, error: &io::Error, text: &str) -> c_int {
    lua.push_nil();
    lua.push_bytes(text.as_bytes());
    lua.push_number(error.raw_os_error().unwrap_or_default().into());
    3
}

/// `attributes(path [, name or table])`.
fn attributes(lua: Lua<'_>) -> Result<c_int, Raise> {
    let metadata = fs::metadata(check_path(&lua, 1)?);
    push_attributes(lua, metadata)
}

/// `symlinkattributes(path [, name or table])`: of a link itself.
fn symlink_attributes(lua: Lua<'_>) -> Result<c_int, Raise> {
    let path = check_path(&lua, 1)?;
    let target = fs::read_link(path).map(|target| target.into_os_string().into_vec());
    if lua.type_of(2) == Type::String && lua.bytes(2) == Some(b"target") {
        return Ok(match target {
            Ok(target) => {
                lua.push_bytes(&target);
                1
            }
            Err(error) => {
                let text = format!("could not obtain link target: {}", cause_text(&error));
                push_error(lua, &error, &text)
            }
        });
    }
    let results = push_attributes(lua, fs::symlink_metadata(path))?;
    if let (1, Type::Table, Ok(target)) = (results, lua.type_of(-1), target) {
        lua.push_bytes(&target);
        lua.raw_set_text(-2, "target");
    }
    Ok(results)
}

/// Pushes the attribute that argument 2 names, or all of them in the table that it is, or a new one.
fn push_attributes(lua: Lua<'_>, metadata: io::Result<Metadata>) -> Result<c_int, Raise> {
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) => {
            let path = shown(check_path(&lua, 1)?);
            let cause = cause_text(&error);
            let text = format!("cannot obtain information from file '{path}': {cause}");
            return Ok(push_error(lua, &error, &text));
        }
    };
    if let Type::String | Type::Number = lua.type_of(2) {
        let name = String::from_utf8_lossy(lua.check_text(2)?).into_owned();
        return match push_attribute(lua, &metadata, &name) {
            true => Ok(1),
            false => Err(Raise::text(format!("invalid attribute name '{name}'"))),
        };
    }
    lua.set_top(2);
    if lua.type_of(2) != Type::Table {
        lua.push_table(0, NUMBERS.len() + 2);
    }
    for name in NUMBERS.iter().chain(&["mode", "permissions"]) {
        push_attribute(lua, &metadata, name);
        lua.raw_set_text(-2, name);
    }
    Ok(1)
}

/// Pushes an attribute; false and nothing if there is none of that name.
fn push_attribute(lua: Lua<'_>, metadata: &Metadata, name: &str) -> bool {
    let number = match name {
        "mode" => {
            lua.push_bytes(kind(metadata).as_bytes());
            return true;
        }
        "permissions" => {
            lua.push_bytes(&permissions(metadata.mode()));
            return true;
        }
        "dev" => metadata.dev() as f64,
        "ino" => metadata.ino() as f64,
        "nlink" => metadata.nlink() as f64,
        "uid" => metadata.uid().into(),
        "gid" => metadata.gid().into(),
        "rdev" => metadata.rdev() as f64,
        "access" => metadata.atime() as f64,
        "modification" => metadata.mtime() as f64,
        "change" => metadata.ctime() as f64,
        "size" => metadata.size() as f64,
        "blocks" => metadata.blocks() as f64,
        "blksize" => metadata.blksize() as f64,
        _ => return false,
    };
    lua.push_number(number);
    true
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => "file",
        () if kind.is_dir() => "directory",
        () if kind.is_symlink() => "link",
        () if kind.is_socket() => "socket",
        () if kind.is_fifo() => "named pipe",
        () if kind.is_char_device() => "char device",
        () if kind.is_block_device() => "block device",
        () => "other",
    }
}

/// As `ls` writes them, without the kind.
fn permissions(mode: u32) -> [u8; 9] {
    let mut text = *b"rwxrwxrwx";
    for (place, letter) in (0..text.len()).zip(&mut text) {
        if mode & (0o400 >> place) == 0 {
            *letter = b'-';
        }
    }
    text
}

fn chdir(_: Lua<'_>) -> Result<c_int, Raise> {
    Err(Raise::text("lfs.chdir is not available: all plugins share the working directory"))
}

/// `currentdir()`.
fn current_dir(lua: Lua<'_>) -> Result<c_int, Raise> {
    match std::env::current_dir() {
        Ok(path) => {
            lua.push_bytes(path.as_os_str().as_bytes());
            Ok(1)
        }
        Err(error) => {
            let text = format!("get_dir getcwd() failed: {}", cause_text(&error));
            Ok(push_error(lua, &error, &text))
        }
    }
}

/// `mkdir(path)`.
fn make_dir(lua: Lua<'_>) -> Result<c_int, Raise> {
    let made = DirBuilder::new().mode(DIRECTORY_MODE).create(check_path(&lua, 1)?);
    Ok(push_result(lua, made))
}

/// `rmdir(path)`.
fn remove_dir(lua: Lua<'_>) -> Result<c_int, Raise> {
    let removed = fs::remove_dir(check_path(&lua, 1)?);
    Ok(push_result(lua, removed))
}

/// `touch(path [, access [, modification]])`: times in seconds, by default now, and that of access.
fn touch(lua: Lua<'_>) -> Result<c_int, Raise> {
    let path = lua.check_text(1)?;
    let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
    let path = CString::new(path).map_err(|_| Raise::text("a path has no zero bytes"))?;
    let time = |seconds| libc::timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = if lua.top() == 1 {
        None
    } else {
        let access = lua.optional_integer(2, 0)?;
        Some([time(access), time(lua.optional_integer(3, access)?)])
    };
    let times = times.as_ref().map_or(std::ptr::null(), |times| times.as_ptr());
    // SAFETY: the path ends with a zero byte; the times are two or null.
    let status = unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times, 0) };
    let touched = if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    Ok(push_result(lua, touched))
}

/// A directory that is being read.
struct Directory {
    /// How many of the dots were given.
    dots: usize,
    /// `None` once it is closed.
    entries: Option<ReadDir>,
}

impl Object for Directory {
    const NAME: &'static str = "directory metatable";

    fn methods() -> Vec<(&'static str, lua_CFunction)> {
        vec![("next", entry(next)), ("close", entry(close))]
    }
}

/// `dir(path)`: an iterator and what it iterates over.
fn dir(lua: Lua<'_>) -> Result<c_int, Raise> {
    let path = check_path(&lua, 1)?;
    let entries = fs::read_dir(path).map_err(|error| {
        Raise::text(format!("cannot open {}: {}", shown(path), cause_text(&error)))
    })?;
    lua.push_function(entry(next), 0);
    lua.push_object(Directory { dots: 0, entries: Some(entries) })?;
    Ok(2)
}

/// The next name, or nothing, which closes the directory.
fn next(lua: Lua<'_>) -> Result<c_int, Raise> {
    let directory = lua.check_object::<Directory>(1)?;
    let Some(entries) = &mut directory.entries else {
        return Err(Raise::argument(1, "closed directory"));
    };
    if let Some(dots) = DOTS.get(directory.dots) {
        directory.dots += 1;
        lua.push_bytes(dots);
        return Ok(1);
    }
    // As in C, a directory that cannot be read any further has ended.
    match entries.next() {
        Some(Ok(entry)) => {
            lua.push_bytes(entry.file_name().as_bytes());
            Ok(1)
        }
        Some(Err(_)) | None => {
            directory.entries = None;
            Ok(0)
        }
    }
}

/// `close()`.
fn close(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_object::<Directory>(1)?.entries = None;
    Ok(0)
}
