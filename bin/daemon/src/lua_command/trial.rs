//! The run: a script started, given its messages and ticks, and its figures taken.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use heka_message::Record;
use heka_plugin_sandbox::{Called, Made, Trial};
use heka_sandbox::{Ended, Kind, Outcome, Report, StartError};
use heka_stream::{Clock, SystemClock};

use crate::lua_command::TestOptions;
use crate::lua_command::messages::{LineHeaders, Messages};
use crate::lua_command::subject::Subject;
use crate::lua_command::tell::Teller;

/// What an input's script that was told to stop ends with.
const STOPPED: &str = "shutting down";

/// Tries the script out; the result is the exit code.
pub(super) fn run(configs: &[PathBuf], options: &TestOptions) -> anyhow::Result<u8> {
    let subject = match Subject::new(configs, options) {
        Ok(subject) => subject,
        Err(error) => {
            crate::tell(&format!("hekad: {error:#}\n"));
            return Ok(2);
        }
    };
    let mut teller = Teller::new(&subject, options)?;
    let kind = subject.kind.kind();
    let started = Trial::start(kind, &subject.config, &subject.context, subject.options.clone());
    let trial = match started {
        Ok(trial) => trial,
        Err(error) => {
            let report = match error {
                StartError::Script(report) => report,
                other => Report { text: other.to_string(), ..Report::default() },
            };
            teller.failed(&report)?;
            teller.finish(None, &Figures::default())?;
            return Ok(1);
        }
    };
    let mut run = Run { trial, teller, figures: Figures::default(), failed: false };
    run.all(&subject, options)?;
    run.teller.finish(Some(&run.trial), &run.figures)?;
    Ok(u8::from(run.failed))
}

/// What a run counted.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Messages that the script was given.
    pub(super) messages: u64,
    /// Messages that its matcher left out.
    pub(super) unmatched: u64,
    /// Calls by their statuses.
    pub(super) statuses: BTreeMap<i32, u64>,
    /// Payloads, messages and texts of encoders that it made.
    pub(super) payloads: u64,
    pub(super) made_messages: u64,
    pub(super) texts: u64,
    /// Calls of timer_event; of an input, of process_message.
    pub(super) ticks: u64,
    /// What process_message took.
    pub(super) times: Histogram,
    pub(super) instructions: u64,
    pub(super) instructions_most: u64,
}

struct Run<'a> {
    trial: Trial,
    teller: Teller<'a>,
    figures: Figures,
    failed: bool,
}

