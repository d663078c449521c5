//! What the tests of this crate run plugins in: a stream with one consumer that gets everything.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use heka_config::{Category, Section, parse_config};
use heka_matcher::Matcher;
use heka_message::{
    Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Record, RecordBuilder, Variables,
};
use heka_plugin::{
    Clock, DecodeError, Decoder, Delivery, Encoded, Encoder, EncoderRunner, Feed, FeedMaker,
    FeedSettings, Filter, FilterContext, Flush, InputContext, InputCounts, InputError, LimitedLog,
    MakeDecoder, Maker, Output, OutputContext, OutputError, Oversize, Plugin, PluginCounts,
    PluginDef, Pools, Reload, Reporter, Splitter, StartContext, StartError, StopSwitch,
};
use heka_stream::{
    Consumer, ConsumerOptions, ManualClock, MemoryStorage, Route, SourceCounts, Stream,
};
use heka_wire::encode_message;
use tokio::io::AsyncWrite;
use tokio::runtime::Runtime;

use crate::payload_encoder::PayloadEncoder;

/// Where the clock of every test begins.
pub(crate) const NOW_NS: i64 = 1_000_000_000_000;

/// Longest message of every test.
const MESSAGE_BYTES_MAX: usize = 65_536;

/// Memory of the stream in bytes.
const STREAM_BYTES: u64 = 256 << 20;

/// The section of a plugin; tables in `config` are taken as tables of the section.
fn section<T: Plugin>(config: &str) -> Section {
    let config = format!("\n{config}").replace("\n[", "\n[tested.");
    let text = format!("[tested]\ntype = '{}'\n{config}\n", T::NAME);
    let (mut read, problems) = parse_config(&text, "test.toml");
    assert!(!problems.has_errors(), "{problems:?}");
    read.sections.remove(0)
}

fn configured<T: Plugin>(config: &str) -> T::Config {
    let mut problems = heka_config::Problems::new();
    let decoded = section::<T>(config).decode::<heka_config::NoCommon, T::Config>(&mut problems);
    decoded.unwrap_or_else(|| panic!("{problems:?}")).1
}

fn started<T: Plugin>(config: &str, context: &StartContext) -> T {
    T::start(&configured::<T>(config), context).unwrap()
}

type Sections = fn(&str, &StartContext) -> Option<Box<dyn Decoder>>;

/// Makes the decoders that a test knows.
struct Decoders(Sections);

impl MakeDecoder for Decoders {
    fn make_decoder(
        &self,
        name: &str,
        context: &StartContext,
    ) -> Result<Box<dyn Decoder>, StartError> {
        (self.0)(name, context).ok_or_else(|| StartError::new(format!("no section {name}")))
    }
}

/// Payloads as text.
pub(crate) fn texts(payloads: &[Vec<u8>]) -> Vec<String> {
    payloads.iter().map(|payload| String::from_utf8(payload.clone()).unwrap()).collect()
}

