//! Durable consumers: what is written, what comes back, and what a crash does to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heka_matcher::Matcher;
use heka_message::NameRegistry;
use heka_stream::{
    Consumer, ConsumerOptions, Delivery, DropReason, DurableFigures, DurableLog, DurableOptions,
    DurableSettings, FullAction, LogReader, MemoryStorage, RecordKind, Route, Source, SourceCounts,
    Storage, Stream, SystemClock,
};
use tokio::runtime::Runtime;

use crate::{batch, payloads};

const LOG: &str = "/base/stream";

fn settings() -> DurableSettings {
    DurableSettings {
        directory: LOG.into(),
        segment_bytes: 16 << 10,
        commit_interval: Duration::from_millis(2),
        commit_bytes: 8 << 10,
        retain_bytes: 0,
        retain_time: Duration::ZERO,
        disk_floor_bytes: 0,
        pending_bytes_max: 64 << 10,
        catch_up_bytes: 16 << 10,
        forget_after: Duration::from_secs(3600),
    }
}

pub(crate) fn durable(name: &str) -> ConsumerOptions {
    let mut options = ConsumerOptions::new(name);
    options.window_bytes = 4 << 10;
    options.durable =
        Some(DurableOptions { buffer_bytes_max: None, cursor_update_count: 1, keeps_state: false });
    options
}

/// A stream with a log, as one run of a daemon has it.
pub(crate) struct Run {
    runtime: Runtime,
    pub(crate) stream: Stream,
    pub(crate) log: DurableLog,
    pub(crate) consumers: BTreeMap<String, Arc<Consumer>>,
    counts: Arc<SourceCounts>,
}

impl Run {
    pub(crate) fn new(storage: &Arc<MemoryStorage>, routes: &[(&str, ConsumerOptions)]) -> Self {
        Self::with(storage, routes, settings())
    }

    fn with(
        storage: &Arc<MemoryStorage>,
        routes: &[(&str, ConsumerOptions)],
        settings: DurableSettings,
    ) -> Self {
        let (clock, names) = (Arc::new(SystemClock), NameRegistry::new());
        let storage: Arc<dyn Storage> = Arc::clone(storage) as _;
        let log = DurableLog::open(storage, Arc::clone(&clock) as _, Arc::clone(&names), settings)
            .unwrap();
        let stream = Stream::new(1 << 20, names, clock);
        stream.set_log(log.clone());
        let mut consumers = BTreeMap::new();
        let mut all = Vec::new();
        for (matcher, options) in routes {
            let consumer = Consumer::new(options.clone());
            let matcher = Matcher::parse(matcher).unwrap().0;
            if options.durable.is_some() {
                log.register(&consumer, &matcher).unwrap();
            }
            consumers.insert(options.name.to_string(), Arc::clone(&consumer));
            all.push(Route { matcher, consumer });
        }
        stream.set_routes(&all).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { runtime, stream, log, consumers, counts: Arc::default() }
    }

    pub(crate) fn source(&self) -> Source {
        self.stream.source(Arc::clone(&self.counts))
    }

    /// Appends messages `from..to`, ten a batch, position = number of the next message.
    pub(crate) fn append(&self, source: &mut Source, from: u64, to: u64) {
        self.runtime.block_on(async {
            for start in (from..to).step_by(10) {
                let end = (start + 10).min(to);
                let texts: Vec<String> = (start..end).map(text).collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let position = Some(end.to_string().into_bytes().into());
                source.append_at(batch(&texts), end, position).await.unwrap();
            }
        });
    }

    /// Takes and acknowledges until `count` messages came.
    pub(crate) fn take(&self, consumer: &str, count: usize) -> Vec<String> {
        let consumer = &self.consumers[consumer];
        let mut got = Vec::new();
        self.runtime.block_on(async {
            while got.len() < count {
                let next = tokio::time::timeout(Duration::from_secs(20), consumer.next());
                let delivery: Delivery = next.await.expect("no message came").unwrap();
                got.extend(payloads(&delivery));
                delivery.ack.delivered();
            }
        });
        got
    }

