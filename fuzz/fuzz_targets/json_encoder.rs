//! JSON encoder: each record is one line that another reader accepts, with the same values in it.

#![no_main]

use std::collections::HashMap;

use heka_fuzz::builder;
use heka_message::{NameRegistry, RecordBuilder, Value, ValueType};
use heka_plugin_parse::{JsonEncoder, JsonEncoderConfig, JsonLayout};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

const STAMPS: [&str; 3] = ["", "%Y-%m-%d \"%H\\%M", "%s"];
/// More fields in one record show nothing new.
const FIELDS_MAX: usize = 16;

fn text<'a>(input: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let length = usize::from(input.arbitrary::<u8>()? & 0x1f);
    input.bytes(length.min(input.len()))
}

fn value<'a>(value_type: u8, input: &mut Unstructured<'a>) -> Result<Value<'a>> {
    Ok(match value_type {
        0 => Value::Str(text(input)?),
        1 => Value::Bytes(text(input)?),
        2 => Value::Int(input.arbitrary()?),
        3 => Value::Double(input.arbitrary()?),
        _ => Value::Bool(input.arbitrary()?),
    })
}

/// Fills a record until the input ends.
fn fill(record: &mut RecordBuilder<'_>, input: &mut Unstructured<'_>) -> Result<()> {
    for _ in 0..FIELDS_MAX {
        match input.arbitrary::<u8>()? % 16 {
            0 => record.uuid(text(input)?),
            1 => record.timestamp(input.arbitrary()?),
            2 => record.message_type(text(input)?),
            3 => record.logger(text(input)?),
            4 => record.severity(input.arbitrary()?),
            5 => record.payload(text(input)?),
            6 => record.env_version(text(input)?),
            7 => record.pid(input.arbitrary()?),
            8 => record.hostname(text(input)?),
            9 => record.detach(),
            10 => {
                let name = record.name_id(text(input)?);
                record.empty_field(name, text(input)?, ValueType::Double);
                for _ in 0..input.arbitrary::<u8>()? % 4 {
                    let value = Value::Double(input.arbitrary()?);
                    record.push_value(value).expect("of the field's type");
                }
                continue;
            }
            _ => {
                let name = record.name_id(text(input)?);
                let value_type = input.arbitrary::<u8>()? % 5;
                record.field_with(name, b"", value(value_type, input)?)
            }
        };
    }
    Ok(())
}

fn same(value: Value<'_>, json: &Json) -> bool {
    match value {
        Value::Str(text) => json.as_str() == Some(&*String::from_utf8_lossy(text)),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json.as_str() == Some(text),
            Err(_) => json.is_string(),
        },
        Value::Int(number) => json.as_i64() == Some(number),
        Value::Double(number) if number.is_finite() => json.as_f64() == Some(number),
        Value::Double(_) => json.is_null(),
        Value::Bool(flag) => json.as_bool() == Some(flag),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Unstructured::new(data);
    let kind: u8 = input.arbitrary().unwrap_or_default();
    let names = NameRegistry::new();
    for name in ["a", "Type", "Fields.Type", "\"\u{e9}"] {
        names.intern(name.as_bytes());
    }
    let nested = kind & 1 == 0;
    let config = JsonEncoderConfig {
        layout: if nested { JsonLayout::Nested } else { JsonLayout::Flat },
        timestamp: STAMPS[usize::from(kind >> 1) % STAMPS.len()].to_owned(),
        ..JsonEncoderConfig::default()
    };
    let mut encoder = JsonEncoder::compile(&config, &names).expect("valid");
    let mut builder = builder(&names, &[]);
    for _ in 0..2 {
        let mut record = builder.record();
        // The input may end in the middle of a record; that is as good as any.
        fill(&mut record, &mut input).ok();
        record.commit().expect("a small record fits");
    }
    let batch = builder.finish();
    for record in batch.records() {
        let mut out = b"before".to_vec();
        encoder.write(&record, &mut out);
        let line = out.strip_prefix(b"before").expect("what was there stays");
        assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1), "one line");
        let object: serde_json::Map<String, Json> = match serde_json::from_slice(line) {
            Ok(object) => object,
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(line)),
        };
        let shown = String::from_utf8_lossy(line);
        if nested && !record.payload().is_empty() {
            assert!(same(Value::Str(record.payload()), &object["Payload"]), "{shown}");
        }
        if nested && !record.hostname().is_empty() {
            assert!(same(Value::Str(record.hostname()), &object["Hostname"]), "{shown}");
        }
        let fields = if nested { object.get("Fields").and_then(Json::as_object) } else { None };
        let Some(fields) = fields else { continue };
        let mut counts: HashMap<String, usize> = HashMap::new();
        let lossy =
            |field: &heka_message::Field<'_>| String::from_utf8_lossy(field.name()).into_owned();
        record.fields().for_each(|field| *counts.entry(lossy(&field)).or_default() += 1);
        for field in record.fields().filter(|field| counts[&lossy(field)] == 1) {
            let json = &fields[&lossy(&field)];
            match field.len() {
                0 => assert!(json.is_null(), "{shown}"),
                1 => assert!(field.first().is_some_and(|value| same(value, json)), "{shown}"),
                _ => {
                    let list = json.as_array().expect("several values are an array");
                    assert_eq!(list.len(), field.len());
                    let mut pairs = field.values().zip(list);
                    assert!(pairs.all(|(value, json)| same(value, json)), "{shown}");
                }
            }
        }
    }
});
