//! Runs a filter: starts it, hands it what it saved, starts it again after errors and panics, and says what its end means.
//!
//! Not here: what one instance does (`driver`).

mod driver;

use std::sync::Arc;
use std::time::Duration;

use heka_config::Retries;
use heka_matcher::Matcher;
use heka_message::Envelope;
use heka_plugin::{
    Filter, FilterContext, FilterError, LimitedLog, PluginCounts, Prepared, Reporter, StartContext,
};
use heka_stream::{Consumer, SourceCounts};
use tokio::time::Instant;

use crate::filter::driver::{Driver, Saving};
use crate::filter_state::StateFile;
use crate::plan::ConsumerRules;
use crate::report::ConsumerHandle;
use crate::shared::{Gone, Shared};
use crate::supervise::{Backoff, panic_text, start_guarded};

/// Directory of filters' saved states below `base_dir`.
const STATE_DIRECTORY: &str = "filter_state";

/// A filter, ready to run.
pub(crate) struct FilterRunner {
    name: Arc<str>,
    type_name: &'static str,
    prepared: Arc<dyn Prepared<dyn Filter>>,
    matcher: Arc<Matcher>,
    pub(crate) consumer: Arc<Consumer>,
    retries: Retries,
    can_exit: bool,
    is_loaded: bool,
    ticker_interval: Option<Duration>,
    counts: Arc<PluginCounts>,
    ledger: Arc<SourceCounts>,
    reporter: Reporter,
    context: StartContext,
    /// The reload before its first instance was made.
    made_after: u64,
}

/// How a filter ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It was closed and has dealt with all it had.
    Drained,
    /// It ended by itself, for good.
    Gone(String),
    /// The daemon ends, because of it or without waiting for it any longer.
    Abandoned,
}

/// What a filter's section says.
pub(crate) struct FilterSettings<'a> {
    pub(crate) rules: ConsumerRules<'a>,
    pub(crate) prepared: Arc<dyn Prepared<dyn Filter>>,
    pub(crate) matcher: Arc<Matcher>,
}

impl FilterRunner {
    /// What runs the filter behind a handle; its first instance was or will be made in `context`, after a reload.
    pub(crate) fn new(
        handle: &ConsumerHandle,
        settings: FilterSettings<'_>,
        context: StartContext,
        made_after: u64,
    ) -> Self {
        let rules = settings.rules;
        Self {
            name: Arc::clone(&handle.name),
            type_name: handle.type_name,
            prepared: settings.prepared,
            matcher: settings.matcher,
            consumer: Arc::clone(&handle.consumer),
            retries: rules.common.retries,
            can_exit: rules.can_exit(),
            is_loaded: handle.is_loaded,
            ticker_interval: rules.ticker_interval(),
            counts: Arc::clone(&handle.counts),
            ledger: Arc::clone(&handle.injected),
            reporter: handle.reporter.clone(),
            context,
            made_after,
        }
    }

    fn filter_context(&self, shared: &Shared) -> FilterContext {
        let StartContext { hostname, pid, .. } = &self.context;
        let envelope = Envelope::new(&self.name).hostname(hostname).pid(*pid);
        let limits = shared.limits;
        FilterContext {
            name: Arc::clone(&self.name),
            clock: Arc::clone(&self.context.clock),
            names: Arc::clone(&self.context.names),
            envelope: Arc::new(envelope),
            hostname: Arc::clone(hostname),
            pid: *pid,
            matcher: Arc::clone(&self.matcher),
            consumer: Some(Arc::clone(&self.consumer)),
            loops_max: limits.loops_max,
            process_inject_max: limits.process_inject_max,
            timer_inject_max: limits.timer_inject_max,
            process_duration_max_ns: limits.process_duration_max_ns,
            counts: Arc::clone(&self.counts),
            reporter: self.reporter.clone(),
            log: LimitedLog::default(),
            injected: None,
        }
    }

    /// The file of its state, if it keeps one.
    fn state_file(&self, filter: &dyn Filter) -> Option<StateFile> {
        if !filter.keeps_state() {
            return None;
        }
        let log = self.context.log.as_ref().filter(|_| self.consumer.is_durable());
        let id = log.map_or([0; 16], |log| log.id());
        let directory = self.context.in_base_dir(STATE_DIRECTORY);
        Some(StateFile::new(Arc::clone(&self.context.storage), directory, (&self.name, id)))
    }

