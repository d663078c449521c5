//! The library `os`: time for all, files and processes for open kinds.
//!
//! Times are in UTC, whatever the machine's zone. Conversions of `date` are checked as Lua 5.2 does, and unlike Lua 5.1's a
//! result may be longer than 256 bytes.

use std::ffi::{c_char, c_int};

use crate::environment::open_native;
use crate::error::Raise;
use crate::function::entry;
use crate::lua::{GLOBALS, Lua};

/// What only open kinds get, and what nobody does.
const ONLY_OPEN: [&str; 5] = ["execute", "getenv", "remove", "rename", "tmpname"];
const REMOVED: [&str; 2] = ["exit", "setlocale"];

/// Conversions of `date`, alone and after `E` and `O`.
const CONVERSIONS: &[u8] = b"aAbBcCdDeFgGhHIjklmMnprRSstTuUVwWxXyYzZ%";
const ALTERNATIVE_ERA: &[u8] = b"cCxXyY";
const ALTERNATIVE_DIGITS: &[u8] = b"deHImMSuUVwWy";

/// Steps of a conversion.
const CONVERSION_STEPS: usize = 8;

/// Bytes of a format that an error shows.
const SHOWN_BYTES_MAX: usize = 255;

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    open_native(lua, mlua_sys::luaopen_os)?;
    lua.raw_get_text(GLOBALS, "os");
    lua.set_functions(&[
        ("date", entry(date)),
        ("time", entry(time)),
        ("difftime", entry(difftime)),
    ]);
    let removed: &[&str] = if lua.host().kind.is_open() { &[] } else { &ONLY_OPEN };
    for name in removed.iter().chain(&REMOVED) {
        lua.push_nil();
        lua.raw_set_text(-2, name);
    }
    Ok(())
}

fn difftime(lua: Lua<'_>) -> Result<c_int, Raise> {
    // C looks at the last argument first.
    let earlier = lua.optional_integer(2, 0)?;
    let later = lua.check_integer(1)?;
    lua.push_number((i128::from(later) - i128::from(earlier)) as f64);
    Ok(1)
}

fn now_s() -> i64 {
    // SAFETY: a null pointer is allowed.
    unsafe { libc::time(std::ptr::null_mut()) }
}

fn empty_time() -> libc::tm {
    // SAFETY: all members may be zero; the zone's name may be null.
    unsafe { std::mem::zeroed() }
}

fn time(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.is_none_or_nil(1) {
        lua.push_number(now_s() as f64);
        return Ok(1);
    }
    lua.check_table(1)?;
    lua.set_top(1);
    let mut parts = empty_time();
    parts.tm_sec = field(lua, "sec", Some(0))?;
    parts.tm_min = field(lua, "min", Some(0))?;
    parts.tm_hour = field(lua, "hour", Some(12))?;
    parts.tm_mday = field(lua, "day", None)?;
    parts.tm_mon = field(lua, "month", None)?.wrapping_sub(1);
    parts.tm_year = field(lua, "year", None)?.wrapping_sub(1900);
    // As the C library has it where there is no summer time: such a time is an hour ahead.
    let ahead_s = if summer_time(lua)? { 3600 } else { 0 };
    // SAFETY: the structure is complete.
    match unsafe { libc::timegm(&raw mut parts) }.wrapping_sub(ahead_s) {
        -1 => lua.push_nil(),
        seconds => lua.push_number(seconds as f64),
    }
    Ok(1)
}

fn summer_time(lua: Lua<'_>) -> Result<bool, Raise> {
    lua.push_bytes(b"isdst");
    lua.index(1)?;
    let is_set = lua.boolean(-1);
    lua.pop(1);
    Ok(is_set)
}

fn field(lua: Lua<'_>, name: &str, default: Option<c_int>) -> Result<c_int, Raise> {
    lua.push_bytes(name.as_bytes());
    lua.index(1)?;
    let value = lua.number(-1);
    lua.pop(1);
    match (value, default) {
        // The low 32 bits, as Lua converts it.
        (Some(value), _) => Ok(heka_luatext::to_signed(value) as c_int),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(Raise::text(format!("field '{name}' missing in date table"))),
    }
}

