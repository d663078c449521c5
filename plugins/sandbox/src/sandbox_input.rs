//! Makes messages with a Lua script.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use heka_datetime::Location;
use heka_plugin::{
    BoxFuture, DecodeError, Defaults, Durability, Input, InputContext, InputError, MessageFeed,
    NO_DEFAULTS, Plugin, StartContext, StartError, Storage,
};
use heka_sandbox::{ConfigValue, Ended, Exchange, Injected, Kind, Outcome, Refusal, Stopper};
use heka_wire::MessageDecoder;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::config::{OnTermination, SandboxConfig};
use crate::instance::Instance;
use crate::preservation::plain_name;
use crate::sandbox_decoder::{in_zone, zone_of};
use crate::stats::Stats;

/// Directory of places below `base_dir`.
const PLACES: &str = "sandbox_checkpoint";
/// Longest time that a message waits for others to share its batch.
const LINGER: Duration = Duration::from_millis(5);
/// How often the place is written at most.
const PLACE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a script gets that does not stop: a call inside the C library is not interrupted.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// Batches whose places are remembered at once; above that only the newer ones of two are.
const PLACES_MAX: usize = 1024;

impl Plugin for SandboxInput {
    const NAME: &'static str = "SandboxInput";
    const PAGE: &'static str = include_str!("sandbox_input.md");
    const DEFAULTS: Defaults = Defaults { can_exit: true, ..NO_DEFAULTS };
    type Config = SandboxConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let path = context.in_base_dir(PLACES).join(format!("{}.txt", plain_name(&context.name)));
        Ok(Self {
            instance: Some(Instance::start(Kind::Input, config, context)?),
            zone: zone_of(config)?,
            restarts: config.on_termination(Kind::Input) == OnTermination::Restart,
            places: PlaceFile { storage: Arc::clone(&context.storage), path },
        })
    }
}

/// See [`SandboxConfig`].
#[derive(Debug)]
pub struct SandboxInput {
    instance: Option<Instance>,
    zone: Option<Location>,
    restarts: bool,
    places: PlaceFile,
}

/// Where a script's source stood, over restarts.
#[derive(Debug, Clone)]
struct PlaceFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
}

impl PlaceFile {
    /// The place, which a first line of `number` or `text` precedes.
    fn read(&self) -> Result<Option<ConfigValue>, InputError> {
        let content = self.storage.read(&self.path);
        let Some(content) = content.map_err(InputError::io("read the script's place"))? else {
            return Ok(None);
        };
        if let Some(text) = content.strip_prefix(b"text\n") {
            return Ok(Some(ConfigValue::Text(text.into())));
        }
        let number = content.strip_prefix(b"number\n").and_then(|it| std::str::from_utf8(it).ok());
        Ok(number.and_then(|it| it.trim().parse().ok()).map(ConfigValue::Number))
    }

    fn write(&self, place: &ConfigValue) -> std::io::Result<()> {
        let content = match place {
            ConfigValue::Number(number) => format!("number\n{number}").into_bytes(),
            ConfigValue::Text(text) => [b"text\n", &**text].concat(),
            _ => return Ok(()),
        };
        self.storage.replace(&self.path, &content, Durability::PowerCut)
    }
}

/// What the script's thread and the one that publishes share.
struct Sending {
    feed: MessageFeed,
    wire: MessageDecoder,
    zone: Option<Location>,
    /// Messages that were made.
    count: u64,
    /// Where the script said it stands, behind the last message.
    place: Option<ConfigValue>,
    /// Places behind batches that are not settled yet, oldest first.
    places: VecDeque<(u64, ConfigValue)>,
}

