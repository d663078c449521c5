//! The output as its runner drives it, with a clock and a terminal that the test owns.

use heka_matcher::Matcher;
use heka_message::{BatchBuilder, Buffer, Envelope};
use heka_plugin::{Clock, LimitedLog, PluginCounts, Reporter, StopSwitch};
use heka_stream::{Consumer, ConsumerOptions, ManualClock, Route, Source, SourceCounts, Stream};

use super::*;

/// 2025-11-22 19:54:11.
const START_NS: i64 = 1_763_841_251_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// Collects text, or refuses it.
#[derive(Debug, Default)]
struct Paper {
    text: Vec<u8>,
    gone: bool,
}

impl Write for Paper {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct World {
    names: Arc<NameRegistry>,
    clock: Arc<ManualClock>,
    source: Source,
    consumer: Arc<Consumer>,
    context: OutputContext,
    paper: Arc<Mutex<Paper>>,
    output: DemoOutput,
}

fn world(screen: bool) -> World {
    let names = NameRegistry::new();
    let clock = Arc::new(ManualClock::new(START_NS));
    let stream = Stream::new(64 << 20, Arc::clone(&names), Arc::clone(&clock) as Arc<dyn Clock>);
    let consumer = Consumer::new(ConsumerOptions::new("view"));
    let matcher = DemoOutput::DEFAULTS.message_matcher.unwrap();
    let matcher = Matcher::parse(matcher).unwrap().0;
    stream.set_routes(&[Route { matcher, consumer: Arc::clone(&consumer) }]).unwrap();
    let paper = Arc::new(Mutex::new(Paper::default()));
    let screen = screen.then_some(Screen { palette: Palette::PLAIN, lines: 0 });
    let config = DemoOutputConfig::default();
    let sink: Sink = Arc::clone(&paper) as Sink;
    let (_, stop) = StopSwitch::new();
    World {
        source: stream.source(Arc::new(SourceCounts::default())),
        output: DemoOutput::new(&config, &names, START_NS, screen, sink),
        context: OutputContext {
            name: "view".into(),
            encoder: None,
            counts: Arc::new(PluginCounts::default()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            stop,
            log: LimitedLog::default(),
            reporter: Reporter::new(),
            letters: None,
        },
        names,
        clock,
        consumer,
        paper,
    }
}

impl World {
    /// A batch that was read 2 ms ago reaches the output.
    async fn deliver(&mut self, build: impl FnOnce(&mut BatchBuilder)) -> Result<(), OutputError> {
        let read_ns = self.clock.now_ns() - 2_000_000;
        let envelope = Arc::new(Envelope::new("traffic").message_type("demo"));
        let snapshot = self.names.snapshot();
        let mut builder = BatchBuilder::new(snapshot, envelope, Buffer::empty(), read_ns);
        build(&mut builder);
        self.source.append(builder.finish(), 0).await.unwrap();
        let delivery = self.consumer.try_next().unwrap();
        self.output.write(delivery, &mut self.context).await
    }

    async fn requests(&mut self, count: usize, status: Value<'_>) -> Result<(), OutputError> {
        let names = Arc::clone(&self.names);
        let field = |name: &str| names.intern(name.as_bytes());
        self.deliver(|builder| {
            for _ in 0..count {
                let mut record = builder.record();
                record.payload(&b"x"[..]).timestamp(START_NS);
                record.field(field("status"), status);
                record.field(field("request"), "GET /products/7 HTTP/1.1".into());
                record.field(field("remote_addr"), "198.18.3.1".into());
                record.field(field("body_bytes_sent"), Value::Double(500.0));
                record.commit().unwrap();
            }
        })
        .await
    }

    async fn after(&mut self, ns: i64, why: Flush) -> Result<(), OutputError> {
        self.clock.advance(ns);
        self.output.flush(why, &mut self.context).await
    }

    fn shown(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.paper.lock().unwrap().text)).unwrap()
    }
}

