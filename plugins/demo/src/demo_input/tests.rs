//! The input at work: through a splitter to a consumer, with a clock that the test owns.

use std::sync::Arc;

use heka_matcher::Matcher;
use heka_message::NameRegistry;
use heka_plugin::{
    Clock, Decoder, FeedMaker, FeedSettings, Frames, InputCounts, LimitedLog, MakeDecoder,
    Oversize, Pools, Prepared, Reporter, Scan, Splitter, StopSwitch,
};
use heka_stream::{
    Consumer, ConsumerOptions, ManualClock, MemoryStorage, Route, SourceCounts, Stream,
};

use super::*;

/// Tokio's clock, which a paused runtime moves on whenever all tasks wait.
#[derive(Debug)]
struct TokioClock(tokio::time::Instant);

const START_NS: i64 = 1_763_841_251_000_000_000;

impl Clock for TokioClock {
    fn now_ns(&self) -> i64 {
        START_NS + self.0.elapsed().as_nanos() as i64
    }
}

struct Lines;

impl Splitter for Lines {
    fn split(&mut self, data: &[u8], _: Scan, frames: &mut Frames) -> usize {
        let mut start = 0;
        for (at, _) in data.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            frames.push(start..at + 1);
            start = at + 1;
        }
        start
    }
}

impl Prepared<dyn Splitter> for Lines {
    fn start(&self, _: &StartContext) -> Result<Box<dyn Splitter>, StartError> {
        Ok(Box::new(Lines))
    }

    fn references(&self) -> Vec<String> {
        Vec::new()
    }

    fn options(&self) -> serde_json::Value {
        serde_json::Value::default()
    }
}

struct NoDecoders;

impl MakeDecoder for NoDecoders {
    fn make_decoder(&self, name: &str, _: &StartContext) -> Result<Box<dyn Decoder>, StartError> {
        Err(StartError::new(name))
    }
}

struct World {
    context: InputContext,
    stop: StopSwitch,
    consumer: Arc<Consumer>,
}

fn world(clock: Arc<dyn Clock>) -> World {
    let names = NameRegistry::new();
    let stream = Stream::new(64 << 20, Arc::clone(&names), Arc::clone(&clock));
    let mut options = ConsumerOptions::new("view");
    options.window_bytes = 16 << 20;
    let consumer = Consumer::new(options);
    let matcher = Matcher::parse("Type == 'demo' && Hostname == 'here'").unwrap().0;
    stream.set_routes(&[Route { matcher, consumer: Arc::clone(&consumer) }]).unwrap();
    let start = StartContext {
        name: "traffic".into(),
        names,
        hostname: "here".into(),
        pid: 7,
        base_dir: std::path::Path::new("/nowhere").into(),
        share_dir: std::path::Path::new("/nowhere").into(),
        max_message_size: 64 << 10,
        log_flags: 0,
        clock,
        storage: Arc::new(MemoryStorage::default()),
        decoders: Arc::new(NoDecoders),
        log: None,
        letters: None,
        reload: heka_plugin::Reload::default(),
        filters: None,
    };
    let settings = FeedSettings {
        use_message_bytes: false,
        oversize: Oversize::Drop,
        deliver_incomplete_final: false,
        max_record_size: 64 << 10,
        min_buffer_size: 0,
        send_decode_failures: false,
        log_decode_failures: false,
        flush_after: None,
    };
    let counts = Arc::new(InputCounts::default());
    let feeds = FeedMaker {
        splitter: Arc::new(Lines),
        splitter_name: "Lines".into(),
        decoder: None,
        settings: Arc::new(settings),
        stream,
        ledger: Arc::new(SourceCounts::default()),
        counts: Arc::clone(&counts),
        context: start.clone(),
        pools: Pools::default(),
        log: Arc::default(),
    };
    let (stop, signal) = StopSwitch::new();
    let (_, abandon) = StopSwitch::new();
    let context = InputContext {
        start,
        feeds: Arc::new(feeds),
        stop: signal,
        abandon,
        ticker_interval: None,
        counts,
        reporter: Reporter::new(),
        log: LimitedLog::default(),
    };
    World { context, stop, consumer }
}

