//! Plugins that do what a test needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use heka_config::{FieldProblems, PluginConfig, parse_config};
use heka_message::Record;
use heka_plugin::{
    BoxFuture, Defaults, Delivery, Encode, EncodeBuffer, EncodeError, Encoder, Filter,
    FilterContext, FilterError, Flush, Frames, Input, InputContext, InputError, NO_DEFAULTS,
    Output, OutputContext, OutputError, Plugin, PluginDef, Scan, Splitter, StartContext,
    StartError,
};
use heka_plugin::{DynamicFilter, Maker, ManageFilters, Matcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) const PLUGINS: &[PluginDef] = &[
    PluginDef::input::<LinesInput>(),
    PluginDef::splitter::<LineSplitter>(),
    PluginDef::filter::<EchoFilter>(),
    PluginDef::filter::<TallyFilter>(),
    PluginDef::filter::<MoodyFilter>(),
    PluginDef::filter::<LoaderFilter>(),
    PluginDef::input::<NumbersInput>(),
    PluginDef::encoder::<RawEncoder>(),
    PluginDef::output::<CollectOutput>(),
];

/// What outputs collected, by the name that their section gives.
fn collected() -> &'static Mutex<HashMap<String, Vec<String>>> {
    static COLLECTED: OnceLock<Mutex<HashMap<String, Vec<String>>>> = OnceLock::new();
    COLLECTED.get_or_init(Mutex::default)
}

pub(crate) fn lines_of(key: &str) -> Vec<String> {
    collected().lock().unwrap().get(key).cloned().unwrap_or_default()
}

/// Reads the lines that its section holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LinesInputConfig {
    /// The lines.
    lines: Vec<String>,
    /// What it does after them: `wait`, `finish`, `fail`, `panic`.
    then: String,
}

impl PluginConfig for LinesInputConfig {}

pub(crate) struct LinesInput(LinesInputConfig);

impl Plugin for LinesInput {
    const NAME: &'static str = "LinesInput";
    const PAGE: &'static str = "# LinesInput\n";
    const DEFAULTS: Defaults = Defaults { splitter: Some("LineSplitter"), ..NO_DEFAULTS };
    type Config = LinesInputConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self(config.clone()))
    }
}

impl Input for LinesInput {
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>> {
        Box::pin(async move {
            let mut feed = context.feed("", context.envelope().message_type("line"))?;
            for line in &self.0.lines {
                let line = format!("{line}\n");
                feed.space()[..line.len()].copy_from_slice(line.as_bytes());
                feed.commit(line.len()).await?;
            }
            match self.0.then.as_str() {
                "finish" => return Ok(()),
                "fail" => return Err(InputError::Failed("as told".to_owned())),
                "exit" => return Err(InputError::Exit("as told".to_owned())),
                "panic" => panic!("as told"),
                _ => context.stop.clone().wait().await,
            }
            let settled = context.settle(&feed.settled(), feed.consumed()).await;
            collected()
                .lock()
                .unwrap()
                .entry(format!("{}.settled", context.start.name))
                .or_default()
                .push(settled.to_string());
            Ok(())
        })
    }
}

pub(crate) struct LineSplitter;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Nothing {}

impl PluginConfig for Nothing {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for LineSplitter {
    const NAME: &'static str = "LineSplitter";
    const PAGE: &'static str = "# LineSplitter\n";
    type Config = Nothing;

    fn start(_: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl Splitter for LineSplitter {
    fn split(&mut self, data: &[u8], _: Scan, frames: &mut Frames) -> usize {
        let mut start = 0;
        for (at, _) in data.iter().enumerate().filter(|&(_, &byte)| byte == b'\n') {
            frames.push(start..at);
            start = at + 1;
        }
        start
    }
}

/// Injects a message for each that it gets.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EchoFilterConfig {
    /// Type of the messages that it injects.
    message_type: String,
    /// Panics at this payload.
    panic_at: String,
}

impl PluginConfig for EchoFilterConfig {}

pub(crate) struct EchoFilter(EchoFilterConfig);

impl Plugin for EchoFilter {
    const NAME: &'static str = "EchoFilter";
    const PAGE: &'static str = "# EchoFilter\n";
    type Config = EchoFilterConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self(config.clone()))
    }
}

