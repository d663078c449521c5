//! Bytes to batches: boundaries, limits, decode failures, positions, buffers.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heka_matcher::Matcher;
use heka_message::{Envelope, NameRegistry, RecordBuilder, Value};
use heka_plugin::{
    Decode, DecodeError, Decoder, Feed, FeedMaker, FeedSettings, Frames, InputCounts, LimitedLog,
    MakeDecoder, Oversize, Pools, Prepared, Reload, Scan, Splitter, StartContext, StartError,
};
use heka_stream::{
    Consumer, ConsumerOptions, ManualClock, MemoryStorage, Route, SourceCounts, Stream,
};
use proptest::prelude::*;

pub(crate) const LIMIT: usize = 100;

/// Lines with their end, found the slow way.
struct Lines;

impl Splitter for Lines {
    fn split(&mut self, data: &[u8], _: Scan, frames: &mut Frames) -> usize {
        let mut start = 0;
        for (at, _) in data.iter().enumerate().filter(|&(_, &byte)| byte == b'\n') {
            frames.push(start..at + 1);
            start = at + 1;
        }
        start
    }
}

/// Refuses lines that begin with `bad`, doubles those that begin with `two`, drops those that begin with `no`.
struct Picky;

impl Decoder for Picky {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        let name = record.name_id(b"length");
        record.field(name, Value::Int(data.len() as i64));
        if data.starts_with(b"bad") {
            return Err(DecodeError::at(3, "bad line"));
        }
        if data.starts_with(b"no") {
            return Ok(Decode::Discard);
        }
        if data.starts_with(b"two") {
            record.emit().map_err(|error| DecodeError::new(error.to_string()))?;
            record.payload("second");
        }
        Ok(Decode::Done)
    }
}

struct Made<K: ?Sized>(fn() -> Box<K>);

impl<K: ?Sized> Prepared<K> for Made<K> {
    fn start(&self, _: &StartContext) -> Result<Box<K>, StartError> {
        Ok((self.0)())
    }

    fn references(&self) -> Vec<String> {
        Vec::new()
    }

    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

struct Decoders;

impl MakeDecoder for Decoders {
    fn make_decoder(&self, _: &str, _: &StartContext) -> Result<Box<dyn Decoder>, StartError> {
        Ok(Box::new(Picky))
    }
}

pub(crate) struct World {
    pub(crate) maker: FeedMaker,
    pub(crate) consumer: Arc<Consumer>,
}

pub(crate) fn settings() -> FeedSettings {
    FeedSettings {
        use_message_bytes: false,
        oversize: Oversize::Drop,
        deliver_incomplete_final: false,
        max_record_size: LIMIT,
        min_buffer_size: 0,
        send_decode_failures: false,
        log_decode_failures: false,
        flush_after: None,
    }
}

impl World {
    pub(crate) fn new(settings: FeedSettings, decoder: bool) -> Self {
        let names = NameRegistry::new();
        let clock = Arc::new(ManualClock::new(7));
        let stream = Stream::new(1 << 30, Arc::clone(&names), clock.clone());
        let mut options = ConsumerOptions::new("all");
        options.window_bytes = usize::MAX;
        let consumer = Consumer::new(options);
        let matcher = Matcher::parse("TRUE").unwrap().0;
        stream.set_routes(&[Route { matcher, consumer: Arc::clone(&consumer) }]).unwrap();
        let context = StartContext {
            name: "in".into(),
            names,
            hostname: "host".into(),
            pid: 1,
            base_dir: std::path::Path::new("/nowhere").into(),
            share_dir: std::path::Path::new("/nowhere").into(),
            max_message_size: LIMIT,
            log_flags: 0,
            clock,
            storage: Arc::new(MemoryStorage::default()),
            decoders: Arc::new(Decoders),
            log: None,
            letters: None,
            reload: Reload::default(),
            filters: None,
        };
        let maker = FeedMaker {
            splitter: Arc::new(Made(|| Box::new(Lines) as Box<dyn Splitter>)),
            splitter_name: "Lines".into(),
            decoder: decoder.then(|| "Picky".into()),
            settings: Arc::new(settings),
            stream,
            ledger: Arc::new(SourceCounts::default()),
            counts: Arc::new(InputCounts::default()),
            context,
            pools: Pools::default(),
            log: Arc::new(LimitedLog::default()),
        };
        Self { maker, consumer }
    }

