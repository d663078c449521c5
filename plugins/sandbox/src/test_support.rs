//! What the tests of this crate run scripts in: files in a folder, a stream with one consumer.

use std::path::Path;
use std::sync::Arc;

use heka_matcher::Matcher;
use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, RecordBuilder};
use heka_plugin::{
    Clock, DecodeError, Decoder, Delivery, Filter, FilterContext, FilterError, LimitedLog,
    MakeDecoder, Plugin, Reload, Reporter, StartContext, StartError,
};
use heka_stream::{
    Consumer, ConsumerOptions, ManualClock, MemoryStorage, Route, SourceCounts, Stream,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::config::SandboxConfig;
use crate::sandbox_decoder::SandboxDecoder;
use crate::sandbox_filter::SandboxFilter;

/// Where the clock of every test begins.
pub(crate) const NOW_NS: i64 = 1_000_000_000_000;

struct NoDecoders;

impl MakeDecoder for NoDecoders {
    fn make_decoder(&self, name: &str, _: &StartContext) -> Result<Box<dyn Decoder>, StartError> {
        Err(StartError::new(format!("no section {name}")))
    }
}

/// A script in a folder, and the daemon around it.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) context: StartContext,
}

impl World {
    pub(crate) fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f.lua"), script).unwrap();
        let clock = Arc::new(ManualClock::new(NOW_NS));
        let context = StartContext {
            name: "tested".into(),
            names: NameRegistry::new(),
            hostname: "host".into(),
            pid: 42,
            base_dir: Path::new("/base").into(),
            share_dir: folder.path().into(),
            max_message_size: 65_536,
            log_flags: 0,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            storage: Arc::new(MemoryStorage::default()),
            decoders: Arc::new(NoDecoders),
            log: None,
            letters: None,
            reload: Reload::default(),
            filters: None,
        };
        Self { folder, clock, context }
    }

    /// Replaces the script and says so.
    pub(crate) fn change(&self, script: &str) {
        std::fs::write(self.folder.path().join("f.lua"), script).unwrap();
        self.context.reload.bump();
    }

    /// Names of files below `base_dir`, and their contents.
    pub(crate) fn files(&self, directory: &str) -> Vec<(String, String)> {
        let directory = self.context.in_base_dir(directory);
        let mut names = self.context.storage.list(&directory).unwrap();
        names.sort();
        let read = |name: String| {
            let content = self.context.storage.read(&directory.join(&name)).unwrap().unwrap();
            (name, String::from_utf8(content).unwrap())
        };
        names.into_iter().map(read).collect()
    }
}

pub(crate) fn config() -> SandboxConfig {
    SandboxConfig { filename: "f.lua".to_owned(), ..SandboxConfig::default() }
}

/// A decoder with its world.
pub(crate) struct Decoding {
    pub(crate) world: World,
    pub(crate) decoder: SandboxDecoder,
}

impl Decoding {
    pub(crate) fn of(script: &str, config: &SandboxConfig) -> Self {
        let world = World::new(script);
        let decoder = SandboxDecoder::start(config, &world.context).unwrap();
        Self { world, decoder }
    }

    /// Decodes one record that its input gave some headers.
    pub(crate) fn decode(&mut self, payload: &str) -> Result<Batch, DecodeError> {
        let envelope = Arc::new(Envelope::new("in").hostname("h1"));
        let names = self.world.context.names.snapshot();
        let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), 5);
        let mut record = builder.record();
        record.payload(payload).severity(3);
        self.decoder.decode(payload.as_bytes(), &mut record)?;
        record.commit().unwrap();
        Ok(builder.finish())
    }
}

/// A filter with its world.
pub(crate) struct Filtering {
    pub(crate) world: World,
    pub(crate) filter: SandboxFilter,
    pub(crate) context: FilterContext,
    stream: Stream,
    consumer: Arc<Consumer>,
    runtime: Runtime,
}

impl Filtering {
    pub(crate) fn of(script: &str, config: &SandboxConfig) -> Self {
        let world = World::new(script);
        let mut filter = SandboxFilter::start(config, &world.context).unwrap();
        let names = Arc::clone(&world.context.names);
        let clock = Arc::clone(&world.context.clock);
        let stream = Stream::new(64 << 20, names, Arc::clone(&clock));
        let consumer = Consumer::new(ConsumerOptions::new("tested"));
        let matcher = Matcher::parse("TRUE").unwrap().0;
        stream.set_routes(&[Route { matcher, consumer: Arc::clone(&consumer) }]).unwrap();
        let mut context = FilterContext {
            name: "tested".into(),
            clock,
            names: Arc::clone(&world.context.names),
            envelope: Arc::new(Envelope::new("tested").hostname("host").pid(42)),
            hostname: "host".into(),
            pid: 42,
            matcher: Arc::new(Matcher::parse("Type == 'own'").unwrap().0),
            loops_max: 4,
            process_inject_max: 1,
            timer_inject_max: 10,
            process_duration_max_ns: 100_000,
            counts: Arc::default(),
            reporter: Reporter::new(),
            consumer: None,
            log: LimitedLog::default(),
            injected: None,
        };
        filter.begin(&mut context);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { world, filter, context, stream, consumer, runtime }
    }

    fn deliver(&self, fill: impl FnOnce(&mut RecordBuilder<'_>)) -> Delivery {
        let names = self.world.context.names.snapshot();
        let envelope = Arc::new(Envelope::new("in"));
        let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), NOW_NS);
        let mut record = builder.record();
        fill(&mut record);
        record.commit().unwrap();
        let mut source = self.stream.source(Arc::new(SourceCounts::default()));
        self.runtime.block_on(source.append(builder.finish(), 1)).unwrap();
        self.consumer.try_next().unwrap()
    }

    /// Gives it a message.
    pub(crate) fn process(
        &mut self,
        fill: impl FnOnce(&mut RecordBuilder<'_>),
    ) -> Result<(), FilterError> {
        let delivery = self.deliver(fill);
        let done = self.filter.process(&delivery, &mut self.context);
        delivery.split().1.delivered();
        done
    }

    /// What it injected since this was asked last.
    pub(crate) fn injected(&mut self) -> Vec<String> {
        let Some(batch) = self.context.take_injected() else { return Vec::new() };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown = |record: heka_message::Record<'_>| {
            let fields: Vec<String> = record.fields().map(|field| format!("{field:?}")).collect();
            format!(
                "{} {} {} {} {}",
                text(record.message_type()),
                text(record.logger()),
                text(record.hostname()),
                text(record.payload()),
                fields.len()
            )
        };
        batch.records().map(shown).collect()
    }
}