    pub(crate) fn wait_until(&self, what: &str, mut done: impl FnMut(&DurableFigures) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done(&self.log.figures()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.log.figures());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn balance(&self) {
        for consumer in self.consumers.values() {
            consumer.counts().balance().unwrap();
        }
    }
}

/// Messages end in `a` or `b`, turn about.
fn text(number: u64) -> String {
    format!("{number:08} {}", if number.is_multiple_of(2) { "a" } else { "b" })
}

pub(crate) fn texts(from: u64, to: u64) -> Vec<String> {
    (from..to).map(text).collect()
}

/// Sequence numbers and message counts of the batches on disk.
fn on_disk(storage: &Arc<MemoryStorage>) -> Vec<(u64, u32)> {
    let mut reader = LogReader::new(Arc::clone(storage) as _, Path::new(LOG), 0);
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        assert_eq!(record.header.kind, RecordKind::Batch);
        found.push((record.header.sequence, record.header.messages));
    }
    assert_eq!(reader.take_damage(), []);
    found
}

#[test]
fn a_consumer_that_keeps_up_costs_no_write_of_a_message() {
    let storage = Arc::new(MemoryStorage::default());
    let mut calm = settings();
    calm.commit_interval = Duration::from_millis(200);
    calm.commit_bytes = 1 << 20;
    let run = Run::with(&storage, &[("TRUE", durable("out"))], calm);
    let mut source = run.source();
    for round in 0..20 {
        run.append(&mut source, round * 10, round * 10 + 10);
        assert_eq!(run.take("out", 10).len(), 10);
    }
    assert_eq!(
        source.settled().position(),
        200,
        "what all have delivered is settled without a disk"
    );
    run.wait_until("spared", |figures| figures.spared_batches == 20);
    assert!(run.log.close(Duration::from_secs(5)));
    assert!(on_disk(&storage).is_empty());
    run.balance();
}

#[test]
fn a_dead_consumer_holds_no_memory_and_stops_nobody() {
    let storage = Arc::new(MemoryStorage::default());
    let run = Run::new(&storage, &[("TRUE", durable("dead")), ("TRUE", durable("alive"))]);
    let mut source = run.source();
    for round in 0..100 {
        run.append(&mut source, round * 100, round * 100 + 100);
        assert_eq!(run.take("alive", 100), texts(round * 100, round * 100 + 100));
    }
    run.wait_until("written", |figures| figures.pending.0 == 0);
    let dead = &run.consumers["dead"];
    assert!(dead.is_behind());
    assert!(dead.held_bytes() <= 24 << 10, "{}", dead.held_bytes());
    assert_eq!(dead.counts().held(), 10_000);
    assert_eq!(source.settled().position(), 10_000, "what is on disk is settled");
    run.balance();
    assert_eq!(run.take("dead", 10_000), texts(0, 10_000));
    run.balance();
    run.wait_until("it keeps up again", |_| !dead.is_behind());
    run.append(&mut source, 10_000, 10_010);
    assert_eq!(run.take("dead", 10), texts(10_000, 10_010));
    assert_eq!(run.take("alive", 10), texts(10_000, 10_010));
    run.wait_until("delivered segments are gone", |figures| figures.segments == 1);
    run.balance();
}

