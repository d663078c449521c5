//! Runs an input: starts it, starts it again after errors and panics, and says what its end means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use heka_config::Retries;
use heka_plugin::{
    FeedMaker, Input, InputContext, InputCounts, InputError, LimitedLog, PluginCounts, Prepared,
    Reporter, StartContext,
};

use crate::own_messages;
use crate::shared::Shared;
use crate::supervise::{Backoff, panic_text, start_guarded};

/// An input, ready to run.
pub(crate) struct InputRunner {
    pub(crate) name: Arc<str>,
    pub(crate) type_name: &'static str,
    pub(crate) prepared: Arc<dyn Prepared<dyn Input>>,
    pub(crate) feeds: Arc<FeedMaker>,
    pub(crate) retries: Retries,
    pub(crate) can_exit: bool,
    pub(crate) ticker_interval: Option<Duration>,
    pub(crate) counts: Arc<InputCounts>,
    pub(crate) plugin_counts: Arc<PluginCounts>,
    pub(crate) reporter: Reporter,
    pub(crate) context: StartContext,
}

impl InputRunner {
    fn input_context(&self, shared: &Shared) -> InputContext {
        InputContext {
            start: self.context.clone(),
            feeds: Arc::clone(&self.feeds),
            stop: shared.stop.signal(),
            abandon: shared.abandon.signal(),
            ticker_interval: self.ticker_interval,
            counts: Arc::clone(&self.counts),
            reporter: self.reporter.clone(),
            log: LimitedLog::default(),
        }
    }

    /// Runs until the daemon stops or the input ends for good. `first` was started when the daemon was.
    pub(crate) async fn run(self, first: Box<dyn Input>, shared: Arc<Shared>) {
        let mut backoff = Backoff::of(&self.retries);
        let mut instance = Some(first);
        loop {
            let began = Instant::now();
            let outcome = match instance.take() {
                Some(input) => self.run_once(input, &shared).await,
                None => match start_guarded(|| self.prepared.start(&self.context)) {
                    Ok(input) => self.run_once(input, &shared).await,
                    Err(error) => Err(InputError::Start(error)),
                },
            };
            if shared.stopping() {
                return;
            }
            let error = match outcome {
                Ok(()) => return self.finished(&shared),
                Err(InputError::Exit(why)) => {
                    tracing::error!(plugin = &*self.name, error = why, "has ended for good");
                    return self.gone(&shared, &why);
                }
                Err(error) => error.to_string(),
            };
            self.plugin_counts.restarts.add(1);
            backoff.ran_for(began.elapsed());
            let mut stop = shared.stop_signal();
            tracing::error!(plugin = &*self.name, error, "input failed");
            if !backoff.wait(&mut stop).await {
                if !shared.stopping() {
                    tracing::error!(plugin = &*self.name, error, "max retries exceeded");
                    self.gone(&shared, &error);
                }
                return;
            }
            tracing::info!(plugin = &*self.name, attempt = backoff.attempts(), "restarting input");
        }
    }

    async fn run_once(&self, mut input: Box<dyn Input>, shared: &Shared) -> Result<(), InputError> {
        let mut context = self.input_context(shared);
        // A task of its own, so that a panic ends in the join.
        let task = tokio::spawn(async move { input.run(&mut context).await });
        match task.await {
            Ok(result) => result,
            Err(error) => {
                self.plugin_counts.panics.add(1);
                Err(InputError::Failed(format!("panicked: {}", panic_text(error))))
            }
        }
    }

    fn finished(&self, shared: &Shared) {
        tracing::info!(plugin = &*self.name, "input finished");
        if !self.can_exit {
            tracing::info!(plugin = &*self.name, "has stopped, shutting down");
            shared.request_shutdown(0);
        }
    }

    /// It ended by an error, and is not started again.
    fn gone(&self, shared: &Shared, error: &str) {
        if self.can_exit {
            own_messages::announce(shared, &self.name, self.type_name, error);
        } else {
            tracing::error!(plugin = &*self.name, "has stopped, shutting down");
            shared.request_shutdown(1);
        }
    }
}