impl Filter for EchoFilter {
    fn process(
        &mut self,
        delivery: &Delivery,
        context: &mut FilterContext,
    ) -> Result<(), FilterError> {
        for message in delivery.records() {
            let payload = String::from_utf8_lossy(message.payload()).into_owned();
            assert!(self.0.panic_at.is_empty() || payload != self.0.panic_at, "as told");
            let Some(mut record) = context.inject(message.loops()) else { continue };
            record.message_type(&self.0.message_type).payload(format!("{payload}+"));
            record.commit().map_err(|error| FilterError::Fatal(error.to_string()))?;
        }
        Ok(())
    }

    fn timer(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        if let Some(mut record) = context.inject(0) {
            record.message_type("tick").payload("tick");
            record.commit().map_err(|error| FilterError::Fatal(error.to_string()))?;
        }
        Ok(())
    }
}

pub(crate) struct RawEncoder;

impl Plugin for RawEncoder {
    const NAME: &'static str = "RawEncoder";
    const PAGE: &'static str = "# RawEncoder\n";
    type Config = Nothing;

    fn start(_: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl Encoder for RawEncoder {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        out.share(record.payload());
        Ok(Encode::Done)
    }
}

/// Keeps what it gets, or fails as told.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CollectOutputConfig {
    /// Under which name it collects.
    key: String,
    /// Panics at this payload.
    panic_at: String,
    /// Fails for ever at its first delivery: `retry`, `fatal`.
    fail: String,
    /// Fails with `retry` so often before it works.
    failures: u32,
}

impl PluginConfig for CollectOutputConfig {}

pub(crate) struct CollectOutput {
    config: CollectOutputConfig,
    held: Vec<Delivery>,
    failed: u32,
}

impl Plugin for CollectOutput {
    const NAME: &'static str = "CollectOutput";
    const PAGE: &'static str = "# CollectOutput\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("RawEncoder"), ..NO_DEFAULTS };
    type Config = CollectOutputConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self { config: config.clone(), held: Vec::new(), failed: 0 })
    }
}

impl CollectOutput {
    fn store(&mut self) -> Result<(), OutputError> {
        match self.config.fail.as_str() {
            "retry" => return Err(OutputError::retry("deliver")("as told")),
            "fatal" => return Err(OutputError::fatal("deliver")("as told")),
            _ => {}
        }
        if self.failed < self.config.failures {
            self.failed += 1;
            return Err(OutputError::retry("deliver")("as told"));
        }
        for delivery in self.held.drain(..) {
            for record in delivery.records() {
                let payload = String::from_utf8_lossy(record.payload()).into_owned();
                assert!(
                    self.config.panic_at.is_empty() || payload != self.config.panic_at,
                    "as told"
                );
            }
            let mut collected =
                collected().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let lines = collected.entry(self.config.key.clone()).or_default();
            lines.extend(
                delivery
                    .records()
                    .map(|record| String::from_utf8_lossy(record.payload()).into_owned()),
            );
            drop(collected);
            delivery.ack.delivered();
        }
        Ok(())
    }
}

impl Output for CollectOutput {
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        _: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        self.held.push(delivery);
        Box::pin(async { Ok(()) })
    }

    fn flush<'a>(
        &'a mut self,
        _: Flush,
        _: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(async { self.store() })
    }

    fn flush_interval(&self) -> Option<Duration> {
        None
    }
}

/// Sends the numbers from 0 on, some at a time, and goes on where the log says.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NumbersInputConfig {
    /// How many.
    count: u64,
}

impl PluginConfig for NumbersInputConfig {}

pub(crate) struct NumbersInput(NumbersInputConfig);

impl Plugin for NumbersInput {
    const NAME: &'static str = "NumbersInput";
    const PAGE: &'static str = "# NumbersInput\n";
    const DEFAULTS: Defaults =
        Defaults { splitter: Some("LineSplitter"), resumes: true, ..NO_DEFAULTS };
    type Config = NumbersInputConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self(config.clone()))
    }
}

