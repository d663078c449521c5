//! Tables of scripts to messages.
//!
//! Here: what `inject_message` and `encode_message` make of a table. Invariants: whatever the table holds, its metatables
//! are not asked; the message stays within the limit of output. Source: sandbox.md of Heka's behaviour, section 7.6.

use std::ffi::c_int;

use super::wire::{self, field, member};
use crate::error::Raise;
use crate::lua::{Lua, Type};
use crate::object::Written;

/// Deepest nesting of objects that hold a value.
const OBJECTS_MAX: usize = 10;
/// Room on the stack for one level of values.
const STACK_A_LEVEL: usize = 8;

/// Types of values, as the wire format numbers them.
const BYTES: i64 = 1;
const INTEGER: i64 = 2;
const DOUBLE: i64 = 3;
const BOOL: i64 = 4;

/// Names that are looked up in tables: upvalues of the functions that call [`encode`], so that they need not be made into
/// strings of Lua's each time.
pub(super) const KEYS: [&str; 14] = [
    "Uuid",
    "Timestamp",
    "Type",
    "Logger",
    "Severity",
    "Payload",
    "EnvVersion",
    "Pid",
    "Hostname",
    "Fields",
    "name",
    "value",
    "value_type",
    "representation",
];

/// Places in [`KEYS`], counted from 1.
mod key {
    pub(super) const UUID: i32 = 1;
    pub(super) const TIMESTAMP: i32 = 2;
    pub(super) const TYPE: i32 = 3;
    pub(super) const LOGGER: i32 = 4;
    pub(super) const SEVERITY: i32 = 5;
    pub(super) const PAYLOAD: i32 = 6;
    pub(super) const ENV_VERSION: i32 = 7;
    pub(super) const PID: i32 = 8;
    pub(super) const HOSTNAME: i32 = 9;
    pub(super) const FIELDS: i32 = 10;
    pub(super) const NAME: i32 = 11;
    pub(super) const VALUE: i32 = 12;
    pub(super) const VALUE_TYPE: i32 = 13;
    pub(super) const REPRESENTATION: i32 = 14;
}

/// `encode_message(table [, framed])`: the encoded message as a string, which Heka's successor has.
pub(super) fn encode_message(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_table(1)?;
    let framed = lua.boolean(2);
    lua.set_top(2);
    let mut message = Vec::new();
    encode(lua, "encode_message()", &mut message)?;
    if framed {
        let mut frame = Vec::with_capacity(message.len() + 16);
        heka_wire::write_unsigned_frame_header(message.len(), &mut frame);
        frame.extend_from_slice(&message);
        message = frame;
    }
    lua.ask_memory(message.len())?;
    lua.push_bytes(&message);
    Ok(1)
}

/// Appends the message that the table at 1 stands for.
pub(super) fn encode(lua: Lua<'_>, who: &str, out: &mut Vec<u8>) -> Result<(), Raise> {
    let mut encoder = Encoder { lua, who, limit: lua.host().output.limit, out };
    encoder.headers()?;
    encoder.fields()
}

struct Encoder<'l, 'o> {
    lua: Lua<'l>,
    who: &'o str,
    limit: usize,
    out: &'o mut Vec<u8>,
}

/// How the value of a field is to be written.
///
/// The text is that of a string in the table, which outlives the field.
#[derive(Debug, Clone, Copy, Default)]
struct Form<'l> {
    value_type: Option<i64>,
    representation: Option<&'l [u8]>,
}

