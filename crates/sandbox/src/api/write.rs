//! `write_message`: changes the current message.
//!
//! Source: sandbox.md of Heka's behaviour, section 7.8; strings with zero bytes are written whole, and an integer or bytes
//! field takes a number or string.

use std::ffi::c_int;

use heka_datetime::{GoLayout, Location};
use heka_message::{Field, RecordBuilder, Uuid, Value, ValueType};

use super::variable::Variable;
use super::{index_argument, inject};
use crate::error::Raise;
use crate::exchange::EditError;
use crate::lua::{Lua, Type};

/// What is written.
#[derive(Debug, Clone, Copy)]
enum Written<'a> {
    Text(&'a [u8]),
    Number(f64),
    Flag(bool),
    /// The field, or an element of it, is removed.
    Nothing,
}

/// Where in the fields.
#[derive(Debug, Clone, Copy)]
struct Place {
    field: usize,
    array: usize,
    /// An element is meant, not the whole field.
    has_array: bool,
}

/// `write_message(name, value [, representation [, field index [, array index]]])`.
pub(super) fn write_message(lua: Lua<'_>) -> Result<c_int, Raise> {
    let arguments = lua.top();
    if !(2..=5).contains(&arguments) {
        return Err(Raise::text("write_message() incorrect number of arguments"));
    }
    let name = lua.check_text(1)?;
    let value = match lua.type_of(2) {
        Type::String => Written::Text(lua.bytes(2).unwrap_or_default()),
        Type::Number => Written::Number(lua.number(2).unwrap_or_default()),
        Type::Boolean => Written::Flag(lua.boolean(2)),
        Type::Nil => Written::Nothing,
        _ => {
            return Err(Raise::text(
                "write_message() only accepts numeric, string, or boolean field values, \
                 or nil to delete",
            ));
        }
    };
    let representation = if lua.is_none_or_nil(3) { b"" } else { lua.check_text(3)? };
    let place = Place {
        field: index_argument(lua, 4, "field index must be >= 0")?,
        array: index_argument(lua, 5, "array index must be >= 0")?,
        has_array: arguments > 4,
    };
    let Some(mut exchange) = lua.host().exchange else {
        return Err(Raise::text("write_message() failed"));
    };
    let mut edit = |record: &mut RecordBuilder<'_>| {
        edit(record, name, value, representation, place).map_err(EditError)
    };
    // SAFETY: it is lent for the call that runs.
    let written = unsafe { exchange.as_mut() }.write(&mut edit);
    match written {
        Ok(()) => {
            // From now on the changed message is read, where the plugin has a copy of its own.
            lua.host().record = None;
            Ok(0)
        }
        Err(error) => {
            tracing::debug!(plugin = &*lua.host().name, %error, "write_message failed");
            Err(Raise::text("write_message() failed"))
        }
    }
}

fn edit(
    record: &mut RecordBuilder<'_>,
    name: &[u8],
    value: Written<'_>,
    representation: &[u8],
    place: Place,
) -> Result<(), String> {
    let variable = Variable::parse(name).ok_or("there is no such variable")?;
    if let Variable::Field(name) = variable {
        return match value {
            Written::Nothing => delete_field(record, name, place),
            _ => write_field(record, name, value, representation, place),
        };
    }
    match (variable, value) {
        (Variable::Type, Written::Text(text)) => record.message_type(text),
        (Variable::Logger, Written::Text(text)) => record.logger(text),
        (Variable::Payload, Written::Text(text)) => record.payload(text),
        (Variable::EnvVersion, Written::Text(text)) => record.env_version(text),
        (Variable::Hostname, Written::Text(text)) => record.hostname(text),
        (Variable::Uuid, Written::Text(text)) => {
            let text = text.strip_prefix(b"urn:uuid:").unwrap_or(text);
            record.uuid(&Uuid::parse(text).ok_or("it is no UUID")?.0)
        }
        (Variable::Timestamp, Written::Number(ns)) => record.timestamp(ns as i64),
        (Variable::Timestamp, Written::Text(text)) => record.timestamp(parse_time(text)?),
        (Variable::Severity, Written::Number(number)) => record.severity(number as i32),
        (Variable::Severity, Written::Text(text)) => record.severity(parse_integer(text)?),
        (Variable::Pid, Written::Number(number)) => record.pid(number as i32),
        (Variable::Pid, Written::Text(text)) => record.pid(parse_integer(text)?),
        _ => return Err("the variable does not take such a value".to_owned()),
    };
    Ok(())
}

fn parse_integer<T: TryFrom<i64>>(text: &[u8]) -> Result<T, String> {
    let failed = || "it is no integer".to_owned();
    let text = std::str::from_utf8(text).map_err(|_| failed())?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    // Bases by prefix, as Go's ParseInt reads them with base 0.
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let number = i64::from_str_radix(digits, base).map_err(|_| failed())?;
    T::try_from(sign * number).map_err(|_| failed())
}

fn parse_time(text: &[u8]) -> Result<i64, String> {
    if let Ok(ns) = parse_integer::<i64>(text) {
        return Ok(ns);
    }
    let layout = GoLayout::parse("2006-01-02T15:04:05.999999999Z07:00")
        .map_err(|error| error.to_string())?;
    let now_ns = inject::now_s().saturating_mul(1_000_000_000);
    layout.parse_time(text, &Location::utc(), now_ns).map_err(|error| error.to_string())
}