#[test]
fn each_consumer_gets_its_own_messages_back_after_a_restart() {
    let storage = Arc::new(MemoryStorage::default());
    let routes = [
        ("Payload =~ /a$/", durable("a")),
        ("Payload =~ /b$/", durable("b")),
        ("FALSE", durable("no")),
    ];
    let run = Run::new(&storage, &routes);
    let mut source = run.source();
    run.append(&mut source, 0, 2_000);
    assert_eq!(run.take("a", 300).len(), 300);
    assert!(run.log.close(Duration::from_secs(5)));
    drop(run);
    let run = Run::new(&storage, &routes);
    let mut source = run.source();
    run.append(&mut source, 2_000, 2_100);
    let a: Vec<String> = texts(600, 2_100).into_iter().filter(|text| text.ends_with('a')).collect();
    assert_eq!(run.take("a", a.len()), a);
    let b: Vec<String> = texts(0, 2_100).into_iter().filter(|text| text.ends_with('b')).collect();
    assert_eq!(run.take("b", b.len()), b);
    run.balance();
    run.wait_until("all delivered", |figures| figures.segments <= 1);
}

/// It had caught up with what was read back, did not take it, and falls behind again: that waits on disk once more, and is
/// counted once.
#[test]
fn what_was_read_back_and_given_up_again_is_counted_once() {
    let storage = Arc::new(MemoryStorage::default());
    let routes = [("TRUE", durable("out"))];
    let run = Run::new(&storage, &routes);
    run.append(&mut run.source(), 0, 50);
    assert!(run.log.close(Duration::from_secs(5)));
    drop(run);
    let run = Run::new(&storage, &routes);
    let out = &run.consumers["out"];
    run.wait_until("it has caught up", |_| !out.is_behind());
    assert!(out.held_bytes() >= 4 << 10, "{}: its window is full", out.held_bytes());
    run.append(&mut run.source(), 50, 60);
    assert!(out.is_behind());
    run.balance();
    assert_eq!(run.take("out", 60), texts(0, 60));
    run.wait_until("it keeps up again", |_| !out.is_behind());
    assert_eq!(out.counts().dropped(DropReason::Damaged), 0);
    assert_eq!((out.counts().matched(), out.counts().delivered()), (60, 60));
    assert_eq!(out.backlog(), (0, 0));
    run.balance();
}

#[test]
fn a_batch_of_which_little_is_wanted_is_written_without_the_rest() {
    let storage = Arc::new(MemoryStorage::default());
    let run = Run::new(&storage, &[("Payload =~ /^0000000[37]/", durable("few"))]);
    let mut source = run.source();
    let long: Vec<String> = (0..10).map(|number| format!("{:0>1000}", text(number))).collect();
    let long: Vec<String> = long.iter().map(|text| text.split_off_tail()).collect();
    let refs: Vec<&str> = long.iter().map(String::as_str).collect();
    run.runtime.block_on(source.append(batch(&refs), 10)).unwrap();
    run.wait_until("written", |figures| figures.written_batches == 1);
    assert_eq!(on_disk(&storage), [(1, 2)]);
    assert!(run.log.figures().written_bytes < 4_000, "{:?}", run.log.figures());
}

trait SplitTail {
    fn split_off_tail(&self) -> String;
}

impl SplitTail for String {
    /// Number first, then the padding.
    fn split_off_tail(&self) -> String {
        let number = self.trim_start_matches('0');
        let digit = number.split(' ').next().unwrap_or("");
        format!("{digit:0>8} {self}")
    }
}

