//! Encoded message to record, in one pass over the bytes.
//!
//! Here: the message and field schema of Heka. The record's strings stay where the message lies in the batch's
//! input buffer; nothing is copied but the numbers. A member that is there twice counts as it was there last.
//! Members that Heka does not know, and value lists of another type than the field's, live on in the wire bytes
//! that the record keeps, nowhere else.

use heka_message::{NameId, RecordBuilder, Value, ValueType};

use crate::WireError;
use crate::cursor::{BYTES, Cursor, FIXED64, Tag, VARINT};
use crate::names::{NameCache, short_hash};

/// Decodes one protobuf message into `record`, which from then on is that message and nothing else.
///
/// For one message now and then; [`MessageDecoder`] is faster for many.
///
/// # Errors
/// As [`MessageDecoder::decode`].
pub fn decode_message(message: &[u8], record: &mut RecordBuilder<'_>) -> Result<(), WireError> {
    record.detach();
    decode_members(message, record, &mut LookUp)?;
    record.wire(message);
    Ok(())
}

/// Decodes messages one after another and remembers their field names.
#[derive(Debug, Clone)]
pub struct MessageDecoder {
    cache: NameCache,
    /// Where the names of the message's fields stand.
    names: Vec<(usize, usize)>,
}

impl MessageDecoder {
    /// A decoder that has seen no name yet.
    #[must_use]
    pub fn new() -> Self {
        Self { cache: NameCache::new(), names: Vec::new() }
    }

    /// Decodes one protobuf message into `record`, which from then on is that message and nothing else.
    ///
    /// Any part may be missing, also the id and the time stamp: check them where they are needed. `message`
    /// should lie in the buffer of the record's batch, otherwise its bytes are copied. Loop count and verified
    /// signer of the record stay.
    ///
    /// # Errors
    /// If the bytes are no message, which includes faults inside a field; the record is then half filled and
    /// must not be committed.
    pub fn decode(
        &mut self,
        message: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<(), WireError> {
        record.detach();
        self.decode_checked(message, record)?;
        record.wire(message);
        Ok(())
    }

    /// As [`decode`](Self::decode), over a record that keeps what it has, or its envelope, of type, logger, hostname,
    /// severity and pid where the message sets none. Its wire bytes are not kept.
    ///
    /// # Errors
    /// As `decode`.
    pub fn decode_over(
        &mut self,
        message: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<(), WireError> {
        record.clear_content();
        self.decode_checked(message, record)
    }

    /// Decodes by the names that are known, and again by those of this batch where they were others'.
    fn decode_checked(
        &mut self,
        message: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<(), WireError> {
        self.names.clear();
        decode_members(message, record, self)?;
        if self.names_hold(message, record) {
            return Ok(());
        }
        // Another batch began: what was learned is about the names of the last one.
        self.cache.clear();
        record.clear_fields();
        decode_members(message, record, &mut Learn { cache: &mut self.cache })
    }

    /// True if all fields got the names that the message gives them.
    fn names_hold(&self, message: &[u8], record: &RecordBuilder<'_>) -> bool {
        if self.names.is_empty() {
            return true;
        }
        let view = record.view();
        let mut names = view.record().fields().zip(&self.names);
        names.all(|(field, &(start, end))| message.get(start..end) == Some(field.name()))
    }
}

impl Default for MessageDecoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Finds the id of a field's name.
trait NameSource {
    /// The id; the name's last byte stands before `end`.
    fn name_id(&mut self, name: &[u8], end: usize, record: &mut RecordBuilder<'_>) -> NameId;
}

/// Looks every name up.
struct LookUp;

impl NameSource for LookUp {
    fn name_id(&mut self, name: &[u8], _: usize, record: &mut RecordBuilder<'_>) -> NameId {
        record.name_id(name)
    }
}

/// Looks every name up and remembers it.
struct Learn<'a> {
    cache: &'a mut NameCache,
}

impl NameSource for Learn<'_> {
    fn name_id(&mut self, name: &[u8], _: usize, record: &mut RecordBuilder<'_>) -> NameId {
        let id = record.name_id(name);
        self.cache.learn(short_hash(name), id);
        id
    }
}

/// Takes the ids that are remembered, to be checked at the end of the message.
impl NameSource for MessageDecoder {
    #[inline]
    fn name_id(&mut self, name: &[u8], end: usize, record: &mut RecordBuilder<'_>) -> NameId {
        self.names.push((end - name.len(), end));
        let hash = short_hash(name);
        // An id that this batch does not have reads as the empty name, so that one cannot be checked.
        if let Some(id) = self.cache.guess(hash).filter(|_| !name.is_empty()) {
            return id;
        }
        let id = record.name_id(name);
        self.cache.learn(hash, id);
        id
    }
}

fn decode_members(
    message: &[u8],
    record: &mut RecordBuilder<'_>,
    names: &mut impl NameSource,
) -> Result<(), WireError> {
    let mut cursor = Cursor::new(message);
    while let Some(tag) = cursor.tag()? {
        match tag.number {
            1 => record.uuid(text(tag, &mut cursor)?),
            2 => record.timestamp(integer(tag, &mut cursor)?),
            3 => record.message_type(text(tag, &mut cursor)?),
            4 => record.logger(text(tag, &mut cursor)?),
            5 => record.severity(integer(tag, &mut cursor)? as i32),
            6 => record.payload(text(tag, &mut cursor)?),
            7 => record.env_version(text(tag, &mut cursor)?),
            8 => record.pid(integer(tag, &mut cursor)? as i32),
            9 => record.hostname(text(tag, &mut cursor)?),
            10 => {
                tag.expect(BYTES)?;
                decode_field(cursor.nested()?, record, names)?;
                continue;
            }
            _ => {
                cursor.skip(tag)?;
                continue;
            }
        };
    }
    Ok(())
}

#[inline]
fn text<'a>(tag: Tag, cursor: &mut Cursor<'a>) -> Result<&'a [u8], WireError> {
    tag.expect(BYTES)?;
    cursor.bytes()
}