impl Run<'_> {
    fn all(&mut self, subject: &Subject, options: &TestOptions) -> anyhow::Result<()> {
        if !self.trial.has_function("process_message") {
            self.teller.note("the script defines no process_message")?;
        }
        let now = options.now.map(|now| now.resolve(SystemClock.now_ns()));
        if subject.kind.kind() == Kind::Input {
            return self.input(options);
        }
        let headers = LineHeaders {
            message_type: &options.headers.message_type,
            logger: &options.headers.logger,
            hostname: &subject.context.hostname,
            now_ns: now.unwrap_or_else(|| SystemClock.now_ns()),
        };
        if let Some(messages) = Messages::open(options, &subject.context.names, headers)? {
            messages.each(&mut |record| {
                if subject.matcher.as_ref().is_some_and(|matcher| !matcher.matches(record)) {
                    self.figures.unmatched += 1;
                    return Ok(true);
                }
                self.message(record, options, now)
            })?;
        }
        for _ in 0..options.ticks {
            if self.failed || !self.tick(now)? {
                break;
            }
        }
        Ok(())
    }

    /// One message, and the tick behind it; false if the script has ended.
    fn message(
        &mut self,
        record: &Record<'_>,
        options: &TestOptions,
        now: Option<i64>,
    ) -> anyhow::Result<bool> {
        self.figures.messages += 1;
        let called = self.trial.message(record);
        self.count(&called);
        let number = self.figures.messages;
        if !self.took(&format!("message {number}"), &called)? {
            return Ok(false);
        }
        match options.ticker_every {
            Some(every) if number.is_multiple_of(every.get()) => self.tick(now),
            _ => Ok(true),
        }
    }

    fn tick(&mut self, now: Option<i64>) -> anyhow::Result<bool> {
        self.figures.ticks += 1;
        let called = self.trial.tick(now.unwrap_or_else(|| SystemClock.now_ns()));
        let number = self.figures.ticks;
        self.took(&format!("tick {number}"), &called)
    }

    /// Calls an input's script as often as was asked for, once at least, for so long at most.
    fn input(&mut self, options: &TestOptions) -> anyhow::Result<()> {
        let stopper = self.trial.stopper();
        let (over, wait) = mpsc::channel::<()>();
        let limit = Duration::from_secs(options.seconds);
        let timer = std::thread::spawn(move || {
            if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                stopper.stop();
            }
        });
        let began = Instant::now();
        let result = self.polls(options.ticks.max(1), || began.elapsed() < limit);
        drop(over);
        if timer.join().is_err() {
            anyhow::bail!("the timer's thread panicked");
        }
        result
    }

    fn polls(&mut self, most: u64, goes_on: impl Fn() -> bool) -> anyhow::Result<()> {
        while self.figures.ticks < most && goes_on() {
            self.figures.ticks += 1;
            let called = self.trial.poll();
            self.count(&called);
            let number = self.figures.ticks;
            if !self.took(&format!("call {number}"), &called)? {
                break;
            }
        }
        Ok(())
    }

    /// A call of process_message.
    fn count(&mut self, called: &Called) {
        let figures = &mut self.figures;
        figures.times.add(called.time);
        figures.instructions += called.instructions;
        figures.instructions_most = figures.instructions_most.max(called.instructions);
        let status = match &called.outcome {
            Ok(Outcome::Done) => 0,
            Ok(Outcome::Refused { status, .. }) | Err(Ended::Status { status, .. }) => *status,
            Err(Ended::Failed(_)) => return,
        };
        *figures.statuses.entry(status).or_default() += 1;
    }

    /// Tells what a call did; false if the script has ended.
    fn took(&mut self, what: &str, called: &Called) -> anyhow::Result<bool> {
        for made in &called.made {
            match made {
                Made::Payload { .. } => self.figures.payloads += 1,
                Made::Messages(batch) => self.figures.made_messages += batch.len() as u64,
                Made::Bytes(_) => self.figures.texts += 1,
                Made::Place(_) => {}
            }
        }
        self.teller.called(what, called)?;
        match &called.outcome {
            Ok(_) => Ok(true),
            Err(Ended::Failed(report)) if report.text.ends_with(STOPPED) => {
                self.teller.note("the script was still at work and was stopped, see --seconds")?;
                Ok(false)
            }
            Err(Ended::Failed(report)) => {
                self.failed = true;
                self.teller.failed_in(what, report)?;
                Ok(false)
            }
            Err(Ended::Status { .. }) => {
                self.failed = true;
                Ok(false)
            }
        }
    }
}

/// Bits of a duration that tell buckets of the same power of two apart.
const MANTISSA_BITS: u32 = 5;
/// Buckets: each power of two has as many as the mantissa tells apart.
const BUCKETS: usize = 64 << MANTISSA_BITS;

/// Durations, to some 3 %.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, sum: Duration::ZERO }
    }
}

impl Histogram {
    fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.sum += duration;
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(ns)) {
            *bucket += 1;
        }
    }

    /// Mean in ns.
    pub(super) fn mean_ns(&self) -> u64 {
        let ns = self.sum.as_nanos() / u128::from(self.count.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// So many hundredths of the durations are not above this, in ns.
    pub(super) fn percentile_ns(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0, lower_ns)
    }
}

fn bucket_of(ns: u64) -> usize {
    let bits = 64 - ns.leading_zeros();
    if bits <= MANTISSA_BITS + 1 {
        return ns as usize;
    }
    let shift = bits - MANTISSA_BITS - 1;
    ((shift as usize) << MANTISSA_BITS) + (ns >> shift) as usize
}

/// The shortest duration of a bucket.
fn lower_ns(bucket: usize) -> u64 {
    let two = 2 << MANTISSA_BITS;
    if bucket < two {
        return bucket as u64;
    }
    let shift = (bucket >> MANTISSA_BITS) - 1;
    ((bucket - (shift << MANTISSA_BITS)) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_right_to_three_percent() {
        for ns in [0, 1, 31, 63, 64, 65, 1000, 123_456, 99_999_999_999, u64::MAX] {
            let lower = lower_ns(bucket_of(ns));
            assert!(lower <= ns && ns - lower <= ns / 32, "{ns} {lower}");
        }
        let mut histogram = Histogram::default();
        (1..=1000_u64).for_each(|ns| histogram.add(Duration::from_nanos(ns)));
        assert_eq!(histogram.mean_ns(), 500);
        let p99 = histogram.percentile_ns(99);
        assert!((960..=990).contains(&p99), "{p99}");
        assert_eq!(Histogram::default().percentile_ns(99), 0);
    }
}
