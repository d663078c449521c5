//! Starts the plugins of a plan one after another, and makes what they run in.

use std::sync::Arc;

use heka_config::Problems;
use heka_message::NameRegistry;
use heka_plugin::{
    FeedMaker, InputCounts, LimitedLog, MakeDecoder, ManageFilters, PluginCounts, Pools, Reload,
    Reporter, StartContext, StartError,
};
use heka_stream::{Consumer, Route, SourceCounts, Stream};

use crate::consumers::{ConsumerMaker, Roster};
use crate::durable;
use crate::dynamic::DynamicFilters;
use crate::engine::{Engine, EngineSettings};
use crate::filter::{FilterRunner, FilterSettings};
use crate::input::InputRunner;
use crate::output::{EncoderChoice, OutputRunner};
use crate::plan::{ConsumerPart, InputPart, Part, Plan};
use crate::report::{ConsumerHandle, Handles, InputHandle};
use crate::shared::{FilterLimits, Shared};
use crate::supervise::start_guarded;

/// An engine that is being started.
pub(crate) struct Starter<'a> {
    plan: &'a Plan,
    pub(crate) engine: Engine,
    pub(crate) routes: Vec<Route>,
    pub(crate) failures: Problems,
    maker: ConsumerMaker,
}

/// A consumer's window is this part of the memory limit at most, so that one alone cannot use it up.
const WINDOW_PART: u64 = 4;
/// A consumer's window is not smaller than this: some batches of the usual size.
const WINDOW_BYTES_MIN: u64 = 1 << 20;

impl<'a> Starter<'a> {
    pub(crate) fn new(plan: &'a Plan, settings: &EngineSettings) -> Self {
        let globals = &plan.globals;
        let names = NameRegistry::new();
        let memory = globals.memory_limit.bytes();
        let for_log = if plan.needs_log() { durable::log_bytes(globals) } else { 0 };
        let clock = Arc::clone(&settings.clock);
        let stream = Stream::new(memory - for_log, Arc::clone(&names), clock);
        let context = start_context(plan, settings, &names);
        let letters = context.letters.clone();
        let shared = Shared::new(stream.clone(), context, FilterLimits::from(globals));
        // All windows together leave room for what is on its way.
        let consumers = (plan.filters.len() + plan.outputs.len()).max(2) as u64;
        let window_bytes = (memory / 2 / consumers).min(memory / WINDOW_PART);
        let window_bytes = window_bytes.max(WINDOW_BYTES_MIN) as usize;
        let maker = ConsumerMaker {
            stream: stream.clone(),
            letters: letters.clone(),
            window_bytes,
            durable_window_bytes: durable::window_bytes(globals, window_bytes),
        };
        let roster = Roster::default();
        let names = plan.consumer_names();
        let dynamic =
            DynamicFilters::new(Arc::clone(&shared), roster.clone(), maker.clone(), names);
        let engine = Engine {
            shared,
            handles: Handles { inputs: Vec::new(), consumers: roster, stream, letters },
            dynamic,
            inputs: Vec::new(),
            filters: Vec::new(),
            outputs: Vec::new(),
            timeout: globals.shutdown_timeout.get(),
            report_interval: globals.report_interval.get(),
        };
        Self { plan, engine, routes: Vec::new(), failures: Problems::new(), maker }
    }

    pub(crate) fn open_log(&mut self, settings: &EngineSettings) {
        let names = Arc::clone(&self.engine.shared.context.names);
        let log = durable::open_log(self.plan, settings, &names, &mut self.failures);
        if let Some(log) = log {
            self.engine.shared.stream.set_log(log);
        }
    }

    fn context(&self, name: &str) -> StartContext {
        let shared = &self.engine.shared;
        let log = shared.stream.log().cloned();
        StartContext { name: name.into(), log, ..shared.context.clone() }
    }

    /// Starts one instance of every splitter, decoder and encoder, so that what is wrong with them is told now.
    pub(crate) fn check_parts(&mut self) {
        let plan = self.plan;
        for (name, part) in &plan.decoders.sections {
            if !plan.broken.contains(name) {
                self.check_part(part);
            }
        }
        for splitter in plan.splitters.values() {
            self.check_part(&splitter.part);
        }
        for part in plan.encoders.values() {
            self.check_part(part);
        }
    }

    fn check_part<K: ?Sized>(&mut self, part: &Part<K>) {
        let context = self.context(&part.section.name);
        drop(self.instance(&part.section, || part.prepared.start(&context)));
    }

    fn consumer<K: ?Sized>(&mut self, part: &ConsumerPart<K>, keeps_state: bool) -> Arc<Consumer> {
        let consumer = self.maker.consumer(&part.part.section.name, part.rules(), keeps_state);
        let matcher = part.matcher.clone();
        let log = self.engine.shared.stream.log().filter(|_| consumer.is_durable());
        if let Some(Err(error)) = log.map(|log| log.register(&consumer, &matcher)) {
            let text = format!("cannot compile message_matcher: {error}");
            self.failures.push(part.part.section.error(text));
        }
        self.routes.push(Route { matcher, consumer: Arc::clone(&consumer) });
        consumer
    }

