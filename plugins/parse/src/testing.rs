//! What the unit tests of the plugins share: bytes in, a readable message out.

use std::sync::Arc;

use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Record, Value, Variables};
use heka_plugin::{Decode, Decoder};

/// When the tests take place: 2014-05-07 22:11:40.
pub(crate) const NOW: i64 = 1_399_500_700_000_000_000;

/// What `decoder` makes of `data`, as [`shown`] shows it, or its error.
pub(crate) fn decoded(decoder: &mut impl Decoder, data: &[u8]) -> String {
    decoded_with(decoder, &NameRegistry::new(), data)
}

/// As [`decoded`], for a decoder that knows names.
pub(crate) fn decoded_with(
    decoder: &mut impl Decoder,
    names: &NameRegistry,
    data: &[u8],
) -> String {
    match batch_of(decoder, names, data) {
        Ok(batch) => shown(&batch.record(0).unwrap()),
        Err(error) => format!("error: {error}\n"),
    }
}

/// The batch with the one message that `decoder` makes of `data`.
pub(crate) fn batch_of(
    decoder: &mut impl Decoder,
    names: &NameRegistry,
    data: &[u8],
) -> Result<Batch, heka_plugin::DecodeError> {
    let raw = Buffer::from(data.to_vec());
    let mut builder =
        BatchBuilder::new(names.snapshot(), Arc::new(Envelope::default()), raw.clone(), NOW);
    let mut record = builder.record();
    record.payload(&raw[..]);
    let before = shown(&record.view().record());
    let decode = decoder.decode(&raw, &mut record);
    if decode.is_err() {
        assert_eq!(shown(&record.view().record()), before, "an error leaves the record as it was");
    }
    assert_eq!(decode?, Decode::Done);
    record.commit().unwrap();
    Ok(builder.finish())
}

/// A line for each header that is set, then one for each field, with what is not the default.
fn shown(record: &Record<'_>) -> String {
    let text = String::from_utf8_lossy;
    let mut out = String::new();
    if record.timestamp() != NOW {
        out.push_str(&format!("Timestamp {}\n", record.timestamp()));
    }
    if !record.uuid_bytes().is_empty() {
        out.push_str(&format!("Uuid {}\n", record.uuid().unwrap()));
    }
    for (name, value) in [
        ("Type", record.message_type()),
        ("Logger", record.logger()),
        ("Hostname", record.hostname()),
        ("EnvVersion", record.env_version()),
    ] {
        if !value.is_empty() {
            out.push_str(&format!("{name} {}\n", text(value)));
        }
    }
    if record.is_set(Variables::SEVERITY) {
        out.push_str(&format!("Severity {}\n", record.severity()));
    }
    if record.is_set(Variables::PID) {
        out.push_str(&format!("Pid {}\n", record.pid()));
    }
    if !record.payload().is_empty() {
        out.push_str(&format!("Payload {}\n", text(record.payload())));
    }
    for field in record.fields() {
        let values: Vec<String> = field
            .values()
            .map(|value| match value {
                Value::Str(bytes) | Value::Bytes(bytes) => text(bytes).into_owned(),
                Value::Int(number) => number.to_string(),
                Value::Double(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
            })
            .collect();
        out.push_str(&format!("{}={}", text(field.name()), values.join("|")));
        match field.value_type().name() {
            "string" => {}
            name => out.push_str(&format!(" {name}")),
        }
        if !field.representation().is_empty() {
            out.push_str(&format!(" ({})", text(field.representation())));
        }
        out.push('\n');
    }
    out
}

/// Where the real logs lie, unless this variable of the environment says otherwise.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// The bytes of a real log, if it is there.
pub(crate) fn real_log(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var("HEKA_TEST_DATA").unwrap_or_else(|_| DATA.to_owned());
    let path = std::path::Path::new(&folder).join(name);
    let log = std::fs::read(&path).ok();
    if log.is_none() {
        println!("skipped: there is no {}", path.display());
    }
    log
}

/// Lines without their ends.
pub(crate) fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    log.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}