impl Sending {
    fn message(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let (wire, zone) = (&mut self.wire, &self.zone);
        let added = self.feed.message(message.len(), |record| {
            wire.decode(message, record).map_err(|error| DecodeError::new(error.to_string()))?;
            if let Some(zone) = zone {
                let ns = record.view().record().timestamp();
                record.timestamp(in_zone(ns, zone));
            }
            Ok(())
        });
        added.map_err(|_| Refusal::Undecodable)?;
        self.count += 1;
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), InputError> {
        if self.feed.bytes() > 0 {
            self.feed.publish(self.count).await?;
        }
        if let Some(place) = self.place.take() {
            if self.places.len() >= PLACES_MAX {
                // Of each two neighbours the newer one: a restart then repeats a little more.
                let mut index = 0;
                self.places.retain(|_| {
                    index += 1;
                    index % 2 == 0
                });
            }
            self.places.push_back((self.count, place));
        }
        Ok(())
    }

    /// The newest place whose messages are all safe.
    fn settled_place(&mut self) -> Option<ConfigValue> {
        let settled = self.feed.settled().position();
        let mut newest = None;
        while self.places.front().is_some_and(|(count, _)| *count <= settled) {
            newest = self.places.pop_front().map(|(_, place)| place);
        }
        newest
    }
}

/// The script's side.
struct Making {
    sending: Arc<Mutex<Sending>>,
    runtime: Handle,
    stopper: Stopper,
    stats: Arc<Stats>,
    /// The place that the script named last, in an earlier run or in this one.
    place: Option<ConfigValue>,
    failed: Option<InputError>,
}

impl Exchange for Making {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        let (Injected::Message(message) | Injected::Encoded(message)) = injected else {
            return Err(Refusal::Unknown);
        };
        let mut sending = self.sending.blocking_lock();
        sending.message(message)?;
        self.stats.inject();
        if sending.feed.is_full()
            && let Err(error) = self.runtime.block_on(sending.publish())
        {
            self.failed = Some(error);
            self.stopper.stop();
            return Err(Refusal::Aborted);
        }
        Ok(())
    }

    fn place(&mut self, place: ConfigValue) {
        self.place = Some(place.clone());
        self.sending.blocking_lock().place = Some(place);
    }
}

/// What a script's thread ended with.
struct Finished {
    instance: Instance,
    result: Result<(), InputError>,
}

/// How the script is called.
struct Job {
    instance: Instance,
    making: Making,
    ticker_interval: Option<Duration>,
    restarts: bool,
}

impl Job {
    /// Calls the script until it is to stop, on a thread of its own: it may block.
    fn run(mut self) -> Finished {
        let result = self.calls();
        self.instance.update_usage();
        let result = match self.making.failed.take() {
            Some(error) => Err(error),
            None => result,
        };
        Finished { instance: self.instance, result }
    }

    fn calls(&mut self) -> Result<(), InputError> {
        loop {
            let Some(sandbox) = self.instance.ready() else { return Ok(()) };
            let arguments: Vec<ConfigValue> = self.making.place.clone().into_iter().collect();
            let outcome = sandbox.process_message_with(&arguments, None, &mut self.making);
            self.instance.count_call();
            match outcome {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Refused { text, .. }) => {
                    self.instance.stats.refuse();
                    if !text.is_empty() {
                        let plugin = &*self.instance.context().name;
                        tracing::error!(plugin, error = text, "script refused");
                    }
                }
                Err(ended) if self.making.stopper.is_stopping() => {
                    self.instance.keep_salvaged(&ended);
                    return Ok(());
                }
                Err(ended) => return self.ended(&ended),
            }
            if self.making.stopper.is_stopping() {
                return Ok(());
            }
            let Some(interval) = self.ticker_interval else {
                let plugin = &*self.instance.context().name;
                tracing::info!(plugin, "single run completed");
                return Ok(());
            };
            self.wait(interval);
        }
    }

    fn ended(&mut self, ended: &Ended) -> Result<(), InputError> {
        self.instance.fail(ended, None);
        match self.restarts {
            // The runner starts it again, as the section's `retries` say.
            true => Err(InputError::Failed(ended.text().to_owned())),
            false => Err(InputError::Exit(ended.text().to_owned())),
        }
    }

    /// Waits for the next tick, or the stop.
    fn wait(&self, interval: Duration) {
        const STEP: Duration = Duration::from_millis(20);
        let mut left = interval;
        while !left.is_zero() && !self.making.stopper.is_stopping() {
            let step = left.min(STEP);
            std::thread::sleep(step);
            left -= step;
        }
    }
}

