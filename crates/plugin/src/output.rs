//! Outputs: bytes to the outside.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heka_stream::{Ack, Clock, DeadLetters, Delivery, LetterMeta};

use crate::input::Reporter;
use crate::{
    BoxFuture, Encoded, EncoderRunner, LimitedLog, OutputError, PluginCounts, Report, Stop,
};

/// Delivers messages.
///
/// The runner calls `write` for each delivery, and `flush` when no more are waiting at the moment, when
/// [`pending_bytes`](Self::pending_bytes) passes the context's limit, on its timer, and at the end. An output
/// owns no retry loop, no timer and no queue.
pub trait Output: Send {
    /// Takes a delivery: encodes it and keeps it, or sends it at once.
    ///
    /// # Errors
    /// [`OutputError::Retry`]: the runner waits and calls `flush`. [`OutputError::Fatal`]: it is started anew.
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>>;

    /// Sends what it holds, and acknowledges it after that.
    ///
    /// # Errors
    /// As `write`; nothing that failed is acknowledged.
    fn flush<'a>(
        &'a mut self,
        why: Flush,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>>;

    /// Bytes that it holds.
    fn pending_bytes(&self) -> usize {
        0
    }

    /// How often `flush` is called with [`Flush::Timer`]; `None`: never, but for the section's ticker.
    fn flush_interval(&self) -> Option<Duration> {
        None
    }
}

/// Why an output is asked to flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// No more deliveries are waiting.
    Idle,
    /// It holds enough bytes for one write.
    Full,
    /// Its timer fired.
    Timer,
    /// It failed and has waited.
    Retry,
    /// SIGHUP: files are to be opened anew, after all that is held is written.
    Reopen,
    /// Sources wait for it: all that is held must go out now, whatever its own rules say.
    Pressure,
    /// It is the end; all must go out.
    Stop,
}

/// What an output is given to work with.
pub struct OutputContext {
    /// Section name.
    pub name: Arc<str>,
    /// Encodes and frames; `None` if the section has no encoder.
    pub encoder: Option<EncoderRunner>,
    /// Counters.
    pub counts: Arc<PluginCounts>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Says when the daemon stops; a long operation should then end.
    pub stop: Stop,
    /// Log of refusals.
    pub log: LimitedLog,
    /// How the output reports on itself.
    pub reporter: Reporter,
    /// Where messages go that are rejected.
    pub letters: Option<DeadLetters>,
}

impl OutputContext {
    /// Encodes a delivery behind what `out` holds; rejected records are counted. Without an encoder nothing is
    /// appended.
    pub fn encode(&mut self, delivery: Delivery, out: &mut Encoded) -> Ack {
        let now_ns = self.clock.now_ns();
        match &mut self.encoder {
            Some(encoder) => encoder.encode(delivery, out, &self.name, now_ns),
            None => delivery.split().1,
        }
    }

    /// One record of a delivery, encoded as `record`, will never be delivered: counts it, keeps it as a dead letter and
    /// logs why, not too often.
    pub fn reject(&self, ack: &mut Ack, record: &[u8], why: &dyn std::fmt::Display) {
        ack.reject();
        self.tell_rejected(record, why);
    }

    /// As [`reject`](Self::reject), for a record that was counted already.
    pub fn tell_rejected(&self, record: &[u8], why: &dyn std::fmt::Display) {
        if let Some(letters) = &self.letters {
            let meta = LetterMeta { plugin: &self.name, why: &why.to_string(), input: None };
            letters.send_bytes(&meta, record);
        }
        if let Some(missed) = self.log.event(self.clock.now_ns()) {
            tracing::warn!(plugin = &*self.name, error = %why, missed, "message rejected");
        }
    }
}

impl std::fmt::Debug for OutputContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "OutputContext({})", self.name)
    }
}

impl Reporter {
    /// Sets what reports on the plugin.
    pub fn set(&self, report: impl Fn(&mut Report) + Send + Sync + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(report));
    }

    /// What the plugin says of itself now.
    #[must_use]
    pub fn report(&self) -> Report {
        let reporter = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut report = Report::default();
        if let Some(reporter) = reporter {
            reporter(&mut report);
        }
        report
    }

    /// A reporter that says nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}