impl<'l> Encoder<'l, '_> {
    fn error(&self, what: &str) -> Raise {
        Raise::text(format!("{} could not encode protobuf - {what}", self.who))
    }

    fn too_long(&self) -> Raise {
        Raise::text(format!("{} output_limit exceeded", self.who))
    }

    /// Charges what was written and looks at the limit.
    fn written(&self, from: usize) -> Result<(), Raise> {
        self.lua.charge(1 + (self.out.len() - from) / 64)?;
        if self.limit != 0 && self.out.len() >= self.limit {
            return Err(self.too_long());
        }
        Ok(())
    }

    fn headers(&mut self) -> Result<(), Raise> {
        self.uuid()?;
        let now_ns = || super::inject::now_s().saturating_mul(1_000_000_000);
        let timestamp = self.number(key::TIMESTAMP).map_or_else(now_ns, |number| number as i64);
        wire::write_number(member::TIMESTAMP, timestamp as u64, self.out);
        self.text(key::TYPE, member::TYPE)?;
        self.text(key::LOGGER, member::LOGGER)?;
        self.small_number(key::SEVERITY, member::SEVERITY);
        self.text(key::PAYLOAD, member::PAYLOAD)?;
        self.text(key::ENV_VERSION, member::ENV_VERSION)?;
        self.small_number(key::PID, member::PID);
        self.text(key::HOSTNAME, member::HOSTNAME)
    }

    fn uuid(&mut self) -> Result<(), Raise> {
        self.get(1, key::UUID);
        let given = self.lua.bytes(-1).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        self.lua.pop(1);
        let uuid = given.unwrap_or_else(|| {
            let random = &mut self.lua.host().random;
            let mut uuid = random.u128(..).to_be_bytes();
            uuid[6] = uuid[6] & 0x0f | 0x40;
            uuid[8] = uuid[8] & 0x3f | 0x80;
            uuid
        });
        wire::write_bytes(member::UUID, &uuid, self.out);
        self.written(0)
    }

    /// Pushes the entry of a table for one of the names.
    fn get(&self, table: c_int, key: i32) {
        let table = self.lua.absolute(table);
        self.lua.push_value(Lua::upvalue(key));
        self.lua.raw_get(table);
    }

    /// A number, or a string that reads as one.
    fn number(&self, name: i32) -> Option<f64> {
        self.get(1, name);
        let number = match self.lua.type_of(-1) {
            Type::Number | Type::String => self.lua.number(-1),
            _ => None,
        };
        self.lua.pop(1);
        number
    }

    fn small_number(&mut self, name: i32, number: u8) {
        if let Some(value) = self.number(name) {
            // Negative ones take ten bytes, as protobuf has it.
            wire::write_number(number, value as i64 as u64, self.out);
        }
    }

    fn text(&mut self, name: i32, number: u8) -> Result<(), Raise> {
        let from = self.out.len();
        self.get(1, name);
        if matches!(self.lua.type_of(-1), Type::String | Type::Number)
            && let Some(text) = self.lua.text(-1)
        {
            self.room_for(text.len())?;
            wire::write_bytes(number, text, self.out);
        }
        self.lua.pop(1);
        self.written(from)
    }

    /// Refuses a text before it is copied.
    fn room_for(&self, bytes: usize) -> Result<(), Raise> {
        if self.limit != 0 && self.out.len() + bytes >= self.limit {
            return Err(self.too_long());
        }
        Ok(())
    }

    fn fields(&mut self) -> Result<(), Raise> {
        let lua = self.lua;
        self.get(1, key::FIELDS);
        if lua.type_of(-1) != Type::Table {
            lua.pop(1);
            return Ok(());
        }
        let fields = lua.top();
        lua.raw_get_index(fields, 1);
        let is_array = lua.type_of(-1) == Type::Table;
        lua.pop(1);
        if is_array { self.field_array(fields) } else { self.field_map(fields) }?;
        lua.set_top(fields - 1);
        Ok(())
    }

    fn field_array(&mut self, fields: c_int) -> Result<(), Raise> {
        let lua = self.lua;
        for index in 1.. {
            lua.raw_get_index(fields, index);
            match lua.type_of(-1) {
                Type::Table => {}
                Type::Nil => break,
                _ => return Err(self.error("field name must be a string")),
            }
            self.get(-1, key::NAME);
            let Some(name) = lua.bytes(-1) else {
                return Err(self.error("field name must be a string"));
            };
            self.field(name, -2, true)?;
            lua.set_top(fields);
        }
        lua.set_top(fields);
        Ok(())
    }

    fn field_map(&mut self, fields: c_int) -> Result<(), Raise> {
        let lua = self.lua;
        lua.push_nil();
        while lua.next(fields) {
            let Some(name) = lua.bytes(-2) else {
                return Err(self.error("field name must be a string"));
            };
            self.field(name, -1, false)?;
            lua.set_top(fields + 1);
        }
        Ok(())
    }

    /// Writes a field. The value is that at the index, or, of an object, what it holds.
    fn field(&mut self, name: &[u8], value: c_int, is_object: bool) -> Result<(), Raise> {
        let lua = self.lua;
        let value = lua.absolute(value);
        let from = self.out.len();
        self.room_for(name.len())?;
        let start = wire::begin_nested(member::FIELDS, self.out);
        wire::write_bytes(field::NAME, name, self.out);
        let mut form = Form::default();
        lua.reserve_stack(STACK_A_LEVEL * OBJECTS_MAX)?;
        let value = if is_object { self.open(value, &mut form) } else { value };
        self.value(value, &mut form, 0)?;
        wire::end_nested(start, self.out);
        self.written(from)
    }

    /// Pushes what an object holds, and takes what it says of its form; gives the value's index.
    fn open(&self, object: c_int, form: &mut Form<'l>) -> c_int {
        let lua = self.lua;
        self.get(object, key::VALUE_TYPE);
        if lua.type_of(-1) == Type::Number {
            form.value_type = lua.number(-1).map(|number| number as i64);
        }
        self.get(object, key::REPRESENTATION);
        if let Some(text) = lua.bytes(-1) {
            let end = memchr::memchr(0, text).unwrap_or(text.len());
            form.representation = Some(&text[..end]);
        }
        lua.pop(2);
        self.get(object, key::VALUE);
        lua.top()
    }

    fn value(&mut self, value: c_int, form: &mut Form<'l>, depth: usize) -> Result<(), Raise> {
        let lua = self.lua;
        match lua.type_of(value) {
            Type::String | Type::Number | Type::Boolean => self.scalar(value, form),
            Type::Userdata => self.object(value, form),
            Type::Table => {
                lua.raw_get_index(value, 1);
                let first = lua.type_of(-1);
                lua.pop(1);
                match first {
                    Type::Nil if depth < OBJECTS_MAX => {
                        let inner = self.open(value, form);
                        self.value(inner, form, depth + 1)
                    }
                    Type::Nil => Err(self.error("unsupported type: table")),
                    Type::String | Type::Number | Type::Boolean => self.array(value, first, form),
                    other => Err(self.error(&format!("unsupported array type: {}", other.name()))),
                }
            }
            other => Err(self.error(&format!("unsupported type: {}", other.name()))),
        }
    }

    /// Writes the members before the values; gives the type of these.
    fn form(&mut self, of: Type, form: &Form<'l>) -> Result<i64, Raise> {
        let value_type = match (of, form.value_type) {
            (Type::String, None) => 0,
            (Type::String, Some(given @ (0 | BYTES))) => given,
            (Type::String, Some(given)) => {
                return Err(self.error(&format!("invalid string value_type: {given}")));
            }
            (Type::Number, None) => DOUBLE,
            (Type::Number, Some(given @ (INTEGER | DOUBLE))) => given,
            (Type::Number, Some(given)) => {
                return Err(self.error(&format!("invalid numeric value_type: {given}")));
            }
            (Type::Boolean, None | Some(BOOL)) => BOOL,
            (Type::Boolean, Some(given)) => {
                return Err(self.error(&format!("invalid boolean value_type: {given}")));
            }
            _ => BYTES,
        };
        if value_type != 0 {
            wire::write_number(field::VALUE_TYPE, value_type as u64, self.out);
        }
        if let Some(text) = form.representation {
            self.room_for(text.len())?;
            wire::write_bytes(field::REPRESENTATION, text, self.out);
        }
        Ok(value_type)
    }

    fn scalar(&mut self, value: c_int, form: &Form<'l>) -> Result<(), Raise> {
        let lua = self.lua;
        let value_type = self.form(lua.type_of(value), form)?;
        match value_type {
            INTEGER => {
                let number = lua.number(value).unwrap_or_default() as i64;
                wire::write_number(field::INTEGER, number as u64, self.out);
            }
            DOUBLE => {
                wire::write_double(field::DOUBLE, lua.number(value).unwrap_or_default(), self.out);
            }
            BOOL => wire::write_number(field::BOOL, lua.boolean(value).into(), self.out),
            _ => {
                let text = lua.bytes(value).unwrap_or_default();
                self.room_for(text.len())?;
                let number = if value_type == BYTES { field::BYTES } else { field::STRING };
                wire::write_bytes(number, text, self.out);
            }
        }
        Ok(())
    }

    fn object(&mut self, value: c_int, form: &Form<'l>) -> Result<(), Raise> {
        let mut text = Vec::new();
        let bytes_max = match self.limit {
            0 => usize::MAX,
            limit => limit.saturating_sub(self.out.len()),
        };
        match self.lua.object_output(value, &mut text, bytes_max) {
            Written::Done => {}
            Written::NoForm => {
                return Err(self.error("user data object does not implement lsb_output"));
            }
            Written::TooLong => return Err(self.too_long()),
        }
        self.form(Type::Userdata, form)?;
        self.room_for(text.len())?;
        wire::write_bytes(field::BYTES, &text, self.out);
        Ok(())
    }

    fn array(&mut self, array: c_int, of: Type, form: &Form<'l>) -> Result<(), Raise> {
        let lua = self.lua;
        let value_type = self.form(of, form)?;
        let length = lua.len(array);
        let packed = length >= 2 && !matches!(value_type, 0 | BYTES);
        let number = match value_type {
            INTEGER => field::INTEGER,
            DOUBLE => field::DOUBLE,
            BOOL => field::BOOL,
            BYTES => field::BYTES,
            _ => field::STRING,
        };
        let start = packed.then(|| wire::begin_nested(number, self.out));
        for index in 1..=c_int::try_from(length).unwrap_or(c_int::MAX) {
            let from = self.out.len();
            lua.raw_get_index(array, index);
            if lua.type_of(-1) != of {
                return Err(self.error("array has mixed types"));
            }
            self.element(number, value_type, packed)?;
            lua.pop(1);
            self.written(from)?;
        }
        if let Some(start) = start {
            wire::end_nested(start, self.out);
        }
        Ok(())
    }

    /// Writes the value on top as one of an array.
    fn element(&mut self, number: u8, value_type: i64, packed: bool) -> Result<(), Raise> {
        let lua = self.lua;
        match (value_type, packed) {
            (INTEGER | BOOL, _) => {
                let value = match value_type {
                    BOOL => lua.boolean(-1).into(),
                    _ => lua.number(-1).unwrap_or_default() as i64 as u64,
                };
                match packed {
                    true => wire::write_varint(value, self.out),
                    false => wire::write_number(number, value, self.out),
                }
            }
            (DOUBLE, true) => {
                let value = lua.number(-1).unwrap_or_default();
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            (DOUBLE, false) => {
                wire::write_double(number, lua.number(-1).unwrap_or_default(), self.out);
            }
            _ => {
                let text = lua.bytes(-1).unwrap_or_default();
                self.room_for(text.len())?;
                wire::write_bytes(number, text, self.out);
            }
        }
        Ok(())
    }
}
