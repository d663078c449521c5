//! Runs a filter: hands it deliveries, fires its ticker, appends what it injects.

use std::sync::Arc;
use std::time::Duration;

use heka_config::Retries;
use heka_matcher::Matcher;
use heka_message::{Batch, BatchBuilder, Buffer, Envelope};
use heka_plugin::{
    Filter, FilterContext, FilterError, LimitedLog, PluginCounts, Prepared, Reporter, StartContext,
};
use heka_stream::{Ack, Consumer, Delivery, Settled, Source, SourceCounts};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::filter_state::StateFile;
use crate::shared::Shared;
use crate::supervise::{Backoff, panic_text, start_guarded};

/// Directory of filters' saved states below `base_dir`.
const STATE_DIRECTORY: &str = "filter_state";
/// How often the state of a filter is saved while it works.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// A filter, ready to run.
pub(crate) struct FilterRunner {
    pub(crate) name: Arc<str>,
    pub(crate) type_name: &'static str,
    pub(crate) prepared: Arc<dyn Prepared<dyn Filter>>,
    pub(crate) matcher: Matcher,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) retries: Retries,
    pub(crate) can_exit: bool,
    pub(crate) ticker_interval: Option<Duration>,
    pub(crate) counts: Arc<PluginCounts>,
    pub(crate) ledger: Arc<SourceCounts>,
    pub(crate) reporter: Reporter,
    pub(crate) context: StartContext,
}