#[test]
fn a_source_resumes_at_the_settled_position_and_nobody_gets_anything_twice() {
    let storage = Arc::new(MemoryStorage::default());
    let memory_only = ConsumerOptions::new("memory");
    let routes = [("TRUE", durable("disk")), ("TRUE", memory_only)];
    let run = Run::new(&storage, &routes);
    let mut source = run.source();
    assert_eq!(source.keep_positions("input/a", false), 0);
    run.append(&mut source, 0, 100);
    assert_eq!(run.take("memory", 50), texts(0, 50));
    run.wait_until("written", |figures| figures.pending.0 == 0 && figures.syncs > 0);
    std::thread::sleep(Duration::from_millis(20));
    // A crash: nothing is closed. Only what is in the files counts.
    let run = Run::new(&storage, &routes);
    let resume = run.log.resume("input/a").unwrap();
    assert_eq!(resume.position, b"50");
    assert_eq!(resume.logged_ahead, 50);
    let mut source = run.source();
    assert_eq!(source.keep_positions("input/a", true), 50);
    run.runtime.block_on(async {
        for start in (50..130).step_by(10) {
            let texts = texts(start, start + 10);
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let position = Some((start + 10).to_string().into_bytes().into());
            source.append_at(batch(&texts), start + 10 - 50, position).await.unwrap();
        }
    });
    assert_eq!(run.take("memory", 80), texts(50, 130));
    assert_eq!(run.take("disk", 130), texts(0, 130));
    run.balance();
    assert!(run.log.close(Duration::from_secs(5)));
    let run = Run::new(&storage, &routes);
    let resume = run.log.resume("input/a").unwrap();
    assert_eq!((resume.position, resume.logged_ahead), (b"130".to_vec(), 0));
}

#[test]
fn a_consumer_can_be_set_back_to_what_is_kept() {
    let storage = Arc::new(MemoryStorage::default());
    let mut keeping = settings();
    keeping.retain_bytes = 1 << 20;
    let run = Run::with(&storage, &[("TRUE", durable("out"))], keeping);
    let mut source = run.source();
    run.append(&mut source, 0, 200);
    assert_eq!(run.take("out", 200).len(), 200);
    run.wait_until("written", |figures| figures.written_batches == 20);
    run.log.rewind(&run.consumers["out"], 11);
    assert_eq!(run.take("out", 100), texts(100, 200));
    run.append(&mut source, 200, 210);
    assert_eq!(run.take("out", 10), texts(200, 210));
    run.balance();
    let out = &run.consumers["out"];
    assert_eq!((out.counts().matched(), out.counts().dropped_in_all()), (310, 0));
}

#[test]
fn while_the_disk_is_full_the_consumer_that_drops_loses_and_others_wait() {
    let storage = Arc::new(MemoryStorage::default());
    let mut dropping = durable("drops");
    dropping.full_action = FullAction::Drop;
    let run = Run::new(&storage, &[("TRUE", dropping)]);
    let mut source = run.source();
    run.append(&mut source, 0, 100);
    run.wait_until("written", |figures| figures.pending.0 == 0);
    storage.set_full(true);
    run.append(&mut source, 100, 20_000);
    let dropped = run.consumers["drops"].counts().dropped(DropReason::Full);
    assert!(dropped > 10_000, "{dropped}");
    assert!(run.log.figures().stuck.is_some());
    run.balance();
    storage.set_full(false);
    run.wait_until("written again", |figures| figures.pending.0 == 0 && figures.stuck.is_none());
    run.append(&mut source, 20_000, 20_100);
    let kept = 20_100 - dropped as usize;
    let got = run.take("drops", kept);
    assert_eq!(got.len(), kept);
    assert_eq!(got[kept - 100..], texts(20_000, 20_100));
    assert!(got.is_sorted());
    run.balance();
}

/// What was delivered frees its own space, although not even that it was can be written.
#[test]
fn a_disk_that_is_full_of_what_was_delivered_is_freed() {
    let storage = Arc::new(MemoryStorage::default());
    let run = Run::with(
        &storage,
        &[("TRUE", durable("out"))],
        DurableSettings { segment_bytes: 1 << 20, ..settings() },
    );
    let mut source = run.source();
    run.append(&mut source, 0, 1_000);
    run.wait_until("written", |figures| figures.pending.0 == 0);
    storage.set_full(true);
    assert_eq!(run.take("out", 1_000), texts(0, 1_000));
    run.wait_until("its space is given back", |figures| figures.segments == 0);
    storage.set_full(false);
    run.wait_until("written again", |figures| figures.stuck.is_none());
    run.append(&mut source, 1_000, 1_100);
    assert!(run.log.close(Duration::from_secs(5)));
    drop(run);
    let run = Run::new(&storage, &[("TRUE", durable("out"))]);
    assert_eq!(run.take("out", 100), texts(1_000, 1_100));
}