    fn feed(&self) -> Feed {
        self.maker.feed("", Envelope::new("in").message_type("test")).unwrap()
    }

    pub(crate) fn taken(&self) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        while let Some(delivery) = self.consumer.try_next() {
            payloads.extend(delivery.records().map(|record| record.payload().to_vec()));
            delivery.ack.delivered();
        }
        payloads
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.taken().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("had to wait"),
    }
}

fn push(feed: &mut Feed, mut data: &[u8]) {
    while !data.is_empty() {
        let space = feed.space();
        let len = space.len().min(data.len());
        space[..len].copy_from_slice(&data[..len]);
        data = &data[len..];
        now(feed.commit(len)).unwrap();
    }
}

#[test]
fn records_are_cut_out_of_what_was_read_and_positions_follow_them() {
    let world = World::new(settings(), false);
    let mut feed = world.feed();
    push(&mut feed, b"one\ntw");
    assert_eq!((feed.consumed(), feed.pending()), (4, 2));
    assert_eq!(feed.settled().position(), 0);
    assert_eq!(world.texts(), ["one\n"]);
    assert_eq!(feed.settled().position(), 4);
    push(&mut feed, b"o\n\nrest");
    assert_eq!(world.texts(), ["two\n", "\n"]);
    assert_eq!((feed.consumed(), feed.pending_data()), (9, &b"rest"[..]));
    now(feed.end(true)).unwrap();
    assert_eq!(world.texts(), ["rest"]);
    assert_eq!((feed.consumed(), feed.pending()), (13, 0));
}

#[test]
fn an_unfinished_rest_is_given_up_unless_it_is_wanted() {
    for wanted in [false, true] {
        let deliver_incomplete_final = wanted;
        let world = World::new(FeedSettings { deliver_incomplete_final, ..settings() }, false);
        let mut feed = world.feed();
        push(&mut feed, b"rest");
        now(feed.end(false)).unwrap();
        assert_eq!(world.texts().len(), usize::from(wanted));
        assert_eq!(world.maker.counts.incomplete.get(), u64::from(!wanted));
        assert_eq!(feed.settled().position(), 4);
    }
}

#[test]
fn the_limit_holds_at_its_edge() {
    let world = World::new(settings(), false);
    let mut feed = world.feed();
    let line = |len: usize| [&vec![b'x'; len - 1][..], b"\n"].concat();
    push(&mut feed, &line(LIMIT));
    push(&mut feed, &line(LIMIT + 1));
    push(&mut feed, b"after\n");
    assert_eq!(world.taken(), [line(LIMIT), b"after\n".to_vec()]);
    let counts = &world.maker.counts;
    assert_eq!((counts.oversize_dropped.get(), counts.records.get()), (1, 3));
}

#[test]
fn a_record_over_the_limit_follows_its_policy_up_to_its_delimiter() {
    let long = [b'x'; 350];
    for (oversize, expected) in [
        (Oversize::Drop, vec![]),
        (Oversize::Truncate, vec![100]),
        (Oversize::Keep, vec![100, 100, 100, 51]),
    ] {
        for chunk in [1, 7, 99, 100, 101, 1000] {
            let world = World::new(FeedSettings { oversize, ..settings() }, false);
            let mut feed = world.feed();
            let data = [&long[..], b"\nnext\n"].concat();
            data.chunks(chunk).for_each(|part| push(&mut feed, part));
            let mut taken = world.taken();
            assert_eq!(taken.pop().as_deref(), Some(&b"next\n"[..]), "{oversize:?} {chunk}");
            let lengths: Vec<usize> = taken.iter().map(Vec::len).collect();
            assert_eq!(lengths, expected, "{oversize:?} in chunks of {chunk}");
            assert_eq!(feed.settled().position(), data.len() as u64);
        }
    }
}