/// Takes what comes until the consumer is closed: lines and their bytes.
async fn take(consumer: Arc<Consumer>) -> (usize, Vec<u8>) {
    let (mut lines, mut text) = (0, Vec::new());
    while let Some(delivery) = consumer.next().await {
        for record in delivery.records() {
            assert!(record.payload().ends_with(b"\n"));
            lines += 1;
            text.extend_from_slice(record.payload());
        }
        delivery.ack.delivered();
    }
    (lines, text)
}

fn config(rate: u32, seconds: u32) -> DemoInputConfig {
    DemoInputConfig { rate, duration: GoDuration::from_secs(seconds), ..Default::default() }
}

async fn run(config: DemoInputConfig) -> (usize, Vec<u8>) {
    let mut world = world(Arc::new(TokioClock(tokio::time::Instant::now())));
    let taken = tokio::spawn(take(Arc::clone(&world.consumer)));
    let mut input = DemoInput::start(&config, &world.context.start).unwrap();
    input.run(&mut world.context).await.unwrap();
    world.consumer.close();
    taken.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_of_a_minute_has_exactly_the_lines_of_its_rate() {
    let (lines, text) = run(config(100, 60)).await;
    assert_eq!(lines, 6_000);
    let (again, same) = run(config(100, 60)).await;
    assert_eq!((again, same == text), (lines, true), "a seed is repeatable");
}

#[tokio::test(start_paused = true)]
async fn rates_above_one_buffer_a_tick_are_met() {
    let (lines, _) = run(config(20_000, 3)).await;
    // The wave is above the mean at first.
    assert!((60_000..75_000).contains(&lines), "{lines}");
}

#[tokio::test(start_paused = true)]
async fn the_stop_ends_an_endless_run_and_all_lines_are_delivered() {
    let mut world = world(Arc::new(TokioClock(tokio::time::Instant::now())));
    let taken = tokio::spawn(take(Arc::clone(&world.consumer)));
    let stop = world.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.stop();
    });
    let mut input = DemoInput { config: config(10, 0) };
    input.run(&mut world.context).await.unwrap();
    let report = world.context.reporter.report();
    world.consumer.close();
    let (lines, _) = taken.await.unwrap();
    assert!((50..70).contains(&lines), "{lines}");
    let mut expected = heka_plugin::Report::default();
    expected.count("GeneratedLineCount", lines as u64);
    expected.count("SkippedLineCount", 0);
    expected.text("Incident", "none");
    assert_eq!(report, expected);
}

#[tokio::test]
async fn without_a_rate_it_runs_until_its_time_is_over() {
    let clock = Arc::new(ManualClock::new(START_NS));
    let mut world = world(Arc::clone(&clock) as Arc<dyn Clock>);
    let consumer = Arc::clone(&world.consumer);
    let taken = tokio::spawn(async move {
        let mut lines = 0;
        while let Some(delivery) = consumer.next().await {
            lines += delivery.len();
            delivery.ack.delivered();
            clock.advance(100_000_000);
        }
        lines
    });
    let mut input = DemoInput { config: config(0, 1) };
    input.run(&mut world.context).await.unwrap();
    world.consumer.close();
    let lines = taken.await.unwrap();
    assert!(lines > 500, "{lines}");
    assert_eq!(world.context.counts.records.get(), lines as u64);
}

#[test]
fn a_rate_that_no_machine_reaches_is_refused() {
    let check = |rate| {
        let mut problems = FieldProblems::new();
        config(rate, 0).validate(&mut problems);
        problems.is_empty()
    };
    assert!(check(RATE_MAX) && check(0));
    assert!(!check(RATE_MAX + 1));
}
