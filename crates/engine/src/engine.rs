//! Start, run, stop.

use std::sync::Arc;
use std::time::Duration;

use heka_config::{Problem, Problems};
use heka_plugin::{Filter, Input, Output};
use heka_stream::{Clock, Consumer, DropReason, Storage};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::durable;
use crate::dynamic::DynamicFilters;
use crate::filter::FilterRunner;
use crate::input::InputRunner;
use crate::output::OutputRunner;
use crate::own_messages;
use crate::plan::Plan;
use crate::report::{ConsumerHandle, Handles, Report};
use crate::requests::{AllUnderWay, Requests};
use crate::shared::{Shared, stop_when_full};
use crate::starter::Starter;
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
    pub(crate) shared: Arc<Shared>,
    pub(crate) handles: Handles,
    pub(crate) dynamic: Arc<DynamicFilters>,
    pub(crate) inputs: Vec<(InputRunner, Box<dyn Input>)>,
    pub(crate) filters: Vec<(FilterRunner, Box<dyn Filter>)>,
    pub(crate) outputs: Vec<(OutputRunner, Box<dyn Output>)>,
    pub(crate) timeout: Duration,
    /// How often the report goes into the stream; zero: never.
    pub(crate) report_interval: Duration,
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
        if let Err(error) = starter.engine.shared.set_first_routes(routes) {
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
        let Self { shared, handles, dynamic, inputs, filters, outputs, timeout, report_interval } =
            self;
        // Loaded filters look after that themselves.
        let configured = handles.consumers.all().into_iter().filter(|handle| !handle.is_loaded);
        for handle in configured.filter(|handle| handle.stops_when_full) {
            tokio::spawn(stop_when_full(Arc::clone(&shared), Arc::clone(&handle.consumer)));
        }
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
        dynamic.begin();
        let input_tasks: Vec<_> = inputs
            .into_iter()
            .map(|(runner, first)| tokio::spawn(runner.run(first, Arc::clone(&shared))))
            .collect();
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
        let tasks =
            Tasks { inputs: input_tasks, filters: filter_tasks, dynamic, outputs: output_tasks };
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

struct Tasks {
    inputs: Vec<JoinHandle<()>>,
    filters: Vec<(Arc<Consumer>, JoinHandle<()>)>,
    dynamic: Arc<DynamicFilters>,
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
    while !gone.is_set() && handles.filters().any(|filter| busy(&filter)) {
        tokio::select! {
            () = tokio::time::sleep(STOP_POLL) => {}
            () = gone.wait() => {}
        }
    }
    // One after the other: what one says at its end may be for those behind it.
    for (consumer, task) in tasks.filters.into_iter().chain(tasks.dynamic.close()) {
        consumer.close();
        finish(vec![task], shared, || ()).await;
    }
    handles.outputs().for_each(|output| output.consumer.close());
    finish(tasks.outputs, shared, || ()).await;
    deadline.abort();
    give_up_all(handles);
    let letters = shared.context.letters.clone();
    let written = durable::close(&shared.stream, letters, timeout).await;
    let undelivered = tell_undelivered(shared, &handles.consumers.all(), written);
    tracing::info!(undelivered, "shutdown complete");
    let failed = shared.exit_code();
    Exit { code: if failed == 0 && undelivered > 0 { 1 } else { failed }, undelivered }
}

/// Tells what was not delivered; returns the number of messages that are neither delivered nor on disk.
fn tell_undelivered(shared: &Shared, consumers: &[ConsumerHandle], written: bool) -> u64 {
    let mut undelivered = 0;
    for handle in consumers.iter().filter(|handle| !shared.has_ended(&handle.consumer)) {
        let lost = handle.consumer.counts().dropped(DropReason::Stopped);
        if lost > 0 {
            tracing::warn!(plugin = &*handle.name, messages = lost, "not delivered before the end");
        }
        undelivered += lost;
    }
    for handle in consumers.iter().filter(|handle| handle.consumer.is_durable()) {
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
    undelivered
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
    for handle in handles.consumers.all() {
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
