//! When a new file begins, and what it is called.
//!
//! Invariant: boundaries are counted from midnight of the local zone, the one in which names are written, so that a
//! name and the messages under it agree in every zone.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use heka_datetime::{Civil, Location, NS_PER_SECOND, Strftime};

/// Hours of a day.
const DAY_HOURS: u32 = 24;
/// Step to the next boundary where the calendar knows none.
const HOUR_NS: i64 = 3_600 * NS_PER_SECOND;

/// The series of files.
#[derive(Debug)]
pub(super) struct Rotation {
    hours: u32,
    location: Location,
    name: Strftime,
    next_at: i64,
}

impl Rotation {
    /// A series with a new file every `hours`, a divisor of 24.
    pub(super) fn new(path: &str, hours: u32, location: Location, now_ns: i64) -> Self {
        let mut rotation = Self { hours, location, name: Strftime::parse(path), next_at: 0 };
        rotation.next_at = rotation.boundary_after(now_ns);
        rotation
    }

    /// The name that the file has if it begins at `ns`.
    pub(super) fn path_at(&self, ns: i64) -> PathBuf {
        let mut name = Vec::new();
        self.name.format_into(ns, &self.location, &mut name);
        PathBuf::from(OsString::from_vec(name))
    }

    /// True if it is time for the next file.
    pub(super) fn is_due(&self, now_ns: i64) -> bool {
        now_ns >= self.next_at
    }

    /// Goes on to the file of `now_ns`, which is named after the boundary that it began at.
    pub(super) fn advance(&mut self, now_ns: i64) -> PathBuf {
        let begun_at = self.boundary_before(now_ns);
        self.next_at = self.boundary_after(now_ns);
        self.path_at(begun_at)
    }

    /// The last boundary at or before `ns`.
    fn boundary_before(&self, ns: i64) -> i64 {
        let civil = self.location.civil(ns);
        let hour = u32::from(civil.hour) / self.hours * self.hours;
        self.instant(civil.days(), hour).unwrap_or(ns).min(ns)
    }

    /// The first boundary after `ns`.
    fn boundary_after(&self, ns: i64) -> i64 {
        let civil = self.location.civil(ns);
        let hour = (u32::from(civil.hour) / self.hours + 1) * self.hours;
        let (days, hour) = (civil.days() + i64::from(hour / DAY_HOURS), hour % DAY_HOURS);
        match self.instant(days, hour) {
            Some(at) if at > ns => at,
            _ => ns.saturating_add(HOUR_NS),
        }
    }

    fn instant(&self, days: i64, hour: u32) -> Option<i64> {
        let hour = u8::try_from(hour).ok()?;
        self.location.to_ns(&Civil { hour, ..Civil::from_days(days) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: &str) -> i64 {
        heka_datetime::parse_rfc3339(format!("{text}{zone}").as_bytes()).unwrap().0
    }

    fn rotation(zone: &str, hours: u32, now: i64) -> Rotation {
        Rotation::new("/v/%Y/%m-%d_%H.log", hours, Location::parse(zone).unwrap(), now)
    }

    #[test]
    fn the_first_file_is_named_after_now_and_the_next_ones_after_their_boundary() {
        let start = at("2015-06-01T10:37:00", "Z");
        let mut rotation = rotation("UTC", 4, start);
        assert_eq!(rotation.path_at(start).to_str(), Some("/v/2015/06-01_10.log"));
        assert!(!rotation.is_due(at("2015-06-01T11:59:59", "Z")));
        let noon = at("2015-06-01T12:00:00", "Z");
        assert!(rotation.is_due(noon));
        assert_eq!(rotation.advance(noon).to_str(), Some("/v/2015/06-01_12.log"));
        assert!(!rotation.is_due(noon));
        // Nothing happened for two days.
        let late = at("2015-06-03T21:13:00", "Z");
        assert_eq!(rotation.advance(late).to_str(), Some("/v/2015/06-03_20.log"));
        assert!(!rotation.is_due(at("2015-06-03T23:59:59", "Z")));
        assert!(rotation.is_due(at("2015-06-04T00:00:00", "Z")));
    }

    #[test]
    fn days_end_at_local_midnight() {
        for (zone, offset) in [("America/New_York", "-04:00"), ("Asia/Kolkata", "+05:30")] {
            let mut rotation = rotation(zone, 24, at("2015-06-01T10:00:00", offset));
            assert!(!rotation.is_due(at("2015-06-01T23:59:59", offset)));
            let midnight = at("2015-06-02T00:00:00", offset);
            assert!(rotation.is_due(midnight));
            assert_eq!(rotation.advance(midnight).to_str(), Some("/v/2015/06-02_00.log"));
        }
    }

    #[test]
    fn days_with_23_and_25_hours_are_one_file_each() {
        let mut rotation = rotation("America/New_York", 24, at("2015-03-08T00:30:00", "-05:00"));
        let next = at("2015-03-09T00:00:00", "-04:00");
        assert!(!rotation.is_due(next - 1) && rotation.is_due(next));
        rotation.advance(at("2015-11-01T00:00:00", "-04:00"));
        let next = at("2015-11-02T00:00:00", "-05:00");
        assert!(!rotation.is_due(next - 1) && rotation.is_due(next));
    }

    #[test]
    fn the_hour_that_comes_twice_is_one_file() {
        let mut rotation = rotation("America/New_York", 1, at("2015-11-01T00:10:00", "-04:00"));
        let first = at("2015-11-01T01:00:00", "-04:00");
        assert!(rotation.is_due(first));
        assert_eq!(rotation.advance(first).to_str(), Some("/v/2015/11-01_01.log"));
        let end = at("2015-11-01T02:00:00", "-05:00");
        assert!(!rotation.is_due(end - 1) && rotation.is_due(end));
        assert_eq!(rotation.advance(end).to_str(), Some("/v/2015/11-01_02.log"));
    }

    #[test]
    fn every_boundary_lies_ahead_wherever_the_clock_stands() {
        for zone in ["UTC", "America/Sao_Paulo", "Australia/Lord_Howe"] {
            for hours in [1, 4, 12, 24] {
                let rotation = rotation(zone, hours, 0);
                let mut ns = at("2018-01-01T00:00:00", "Z");
                let end = at("2019-01-01T00:00:00", "Z");
                while ns < end {
                    let after = rotation.boundary_after(ns);
                    assert!(rotation.boundary_before(ns) <= ns && after > ns, "{zone} {ns}");
                    assert!(after - ns <= i64::from(hours + 1) * HOUR_NS, "{zone} {hours} {ns}");
                    ns += 17 * 60 * NS_PER_SECOND;
                }
            }
        }
    }
}
