//! What the tests of this crate need around a plugin: a stream, a consumer, contexts, a splitter, an encoder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use heka_matcher::Matcher;
use heka_message::{BatchBuilder, Buffer, Envelope, NameRegistry, Record};
use heka_plugin::{
    Decoder, Delivery, Encode, EncodeBuffer, EncodeError, Encoder, EncoderRunner, FeedMaker,
    FeedSettings, Frames, InputContext, InputCounts, LimitedLog, MakeDecoder, Metric,
    OutputContext, Oversize, PluginConfig, PluginCounts, Pools, Prepared, Reload, Reporter, Scan,
    Splitter, StartContext, StartError, StopSwitch,
};
use heka_stream::{
    Consumer, ConsumerOptions, MemoryStorage, Route, Source, SourceCounts, Stream, SystemClock,
};

/// Longest wait of a test for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must come.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes within the test's patience")
}

/// Waits until a condition holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// What `validate` finds, as text.
pub(crate) fn problems<C: PluginConfig>(config: &C) -> String {
    let mut problems = heka_plugin::FieldProblems::new();
    config.validate(&mut problems);
    format!("{problems:?}")
}

struct NoDecoders;

impl MakeDecoder for NoDecoders {
    fn make_decoder(&self, name: &str, _: &StartContext) -> Result<Box<dyn Decoder>, StartError> {
        Err(StartError::new(format!("no decoder '{name}'")))
    }
}

/// Finds lines; one that says `panic` panics.
struct Lines;

impl Splitter for Lines {
    fn split(&mut self, data: &[u8], _: Scan, frames: &mut Frames) -> usize {
        let mut start = 0;
        for (at, _) in data.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            assert_ne!(&data[start..at], b"panic");
            frames.push(start..at);
            start = at + 1;
        }
        start
    }
}

struct PreparedLines;

impl Prepared<dyn Splitter> for PreparedLines {
    fn start(&self, _: &StartContext) -> Result<Box<dyn Splitter>, StartError> {
        Ok(Box::new(Lines))
    }

    fn references(&self) -> Vec<String> {
        Vec::new()
    }

    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

/// Writes the payload and a newline.
struct PayloadLines;

impl Encoder for PayloadLines {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        if record.payload() == b"bad" {
            return Err(EncodeError::new("bad payload"));
        }
        out.share(record.payload());
        out.bytes().push(b'\n');
        Ok(Encode::Done)
    }
}

