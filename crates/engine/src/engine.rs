//! Start, run, stop.

use std::sync::Arc;
use std::time::Duration;

use heka_config::{Problem, Problems};
use heka_message::NameRegistry;
use heka_plugin::{
    FeedMaker, Filter, Input, InputCounts, LimitedLog, MakeDecoder, Output, PluginCounts, Pools,
    Reload, Reporter, StartContext, StartError,
};
use heka_stream::{
    Clock, Consumer, ConsumerOptions, DropReason, FullAction, Route, SourceCounts, Storage, Stream,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::durable;
use crate::filter::FilterRunner;
use crate::input::InputRunner;
use crate::output::{EncoderChoice, OutputRunner};
use crate::own_messages;
use crate::plan::{ConsumerPart, InputPart, Part, Plan};
use crate::report::{ConsumerHandle, Handles, InputHandle, Report};
use crate::requests::{AllUnderWay, Requests};
use crate::shared::{FilterLimits, Shared};
use crate::supervise::start_guarded;
use crate::waits;

/// What the daemon gives the engine.
#[derive(Debug)]
pub struct EngineSettings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Small files that last.
    pub storage: Arc<dyn Storage>,
    /// Host name of the machine.
    pub hostname: String,
    /// Process id.
    pub pid: i32,
}

/// What the daemon tells a running engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Stop in order; said twice, at once.
    Stop,
    /// Write the report to the log.
    Report,
    /// Outputs open their files anew, and plugins load scripts anew that changed.
    Reopen,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code of the process.
    pub code: i32,
    /// Messages that were not delivered; inputs with a checkpoint will read theirs again.
    pub undelivered: u64,
}

/// A planned configuration with its plugins started, ready to run.
pub struct Engine {
    shared: Arc<Shared>,
    handles: Handles,
    inputs: Vec<(InputRunner, Box<dyn Input>)>,
    filters: Vec<(FilterRunner, Box<dyn Filter>)>,
    outputs: Vec<(OutputRunner, Box<dyn Output>)>,
    timeout: Duration,
    /// How often the report goes into the stream; zero: never.
    report_interval: Duration,
}

/// How often a stopping engine looks whether all is delivered.
const STOP_POLL: Duration = Duration::from_millis(5);
/// How long filters and outputs get to end after the deadline.
const ABORT_GRACE: Duration = Duration::from_millis(500);

impl Engine {
    /// Starts all plugins of a plan: outputs, filters, then inputs. Nothing runs yet.
    ///
    /// # Errors
    /// All plugins that could not be started.
    pub fn start(plan: &Plan, settings: &EngineSettings) -> Result<Self, Problems> {
        let mut starter = Starter::new(plan, settings);
        starter.check_parts();
        starter.open_log(settings);
        starter.start_outputs();
        starter.start_filters();
        let routes = std::mem::take(&mut starter.routes);
        if let Err(error) = starter.engine.shared.set_routes(routes) {
            let text = format!("cannot compile the message matchers: {error}");
            starter.failures.push(Problem::error(text));
        }
        if starter.failures.is_empty() {
            starter.start_inputs();
        }
        if starter.failures.is_empty() {
            if let Some(log) = starter.engine.shared.stream.log() {
                durable::tell_orphans(log);
            }
            return Ok(starter.engine);
        }
        if let Some(log) = starter.engine.shared.stream.log() {
            // Nothing was appended, so there is nothing that could be left unwritten.
            let closed = log.close(starter.engine.timeout);
            tracing::debug!(closed, "log closed");
        }
        Err(starter.failures)
    }

    /// Starts what touches nothing outside memory (splitters, decoders, encoders) and gives it up again; returns
    /// what could not be started.
    #[must_use]
    pub fn check(plan: &Plan, settings: &EngineSettings) -> Problems {
        let mut starter = Starter::new(plan, settings);
        starter.check_parts();
        starter.failures
    }

    /// What the engine and its plugins say of themselves.
    #[must_use]
    pub fn handles(&self) -> Handles {
        self.handles.clone()
    }