    /// Gives a new instance what an earlier one saved, and the deliveries that are not in that.
    fn restore(&self, filter: &mut dyn Filter, file: &StateFile) {
        let saved = file.load();
        let mut sequence = self.consumer.pinned();
        if let Some(saved) = saved {
            match filter.restore(&saved.state) {
                Ok(()) => sequence = saved.sequence.or(sequence),
                Err(error) => {
                    let plugin = &*self.name;
                    tracing::error!(plugin, %error, "the saved state cannot be used");
                }
            }
        }
        if let (Some(sequence), Some(log)) = (sequence, &self.context.log) {
            log.rewind(&self.consumer, sequence);
        }
    }

    /// Runs until its consumer is closed and drained, or the filter ends for good. Without a `first` instance one is made.
    pub(crate) async fn run(self, first: Option<Box<dyn Filter>>, shared: Arc<Shared>) -> End {
        let mut backoff = Backoff::of(&self.retries);
        let mut instance = first.map(|first| (first, self.made_after));
        loop {
            let began = Instant::now();
            let error = match self.run_once(instance.take(), &shared).await {
                Ok(()) => return End::Drained,
                Err(FilterError::Exit { why, announced }) => {
                    let gone = Gone { error: &why, at_its_wish: true, announced };
                    return if self.leave(&shared, gone) { End::Gone(why) } else { End::Abandoned };
                }
                Err(FilterError::Fatal(error)) => error,
            };
            tracing::error!(plugin = &*self.name, error, "filter failed");
            if shared.stopping() && self.consumer.is_durable() {
                return End::Abandoned; // What it did not answer for is on disk.
            }
            self.consumer.set_trouble(Some(&error));
            self.counts.restarts.add(1);
            backoff.ran_for(began.elapsed());
            let mut abandon = shared.abandon.signal();
            if !backoff.wait(&mut abandon).await {
                let gone = Gone { error: &error, at_its_wish: false, announced: false };
                return if self.leave(&shared, gone) { End::Gone(error) } else { End::Abandoned };
            }
            tracing::info!(plugin = &*self.name, attempt = backoff.attempts(), "restarting filter");
            self.consumer.set_trouble(None);
        }
    }

    /// Ends for good; true if the daemon goes on without it.
    fn leave(&self, shared: &Shared, gone: Gone<'_>) -> bool {
        // One that was unloaded may end in any way.
        let can_exit = self.can_exit || self.consumer.is_closed() && !shared.stopping();
        let plugin = (&*self.name, self.type_name, can_exit);
        let removed = shared.consumer_gone(&self.consumer, plugin, gone);
        // One that is loaded on the way leaves the report as well.
        if removed && gone.at_its_wish && !self.is_loaded {
            shared.filter_ended(&self.consumer);
        }
        removed
    }

    /// Runs one instance to its end: the one that is there, or else a new one.
    async fn run_once(
        &self,
        instance: Option<(Box<dyn Filter>, u64)>,
        shared: &Shared,
    ) -> Result<(), FilterError> {
        let (mut filter, seen) = match instance {
            Some(instance) => instance,
            None => {
                let seen = self.context.reload.generation();
                let filter = start_guarded(|| self.prepared.start(&self.context));
                (filter.map_err(|error| FilterError::Fatal(error.to_string()))?, seen)
            }
        };
        let file = self.state_file(&*filter);
        if let Some(file) = &file {
            self.restore(&mut *filter, file);
        }
        let driver = Driver {
            filter,
            context: self.filter_context(shared),
            consumer: Arc::clone(&self.consumer),
            source: shared.stream.inject_source(Arc::clone(&self.ledger)),
            ticker_interval: self.ticker_interval,
            reload: self.context.reload.clone(),
            seen,
            saving: Saving::to(file),
        };
        // A task of its own, so that a panic ends in the join; its acks then say no.
        match tokio::spawn(driver.run()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.consumer.forgive();
                Err(error)
            }
            Err(error) => {
                self.counts.panics.add(1);
                self.consumer.blame();
                Err(FilterError::Fatal(format!("panicked: {}", panic_text(error))))
            }
        }
    }
}
