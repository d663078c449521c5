//! A configuration, checked as a whole and ready to start.
//!
//! Here: sections to plugin types, names to sections, matchers, defaults of types. All problems are collected.
//! Not here: reading files (`heka-config`), starting anything that touches the outside.

mod check;
mod rules;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use heka_config::{
    Category, CommonConsumer, CommonInput, CommonSplitter, Config, Globals, Oversize, Problem,
    Problems, Section, nearest,
};
use heka_matcher::Matcher;
use heka_plugin::{
    Defaults, Encoder, FeedSettings, Filter, Framing, Input, Maker, Output, PluginDef, Prepared,
    Splitter, StartContext,
};
use heka_stream::FullAction;

use crate::decoders::Decoders;
pub(crate) use crate::plan::rules::ConsumerRules;
use crate::plan::rules::ticker;

/// Bytes that a frame adds to a message: separators, header length, longest header.
const FRAME_BYTES_MAX: usize = 3 + 255;

/// The log's segments are not larger than this, so that disk space comes back in small steps.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// A checked configuration.
pub struct Plan {
    pub(crate) globals: Globals,
    pub(crate) decoders: Arc<Decoders>,
    pub(crate) encoders: BTreeMap<String, Part<dyn Encoder>>,
    pub(crate) splitters: BTreeMap<String, SplitterPart>,
    pub(crate) inputs: Vec<InputPart>,
    pub(crate) filters: Vec<ConsumerPart<dyn Filter>>,
    pub(crate) outputs: Vec<ConsumerPart<dyn Output>>,
    /// All parts that the configuration has, also those that could not be read.
    present: BTreeSet<(Category, String)>,
    /// The parts that inputs and outputs name, also those that could not be read.
    references: Vec<Reference>,
    /// Decoders that contain themselves or what is not there; they must not be started.
    pub(crate) broken: BTreeSet<String>,
}

/// A setting that names a section, or that should.
struct Reference {
    section: Section,
    key: &'static str,
    kind: Category,
    /// `None`: nothing is named.
    name: Option<String>,
    /// Something must be named.
    needed: bool,
}

/// A section whose plugin can be started.
pub(crate) struct Part<K: ?Sized> {
    pub(crate) section: Section,
    pub(crate) def: PluginDef,
    pub(crate) prepared: Arc<dyn Prepared<K>>,
}

pub(crate) struct SplitterPart {
    pub(crate) part: Part<dyn Splitter>,
    pub(crate) common: CommonSplitter,
}

pub(crate) struct InputPart {
    pub(crate) part: Part<dyn Input>,
    pub(crate) common: CommonInput,
    pub(crate) splitter: String,
    pub(crate) decoder: Option<String>,
}

pub(crate) struct ConsumerPart<K: ?Sized> {
    pub(crate) part: Part<K>,
    pub(crate) common: CommonConsumer,
    pub(crate) matcher: Matcher,
    pub(crate) encoder: Option<String>,
    pub(crate) framed: bool,
}

/// What the check says about the way to a consumer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Route {
    /// Section name of the filter or output.
    pub consumer: String,
    /// Its plugin type.
    pub plugin_type: String,
    /// What it gets.
    pub message_matcher: String,
    /// What is promised to the messages of each input on this way.
    pub guarantees: Vec<Guarantee>,
}

/// What is promised to the messages of an input on their way to a consumer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Guarantee {
    /// Section name of the input.
    pub input: String,
    /// No crash loses a message; some may come twice. Else what is lost, and when.
    pub at_least_once: bool,
    /// Why it is not better.
    pub why: String,
}

impl std::fmt::Display for Guarantee {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at_least_once {
            true => write!(formatter, "from {}: at-least-once", self.input),
            false => write!(formatter, "from {}: best-effort: {}", self.input, self.why),
        }
    }
}

impl Plan {
    /// Checks `config` against the plugin types. A plan with errors in `problems` must not be run.
    #[must_use]
    pub fn new(config: &Config, plugins: &[PluginDef], problems: &mut Problems) -> Self {
        let mut draft = Draft { plugins, problems, plan: Self::empty(config.globals.clone()) };
        for section in &config.sections {
            draft.add(section);
        }
        draft.add_implicit(&config.sections);
        let mut plan = draft.plan;
        plan.check(plugins, problems);
        plan.resolve_framing();
        plan
    }