    /// Runs until it is told to stop, or a plugin that may not end did.
    pub async fn run(self, mut control: mpsc::Receiver<Control>) -> Exit {
        let Self { shared, handles, inputs, filters, outputs, timeout, report_interval } = self;
        let mut reopeners = Vec::new();
        let mut output_tasks = Vec::new();
        for (runner, first) in outputs {
            let (sender, receiver) = mpsc::channel(1);
            reopeners.push(sender);
            let shared = Arc::clone(&shared);
            output_tasks.push(tokio::spawn(runner.run(first, shared, receiver)));
        }
        let filter_tasks: Vec<_> = filters
            .into_iter()
            .map(|(runner, first)| {
                let consumer = Arc::clone(&runner.consumer);
                let run = runner.run(Some(first), Arc::clone(&shared));
                (consumer, tokio::spawn(async { drop(run.await) }))
            })
            .collect();
        let input_tasks: Vec<_> = inputs
            .into_iter()
            .map(|(runner, first)| tokio::spawn(runner.run(first, Arc::clone(&shared))))
            .collect();
        for consumer in handles.consumers.iter().filter(|handle| handle.stops_when_full) {
            tokio::spawn(stop_when_full(Arc::clone(&shared), Arc::clone(&consumer.consumer)));
        }
        let watch = tokio::spawn(waits::watch(handles.clone()));
        let requests = Requests::start(Arc::clone(&shared), handles.clone());
        tracing::info!("started");
        let reports = !report_interval.is_zero();
        let period = if reports { report_interval } else { Duration::from_secs(3600) };
        let mut report = interval_at(Instant::now() + period, period);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = control.recv() => match command {
                    Some(Control::Report) => log_report(&handles),
                    Some(Control::Reopen) => {
                        reopen(&reopeners);
                        shared.context.reload.bump();
                    }
                    Some(Control::Stop) | None => break,
                },
                _ = report.tick(), if reports => own_messages::report(&shared, &handles),
                () = shared.wanted.notified() => break,
            }
        }
        watch.abort();
        let under_way = requests.stop().await;
        let tasks = Tasks { inputs: input_tasks, filters: filter_tasks, outputs: output_tasks };
        let exit = shutdown(&shared, &handles, tasks, control, timeout).await;
        under_way.into_iter().for_each(AllUnderWay::keep_the_rest);
        exit
    }
}

fn log_report(handles: &Handles) {
    let text = Report::of(handles).to_text();
    tracing::info!(target: "hekad::report", "\n{text}");
}

fn reopen(reopeners: &[mpsc::Sender<()>]) {
    for sender in reopeners {
        // Full means that the output has one such wish to fulfil already.
        if let Err(error) = sender.try_send(()) {
            tracing::debug!(%error, "output is already to reopen, or is gone");
        }
    }
}

async fn stop_when_full(shared: Arc<Shared>, consumer: Arc<Consumer>) {
    consumer.overflowed().await;
    tracing::error!(plugin = &*consumer.options().name, "its buffer is full, shutting down");
    shared.request_shutdown(1);
}

struct Tasks {
    inputs: Vec<JoinHandle<()>>,
    filters: Vec<(Arc<Consumer>, JoinHandle<()>)>,
    outputs: Vec<JoinHandle<()>>,
}

