//! What does it cost to parse a real log line into a message, and to write such a message as JSON?
//!
//! Prints nanoseconds per record, records per second and bytes per second for each plugin, the best of some rounds.
//! The logs lie where `HEKA_TEST_DATA` says, or where the unit tests look for them.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry};
use heka_plugin::Decoder;
use heka_plugin_parse::{
    AccessLogDecoder, AccessLogDecoderConfig, JsonDecoder, JsonDecoderConfig, JsonEncoder,
    JsonEncoderConfig, JsonLayout, LogfmtDecoder, LogfmtDecoderConfig, SyslogDecoder,
    SyslogDecoderConfig,
};

/// Records of a batch.
const BATCH_RECORDS: usize = 256;
/// How often everything is done; the best counts.
const ROUNDS: usize = 30;
/// 2014-05-07 22:12:24.
const NOW: i64 = 1_399_500_744_000_000_000;
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// Lines in buffers, as an input has them.
struct Load {
    buffers: Vec<(Buffer, Vec<(usize, usize)>)>,
    records: usize,
    bytes: usize,
}

impl Load {
    fn new(lines: &[Vec<u8>]) -> Self {
        let mut buffers = Vec::new();
        for chunk in lines.chunks(BATCH_RECORDS) {
            let mut bytes = Vec::new();
            let mut places = Vec::new();
            for line in chunk {
                places.push((bytes.len(), bytes.len() + line.len()));
                bytes.extend_from_slice(line);
                bytes.push(b'\n');
            }
            buffers.push((Buffer::from(bytes), places));
        }
        let bytes = lines.iter().map(|line| line.len() + 1).sum();
        Self { buffers, records: lines.len(), bytes }
    }
}

fn decode_all(
    decoder: &mut dyn Decoder,
    names: &NameRegistry,
    load: &Load,
    mut each: impl FnMut(Batch),
) {
    let envelope = Arc::new(Envelope::new("bench"));
    let mut sizes = (0, 0, 0);
    for (buffer, places) in &load.buffers {
        let mut builder =
            BatchBuilder::new(names.snapshot(), Arc::clone(&envelope), buffer.clone(), NOW);
        builder.reserve(sizes.0, sizes.1, sizes.2);
        for &(start, end) in places {
            let line = &buffer[start..end];
            let mut record = builder.record();
            record.payload(line);
            if decoder.decode(line, &mut record).is_ok() {
                record.commit().expect("a batch of some lines fits");
            }
        }
        sizes = builder.sizes();
        each(builder.finish());
    }
}

fn report(out: &mut impl Write, name: &str, load: &Load, best: Duration) -> io::Result<()> {
    let seconds = best.as_secs_f64();
    let each = seconds * 1e9 / load.records as f64;
    let rate = load.records as f64 / seconds / 1e6;
    let bytes = load.bytes as f64 / seconds / 1e6;
    writeln!(out, "{name:<24} {each:8.0} ns/record {rate:8.2} M records/s {bytes:8.0} MB/s")
}

fn bench_decoder(
    out: &mut impl Write,
    name: &str,
    decoder: &mut dyn Decoder,
    names: &NameRegistry,
    lines: &[Vec<u8>],
) -> io::Result<()> {
    let load = Load::new(lines);
    let mut best = Duration::MAX;
    let mut decoded = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        decoded = 0;
        decode_all(decoder, names, &load, |batch| decoded += std::hint::black_box(batch).len());
        best = best.min(begun.elapsed());
    }
    report(out, name, &load, best)?;
    if decoded < load.records {
        writeln!(out, "  {} of {} records were refused", load.records - decoded, load.records)?;
    }
    Ok(())
}

fn bench_encoder(
    out: &mut impl Write,
    name: &str,
    encoder: &mut JsonEncoder,
    batches: &[Batch],
    load: &Load,
) -> io::Result<()> {
    let mut best = Duration::MAX;
    let mut written = Vec::new();
    for _ in 0..ROUNDS {
        written.clear();
        let begun = Instant::now();
        for record in batches.iter().flat_map(Batch::records) {
            encoder.write(&record, &mut written);
        }
        best = best.min(begun.elapsed());
        std::hint::black_box(&written);
    }
    report(out, name, load, best)
}

