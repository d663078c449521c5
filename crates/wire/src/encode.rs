//! Record to encoded message.
//!
//! Members stand in the order of their numbers; only what is set is written, also when it is empty. A field
//! always carries its type and its representation.

use heka_message::{Field, Record, Value, ValueType, Variables};

use crate::cursor::{BYTES, VARINT};

/// Longest varint in bytes.
const VARINT_BYTES_MAX: usize = 10;

/// Appends the record as one protobuf message to `out`.
///
/// An untouched record that came as a message is copied byte for byte, with unknown members and odd order.
pub fn encode_message(record: &Record<'_>, out: &mut Vec<u8>) {
    if let Some(wire) = record.wire() {
        out.extend_from_slice(wire);
        return;
    }
    write_headers(record, out);
    for field in record.fields() {
        write_field(&field, out);
    }
}

fn write_headers(record: &Record<'_>, out: &mut Vec<u8>) {
    match record.uuid() {
        Some(uuid) => write_bytes(1, &uuid.0, out),
        None if record.is_set(Variables::UUID) => write_bytes(1, record.uuid_bytes(), out),
        None => {}
    }
    if record.is_set(Variables::TIMESTAMP) {
        write_number(2, record.timestamp() as u64, out);
    }
    if record.is_set(Variables::TYPE) {
        write_bytes(3, record.message_type(), out);
    }
    if record.is_set(Variables::LOGGER) {
        write_bytes(4, record.logger(), out);
    }
    if record.is_set(Variables::SEVERITY) {
        write_int32(5, record.severity(), out);
    }
    if record.is_set(Variables::PAYLOAD) {
        write_bytes(6, record.payload(), out);
    }
    if record.is_set(Variables::ENV_VERSION) {
        write_bytes(7, record.env_version(), out);
    }
    if record.is_set(Variables::PID) {
        write_int32(8, record.pid(), out);
    }
    if record.is_set(Variables::HOSTNAME) {
        write_bytes(9, record.hostname(), out);
    }
}

fn write_field(field: &Field<'_>, out: &mut Vec<u8>) {
    write_nested(10, out, |out| {
        write_bytes(1, field.name(), out);
        write_number(2, field.value_type() as u64, out);
        write_bytes(3, field.representation(), out);
        match field.value_type() {
            ValueType::Integer if !field.is_empty() => write_packed(6, field, out),
            ValueType::Double if !field.is_empty() => write_packed(7, field, out),
            ValueType::Bool if !field.is_empty() => write_packed(8, field, out),
            _ => write_values(field, out),
        }
    });
}

fn write_packed(member: u8, field: &Field<'_>, out: &mut Vec<u8>) {
    write_nested(member, out, |out| write_values(field, out));
}

fn write_values(field: &Field<'_>, out: &mut Vec<u8>) {
    for index in 0..field.len() {
        let Some(value) = field.value(index) else { return };
        write_value(value, out);
    }
}

/// Texts with their tag, numbers bare as in a packed list.
#[inline]
fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Str(bytes) => write_bytes(4, bytes, out),
        Value::Bytes(bytes) => write_bytes(5, bytes, out),
        Value::Int(number) => write_varint(number as u64, out),
        Value::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Bool(flag) => out.push(u8::from(flag)),
    }
}

/// Appends a member whose length is known only when it is written. Nearly all are shorter than 128 bytes, so
/// one byte is left for the length and longer ones are moved.
#[inline]
fn write_nested(member: u8, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[member << 3 | BYTES, 0]);
    let start = out.len();
    content(out);
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(VARINT_BYTES_MAX);
    write_varint(length as u64, &mut prefix);
    out.splice(start - 1..start, prefix);
}

/// Appends a text member.
#[inline]
pub(crate) fn write_bytes(member: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let tag = member << 3 | BYTES;
    if bytes.len() < 0x80 {
        out.reserve(2 + bytes.len());
        out.extend_from_slice(&[tag, bytes.len() as u8]);
    } else {
        out.push(tag);
        write_varint(bytes.len() as u64, out);
    }
    out.extend_from_slice(bytes);
}

/// Appends a number member.
#[inline]
pub(crate) fn write_number(member: u8, value: u64, out: &mut Vec<u8>) {
    out.push(member << 3 | VARINT);
    write_varint(value, out);
}

/// Appends an int32 member. Heka writes negative ones as the varint of their 32 bits, five bytes long, where
/// protobuf would sign-extend them to ten.
#[inline]
fn write_int32(member: u8, value: i32, out: &mut Vec<u8>) {
    write_number(member, u64::from(value as u32), out);
}

#[inline]
fn write_varint(value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    let mut bytes = [0; VARINT_BYTES_MAX];
    let mut rest = value;
    let mut length = 0;
    while rest >= 0x80 {
        bytes[length] = rest as u8 | 0x80;
        rest >>= 7;
        length += 1;
    }
    bytes[length] = rest as u8;
    out.extend_from_slice(&bytes[..=length]);
}
