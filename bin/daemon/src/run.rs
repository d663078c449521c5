//! `hekad -config PATH`: runs a configuration until a signal or a plugin ends it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use heka_config::{Globals, Problems, Severity};
use heka_engine::{Control, Engine, EngineSettings, Handles, Plan};
use heka_stream::{FileStorage, SystemClock};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::check::plan;
use crate::pid::PidFile;
use crate::{VERSION, log};

/// Runs; the result is the exit code.
pub(crate) fn run(path: &Path) -> anyhow::Result<u8> {
    let mut problems = Problems::new();
    let plan = plan(path, &mut problems);
    log::start(plan.globals().log_format);
    for problem in &problems {
        match problem.severity {
            Severity::Error => tracing::error!("{problem}"),
            Severity::Warning => tracing::warn!("{problem}"),
        }
    }
    if problems.has_errors() {
        tracing::error!("{} errors in the configuration", problems.error_count());
        return Ok(1);
    }
    run_plan_then(&plan, |_| Ok(()))
}

/// Runs a checked configuration; the log is on. `then` looks at what it counted when all has ended.
pub(crate) fn run_plan_then(
    plan: &Plan,
    then: impl FnOnce(&Handles) -> anyhow::Result<()>,
) -> anyhow::Result<u8> {
    let globals = plan.globals();
    std::fs::create_dir_all(&globals.base_dir)
        .with_context(|| format!("cannot make base_dir {}", globals.base_dir.display()))?;
    let _pid_file = PidFile::write(&globals.pid_file)?;
    let settings = settings(globals)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(globals.workers())
        .thread_name("hekad")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let code = runtime.block_on(async {
        tracing::info!(version = VERSION, workers = globals.workers(), "starting hekad");
        // Before anything is started: an early signal must not kill the process.
        let signals = Signals::new().context("cannot listen to signals")?;
        let engine = match Engine::start(plan, &settings) {
            Ok(engine) => engine,
            Err(failures) => {
                for failure in &failures {
                    tracing::error!("{failure}");
                }
                tracing::error!("{} plugins could not be started", failures.error_count());
                return anyhow::Ok(1);
            }
        };
        let (sender, control) = mpsc::channel(8);
        let signals = tokio::spawn(signals.forward(sender));
        let handles = engine.handles();
        let exit = engine.run(control).await;
        signals.abort();
        then(&handles)?;
        Ok(u8::try_from(exit.code).unwrap_or(1))
    })?;
    // Threads that are blocked in the operating system are not waited for.
    runtime.shutdown_background();
    Ok(code)
}

/// Allows as many open files and connections as the system lets us have: the usual soft limit is made for programs
/// that use `select`.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

fn settings(globals: &Globals) -> anyhow::Result<EngineSettings> {
    let hostname = if globals.hostname.is_empty() {
        let name = nix::unistd::gethostname().context("cannot read the host name")?;
        name.to_string_lossy().into_owned()
    } else {
        globals.hostname.clone()
    };
    Ok(EngineSettings {
        clock: Arc::new(SystemClock),
        storage: Arc::new(FileStorage),
        hostname,
        pid: i32::try_from(std::process::id()).unwrap_or(0),
    })
}

/// The signals that the daemon listens to.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    report: Signal,
    self_test: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            report: signal(SignalKind::user_defined1())?,
            self_test: signal(SignalKind::user_defined2())?,
        })
    }

    /// Turns signals into controls until the engine is gone.
    async fn forward(mut self, sender: mpsc::Sender<Control>) {
        loop {
            let control = tokio::select! {
                _ = self.interrupt.recv() => Control::Stop,
                _ = self.terminate.recv() => Control::Stop,
                _ = self.hangup.recv() => Control::Reopen,
                _ = self.report.recv() => Control::Report,
                _ = self.self_test.recv() => Control::Report,
            };
            if sender.send(control).await.is_err() {
                return;
            }
        }
    }
}
