//! The message that says that a plugin ended (`heka.terminated`).

use std::sync::Arc;

use heka_message::{BatchBuilder, Buffer, Envelope, Value};
use heka_stream::SourceCounts;

use crate::shared::Shared;

/// Appends the message; it is not waited for.
pub(crate) fn announce(shared: &Shared, name: &str, type_name: &str, error: &str) {
    let context = &shared.context;
    let envelope = Envelope::new("hekad")
        .message_type("heka.terminated")
        .hostname(&context.hostname)
        .pid(context.pid);
    let now_ns = context.clock.now_ns();
    let names = context.names.snapshot();
    let mut builder = BatchBuilder::new(names, Arc::new(envelope), Buffer::empty(), now_ns);
    let mut record = builder.record();
    let plugin = record.name_id(b"plugin");
    record.payload(format!("{name} (type {type_name}) terminated. Error: {error}"));
    record.field(plugin, Value::Str(name.as_bytes())).loops(1);
    if let Err(error) = record.commit() {
        tracing::error!(%error, "heka.terminated not sent");
        return;
    }
    let mut source = shared.stream.inject_source(Arc::new(SourceCounts::default()));
    tokio::spawn(async move {
        if let Err(error) = source.append(builder.finish(), 1).await {
            tracing::error!(%error, "heka.terminated not sent");
        }
    });
}