fn date(lua: Lua<'_>) -> Result<c_int, Raise> {
    let format = match lua.is_none_or_nil(1) {
        true => b"%c",
        false => lua.check_text(1)?,
    };
    let seconds = if lua.is_none_or_nil(2) { now_s() } else { lua.check_integer(2)? };
    let mut parts = empty_time();
    // SAFETY: both places are valid.
    if unsafe { libc::gmtime_r(&raw const seconds, &raw mut parts) }.is_null() {
        lua.push_nil();
        return Ok(1);
    }
    // A format ends before its first zero byte.
    let format = memchr::memchr(0, format).map_or(format, |end| &format[..end]);
    let (format, zone) = match format.strip_prefix(b"!") {
        Some(format) => (format, c"GMT"),
        None => (format, c"UTC"),
    };
    parts.tm_zone = zone.as_ptr().cast_mut();
    if format == b"*t" {
        push_parts(lua, &parts);
        return Ok(1);
    }
    lua.build(|out| write_date(lua, format, &parts, seconds, out))
}

fn push_parts(lua: Lua<'_>, parts: &libc::tm) {
    lua.push_table(0, 9);
    let numbers = [
        ("sec", parts.tm_sec),
        ("min", parts.tm_min),
        ("hour", parts.tm_hour),
        ("day", parts.tm_mday),
        ("month", parts.tm_mon + 1),
        ("year", parts.tm_year + 1900),
        ("wday", parts.tm_wday + 1),
        ("yday", parts.tm_yday + 1),
    ];
    for (name, number) in numbers {
        lua.push_number(number.into());
        lua.raw_set_text(-2, name);
    }
    lua.push_boolean(false);
    lua.raw_set_text(-2, "isdst");
}

fn write_date(
    lua: Lua<'_>,
    format: &[u8],
    parts: &libc::tm,
    seconds: i64,
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    let mut rest = format;
    while let Some((&byte, after)) = rest.split_first() {
        lua.charge(1)?;
        if byte != b'%' {
            out.push(byte);
            rest = after;
            continue;
        }
        let len = conversion_len(after).ok_or_else(|| {
            let shown = String::from_utf8_lossy(&after[..after.len().min(SHOWN_BYTES_MAX)]);
            Raise::argument(1, format!("invalid conversion specifier '%{shown}'"))
        })?;
        let (conversion, after) = after.split_at(len);
        match conversion {
            // The C library would read the parts as local time.
            b"s" => out.extend_from_slice(seconds.to_string().as_bytes()),
            _ => write_conversion(conversion, parts, out),
        }
        lua.charge(CONVERSION_STEPS)?;
        lua.ask_memory(out.len())?;
        rest = after;
    }
    Ok(())
}

/// Bytes of the conversion that follows a `%`.
fn conversion_len(after: &[u8]) -> Option<usize> {
    let first = *after.first()?;
    if CONVERSIONS.contains(&first) {
        return Some(1);
    }
    let allowed = match first {
        b'E' => ALTERNATIVE_ERA,
        b'O' => ALTERNATIVE_DIGITS,
        _ => return None,
    };
    after.get(1).is_some_and(|second| allowed.contains(second)).then_some(2)
}

fn write_conversion(conversion: &[u8], parts: &libc::tm, out: &mut Vec<u8>) {
    let mut format = [b'%', 0, 0, 0];
    format[1..=conversion.len()].copy_from_slice(conversion);
    let mut text = [0_u8; 128];
    // SAFETY: the format ends with a zero byte; the result fits or is refused.
    let len = unsafe {
        libc::strftime(
            text.as_mut_ptr().cast::<c_char>(),
            text.len(),
            format.as_ptr().cast::<c_char>(),
            parts,
        )
    };
    out.extend_from_slice(&text[..len]);
}
