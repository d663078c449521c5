//! Zones: UTC, the machine's own, or one from the zone database.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::civil::Civil;
use crate::error::DatetimeError;

/// How many zone changes back in time abbreviations are gathered from.
const TRANSITIONS_MAX: usize = 400;

/// The zone in which stamps without an offset of their own are read and stamps are written.
#[derive(Debug, Clone, Default)]
pub struct Location {
    /// `None` is UTC.
    zone: Option<Zone>,
}

#[derive(Debug, Clone)]
struct Zone {
    rules: TimeZone,
    /// Each abbreviation that the zone ever used, with its offset; the newest come first.
    abbreviations: Vec<(String, i32)>,
}

impl Location {
    /// Universal time.
    #[must_use]
    pub const fn utc() -> Self {
        Self { zone: None }
    }

    /// Reads a zone's name: `UTC` or nothing, `Local` for the machine's own zone (UTC if it has none), else an IANA
    /// name.
    pub fn parse(name: &str) -> Result<Self, DatetimeError> {
        let rules = match name {
            "" | "UTC" => return Ok(Self::utc()),
            "Local" => Ok(TimeZone::try_system().unwrap_or(TimeZone::UTC)),
            _ => TimeZone::get(name),
        };
        rules
            .map(Self::with_rules)
            .map_err(|source| DatetimeError::Location { name: name.to_owned(), source })
    }

    fn with_rules(rules: TimeZone) -> Self {
        if rules == TimeZone::UTC {
            return Self::utc();
        }
        let abbreviations = abbreviations_of(&rules);
        Self { zone: Some(Zone { rules, abbreviations }) }
    }

    /// True for universal time.
    #[must_use]
    pub fn is_utc(&self) -> bool {
        self.zone.is_none()
    }

    /// Seconds east of Greenwich at `ns`.
    #[must_use]
    pub fn offset_s(&self, ns: i64) -> i32 {
        self.zone.as_ref().map_or(0, |zone| zone.rules.to_offset(timestamp(ns)).seconds())
    }

    /// Seconds east of Greenwich at `ns`, and what the zone is called then.
    #[must_use]
    pub fn offset_and_name(&self, ns: i64) -> (i32, Cow<'_, str>) {
        let Some(zone) = &self.zone else { return (0, Cow::Borrowed("UTC")) };
        let info = zone.rules.to_offset_info(timestamp(ns));
        (info.offset().seconds(), Cow::Owned(info.abbreviation().to_owned()))
    }

    /// The wall clock here at `ns`.
    #[must_use]
    pub fn civil(&self, ns: i64) -> Civil {
        Civil::from_ns(ns, self.offset_s(ns))
    }

    /// The instant at which the wall clock here shows `civil`.
    ///
    /// An hour that the clock jumps over counts on from before the jump; of an hour that comes twice, the first
    /// is meant. `None` if `civil` does not exist or does not fit.
    #[must_use]
    pub fn to_ns(&self, civil: &Civil) -> Option<i64> {
        if !civil.is_valid() {
            return None;
        }
        let Some(zone) = &self.zone else { return civil.to_ns(0) };
        // Leap seconds are seconds of the next minute, in every zone.
        let minute = Civil { second: 0, nanosecond: 0, ..*civil };
        let local = datetime(&minute)?;
        let stamp = zone.rules.to_ambiguous_timestamp(local).compatible().ok()?;
        let ns = i64::try_from(stamp.as_nanosecond()).ok()?;
        ns.checked_add(i64::from(civil.second) * crate::NS_PER_SECOND + i64::from(civil.nanosecond))
    }

    /// The offset that the abbreviation `name` stands for here, at the wall clock time `civil`.
    ///
    /// An abbreviation may have meant several offsets; the one that was in force then is preferred.
    pub(crate) fn offset_of_name(&self, name: &[u8], civil: &Civil) -> Option<i32> {
        let zone = self.zone.as_ref()?;
        let mut known = zone
            .abbreviations
            .iter()
            .filter(|(known, _)| known.as_bytes() == name)
            .map(|&(_, offset)| offset);
        let in_force = |offset: i32| {
            let Some(ns) = civil.to_ns(offset) else { return false };
            let info = zone.rules.to_offset_info(timestamp(ns));
            info.offset().seconds() == offset && info.abbreviation().as_bytes() == name
        };
        let newest = known.clone().next();
        known.find(|&offset| in_force(offset)).or(newest)
    }
}

fn timestamp(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).expect("every i64 of nanoseconds is in range")
}