#[test]
fn while_the_disk_is_full_consumers_that_keep_up_go_on() {
    let storage = Arc::new(MemoryStorage::default());
    let run = Run::new(&storage, &[("TRUE", durable("out"))]);
    let mut source = run.source();
    storage.set_full(true);
    for round in 0..50 {
        run.append(&mut source, round * 100, round * 100 + 100);
        assert_eq!(run.take("out", 100).len(), 100);
    }
    assert_eq!(source.settled().position(), 5_000);
    run.balance();
}

#[test]
fn a_buffer_limit_holds_and_its_action_happens() {
    let storage = Arc::new(MemoryStorage::default());
    let mut small = durable("small");
    small.full_action = FullAction::Drop;
    small.durable =
        small.durable.map(|durable| DurableOptions { buffer_bytes_max: Some(64 << 10), ..durable });
    let run = Run::new(&storage, &[("TRUE", small)]);
    let mut source = run.source();
    run.append(&mut source, 0, 20_000);
    let small = &run.consumers["small"];
    let dropped = small.counts().dropped(DropReason::Full);
    assert!(dropped > 10_000, "{dropped}");
    assert!(small.backlog().1 <= 80 << 10, "{:?}", small.backlog());
    let got = run.take("small", 20_000 - dropped as usize);
    assert!(got.is_sorted());
    run.append(&mut source, 20_000, 20_010);
    assert_eq!(run.take("small", 10), texts(20_000, 20_010), "there is room again");
    run.balance();
}

#[test]
fn a_consumer_with_state_gets_everything_from_its_last_checkpoint_on_again() {
    let storage = Arc::new(MemoryStorage::default());
    let mut stateful = durable("state");
    stateful.durable =
        stateful.durable.map(|durable| DurableOptions { keeps_state: true, ..durable });
    let routes = [("TRUE", stateful)];
    let run = Run::new(&storage, &routes);
    let mut source = run.source();
    run.append(&mut source, 0, 100);
    assert_eq!(run.take("state", 100).len(), 100);
    run.consumers["state"].pin(6);
    run.wait_until("written", |figures| figures.written_batches == 10);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(source.settled().position(), 100);
    let run = Run::new(&storage, &routes);
    assert_eq!(run.take("state", 50), texts(50, 100));
    run.balance();
}

#[test]
fn damage_on_disk_is_counted_where_it_cost_messages() {
    let storage = Arc::new(MemoryStorage::default());
    let run = Run::new(&storage, &[("TRUE", durable("out"))]);
    let mut source = run.source();
    run.append(&mut source, 0, 5_000);
    run.wait_until("written", |figures| figures.pending.0 == 0);
    let names = storage.list(Path::new(LOG)).unwrap();
    let middle = names.iter().filter(|name| name.ends_with(".log")).nth(3).unwrap();
    let path = Path::new(LOG).join(middle);
    let mut content = storage.read(&path).unwrap().unwrap();
    let half = content.len() / 2;
    content[half..half + 3_000].fill(0x55);
    storage.replace(&path, &content, heka_stream::Durability::Crash).unwrap();
    let out = &run.consumers["out"];
    let mut got = Vec::new();
    run.runtime.block_on(async {
        while out.counts().held() > 0 {
            let next = tokio::time::timeout(Duration::from_millis(200), out.next());
            let Ok(Some(delivery)) = next.await else { continue };
            got.extend(payloads(&delivery));
            delivery.ack.delivered();
        }
    });
    let lost = out.counts().dropped(DropReason::Damaged);
    assert!(lost > 0 && lost < 1_000, "{lost}");
    assert_eq!(got.len() as u64 + lost, 5_000);
    assert!(got.is_sorted());
    assert!(run.log.figures().damaged_bytes >= 2_900);
    run.balance();
}