/// A stream with one consumer that gets all.
pub(crate) struct Rig {
    pub(crate) start: StartContext,
    pub(crate) stream: Stream,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) switch: StopSwitch,
    source: Source,
    position: u64,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let names = NameRegistry::new();
        let stream = Stream::new(256 << 20, Arc::clone(&names), Arc::new(SystemClock));
        let mut options = ConsumerOptions::new("test");
        options.window_bytes = 128 << 20;
        let consumer = Consumer::new(options);
        let (matcher, _) = Matcher::parse("TRUE").unwrap();
        stream.set_routes(&[Route { matcher, consumer: Arc::clone(&consumer) }]).unwrap();
        let source = stream.source(Arc::new(SourceCounts::default()));
        let start = StartContext {
            name: "plugin".into(),
            names,
            hostname: "host".into(),
            pid: 7,
            base_dir: Path::new("/nonexistent").into(),
            share_dir: Path::new("/nonexistent").into(),
            max_message_size: 64 << 10,
            log_flags: 0,
            clock: Arc::new(SystemClock),
            storage: Arc::new(MemoryStorage::default()),
            decoders: Arc::new(NoDecoders),
            log: None,
            letters: None,
            reload: Reload::default(),
            filters: None,
        };
        Self { start, stream, consumer, switch: StopSwitch::new().0, source, position: 0 }
    }

    /// A context for an input with a splitter of lines; `adapt` changes how records are treated.
    pub(crate) fn input(&self, adapt: impl FnOnce(&mut FeedSettings)) -> InputContext {
        let mut settings = FeedSettings {
            use_message_bytes: false,
            oversize: Oversize::Drop,
            deliver_incomplete_final: false,
            max_record_size: 1 << 20,
            min_buffer_size: 0,
            send_decode_failures: false,
            log_decode_failures: true,
            flush_after: None,
        };
        adapt(&mut settings);
        let counts = Arc::new(InputCounts::default());
        let feeds = FeedMaker {
            splitter: Arc::new(PreparedLines),
            splitter_name: "Lines".into(),
            decoder: None,
            settings: Arc::new(settings),
            stream: self.stream.clone(),
            ledger: Arc::new(SourceCounts::default()),
            counts: Arc::clone(&counts),
            context: self.start.clone(),
            pools: Pools::default(),
            log: Arc::new(LimitedLog::default()),
        };
        InputContext {
            start: self.start.clone(),
            feeds: Arc::new(feeds),
            stop: self.switch.signal(),
            abandon: StopSwitch::new().1,
            ticker_interval: None,
            counts,
            reporter: Reporter::new(),
            log: LimitedLog::default(),
        }
    }

    /// A context for an output whose encoder writes payloads as lines and refuses `bad`.
    pub(crate) fn output(&self) -> OutputContext {
        let counts = Arc::new(PluginCounts::default());
        let encoder = EncoderRunner {
            encoder: Box::new(PayloadLines),
            frame: None,
            max_message_size: self.start.max_message_size,
            names: Arc::clone(&self.start.names),
            counts: Arc::clone(&counts),
            log: LimitedLog::default(),
            letters: None,
        };
        OutputContext {
            name: "plugin".into(),
            encoder: Some(encoder),
            counts,
            clock: Arc::clone(&self.start.clock),
            stop: self.switch.signal(),
            log: LimitedLog::default(),
            reporter: Reporter::new(),
            letters: None,
        }
    }

    /// A delivery of messages with these payloads.
    pub(crate) async fn delivery(&mut self, payloads: &[&[u8]]) -> Delivery {
        let names = self.start.names.snapshot();
        let envelope = Arc::new(Envelope::new("test"));
        let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), 0);
        for payload in payloads {
            let mut record = builder.record();
            record.payload(payload);
            record.commit().unwrap();
        }
        self.position += 1;
        self.source.append(builder.finish(), self.position).await.unwrap();
        self.consumer.try_next().unwrap()
    }

    /// The next `count` messages, acknowledged: `payload` of each.
    pub(crate) async fn payloads(&self, count: usize) -> Vec<String> {
        self.messages(count, |record| record.payload().to_vec()).await
    }

    /// The next `count` messages, acknowledged: what `pick` takes from each.
    pub(crate) async fn messages(
        &self,
        count: usize,
        pick: impl Fn(&Record<'_>) -> Vec<u8>,
    ) -> Vec<String> {
        let mut found = Vec::new();
        while found.len() < count {
            let delivery = within(self.consumer.next()).await.expect("the consumer is open");
            let text = |record: Record<'_>| String::from_utf8_lossy(&pick(&record)).into_owned();
            found.extend(delivery.records().map(text));
            delivery.ack.delivered();
        }
        found
    }

    /// Messages delivered to the consumer, and those given up as rejected.
    pub(crate) fn delivered(&self) -> (u64, u64) {
        self.consumer.counts().balance().unwrap();
        (self.consumer.counts().delivered(), self.consumer.counts().dropped_in_all())
    }
}

/// A count that a plugin reports.
pub(crate) fn reported(reporter: &Reporter, name: &str) -> i64 {
    let report = reporter.report();
    let found = report.metrics().iter().find(|(known, _)| known == name);
    match found {
        Some((_, Metric::Number(value, _))) => *value,
        other => panic!("{name} is {other:?}"),
    }
}

/// Reads the page's example as a configuration; all sections of `T` in it must load without a remark.
pub(crate) fn check_page<C: PluginConfig, T: PluginConfig>(page: &str, plugin_type: &str) {
    let example = page.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
    let (config, mut problems) = heka_config::parse_config(example.unwrap(), plugin_type);
    let sections = config.sections.iter().filter(|section| section.plugin_type == plugin_type);
    let loaded = sections.filter(|section| section.decode::<C, T>(&mut problems).is_some()).count();
    assert!(loaded > 0 && problems.is_empty(), "{problems}");
}
