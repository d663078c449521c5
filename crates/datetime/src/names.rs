//! English names of months and week days.

/// Months, in full.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Week days from Sunday, in full.
pub(crate) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Letters of a short name.
pub(crate) const SHORT_BYTES: usize = 3;

/// Whether names are compared with or without their case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    Ignored,
}

/// Finds which of `names` stands at the start of `text`: its index, and its length in bytes.
pub(crate) fn find(names: &[&str], short: bool, case: Case, text: &[u8]) -> Option<(u8, usize)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if short { &name.as_bytes()[..SHORT_BYTES] } else { name.as_bytes() };
        let head = text.get(..name.len())?;
        let same = match case {
            Case::Exact => head == name,
            Case::Ignored => head.eq_ignore_ascii_case(name),
        };
        same.then_some((index as u8, name.len()))
    })
}

/// The month, 1 to 12, of an English three-letter name in its usual case.
pub(crate) fn month_of(text: [u8; 3]) -> Option<u8> {
    let month = match &text {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    Some(month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_table_agrees_with_the_names() {
        for (index, name) in MONTHS.iter().enumerate() {
            let short: [u8; 3] = name.as_bytes()[..3].try_into().unwrap();
            assert_eq!(month_of(short), Some(index as u8 + 1));
        }
        assert_eq!((month_of(*b"feb"), month_of(*b"Foo")), (None, None));
    }

    #[test]
    fn names_are_found_with_and_without_case() {
        assert_eq!(find(&MONTHS, true, Case::Ignored, b"FEB 10"), Some((1, 3)));
        assert_eq!(find(&MONTHS, true, Case::Exact, b"FEB 10"), None);
        assert_eq!(find(&WEEKDAYS, false, Case::Exact, b"Sunday"), Some((0, 6)));
        assert_eq!(find(&WEEKDAYS, false, Case::Exact, b"Sun"), None);
    }
}
