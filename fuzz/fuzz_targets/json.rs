//! JSON objects: what another reader accepts, ours accepts, with the same texts and numbers in it.

#![no_main]

use heka_fuzz::{choice, decode};
use heka_message::{NameRegistry, Record, Value};
use heka_plugin_parse::{JsonDecoder, JsonDecoderConfig, JsonHeaderNames, JsonNumbers};
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

const STAMPS: [&str; 4] = ["RFC3339", "", "Epoch", "%d/%b/%Y:%H:%M:%S %z"];

fn config(kind: u8) -> JsonDecoderConfig {
    let plain = JsonDecoderConfig {
        numbers: if kind & 1 == 0 { JsonNumbers::Double } else { JsonNumbers::Native },
        maximum_depth: u32::from(kind >> 1 & 3),
        payload_keep: kind & 8 != 0,
        ..JsonDecoderConfig::default()
    };
    if kind & 0x10 == 0 {
        return plain;
    }
    let headers = JsonHeaderNames {
        timestamp: "t".to_owned(),
        uuid: "u".to_owned(),
        r#type: "a.b".to_owned(),
        logger: "l".to_owned(),
        severity: "s".to_owned(),
        payload: "m".to_owned(),
        env_version: "e".to_owned(),
        pid: "p".to_owned(),
        hostname: "h".to_owned(),
    };
    let timestamp_format = STAMPS[usize::from(kind >> 5 & 3)].to_owned();
    JsonDecoderConfig { field_mappings: headers, timestamp_format, ..plain }
}

/// True if some field of this name holds the value.
fn holds(record: &Record<'_>, name: &str, value: &Json) -> bool {
    let named = |field: &heka_message::Field<'_>| field.name() == name.as_bytes();
    record.fields().filter(named).filter_map(|field| field.first()).any(|found| {
        match (value, found) {
            (Json::String(text), Value::Str(found)) => text.as_bytes() == found,
            (Json::Bool(flag), Value::Bool(found)) => *flag == found,
            (Json::Number(number), Value::Double(found)) => number.as_f64() == Some(found),
            // Minus zero is an integer as it is written.
            (Json::Number(number), Value::Int(0)) => number.as_f64() == Some(0.0),
            (Json::Number(number), Value::Int(found)) => number.as_i64() == Some(found),
            _ => false,
        }
    })
}

fuzz_target!(|data: &[u8]| {
    let (kind, data) = choice(data);
    let names = NameRegistry::new();
    let mut decoder = JsonDecoder::compile(&config(kind)).expect("valid");
    let first = decode(&mut decoder, &names, data).map_err(|error| error.to_string());
    let second = decode(&mut decoder, &names, data).map_err(|error| error.to_string());
    heka_fuzz::assert_same_outcome(&first, &second);

    let Ok(Json::Object(members)) = serde_json::from_slice(data) else { return };
    let batch = match first {
        Ok(batch) => batch,
        Err(error) => return assert_eq!(error, "failed to decode timestamp"),
    };
    if kind & 0x10 != 0 {
        return;
    }
    let record = batch.record(0).expect("one record");
    for (name, value) in &members {
        let is_scalar = value.is_string() || value.is_boolean() || value.is_number();
        assert!(!is_scalar || holds(&record, name, value), "{name:?} is not {value} in {record:?}");
    }
});
