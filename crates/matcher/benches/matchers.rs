//! Does the cost of matching grow with the number of matchers?
//!
//! Evaluates sets of 10, 100 and 1,000 matchers over one batch of access-log messages and prints nanoseconds per
//! record and the ratio to the set of 10, for each kind of matcher and for all kinds mixed. The last column is the
//! cost of testing each matcher on each message directly.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heka_matcher::{Evaluation, Matcher, MatcherSet};
use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Value};

const RECORDS: usize = 512;
const SIZES: [usize; 3] = [10, 100, 1000];
/// Time spent on each measurement, after a warm-up of a tenth of it.
const MEASURE: Duration = Duration::from_millis(300);

/// A kind of matcher: its name, and the n-th matcher of it.
type Kind = (&'static str, fn(usize) -> String);

const KINDS: &[Kind] = &[
    ("type and status", |n| format!("Type == 'x{n}' && Fields[status] == 503")),
    ("one of two loggers", |n| format!("Logger == 'svc-{n}' || Logger == 'job-{n}'")),
    ("path prefix", |n| format!(r"Fields[url] =~ /^\/api\/v{n}\//")),
    ("severity and host", |n| format!("Severity <= 3 && Hostname =~ /web-{n}$/")),
    ("pattern with literal", |n| format!(r"Fields[url] =~ /\/item{n}\/[0-9]+/")),
    ("text in payload", |n| format!("Payload =~ /user-{n}@/")),
    ("threshold", |n| format!("Fields[request_time] > {n}0.5 && Fields[status] >= 500")),
    ("other type and missing field", |n| format!("Type != 'x{n}' && Fields[absent{n}] != 'y'")),
    ("pattern without literal", |n| format!("Fields[method] =~ /^[A-Z]{{{}}}$/", n % 1000)),
];

/// The kinds that the design goal names.
const GOAL_KINDS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{RECORDS} records a batch; ns/record")?;
    writeln!(out, "{:<32}{:>10}{:>10}{:>10}{:>8}{:>10}", "kind", 10, 100, 1000, "ratio", "direct")?;
    for shared in [true, false] {
        writeln!(out, "headers {}:", if shared { "in the envelope" } else { "in each record" })?;
        measure_kind(&mut out, "mixed", shared, |n| (KINDS[n % GOAL_KINDS].1)(n))?;
        for (name, kind) in KINDS {
            measure_kind(&mut out, name, shared, kind)?;
        }
    }
    Ok(())
}

fn measure_kind(
    out: &mut impl Write,
    name: &str,
    shared: bool,
    kind: impl Fn(usize) -> String,
) -> Result<(), Box<dyn Error>> {
    let mut costs = Vec::new();
    for size in SIZES {
        let expressions: Vec<String> = (0..size).map(&kind).collect();
        costs.push(measure(&expressions, shared)?);
    }
    let direct = measure_direct(&(0..1000).map(&kind).collect::<Vec<_>>(), shared)?;
    let ratio = costs[2] / costs[0];
    writeln!(
        out,
        "  {name:<30}{:>10.1}{:>10.1}{:>10.1}{ratio:>8.2}{direct:>10.0}",
        costs[0], costs[1], costs[2]
    )?;
    Ok(())
}

fn measure(expressions: &[String], shared: bool) -> Result<f64, Box<dyn Error>> {
    let registry = NameRegistry::new();
    let set = MatcherSet::compile(&parse(expressions)?, &registry)?;
    let batch = batch(&registry, shared)?;
    let mut evaluation = Evaluation::new();
    let cost = time(|| {
        set.evaluate(&batch, &mut evaluation);
        evaluation.selected().len()
    });
    Ok(cost)
}

fn measure_direct(expressions: &[String], shared: bool) -> Result<f64, Box<dyn Error>> {
    let matchers = parse(expressions)?;
    let batch = batch(&NameRegistry::new(), shared)?;
    let cost = time(|| {
        let of_matcher = |matcher: &Matcher| batch.records().filter(|r| matcher.matches(r)).count();
        matchers.iter().map(of_matcher).sum()
    });
    Ok(cost)
}

fn parse(expressions: &[String]) -> Result<Vec<Matcher>, Box<dyn Error>> {
    let parsed = expressions.iter().map(|text| Ok(Matcher::parse(text)?.0));
    parsed.collect()
}

/// Nanoseconds per record of a run over the batch.
fn time(mut run: impl FnMut() -> usize) -> f64 {
    let mut found = 0;
    let warm_up = Instant::now();
    while warm_up.elapsed() < MEASURE / 10 {
        found += run();
    }
    let start = Instant::now();
    let mut runs = 0_u32;
    while start.elapsed() < MEASURE {
        found += run();
        runs += 1;
    }
    let elapsed = start.elapsed();
    std::hint::black_box(found);
    elapsed.as_nanos() as f64 / f64::from(runs) / RECORDS as f64
}

/// Access-log messages as a decoder leaves them.
fn batch(registry: &NameRegistry, shared: bool) -> Result<Batch, Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(7);
    let envelope = if shared {
        Envelope::new("svc-7").message_type("x4").hostname("web-3")
    } else {
        Envelope::default()
    };
    let mut builder =
        BatchBuilder::new(registry.snapshot(), Arc::new(envelope), Buffer::from(Vec::new()), 1);
    for number in 0..RECORDS {
        let version = random.usize(..1200);
        let url = format!("/api/v{version}/item{}/{}?page=2", random.usize(..1200), random.u32(..));
        let status = [200, 200, 200, 304, 404, 503][random.usize(..6)];
        let line = format!(
            "10.1.{}.{} - user-{}@example.com [18/Apr/2013:14:00:28 +0000] \"GET {url} HTTP/1.1\" {status} 4711",
            number % 256,
            number / 256,
            random.usize(..1200)
        );
        let mut record = builder.record();
        record.payload(&line).timestamp(number as i64).severity(if status >= 500 { 3 } else { 6 });
        if !shared {
            record.message_type(format!("x{}", random.usize(..1200)));
            record.logger(format!("svc-{}", random.usize(..1200)));
            record.hostname(format!("web-{}", random.usize(..1200)));
        }
        for (name, value) in [
            ("remote_addr", Value::from("10.1.2.3")),
            ("remote_user", Value::from("-")),
            ("method", Value::from("GET")),
            ("url", Value::from(url.as_str())),
            ("protocol", Value::from("HTTP/1.1")),
            ("status", Value::Int(status)),
            ("body_bytes_sent", Value::Int(4711)),
            ("http_referer", Value::from("https://www.example.com/start")),
            (
                "http_user_agent",
                Value::from("Mozilla/5.0 (X11; Linux x86_64; rv:29.0) Gecko/20100101"),
            ),
            ("request_time", Value::Double(random.f64() * 100.0)),
        ] {
            let name = record.name_id(name.as_bytes());
            record.field(name, value);
        }
        record.commit()?;
    }
    Ok(builder.finish())
}