    /// The daemon's own settings.
    #[must_use]
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// The ways to all consumers.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let filters = self.filters.iter().map(|it| self.route(it));
        filters.chain(self.outputs.iter().map(|it| self.route(it))).collect()
    }

    fn route<K: ?Sized>(&self, consumer: &ConsumerPart<K>) -> Route {
        Route {
            consumer: consumer.part.section.name.clone(),
            plugin_type: consumer.part.section.plugin_type.clone(),
            message_matcher: consumer.matcher.as_str().to_owned(),
            guarantees: self.inputs.iter().map(|input| self.guarantee(input, consumer)).collect(),
        }
    }

    fn guarantee<K: ?Sized>(&self, input: &InputPart, consumer: &ConsumerPart<K>) -> Guarantee {
        let mut reasons = Vec::new();
        if !input.part.def.defaults.resumes {
            let input = &input.part.section.plugin_type;
            reasons.push(match consumer.is_durable() {
                true => {
                    let interval = self.globals.stream.commit_interval;
                    format!(
                        "{input} cannot ask again for what it took in the {interval} before a crash"
                    )
                }
                false => format!(
                    "{input} cannot ask again for what was in memory at a crash (use_buffering is off)"
                ),
            });
        }
        if consumer.rules().full_action() == FullAction::Drop {
            reasons.push(match consumer.is_durable() {
                true => {
                    "full_action = \"drop\" loses what its disk buffer has no room for".to_owned()
                }
                false => "full_action = \"drop\" loses what its window has no room for".to_owned(),
            });
        }
        if let Some(why) = consumer.part.def.defaults.unconfirmed {
            reasons.push(why.to_owned());
        }
        let input = input.part.section.name.clone();
        Guarantee { input, at_least_once: reasons.is_empty(), why: reasons.join("; ") }
    }

    /// Names of all filters and outputs.
    pub(crate) fn consumer_names(&self) -> HashSet<String> {
        let filters = self.filters.iter().map(|it| &it.part.section.name);
        let outputs = self.outputs.iter().map(|it| &it.part.section.name);
        filters.chain(outputs).cloned().collect()
    }

    /// True if a consumer has `use_buffering`.
    pub(crate) fn needs_log(&self) -> bool {
        self.filters.iter().any(ConsumerPart::is_durable)
            || self.outputs.iter().any(ConsumerPart::is_durable)
    }

    /// Size of the log's segments: the smallest `max_file_size` of all durable consumers, within bounds.
    pub(crate) fn segment_bytes(&self) -> u64 {
        let filters =
            self.filters.iter().filter(|it| it.is_durable()).map(|it| it.rules().buffering());
        let outputs =
            self.outputs.iter().filter(|it| it.is_durable()).map(|it| it.rules().buffering());
        let sizes = filters.chain(outputs).map(|buffering| buffering.file_size().bytes());
        sizes.min().unwrap_or(SEGMENT_BYTES_MAX).min(SEGMENT_BYTES_MAX)
    }

    fn empty(globals: Globals) -> Self {
        Self {
            globals,
            decoders: Arc::default(),
            encoders: BTreeMap::new(),
            splitters: BTreeMap::new(),
            inputs: Vec::new(),
            filters: Vec::new(),
            outputs: Vec::new(),
            present: BTreeSet::new(),
            references: Vec::new(),
            broken: BTreeSet::new(),
        }
    }

    /// TcpOutput and FileOutput frame what a protobuf encoder writes, unless told otherwise.
    fn resolve_framing(&mut self) {
        for output in &mut self.outputs {
            let encoder = output.encoder.as_deref().and_then(|name| self.encoders.get(name));
            let protobuf = encoder.is_some_and(|part| part.def.defaults.writes_protobuf);
            output.framed =
                output.common.use_framing.unwrap_or(match output.part.def.defaults.use_framing {
                    Framing::Never => false,
                    Framing::WithProtobuf => protobuf,
                    Framing::Always => true,
                });
        }
    }

    /// True if some section names a part of this kind.
    fn refers_to(&self, kind: Category, name: &str) -> bool {
        let named = |it: &Reference| it.kind == kind && it.name.as_deref() == Some(name);
        let contains = |part: &Part<dyn heka_plugin::Decoder>| {
            part.prepared.references().iter().any(|sub| sub == name)
        };
        self.references.iter().any(named)
            || kind == Category::Decoder && self.decoders.sections.values().any(contains)
    }

    /// How the feeds of an input treat records.
    pub(crate) fn feed_settings(&self, input: &InputPart, context: &StartContext) -> FeedSettings {
        let max_record_size = context.max_record_size();
        let splitter = self.splitters.get(&input.splitter);
        let common = splitter.map(|it| it.common.clone()).unwrap_or_default();
        let defaults = splitter.map_or(Defaults::default(), |it| it.part.def.defaults);
        FeedSettings {
            use_message_bytes: common.use_message_bytes.unwrap_or(defaults.use_message_bytes),
            oversize: match common.oversize() {
                Oversize::Drop => heka_plugin::Oversize::Drop,
                Oversize::Truncate => heka_plugin::Oversize::Truncate,
                Oversize::Keep => heka_plugin::Oversize::Keep,
            },
            deliver_incomplete_final: common.deliver_incomplete_final,
            max_record_size,
            min_buffer_size: common.min_buffer_size.as_usize().min(max_record_size),
            send_decode_failures: input.common.send_decode_failures,
            log_decode_failures: input.common.log_decode_failures,
            flush_after: (!common.flush_after.is_zero()).then(|| common.flush_after.get()),
        }
    }
}

