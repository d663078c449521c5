//! Messages given to one consumer only.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heka_matcher::Matcher;
use heka_message::NameRegistry;
use heka_stream::{
    Consumer, ConsumerOptions, DurableLog, DurableOptions, DurableSettings, FullAction, LogReader,
    MemoryStorage, Route, Storage, Stream, SystemClock,
};
use tokio::runtime::Runtime;

use crate::{batch, payloads};

const LOG: &str = "/base/stream";

/// A stream with a log and two consumers, the first of them durable.
struct Run {
    runtime: Runtime,
    stream: Stream,
    log: DurableLog,
    durable: Arc<Consumer>,
    other: Arc<Consumer>,
}

fn run(storage: &Arc<MemoryStorage>) -> Run {
    let settings = DurableSettings {
        directory: LOG.into(),
        segment_bytes: 16 << 10,
        commit_interval: Duration::from_millis(1),
        commit_bytes: 8 << 10,
        retain_bytes: 1 << 20,
        retain_time: Duration::ZERO,
        disk_floor_bytes: 0,
        pending_bytes_max: 64 << 10,
        catch_up_bytes: 16 << 10,
        forget_after: Duration::from_secs(3600),
    };
    let (clock, names) = (Arc::new(SystemClock), NameRegistry::new());
    let shared: Arc<dyn Storage> = Arc::clone(storage) as _;
    let log = DurableLog::open(shared, Arc::clone(&clock) as _, Arc::clone(&names), settings);
    let log = log.unwrap();
    let stream = Stream::new(1 << 20, names, clock);
    stream.set_log(log.clone());
    let mut options = ConsumerOptions::new("durable");
    options.window_bytes = 2 << 10;
    options.full_action = FullAction::Drop;
    let kept =
        DurableOptions { buffer_bytes_max: None, cursor_update_count: 1, keeps_state: false };
    options.durable = Some(kept);
    let (durable, other) = (Consumer::new(options), Consumer::new(ConsumerOptions::new("other")));
    let matcher = Matcher::parse("Payload != 'given'").unwrap().0;
    log.register(&durable, &matcher).unwrap();
    let routes = [&durable, &other]
        .map(|consumer| Route { matcher: matcher.clone(), consumer: Arc::clone(consumer) });
    stream.set_routes(&routes).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    Run { runtime, stream, log, durable, other }
}

impl Run {
    fn append(&self, payload: &str) {
        let mut source = self.stream.source(Arc::default());
        self.runtime.block_on(source.append(batch(&[payload]), 1)).unwrap();
    }

    /// Takes and acknowledges until `count` messages came.
    fn take(&self, count: usize) -> Vec<String> {
        let mut got = Vec::new();
        self.runtime.block_on(async {
            while got.len() < count {
                let next = tokio::time::timeout(Duration::from_secs(20), self.durable.next());
                let delivery = next.await.expect("no message came").unwrap();
                got.extend(payloads(&delivery));
                delivery.ack.delivered();
            }
        });
        got
    }
}

#[test]
fn what_is_given_goes_to_one_consumer_past_its_matcher_and_settles_with_its_answer() {
    let run = run(&Arc::default());
    run.append("before");
    let given = run.runtime.block_on(run.stream.give(&run.durable, batch(&["given"]))).unwrap();
    run.append("behind");
    assert_eq!(run.take(1), ["before"]);
    assert!(!given.is_idle());
    let delivery = run.durable.try_next().unwrap();
    assert_eq!((payloads(&delivery), delivery.ack.sequence()), (vec!["given".to_owned()], 0));
    drop(delivery);
    assert_eq!(run.take(2), ["given", "behind"], "it was taken back, and came again");
    assert!(given.is_idle());
    run.durable.counts().balance().unwrap();
    assert_eq!(run.durable.counts().delivered(), 3);
    assert_eq!(run.other.counts().matched(), 2);
}

#[test]
fn what_is_given_is_in_no_log_and_holds_no_cursor() {
    let storage = Arc::new(MemoryStorage::default());
    let first = run(&storage);
    first.append("one");
    let given = first.runtime.block_on(first.stream.give(&first.durable, batch(&["given"])));
    first.append("two");
    assert_eq!(first.take(1), ["one"]);
    let unanswered = first.durable.try_next().unwrap();
    assert_eq!(first.take(1), ["two"]);
    while first.log.figures().written_batches < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(first.log.close(Duration::from_secs(5)));
    assert!(!given.unwrap().is_idle(), "who gave it knows that it was not answered for");
    drop(unanswered);
    let reader: Arc<dyn Storage> = Arc::clone(&storage) as _;
    let state = heka_stream::read_state(&reader, LOG.as_ref()).unwrap().state;
    assert_eq!(state.cursors["durable"].sequence, state.next_sequence);
    let mut reader = LogReader::new(reader, LOG.as_ref(), 0);
    let mut batches = 0;
    while reader.next().unwrap().is_some() {
        batches += 1;
    }
    assert_eq!(batches, 2);
}

#[test]
fn what_is_given_survives_a_rewind_and_falling_behind() {
    let run = run(&Arc::default());
    run.append("one");
    let given = run.runtime.block_on(run.stream.give(&run.durable, batch(&["given"]))).unwrap();
    run.log.rewind(&run.durable, 1);
    let mut got = run.take(2);
    got.sort();
    assert_eq!(got, ["given", "one"]);
    assert!(given.is_idle());

    let given = run.runtime.block_on(run.stream.give(&run.durable, batch(&["given"]))).unwrap();
    let long: Vec<String> = (10..30).map(|number| format!("{number} {:0>500}", 0)).collect();
    long.iter().for_each(|text| run.append(text));
    assert!(run.durable.is_behind());
    let mut got = run.take(21);
    got.retain(|text| text != "given");
    assert_eq!(got, long, "in order and once");
    assert!(given.is_idle());
    run.durable.counts().balance().unwrap();
}

#[test]
fn who_gives_waits_for_room_whatever_the_full_action_and_learns_of_the_end() {
    let run = run(&Arc::default());
    let text = "x".repeat(3000);
    let given = run.runtime.block_on(run.stream.give(&run.durable, batch(&[&text]))).unwrap();
    let mut second = Box::pin(run.stream.give(&run.durable, batch(&["given"])));
    let mut context = Context::from_waker(Waker::noop());
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert_eq!(run.take(1), std::slice::from_ref(&text));
    assert!(given.is_idle());
    let Poll::Ready(Some(settled)) = second.as_mut().poll(&mut context) else { panic!("waits") };
    assert_eq!(run.take(1), ["given"]);
    assert!(settled.is_idle());
    run.durable.close();
    assert!(run.runtime.block_on(run.stream.give(&run.durable, batch(&["late"]))).is_none());
    run.durable.counts().balance().unwrap();
}
