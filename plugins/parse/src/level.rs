//! Names of levels, as programs write them.

/// What level names mean as severities of syslog.
const LEVELS: [(&str, i32); 19] = [
    ("info", 6),
    ("debug", 7),
    ("warn", 4),
    ("error", 3),
    ("trace", 7),
    ("information", 6),
    ("notice", 5),
    ("warning", 4),
    ("err", 3),
    ("eror", 3),
    ("crit", 2),
    ("critical", 2),
    ("fatal", 2),
    ("alert", 1),
    ("emerg", 0),
    ("emergency", 0),
    ("panic", 0),
    ("dbug", 7),
    ("verbose", 7),
];

/// The severity that a level's name or number means.
pub(crate) fn severity_of(text: &[u8]) -> Option<i32> {
    if let [digit @ b'0'..=b'7'] = text {
        return Some(i32::from(digit - b'0'));
    }
    let same = |name: &str| text.eq_ignore_ascii_case(name.as_bytes());
    LEVELS.iter().find(|(name, _)| same(name)).map(|&(_, severity)| severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_known_by_name_and_by_number() {
        for (text, severity) in [
            ("error", Some(3)),
            ("WARN", Some(4)),
            ("Panic", Some(0)),
            ("0", Some(0)),
            ("7", Some(7)),
            ("8", None),
            ("", None),
            ("loud", None),
        ] {
            assert_eq!(severity_of(text.as_bytes()), severity, "{text}");
        }
    }
}