#[tokio::test]
async fn without_a_terminal_there_is_a_line_a_second_and_a_table_at_the_end() {
    let mut world = world(false);
    world.requests(3, Value::Double(200.0)).await.unwrap();
    world.requests(1, Value::Str(b"503")).await.unwrap();
    world.after(SECOND_NS / 2, Flush::Idle).await.unwrap();
    assert_eq!(world.shown(), "");
    world.after(SECOND_NS / 2, Flush::Timer).await.unwrap();
    let expected = "19:54:12           4 req/s        4 B/s  2xx 75.0 %  3xx 0.0 %  4xx 0.0 %  5xx 25.0 %  latency 2.0 ms\n";
    assert_eq!(world.shown(), expected);
    world.after(1, Flush::Idle).await.unwrap();
    assert_eq!(world.shown(), "");
    world.requests(2, Value::Int(200)).await.unwrap();
    world.after(SECOND_NS / 2, Flush::Stop).await.unwrap();
    let table = world.shown();
    assert!(table.contains("\nrequests                6   mean 4/s   peak 4/s\n"), "{table}");
    assert!(table.contains("\nsite sent          3.0 kB\n"), "{table}");
    assert!(table.contains("\npath                    6   /products/*   1 failed\n"), "{table}");
    world.after(1, Flush::Stop).await.unwrap();
    assert_eq!(world.shown(), "", "the table comes once");
}

#[tokio::test]
async fn a_screen_is_drawn_over_the_one_before_and_not_too_often() {
    let mut world = world(true);
    world.requests(1, Value::Double(200.0)).await.unwrap();
    let first = world.shown();
    assert!(first.starts_with("\x1b[?7lhekad demo   00:00:00   ● all is well\x1b[K\n"), "{first}");
    assert!(first.ends_with("\n\x1b[J\x1b[?7h"));
    let lines = first.matches('\n').count();
    world.requests(1, Value::Double(500.0)).await.unwrap();
    assert_eq!(world.shown(), "");
    world.after(250_000_000, Flush::Timer).await.unwrap();
    let second = world.shown();
    assert!(second.starts_with(&format!("\x1b[?7l\x1b[{lines}F")), "{second}");
    assert!(second.contains("● 50 % of requests fail"));
    world.after(1, Flush::Stop).await.unwrap();
    assert!(world.shown().contains("\nrequests                2   mean"));
}

#[tokio::test]
async fn counters_are_shown_under_their_names_and_strange_messages_are_no_error() {
    let mut world = world(false);
    let status = world.names.intern(b"status");
    world
        .deliver(|builder| {
            let mut record = builder.record();
            record.message_type("heka.counter-output").logger("errors");
            record.payload(&b"Got 7 messages. 1.40 msg/sec"[..]);
            record.commit().unwrap();
            let mut record = builder.record();
            record.message_type("heka.counter-output").logger("errors");
            record.payload(&b"AGG Sum. Min: 1.00    Max: 2.00    Mean: 1.10"[..]);
            record.commit().unwrap();
            builder.record().commit().unwrap();
            for status_value in [Value::Bool(true), Value::Double(f64::NAN), Value::Str(b"\xff")] {
                let mut record = builder.record();
                record.field(status, status_value);
                record.commit().unwrap();
            }
        })
        .await
        .unwrap();
    world.after(SECOND_NS, Flush::Stop).await.unwrap();
    let table = world.shown();
    assert!(table.contains("counter            errors   Got 7 messages. 1.40 msg/sec"), "{table}");
    assert!(table.contains("status none             3   100.0 %"), "{table}");
    assert_eq!(world.consumer.counts().delivered(), 6);
    world.consumer.counts().balance().unwrap();
}

#[tokio::test]
async fn a_reader_that_went_away_is_an_error_and_the_messages_are_answered_for() {
    let mut world = world(true);
    world.paper.lock().unwrap().gone = true;
    let error = world.requests(1, Value::Double(200.0)).await.unwrap_err();
    assert!(matches!(error, OutputError::Fatal { .. }));
    assert!(error.to_string().starts_with("cannot write to standard output: "), "{error}");
    assert_eq!((world.consumer.counts().delivered(), world.consumer.counts().held()), (1, 0));
}

#[tokio::test]
async fn much_traffic_makes_it_ask_for_a_flush() {
    let mut world = world(false);
    world.requests(100, Value::Double(200.0)).await.unwrap();
    assert_eq!(world.output.pending_bytes(), 100 * (RECORD_BYTES + 1));
    world.after(1, Flush::Full).await.unwrap();
    assert_eq!(world.output.pending_bytes(), 0);
}

#[test]
fn the_refresh_interval_has_a_limit() {
    let check = |milliseconds| {
        let refresh_interval = GoDuration::from_millis(milliseconds);
        let mut problems = FieldProblems::new();
        DemoOutputConfig { refresh_interval, ..Default::default() }.validate(&mut problems);
        problems.is_empty()
    };
    assert!(check(20) && !check(19));
}
