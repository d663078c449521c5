//! Counts by name, with how often lately.
//!
//! Invariant: never more than [`NAMES_MAX`] names, whatever comes; what has no place is counted together.

use std::collections::HashMap;

/// Most names that are counted each for itself.
const NAMES_MAX: usize = 8192;
/// Longest part of a name that tells it from others, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// Part of the past that is left after a second: about the last five seconds count.
const KEPT: f64 = 0.8;

/// Smaller rates would read as nothing.
const SHOWN_MIN: f64 = 0.05;

/// Counts by name.
#[derive(Debug, Default)]
pub(super) struct Tally {
    names: HashMap<Box<[u8]>, Count>,
    seconds: u32,
    /// What had no place.
    others: u64,
}

/// Counts of a name.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// In the second that runs.
    current: u32,
    /// Weighted sum over the seconds before.
    recent: f64,
    recent_errors: f64,
    current_errors: u32,
    total: u64,
    total_errors: u64,
}

/// A name and its counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked {
    pub(super) name: Box<[u8]>,
    /// A second lately, or in all.
    pub(super) count: f64,
    pub(super) errors: f64,
}

impl Tally {
    /// Counts a name.
    pub(super) fn add(&mut self, name: &[u8], is_error: bool) {
        let name = &name[..name.len().min(NAME_BYTES_MAX)];
        if let Some(count) = self.names.get_mut(name) {
            count.add(is_error);
        } else if self.names.len() < NAMES_MAX {
            let mut count = Count::default();
            count.add(is_error);
            self.names.insert(name.into(), count);
        } else {
            self.others += 1;
        }
    }

    /// A second is over. When names are many, those that did not come lately make place.
    pub(super) fn end_second(&mut self) {
        self.seconds = self.seconds.saturating_add(1);
        for count in self.names.values_mut() {
            count.recent = count.recent * KEPT + f64::from(count.current);
            count.recent_errors = count.recent_errors * KEPT + f64::from(count.current_errors);
            count.current = 0;
            count.current_errors = 0;
        }
        if self.names.len() > NAMES_MAX / 2 {
            let others = &mut self.others;
            self.names.retain(|_, count| {
                let stays = count.recent >= 1.0;
                *others += if stays { 0 } else { count.total };
                stays
            });
        }
    }

    /// The names that came most lately, with their rates.
    pub(super) fn lately(&self, top: usize) -> Vec<Ranked> {
        if self.seconds == 0 {
            let current = |count: &Count| (count.current.into(), count.current_errors.into());
            return self.ranked(top, current);
        }
        let exponent = i32::try_from(self.seconds).unwrap_or(i32::MAX);
        let scale = (1.0 - KEPT) / (1.0 - KEPT.powi(exponent));
        self.ranked(top, |count| (count.recent * scale, count.recent_errors * scale))
    }

    /// The names that came most in all.
    pub(super) fn in_all(&self, top: usize) -> Vec<Ranked> {
        self.ranked(top, |count| (count.total as f64, count.total_errors as f64))
    }

    fn ranked(&self, top: usize, value: impl Fn(&Count) -> (f64, f64)) -> Vec<Ranked> {
        let mut all: Vec<(&[u8], (f64, f64))> =
            self.names.iter().map(|(name, count)| (&**name, value(count))).collect();
        all.retain(|(_, (count, _))| *count >= SHOWN_MIN);
        all.sort_by(|left, right| right.1.0.total_cmp(&left.1.0).then_with(|| left.0.cmp(right.0)));
        all.truncate(top);
        all.into_iter()
            .map(|(name, (count, errors))| Ranked { name: name.into(), count, errors })
            .collect()
    }
}

impl Count {
    fn add(&mut self, is_error: bool) {
        self.current = self.current.saturating_add(1);
        self.total += 1;
        if is_error {
            self.current_errors = self.current_errors.saturating_add(1);
            self.total_errors += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ranked: &[Ranked]) -> Vec<(&str, f64)> {
        ranked.iter().map(|it| (std::str::from_utf8(&it.name).unwrap(), it.count)).collect()
    }

    #[test]
    fn a_steady_rate_reads_as_itself_from_the_first_second_on() {
        let mut tally = Tally::default();
        for _ in 0..20 {
            for _ in 0..10 {
                tally.add(b"/", false);
            }
            tally.add(b"/cart", true);
            tally.end_second();
            let lately = tally.lately(5);
            assert!((lately[0].count - 10.0).abs() < 1e-9, "{lately:?}");
            assert!((lately[1].errors - 1.0).abs() < 1e-9, "{lately:?}");
        }
        assert_eq!(names(&tally.in_all(1)), [("/", 200.0)]);
    }

    #[test]
    fn the_order_is_that_of_the_last_seconds() {
        let mut tally = Tally::default();
        (0..1000).for_each(|_| tally.add(b"old", false));
        for _ in 0..30 {
            tally.end_second();
        }
        tally.add(b"new", false);
        tally.add(b"also", false);
        tally.add(b"new", false);
        tally.end_second();
        assert_eq!(tally.lately(1)[0].name, b"new"[..].into());
        assert_eq!(tally.in_all(1)[0].name, b"old"[..].into());
    }

    #[test]
    fn endless_names_take_no_more_memory() {
        let mut tally = Tally::default();
        for number in 0..3 * NAMES_MAX {
            tally.add(number.to_string().as_bytes(), false);
        }
        assert_eq!((tally.names.len(), tally.others), (NAMES_MAX, 2 * NAMES_MAX as u64));
        tally.add(&[b'x'; 10 * NAME_BYTES_MAX], false);
        tally.end_second();
        tally.end_second();
        assert!(tally.names.is_empty(), "those that came once make place");
        assert_eq!(tally.others, 3 * NAMES_MAX as u64 + 1);
        tally.add(&[b'x'; 10 * NAME_BYTES_MAX], false);
        assert_eq!(
            tally.lately(1).len() + tally.names.keys().next().unwrap().len(),
            NAME_BYTES_MAX
        );
    }
}
