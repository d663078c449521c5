//! Filters: messages to messages.

use std::sync::Arc;

use heka_matcher::Matcher;
use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, RecordBuilder};
use heka_stream::{Clock, Consumer, Delivery};

use crate::input::Reporter;
use crate::{FilterError, LimitedLog, PluginCounts};

/// Looks at messages and injects others.
pub trait Filter: Send {
    /// Called once, before anything but [`restore`](Self::restore): the time to say how it reports on itself.
    fn begin(&mut self, context: &mut FilterContext) {
        let _context = context;
    }

    /// Looks at a delivery. The runner acknowledges it after that.
    ///
    /// # Errors
    /// If the filter cannot go on. After [`FilterError::Fatal`] it is started anew and gets the delivery again, after
    /// [`FilterError::Exit`] it is gone.
    fn process(
        &mut self,
        delivery: &Delivery,
        context: &mut FilterContext,
    ) -> Result<(), FilterError>;

    /// True if it gathers state that [`save`](Self::save) can save. Asked once, when it was made.
    fn keeps_state(&self) -> bool {
        false
    }

    /// Its state. The runner keeps it with the place in the log that it belongs to: after a crash the next instance is
    /// given the state, and with `use_buffering` exactly the deliveries that are not in it.
    ///
    /// # Errors
    /// If it cannot be saved; it is tried again later.
    fn save(&mut self) -> Result<Vec<u8>, FilterError> {
        Ok(Vec::new())
    }

    /// Takes over a state that an earlier instance saved, before anything else is asked of it.
    ///
    /// # Errors
    /// If it cannot be understood; the filter then begins without.
    fn restore(&mut self, state: &[u8]) -> Result<(), FilterError> {
        let _state = state;
        Ok(())
    }

    /// The section's ticker fired.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn timer(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        let _context = context;
        Ok(())
    }

    /// Files that it was made from may have changed: those that did are to be loaded anew. Also called while nothing else
    /// happens.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn reload(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        let _context = context;
        Ok(())
    }

    /// The end, in order: it has seen all that was for it, and nothing more comes. What it injects is sent, and its state
    /// saved after that. Not called after an error.
    ///
    /// # Errors
    /// In whatever way, it is the end; the error is told in the log.
    fn stop(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        let _context = context;
        Ok(())
    }
}

/// What a filter is given to work with.
pub struct FilterContext {
    /// Section name.
    pub name: Arc<str>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Field names.
    pub names: Arc<NameRegistry>,
    /// Headers of what it injects: logger is its name, hostname and pid are the daemon's.
    pub envelope: Arc<Envelope>,
    /// Host name of the daemon.
    pub hostname: Arc<str>,
    /// Process id of the daemon.
    pub pid: i32,
    /// The filter's own matcher. What it injects must not be accepted by it, and is refused if it is; a filter that wants
    /// to know at once asks here.
    pub matcher: Arc<Matcher>,
    /// Its place in the stream; none where nothing is routed to it.
    pub consumer: Option<Arc<Consumer>>,
    /// `max_message_loops`.
    pub loops_max: u8,
    /// `max_process_inject`: for filters that bound what they inject for each message.
    pub process_inject_max: u32,
    /// `max_timer_inject`: for filters that bound what they inject for each tick.
    pub timer_inject_max: u32,
    /// `max_process_duration`: mean time for each message in nanoseconds above which a filter counts as slow.
    pub process_duration_max_ns: u64,
    /// Counters.
    pub counts: Arc<PluginCounts>,
    /// How the filter reports on itself.
    pub reporter: Reporter,
    /// Log of refusals.
    pub log: LimitedLog,
    /// What was injected and not taken yet.
    pub injected: Option<BatchBuilder>,
}

impl FilterContext {
    /// Begins a message to inject; `cause` is the loop count of the message that caused it, 0 for a timer.
    /// `None`, counted and logged, if the count would exceed the limit.
    pub fn inject(&mut self, cause: u8) -> Option<RecordBuilder<'_>> {
        let loops = cause.saturating_add(1);
        let now_ns = self.clock.now_ns();
        if loops > self.loops_max {
            self.counts.inject_refused.add(1);
            if let Some(missed) = self.log.event(now_ns) {
                let error = format!("exceeded MaxMsgLoops = {}", self.loops_max);
                tracing::error!(plugin = &*self.name, error, missed, "message not injected");
            }
            return None;
        }
        let builder = self.injected.get_or_insert_with(|| {
            let (names, envelope) = (self.names.snapshot(), Arc::clone(&self.envelope));
            BatchBuilder::new(names, envelope, Buffer::empty(), now_ns)
        });
        let mut record = builder.record();
        record.loops(loops).timestamp(now_ns);
        Some(record)
    }

    /// True while sources have to wait for this filter, or drop messages for it: it is too slow for them.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.consumer.as_ref().is_some_and(|consumer| consumer.is_full())
    }

    /// Deliveries that wait for it, with the one in its hands.
    #[must_use]
    pub fn waiting_deliveries(&self) -> usize {
        self.consumer.as_ref().map_or(0, |consumer| consumer.held_deliveries())
    }

    /// Takes what was injected.
    pub fn take_injected(&mut self) -> Option<Batch> {
        self.injected.take().map(BatchBuilder::finish).filter(|batch| !batch.is_empty())
    }
}

impl std::fmt::Debug for FilterContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FilterContext({})", self.name)
    }
}