/// The bytes of a message made of nothing.
pub(crate) fn encoded_message(fill: impl FnOnce(&mut RecordBuilder<'_>)) -> Vec<u8> {
    let names = NameRegistry::new().snapshot();
    let mut builder = BatchBuilder::new(names, Arc::new(Envelope::default()), Buffer::empty(), 0);
    let mut record = builder.record();
    record.detach();
    fill(&mut record);
    let mut bytes = Vec::new();
    encode_message(&record.view().record(), &mut bytes);
    bytes
}

/// A stream with a consumer that gets everything, and the daemon around it.
struct World {
    runtime: Runtime,
    clock: Arc<ManualClock>,
    stream: Stream,
    consumer: Arc<Consumer>,
    context: StartContext,
}

impl World {
    fn new(sections: Sections) -> Self {
        let clock = Arc::new(ManualClock::new(NOW_NS));
        let names = NameRegistry::new();
        let stream =
            Stream::new(STREAM_BYTES, Arc::clone(&names), Arc::clone(&clock) as Arc<dyn Clock>);
        let consumer = Consumer::new(ConsumerOptions::new("tested"));
        let matcher = Matcher::parse("TRUE").unwrap().0;
        stream.set_routes(&[Route { matcher, consumer: Arc::clone(&consumer) }]).unwrap();
        let context = StartContext {
            name: "in".into(),
            names,
            hostname: "host".into(),
            pid: 42,
            base_dir: Path::new("/nonexistent").into(),
            share_dir: Path::new("/nonexistent").into(),
            max_message_size: MESSAGE_BYTES_MAX,
            log_flags: 0,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            storage: Arc::new(MemoryStorage::default()),
            decoders: Arc::new(Decoders(sections)),
            log: None,
            letters: None,
            reload: Reload::default(),
            filters: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, clock, stream, consumer, context }
    }

    fn plain() -> Self {
        Self::new(|_, _| None)
    }

    fn feeds<T: Plugin + Splitter>(&self, config: &str) -> Arc<FeedMaker> {
        let Maker::Splitter(prepare) = PluginDef::splitter::<T>().maker else {
            panic!("{} is no splitter", T::NAME)
        };
        assert_eq!(Category::of_type(T::NAME), Some(Category::Splitter));
        let mut problems = heka_config::Problems::new();
        let prepared = prepare(&section::<T>(config), &mut problems);
        let (common, splitter) = prepared.unwrap_or_else(|| panic!("{problems:?}"));
        let oversize = match common.oversize() {
            heka_config::Oversize::Drop => Oversize::Drop,
            heka_config::Oversize::Truncate => Oversize::Truncate,
            heka_config::Oversize::Keep => Oversize::Keep,
        };
        let settings = FeedSettings {
            use_message_bytes: common.use_message_bytes.unwrap_or(T::DEFAULTS.use_message_bytes),
            oversize,
            deliver_incomplete_final: common.deliver_incomplete_final,
            max_record_size: self.context.max_record_size(),
            min_buffer_size: 0,
            send_decode_failures: false,
            log_decode_failures: true,
            flush_after: None,
        };
        Arc::new(FeedMaker {
            splitter,
            splitter_name: T::NAME.into(),
            decoder: None,
            settings: Arc::new(settings),
            stream: self.stream.clone(),
            ledger: Arc::new(SourceCounts::default()),
            counts: Arc::new(InputCounts::default()),
            context: self.context.clone(),
            pools: Pools::default(),
            log: Arc::new(LimitedLog::default()),
        })
    }

    /// Appends messages to the stream; what the consumer gets of them waits for it.
    fn append(&self, fill: impl FnOnce(&mut BatchBuilder)) {
        let (names, envelope) = (self.context.names.snapshot(), Arc::new(Envelope::new("in")));
        let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), self.clock.now_ns());
        fill(&mut builder);
        let mut source = self.stream.source(Arc::new(SourceCounts::default()));
        self.runtime.block_on(source.append(builder.finish(), 1)).unwrap();
    }

    /// Appends a message; returns what the consumer gets.
    fn deliver(&self, fill: impl FnOnce(&mut RecordBuilder<'_>)) -> Delivery {
        self.append(|builder| {
            let mut record = builder.record();
            fill(&mut record);
            record.commit().unwrap();
        });
        self.consumer.try_next().unwrap()
    }

    fn runner(&self, encoder: Box<dyn Encoder>) -> EncoderRunner {
        EncoderRunner {
            encoder,
            frame: None,
            max_message_size: MESSAGE_BYTES_MAX,
            names: Arc::clone(&self.context.names),
            counts: Arc::default(),
            log: LimitedLog::default(),
            letters: None,
        }
    }
}

/// A record as it reached the consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    payload: Vec<u8>,
    signer: Vec<u8>,
}

impl Received {
    pub(crate) fn new(payload: &[u8], signer: &[u8]) -> Self {
        Self { payload: payload.to_vec(), signer: signer.to_vec() }
    }

    fn of(record: &Record<'_>) -> Self {
        Self::new(record.payload(), record.signer())
    }
}

/// Takes and acknowledges what waits for the consumer.
fn drain(consumer: &Arc<Consumer>, received: &mut Vec<Received>) {
    while let Some(delivery) = consumer.try_next() {
        received.extend(delivery.records().map(|record| Received::of(&record)));
        delivery.ack.delivered();
    }
}

fn payloads(received: &[Received]) -> Vec<Vec<u8>> {
    received.iter().map(|record| record.payload.clone()).collect()
}

/// Bytes through a splitter to the stream.
pub(crate) struct Feeding {
    world: World,
    feed: Feed,
    counts: Arc<InputCounts>,
    received: Vec<Received>,
}