impl Input for NumbersInput {
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>> {
        Box::pin(async move {
            let resume = context.start.log.as_ref().and_then(|log| log.resume("numbers"));
            let text = resume.as_ref().map_or("0", |it| str::from_utf8(&it.position).unwrap());
            let begin: u64 = text.parse().unwrap();
            let mut source = context.feeds.stream.source(context.feeds.ledger.clone());
            source.keep_positions("numbers", resume.is_some());
            source.begins_at(begin.to_string().into_bytes().into());
            let envelope = std::sync::Arc::new(context.envelope());
            let mut next = begin;
            while next < self.0.count && !context.stop.is_set() {
                let names = context.start.names.snapshot();
                let buffer = heka_message::Buffer::empty();
                let mut batch = heka_message::BatchBuilder::new(names, envelope.clone(), buffer, 1);
                // Whole tens, so that no batch reaches across one of the run before.
                for number in next..next + 10 {
                    batch.push_payload(number.to_string().as_bytes()).unwrap();
                }
                next += 10;
                let position = Some(next.to_string().into_bytes().into());
                source.append_at(batch.finish(), next - begin, position).await?;
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
            context.stop.clone().wait().await;
            Ok(())
        })
    }
}

/// Counts and adds up numbers, and keeps that over restarts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TallyFilterConfig {
    /// Where the tally can be seen.
    key: String,
    /// Panics when it sees this number the first time.
    panic_at: Option<u64>,
    /// Ends when it sees this number, and cannot save its state then.
    exit_at: Option<u64>,
}

impl PluginConfig for TallyFilterConfig {}

pub(crate) struct TallyFilter {
    config: TallyFilterConfig,
    count: u64,
    sum: u64,
    is_broken: bool,
}

impl Plugin for TallyFilter {
    const NAME: &'static str = "TallyFilter";
    const PAGE: &'static str = "# TallyFilter\n";
    type Config = TallyFilterConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self { config: config.clone(), count: 0, sum: 0, is_broken: false })
    }
}

impl Filter for TallyFilter {
    fn keeps_state(&self) -> bool {
        true
    }

    fn save(&mut self) -> Result<Vec<u8>, FilterError> {
        if self.is_broken {
            return Err(FilterError::Fatal("it is gone".to_owned()));
        }
        Ok(format!("{} {}", self.count, self.sum).into_bytes())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), FilterError> {
        let text = String::from_utf8_lossy(state).into_owned();
        let (count, sum) = text.split_once(' ').unwrap();
        (self.count, self.sum) = (count.parse().unwrap(), sum.parse().unwrap());
        Ok(())
    }

    fn process(&mut self, delivery: &Delivery, _: &mut FilterContext) -> Result<(), FilterError> {
        let first_time = |key: &str| {
            let key = format!("{key}.panicked");
            collected().lock().unwrap().insert(key, Vec::new()).is_none()
        };
        for message in delivery.records() {
            let number: u64 = str::from_utf8(message.payload()).unwrap().parse().unwrap();
            let is_bad = self.config.panic_at == Some(number);
            assert!(!is_bad || !first_time(&self.config.key), "as told");
            if self.config.exit_at == Some(number) {
                note(&format!("{}.ends", self.config.key), "end");
                self.is_broken = true;
                return Err(FilterError::exit("as told"));
            }
            self.count += 1;
            self.sum += number;
        }
        let tally = vec![format!("{} {}", self.count, self.sum)];
        collected().lock().unwrap().insert(self.config.key.clone(), tally);
        Ok(())
    }
}

/// Ends when it is told to, and says what happens to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MoodyFilterConfig {
    /// Where what it saw can be seen.
    key: String,
    /// Ends at this payload.
    exit_at: String,
    /// Announces its end itself.
    announces: bool,
    /// What it injects at the end.
    last_words: String,
}

impl PluginConfig for MoodyFilterConfig {}

pub(crate) struct MoodyFilter(MoodyFilterConfig);

impl Plugin for MoodyFilter {
    const NAME: &'static str = "MoodyFilter";
    const PAGE: &'static str = "# MoodyFilter\n";
    type Config = MoodyFilterConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        note(&config.key, "started");
        Ok(Self(config.clone()))
    }
}

/// Adds a line to what was collected under a name.
pub(crate) fn note(key: &str, line: &str) {
    let mut collected = collected().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    collected.entry(key.to_owned()).or_default().push(line.to_owned());
}

