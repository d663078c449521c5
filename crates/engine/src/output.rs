//! Runs an output: hands it deliveries, asks it to flush, retries, restarts.

use std::sync::Arc;
use std::time::Duration;

use heka_config::Retries;
use heka_plugin::{
    Encoder, EncoderRunner, Flush, LimitedLog, Output, OutputContext, OutputError, PluginCounts,
    Prepared, Reporter, StartContext, Stop,
};
use heka_stream::Consumer;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::shared::{Gone, Shared};
use crate::supervise::{Backoff, panic_text, start_guarded};

/// An output that holds so many bytes is asked to flush although more deliveries wait.
const FLUSH_BYTES: usize = 256 << 10;
/// After a panic so many deliveries are written and flushed one at a time, to find the one at fault.
const CAREFUL_DELIVERIES: u32 = 64;
/// How often outputs are asked to let go of all while the daemon stops.
const STOP_FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// An output, ready to run.
pub(crate) struct OutputRunner {
    pub(crate) name: Arc<str>,
    pub(crate) type_name: &'static str,
    pub(crate) prepared: Arc<dyn Prepared<dyn Output>>,
    pub(crate) encoder: Option<EncoderChoice>,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) retries: Retries,
    pub(crate) can_exit: bool,
    pub(crate) ticker_interval: Option<Duration>,
    pub(crate) counts: Arc<PluginCounts>,
    pub(crate) reporter: Reporter,
    pub(crate) context: StartContext,
}

/// An output's encoder section and its framing.
#[derive(Clone)]
pub(crate) struct EncoderChoice {
    pub(crate) prepared: Arc<dyn Prepared<dyn Encoder>>,
    /// Section name of this instance: output and encoder.
    pub(crate) name: Arc<str>,
    pub(crate) frame: Option<fn(usize, &mut Vec<u8>)>,
}

/// How an instance ended.
enum End {
    /// All deliveries are out, and none will come.
    Drained,
    /// It is to be started anew.
    Failed(String),
}

impl OutputRunner {
    fn output_context(&self, shared: &Shared) -> Result<OutputContext, heka_plugin::StartError> {
        let encoder = match &self.encoder {
            None => None,
            Some(choice) => {
                let name = Arc::clone(&choice.name);
                let context = StartContext { name, ..self.context.clone() };
                Some(EncoderRunner {
                    encoder: start_guarded(|| choice.prepared.start(&context))?,
                    frame: choice.frame,
                    max_message_size: self.context.max_message_size,
                    names: Arc::clone(&self.context.names),
                    counts: Arc::clone(&self.counts),
                    log: LimitedLog::default(),
                    letters: self.context.letters.clone(),
                })
            }
        };
        Ok(OutputContext {
            name: Arc::clone(&self.name),
            encoder,
            counts: Arc::clone(&self.counts),
            clock: Arc::clone(&self.context.clock),
            stop: shared.stop.signal(),
            log: LimitedLog::default(),
            reporter: self.reporter.clone(),
            letters: self.context.letters.clone(),
        })
    }

    /// Says when what was not delivered is to be left: what waits for a durable one is on disk, so a stop need not wait
    /// for its peer.
    fn abandon(&self, shared: &Shared) -> Stop {
        match self.consumer.is_durable() {
            true => shared.stop.signal(),
            false => shared.abandon.signal(),
        }
    }

    /// Runs until its consumer is closed and drained, or the output ends for good.
    pub(crate) async fn run(
        self,
        first: Box<dyn Output>,
        shared: Arc<Shared>,
        reopen: mpsc::Receiver<()>,
    ) {
        let mut backoff = Backoff::of(&self.retries);
        let mut instance = Some(first);
        let reopen = Arc::new(tokio::sync::Mutex::new(reopen));
        let mut careful = 0;
        loop {
            let began = Instant::now();
            let started = match instance.take() {
                Some(output) => Ok(output),
                None => start_guarded(|| self.prepared.start(&self.context)),
            };
            if started.is_ok() && backoff.attempts() > 0 {
                self.consumer.set_trouble(None);
            }
            let parts = started.and_then(|output| Ok((output, self.output_context(&shared)?)));
            let end = match parts {
                Err(error) => End::Failed(error.to_string()),
                Ok((output, context)) => {
                    let driver = Driver {
                        output,
                        context,
                        consumer: Arc::clone(&self.consumer),
                        counts: Arc::clone(&self.counts),
                        ticker_interval: self.ticker_interval,
                        abandon: self.abandon(&shared),
                        failing: false,
                        careful,
                    };
                    // A task of its own, so that a panic ends in the join; its acks then say no.
                    match tokio::spawn(driver.run(Arc::clone(&reopen))).await {
                        Ok(end) => {
                            self.consumer.forgive();
                            careful = 0;
                            end
                        }
                        Err(error) => {
                            self.counts.panics.add(1);
                            self.consumer.blame();
                            careful = CAREFUL_DELIVERIES;
                            End::Failed(format!("panicked: {}", panic_text(error)))
                        }
                    }
                }
            };
            let End::Failed(error) = end else { return };
            if shared.stopping() && self.consumer.is_durable() {
                tracing::info!(plugin = &*self.name, error, "ends without having delivered all");
                return; // What it did not answer for is on disk.
            }
            tracing::error!(plugin = &*self.name, error, "output failed");
            self.consumer.set_trouble(Some(&error));
            self.counts.restarts.add(1);
            backoff.ran_for(began.elapsed());
            let mut abandon = shared.abandon.signal();
            if !backoff.wait(&mut abandon).await {
                let plugin = (&*self.name, self.type_name, self.can_exit);
                let gone = Gone { error: &error, at_its_wish: false, announced: false };
                shared.consumer_gone(&self.consumer, plugin, gone);
                return;
            }
            tracing::info!(plugin = &*self.name, attempt = backoff.attempts(), "restarting output");
        }
    }
}