impl<K: ?Sized> ConsumerPart<K> {
    pub(crate) fn rules(&self) -> ConsumerRules<'_> {
        ConsumerRules { common: &self.common, defaults: self.part.def.defaults }
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.rules().is_durable()
    }
}

impl InputPart {
    pub(crate) fn ticker_interval(&self) -> Option<Duration> {
        ticker(self.common.ticker_interval, self.part.def.defaults)
    }
}

/// A plan being made.
struct Draft<'a> {
    plugins: &'a [PluginDef],
    problems: &'a mut Problems,
    plan: Plan,
}

impl Draft<'_> {
    fn add(&mut self, section: &Section) {
        let Some(&def) = self.plugins.iter().find(|def| def.name == section.plugin_type) else {
            self.unknown_type(section);
            return;
        };
        let name = section.name.clone();
        self.plan.present.insert((def.kind, name.clone()));
        self.note_references(section, def);
        match def.maker {
            Maker::Decoder(prepare) => {
                if let Some((_, prepared)) = prepare(section, self.problems)
                    && let Some(decoders) = Arc::get_mut(&mut self.plan.decoders)
                {
                    let part = Part { section: section.clone(), def, prepared };
                    decoders.sections.insert(name, part);
                }
            }
            Maker::Encoder(prepare) => {
                if let Some((_, prepared)) = prepare(section, self.problems) {
                    let part = Part { section: section.clone(), def, prepared };
                    self.plan.encoders.insert(name, part);
                }
            }
            Maker::Splitter(prepare) => {
                if let Some((common, prepared)) = prepare(section, self.problems) {
                    let part = Part { section: section.clone(), def, prepared };
                    self.plan.splitters.insert(name, SplitterPart { part, common });
                }
            }
            Maker::Input(prepare) => {
                if let Some((common, prepared)) = prepare(section, self.problems) {
                    let part = Part { section: section.clone(), def, prepared };
                    self.plan.inputs.push(input_part(part, common));
                }
            }
            Maker::Filter(prepare) => {
                let read = prepare(section, self.problems);
                let matcher = self.matcher(section, def).or_else(never);
                if let (Some((common, prepared)), Some(matcher)) = (read, matcher) {
                    let part = Part { section: section.clone(), def, prepared };
                    let encoder = None;
                    let part = ConsumerPart { part, common, matcher, encoder, framed: false };
                    self.plan.filters.push(part);
                }
            }
            Maker::Output(prepare) => {
                let read = prepare(section, self.problems);
                let matcher = self.matcher(section, def).or_else(never);
                if let (Some((common, prepared)), Some(matcher)) = (read, matcher) {
                    let part = Part { section: section.clone(), def, prepared };
                    let encoder = chosen(common.encoder.as_deref(), def.defaults.encoder);
                    let part = ConsumerPart { part, common, matcher, encoder, framed: false };
                    self.plan.outputs.push(part);
                }
            }
        }
    }

    /// Notes what the section names, read here even if other settings are wrong.
    fn note_references(&mut self, section: &Section, def: PluginDef) {
        let defaults = def.defaults;
        let settings: &[_] = match def.kind {
            Category::Input => &[
                ("splitter", Category::Splitter, defaults.splitter.or(Some("NullSplitter")), false),
                ("decoder", Category::Decoder, defaults.decoder, false),
            ],
            Category::Output => {
                &[("encoder", Category::Encoder, defaults.encoder, defaults.needs_encoder)]
            }
            _ => &[],
        };
        for &(key, kind, default, needed) in settings {
            let given = section.table.get_any_case(key).and_then(|entry| entry.value.as_str());
            let name = chosen(given, default);
            let section = section.clone();
            self.plan.references.push(Reference { section, key, kind, name, needed });
        }
    }

    /// A splitter, decoder or encoder that is named but has no section is the type of that name with its defaults.
    fn add_implicit(&mut self, sections: &[Section]) {
        let taken: BTreeSet<&str> = sections.iter().map(|section| section.name.as_str()).collect();
        let mut tried = BTreeSet::new();
        loop {
            let wanted: Vec<&PluginDef> = self
                .plugins
                .iter()
                .filter(|def| !taken.contains(def.name) && !tried.contains(def.name))
                .filter(|def| self.plan.refers_to(def.kind, def.name))
                .collect();
            if wanted.is_empty() {
                return;
            }
            for def in wanted {
                tried.insert(def.name);
                self.add(&Section::implicit(def.name));
            }
        }
    }

    fn unknown_type(&mut self, section: &Section) {
        let text = format!("no registered plugin type: {}", section.plugin_type);
        let mut problem = section.error_at("type", text);
        let names = self.plugins.iter().map(|def| def.name);
        problem.suggestion = nearest(&section.plugin_type, names).map(str::to_owned);
        self.problems.push(problem);
    }

    /// The section's matcher, else the type's; it is read here even if other settings are wrong.
    fn matcher(&mut self, section: &Section, def: PluginDef) -> Option<Matcher> {
        let entry = section.table.get_any_case("message_matcher");
        let given = entry.and_then(|entry| entry.value.as_str());
        if given.is_none() && entry.is_some() {
            return None; // Its type is wrong, which is told where the section is read.
        }
        let Some(text) = given.or(def.defaults.message_matcher) else {
            self.problems.push(section.error("missing message_matcher"));
            return None;
        };
        match Matcher::parse(text) {
            Ok((matcher, warnings)) => {
                for warning in warnings {
                    let problem = section.error_at("message_matcher", warning.to_string());
                    let severity = heka_config::Severity::Warning;
                    self.problems.push(Problem { severity, ..problem });
                }
                Some(matcher)
            }
            Err(error) => {
                let text = format!("cannot read message_matcher: {error}");
                self.problems.push(section.error_at("message_matcher", text));
                None
            }
        }
    }
}

fn input_part(part: Part<dyn Input>, common: CommonInput) -> InputPart {
    let defaults = part.def.defaults;
    let splitter = chosen(common.splitter.as_deref(), defaults.splitter);
    let decoder = chosen(common.decoder.as_deref(), defaults.decoder);
    let splitter = splitter.unwrap_or_else(|| "NullSplitter".to_owned());
    InputPart { part, common, splitter, decoder }
}

/// The section that a setting names; an empty text switches the default off.
fn chosen(given: Option<&str>, default: Option<&str>) -> Option<String> {
    given.or(default).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Stands for a matcher that could not be read, so that the section's other settings are checked all the same.
fn never() -> Option<Matcher> {
    Matcher::parse("FALSE").ok().map(|(matcher, _)| matcher)
}

/// Words for a category in texts.
pub(crate) fn category_word(category: Category) -> &'static str {
    match category {
        Category::Decoder => "decoder",
        Category::Encoder => "encoder",
        Category::Splitter => "splitter",
        Category::Input => "input",
        Category::Filter => "filter",
        Category::Output => "output",
    }
}
