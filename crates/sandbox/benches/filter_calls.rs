//! How many messages can a filter look at?
//!
//! Prints calls of `process_message` per second, nanoseconds, instructions and allocations per call, the best of some
//! rounds over a batch of messages with fields. Calls that
//! allocate are a little faster in the daemon, whose allocator is another one and does not count.

use std::alloc::System;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Value};
use heka_sandbox::{Exchange, Injected, Kind, Outcome, Refusal, Sandbox, Script, Settings};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rounds; the best counts.
const ROUNDS: usize = 60;
/// Messages of a batch.
const MESSAGES: u32 = 10_000;
/// 2014-05-07 22:12:00.
const START_NS: i64 = 1_399_500_720_000_000_000;

/// What is measured: a name and a script.
const CASES: [(&str, &str); 8] = [
    ("return 0", "function process_message() return 0 end"),
    (
        "three numbers read, one add",
        "require 'circular_buffer'
         local cb = circular_buffer.new(1440, 3, 60)
         function process_message()
           local ns = read_message('Timestamp')
           local status = read_message('Fields[status]')
           local time = read_message('Fields[request_time]')
           cb:add(ns, 1, time)
           return 0
         end",
    ),
    (
        "the same, functions in locals",
        "require 'circular_buffer'
         local cb = circular_buffer.new(1440, 3, 60)
         local read_message, add = read_message, cb.add
         function process_message()
           local ns = read_message('Timestamp')
           local status = read_message('Fields[status]')
           local time = read_message('Fields[request_time]')
           add(cb, ns, 1, time)
           return 0
         end",
    ),
    (
        "ten adds",
        "require 'circular_buffer'
         local cb = circular_buffer.new(1440, 3, 60, true)
         function process_message()
           local ns = 1399500720e9
           cb:add(ns, 1, 1) cb:add(ns, 1, 1) cb:add(ns, 1, 1) cb:add(ns, 1, 1) cb:add(ns, 1, 1)
           cb:add(ns, 1, 1) cb:add(ns, 1, 1) cb:add(ns, 1, 1) cb:add(ns, 1, 1) cb:add(ns, 1, 1)
           return 0
         end",
    ),
    (
        "three texts read",
        "function process_message()
           local host = read_message('Hostname')
           local verb = read_message('Fields[method]')
           local path = read_message('Fields[path]')
           return 0
         end",
    ),
    (
        "http_status",
        "require 'circular_buffer'
         local cb = circular_buffer.new(1440, 6, 60)
         function process_message()
           local ts = read_message('Timestamp')
           local sc = read_message('Fields[status]')
           if type(sc) ~= 'number' then return -1 end
           local col = sc / 100
           if col >= 1 and col < 6 then cb:add(ts, col, 1) else cb:add(ts, 6, 1) end
           return 0
         end",
    ),
    (
        "JSON of 380 bytes decoded",
        r#"require 'cjson'
         local text = '{"timestamp":1399500720.25,"host":"web1.example.com","level":6,"message":"GET /page/17 HTTP/1.1 took longer than usual","tags":["web","access","slow"],"request":{"method":"GET","path":"/page/17","status":200,"bytes":4123,"time":0.217,"referer":"http://www.example.com/\\"start\\"","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0"},"ok":true,"user":null}'
         local decode = cjson.decode
         function process_message() local t = decode(text) return 0 end"#,
    ),
    (
        "and encoded",
        r#"require 'cjson'
         local t = cjson.decode('{"timestamp":1399500720.25,"host":"web1.example.com","level":6,"message":"GET /page/17 HTTP/1.1 took longer than usual","tags":["web","access","slow"],"request":{"method":"GET","path":"/page/17","status":200,"bytes":4123,"time":0.217,"referer":"http://www.example.com/\\"start\\"","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0"},"ok":true,"user":null}')
         local encode = cjson.encode
         function process_message() local s = encode(t) return 0 end"#,
    ),
];

struct Nothing;

impl Exchange for Nothing {
    fn inject(&mut self, _: Injected<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

fn failed(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

fn batch() -> io::Result<Batch> {
    let registry = NameRegistry::new();
    let names = ["remote_addr", "method", "path", "status", "bytes", "request_time"]
        .map(|name| registry.intern(name.as_bytes()));
    let envelope = Arc::new(Envelope::new("access").hostname("web1"));
    let mut builder = BatchBuilder::new(registry.snapshot(), envelope, Buffer::empty(), START_NS);
    for index in 0..MESSAGES {
        let path = format!("/page/{}", index % 1000);
        let mut record = builder.record();
        record.timestamp(START_NS + i64::from(index) * 1_000_000).payload("a line of a log");
        record.field(names[0], Value::Str(b"10.1.2.3"));
        record.field(names[1], Value::Str(b"GET"));
        record.field(names[2], Value::Str(path.as_bytes()));
        record.field(names[3], Value::Double(f64::from(200 + index % 3 * 100)));
        record.field(names[4], Value::Int(i64::from(index) * 7));
        record.field(names[5], Value::Double(f64::from(index % 97) / 1000.0));
        record.commit().map_err(failed)?;
    }
    Ok(builder.finish())
}

fn round(sandbox: &mut Sandbox, batch: &Batch) -> io::Result<()> {
    for record in batch.records() {
        match sandbox.process_message(Some(&record), &mut Nothing) {
            Ok(Outcome::Done) => {}
            other => return Err(failed(other)),
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let only = std::env::args().nth(1).filter(|it| !it.starts_with('-'));
    let batch = batch()?;
    for (name, source) in CASES {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let script = Script { name: "f.lua".to_owned(), source: source.as_bytes().into() };
        let settings = Settings::new(Kind::Filter, "f");
        let mut sandbox = Sandbox::start(&settings, &script, None, &mut Nothing).map_err(failed)?;
        round(&mut sandbox, &batch)?;
        let region = Region::new(ALLOCATOR);
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            round(&mut sandbox, &batch)?;
            best = best.min(begun.elapsed().as_secs_f64());
        }
        let change = region.change();
        let calls = f64::from(MESSAGES);
        let allocations = (change.allocations + change.reallocations) as f64;
        writeln!(
            out,
            "{name:<30} {:>10.0} calls/s {:>7.1} ns {:>4} instructions {:>6.3} allocations",
            calls / best,
            best / calls * 1e9,
            sandbox.usage().instructions,
            allocations / calls / ROUNDS as f64,
        )?;
    }
    Ok(())
}
