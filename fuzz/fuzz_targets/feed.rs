//! Feed: lines of any length, in any chunks, come out as the policy for long records says, and no byte is unaccounted.

#![no_main]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heka_fuzz::{Chunks, choice, context};
use heka_matcher::Matcher;
use heka_message::{Envelope, NameRegistry, Record};
use heka_plugin::{
    Feed, FeedMaker, FeedSettings, InputCounts, LimitedLog, Oversize, Plugin, Pools, Prepared,
    Splitter, StartContext, StartError,
};
use heka_plugin_core::{TokenSplitter, TokenSplitterConfig};
use heka_stream::{Consumer, ConsumerOptions, ManualClock, Route, SourceCounts, Stream};
use libfuzzer_sys::fuzz_target;

/// Longest record; small, so that the limit is met.
const LIMIT: usize = 10;
const POLICIES: [Oversize; 3] = [Oversize::Drop, Oversize::Truncate, Oversize::Keep];

/// Lines.
struct Lines;

impl Prepared<dyn Splitter> for Lines {
    fn start(&self, context: &StartContext) -> Result<Box<dyn Splitter>, StartError> {
        Ok(Box::new(TokenSplitter::start(&TokenSplitterConfig::default(), context)?))
    }

    fn references(&self) -> Vec<String> {
        Vec::new()
    }

    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

struct World {
    maker: FeedMaker,
    consumer: Arc<Consumer>,
}

impl World {
    fn new(oversize: Oversize, deliver_incomplete_final: bool) -> Self {
        let names = NameRegistry::new();
        let clock = Arc::new(ManualClock::new(heka_fuzz::NOW_NS));
        let stream = Stream::new(1 << 30, Arc::clone(&names), clock);
        let mut options = ConsumerOptions::new("all");
        options.window_bytes = usize::MAX;
        let consumer = Consumer::new(options);
        let (matcher, _) = Matcher::parse("TRUE").expect("a matcher");
        let route = Route { matcher, consumer: Arc::clone(&consumer) };
        stream.set_routes(&[route]).expect("one route");
        let settings = FeedSettings {
            use_message_bytes: false,
            oversize,
            deliver_incomplete_final,
            max_record_size: LIMIT,
            min_buffer_size: 0,
            send_decode_failures: false,
            log_decode_failures: false,
            flush_after: None,
        };
        let maker = FeedMaker {
            splitter: Arc::new(Lines),
            splitter_name: "Lines".into(),
            decoder: None,
            settings: Arc::new(settings),
            stream,
            ledger: Arc::new(SourceCounts::default()),
            counts: Arc::new(InputCounts::default()),
            context: context(names),
            pools: Pools::default(),
            log: Arc::new(LimitedLog::default()),
        };
        Self { maker, consumer }
    }

    /// The payloads that came so far, each with whether it is marked as cut.
    fn taken(&self, payloads: &mut Vec<(Vec<u8>, bool)>) {
        let cut = |record: &Record<'_>| record.field_named(b"record_truncated").is_some();
        while let Some(delivery) = self.consumer.try_next() {
            let records = delivery.records();
            payloads.extend(records.map(|record| (record.payload().to_vec(), cut(&record))));
            delivery.ack.delivered();
        }
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("had to wait"),
    }
}

fn push(feed: &mut Feed, mut data: &[u8]) {
    while !data.is_empty() {
        let space = feed.space();
        let len = space.len().min(data.len());
        assert!(len > 0, "there is space");
        space[..len].copy_from_slice(&data[..len]);
        data = &data[len..];
        now(feed.commit(len)).expect("the stream takes it");
    }
}

/// What is to become of a line.
fn expect(line: &[u8], oversize: Oversize, payloads: &mut Vec<(Vec<u8>, bool)>) {
    match oversize {
        _ if line.len() <= LIMIT => payloads.push((line.to_vec(), false)),
        Oversize::Drop => {}
        Oversize::Truncate => payloads.push((line[..LIMIT].to_vec(), true)),
        Oversize::Keep => payloads.extend(line.chunks(LIMIT).map(|piece| (piece.to_vec(), false))),
    }
}

fuzz_target!(|data: &[u8]| {
    let (kind, data) = choice(data);
    let (seed, data) = choice(data);
    let oversize = POLICIES[usize::from(kind & 0xf) % POLICIES.len()];
    let (always, wanted) = (kind & 0x80 != 0, kind & 0x40 != 0);
    let world = World::new(oversize, wanted);
    let mut feed = world.maker.feed("", Envelope::new("in")).expect("it starts");
    let (mut taken, mut expected) = (Vec::new(), Vec::new());
    if kind & 0x20 == 0 {
        stream(&world, &mut feed, (seed, data), always, &mut taken);
        for line in data.split_inclusive(|&byte| byte == b'\n') {
            let complete = line.ends_with(b"\n");
            // The start of a long record goes out before its end is known.
            let begun = oversize == Oversize::Truncate && line.len() > LIMIT;
            if complete || always || wanted || begun {
                expect(line, oversize, &mut expected);
            } else if oversize == Oversize::Keep {
                // How many of its pieces went out depends on how it was read.
                let pieces = taken.len().saturating_sub(expected.len());
                let pieces = line.chunks_exact(LIMIT).take(pieces);
                expected.extend(pieces.map(|piece| (piece.to_vec(), false)));
            }
        }
    } else {
        let mut number = 0;
        for block in Chunks::new(seed, data) {
            feed.block(block, |_| {});
            number += block.len() as u64;
            let lines: Vec<&[u8]> = block.split_inclusive(|&byte| byte == b'\n').collect();
            for (index, line) in lines.iter().enumerate() {
                if line.ends_with(b"\n") || index == 0 || wanted {
                    expect(line, oversize, &mut expected);
                }
            }
        }
        now(feed.publish(number)).expect("the stream takes it");
        world.taken(&mut taken);
        assert_eq!(feed.settled().position(), number);
    }
    assert_eq!(taken, expected, "{oversize:?}, always {always}, wanted {wanted}");
    assert_eq!(world.maker.counts.bytes.get(), data.len() as u64);
});

/// Feeds a stream in chunks, and ends it.
fn stream(
    world: &World,
    feed: &mut Feed,
    (seed, data): (u8, &[u8]),
    always: bool,
    taken: &mut Vec<(Vec<u8>, bool)>,
) {
    let mut pushed = 0;
    for chunk in Chunks::new(seed, data) {
        push(feed, chunk);
        pushed += chunk.len();
        assert_eq!(feed.consumed() + feed.pending() as u64, pushed as u64);
        // Of a record that is kept, one piece goes out for each read.
        let bounded = feed.pending() <= LIMIT || world.maker.settings.oversize == Oversize::Keep;
        assert!(bounded, "{} bytes wait", feed.pending());
        assert_eq!(feed.pending_data(), &data[pushed - feed.pending()..pushed]);
        if pushed % 3 == 0 {
            world.taken(taken);
            assert_eq!(feed.settled().position(), feed.consumed());
            feed.release_buffer();
        }
    }
    now(feed.end(always)).expect("the stream takes it");
    world.taken(taken);
    assert_eq!((feed.consumed(), feed.pending()), (data.len() as u64, 0));
    assert_eq!(feed.settled().position(), data.len() as u64);
}
