//! How long does one message take through the codec, and how many frames a second are found in a stream?
//!
//! One message of about 500 bytes with eight fields, a third of them known to the configuration, in batches of
//! 128. Prints ns per message or frame, the best of several rounds.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use heka_message::{
    Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Value, ValueType, Variables,
};
use heka_wire::{
    FrameScanner, MESSAGE_BYTES_MAX_DEFAULT, MessageDecoder, encode_message, write_frame_header,
};

const BATCH: usize = 128;
const ROUNDS: usize = 500;
const BATCHES_PER_ROUND: usize = 10;

fn sample() -> Batch {
    let names = NameRegistry::new().snapshot();
    let envelope = Arc::new(Envelope::new("bench"));
    let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), 0);
    let mut record = builder.record();
    record.uuid(&[7; 16]).timestamp(1_416_840_893_000_000_000).message_type("nginx.access");
    record.logger("web").severity(6).hostname("host.example.com").pid(4321).payload([b'p'; 180]);
    let texts = [
        ("remote_addr", "192.168.100.200"),
        ("request", "GET /some/path/to/a/resource?query=parameter HTTP/1.1"),
        ("http_user_agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("http_referer", "https://example.com/index.html"),
    ];
    for (name, text) in texts {
        let name = record.name_id(name.as_bytes());
        record.field(name, text.into());
    }
    for (name, value) in [("status", Value::Int(200)), ("request_time", Value::Double(0.125))] {
        let name = record.name_id(name.as_bytes());
        record.field_with(name, b"s", value);
    }
    let name = record.name_id(b"cached");
    record.field(name, Value::Bool(true));
    let name = record.name_id(b"bytes");
    record.empty_field(name, b"B", ValueType::Integer);
    for value in [1_000, 20_000, 300_000] {
        record.push_value(Value::Int(value)).expect("an integer");
    }
    record.commit().expect("a record");
    builder.finish()
}

/// The best time of a round, in ns per item.
fn measure(items: usize, mut round: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_nanos() as f64 / items as f64);
    }
    best
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let batch = sample();
    let record = batch.record(0).expect("one record");
    let mut message = Vec::new();
    encode_message(&record, &mut message);
    writeln!(out, "message of {} bytes, {} fields", message.len(), record.field_count())?;

    let mut stream = Vec::new();
    for _ in 0..BATCH {
        write_frame_header(&message, None, MESSAGE_BYTES_MAX_DEFAULT, &mut stream)
            .expect("a short message");
        stream.extend_from_slice(&message);
    }
    let raw = Buffer::from(stream.clone());
    let registry = NameRegistry::new();
    for name in [&b"status"[..], b"request_time", b"cached"] {
        registry.intern(name);
    }
    let names = registry.snapshot();
    let envelope = Arc::new(Envelope::new("bench"));
    let messages = BATCH * BATCHES_PER_ROUND;

    let mut decoder = MessageDecoder::new();
    let decode = measure(messages, || {
        for _ in 0..BATCHES_PER_ROUND {
            let mut scanner = FrameScanner::unauthenticated(MESSAGE_BYTES_MAX_DEFAULT);
            let mut builder =
                BatchBuilder::new(Arc::clone(&names), Arc::clone(&envelope), raw.clone(), 0);
            builder.reserve(BATCH, BATCH * 8, 64);
            let mut at = 0;
            while let Some(frame) = {
                let scan = scanner.scan(&raw[at..], false);
                at += scan.consumed;
                scan.frame
            } {
                let mut record = builder.record();
                decoder.decode(frame.body, &mut record).expect("a good message");
                record.commit().expect("room");
            }
            black_box(builder.finish());
        }
    });
    writeln!(out, "scan and decode  {decode:8.1} ns per message")?;

    let mut scanner = FrameScanner::unauthenticated(MESSAGE_BYTES_MAX_DEFAULT);
    let scan = measure(messages, || {
        for _ in 0..BATCHES_PER_ROUND {
            let mut at = 0;
            while at < stream.len() {
                at += black_box(scanner.scan(&stream[at..], false)).consumed;
            }
        }
    });
    writeln!(out, "scan             {scan:8.1} ns per frame, {:.1} M frames/s", 1e3 / scan)?;

    assert!(record.is_set(Variables::UUID) && record.wire().is_none());
    let mut encoded = Vec::with_capacity(1 << 20);
    let encode = measure(messages, || {
        for _ in 0..BATCHES_PER_ROUND {
            encoded.clear();
            for _ in 0..BATCH {
                encode_message(black_box(&record), &mut encoded);
            }
        }
    });
    writeln!(out, "encode           {encode:8.1} ns per message")
}