    pub(crate) fn start_outputs(&mut self) {
        for part in &self.plan.outputs {
            let section = &part.part.section;
            let context = self.context(&section.name);
            let Some(first) = self.instance(section, || part.part.prepared.start(&context)) else {
                continue;
            };
            let consumer = self.consumer(part, false);
            let encoder = part.encoder.as_deref().and_then(|encoder| {
                Some(EncoderChoice {
                    prepared: Arc::clone(&self.plan.encoders.get(encoder)?.prepared),
                    name: format!("{}-{encoder}", section.name).into(),
                    frame: part.framed.then_some(
                        heka_wire::write_unsigned_frame_header as fn(usize, &mut Vec<u8>),
                    ),
                })
            });
            let handle = ConsumerHandle::new(&consumer, part.part.def.name, false);
            let runner = OutputRunner {
                name: Arc::clone(&handle.name),
                type_name: part.part.def.name,
                prepared: Arc::clone(&part.part.prepared),
                encoder,
                consumer,
                retries: part.common.retries,
                can_exit: part.rules().can_exit(),
                ticker_interval: part.rules().ticker_interval(),
                counts: Arc::clone(&handle.counts),
                reporter: handle.reporter.clone(),
                context,
            };
            self.engine.handles.consumers.add(handle);
            self.engine.outputs.push((runner, first));
        }
    }

    pub(crate) fn start_filters(&mut self) {
        for part in &self.plan.filters {
            let section = &part.part.section;
            let filters = Some(Arc::clone(&self.engine.dynamic) as Arc<dyn ManageFilters>);
            let context = StartContext { filters, ..self.context(&section.name) };
            let made_after = context.reload.generation();
            let Some(first) = self.instance(section, || part.part.prepared.start(&context)) else {
                continue;
            };
            let consumer = self.consumer(part, first.keeps_state());
            let handle = ConsumerHandle::new(&consumer, part.part.def.name, true);
            let settings = FilterSettings {
                rules: part.rules(),
                prepared: Arc::clone(&part.part.prepared),
                matcher: Arc::new(part.matcher.clone()),
            };
            let runner = FilterRunner::new(&handle, settings, context, made_after);
            self.engine.handles.consumers.add(handle);
            self.engine.filters.push((runner, first));
        }
    }

    pub(crate) fn start_inputs(&mut self) {
        for part in &self.plan.inputs {
            let section = &part.part.section;
            let context = self.context(&section.name);
            let Some(first) = self.instance(section, || part.part.prepared.start(&context)) else {
                continue;
            };
            let Some(feeds) = self.feed_maker(part, &context) else { continue };
            let handle = InputHandle {
                name: section.name.as_str().into(),
                type_name: part.part.def.name,
                counts: Arc::clone(&feeds.counts),
                plugin_counts: Arc::new(PluginCounts::default()),
                ledger: Arc::clone(&feeds.ledger),
                feeds: Arc::clone(&feeds),
                reporter: Reporter::new(),
            };
            let runner = InputRunner {
                name: Arc::clone(&handle.name),
                type_name: part.part.def.name,
                prepared: Arc::clone(&part.part.prepared),
                feeds,
                retries: part.common.retries,
                can_exit: part.common.can_exit.unwrap_or(part.part.def.defaults.can_exit),
                ticker_interval: part.ticker_interval(),
                counts: Arc::clone(&handle.counts),
                plugin_counts: Arc::clone(&handle.plugin_counts),
                reporter: handle.reporter.clone(),
                context,
            };
            self.engine.handles.inputs.push(handle);
            self.engine.inputs.push((runner, first));
        }
    }

    fn feed_maker(&self, part: &InputPart, context: &StartContext) -> Option<Arc<FeedMaker>> {
        let splitter = self.plan.splitters.get(&part.splitter)?;
        Some(Arc::new(FeedMaker {
            splitter: Arc::clone(&splitter.part.prepared),
            splitter_name: part.splitter.as_str().into(),
            decoder: part.decoder.as_deref().map(Into::into),
            settings: Arc::new(self.plan.feed_settings(part, context)),
            stream: self.engine.shared.stream.clone(),
            ledger: Arc::new(SourceCounts::default()),
            counts: Arc::new(InputCounts::default()),
            context: context.clone(),
            pools: Pools::default(),
            log: Arc::new(LimitedLog::default()),
        }))
    }

    fn instance<K: ?Sized>(
        &mut self,
        section: &heka_config::Section,
        start: impl FnOnce() -> Result<Box<K>, StartError>,
    ) -> Option<Box<K>> {
        match start_guarded(start) {
            Ok(instance) => Some(instance),
            Err(error) => {
                let text = format!("{}: {error}", section.plugin_type);
                self.failures.push(section.error(text));
                None
            }
        }
    }
}

/// What plugins may know of the daemon, but for their own names.
fn start_context(
    plan: &Plan,
    settings: &EngineSettings,
    names: &Arc<NameRegistry>,
) -> StartContext {
    let globals = &plan.globals;
    StartContext {
        name: "hekad".into(),
        names: Arc::clone(names),
        hostname: settings.hostname.as_str().into(),
        pid: settings.pid,
        base_dir: globals.base_dir.as_path().into(),
        share_dir: globals.share_dir.as_path().into(),
        max_message_size: globals.message_size(),
        log_flags: u32::try_from(globals.log_flags).unwrap_or(0),
        clock: Arc::clone(&settings.clock),
        storage: Arc::clone(&settings.storage),
        decoders: Arc::clone(&plan.decoders) as Arc<dyn MakeDecoder>,
        log: None,
        letters: durable::dead_letters(plan, settings, names),
        reload: Reload::default(),
        filters: None,
    }
}