fn datetime(civil: &Civil) -> Option<DateTime> {
    let year = i16::try_from(civil.year).ok()?;
    let (month, day) = (civil.month as i8, civil.day as i8);
    let (hour, minute, second) = (civil.hour as i8, civil.minute as i8, civil.second as i8);
    DateTime::new(year, month, day, hour, minute, second, civil.nanosecond as i32).ok()
}

fn abbreviations_of(rules: &TimeZone) -> Vec<(String, i32)> {
    let mut found: Vec<(String, i32)> = Vec::new();
    let mut add = |name: &str, offset: i32| {
        if !found.iter().any(|(known, known_offset)| known == name && *known_offset == offset) {
            found.push((name.to_owned(), offset));
        }
    };
    let info = rules.to_offset_info(Timestamp::now());
    add(info.abbreviation(), info.offset().seconds());
    // From the far end: rules that go on for ever yield changes without end there.
    let end = Timestamp::now();
    for change in rules.following(end).take(2) {
        add(change.abbreviation(), change.offset().seconds());
    }
    for change in rules.preceding(end).take(TRANSITIONS_MAX) {
        add(change.abbreviation(), change.offset().seconds());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(year: i32, month: u8, day: u8, hour: u8) -> Civil {
        Civil { year, month, day, hour, minute: 30, second: 0, nanosecond: 5 }
    }

    #[test]
    fn utc_has_three_names() {
        for name in ["", "UTC", "Etc/UTC"] {
            let location = Location::parse(name).unwrap();
            assert_eq!(location.offset_s(0), 0);
            assert_eq!(location.offset_and_name(0).1, "UTC");
        }
        assert!(Location::parse("UTC").unwrap().is_utc());
    }

    #[test]
    fn an_unknown_zone_is_an_error_that_names_it() {
        let error = Location::parse("Mars/Olympus").unwrap_err();
        assert_eq!(error.to_string(), "unknown time zone \"Mars/Olympus\"");
    }

    #[test]
    fn the_local_zone_can_be_had() {
        let local = Location::parse("Local").unwrap();
        assert_eq!(
            local.to_ns(&local.civil(1_392_050_801_000_000_000)),
            Some(1_392_050_801 * crate::NS_PER_SECOND)
        );
    }

    #[test]
    fn daylight_saving_is_followed() {
        let zone = Location::parse("America/Los_Angeles").unwrap();
        let winter = 1_392_050_801 * crate::NS_PER_SECOND;
        assert_eq!(zone.offset_and_name(winter), (-28_800, Cow::Borrowed("PST")));
        let summer = 1_405_000_000 * crate::NS_PER_SECOND;
        assert_eq!(zone.offset_and_name(summer), (-25_200, Cow::Borrowed("PDT")));
        // 2014-03-09 02:30 was jumped over, 2014-11-02 01:30 came twice.
        let gap = zone.to_ns(&civil(2014, 3, 9, 2)).unwrap();
        assert_eq!(zone.civil(gap).hour, 3);
        let fold = zone.to_ns(&civil(2014, 11, 2, 1)).unwrap();
        assert_eq!(zone.offset_and_name(fold).1, "PDT");
    }

    #[test]
    fn abbreviations_are_those_of_the_zone() {
        let zone = Location::parse("America/Los_Angeles").unwrap();
        let winter = civil(2014, 2, 10, 8);
        assert_eq!(zone.offset_of_name(b"PST", &winter), Some(-28_800));
        assert_eq!(zone.offset_of_name(b"PDT", &winter), Some(-25_200));
        assert_eq!(zone.offset_of_name(b"CET", &winter), None);
        assert_eq!(Location::utc().offset_of_name(b"PST", &winter), None);
        // Moscow changed what MSK means twice.
        let moscow = Location::parse("Europe/Moscow").unwrap();
        assert_eq!(moscow.offset_of_name(b"MSK", &civil(2012, 7, 1, 8)), Some(14_400));
        assert_eq!(moscow.offset_of_name(b"MSK", &civil(2016, 7, 1, 8)), Some(10_800));
    }

    #[test]
    fn leap_seconds_belong_to_the_next_minute() {
        let leap = Civil { second: 60, ..civil(2016, 12, 31, 23) };
        let next = Civil { minute: 31, second: 0, ..leap };
        for name in ["UTC", "Asia/Kolkata"] {
            let zone = Location::parse(name).unwrap();
            assert_eq!(zone.to_ns(&leap), zone.to_ns(&next));
        }
        assert_eq!(Location::utc().to_ns(&Civil { second: 62, ..leap }), None);
    }
}
