//! Inputs: bytes from outside.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use heka_message::Envelope;
use heka_stream::Settled;
use tokio::sync::watch;

use crate::{
    BoxFuture, Feed, FeedMaker, InputCounts, InputError, LimitedLog, MessageFeed, Report,
    StartContext, StartError,
};

/// Reads from outside until it is told to stop.
pub trait Input: Send {
    /// Runs until the context says stop, or nothing more can come. Returning `Ok` before the stop means: finished.
    ///
    /// # Errors
    /// If it cannot go on; it is started anew as its section's `retries` say.
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>>;
}

/// What an input is given to work with.
pub struct InputContext {
    /// The daemon around it.
    pub start: StartContext,
    /// Makes feeds: splitter, decoder and way to the stream.
    pub feeds: Arc<FeedMaker>,
    /// Says when to stop.
    pub stop: Stop,
    /// Says that the shutdown's deadline passed: what is not settled now will be read again after a start.
    pub abandon: Stop,
    /// `ticker_interval`.
    pub ticker_interval: Option<Duration>,
    /// Counters.
    pub counts: Arc<InputCounts>,
    /// How the input reports on itself.
    pub reporter: Reporter,
    /// Log of errors that do not end it.
    pub log: LimitedLog,
}

impl InputContext {
    /// A feed for one connection, file stream or socket; `token` tells it from others in logs.
    ///
    /// # Errors
    /// If the splitter or the decoder cannot start.
    pub fn feed(&self, token: &str, envelope: Envelope) -> Result<Feed, StartError> {
        self.feeds.feed(token, envelope)
    }

    /// A feed of messages that the input makes itself: past its splitter and decoder.
    #[must_use]
    pub fn messages(&self, envelope: Envelope) -> MessageFeed {
        self.feeds.messages(envelope)
    }

    /// The envelope that Heka gives this input's messages: logger is the section name; source too.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        Envelope::new(&self.start.name)
    }

    /// An error that does not end the input: counted, and logged not too often.
    pub fn problem(&self, error: &dyn std::fmt::Display) {
        self.counts.errors.add(1);
        if let Some(missed) = self.log.event(self.start.clock.now_ns()) {
            tracing::warn!(plugin = &*self.start.name, %error, missed, "input problem");
        }
    }

    /// Waits until everything up to `end` is settled; false if the shutdown's deadline passed before.
    ///
    /// An input calls it after its last append and before its last checkpoint: consumers go on meanwhile.
    pub async fn settle(&self, settled: &Settled, end: u64) -> bool {
        let mut abandon = self.abandon.clone();
        tokio::select! {
            () = settled.reached(end) => true,
            () = abandon.wait() => settled.position() >= end,
        }
    }

    /// Runs `work` on a thread of its own where it may block; a panic in it is this input's panic.
    ///
    /// # Errors
    /// What `work` returns.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, InputError> + Send + 'static,
    ) -> Result<T, InputError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(InputError::Failed("its thread was cancelled".to_owned())),
        }
    }
}

impl std::fmt::Debug for InputContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "InputContext({})", self.start.name)
    }
}

/// Turns the stop signal on.
#[derive(Debug, Clone)]
pub struct StopSwitch(Arc<watch::Sender<bool>>);

/// The stop signal.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl StopSwitch {
    /// A signal that is off.
    #[must_use]
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Self(Arc::new(sender)), Stop(receiver))
    }

    /// Turns it on, for good.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Another view of the signal.
    #[must_use]
    pub fn signal(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Stop {
    /// True once it is on, or nobody is left who could turn it on.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is on.
    pub async fn wait(&mut self) {
        // An error means that the switch is gone, and with it whoever could want this to go on.
        if self.0.wait_for(|&stopped| stopped).await.is_err() {
            tracing::debug!("the stop switch was dropped");
        }
    }
}

/// Shared place of the function that reports on a plugin.
#[derive(Clone, Default)]
pub struct Reporter(pub(crate) Arc<Mutex<Option<ReportFunction>>>);

pub(crate) type ReportFunction = Arc<dyn Fn(&mut Report) + Send + Sync>;

impl std::fmt::Debug for Reporter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Reporter")
    }
}
