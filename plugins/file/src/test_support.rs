//! What the tests of this crate need around a plugin: a stream, a consumer, contexts, an encoder.

use std::path::Path;
use std::sync::Arc;

use heka_matcher::Matcher;
use heka_message::{BatchBuilder, Buffer, Envelope, NameRegistry, Record};
use heka_plugin::{
    Decoder, Delivery, Encode, EncodeBuffer, EncodeError, Encoder, EncoderRunner, LimitedLog,
    MakeDecoder, OutputContext, PluginConfig, PluginCounts, Reload, Reporter, StartContext,
    StartError, StopSwitch,
};
use heka_stream::{
    Consumer, ConsumerOptions, ManualClock, MemoryStorage, Route, Source, SourceCounts, Stream,
};

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
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) clock: Arc<ManualClock>,
    source: Source,
    position: u64,
}

impl Rig {
    /// Its clock stands at `now_ns`.
    pub(crate) fn new(now_ns: i64) -> Self {
        let clock = Arc::new(ManualClock::new(now_ns));
        let names = NameRegistry::new();
        let stream = Stream::new(256 << 20, Arc::clone(&names), clock.clone());
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
            clock: clock.clone(),
            storage: Arc::new(MemoryStorage::default()),
            decoders: Arc::new(NoDecoders),
            log: None,
            letters: None,
            reload: Reload::default(),
            filters: None,
        };
        Self { start, clock, consumer, source, position: 0 }
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
            stop: StopSwitch::new().1,
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

    /// Messages delivered to the consumer, and those given up as rejected.
    pub(crate) fn delivered(&self) -> (u64, u64) {
        self.consumer.counts().balance().unwrap();
        (self.consumer.counts().delivered(), self.consumer.counts().dropped_in_all())
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