/// One instance at work.
struct Driver {
    output: Box<dyn Output>,
    context: OutputContext,
    consumer: Arc<Consumer>,
    counts: Arc<PluginCounts>,
    ticker_interval: Option<Duration>,
    abandon: Stop,
    /// The last attempt failed.
    failing: bool,
    careful: u32,
}

/// What woke the driver.
enum Event {
    Delivery(Option<heka_stream::Delivery>),
    Timer,
    Reopen,
    Stopping,
}

impl Driver {
    async fn run(mut self, reopen: Arc<tokio::sync::Mutex<mpsc::Receiver<()>>>) -> End {
        let mut reopen = reopen.lock().await;
        let every = self.output.flush_interval().or(self.ticker_interval);
        let period = every.unwrap_or(Duration::from_secs(3600)).max(Duration::from_millis(1));
        let mut timer = interval_at(Instant::now() + period, period);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = self.context.stop.clone();
        let mut stop_flush = interval_at(Instant::now(), STOP_FLUSH_INTERVAL);
        stop_flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let consumer = Arc::clone(&self.consumer);
            let event = tokio::select! {
                delivery = consumer.next() => Event::Delivery(delivery),
                _ = timer.tick(), if every.is_some() => Event::Timer,
                Some(()) = reopen.recv() => Event::Reopen,
                () = async { stop.wait().await; stop_flush.tick().await; } => Event::Stopping,
            };
            let result = match event {
                Event::Delivery(Some(delivery)) => self.deliver(delivery).await,
                Event::Delivery(None) => match self.flush(Flush::Stop).await {
                    Ok(()) => return End::Drained,
                    Err(error) => Err(error),
                },
                Event::Timer => self.flush(Flush::Timer).await,
                Event::Reopen => self.flush(Flush::Reopen).await,
                Event::Stopping => self.flush(Flush::Pressure).await,
            };
            if let Err(error) = result {
                return End::Failed(error.to_string());
            }
        }
    }

    /// Writes a delivery and those that wait behind it, then flushes.
    async fn deliver(&mut self, delivery: heka_stream::Delivery) -> Result<(), OutputError> {
        let mut next = Some(delivery);
        let mut why = Flush::Idle;
        while let Some(delivery) = next {
            let written = self.output.write(delivery, &mut self.context).await;
            self.retried(written).await?;
            if self.careful > 0 {
                self.careful -= 1;
                why = Flush::Pressure;
                break;
            }
            if self.output.pending_bytes() >= FLUSH_BYTES {
                why = Flush::Full;
                break;
            }
            next = self.consumer.try_next();
        }
        if self.consumer.held_bytes() >= self.consumer.options().window_bytes / 2 {
            why = Flush::Pressure;
        }
        self.flush(why).await
    }

    async fn flush(&mut self, why: Flush) -> Result<(), OutputError> {
        let flushed = self.output.flush(why, &mut self.context).await;
        self.retried(flushed).await
    }

    /// After `Retry` waits and flushes until that works; only `Fatal`, or the end, comes back.
    async fn retried(&mut self, result: Result<(), OutputError>) -> Result<(), OutputError> {
        let mut result = result;
        let mut backoff = Backoff::delivery();
        loop {
            let after = match &result {
                Ok(()) => {
                    if self.failing {
                        self.failing = false;
                        self.consumer.set_trouble(None);
                        tracing::info!(plugin = &*self.context.name, "output works again");
                    }
                    return Ok(());
                }
                Err(OutputError::Fatal { .. }) => return result,
                Err(OutputError::Retry { after, .. }) => *after,
            };
            self.counts.retries.add(1);
            if let (false, Err(error)) = (self.failing, &result) {
                self.failing = true;
                self.consumer.set_trouble(Some(&error.to_string()));
                tracing::warn!(plugin = &*self.context.name, %error, "output retries");
            }
            if let Some(after) = after {
                tokio::time::sleep(after).await;
            }
            if !backoff.wait(&mut self.abandon).await {
                return result;
            }
            result = self.output.flush(Flush::Retry, &mut self.context).await;
        }
    }
}