impl Feeding {
    pub(crate) fn of<T: Plugin + Splitter>(config: &str) -> Self {
        let world = World::plain();
        let feeds = world.feeds::<T>(config);
        let feed = feeds.feed("", Envelope::new("in")).unwrap();
        Self { world, feed, counts: Arc::clone(&feeds.counts), received: Vec::new() }
    }

    /// The records that these reads complete.
    pub(crate) fn reads(&mut self, reads: &[&[u8]]) -> Vec<Vec<u8>> {
        let before = self.received.len();
        for read in reads {
            let mut rest = *read;
            loop {
                let space = self.feed.space();
                let (now, later) = rest.split_at(rest.len().min(space.len()));
                space[..now.len()].copy_from_slice(now);
                self.world.runtime.block_on(self.feed.commit(now.len())).unwrap();
                drain(&self.world.consumer, &mut self.received);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        }
        payloads(&self.received[before..])
    }

    /// As `reads`, in reads of so many bytes.
    pub(crate) fn chunks(&mut self, stream: &[u8], bytes: usize) -> Vec<Vec<u8>> {
        let chunks: Vec<&[u8]> = stream.chunks(bytes).collect();
        self.reads(&chunks)
    }

    /// As `reads`, of a stream that ends then.
    pub(crate) fn stream(&mut self, reads: &[&[u8]]) -> Vec<Vec<u8>> {
        let before = self.received.len();
        self.reads(reads);
        self.world.runtime.block_on(self.feed.end(false)).unwrap();
        drain(&self.world.consumer, &mut self.received);
        payloads(&self.received[before..])
    }

    /// The records of blocks with boundaries of their own.
    pub(crate) fn blocks(&mut self, blocks: &[&[u8]]) -> Vec<Vec<u8>> {
        let before = self.received.len();
        for block in blocks {
            self.feed.block(block, |_| {});
        }
        self.world.runtime.block_on(self.feed.publish(1)).unwrap();
        drain(&self.world.consumer, &mut self.received);
        payloads(&self.received[before..])
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.clone()
    }

    pub(crate) fn left(&self) -> usize {
        self.feed.pending()
    }

    pub(crate) fn skipped_bytes(&self) -> u64 {
        self.counts.skipped_bytes.get()
    }

    pub(crate) fn bad_signatures(&self) -> u64 {
        self.counts.bad_signature.get()
    }

    pub(crate) fn oversize_dropped(&self) -> u64 {
        self.counts.oversize_dropped.get()
    }
}

/// Records through a decoder.
pub(crate) struct Decoding {
    world: World,
    decoder: Box<dyn Decoder>,
}

impl Decoding {
    pub(crate) fn of<T: Plugin + Decoder>(config: &str) -> Self {
        Self::with_sections::<T>(config, |_, _| None)
    }

    /// `sections` makes the decoders that the tested one asks for.
    pub(crate) fn with_sections<T: Plugin + Decoder>(config: &str, sections: Sections) -> Self {
        let world = World::new(sections);
        let decoder = Self::decoder::<T>(config, &world.context);
        Self { world, decoder }
    }

    pub(crate) fn decoder<T: Plugin + Decoder>(
        config: &str,
        context: &StartContext,
    ) -> Box<dyn Decoder> {
        Box::new(started::<T>(config, context))
    }

    /// Decodes a payload of the input `in`.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Result<Batch, DecodeError> {
        let (names, envelope) = (self.world.context.names.snapshot(), Envelope::new("in").into());
        let raw = Buffer::from(payload.to_vec());
        let mut builder = BatchBuilder::new(names, envelope, raw.clone(), NOW_NS);
        let mut record = builder.record();
        record.payload(&raw[..]);
        match self.decoder.decode(&raw, &mut record)? {
            heka_plugin::Decode::Done => record.commit().unwrap(),
            heka_plugin::Decode::Discard => record.discard(),
        }
        Ok(builder.finish())
    }
}

/// Messages through an encoder.
pub(crate) struct Encoding {
    world: World,
    encoder: EncoderRunner,
    records: usize,
}

impl Encoding {
    pub(crate) fn of<T: Plugin + Encoder>(config: &str) -> Self {
        Self::with(|context| started::<T>(config, context))
    }