#[test]
fn a_cut_record_is_marked() {
    let world = World::new(FeedSettings { oversize: Oversize::Truncate, ..settings() }, false);
    let mut feed = world.feed();
    push(&mut feed, &[&[b'x'; 200][..], b"\n"].concat());
    let delivery = world.consumer.try_next().unwrap();
    let record = delivery.records().next().unwrap();
    let field = record.field_named(b"record_truncated").unwrap();
    assert_eq!(field.first(), Some(Value::Bool(true)));
}

#[test]
fn a_hundred_megabytes_without_a_newline_need_no_memory() {
    let world = World::new(settings(), false);
    let mut feed = world.feed();
    for _ in 0..400 {
        let space = feed.space();
        space.fill(b'x');
        let len = space.len();
        assert!(len <= 512 << 10, "the buffer grew to {len}");
        now(feed.commit(len)).unwrap();
    }
    push(&mut feed, b"\nalive\n");
    assert_eq!(world.texts(), ["alive\n"]);
    assert_eq!(world.maker.counts.oversize_dropped.get(), 1);
}

#[test]
fn what_cannot_be_decoded_is_counted_and_routed_on_demand() {
    let world = World::new(settings(), true);
    let mut feed = world.feed();
    push(&mut feed, b"good\nbad one\ntwo\nno\n");
    assert_eq!(world.texts(), ["good\n", "two\n", "second"]);
    let counts = &world.maker.counts;
    assert_eq!((counts.decode_failed.get(), counts.discarded.get()), (1, 1));

    let send_decode_failures = true;
    let world = World::new(FeedSettings { send_decode_failures, ..settings() }, true);
    let mut feed = world.feed();
    push(&mut feed, b"bad one\n");
    let delivery = world.consumer.try_next().unwrap();
    let record = delivery.records().next().unwrap();
    assert_eq!(record.payload(), b"bad one\n", "what could not be decoded is kept");
    let error = record.field_named(b"decode_error").unwrap().first();
    assert_eq!(error, Some("bad line at byte 3".into()));
    let failure = record.field_named(b"decode_failure").unwrap().first();
    assert_eq!(failure, Some(Value::Bool(true)));
    assert!(record.field_named(b"length").is_none(), "nothing of the attempt remains");
}

#[test]
fn blocks_keep_their_boundaries_and_their_decoration() {
    let world = World::new(settings(), false);
    let mut feed = world.feed();
    for (data, host) in [("one", "a"), ("two\nthree\nfour", "b"), ("", "c")] {
        feed.block(data.as_bytes(), |record| {
            record.hostname(host);
        });
    }
    now(feed.publish(3)).unwrap();
    let delivery = world.consumer.try_next().unwrap();
    let seen: Vec<(&[u8], &[u8])> =
        delivery.records().map(|record| (record.payload(), record.hostname())).collect();
    assert_eq!(seen, [(&b"one"[..], &b"a"[..]), (b"two\n", b"b"), (b"three\n", b"b")]);
    delivery.ack.delivered();
    assert_eq!(feed.settled().position(), 3);
}

#[test]
fn an_idle_feed_holds_no_buffer_but_keeps_an_unfinished_record() {
    let world = World::new(settings(), false);
    let mut feed = world.feed();
    push(&mut feed, b"line\nhalf");
    feed.release_buffer();
    push(&mut feed, b" line\n");
    feed.release_buffer();
    assert_eq!(world.texts(), ["line\n", "half line\n"]);
}

proptest! {
    /// However the bytes arrive, the records are the same and no byte is lost or doubled.
    #[test]
    fn read_boundaries_do_not_matter(
        lines in prop::collection::vec("[a-z]{0,90}", 0..200),
        cuts in prop::collection::vec(1..9_000_usize, 1..40),
    ) {
        let data: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let world = World::new(settings(), false);
        let mut feed = world.feed();
        let mut rest = &data[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = (*cuts.next().unwrap()).min(rest.len());
            push(&mut feed, &rest[..cut]);
            rest = &rest[cut..];
        }
        let expected: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
        prop_assert_eq!(world.texts(), expected);
        prop_assert_eq!(feed.settled().position(), data.len() as u64);
    }
}