#[inline]
fn integer(tag: Tag, cursor: &mut Cursor<'_>) -> Result<i64, WireError> {
    tag.expect(VARINT)?;
    cursor.varint().map(|value| value as i64)
}

/// What a field says of itself, and its value if it has just one.
///
/// Filled in place and without `Value`: moving such enums about costs more than reading the bytes.
#[derive(Debug, Clone, Copy)]
struct FieldHead<'a> {
    name: &'a [u8],
    /// Offset behind the name in the message.
    name_end: usize,
    representation: &'a [u8],
    value_type: ValueType,
    /// How many values came in all, of any type.
    values: usize,
    /// Member number of the value that came last.
    member: u64,
    /// That value, if it is a text.
    text: &'a [u8],
    /// That value, if it is a number.
    bits: u64,
}

/// Member numbers of the value lists.
const STRINGS: u64 = 4;
const BYTE_STRINGS: u64 = 5;
const INTEGERS: u64 = 6;
const DOUBLES: u64 = 7;
const BOOLS: u64 = 8;

impl<'a> FieldHead<'a> {
    const EMPTY: Self = Self {
        name: &[],
        name_end: 0,
        representation: &[],
        value_type: ValueType::String,
        values: 0,
        member: 0,
        text: &[],
        bits: 0,
    };

    /// Reads a field as Heka writes them: name, type, representation, one value of that type, all of them short
    /// and nothing else. `None`, the head then being half filled, if the field has another shape.
    #[inline]
    fn read_usual(&mut self, mut field: Cursor<'a>) -> Option<()> {
        self.name = field.short_text(1 << 3 | BYTES)?;
        self.name_end = field.offset();
        let value_type = field.short_number(2 << 3 | VARINT)?;
        self.value_type = ValueType::from_wire(u64::from(value_type));
        self.representation = field.short_text(3 << 3 | BYTES)?;
        self.member = STRINGS + u64::from(value_type);
        if self.member > BOOLS {
            return None;
        }
        self.text = field.short_text((self.member as u8) << 3 | BYTES)?;
        if !field.is_at_end() {
            return None;
        }
        if self.member >= INTEGERS {
            let mut packed = Cursor::new(self.text);
            self.bits = number_bits(self.member, &mut packed).ok()?;
            if !packed.is_at_end() {
                return None;
            }
        }
        self.values = 1;
        Some(())
    }