fn lines_of(name: &str) -> Option<Vec<Vec<u8>>> {
    let folder = std::env::var("HEKA_TEST_DATA").unwrap_or_else(|_| DATA.to_owned());
    let log = std::fs::read(Path::new(&folder).join(name)).ok()?;
    let lines = log.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    Some(lines.map(<[u8]>::to_vec).collect())
}

fn bench_access(out: &mut impl Write) -> io::Result<()> {
    let Some(lines) = lines_of("access_combined.log") else {
        return writeln!(out, "skipped: there is no access_combined.log");
    };
    let names = NameRegistry::new();
    let mut config = AccessLogDecoderConfig::default();
    let mut decoder = AccessLogDecoder::compile(&config, &names).expect("combined compiles");
    bench_decoder(out, "access combined", &mut decoder, &names, &lines)?;
    let load = Load::new(&lines);
    let mut batches = Vec::new();
    decode_all(&mut decoder, &names, &load, |batch| batches.push(batch));

    config.user_agent_transform = true;
    let mut decoder = AccessLogDecoder::compile(&config, &names).expect("combined compiles");
    bench_decoder(out, "access with user agents", &mut decoder, &names, &lines)?;

    let mut written = Vec::new();
    for (name, layout) in
        [("json encode", JsonLayout::Nested), ("json encode flat", JsonLayout::Flat)]
    {
        let config = JsonEncoderConfig { layout, ..JsonEncoderConfig::default() };
        let mut encoder = JsonEncoder::compile(&config, &names).expect("the members are known");
        bench_encoder(out, name, &mut encoder, &batches, &load)?;
        written.clear();
        for record in batches.iter().flat_map(Batch::records) {
            encoder.write(&record, &mut written);
        }
    }
    let objects: Vec<Vec<u8>> = written
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let mut decoder =
        JsonDecoder::compile(&JsonDecoderConfig::default()).expect("defaults compile");
    bench_decoder(out, "json decode", &mut decoder, &names, &objects)
}

fn bench_syslog(out: &mut impl Write) -> io::Result<()> {
    let names = NameRegistry::new();
    let config = SyslogDecoderConfig::default();
    let mut decoder = SyslogDecoder::compile(&config, &names).expect("defaults compile");
    for name in ["linux_2k.log", "openssh_2k.log"] {
        let Some(lines) = lines_of(name) else {
            writeln!(out, "skipped: there is no {name}")?;
            continue;
        };
        bench_decoder(out, &format!("syslog {name}"), &mut decoder, &names, &lines)?;
        let modern: Vec<Vec<u8>> = lines
            .iter()
            .enumerate()
            .map(|(index, line)| {
                let head = format!(
                    "<34>1 2014-05-07T22:12:{:02}.003Z host su {index} ID47 [a@1 b=\"c\"] ",
                    index % 60
                );
                [head.as_bytes(), &line[line.len().min(30)..]].concat()
            })
            .collect();
        bench_decoder(out, "  as RFC 5424", &mut decoder, &names, &modern)?;
    }
    Ok(())
}

fn bench_logfmt(out: &mut impl Write) -> io::Result<()> {
    let names = NameRegistry::new();
    let mut decoder =
        LogfmtDecoder::compile(&LogfmtDecoderConfig::default()).expect("defaults compile");
    let lines: Vec<Vec<u8>> = (0..2_000)
        .map(|index| {
            format!(
                "time=\"2015-03-26T01:27:{:02}-04:00\" level=info msg=\"request served\" method=GET path=/api/{index} status=200 duration=0.{index} user=\"Jane \\\"J\\\" Doe\" cached",
                index % 60
            )
            .into_bytes()
        })
        .collect();
    bench_decoder(out, "logfmt", &mut decoder, &names, &lines)
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    bench_access(&mut out)?;
    bench_syslog(&mut out)?;
    bench_logfmt(&mut out)
}
