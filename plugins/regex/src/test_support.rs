//! What the tests of this crate run plugins in: a stream with one consumer that gets everything.

use std::path::Path;
use std::sync::Arc;

use heka_config::{NoCommon, Problems, Section, parse_config};
use heka_matcher::Matcher;
use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry};
use heka_plugin::{
    Clock, Decode, DecodeError, Decoder, Feed, FeedMaker, FeedSettings, InputCounts, LimitedLog,
    MakeDecoder, Maker, Oversize, Plugin, PluginDef, Pools, Reload, Splitter, StartContext,
    StartError,
};
use heka_stream::{
    Consumer, ConsumerOptions, ManualClock, MemoryStorage, Route, SourceCounts, Stream,
};
use tokio::runtime::Runtime;

/// Where the clock of every test begins: 2014-02-10 12:00 in UTC.
pub(crate) const NOW_NS: i64 = 1_392_033_600_000_000_000;

/// Longest message of every test.
const MESSAGE_BYTES_MAX: usize = 65_536;

/// Memory of the stream in bytes.
const STREAM_BYTES: u64 = 64 << 20;

/// The section of a plugin; tables in `config` are taken as tables of the section.
fn section<T: Plugin>(config: &str) -> Section {
    let config = format!("\n{config}").replace("\n[", "\n[tested.");
    let text = format!("[tested]\ntype = '{}'\n{config}\n", T::NAME);
    let (mut read, problems) = parse_config(&text, "test.toml");
    assert!(!problems.has_errors(), "{problems:?}");
    read.sections.remove(0)
}

/// Makes no decoders.
struct NoDecoders;

impl MakeDecoder for NoDecoders {
    fn make_decoder(&self, name: &str, _: &StartContext) -> Result<Box<dyn Decoder>, StartError> {
        Err(StartError::new(format!("no section {name}")))
    }
}

fn context() -> StartContext {
    StartContext {
        name: "in".into(),
        names: NameRegistry::new(),
        hostname: "host".into(),
        pid: 42,
        base_dir: Path::new("/nonexistent").into(),
        share_dir: Path::new("/nonexistent").into(),
        max_message_size: MESSAGE_BYTES_MAX,
        log_flags: 0,
        clock: Arc::new(ManualClock::new(NOW_NS)),
        storage: Arc::new(MemoryStorage::default()),
        decoders: Arc::new(NoDecoders),
        log: None,
        letters: None,
        reload: Reload::default(),
        filters: None,
    }
}

/// Payloads as text.
pub(crate) fn texts(payloads: &[Vec<u8>]) -> Vec<String> {
    payloads.iter().map(|payload| String::from_utf8(payload.clone()).unwrap()).collect()
}

/// Bytes through a splitter to the stream.
pub(crate) struct Feeding {
    runtime: Runtime,
    consumer: Arc<Consumer>,
    feed: Feed,
}

impl Feeding {
    pub(crate) fn of<T: Plugin + Splitter>(config: &str) -> Self {
        let context = context();
        let clock = Arc::clone(&context.clock) as Arc<dyn Clock>;
        let stream = Stream::new(STREAM_BYTES, Arc::clone(&context.names), clock);
        let consumer = Consumer::new(ConsumerOptions::new("tested"));
        let matcher = Matcher::parse("TRUE").unwrap().0;
        stream.set_routes(&[Route { matcher, consumer: Arc::clone(&consumer) }]).unwrap();
        let feed = feeds::<T>(config, context, stream).feed("", Envelope::new("in")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { runtime, consumer, feed }
    }

    /// The records that these reads complete.
    pub(crate) fn reads(&mut self, reads: &[&[u8]]) -> Vec<Vec<u8>> {
        for read in reads {
            let space = self.feed.space();
            space[..read.len()].copy_from_slice(read);
            self.runtime.block_on(self.feed.commit(read.len())).unwrap();
        }
        self.received()
    }

    /// As `reads`, of a stream that ends then.
    pub(crate) fn stream(&mut self, reads: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut payloads = self.reads(reads);
        self.runtime.block_on(self.feed.end(false)).unwrap();
        payloads.extend(self.received());
        payloads
    }

    /// The records of blocks with boundaries of their own.
    pub(crate) fn blocks(&mut self, blocks: &[&[u8]]) -> Vec<Vec<u8>> {
        for block in blocks {
            self.feed.block(block, |_| {});
        }
        self.runtime.block_on(self.feed.publish(1)).unwrap();
        self.received()
    }

    pub(crate) fn left(&self) -> usize {
        self.feed.pending()
    }

    fn received(&self) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        while let Some(delivery) = self.consumer.try_next() {
            payloads.extend(delivery.records().map(|record| record.payload().to_vec()));
            delivery.ack.delivered();
        }
        payloads
    }
}

fn feeds<T: Plugin + Splitter>(config: &str, context: StartContext, stream: Stream) -> FeedMaker {
    let Maker::Splitter(prepare) = PluginDef::splitter::<T>().maker else {
        panic!("{} is no splitter", T::NAME)
    };
    let mut problems = Problems::new();
    let prepared = prepare(&section::<T>(config), &mut problems);
    let (common, splitter) = prepared.unwrap_or_else(|| panic!("{problems:?}"));
    let settings = FeedSettings {
        use_message_bytes: false,
        oversize: Oversize::Drop,
        deliver_incomplete_final: common.deliver_incomplete_final,
        max_record_size: context.max_record_size(),
        min_buffer_size: 0,
        send_decode_failures: false,
        log_decode_failures: true,
        flush_after: None,
    };
    FeedMaker {
        splitter,
        splitter_name: T::NAME.into(),
        decoder: None,
        settings: Arc::new(settings),
        stream,
        ledger: Arc::new(SourceCounts::default()),
        counts: Arc::new(InputCounts::default()),
        context,
        pools: Pools::default(),
        log: Arc::new(LimitedLog::default()),
    }
}

/// Records through a decoder.
pub(crate) struct Decoding {
    context: StartContext,
    decoder: Box<dyn Decoder>,
}

impl Decoding {
    pub(crate) fn of<T: Plugin + Decoder>(config: &str) -> Self {
        let mut problems = Problems::new();
        let decoded = section::<T>(config).decode::<NoCommon, T::Config>(&mut problems);
        let (_, config) = decoded.unwrap_or_else(|| panic!("{problems:?}"));
        let context = context();
        let decoder = Box::new(T::start(&config, &context).unwrap());
        Self { context, decoder }
    }

    /// Decodes a payload of the input `in`.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Result<Batch, DecodeError> {
        let (names, envelope) = (self.context.names.snapshot(), Envelope::new("in").into());
        let raw = Buffer::from(payload.to_vec());
        let mut builder = BatchBuilder::new(names, envelope, raw.clone(), NOW_NS);
        let mut record = builder.record();
        record.payload(&raw[..]);
        match self.decoder.decode(&raw, &mut record)? {
            Decode::Done => record.commit().unwrap(),
            Decode::Discard => record.discard(),
        }
        Ok(builder.finish())
    }
}
