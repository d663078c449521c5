//! `decode_message`: an encoded message to a table.
//!
//! Source: sandbox.md of Heka's behaviour, section 7.7. Invariants: what it takes is bounded by the message's length; an
//! error names member, wire type and byte.

use std::ffi::c_int;

use super::wire::{self, Reader, field, member};
use crate::error::Raise;
use crate::lua::Lua;

/// Shortest message: with id and time.
const MESSAGE_BYTES_MIN: usize = 20;
/// Bytes of an id.
const UUID_BYTES: usize = 16;

/// A member that cannot be read.
struct Fault {
    tag: u64,
    wire_type: u64,
    offset: usize,
}

pub(super) fn decode_message(lua: Lua<'_>) -> Result<c_int, Raise> {
    let message = match (lua.top(), lua.bytes(1)) {
        (1, Some(message)) => message,
        _ => return Err(Raise::argument(0, "must have one string argument")),
    };
    if message.len() < MESSAGE_BYTES_MIN {
        return Err(Raise::text("invalid message, too short"));
    }
    lua.charge(message.len() / 16)?;
    lua.push_table(0, 10);
    let mut found = (false, false);
    let mut reader = Reader::new(message);
    let mut fields = 0;
    while !reader.is_at_end() {
        let offset = reader.at;
        let key = reader.varint().unwrap_or_default();
        let read = header(lua, key, &mut reader, &mut found, &mut fields)?;
        if read.is_none() {
            let fault = Fault { tag: key >> 3, wire_type: key & 7, offset };
            return Err(Raise::text(format!(
                "error in tag: {} wiretype: {} offset: {}",
                fault.tag, fault.wire_type, fault.offset
            )));
        }
        lua.check_memory()?;
    }
    if found != (true, true) {
        let word = |found| if found { "found" } else { "not found" };
        return Err(Raise::text(format!(
            "missing required field uuid: {} timestamp: {}",
            word(found.0),
            word(found.1)
        )));
    }
    lua.set_top(2);
    Ok(1)
}

/// Reads a member of the message into the table at 2; `None` if it is none.
fn header(
    lua: Lua<'_>,
    key: u64,
    reader: &mut Reader<'_>,
    found: &mut (bool, bool),
    fields: &mut c_int,
) -> Result<Option<()>, Raise> {
    let Ok(number) = u8::try_from(key >> 3) else { return Ok(None) };
    let (name, wire_type) = match number {
        member::UUID => ("Uuid", wire::BYTES),
        member::TIMESTAMP => ("Timestamp", wire::VARINT),
        member::TYPE => ("Type", wire::BYTES),
        member::LOGGER => ("Logger", wire::BYTES),
        member::SEVERITY => ("Severity", wire::VARINT),
        member::PAYLOAD => ("Payload", wire::BYTES),
        member::ENV_VERSION => ("EnvVersion", wire::BYTES),
        member::PID => ("Pid", wire::VARINT),
        member::HOSTNAME => ("Hostname", wire::BYTES),
        member::FIELDS => ("Fields", wire::BYTES),
        _ => return Ok(None),
    };
    if key & 7 != u64::from(wire_type) {
        return Ok(None);
    }
    if wire_type == wire::VARINT {
        let Some(value) = reader.varint() else { return Ok(None) };
        found.1 |= number == member::TIMESTAMP;
        let is_small = number != member::TIMESTAMP;
        let value = if is_small { f64::from(value as i32) } else { value as i64 as f64 };
        lua.push_number(value);
        lua.raw_set_text(2, name);
        return Ok(Some(()));
    }
    let Some(bytes) = reader.block() else { return Ok(None) };
    if number == member::FIELDS {
        return add_field(lua, bytes, fields);
    }
    if number == member::UUID {
        found.0 = bytes.len() == UUID_BYTES;
        if !found.0 {
            return Ok(None);
        }
    }
    lua.ask_memory(bytes.len())?;
    lua.push_bytes(bytes);
    lua.raw_set_text(2, name);
    Ok(Some(()))
}

/// Reads a field and appends it to those of the table at 2, which stay at 3.
fn add_field(lua: Lua<'_>, bytes: &[u8], fields: &mut c_int) -> Result<Option<()>, Raise> {
    if *fields == 0 {
        lua.push_table(4, 0);
        lua.push_value(3);
        lua.raw_set_text(2, "Fields");
    }
    lua.push_table(0, 4);
    lua.push_table(1, 0);
    let (table, values) = (lua.top() - 1, lua.top());
    let mut reader = Reader::new(bytes);
    let (mut count, mut is_named) = (0, false);
    while !reader.is_at_end() {
        let Some(key) = reader.varint() else { return Ok(None) };
        let read = read_member(lua, key, &mut reader, (table, values), &mut count)?;
        if read.is_none() {
            return Ok(None);
        }
        is_named |= key >> 3 == u64::from(field::NAME);
        lua.check_memory()?;
    }
    if !is_named {
        return Ok(None);
    }
    lua.raw_set_text(table, "value");
    *fields += 1;
    lua.raw_set_index(3, *fields);
    Ok(Some(()))
}

fn read_member(
    lua: Lua<'_>,
    key: u64,
    reader: &mut Reader<'_>,
    (table, values): (c_int, c_int),
    count: &mut c_int,
) -> Result<Option<()>, Raise> {
    let (Ok(number), Ok(wire_type)) = (u8::try_from(key >> 3), u8::try_from(key & 7)) else {
        return Ok(None);
    };
    match (number, wire_type) {
        (field::NAME | field::REPRESENTATION, wire::BYTES) => {
            let Some(text) = reader.block() else { return Ok(None) };
            lua.push_bytes(text);
            let name = if number == field::NAME { "name" } else { "representation" };
            lua.raw_set_text(table, name);
        }
        (field::VALUE_TYPE, wire::VARINT) => {
            let Some(value) = reader.varint() else { return Ok(None) };
            lua.push_number(value as f64);
            lua.raw_set_text(table, "value_type");
        }
        (field::STRING | field::BYTES, wire::BYTES) => {
            let Some(text) = reader.block() else { return Ok(None) };
            lua.ask_memory(text.len())?;
            lua.push_bytes(text);
            *count += 1;
            lua.raw_set_index(values, *count);
        }
        (field::INTEGER | field::DOUBLE | field::BOOL, wire::BYTES) => {
            let Some(block) = reader.block() else { return Ok(None) };
            let mut packed = Reader::new(block);
            while !packed.is_at_end() {
                if number_value(lua, number, &mut packed, values, count).is_none() {
                    return Ok(None);
                }
                lua.check_memory()?;
            }
        }
        (field::INTEGER | field::BOOL, wire::VARINT) | (field::DOUBLE, wire::FIXED64) => {
            return Ok(number_value(lua, number, reader, values, count));
        }
        _ => return Ok(None),
    }
    Ok(Some(()))
}

fn number_value(
    lua: Lua<'_>,
    number: u8,
    reader: &mut Reader<'_>,
    values: c_int,
    count: &mut c_int,
) -> Option<()> {
    match number {
        field::DOUBLE => lua.push_number(reader.fixed64()?),
        field::BOOL => lua.push_boolean(reader.varint()? != 0),
        _ => lua.push_number(reader.varint()? as i64 as f64),
    }
    *count += 1;
    lua.raw_set_index(values, *count);
    Some(())
}