/// Inputs stop reading and wait until their messages are delivered; then filters end, then outputs. What is
/// still there at the deadline is told.
async fn shutdown(
    shared: &Arc<Shared>,
    handles: &Handles,
    tasks: Tasks,
    mut control: mpsc::Receiver<Control>,
    timeout: Duration,
) -> Exit {
    tracing::info!("shutdown initiated");
    shared.stop.stop();
    let abandon = shared.abandon.clone();
    let deadline = tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(timeout) => tracing::warn!("the shutdown takes too long"),
            () = second_stop(&mut control) => tracing::warn!("told to stop at once"),
        }
        abandon.stop();
    });
    if !finish(tasks.inputs, shared, || give_up_all(handles)).await {
        tracing::warn!("inputs were stopped before their messages were delivered");
    }
    // Filters may feed each other: all must be idle before the first one is closed.
    let mut gone = shared.abandon.signal();
    // What waits for a durable one stays on disk.
    let busy = |filter: &ConsumerHandle| {
        !filter.consumer.is_durable() && filter.consumer.counts().held() > 0
    };
    while !gone.is_set() && handles.filters().any(busy) {
        tokio::select! {
            () = tokio::time::sleep(STOP_POLL) => {}
            () = gone.wait() => {}
        }
    }
    // One after the other: what one says at its end may be for those behind it.
    for (consumer, task) in tasks.filters {
        consumer.close();
        finish(vec![task], shared, || ()).await;
    }
    handles.outputs().for_each(|output| output.consumer.close());
    finish(tasks.outputs, shared, || ()).await;
    deadline.abort();
    give_up_all(handles);
    let letters = shared.context.letters.clone();
    let written = durable::close(&shared.stream, letters, timeout).await;
    let mut undelivered = 0;
    for handle in &handles.consumers {
        let lost = handle.consumer.counts().dropped(DropReason::Stopped);
        if lost > 0 {
            tracing::warn!(plugin = &*handle.name, messages = lost, "not delivered before the end");
        }
        undelivered += lost;
    }
    for handle in handles.consumers.iter().filter(|handle| handle.consumer.is_durable()) {
        let (messages, waiting) = (handle.consumer.counts().held(), handle.consumer.backlog());
        if messages.max(waiting.0) > 0 && written {
            let messages = messages.max(waiting.0);
            tracing::info!(
                plugin = &*handle.name,
                messages,
                "on disk, delivered after the next start"
            );
        } else if messages > 0 {
            tracing::error!(
                plugin = &*handle.name,
                messages,
                "neither delivered nor written to disk"
            );
            undelivered += messages;
        }
    }
    tracing::info!(undelivered, "shutdown complete");
    let failed = shared.exit_code();
    Exit { code: if failed == 0 && undelivered > 0 { 1 } else { failed }, undelivered }
}