    pub(crate) fn with<E: Encoder + 'static>(make: impl FnOnce(&StartContext) -> E) -> Self {
        let world = World::plain();
        let encoder = world.runner(Box::new(make(&world.context)));
        Self { world, encoder, records: 0 }
    }

    /// The same message twice: also what the encoder remembers of the first one must not show.
    pub(crate) fn encode(&mut self, fill: impl Fn(&mut RecordBuilder<'_>)) -> Vec<u8> {
        let mut out = Encoded::new();
        for _ in 0..2 {
            let delivery = self.world.deliver(&fill);
            let now_ns = self.world.clock.now_ns();
            let ack = self.encoder.encode(delivery, &mut out, "tested", now_ns);
            assert_eq!(ack.rejected(), 0);
            ack.delivered();
        }
        self.records += out.record_count();
        let bytes = out.to_vec();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let ids_differ = first.len() == second.len() && !encoded_alike(first, second);
        assert!(!ids_differ, "the second message was encoded differently");
        first.to_vec()
    }

    pub(crate) fn records(&self) -> usize {
        self.records
    }
}

/// Messages without an id of their own differ in the derived one; all else must be the same.
fn encoded_alike(first: &[u8], second: &[u8]) -> bool {
    let differing = first.iter().zip(second).filter(|(left, right)| left != right).count();
    differing <= heka_message::Uuid::TEXT_LEN
}

/// Messages and ticks through a filter.
pub(crate) struct Filtering {
    world: World,
    filter: Box<dyn Filter>,
    context: FilterContext,
    injected: Vec<(String, u8)>,
    total: usize,
}

impl Filtering {
    pub(crate) fn of<T: Plugin + Filter>(config: &str) -> Self {
        let world = World::plain();
        let filter: Box<dyn Filter> = Box::new(started::<T>(config, &world.context));
        let context = FilterContext {
            name: "tested".into(),
            clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
            names: Arc::clone(&world.context.names),
            envelope: Arc::new(Envelope::new("tested")),
            hostname: Arc::clone(&world.context.hostname),
            pid: world.context.pid,
            matcher: Arc::new(Matcher::parse("FALSE").unwrap().0),
            consumer: None,
            loops_max: 4,
            process_inject_max: 1,
            timer_inject_max: 10,
            process_duration_max_ns: 100_000,
            counts: Arc::default(),
            reporter: Reporter::new(),
            log: LimitedLog::default(),
            injected: None,
        };
        Self { world, filter, context, injected: Vec::new(), total: 0 }
    }

    pub(crate) fn messages(&mut self, count: usize) {
        self.messages_of_loop(count, 0);
    }

    pub(crate) fn messages_of_loop(&mut self, count: usize, loops: u8) {
        self.world.append(|builder| {
            for _ in 0..count {
                let mut record = builder.record();
                record.loops(loops);
                record.commit().unwrap();
            }
        });
        let delivery = self.world.consumer.try_next().unwrap();
        self.filter.process(&delivery, &mut self.context).unwrap();
        delivery.ack.delivered();
        self.total += count;
    }

    /// Number of messages given to it.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The ticker fires so many seconds later: the payloads injected.
    pub(crate) fn tick(&mut self, seconds: i64) -> Vec<String> {
        self.world.clock.advance(seconds * 1_000_000_000);
        self.filter.timer(&mut self.context).unwrap();
        let batch = self.context.take_injected();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.injected.clear();
        let mut told = Vec::new();
        for record in batch.iter().flat_map(Batch::records) {
            self.injected.push((text(record.message_type()), record.loops()));
            assert!(record.is_set(Variables::TIMESTAMP));
            told.push(text(record.payload()));
        }
        told
    }

    /// Type and loop count of what the last tick injected.
    pub(crate) fn injected(&self) -> &[(String, u8)] {
        &self.injected
    }
}

/// Deliveries to an output.
pub(crate) struct Delivering<O> {
    world: World,
    context: OutputContext,
    pub(crate) output: O,
    _stop: StopSwitch,
}

impl<O: Output> Delivering<O> {
    /// The output gets a `PayloadEncoder` with this configuration.
    pub(crate) fn to(encoder: &str, make: impl FnOnce(&StartContext, &ManualClock) -> O) -> Self {
        let world = World::plain();
        let output = make(&world.context, &world.clock);
        let payloads = started::<PayloadEncoder>(encoder, &world.context);
        let (switch, stop) = StopSwitch::new();
        let context = OutputContext {
            name: "tested".into(),
            encoder: Some(world.runner(Box::new(payloads))),
            counts: Arc::<PluginCounts>::default(),
            clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
            stop,
            log: LimitedLog::default(),
            reporter: Reporter::new(),
            letters: None,
        };
        Self { world, context, output, _stop: switch }
    }

