//! Delivers messages with a Lua script.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use heka_message::Record;
use heka_plugin::{
    Ack, BoxFuture, Defaults, Delivery, Flush, Keep, NO_DEFAULTS, Output, OutputContext,
    OutputError, Plugin, StartContext, StartError,
};
use heka_sandbox::{ConfigValue, Exchange, Injected, Kind, Outcome, Refusal};

use crate::config::SandboxConfig;
use crate::instance::{After, Instance};

/// Statuses that mean more than a failure, as in Heka's successor.
const SKIP: i32 = -2;
const RETRY: i32 = -3;
const BATCHING: i32 = -4;
const ASYNCHRONOUS: i32 = -5;

impl Plugin for SandboxOutput {
    const NAME: &'static str = "SandboxOutput";
    const PAGE: &'static str = include_str!("sandbox_output.md");
    const DEFAULTS: Defaults = Defaults { can_exit: true, ..NO_DEFAULTS };
    type Config = SandboxConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let instance = Instance::start(Kind::Output, config, context)?;
        let work = Work {
            instance,
            waiting: VecDeque::new(),
            held: VecDeque::new(),
            sequence: 0,
            settled: 0,
            keeps: false,
            timer_at_stop: config.timer_event_on_shutdown,
        };
        Ok(Self { work: Some(Box::new(work)), reports: false })
    }
}

/// See [`SandboxConfig`].
#[derive(Debug)]
pub struct SandboxOutput {
    /// Away while the script runs on a thread that may block.
    work: Option<Box<Work>>,
    reports: bool,
}

/// The script and the deliveries that it has not dealt with.
#[derive(Debug)]
struct Work {
    instance: Instance,
    /// Deliveries whose records the script has not seen, or not all of them.
    waiting: VecDeque<Pending>,
    /// Deliveries that the script keeps, until it says how far it is.
    held: VecDeque<(u64, Ack)>,
    /// Number of the last message that the script was given.
    sequence: u64,
    /// Up to here it has dealt with them.
    settled: u64,
    /// It keeps messages at the moment.
    keeps: bool,
    timer_at_stop: bool,
}

#[derive(Debug)]
struct Pending {
    keep: Keep,
    /// Places of its records.
    records: Vec<usize>,
    /// Of these, the next one for the script.
    next: usize,
    ack: Ack,
}

/// A record that is given up, and why.
type Rejected = (Vec<u8>, String);

/// One call.
#[derive(Default)]
struct Calling {
    /// How far the script is, if it says so.
    settled: Option<Option<f64>>,
    failures: u64,
}

impl Exchange for Calling {
    fn inject(&mut self, _: Injected<'_>) -> Result<(), Refusal> {
        Err(Refusal::Unknown)
    }

    fn settled(&mut self, sequence: Option<f64>, failures: u64) {
        self.settled = Some(sequence);
        self.failures += failures;
    }
}

/// What the script did with a message.
enum Said {
    /// All up to this one is dealt with.
    Done,
    /// It keeps the message.
    Keeps,
    /// It failed, for this reason.
    Failed(String),
    /// The same message, later.
    Later(String),
}

impl Work {
    /// Gives the script what waits for it. Rejected records are for the caller to count.
    fn run(&mut self, rejected: &mut Vec<Rejected>) -> Result<(), OutputError> {
        while let Some(mut pending) = self.waiting.pop_front() {
            if let Err(error) = self.delivery(&mut pending, rejected) {
                self.waiting.push_front(pending);
                return Err(error);
            }
            self.held.push_back((self.sequence, pending.ack));
            self.answer();
        }
        self.instance.update_usage();
        Ok(())
    }

