//! The engine with plugins made for the purpose: failures, restarts, injection, shutdown.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod durable;
mod dynamic;
mod ends;
mod life;
mod plugins;
mod reports;

use std::sync::Arc;
use std::time::Duration;

use heka_config::{Problems, parse_config};
use heka_engine::{Control, Engine, EngineSettings, Exit, Handles, Plan};
use heka_stream::{MemoryStorage, Storage, SystemClock};
use tokio::sync::mpsc;

/// A configuration that runs.
pub(crate) struct Running {
    pub(crate) handles: Handles,
    pub(crate) control: mpsc::Sender<Control>,
    task: tokio::task::JoinHandle<Exit>,
}

pub(crate) fn plan(text: &str) -> Result<Plan, Problems> {
    let (config, mut problems) = parse_config(text, "test.toml");
    let plan = Plan::new(&config, plugins::PLUGINS, &mut problems);
    if problems.has_errors() { Err(problems) } else { Ok(plan) }
}

impl Running {
    pub(crate) fn start(text: &str) -> Self {
        Self::on(Arc::new(MemoryStorage::default()), text)
    }

    pub(crate) fn on(storage: Arc<dyn Storage>, text: &str) -> Self {
        let plan = plan(text).unwrap_or_else(|problems| panic!("{problems}"));
        let settings = EngineSettings {
            clock: Arc::new(SystemClock),
            storage,
            hostname: "host".to_owned(),
            pid: 42,
        };
        let engine = match Engine::start(&plan, &settings) {
            Ok(engine) => engine,
            Err(failures) => panic!("{failures}"),
        };
        let handles = engine.handles();
        let (control, receiver) = mpsc::channel(4);
        Self { handles, control, task: tokio::spawn(engine.run(receiver)) }
    }

    pub(crate) async fn stop(self) -> Exit {
        self.control.send(Control::Stop).await.expect("the engine runs");
        self.ended().await
    }

    pub(crate) async fn ended(self) -> Exit {
        let exit = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        let exit = exit.expect("the engine ends").unwrap();
        self.handles.balance().unwrap();
        exit
    }

    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Handles) -> bool) {
        for _ in 0..4_000 {
            if done(&self.handles) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{what} never happened");
    }
}
