//! Messages that the daemon itself makes: `heka.terminated`, `heka.all-report`, `heka.memstat`.

use std::sync::Arc;

use heka_message::{BatchBuilder, Buffer, BuildError, Envelope, RecordBuilder, Value};
use heka_stream::SourceCounts;

use crate::report::{Handles, Report};
use crate::shared::Shared;

/// Appends the message that says that a plugin ended; it is not waited for.
pub(crate) fn announce(shared: &Shared, name: &str, type_name: &str, error: &str) {
    append(shared, "heka.terminated", |record| {
        let plugin = record.name_id(b"plugin");
        record.payload(format!("{name} (type {type_name}) terminated. Error: {error}"));
        record.field(plugin, Value::Str(name.as_bytes()));
    });
}

/// Appends the daemon's report and its memory figures; they are not waited for.
pub(crate) fn report(shared: &Shared, handles: &Handles) {
    let report = Report::of(handles).to_json();
    append(shared, "heka.all-report", |record| {
        record.payload(&report);
    });
    append(shared, "heka.memstat", |record| {
        let resident = resident_bytes();
        for (name, value) in [
            ("HeapSys", resident),
            ("HeapAlloc", resident),
            ("HeapIdle", 0),
            ("HeapInuse", resident),
            ("HeapReleased", 0),
        ] {
            let name = record.name_id(name.as_bytes());
            record.field_with(name, b"B", Value::Int(value));
        }
        let objects = record.name_id(b"HeapObjects");
        record.field_with(objects, b"count", Value::Int(0));
    });
}

/// Resident memory: Heka's figures were those of Go's heap, which is not there; this is the nearest.
fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn append(shared: &Shared, message_type: &str, fill: impl FnOnce(&mut RecordBuilder<'_>)) {
    let batch = match build(shared, message_type, fill) {
        Ok(batch) => batch,
        Err(error) => {
            tracing::error!(%error, message_type, "message not sent");
            return;
        }
    };
    let mut source = shared.stream.inject_source(Arc::new(SourceCounts::default()));
    tokio::spawn(async move {
        if let Err(error) = source.append(batch, 1).await {
            tracing::error!(%error, "message of the daemon not sent");
        }
    });
}

fn build(
    shared: &Shared,
    message_type: &str,
    fill: impl FnOnce(&mut RecordBuilder<'_>),
) -> Result<heka_message::Batch, BuildError> {
    let context = &shared.context;
    let envelope = Envelope::new("hekad")
        .message_type(message_type)
        .hostname(&context.hostname)
        .pid(context.pid);
    let now_ns = context.clock.now_ns();
    let names = context.names.snapshot();
    let mut builder = BatchBuilder::new(names, Arc::new(envelope), Buffer::empty(), now_ns);
    let mut record = builder.record();
    fill(&mut record);
    record.loops(1);
    record.commit()?;
    Ok(builder.finish())
}