impl SandboxInput {
    async fn work(&mut self, context: &mut InputContext) -> Result<(), InputError> {
        let Some(instance) = self.instance.take() else {
            return Err(InputError::Failed("the script did not stop before".to_owned()));
        };
        let Some(stopper) = instance.sandbox().map(heka_sandbox::Sandbox::stopper) else {
            return Err(InputError::Failed("the script has ended".to_owned()));
        };
        let stats = Arc::clone(&instance.stats);
        context.reporter.set(move |report| stats.report(report));
        let sending = Arc::new(Mutex::new(Sending {
            feed: context.messages(context.envelope()),
            wire: MessageDecoder::new(),
            zone: self.zone.clone(),
            count: 0,
            place: None,
            places: VecDeque::new(),
        }));
        let making = Making {
            sending: Arc::clone(&sending),
            runtime: Handle::current(),
            stopper: stopper.clone(),
            stats: Arc::clone(&instance.stats),
            place: self.places.read()?,
            failed: None,
        };
        let job = Job {
            instance,
            making,
            ticker_interval: context.ticker_interval,
            restarts: self.restarts,
        };
        let finished = spawn(job)?;
        let result = self.watch(finished, &sending, &stopper, context).await;
        let (position, settled) = {
            let mut sending = sending.lock().await;
            sending.publish().await?;
            (sending.feed.position(), sending.feed.settled())
        };
        if context.stop.is_set() && !context.settle(&settled, position).await {
            context.problem(&"the daemon ended before all messages were delivered");
        }
        self.note_place(&sending).await;
        result
    }

    /// Publishes what the script makes until it ends.
    async fn watch(
        &mut self,
        mut finished: oneshot::Receiver<Finished>,
        sending: &Arc<Mutex<Sending>>,
        stopper: &Stopper,
        context: &mut InputContext,
    ) -> Result<(), InputError> {
        let mut linger = interval(LINGER);
        linger.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut note = interval(PLACE_INTERVAL);
        note.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                ended = &mut finished => break ended,
                () = context.stop.wait() => {
                    stopper.stop();
                    match timeout(STOP_GRACE, &mut finished).await {
                        Ok(ended) => break ended,
                        Err(_) => {
                            let text = "the script is inside a call that does not end, and is left behind";
                            return Err(InputError::Failed(text.to_owned()));
                        }
                    }
                }
                _ = linger.tick() => sending.lock().await.publish().await?,
                _ = note.tick() => self.note_place(sending).await,
            }
        };
        match ended {
            Ok(mut finished) => {
                finished.instance.preserve();
                self.instance = Some(finished.instance);
                finished.result
            }
            Err(_) => Err(InputError::Failed("the script's thread panicked".to_owned())),
        }
    }

    async fn note_place(&mut self, sending: &Arc<Mutex<Sending>>) {
        let Some(place) = sending.lock().await.settled_place() else { return };
        let file = self.places.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&place)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(path = %self.places.path.display(), %error, "place not written");
        }
    }
}

/// Runs the job on a thread of its own, which may be left behind where a script cannot be stopped.
fn spawn(job: Job) -> Result<oneshot::Receiver<Finished>, InputError> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("lua-input".to_owned());
    let run = move || {
        if sender.send(job.run()).is_err() {
            tracing::debug!("nobody waits for the script any more");
        }
    };
    thread.spawn(run).map_err(InputError::io("start the script's thread"))?;
    Ok(receiver)
}

impl Input for SandboxInput {
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>> {
        Box::pin(self.work(context))
    }
}