    fn read(&mut self, mut field: Cursor<'a>) -> Result<(), WireError> {
        while let Some(tag) = field.tag()? {
            match tag.number {
                1 => {
                    self.name = text(tag, &mut field)?;
                    self.name_end = field.offset();
                }
                // An int32 on the wire: higher bits are cut off.
                2 => {
                    let number = integer(tag, &mut field)? as u32;
                    self.value_type = ValueType::from_wire(u64::from(number));
                }
                3 => self.representation = text(tag, &mut field)?,
                STRINGS..=BOOLS => {
                    self.member = tag.number;
                    self.read_values(tag, &mut field)?;
                }
                _ => field.skip(tag)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn read_values(&mut self, tag: Tag, field: &mut Cursor<'a>) -> Result<(), WireError> {
        match (tag.number, tag.wire_type) {
            (STRINGS | BYTE_STRINGS, BYTES) => {
                self.text = field.bytes()?;
                self.values += 1;
            }
            (INTEGERS..=BOOLS, BYTES) => {
                let mut packed = field.nested()?;
                while !packed.is_at_end() {
                    self.bits = number_bits(tag.number, &mut packed)?;
                    self.values += 1;
                }
            }
            _ => {
                self.bits = single_bits(tag, field)?;
                self.values += 1;
            }
        }
        Ok(())
    }

    /// The value, if it is the only one and of the field's type.
    #[inline]
    fn only_value(&self) -> Option<Value<'a>> {
        if self.values != 1 {
            return None;
        }
        match (self.member, self.value_type) {
            (STRINGS, ValueType::String) => Some(Value::Str(self.text)),
            (BYTE_STRINGS, ValueType::Bytes) => Some(Value::Bytes(self.text)),
            (INTEGERS, ValueType::Integer)
            | (DOUBLES, ValueType::Double)
            | (BOOLS, ValueType::Bool) => Some(number(self.member, self.bits)),
            _ => None,
        }
    }
}

#[inline]
fn decode_field(
    field: Cursor<'_>,
    record: &mut RecordBuilder<'_>,
    names: &mut impl NameSource,
) -> Result<(), WireError> {
    let mut head = FieldHead::EMPTY;
    if head.read_usual(field).is_none() {
        head = FieldHead::EMPTY;
        head.read(field)?;
    }
    let name = names.name_id(head.name, head.name_end, record);
    match head.only_value() {
        Some(value) => {
            record.field_with(name, head.representation, value);
            Ok(())
        }
        None => decode_values(field, &head, name, record),
    }
}

/// Adds a field of no value, of several, or with values that do not count.
fn decode_values(
    mut field: Cursor<'_>,
    head: &FieldHead<'_>,
    name: NameId,
    record: &mut RecordBuilder<'_>,
) -> Result<(), WireError> {
    record.empty_field(name, head.representation, head.value_type);
    let member = match head.value_type {
        ValueType::String => STRINGS,
        ValueType::Bytes => BYTE_STRINGS,
        ValueType::Integer => INTEGERS,
        ValueType::Double => DOUBLES,
        ValueType::Bool => BOOLS,
        ValueType::Unknown => return Ok(()),
    };
    while let Some(tag) = field.tag()? {
        match tag.wire_type {
            _ if tag.number != member => field.skip(tag)?,
            BYTES if member == STRINGS => record.push_value(Value::Str(field.bytes()?))?,
            BYTES if member == BYTE_STRINGS => record.push_value(Value::Bytes(field.bytes()?))?,
            BYTES => {
                let mut packed = field.nested()?;
                while !packed.is_at_end() {
                    record.push_value(number(member, number_bits(member, &mut packed)?))?;
                }
            }
            _ => record.push_value(number(member, single_bits(tag, &mut field)?))?,
        }
    }
    Ok(())
}

/// A number that stands alone, not packed.
#[inline]
fn single_bits(tag: Tag, field: &mut Cursor<'_>) -> Result<u64, WireError> {
    match (tag.number, tag.wire_type) {
        (INTEGERS | BOOLS, VARINT) | (DOUBLES, FIXED64) => number_bits(tag.number, field),
        _ => Err(tag.wrong_type()),
    }
}

#[inline]
fn number_bits(member: u64, cursor: &mut Cursor<'_>) -> Result<u64, WireError> {
    if member == DOUBLES { cursor.fixed64() } else { cursor.varint() }
}

#[inline]
fn number<'a>(member: u64, bits: u64) -> Value<'a> {
    match member {
        INTEGERS => Value::Int(bits as i64),
        DOUBLES => Value::Double(f64::from_bits(bits)),
        _ => Value::Bool(bits != 0),
    }
}
