//! Figures of a sandbox in the daemon's report.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use heka_plugin::Report;
use heka_sandbox::Usage;

/// Calls between two that are timed.
const SAMPLE_EVERY: u64 = 1000;

/// What a plugin counts; read while it works.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    processed: AtomicU64,
    failures: AtomicU64,
    injected: AtomicU64,
    samples: AtomicU64,
    sampled_ns: AtomicU64,
    ticks: AtomicU64,
    ticks_ns: AtomicU64,
    terminations: AtomicU64,
    memory: AtomicU64,
    memory_max: AtomicU64,
    instructions_max: AtomicU64,
    output_max: AtomicU64,
}

/// How long messages take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slowness {
    pub(crate) processed: u64,
    pub(crate) failures: u64,
    pub(crate) samples: u64,
    /// Mean time of those that were timed.
    pub(crate) mean_ns: u64,
}

/// A call that may be timed.
#[derive(Debug)]
pub(crate) struct Timing(Option<Instant>);

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Stats {
    /// A call of `process_message` begins; the first one is always timed.
    pub(crate) fn begin(&self, always: bool) -> Timing {
        let number = self.processed.load(Ordering::Relaxed);
        Timing((always || number.is_multiple_of(SAMPLE_EVERY)).then(Instant::now))
    }

    /// It ended.
    pub(crate) fn end(&self, timing: &Timing) {
        // One thread counts, others only read.
        let processed = self.processed.load(Ordering::Relaxed);
        self.processed.store(processed + 1, Ordering::Relaxed);
        if let Timing(Some(began)) = timing {
            self.samples.fetch_add(1, Ordering::Relaxed);
            self.sampled_ns.fetch_add(nanoseconds(began.elapsed()), Ordering::Relaxed);
        }
    }

    /// The script refused a message.
    pub(crate) fn refuse(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// So many messages that the script kept could not be delivered.
    pub(crate) fn refuse_many(&self, count: u64) {
        self.failures.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn tick(&self, took: Duration) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
        self.ticks_ns.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    pub(crate) fn inject(&self) {
        self.injected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn terminate(&self) {
        self.terminations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn slowness(&self) -> Slowness {
        let samples = self.samples.load(Ordering::Relaxed);
        Slowness {
            processed: self.processed.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            samples,
            mean_ns: self.sampled_ns.load(Ordering::Relaxed) / samples.max(1),
        }
    }

    /// Takes over the sandbox's own figures.
    pub(crate) fn set_usage(&self, usage: &Usage) {
        self.memory.store(usage.memory as u64, Ordering::Relaxed);
        self.memory_max.store(usage.memory_max as u64, Ordering::Relaxed);
        self.instructions_max.store(usage.instructions_max, Ordering::Relaxed);
        self.output_max.store(usage.output_max as u64, Ordering::Relaxed);
    }

    /// Adds Heka's figures, and the number of terminations.
    pub(crate) fn report(&self, report: &mut Report) {
        let of = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let mean = |sum: &AtomicU64, count: &AtomicU64| of(sum) / of(count).max(1);
        report.number("Memory", of(&self.memory), "B");
        report.number("MaxMemory", of(&self.memory_max), "B");
        report.count("MaxInstructions", of(&self.instructions_max));
        report.number("MaxOutput", of(&self.output_max), "B");
        report.count("ProcessMessageCount", of(&self.processed));
        report.count("ProcessMessageFailures", of(&self.failures));
        report.count("InjectMessageCount", of(&self.injected));
        report.count("ProcessMessageSamples", of(&self.samples));
        report.number("ProcessMessageAvgDuration", mean(&self.sampled_ns, &self.samples), "ns");
        report.count("TimerEventSamples", of(&self.ticks));
        report.number("TimerEventAvgDuration", mean(&self.ticks_ns, &self.ticks), "ns");
        report.count("Terminations", of(&self.terminations));
    }
}
