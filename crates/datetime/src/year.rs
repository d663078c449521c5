//! Stamps that leave out the year, or the whole date.

use crate::civil::{Civil, NS_PER_SECOND, SECONDS_PER_DAY};
use crate::location::Location;

/// How far in the future a stamp without a year may lie, in nanoseconds: clocks differ, and zones too.
pub const FUTURE_NS_MAX: i64 = SECONDS_PER_DAY * NS_PER_SECOND;
/// Past this, a time of day without a date means yesterday.
const FUTURE_TIME_NS_MAX: i64 = 12 * 3_600 * NS_PER_SECOND;
/// Leap days are at most eight years apart.
const YEARS_BACK_MAX: i32 = 8;

/// The latest instant at which `civil`, its year disregarded, was shown at `location`, not more than a day after `now_ns`.
///
/// So a stamp of December that is read in January is of last year, and 29 February is of the last leap year.
/// `None` if no year has such a day.
#[must_use]
pub fn with_guessed_year(civil: &Civil, location: &Location, now_ns: i64) -> Option<i64> {
    let latest = now_ns.saturating_add(FUTURE_NS_MAX);
    let newest_year = location.civil(latest).year;
    (newest_year - YEARS_BACK_MAX..=newest_year)
        .rev()
        .filter_map(|year| location.to_ns(&Civil { year, ..*civil }))
        .find(|&ns| ns <= latest)
}

/// The instant of a time of day: today's at `location`, or yesterday's if that is more than twelve hours ahead.
#[must_use]
pub fn with_guessed_day(civil: &Civil, location: &Location, now_ns: i64) -> Option<i64> {
    let on = |day: Civil| {
        location.to_ns(&Civil { year: day.year, month: day.month, day: day.day, ..*civil })
    };
    let today = location.civil(now_ns);
    let ns = on(today)?;
    if ns > now_ns.saturating_add(FUTURE_TIME_NS_MAX) {
        return on(Civil::from_days(today.days() - 1));
    }
    Some(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i32, month: u8, day: u8, hour: u8) -> Civil {
        Civil { year, month, day, hour, minute: 0, second: 0, nanosecond: 0 }
    }

    fn guessed(stamp: Civil, now: Civil) -> Civil {
        let now_ns = now.to_ns(0).unwrap();
        Civil::from_ns(with_guessed_year(&stamp, &Location::utc(), now_ns).unwrap(), 0)
    }

    #[test]
    fn december_read_in_january_is_of_last_year() {
        assert_eq!(guessed(at(0, 12, 31, 23), at(2015, 1, 1, 0)), at(2014, 12, 31, 23));
        assert_eq!(guessed(at(0, 1, 1, 0), at(2014, 12, 31, 23)), at(2015, 1, 1, 0));
    }

    #[test]
    fn one_day_ahead_is_the_limit() {
        assert_eq!(guessed(at(0, 5, 2, 8), at(2014, 5, 1, 8)), at(2014, 5, 2, 8));
        assert_eq!(guessed(at(0, 5, 2, 9), at(2014, 5, 1, 8)), at(2013, 5, 2, 9));
    }

    #[test]
    fn a_leap_day_is_of_the_last_leap_year() {
        assert_eq!(guessed(at(0, 2, 29, 1), at(2025, 3, 1, 0)), at(2024, 2, 29, 1));
        assert_eq!(guessed(at(0, 2, 29, 1), at(1903, 3, 1, 0)), at(1896, 2, 29, 1));
        assert_eq!(with_guessed_year(&at(0, 2, 30, 0), &Location::utc(), 0), None);
    }

    #[test]
    fn a_time_of_day_is_of_today_or_of_last_evening() {
        let now = at(2014, 5, 1, 1).to_ns(0).unwrap();
        let guess = |hour| {
            let ns = with_guessed_day(&at(0, 1, 1, hour), &Location::utc(), now).unwrap();
            Civil::from_ns(ns, 0)
        };
        assert_eq!(guess(0), at(2014, 5, 1, 0));
        assert_eq!(guess(13), at(2014, 5, 1, 13));
        assert_eq!(guess(14), at(2014, 4, 30, 14));
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for now in [i64::MIN, i64::MAX] {
            let latest = now.saturating_add(FUTURE_NS_MAX);
            let year = with_guessed_year(&at(0, 6, 1, 0), &Location::utc(), now);
            assert!(year.is_none_or(|ns| ns <= latest));
            let day = with_guessed_day(&at(0, 1, 1, 23), &Location::utc(), now);
            assert!(day.is_none_or(|ns| ns <= latest));
        }
    }
}
