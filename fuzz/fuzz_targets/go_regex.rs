//! Go patterns: all text is compiled or refused, and what is known of a pattern holds where it is searched for.

#![no_main]

use heka_fuzz::text_and_rest;
use heka_goregex::{LiteralForm, Pattern, compile_set, translate};
use libfuzzer_sys::fuzz_target;

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fuzz_target!(|data: &[u8]| {
    let Some((source, text)) = text_and_rest(data) else { return };
    let pattern = match Pattern::new(source) {
        Ok(pattern) => pattern,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(translate(source).is_ok(), "compiled, but not translated");
    let matched = pattern.is_match(text);

    let mut captures = pattern.regex().create_captures();
    pattern.regex().captures(text, &mut captures);
    assert_eq!(pattern.group_names().len(), pattern.group_count() + 1);
    for name in pattern.group_names().iter().flatten() {
        let index = pattern.group_index(name).expect("the name is one of a group");
        assert_eq!(pattern.group_names()[index].as_ref(), Some(name));
    }
    if let Some(whole) = captures.get_match() {
        assert!(matched, "found, but no match");
        assert_eq!(captures.group_len(), pattern.group_count() + 1);
        for span in captures.iter().flatten() {
            assert!(span.start >= whole.start() && span.end <= whole.end(), "a group outside");
        }
    }
    if let Ok(set) = compile_set([source]) {
        assert_eq!(set.is_match(text), captures.is_match(), "as a set of one");
    }

    if let Some(form) = pattern.literal_form() {
        let expected = match form {
            LiteralForm::Exact(part) => text == part.as_bytes(),
            LiteralForm::Prefix(part) => text.starts_with(part.as_bytes()),
            LiteralForm::Suffix(part) => text.ends_with(part.as_bytes()),
            LiteralForm::Contains(part) => contains(text, part.as_bytes()),
        };
        assert_eq!(matched, expected, "{form:?}");
    }
    if matched {
        if let Some(prefix) = pattern.anchored_prefix() {
            assert!(text.starts_with(prefix.as_bytes()), "matches without {prefix:?} at the start");
        }
        let required = pattern.required_literals();
        assert!(
            required.is_empty() || required.iter().any(|part| contains(text, part.as_bytes())),
            "matches without one of {required:?}"
        );
    }
});
