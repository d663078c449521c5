//! Fast writers of fixed forms.

use crate::civil::{Civil, NS_PER_SECOND};
use crate::digits::{pair, year_digits};

/// Bytes of `2006-01-02T15:04:05`.
const SECOND_BYTES: usize = 19;

/// Appends `ns` as RFC 3339 in universal time: `2014-02-10T12:58:59.123456Z`.
///
/// The fraction has as many digits as it needs, at most nine; a whole second has none.
pub fn write_rfc3339(ns: i64, out: &mut Vec<u8>) {
    write_second(ns, b'T', out);
    write_fraction(ns, out);
    out.push(b'Z');
}

/// Appends `ns` as Go prints a time: `2014-02-10 12:58:59.123456 +0000 UTC`.
pub fn write_go_utc(ns: i64, out: &mut Vec<u8>) {
    write_second(ns, b' ', out);
    write_fraction(ns, out);
    out.extend_from_slice(b" +0000 UTC");
}

/// Writes RFC 3339 and remembers the last second written, since the next stamp is often of the same one.
#[derive(Debug, Clone, Default)]
pub struct Rfc3339Writer {
    second: i64,
    text: Vec<u8>,
}

impl Rfc3339Writer {
    /// As [`write_rfc3339`].
    pub fn write(&mut self, ns: i64, out: &mut Vec<u8>) {
        let second = ns.div_euclid(NS_PER_SECOND);
        if second != self.second || self.text.is_empty() {
            self.text.clear();
            write_second(ns, b'T', &mut self.text);
            self.second = second;
        }
        out.extend_from_slice(&self.text);
        write_fraction(ns, out);
        out.push(b'Z');
    }
}

fn write_second(ns: i64, between: u8, out: &mut Vec<u8>) {
    let civil = Civil::from_ns(ns, 0);
    let [y1, y2, y3, y4] = year_digits(civil.year);
    let ([mo1, mo2], [d1, d2]) = (pair(civil.month), pair(civil.day));
    let ([h1, h2], [mi1, mi2]) = (pair(civil.hour), pair(civil.minute));
    let [s1, s2] = pair(civil.second);
    let text: [u8; SECOND_BYTES] = [
        y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, between, h1, h2, b':', mi1, mi2, b':', s1, s2,
    ];
    out.extend_from_slice(&text);
}

fn write_fraction(ns: i64, out: &mut Vec<u8>) {
    let mut fraction = ns.rem_euclid(NS_PER_SECOND) as u32;
    if fraction == 0 {
        return;
    }
    let mut text = *b".000000000";
    for place in text[1..].iter_mut().rev() {
        *place = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
    let kept = text.iter().rposition(|&byte| byte != b'0').map_or(0, |last| last + 1);
    out.extend_from_slice(&text[..kept]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whole_seconds_have_no_fraction_and_others_no_trailing_zeros() {
        for (ns, rfc3339, go) in [
            (0, "1970-01-01T00:00:00Z", "1970-01-01 00:00:00 +0000 UTC"),
            (55_727_220_000_000_000, "1971-10-07T23:47:00Z", "1971-10-07 23:47:00 +0000 UTC"),
            (-1, "1969-12-31T23:59:59.999999999Z", "1969-12-31 23:59:59.999999999 +0000 UTC"),
            (1_500_000_000, "1970-01-01T00:00:01.5Z", "1970-01-01 00:00:01.5 +0000 UTC"),
            (
                1_000_000_010,
                "1970-01-01T00:00:01.00000001Z",
                "1970-01-01 00:00:01.00000001 +0000 UTC",
            ),
        ] {
            assert_eq!(written(|out| write_rfc3339(ns, out)), rfc3339);
            assert_eq!(written(|out| write_go_utc(ns, out)), go);
        }
    }

    proptest! {
        #[test]
        fn the_remembering_writer_writes_the_same(
            start in any::<i64>(),
            steps in prop::collection::vec(-2_000_000_000i64..2_000_000_000, 1..20),
        ) {
            let mut writer = Rfc3339Writer::default();
            for step in steps {
                let ns = start.wrapping_add(step);
                let plain = written(|out| write_rfc3339(ns, out));
                prop_assert_eq!(written(|out| writer.write(ns, out)), plain);
            }
        }
    }
}
