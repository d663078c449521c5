//! `add_to_payload`, `inject_payload` and `inject_message`.

use std::ffi::c_int;

use super::encode;
use crate::error::Raise;
use crate::exchange::Injected;
use crate::lua::{Lua, Type};
use crate::object::Written;
use crate::settings::ConfigValue;

/// Type of a payload whose script names none.
const PAYLOAD_TYPE: &[u8] = b"txt";

/// Seconds since 1970.
pub(super) fn now_s() -> i64 {
    // SAFETY: a null pointer is allowed.
    unsafe { libc::time(std::ptr::null_mut()) }
}

/// `add_to_payload(value, ..)`.
pub(super) fn add_to_payload(lua: Lua<'_>) -> Result<c_int, Raise> {
    let arguments = lua.top();
    if arguments == 0 {
        return Err(Raise::argument(0, "must have at least one argument"));
    }
    append(lua, 1, arguments)?;
    Ok(0)
}

/// Appends arguments to the output buffer, those before one that is wrong too.
fn append(lua: Lua<'_>, first: c_int, last: c_int) -> Result<(), Raise> {
    let mut out = std::mem::take(&mut lua.host().output.bytes);
    let appended = (first..=last).try_for_each(|index| append_one(lua, index, &mut out));
    let output = &mut lua.host().output;
    output.most = output.most.max(out.len());
    output.bytes = out;
    appended
}

fn append_one(lua: Lua<'_>, index: c_int, out: &mut Vec<u8>) -> Result<(), Raise> {
    let before = out.len();
    match lua.type_of(index) {
        Type::String => {
            let text = lua.bytes(index).unwrap_or_default();
            room_for(lua, out, text.len())?;
            out.extend_from_slice(text);
        }
        Type::Number => {
            heka_luatext::heka_number(lua.number(index).unwrap_or_default(), out);
        }
        Type::Nil => out.extend_from_slice(b"nil"),
        Type::Boolean if lua.boolean(index) => out.extend_from_slice(b"true"),
        Type::Boolean => out.extend_from_slice(b"false"),
        Type::Userdata => {
            let bytes_max = match lua.host().output.limit {
                0 => usize::MAX,
                limit => limit - 1,
            };
            match lua.object_output(index, out, bytes_max) {
                Written::Done => {}
                Written::NoForm => return Err(Raise::argument(index, "unknown userdata type")),
                Written::TooLong => return Err(Raise::text("output_limit exceeded")),
            }
        }
        _ => return Err(Raise::argument(index, "unsupported type")),
    }
    lua.charge(1 + (out.len() - before) / 64)?;
    if let Err(error) = room_for(lua, out, 0) {
        out.truncate(before);
        return Err(error);
    }
    Ok(())
}

/// The buffer holds one byte less than its limit, as Heka's did for a final zero.
fn room_for(lua: Lua<'_>, out: &[u8], bytes: usize) -> Result<(), Raise> {
    let limit = lua.host().output.limit;
    if limit != 0 && out.len() + bytes >= limit {
        return Err(Raise::text("output_limit exceeded"));
    }
    Ok(())
}

/// `inject_payload([type [, name [, value, ..]]])`.
pub(super) fn inject_payload(lua: Lua<'_>) -> Result<c_int, Raise> {
    let arguments = lua.top();
    let payload_type = if arguments > 0 { lua.check_text(1)? } else { PAYLOAD_TYPE };
    let name = if arguments > 1 { lua.check_text(2)? } else { b"" };
    append(lua, 3, arguments)?;
    let payload_type = match until_zero(payload_type) {
        b"" => PAYLOAD_TYPE,
        given => given,
    };
    if lua.host().output.bytes.is_empty() {
        return Ok(0);
    }
    let text = std::mem::take(&mut lua.host().output.bytes);
    let payload = Injected::Payload { payload_type, name: until_zero(name), text: &text };
    let result = hand_over(lua, "inject_payload()", payload);
    if result.is_ok() {
        return Ok(keep_buffer(lua, text));
    }
    // What was not taken is still to be sent.
    lua.host().output.bytes = text;
    result.map(|()| 0)
}

/// Texts of C end at the first zero byte.
fn until_zero(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// The buffer is empty from now on, but its memory is used again.
fn keep_buffer(lua: Lua<'_>, mut text: Vec<u8>) -> c_int {
    text.clear();
    lua.host().output.bytes = text;
    0
}

fn hand_over(lua: Lua<'_>, who: &str, injected: Injected<'_>) -> Result<(), Raise> {
    let Some(mut exchange) = lua.host().exchange else { return Ok(()) };
    // SAFETY: it is lent for the call that runs.
    match unsafe { exchange.as_mut() }.inject(injected) {
        Ok(()) => Ok(()),
        Err(refusal) => Err(Raise::text(format!("{who}{}", refusal.text()))),
    }
}

/// `inject_message(table or string)`.
pub(super) fn inject_message(lua: Lua<'_>) -> Result<c_int, Raise> {
    const WHO: &str = "inject_message()";
    let top = lua.top();
    let is_alone = top == 1 || top == 2 && lua.host().kind == crate::settings::Kind::Input;
    match lua.type_of(1) {
        Type::String if is_alone => {
            let message = lua.bytes(1).unwrap_or_default();
            if !message.is_empty() {
                hand_over(lua, WHO, Injected::Encoded(message))?;
            }
            note_place(lua);
            Ok(0)
        }
        Type::Table if is_alone => {
            let mut message = std::mem::take(&mut lua.host().output.bytes);
            message.clear();
            let encoded = encode::encode(lua, WHO, &mut message);
            lua.host().output.most = lua.host().output.most.max(message.len());
            let result = encoded.and_then(|()| hand_over(lua, WHO, Injected::Message(&message)));
            keep_buffer(lua, message);
            if result.is_ok() {
                note_place(lua);
            }
            result.map(|()| 0)
        }
        // A place alone: what came before is to be remembered up to here.
        Type::Nil if top == 2 && is_alone => {
            note_place(lua);
            Ok(0)
        }
        _ => Err(Raise::text("inject_message() takes a single string or table argument")),
    }
}

/// The second argument of an input's `inject_message`: where its source stands behind the message.
fn note_place(lua: Lua<'_>) {
    let place = match lua.type_of(2) {
        Type::String => ConfigValue::Text(lua.bytes(2).unwrap_or_default().into()),
        Type::Number => ConfigValue::Number(lua.number(2).unwrap_or_default()),
        _ => return,
    };
    if let Some(mut exchange) = lua.host().exchange {
        // SAFETY: it is lent for the call that runs.
        unsafe { exchange.as_mut() }.place(place);
    }
}

/// `update_checkpoint([sequence [, failures]])`, of outputs.
pub(super) fn update_checkpoint(lua: Lua<'_>) -> Result<c_int, Raise> {
    let sequence = if lua.is_none_or_nil(1) { None } else { Some(lua.check_number(1)?) };
    let failures = lua.optional_integer(2, 0)?;
    if let Some(mut exchange) = lua.host().exchange {
        // SAFETY: it is lent for the call that runs.
        unsafe { exchange.as_mut() }.settled(sequence, u64::try_from(failures).unwrap_or(0));
    }
    Ok(0)
}