    /// Writes one delivery of messages with these payloads.
    pub(crate) fn write(&mut self, payloads: &[&str]) -> Result<(), OutputError> {
        self.world.append(|builder| {
            for payload in payloads {
                let mut record = builder.record();
                record.payload(payload);
                record.commit().unwrap();
            }
        });
        let delivery = self.world.consumer.try_next().unwrap();
        self.world.runtime.block_on(self.output.write(delivery, &mut self.context))
    }

    pub(crate) fn flush(&mut self, why: Flush) -> Result<(), OutputError> {
        self.world.runtime.block_on(self.output.flush(why, &mut self.context))
    }

    /// Number of messages acknowledged.
    pub(crate) fn delivered(&self) -> u64 {
        self.world.consumer.counts().delivered()
    }
}

/// Where an output writes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pipe(Arc<Mutex<PipeState>>);

#[derive(Debug)]
struct PipeState {
    written: VecDeque<u8>,
    bytes_max: usize,
}

impl Default for PipeState {
    fn default() -> Self {
        Self { written: VecDeque::new(), bytes_max: usize::MAX }
    }
}

impl Pipe {
    pub(crate) fn text(&self) -> String {
        let state = self.0.lock().unwrap();
        String::from_utf8(state.written.iter().copied().collect()).unwrap()
    }

    /// Writes fail once it holds so many bytes.
    pub(crate) fn fail_after(&self, bytes: usize) {
        self.0.lock().unwrap().bytes_max = bytes;
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        let room = state.bytes_max - state.written.len();
        if room == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::Error::other("the pipe is broken")));
        }
        let taken = bytes.len().min(room);
        state.written.extend(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An input and what it reads.
pub(crate) struct Reading {
    world: World,
    context: InputContext,
    stop: StopSwitch,
    _abandon: StopSwitch,
    unsettled: usize,
}

impl Reading {
    pub(crate) fn of<T: Plugin + Splitter>(config: &str) -> Self {
        let world = World::plain();
        let feeds = world.feeds::<T>(config);
        let ((stop, stopped), (abandon, abandoned)) = (StopSwitch::new(), StopSwitch::new());
        let context = InputContext {
            start: world.context.clone(),
            counts: Arc::clone(&feeds.counts),
            feeds,
            stop: stopped,
            abandon: abandoned,
            ticker_interval: None,
            reporter: Reporter::new(),
            log: LimitedLog::default(),
        };
        Self { world, context, stop, _abandon: abandon, unsettled: 0 }
    }

    /// Runs the input to its end; the payloads of what it read.
    pub(crate) fn run(
        &mut self,
        work: impl AsyncFnOnce(&mut InputContext) -> Result<(), InputError>,
    ) -> (Result<(), InputError>, Vec<Vec<u8>>) {
        self.run_until_found(usize::MAX, work)
    }

    /// As `run`, but stops the input as soon as it read so many records.
    pub(crate) fn run_until_found(
        &mut self,
        count: usize,
        work: impl AsyncFnOnce(&mut InputContext) -> Result<(), InputError>,
    ) -> (Result<(), InputError>, Vec<Vec<u8>>) {
        let (consumer, stop) = (&self.world.consumer, &self.stop);
        let mut received = Vec::new();
        let result = self.world.runtime.block_on(async {
            let mut work: Pin<Box<dyn Future<Output = _>>> = Box::pin(work(&mut self.context));
            loop {
                tokio::select! {
                    result = &mut work => return result,
                    delivery = consumer.next() => {
                        let Some(delivery) = delivery else { continue };
                        received.extend(delivery.records().map(|record| Received::of(&record)));
                        delivery.ack.delivered();
                        if received.len() >= count {
                            stop.stop();
                        }
                    }
                }
            }
        });
        self.unsettled = consumer.held_deliveries();
        drain(consumer, &mut received);
        (result, payloads(&received))
    }

    /// Deliveries that nobody had acknowledged when the input returned.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled
    }
}