    fn delivery(
        &mut self,
        pending: &mut Pending,
        rejected: &mut Vec<Rejected>,
    ) -> Result<(), OutputError> {
        let keep = pending.keep.clone();
        while let Some(&index) = pending.records.get(pending.next) {
            let Some(record) = keep.batch().record(index) else { break };
            match self.record(&record)? {
                Said::Done => self.keeps = false,
                Said::Keeps => self.keeps = true,
                Said::Failed(why) => {
                    self.instance.stats.refuse();
                    pending.ack.reject();
                    let mut encoded = Vec::new();
                    heka_wire::encode_message(&record, &mut encoded);
                    rejected.push((encoded, why));
                }
                Said::Later(why) => {
                    let why =
                        if why.is_empty() { "the script says: later".to_owned() } else { why };
                    return Err(OutputError::retry::<String>("deliver a message")(why));
                }
            }
            pending.next += 1;
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> Result<Said, OutputError> {
        let timing = self.instance.stats.begin(false);
        let Some(sandbox) = self.instance.ready() else {
            return Ok(Said::Later("the script failed too often and is set aside".to_owned()));
        };
        let sequence = self.sequence + 1;
        let mut calling = Calling::default();
        let argument = [ConfigValue::Number(sequence as f64)];
        let outcome = sandbox.process_message_with(&argument, Some(record), &mut calling);
        self.instance.stats.end(&timing);
        self.instance.count_call();
        let said = match outcome {
            Ok(Outcome::Done) => Said::Done,
            Ok(Outcome::Refused { status: RETRY, text }) => return Ok(Said::Later(text)),
            Ok(Outcome::Refused { status: BATCHING | ASYNCHRONOUS, .. }) => Said::Keeps,
            Ok(Outcome::Refused { status: SKIP, .. }) if !self.keeps => Said::Done,
            Ok(Outcome::Refused { status: SKIP, .. }) => Said::Keeps,
            Ok(Outcome::Refused { text, .. }) => Said::Failed(text),
            Err(ended) => {
                let text = format!("FATAL: {}", ended.text());
                if self.instance.fail(&ended, Some(record)) == After::Exit {
                    return Err(OutputError::fatal::<String>("run the script")(text));
                }
                // What it kept is gone with it, and comes again.
                self.held.clear();
                self.keeps = false;
                Said::Failed(text)
            }
        };
        self.sequence = sequence;
        self.take_settled(&calling);
        Ok(said)
    }

    /// The script may say how far it is in any call.
    fn take_settled(&mut self, calling: &Calling) {
        let Some(sequence) = calling.settled else { return };
        let sequence = sequence.map_or(self.sequence, |sequence| sequence as u64);
        self.settled = self.settled.max(sequence.min(self.sequence));
        if self.settled == self.sequence {
            self.keeps = false;
        }
        self.instance.stats.refuse_many(calling.failures);
    }

    /// Answers for what is dealt with.
    fn answer(&mut self) {
        if !self.keeps {
            self.settled = self.sequence;
        }
        while self.held.front().is_some_and(|(last, _)| *last <= self.settled) {
            if let Some((_, ack)) = self.held.pop_front() {
                ack.delivered();
            }
        }
    }

    /// Calls `timer_event`.
    fn tick(&mut self, now_ns: i64, shutdown: bool) -> Result<(), OutputError> {
        let began = Instant::now();
        let Some(sandbox) = self.instance.ready() else { return Ok(()) };
        if !sandbox.has_function("timer_event") {
            return Ok(());
        }
        let mut calling = Calling::default();
        let outcome = sandbox.timer_event_with(now_ns, Some(shutdown), &mut calling);
        self.instance.stats.tick(began.elapsed());
        self.take_settled(&calling);
        self.answer();
        match outcome {
            Ok(()) => Ok(()),
            Err(ended) => {
                let text = ended.text().to_owned();
                self.held.clear();
                match self.instance.fail(&ended, None) {
                    After::Exit => Err(OutputError::fatal::<String>("run timer_event")(text)),
                    After::Restarted | After::Quarantined => Ok(()),
                }
            }
        }
    }

    /// What the flush is for, then all that waits.
    fn flush(
        &mut self,
        why: Flush,
        now_ns: i64,
        rejected: &mut Vec<Rejected>,
    ) -> Result<(), OutputError> {
        self.run(rejected)?;
        match why {
            Flush::Timer => self.tick(now_ns, false),
            Flush::Stop => {
                let said = if self.timer_at_stop || !self.held.is_empty() {
                    self.tick(now_ns, true)
                } else {
                    Ok(())
                };
                self.instance.preserve();
                said
            }
            Flush::Idle | Flush::Full | Flush::Retry | Flush::Reopen | Flush::Pressure => Ok(()),
        }
    }
}

impl SandboxOutput {
    /// Runs `job` with the script on a thread that may block.
    async fn on_thread(
        &mut self,
        context: &mut OutputContext,
        job: impl FnOnce(&mut Work, &mut Vec<Rejected>) -> Result<(), OutputError> + Send + 'static,
    ) -> Result<(), OutputError> {
        let Some(mut work) = self.work.take() else {
            let text = "an earlier call did not end";
            return Err(OutputError::fatal::<&str>("run the script")(text));
        };
        if !self.reports {
            self.reports = true;
            let stats = Arc::clone(&work.instance.stats);
            context.reporter.set(move |report| stats.report(report));
        }
        let run = move || {
            let mut rejected = Vec::new();
            let result = job(&mut work, &mut rejected);
            (work, rejected, result)
        };
        match tokio::task::spawn_blocking(run).await {
            Ok((work, rejected, result)) => {
                self.work = Some(work);
                for (encoded, why) in rejected {
                    context.tell_rejected(&encoded, &why);
                }
                result
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(OutputError::fatal("run the script")(error)),
        }
    }
}

impl Output for SandboxOutput {
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        let records = delivery.selection().iter(delivery.batch().len()).collect();
        let (keep, ack) = delivery.split();
        let pending = Pending { keep, records, next: 0, ack };
        Box::pin(self.on_thread(context, move |work, rejected| {
            work.waiting.push_back(pending);
            work.run(rejected)
        }))
    }

    fn flush<'a>(
        &'a mut self,
        why: Flush,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        let idle = matches!(why, Flush::Idle | Flush::Full | Flush::Pressure | Flush::Reopen);
        if idle && self.work.as_ref().is_some_and(|work| work.waiting.is_empty()) {
            return Box::pin(async { Ok(()) });
        }
        let now_ns = context.clock.now_ns();
        Box::pin(self.on_thread(context, move |work, rejected| work.flush(why, now_ns, rejected)))
    }
}