async fn second_stop(control: &mut mpsc::Receiver<Control>) {
    loop {
        match control.recv().await {
            Some(Control::Stop) => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// Closes all consumers and gives up what they hold; sources that wait for them wake up.
fn give_up_all(handles: &Handles) {
    for handle in &handles.consumers {
        handle.consumer.close();
        if !handle.consumer.is_durable() {
            handle.consumer.give_up(DropReason::Stopped, false);
        }
    }
}

/// Waits for tasks to end by themselves. After the deadline calls `late`, and a moment later ends them; then the
/// result is false.
async fn finish(tasks: Vec<JoinHandle<()>>, shared: &Shared, late: impl Fn()) -> bool {
    let mut abandon = shared.abandon.signal();
    let mut all = true;
    for mut task in tasks {
        tokio::select! {
            result = &mut task => {
                if let Err(error) = result && error.is_panic() {
                    tracing::error!("a runner panicked: {}", crate::supervise::panic_text(error));
                }
                continue;
            }
            () = abandon.wait() => late(),
        }
        all = false;
        if tokio::time::timeout(ABORT_GRACE, &mut task).await.is_err() {
            task.abort();
        }
    }
    all
}

/// Starts the plugins of a plan one after another.
struct Starter<'a> {
    plan: &'a Plan,
    engine: Engine,
    routes: Vec<Route>,
    failures: Problems,
    window_bytes: usize,
}

/// A consumer's window is this part of the memory limit at most, so that one alone cannot use it up.
const WINDOW_PART: u64 = 4;
/// A consumer's window is not smaller than this: some batches of the usual size.
const WINDOW_BYTES_MIN: u64 = 1 << 20;

impl<'a> Starter<'a> {
    fn new(plan: &'a Plan, settings: &EngineSettings) -> Self {
        let globals = &plan.globals;
        let names = NameRegistry::new();
        let clock = Arc::clone(&settings.clock);
        let memory = globals.memory_limit.bytes();
        let for_log = if plan.needs_log() { durable::log_bytes(globals) } else { 0 };
        let stream = Stream::new(memory - for_log, Arc::clone(&names), Arc::clone(&clock));
        let decoders: Arc<dyn MakeDecoder> = Arc::clone(&plan.decoders) as _;
        let context = StartContext {
            name: "hekad".into(),
            names: Arc::clone(&names),
            hostname: settings.hostname.as_str().into(),
            pid: settings.pid,
            base_dir: globals.base_dir.as_path().into(),
            share_dir: globals.share_dir.as_path().into(),
            max_message_size: globals.message_size(),
            log_flags: u32::try_from(globals.log_flags).unwrap_or(0),
            clock,
            storage: Arc::clone(&settings.storage),
            decoders,
            log: None,
            letters: durable::dead_letters(plan, settings, &names),
            reload: Reload::default(),
            filters: None,
        };
        let letters = context.letters.clone();
        let shared = Shared::new(stream.clone(), context, FilterLimits::from(globals));
        let engine = Engine {
            shared,
            handles: Handles { inputs: Vec::new(), consumers: Vec::new(), stream, letters },
            inputs: Vec::new(),
            filters: Vec::new(),
            outputs: Vec::new(),
            timeout: globals.shutdown_timeout.get(),
            report_interval: globals.report_interval.get(),
        };
        // All windows together leave room for what is on its way.
        let consumers = (plan.filters.len() + plan.outputs.len()).max(2) as u64;
        let window_bytes = (memory / 2 / consumers).min(memory / WINDOW_PART);
        let window_bytes = window_bytes.max(WINDOW_BYTES_MIN) as usize;
        Self { plan, engine, routes: Vec::new(), failures: Problems::new(), window_bytes }
    }

    fn open_log(&mut self, settings: &EngineSettings) {
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
    fn check_parts(&mut self) {
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
        let mut options = ConsumerOptions::new(&part.part.section.name);
        options.window_bytes = self.window_bytes;
        options.full_action = part.full_action();
        let signer = &part.common.message_signer;
        options.signer = (!signer.is_empty()).then(|| signer.as_bytes().into());
        options.letters.clone_from(&self.engine.shared.context.letters);
        let log = self.engine.shared.stream.log().filter(|_| part.is_durable()).cloned();
        options.durable = log.is_some().then(|| durable::options(part, keeps_state));
        if log.is_some() {
            options.window_bytes = durable::window_bytes(&self.plan.globals, self.window_bytes);
        }
        let consumer = Consumer::new(options);
        let matcher = part.matcher.clone();
        if let Some(Err(error)) = log.map(|log| log.register(&consumer, &matcher)) {
            let text = format!("cannot compile message_matcher: {error}");
            self.failures.push(part.part.section.error(text));
        }
        self.routes.push(Route { matcher, consumer: Arc::clone(&consumer) });
        consumer
    }

    fn start_outputs(&mut self) {
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
            let handle = self.handle(part, &consumer, false);
            let runner = OutputRunner {
                name: Arc::clone(&handle.name),
                type_name: part.part.def.name,
                prepared: Arc::clone(&part.part.prepared),
                encoder,
                consumer,
                retries: part.common.retries,
                can_exit: part.can_exit(),
                ticker_interval: part.ticker_interval(),
                counts: Arc::clone(&handle.counts),
                reporter: handle.reporter.clone(),
                context,
            };
            self.engine.handles.consumers.push(handle);
            self.engine.outputs.push((runner, first));
        }
    }

    fn start_filters(&mut self) {
        for part in &self.plan.filters {
            let section = &part.part.section;
            let context = self.context(&section.name);
            let made_after = context.reload.generation();
            let Some(first) = self.instance(section, || part.part.prepared.start(&context)) else {
                continue;
            };
            let consumer = self.consumer(part, first.keeps_state());
            let handle = self.handle(part, &consumer, true);
            let runner = FilterRunner {
                name: Arc::clone(&handle.name),
                type_name: part.part.def.name,
                prepared: Arc::clone(&part.part.prepared),
                matcher: Arc::new(part.matcher.clone()),
                consumer,
                retries: part.common.retries,
                can_exit: part.can_exit(),
                ticker_interval: part.ticker_interval(),
                counts: Arc::clone(&handle.counts),
                ledger: Arc::clone(&handle.injected),
                reporter: handle.reporter.clone(),
                context,
                made_after,
            };
            self.engine.handles.consumers.push(handle);
            self.engine.filters.push((runner, first));
        }
    }

    fn start_inputs(&mut self) {
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

    fn handle<K: ?Sized>(
        &self,
        part: &ConsumerPart<K>,
        consumer: &Arc<Consumer>,
        is_filter: bool,
    ) -> ConsumerHandle {
        ConsumerHandle {
            name: part.part.section.name.as_str().into(),
            type_name: part.part.def.name,
            is_filter,
            stops_when_full: part.full_action() == FullAction::Shutdown,
            consumer: Arc::clone(consumer),
            counts: Arc::new(PluginCounts::default()),
            injected: Arc::new(SourceCounts::default()),
            reporter: Reporter::new(),
        }
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