impl FilterRunner {
    fn filter_context(&self, shared: &Shared) -> FilterContext {
        let envelope =
            Envelope::new(&self.name).hostname(&self.context.hostname).pid(self.context.pid);
        FilterContext {
            name: Arc::clone(&self.name),
            clock: Arc::clone(&self.context.clock),
            names: Arc::clone(&self.context.names),
            envelope: Arc::new(envelope),
            loops_max: shared.loops_max,
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

    /// Runs until its consumer is closed and drained, or the filter ends for good.
    pub(crate) async fn run(self, first: Box<dyn Filter>, shared: Arc<Shared>) {
        let mut backoff = Backoff::of(&self.retries);
        let mut instance = Some(first);
        loop {
            let began = Instant::now();
            let started = match instance.take() {
                Some(filter) => Ok(filter),
                None => start_guarded(|| self.prepared.start(&self.context)),
            };
            let error = match started {
                Err(error) => error.to_string(),
                Ok(mut filter) => {
                    let state = self.state_file(&*filter);
                    if let Some(file) = &state {
                        self.restore(&mut *filter, file);
                    }
                    let driver = Driver {
                        filter,
                        state,
                        behind: 0,
                        unsaved: false,
                        context: self.filter_context(&shared),
                        consumer: Arc::clone(&self.consumer),
                        matcher: self.matcher.clone(),
                        source: shared.stream.inject_source(Arc::clone(&self.ledger)),
                        ticker_interval: self.ticker_interval,
                    };
                    match tokio::spawn(driver.run()).await {
                        Ok(Ok(())) => return,
                        Ok(Err(error)) => {
                            self.consumer.forgive();
                            error.to_string()
                        }
                        Err(error) => {
                            self.counts.panics.add(1);
                            self.consumer.blame();
                            format!("panicked: {}", panic_text(error))
                        }
                    }
                }
            };
            tracing::error!(plugin = &*self.name, error, "filter failed");
            if shared.stopping() && self.consumer.is_durable() {
                return; // What it did not answer for is on disk.
            }
            self.consumer.set_trouble(Some(&error));
            self.counts.restarts.add(1);
            backoff.ran_for(began.elapsed());
            let mut abandon = shared.abandon.signal();
            if !backoff.wait(&mut abandon).await {
                let plugin = (&*self.name, self.type_name, self.can_exit);
                shared.consumer_gone(&self.consumer, plugin, &error);
                return;
            }
            tracing::info!(plugin = &*self.name, attempt = backoff.attempts(), "restarting filter");
            self.consumer.set_trouble(None);
        }
    }
}

/// One instance at work.
struct Driver {
    filter: Box<dyn Filter>,
    /// Where its state is saved.
    state: Option<StateFile>,
    /// Everything below this number of the log is in its state.
    behind: u64,
    /// It has seen something since its state was saved.
    unsaved: bool,
    context: FilterContext,
    consumer: Arc<Consumer>,
    matcher: Matcher,
    source: Source,
    ticker_interval: Option<Duration>,
}

/// What woke the driver.
enum Event {
    Delivery(Option<Delivery>),
    Ticker,
    Save,
}

impl Driver {
    async fn run(mut self) -> Result<(), FilterError> {
        let period = self.ticker_interval.unwrap_or(Duration::from_secs(3600));
        let mut ticker = interval_at(Instant::now() + period, period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut save = interval_at(Instant::now() + SAVE_INTERVAL, SAVE_INTERVAL);
        save.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let consumer = Arc::clone(&self.consumer);
            let event = tokio::select! {
                biased;
                _ = ticker.tick(), if self.ticker_interval.is_some() => Event::Ticker,
                _ = save.tick(), if self.state.is_some() => Event::Save,
                delivery = consumer.next() => Event::Delivery(delivery),
            };
            match event {
                Event::Delivery(None) => {
                    self.save();
                    return Ok(());
                }
                Event::Save => self.save(),
                Event::Ticker => {
                    self.filter.timer(&mut self.context)?;
                    self.unsaved = true;
                    self.append().await?;
                }
                Event::Delivery(Some(delivery)) => {
                    self.filter.process(&delivery, &mut self.context)?;
                    self.unsaved = true;
                    if delivery.ack.sequence() > 0 {
                        self.behind = self.behind.max(delivery.ack.sequence() + 1);
                    }
                    let injected = self.append().await?;
                    answer(delivery.ack, injected);
                }
            }
        }
    }

    /// Saves the filter's state; what is in it need not come again.
    fn save(&mut self) {
        let Some(file) = self.state.as_ref().filter(|_| self.unsaved) else { return };
        let name = &*self.context.name;
        let state = match self.filter.save() {
            Ok(state) => state,
            Err(error) => {
                tracing::error!(plugin = name, %error, "its state is not saved");
                return;
            }
        };
        match file.save(self.behind, &state) {
            Ok(()) => {
                self.unsaved = false;
                if self.behind > 0 && self.consumer.is_durable() {
                    self.consumer.pin(self.behind);
                }
            }
            Err(error) => tracing::error!(plugin = name, %error, "its state is not saved"),
        }
    }

    /// Appends what was injected; `None` if that was nothing.
    async fn append(&mut self) -> Result<Option<Settled>, FilterError> {
        let Some(batch) = self.context.take_injected() else { return Ok(None) };
        let batch = self.without_own_matches(batch);
        if batch.is_empty() {
            return Ok(None);
        }
        self.context.counts.injected.add(batch.len() as u64);
        let appended = self.source.append_alone(batch).await;
        appended.map(Some).map_err(|error| FilterError::Fatal(error.to_string()))
    }

    /// A filter may not inject what its own matcher accepts: it would feed on itself.
    fn without_own_matches(&self, batch: Batch) -> Batch {
        let refused = batch.records().filter(|record| self.matcher.matches(record)).count();
        if refused == 0 {
            return batch;
        }
        let context = &self.context;
        context.counts.inject_refused.add(refused as u64);
        if let Some(missed) = context.log.event(context.clock.now_ns()) {
            let error = "attempted to Inject a message to itself";
            tracing::error!(plugin = &*context.name, error, missed, "message not injected");
        }
        let (names, envelope) = (context.names.snapshot(), Arc::clone(&context.envelope));
        let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), batch.timestamp());
        for record in batch.records().filter(|record| !self.matcher.matches(record)) {
            let mut copy = builder.record();
            copy.copy_from(&record);
            if let Err(error) = copy.commit() {
                tracing::error!(plugin = &*context.name, %error, "message not injected");
            }
        }
        builder.finish()
    }
}

/// Answers for a delivery once what was made of it is safe.
fn answer(ack: Ack, injected: Option<Settled>) {
    let Some(settled) = injected.filter(|it| it.position() < Settled::ALONE) else {
        ack.delivered();
        return;
    };
    // Its bytes are not needed for that, and the filter goes on meanwhile.
    let owed = ack.owe();
    tokio::spawn(async move {
        settled.reached(Settled::ALONE).await;
        owed.delivered();
    });
}
