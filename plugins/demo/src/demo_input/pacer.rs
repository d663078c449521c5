//! How many lines there must be by when: a mean rate with a wave on it. Pure arithmetic, no clock.

use std::f64::consts::TAU;
use std::time::Duration;

/// Seconds of the wave: ten seconds stand for the day, so that a minute shows six of them.
const WAVE_SECONDS: f64 = 10.0;
/// The rate swings by this part around its mean.
const WAVE_PART: f64 = 0.3;
/// Seconds of the mean rate that may be late before lines are given up.
const BACKLOG_SECONDS: u64 = 2;

/// Says how many lines are due.
#[derive(Debug)]
pub(super) struct Pacer {
    rate: u32,
    /// Lines written or given up.
    done: u64,
    skipped: u64,
}

impl Pacer {
    /// `rate` lines per second in the mean.
    pub(super) fn new(rate: u32) -> Self {
        Self { rate, done: 0, skipped: 0 }
    }

    /// Lines that are due `elapsed` after the start and were not written yet. What is later than the backlog is given
    /// up: visitors do not queue for a log.
    pub(super) fn due(&mut self, elapsed: Duration) -> u64 {
        let due = self.lines_by(elapsed).saturating_sub(self.done);
        let most = u64::from(self.rate) * BACKLOG_SECONDS;
        let late = due.saturating_sub(most);
        self.skipped += late;
        self.done += late;
        due - late
    }

    /// Lines were written.
    pub(super) fn wrote(&mut self, lines: u64) {
        self.done += lines;
    }

    /// Lines given up in all.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The integral of the rate.
    fn lines_by(&self, elapsed: Duration) -> u64 {
        let seconds = elapsed.as_secs_f64();
        let swing = WAVE_PART * WAVE_SECONDS / TAU * (1.0 - (seconds / WAVE_SECONDS * TAU).cos());
        (f64::from(self.rate) * (seconds + swing)).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_in(pacer: &mut Pacer, from: u64, to: u64) -> u64 {
        let mut lines = 0;
        for tenth in from * 10 + 1..=to * 10 {
            let due = pacer.due(Duration::from_millis(tenth * 100));
            pacer.wrote(due);
            lines += due;
        }
        lines
    }

    #[test]
    fn a_whole_wave_has_the_mean_rate() {
        let mut pacer = Pacer::new(1000);
        assert_eq!(due_in(&mut pacer, 0, 10), 10_000);
        assert_eq!(due_in(&mut pacer, 10, 60), 50_000);
        assert_eq!(pacer.skipped(), 0);
    }

    #[test]
    fn the_rate_swings_within_a_wave() {
        let mut pacer = Pacer::new(1000);
        due_in(&mut pacer, 0, 2);
        let high = due_in(&mut pacer, 2, 3);
        due_in(&mut pacer, 3, 7);
        let low = due_in(&mut pacer, 7, 8);
        assert!((1_290..=1_300).contains(&high), "{high}");
        assert!((700..=710).contains(&low), "{low}");
    }

    #[test]
    fn what_is_too_late_is_given_up_and_counted() {
        let mut pacer = Pacer::new(10);
        let due = pacer.due(Duration::from_secs(60));
        assert_eq!((due, pacer.skipped()), (20, 580));
        pacer.wrote(due);
        assert_eq!(pacer.due(Duration::from_secs(60)), 0);
    }

    #[test]
    fn a_slow_rate_has_no_line_before_its_time() {
        let mut pacer = Pacer::new(1);
        assert_eq!(pacer.due(Duration::from_millis(100)), 0);
        assert_eq!(pacer.due(Duration::from_millis(600)), 1);
    }
}
