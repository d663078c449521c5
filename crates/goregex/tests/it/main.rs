//! Properties of the translation over generated patterns.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use heka_goregex::{Pattern, compile, translate};
use proptest::prelude::*;

/// Pieces that meet the corners of the syntax more often than random characters do.
const PIECES: &[&str] = &[
    "a",
    "k",
    "é",
    "\u{FFFD}",
    ".",
    "^",
    "$",
    "|",
    "(",
    ")",
    "(?:",
    "(?P<n>",
    "(?i)",
    "(?s-m:",
    "(?U",
    "[",
    "[^",
    "]",
    "[[:alpha:]]",
    "[:^digit:]",
    "-",
    "&&",
    "--",
    "\\",
    "\\d",
    "\\W",
    "\\pL",
    "\\P{Greek}",
    "\\Q",
    "\\E",
    "\\101",
    "\\x{41}",
    "\\b",
    "\\z",
    "*",
    "+",
    "?",
    "{",
    "}",
    "{2}",
    "{,3}",
    "{2,5}",
    "{0,}",
    "{1000}",
    ",",
    "1",
];

const BYTES: &[&[u8]] = &[
    b"a",
    b"k",
    b"\n",
    b" ",
    b"1",
    "é".as_bytes(),
    "\u{FFFD}".as_bytes(),
    b"\xFF",
    b"\xE9",
    b"\x80",
    b"\xE2\x82",
];

/// Bytes that are, and that are not, what patterns ask for.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(BYTES), 0..10).prop_map(|pieces| pieces.concat())
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(PIECES), 0..12)
            .prop_map(|pieces| pieces.concat()),
        ".{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pattern_panics_and_what_is_translated_compiles(pattern in pattern(), text in text()) {
        let translated = translate(&pattern);
        match Pattern::new(&pattern) {
            Ok(compiled) => {
                let found = compiled.is_match(&text);
                prop_assert!(!compiled.regex().is_match(&text) || found);
                let mut captures = compiled.regex().create_captures();
                compiled.regex().captures(&text[..], &mut captures);
                prop_assert_eq!(captures.is_match(), compiled.regex().is_match(&text));
                let again = compile(&pattern).unwrap();
                prop_assert_eq!(again.captures_len(), compiled.group_names().len());
            }
            Err(error) => {
                prop_assert!(
                    translated.is_err() || matches!(error, heka_goregex::Error::Build { .. }),
                    "{:?} became {:?}: {}", pattern, translated, error
                );
            }
        }
    }

    #[test]
    fn required_texts_occur_in_every_match(pattern in pattern(), text in "[a-cké1\n|.]{0,12}") {
        if let Ok(compiled) = Pattern::new(&pattern) {
            let required = compiled.required_literals();
            if !required.is_empty() && compiled.is_match(text.as_bytes()) {
                prop_assert!(required.iter().any(|needle| text.contains(needle.as_str())));
            }
        }
    }
}
