//! Runs a filter: hands it deliveries, fires its ticker, appends what it injects.

use std::sync::Arc;
use std::time::Duration;

use heka_config::Retries;
use heka_matcher::Matcher;
use heka_message::{Batch, BatchBuilder, Buffer, Envelope};
use heka_plugin::{
    Filter, FilterContext, FilterError, LimitedLog, PluginCounts, Prepared, Reporter, StartContext,
};
use heka_stream::{Consumer, Source, SourceCounts};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::shared::Shared;
use crate::supervise::{Backoff, panic_text, start_guarded};

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
                Ok(filter) => {
                    let driver = Driver {
                        filter,
                        context: self.filter_context(&shared),
                        consumer: Arc::clone(&self.consumer),
                        matcher: self.matcher.clone(),
                        source: shared.stream.inject_source(Arc::clone(&self.ledger)),
                        appended: 0,
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
            self.counts.restarts.add(1);
            backoff.ran_for(began.elapsed());
            let mut abandon = shared.abandon.signal();
            if !backoff.wait(&mut abandon).await {
                let plugin = (&*self.name, self.type_name, self.can_exit);
                shared.consumer_gone(&self.consumer, plugin, &error);
                return;
            }
            tracing::info!(plugin = &*self.name, attempt = backoff.attempts(), "restarting filter");
        }
    }
}

/// One instance at work.
struct Driver {
    filter: Box<dyn Filter>,
    context: FilterContext,
    consumer: Arc<Consumer>,
    matcher: Matcher,
    source: Source,
    appended: u64,
    ticker_interval: Option<Duration>,
}

impl Driver {
    async fn run(mut self) -> Result<(), FilterError> {
        let period = self.ticker_interval.unwrap_or(Duration::from_secs(3600));
        let mut ticker = interval_at(Instant::now() + period, period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let consumer = Arc::clone(&self.consumer);
            let delivery = tokio::select! {
                biased;
                _ = ticker.tick(), if self.ticker_interval.is_some() => None,
                delivery = consumer.next() => match delivery {
                    None => return Ok(()),
                    some => some,
                },
            };
            match &delivery {
                Some(delivery) => self.filter.process(delivery, &mut self.context)?,
                None => self.filter.timer(&mut self.context)?,
            }
            self.append().await?;
            if let Some(delivery) = delivery {
                delivery.ack.delivered();
            }
        }
    }

    async fn append(&mut self) -> Result<(), FilterError> {
        let Some(batch) = self.context.take_injected() else { return Ok(()) };
        let batch = self.without_own_matches(batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.context.counts.injected.add(batch.len() as u64);
        self.appended += 1;
        let appended = self.source.append(batch, self.appended).await;
        appended.map_err(|error| FilterError::Fatal(error.to_string()))
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
