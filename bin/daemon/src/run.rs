//! `hekad -config PATH`: runs a configuration until a signal or a plugin ends it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use heka_config::{Globals, Problems, Severity};
use heka_engine::{Control, Engine, EngineSettings, Plan};
use heka_stream::{FileStorage, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::check::plan;
use crate::pid::PidFile;
use crate::{VERSION, log};

/// Runs; the result is the exit code.
pub(crate) fn run(path: &Path) -> anyhow::Result<u8> {
    let mut problems = Problems::new();
    let plan = plan(path, &mut problems);
    let format = plan.as_ref().map(|plan| plan.globals().log_format).unwrap_or_default();
    log::start(format);
    problems.sort();
    for problem in &problems {
        match problem.severity {
            Severity::Error => tracing::error!("{problem}"),
            Severity::Warning => tracing::warn!("{problem}"),
        }
    }
    let Some(plan) = plan else {
        tracing::error!("{} errors in the configuration", problems.error_count());
        return Ok(1);
    };
    run_plan(&plan)
}

/// Runs a checked configuration; the log is on.
pub(crate) fn run_plan(plan: &Plan) -> anyhow::Result<u8> {
    let globals = plan.globals();
    std::fs::create_dir_all(&globals.base_dir)
        .with_context(|| format!("cannot make base_dir {}", globals.base_dir.display()))?;
    let _pid_file = PidFile::write(&globals.pid_file)?;
    let settings = settings(globals)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(globals.workers())
        .thread_name("hekad")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let code = runtime.block_on(async {
        tracing::info!(version = VERSION, workers = globals.workers(), "starting hekad");
        let engine = match Engine::start(plan, &settings) {
            Ok(engine) => engine,
            Err(failures) => {
                for failure in &failures {
                    tracing::error!("{failure}");
                }
                tracing::error!("{} plugins could not be started", failures.len());
                return anyhow::Ok(1);
            }
        };
        let (sender, control) = mpsc::channel(8);
        let signals = tokio::spawn(signals(sender));
        let exit = engine.run(control).await;
        signals.abort();
        Ok(u8::try_from(exit.code).unwrap_or(1))
    })?;
    // Threads that are blocked in the operating system are not waited for.
    runtime.shutdown_background();
    Ok(code)
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

/// Turns signals into controls.
async fn signals(sender: mpsc::Sender<Control>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut report = signal(SignalKind::user_defined1())?;
    let mut self_test = signal(SignalKind::user_defined2())?;
    loop {
        let control = tokio::select! {
            _ = interrupt.recv() => Control::Stop,
            _ = terminate.recv() => Control::Stop,
            _ = hangup.recv() => Control::Reopen,
            _ = report.recv() => Control::Report,
            _ = self_test.recv() => Control::Report,
        };
        sender.send(control).await.context("the engine is gone")?;
    }
}