impl MoodyFilter {
    fn say(context: &mut FilterContext, message_type: &str, text: &str) {
        let mut record = context.inject(0).unwrap();
        record.message_type(message_type).logger("hekad").payload(text);
        record.commit().unwrap();
    }
}

impl Filter for MoodyFilter {
    fn process(
        &mut self,
        delivery: &Delivery,
        context: &mut FilterContext,
    ) -> Result<(), FilterError> {
        for message in delivery.records() {
            let payload = String::from_utf8_lossy(message.payload()).into_owned();
            note(&self.0.key, &payload);
            if payload == self.0.exit_at && self.0.announces {
                Self::say(context, "heka.sandbox-terminated", "enough");
                return Err(FilterError::exit_announced("enough"));
            }
            if payload == self.0.exit_at {
                Self::say(context, "words", "before the end");
                return Err(FilterError::exit("enough"));
            }
        }
        Ok(())
    }

    fn reload(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        note(&self.0.key, "reloaded");
        Self::say(context, "words", "reloaded");
        Ok(())
    }

    fn stop(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        if !self.0.last_words.is_empty() {
            Self::say(context, "words", &self.0.last_words);
        }
        Ok(())
    }
}

/// Loads and unloads filters as messages tell it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LoaderFilterConfig {
    /// Under which name it, and what it is told, can be found.
    key: String,
    /// Section that it loads when it is started; its lines end in `;`.
    first: String,
}

impl PluginConfig for LoaderFilterConfig {}

pub(crate) struct LoaderFilter {
    key: String,
    filters: Arc<dyn ManageFilters>,
}

/// Those of all loaders, by their keys.
fn managers() -> &'static Mutex<HashMap<String, Arc<dyn ManageFilters>>> {
    static MANAGERS: OnceLock<Mutex<HashMap<String, Arc<dyn ManageFilters>>>> = OnceLock::new();
    MANAGERS.get_or_init(Mutex::default)
}

pub(crate) fn manager_of(key: &str) -> Arc<dyn ManageFilters> {
    Arc::clone(&managers().lock().unwrap()[key])
}

impl Plugin for LoaderFilter {
    const NAME: &'static str = "LoaderFilter";
    const PAGE: &'static str = "# LoaderFilter\n";
    type Config = LoaderFilterConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let filters = Arc::clone(context.filters.as_ref().unwrap());
        if !config.first.is_empty() {
            filters.load(dynamic(&config.key, &config.first))?;
        }
        managers().lock().unwrap().insert(config.key.clone(), Arc::clone(&filters));
        Ok(Self { key: config.key.clone(), filters })
    }
}

/// The filter of a section whose lines end in `;`; its end is noted under a key.
pub(crate) fn dynamic(key: &str, section: &str) -> DynamicFilter {
    let (config, mut problems) = parse_config(&section.replace(';', "\n"), "loaded.toml");
    let section = &config.sections[0];
    let def = PLUGINS.iter().find(|def| def.name == section.plugin_type).unwrap();
    let Maker::Filter(prepare) = def.maker else { panic!("no filter") };
    let (common, prepared) = prepare(section, &mut problems).unwrap();
    let (key, name) = (key.to_owned(), section.name.clone());
    DynamicFilter {
        name: section.name.clone(),
        type_name: def.name,
        matcher: Matcher::parse(common.message_matcher.as_deref().unwrap()).unwrap().0,
        common,
        defaults: def.defaults,
        prepared,
        on_end: Some(Box::new(move |why| note(&key, &format!("{name} ended: {why}")))),
    }
}

impl Filter for LoaderFilter {
    fn process(&mut self, delivery: &Delivery, _: &mut FilterContext) -> Result<(), FilterError> {
        for message in delivery.records() {
            let payload = String::from_utf8_lossy(message.payload()).into_owned();
            if let Some(section) = payload.strip_prefix("load ") {
                let loaded = self.filters.load(dynamic(&self.key, section));
                note(
                    &self.key,
                    &loaded.map_or_else(|error| error.to_string(), |()| "loaded".into()),
                );
            } else if let Some(name) = payload.strip_prefix("unload ") {
                note(&self.key, &format!("unloaded {}", self.filters.unload(name)));
            }
        }
        Ok(())
    }
}