/// The place of a field among all, and how many of its name there are.
fn find(record: &RecordBuilder<'_>, name: &[u8], nth: usize) -> (Option<usize>, usize) {
    let view = record.view();
    let record = view.record();
    let mut places = Vec::new();
    for (place, field) in record.fields().enumerate() {
        if field.name() == name {
            places.push(place);
        }
    }
    (places.get(nth).copied(), places.len())
}

/// The value for a field of a type, if it takes such a value.
fn value_for(value_type: ValueType, value: Written<'_>) -> Option<Value<'_>> {
    Some(match (value_type, value) {
        (ValueType::String, Written::Text(text)) => Value::Str(text),
        (ValueType::Bytes, Written::Text(text)) => Value::Bytes(text),
        (ValueType::Integer, Written::Number(number)) => Value::Int(number as i64),
        (ValueType::Double, Written::Number(number)) => Value::Double(number),
        (ValueType::Bool, Written::Flag(flag)) => Value::Bool(flag),
        _ => return None,
    })
}

fn write_field(
    record: &mut RecordBuilder<'_>,
    name: &[u8],
    value: Written<'_>,
    representation: &[u8],
    place: Place,
) -> Result<(), String> {
    let (found, count) = find(record, name, place.field);
    let Some(found) = found else {
        if place.field > count || place.array > 0 {
            return Err("there is no field of that number".to_owned());
        }
        let value = match value {
            Written::Text(text) => Value::Str(text),
            Written::Number(number) => Value::Double(number),
            Written::Flag(flag) => Value::Bool(flag),
            Written::Nothing => return Ok(()),
        };
        let name = record.name_id(name);
        record.field_with(name, representation, value);
        return Ok(());
    };
    rewrite(record, found, Some(representation), |field| {
        let value = value_for(field.value_type(), value).ok_or("the field is of another type")?;
        if place.array > field.len() {
            return Err("there is no element of that number".to_owned());
        }
        let mut values: Vec<Owned> = field.values().map(Owned::of).collect();
        match values.get_mut(place.array) {
            Some(old) => *old = Owned::of(value),
            None => values.push(Owned::of(value)),
        }
        Ok(values)
    })
}

fn delete_field(record: &mut RecordBuilder<'_>, name: &[u8], place: Place) -> Result<(), String> {
    let (found, count) = find(record, name, place.field);
    let Some(found) = found else {
        let missing = "there is no field of that number";
        return if count == 0 { Ok(()) } else { Err(missing.to_owned()) };
    };
    if !place.has_array {
        record.remove_field(found);
        return Ok(());
    }
    rewrite(record, found, None, |field| {
        if place.array >= field.len() {
            return Err("there is no element of that number".to_owned());
        }
        let mut values: Vec<Owned> = field.values().map(Owned::of).collect();
        values.remove(place.array);
        Ok(values)
    })
}

/// A value that does not borrow from the message that is changed.
enum Owned {
    Bytes(Box<[u8]>, bool),
    Plain(Value<'static>),
}

impl Owned {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Str(bytes) => Self::Bytes(bytes.into(), false),
            Value::Bytes(bytes) => Self::Bytes(bytes.into(), true),
            Value::Int(number) => Self::Plain(Value::Int(number)),
            Value::Double(number) => Self::Plain(Value::Double(number)),
            Value::Bool(flag) => Self::Plain(Value::Bool(flag)),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Bytes(bytes, false) => Value::Str(bytes),
            Self::Bytes(bytes, true) => Value::Bytes(bytes),
            Self::Plain(value) => *value,
        }
    }
}

/// Gives a field the values that `change` makes of it, in its place.
fn rewrite(
    record: &mut RecordBuilder<'_>,
    place: usize,
    representation: Option<&[u8]>,
    change: impl FnOnce(Field<'_>) -> Result<Vec<Owned>, String>,
) -> Result<(), String> {
    let (values, value_type, shown) = {
        let view = record.view();
        let record = view.record();
        let field = record.fields().nth(place).ok_or("there is no such field")?;
        let values: Vec<Owned> = change(field)?;
        let shown = representation.unwrap_or(field.representation()).to_vec();
        (values, field.value_type(), shown)
    };
    if let [value] = &*values {
        record.replace_field(place, &shown, value.value());
        return Ok(());
    }
    replace_all(record, place, &shown, value_type, &values)
}

/// Fields with several values are written anew behind the others, which then are too, so that the order stays.
fn replace_all(
    record: &mut RecordBuilder<'_>,
    place: usize,
    representation: &[u8],
    value_type: ValueType,
    values: &[Owned],
) -> Result<(), String> {
    let mut later = Vec::new();
    let name = {
        let view = record.view();
        let record = view.record();
        let mut fields = record.fields().skip(place);
        let name = fields.next().ok_or("there is no such field")?.name_id();
        for field in fields {
            let values: Vec<Owned> = field.values().map(Owned::of).collect();
            later.push((
                field.name_id(),
                field.representation().to_vec(),
                field.value_type(),
                values,
            ));
        }
        name
    };
    for _ in 0..=later.len() {
        record.remove_field(place);
    }
    let mut add = |name, representation: &[u8], value_type, values: &[Owned]| {
        record.empty_field(name, representation, value_type);
        let mut values = values.iter();
        values.try_for_each(|value| record.push_value(value.value())).map_err(|it| it.to_string())
    };
    add(name, representation, value_type, values)?;
    for (name, representation, value_type, values) in &later {
        add(*name, representation, *value_type, values)?;
    }
    Ok(())
}
