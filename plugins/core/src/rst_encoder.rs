//! Messages as text for people, in the form of reStructuredText lists.

use heka_datetime::write_go_utc;
use heka_message::{Field, Record, Value};
use heka_plugin::{
    Encode, EncodeBuffer, EncodeError, Encoder, FieldProblems, Plugin, PluginConfig, StartContext,
    StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Decimal exponents from which on doubles are written with an exponent.
const EXPONENT_MAX: i32 = 6;
/// Decimal exponents below which doubles are written with an exponent.
const EXPONENT_MIN: i32 = -4;

/// Writes all of a message as text for people; has no options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RstEncoderConfig {}

impl PluginConfig for RstEncoderConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for RstEncoder {
    const NAME: &'static str = "RstEncoder";
    const PAGE: &'static str = include_str!("rst_encoder.md");
    type Config = RstEncoderConfig;

    fn start(_: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self)
    }
}

/// See [`RstEncoderConfig`].
#[derive(Debug, Clone, Copy)]
pub struct RstEncoder;

impl Encoder for RstEncoder {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        let out = out.bytes();
        write_headers(record, out);
        if record.field_count() > 0 {
            out.extend_from_slice(b":Fields:\n");
        }
        for field in record.fields() {
            write_field(&field, out);
        }
        out.push(b'\n');
        Ok(Encode::Done)
    }
}

fn write_headers(record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n:Timestamp: ");
    write_go_utc(record.timestamp(), out);
    out.push(b'\n');
    let uuid = record.uuid().map(|uuid| uuid.text());
    let (pid, severity) = (record.pid().to_string(), record.severity().to_string());
    for (name, value) in [
        ("Type", record.message_type()),
        ("Hostname", record.hostname()),
        ("Pid", pid.as_bytes()),
        ("Uuid", uuid.as_ref().map_or(&[][..], |text| text)),
        ("Logger", record.logger()),
        ("Payload", record.payload()),
        ("EnvVersion", record.env_version()),
        ("Severity", severity.as_bytes()),
    ] {
        out.push(b':');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.push(b'\n');
    }
}

fn write_field(field: &Field<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"    | name:\"");
    out.extend_from_slice(field.name());
    out.extend_from_slice(b"\" type:");
    out.extend_from_slice(field.value_type().name().as_bytes());
    out.extend_from_slice(b" value:");
    let list = field.len() != 1;
    if list {
        out.push(b'[');
    }
    for (index, value) in field.values().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(value, out);
    }
    if list {
        out.push(b']');
    }
    if !field.representation().is_empty() {
        out.extend_from_slice(b" representation:\"");
        out.extend_from_slice(field.representation());
        out.push(b'"');
    }
    out.push(b'\n');
}

fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Str(text) => {
            out.push(b'"');
            out.extend_from_slice(text);
            out.push(b'"');
        }
        Value::Bytes(bytes) => write_base64(bytes, out),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Double(number) => write_double(number, out),
        Value::Bool(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
    }
}

/// The shortest digits that read back as the same number; with an exponent if that is large or small.
fn write_double(number: f64, out: &mut Vec<u8>) {
    if !number.is_finite() {
        let text: &[u8] = match number {
            number if number.is_nan() => b"NaN",
            number if number > 0.0 => b"+Inf",
            _ => b"-Inf",
        };
        out.extend_from_slice(text);
        return;
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let text = if number == 0.0 || (EXPONENT_MIN..EXPONENT_MAX).contains(&exponent) {
        number.to_string()
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
    };
    out.extend_from_slice(text.as_bytes());
}

/// Base64 of RFC 4648 with padding.
fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            out.push(if digit > chunk.len() as u32 { b'=' } else { DIGITS[value as usize] });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Encoding;
    use heka_message::{Uuid, ValueType};

    const TEXT: &str = "
:Timestamp: 1971-10-07 23:47:00 +0000 UTC
:Type: t
:Hostname: h
:Pid: 1
:Uuid: 72de6a05-1b99-4a88-84c2-90797624c68f
:Logger: l
:Payload: p
:EnvVersion: 
:Severity: 7
:Fields:
    | name:\"n\" type:integer value:[23,24] representation:\"count\"
    | name:\"s\" type:string value:\"x\"
    | name:\"b\" type:bytes value:bWU=

";

    #[test]
    fn a_message_is_written_as_heka_writes_it() {
        let bytes = Encoding::of::<RstEncoder>("").encode(|record| {
            let uuid = Uuid::parse(b"72de6a05-1b99-4a88-84c2-90797624c68f").unwrap();
            record.uuid(&uuid.0).timestamp(55_727_220_000_000_000).message_type("t");
            record.hostname("h").pid(1).logger("l").payload("p");
            let names = [&b"n"[..], b"s", b"b"].map(|name| record.name_id(name));
            record.field_with(names[0], b"count", Value::Int(23));
            record.push_value(Value::Int(24)).unwrap();
            record.field(names[1], Value::Str(b"x")).field(names[2], Value::Bytes(b"me"));
        });
        assert_eq!(String::from_utf8(bytes).unwrap(), TEXT);
    }

    #[test]
    fn without_fields_there_is_no_list_and_without_values_an_empty_one() {
        let bytes = Encoding::of::<RstEncoder>("").encode(|record| {
            record.detach().uuid(b"odd").timestamp(1_500_000_000);
        });
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("\n:Timestamp: 1970-01-01 00:00:01.5 +0000 UTC\n:Type: \n"));
        assert!(text.contains("\n:Uuid: \n") && text.ends_with(":Severity: 7\n\n"));
        let bytes = Encoding::of::<RstEncoder>("").encode(|record| {
            let name = record.name_id(b"e");
            record.empty_field(name, b"", ValueType::Bool).field(name, Value::Bool(true));
        });
        let text = String::from_utf8(bytes).unwrap();
        let end = "    | name:\"e\" type:bool value:[]\n    | name:\"e\" type:bool value:true\n\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn doubles_are_as_short_as_they_can_be() {
        for (number, text) in [
            (82.0, "82"),
            (-0.5, "-0.5"),
            (123_456.5, "123456.5"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (0.0, "0"),
            (1e300, "1e+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            let mut out = Vec::new();
            write_double(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            let mut out = Vec::new();
            write_base64(bytes.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
