//! Calendar arithmetic: the proleptic Gregorian calendar, in integers.
//!
//! The two day conversions are Howard Hinnant's `days_from_civil` and `civil_from_days`.

/// Nanoseconds in a second.
pub const NS_PER_SECOND: i64 = 1_000_000_000;
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;

/// A date and time of day on some wall clock.
///
/// Fields may lie outside of their ranges until [`Civil::is_valid`] has said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year, astronomical.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59; 60 and 61 count into the next minute.
    pub second: u8,
    /// Nanosecond, 0 to 999,999,999.
    pub nanosecond: u32,
}

impl Civil {
    /// The wall clock `offset_s` seconds east of Greenwich at `ns`.
    #[must_use]
    pub fn from_ns(ns: i64, offset_s: i32) -> Self {
        let seconds = ns.div_euclid(NS_PER_SECOND) + i64::from(offset_s);
        let mut civil = Self::from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY) as u32;
        civil.hour = (of_day / 3_600) as u8;
        civil.minute = (of_day / 60 % 60) as u8;
        civil.second = (of_day % 60) as u8;
        civil.nanosecond = ns.rem_euclid(NS_PER_SECOND) as u32;
        civil
    }

    /// Midnight of a day, counted from 1970-01-01.
    #[must_use]
    pub fn from_days(days: i64) -> Self {
        let shifted = days + DAYS_TO_EPOCH;
        let era = shifted.div_euclid(DAYS_PER_ERA);
        let of_era = shifted.rem_euclid(DAYS_PER_ERA);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year: year as i32,
            month: month as u8,
            day: day as u8,
            hour: 0,
            minute: 0,
            second: 0,
            nanosecond: 0,
        }
    }

    /// Days from 1970-01-01 to its date.
    #[must_use]
    pub fn days(&self) -> i64 {
        let month = i64::from(self.month);
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        era * DAYS_PER_ERA + of_era - DAYS_TO_EPOCH
    }

    /// Nanoseconds since the epoch, if this clock is `offset_s` seconds east of Greenwich.
    ///
    /// `None` if they do not fit into an `i64`.
    #[must_use]
    pub fn to_ns(&self, offset_s: i32) -> Option<i64> {
        let of_day =
            i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = self.days() * SECONDS_PER_DAY + of_day - i64::from(offset_s);
        let whole = i128::from(seconds) * i128::from(NS_PER_SECOND);
        i64::try_from(whole + i128::from(self.nanosecond)).ok()
    }

    /// True if every field lies in its range; seconds may be 60 or 61.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 62
            && i64::from(self.nanosecond) < NS_PER_SECOND
    }

    /// Day of the week, Sunday is 0.
    #[must_use]
    pub fn weekday(&self) -> u8 {
        // 1970-01-01 was a Thursday.
        (self.days() + 4).rem_euclid(7) as u8
    }

    /// Day of the year, from 1.
    #[must_use]
    pub fn day_of_year(&self) -> u16 {
        let first = Self { month: 1, day: 1, ..*self };
        (self.days() - first.days() + 1) as u16
    }
}

pub(crate) fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month; 0 for a month outside 1 to 12.
pub(crate) fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u8::from(is_leap(year)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jiff_of(ns: i64) -> jiff::civil::DateTime {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
        stamp.to_zoned(jiff::tz::TimeZone::UTC).datetime()
    }

    #[test]
    fn the_ends_of_the_range_round_trip() {
        for ns in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            assert_eq!(Civil::from_ns(ns, 0).to_ns(0), Some(ns));
        }
        let after = Civil { nanosecond: 854_775_808, ..Civil::from_ns(i64::MAX, 0) };
        assert_eq!(after.to_ns(0), None);
    }

    #[test]
    fn leap_days_exist_in_leap_years_only() {
        let valid = |year, day| Civil { year, month: 2, day, ..Civil::from_ns(0, 0) }.is_valid();
        assert!(valid(2024, 29) && valid(2000, 29) && !valid(1900, 29) && !valid(2023, 29));
        assert!(!valid(2024, 30) && !valid(2024, 0));
    }

    #[test]
    fn the_overflow_stamp_of_heka_is_in_1754() {
        let civil = Civil::from_ns(-6_795_364_578_871_345_152, 0);
        assert_eq!((civil.year, civil.month, civil.day), (1754, 8, 30));
        assert_eq!((civil.hour, civil.minute, civil.second), (22, 43, 41));
        assert_eq!(civil.nanosecond, 128_654_848);
    }

    proptest! {
        #[test]
        fn every_stamp_is_what_jiff_says(ns in any::<i64>()) {
            let (ours, theirs) = (Civil::from_ns(ns, 0), jiff_of(ns));
            prop_assert_eq!(ours.year, i32::from(theirs.year()));
            prop_assert_eq!((ours.month, ours.day), (theirs.month() as u8, theirs.day() as u8));
            prop_assert_eq!((ours.hour, ours.minute), (theirs.hour() as u8, theirs.minute() as u8));
            prop_assert_eq!(ours.second, theirs.second() as u8);
            prop_assert_eq!(i64::from(ours.nanosecond), i64::from(theirs.subsec_nanosecond()));
            prop_assert_eq!(ours.weekday(), theirs.weekday().to_sunday_zero_offset() as u8);
            prop_assert_eq!(i64::from(ours.day_of_year()), i64::from(theirs.day_of_year()));
            prop_assert!(ours.is_valid());
            prop_assert_eq!(ours.to_ns(0), Some(ns));
        }

        #[test]
        fn offsets_cancel(ns in -i64::MAX / 2..i64::MAX / 2, offset in -50_400i32..50_400) {
            prop_assert_eq!(Civil::from_ns(ns, offset).to_ns(offset), Some(ns));
        }
    }
}
