//! `read_message` and `read_next_field`.

use std::ffi::c_int;

use heka_message::{Record, Value, ValueType, Variables};

use super::variable::Variable;
use super::{index_argument, with_message};
use crate::error::Raise;
use crate::lua::Lua;

/// `read_message(name [, field index [, array index [, in place]]])`; scripts of Heka's successor ask with the last one for
/// bytes that are not copied, and get a string all the same.
pub(super) fn read_message(lua: Lua<'_>) -> Result<c_int, Raise> {
    let arguments = lua.top();
    if !(1..=4).contains(&arguments) {
        return Err(Raise::text("read_message() incorrect number of arguments"));
    }
    let name = lua.check_text(1)?;
    let (mut field_index, mut array_index) = (0, 0);
    if arguments > 1 {
        field_index = index_argument(lua, 2, "field index must be >= 0")?;
        array_index = index_argument(lua, 3, "array index must be >= 0")?;
    }
    let read = Variable::parse(name).and_then(|variable| {
        with_message(lua, |record| push_variable(lua, record, variable, field_index, array_index))
    });
    if read.unwrap_or(Ok(false))? {
        return Ok(1);
    }
    lua.push_nil();
    Ok(1)
}

/// Pushes a variable; false and nothing where the message has none.
fn push_variable(
    lua: Lua<'_>,
    record: &Record<'_>,
    variable: Variable<'_>,
    field_index: usize,
    array_index: usize,
) -> Result<bool, Raise> {
    match variable {
        Variable::Type => push_bytes(lua, record.message_type())?,
        Variable::Logger => push_bytes(lua, record.logger())?,
        Variable::Payload => push_bytes(lua, record.payload())?,
        Variable::EnvVersion => push_bytes(lua, record.env_version())?,
        Variable::Hostname => push_bytes(lua, record.hostname())?,
        Variable::Uuid => match record.uuid() {
            Some(uuid) => lua.push_bytes(&uuid.text()),
            None => lua.push_bytes(b""),
        },
        Variable::Timestamp if record.is_set(Variables::TIMESTAMP) || record.timestamp() != 0 => {
            lua.push_number(record.timestamp() as f64);
        }
        Variable::Severity if record.is_set(Variables::SEVERITY) => {
            lua.push_number(record.severity().into());
        }
        Variable::Pid if record.is_set(Variables::PID) => lua.push_number(record.pid().into()),
        Variable::Raw => return push_raw(lua, record, false),
        Variable::Framed => return push_raw(lua, record, true),
        Variable::Size => lua.push_number(encoded_len(lua, record) as f64),
        Variable::Field(name) => {
            let mut named = record.fields().filter(|field| field.name() == name);
            let value = named.nth(field_index).and_then(|field| field.value(array_index));
            return push_value(lua, value);
        }
        Variable::Timestamp | Variable::Severity | Variable::Pid => return Ok(false),
    }
    Ok(true)
}

fn push_bytes(lua: Lua<'_>, bytes: &[u8]) -> Result<(), Raise> {
    lua.ask_memory(bytes.len())?;
    lua.push_bytes(bytes);
    Ok(())
}

fn push_value(lua: Lua<'_>, value: Option<Value<'_>>) -> Result<bool, Raise> {
    match value {
        Some(Value::Bytes([])) | None => return Ok(false),
        Some(Value::Str(bytes) | Value::Bytes(bytes)) => push_bytes(lua, bytes)?,
        Some(Value::Int(number)) => lua.push_number(number as f64),
        Some(Value::Double(number)) => lua.push_number(number),
        Some(Value::Bool(flag)) => lua.push_boolean(flag),
    }
    Ok(true)
}

/// The message as it came, else as it would be sent; in a frame, if wanted.
fn push_raw(lua: Lua<'_>, record: &Record<'_>, framed: bool) -> Result<bool, Raise> {
    if let Some(wire) = record.wire().filter(|_| !framed) {
        push_bytes(lua, wire)?;
        return Ok(true);
    }
    let mut encoded = std::mem::take(&mut lua.host().scratch);
    encoded.clear();
    heka_wire::encode_message(record, &mut encoded);
    if framed {
        let mut frame = Vec::new();
        heka_wire::write_unsigned_frame_header(encoded.len(), &mut frame);
        encoded.splice(0..0, frame);
    }
    let pushed = push_bytes(lua, &encoded);
    lua.host().scratch = encoded;
    pushed.map(|()| true)
}

/// Bytes of the encoded message.
fn encoded_len(lua: Lua<'_>, record: &Record<'_>) -> usize {
    if let Some(wire) = record.wire() {
        return wire.len();
    }
    let mut encoded = std::mem::take(&mut lua.host().scratch);
    encoded.clear();
    heka_wire::encode_message(record, &mut encoded);
    let len = encoded.len();
    lua.host().scratch = encoded;
    len
}

/// `read_next_field()`: type, name, first value, representation, number of values.
pub(super) fn read_next_field(lua: Lua<'_>) -> Result<c_int, Raise> {
    const RESULTS: c_int = 5;
    if lua.top() != 0 {
        return Err(Raise::text("read_next_field() takes no arguments"));
    }
    let next = lua.host().next_field;
    let read = with_message(lua, |record| {
        let Some(field) = record.fields().nth(next) else { return Ok(false) };
        lua.push_number(match field.value_type() {
            ValueType::Unknown => 0.0,
            known => f64::from(known as u8),
        });
        push_bytes(lua, field.name())?;
        if !push_value(lua, field.first())? {
            lua.push_nil();
        }
        push_bytes(lua, field.representation())?;
        lua.push_number(field.len() as f64);
        Ok(true)
    });
    if read.unwrap_or(Ok(false))? {
        lua.host().next_field = next + 1;
    } else {
        (0..RESULTS).for_each(|_| lua.push_nil());
    }
    Ok(RESULTS)
}
