//! One instance of a filter at work.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use heka_message::{Batch, BatchBuilder, Buffer};
use heka_plugin::{Filter, FilterContext, FilterError, Reload};
use heka_stream::{Ack, Consumer, Delivery, Settled, Source};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::filter_state::StateFile;

/// How often the state of a filter is saved while it works.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// What a state takes to save may take up one part in so many of the time, at most.
const SAVE_PART: u32 = 50;

pub(super) struct Driver {
    pub(super) filter: Box<dyn Filter>,
    pub(super) context: FilterContext,
    pub(super) consumer: Arc<Consumer>,
    pub(super) source: Source,
    pub(super) ticker_interval: Option<Duration>,
    pub(super) reload: Reload,
    /// The reload that it was made after.
    pub(super) seen: u64,
    pub(super) saving: Saving,
}

/// How a filter's state is saved.
pub(super) struct Saving {
    /// Where; `None` if it keeps none.
    file: Option<StateFile>,
    /// Everything below this number of the log is in the state.
    behind: u64,
    /// The filter has seen something since it was saved.
    is_due: bool,
    next: Instant,
}

/// What woke the driver.
enum Event {
    Delivery(Option<Delivery>),
    Ticker,
    Save,
    Reload(u64),
}

impl Driver {
    /// Works until the consumer is closed and drained, or the filter fails or ends.
    pub(super) async fn run(mut self) -> Result<(), FilterError> {
        self.filter.begin(&mut self.context);
        let result = self.work().await;
        match &result {
            Ok(()) => self.finish().await,
            Err(FilterError::Exit { .. }) => self.leave(),
            Err(FilterError::Fatal(_)) => {}
        }
        result
    }

    async fn work(&mut self) -> Result<(), FilterError> {
        let period = self.ticker_interval.unwrap_or(Duration::from_secs(3600));
        let mut ticker = interval_at(Instant::now() + period, period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut save = pin!(sleep_until(self.saving.next));
        let reload = self.reload.clone();
        let mut reloaded = pin!(reload.past(self.seen));
        loop {
            let event = tokio::select! {
                biased;
                _ = ticker.tick(), if self.ticker_interval.is_some() => Event::Ticker,
                () = &mut save, if self.saving.is_due => Event::Save,
                generation = &mut reloaded => Event::Reload(generation),
                delivery = self.consumer.next() => Event::Delivery(delivery),
            };
            match event {
                Event::Delivery(None) => return Ok(()),
                Event::Delivery(Some(delivery)) => self.process(delivery).await?,
                Event::Save => {
                    self.save();
                    save.as_mut().reset(self.saving.next);
                }
                Event::Ticker => {
                    let result = self.filter.timer(&mut self.context);
                    self.take_over(result).await?;
                }
                Event::Reload(generation) => {
                    reloaded.set(reload.past(generation));
                    let result = self.filter.reload(&mut self.context);
                    self.take_over(result).await?;
                }
            }
        }
    }

    async fn process(&mut self, delivery: Delivery) -> Result<(), FilterError> {
        let result = self.filter.process(&delivery, &mut self.context);
        if let Err(FilterError::Fatal(_)) = &result {
            return result;
        }
        // Whoever ends for good has dealt with it: the same message would end the next instance too.
        self.saving.saw(delivery.ack.sequence());
        let injected = self.append().await?;
        answer(delivery.ack, injected);
        result
    }

    /// Appends what a call injected that went well, or was the filter's last.
    async fn take_over(&mut self, result: Result<(), FilterError>) -> Result<(), FilterError> {
        if let Err(FilterError::Fatal(_)) = &result {
            return result;
        }
        self.saving.saw(0);
        self.append().await?;
        result
    }

    /// The end in order.
    async fn finish(&mut self) {
        if let Err(error) = self.filter.stop(&mut self.context) {
            tracing::error!(plugin = &*self.context.name, %error, "filter failed at its end");
        }
        if let Err(error) = self.append().await {
            tracing::error!(plugin = &*self.context.name, %error, "its last messages are lost");
        }
        self.saving.saw(0);
        self.save();
    }

    /// The filter has ended by itself: what it has dealt with must not come again, whether its state can be saved or not.
    fn leave(&mut self) {
        self.save();
        if !self.saving.is_due {
            return;
        }
        let (Some(file), behind) = (&self.saving.file, self.saving.behind) else { return };
        if let Some(saved) = file.load()
            && let Err(error) = file.save(behind, &saved.state)
        {
            tracing::error!(plugin = &*self.context.name, %error, "its state is not saved");
        }
        self.pin();
    }

    /// Saves the filter's state; what is in it need not come again.
    fn save(&mut self) {
        let Some(file) = self.saving.file.as_ref().filter(|_| self.saving.is_due) else { return };
        let began = Instant::now();
        let saved = self.filter.save().map_err(|error| error.to_string()).and_then(|state| {
            file.save(self.saving.behind, &state).map_err(|error| error.to_string())
        });
        match saved {
            Ok(()) => {
                self.saving.is_due = false;
                self.pin();
            }
            Err(error) => {
                tracing::error!(plugin = &*self.context.name, error, "its state is not saved");
            }
        }
        self.saving.next = Instant::now() + pause_after(began.elapsed());
    }

    /// The log need not keep what the filter has seen.
    fn pin(&self) {
        if self.saving.behind > 0 && self.consumer.is_durable() {
            self.consumer.pin(self.saving.behind);
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
        let (context, matcher) = (&self.context, &self.context.matcher);
        let refused = batch.records().filter(|record| matcher.matches(record)).count();
        if refused == 0 {
            return batch;
        }
        context.counts.inject_refused.add(refused as u64);
        if let Some(missed) = context.log.event(context.clock.now_ns()) {
            let error = "attempted to Inject a message to itself";
            tracing::error!(plugin = &*context.name, error, missed, "message not injected");
        }
        let (names, envelope) = (context.names.snapshot(), Arc::clone(&context.envelope));
        let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), batch.timestamp());
        for record in batch.records().filter(|record| !matcher.matches(record)) {
            let mut copy = builder.record();
            copy.copy_from(&record);
            if let Err(error) = copy.commit() {
                tracing::error!(plugin = &*context.name, %error, "message not injected");
            }
        }
        builder.finish()
    }
}

impl Saving {
    pub(super) fn to(file: Option<StateFile>) -> Self {
        Self { file, behind: 0, is_due: false, next: Instant::now() + SAVE_INTERVAL }
    }

    /// The filter has seen something: what has this number in the log; 0 is in none.
    fn saw(&mut self, sequence: u64) {
        self.is_due = self.file.is_some();
        if sequence > 0 {
            self.behind = self.behind.max(sequence + 1);
        }
    }
}

/// How long a state is left alone that took so long to save.
fn pause_after(took: Duration) -> Duration {
    (took * SAVE_PART).max(SAVE_INTERVAL)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_takes_long_to_save_is_saved_less_often() {
        for (took_ms, pause_ms) in [(0, 1_000), (20, 1_000), (30, 1_500), (2_000, 100_000)] {
            let pause = pause_after(Duration::from_millis(took_ms));
            assert_eq!(pause, Duration::from_millis(pause_ms));
        }
    }
}
