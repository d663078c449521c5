//! Compiled patterns. The limits stand here; how a search runs is the engine's business.

use regex_automata::MatchKind;
use regex_automata::meta::{BuildError, Builder, Regex};
use regex_automata::util::syntax;

use crate::ast::Ast;
use crate::emit::{Emitted, emit};
use crate::error::Error;
use crate::literal::{self, LiteralForm};
use crate::parse::{DEPTH_MAX, parse};

/// Largest automaton of one pattern, in bytes.
const NFA_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Memory for the states that a search makes on the way, in bytes, for each pattern and searching thread.
const HYBRID_CACHE_BYTES: usize = 1024 * 1024;
/// Largest one-pass automaton (fast capture groups), in bytes.
const ONEPASS_BYTES_MAX: usize = 1024 * 1024;
/// Nesting that the engine's reader accepts: what `DEPTH_MAX` groups can become in its syntax.
const ENGINE_DEPTH_MAX: u32 = 8 * DEPTH_MAX as u32;
/// What stands for an invalid byte.
const UTF8_REPLACEMENT: &str = "\u{FFFD}";

/// Writes a Go pattern in the syntax of the Rust regex crates (bytes, Unicode on, `utf8(false)`).
///
/// Names of groups are kept where they are unique and start with a letter; of groups with one name the last keeps it.
pub fn translate(pattern: &str) -> Result<String, Error> {
    Ok(emit(&parse(pattern)?).text)
}

/// Compiles a Go pattern for searches in bytes.
///
/// Unlike in Go an empty match may lie inside a character. Outside of loops `.` takes only some invalid bytes here
/// (0xC0 to 0xFF); [`Pattern::is_match`] takes all.
pub fn compile(pattern: &str) -> Result<Regex, Error> {
    build(&translate(pattern)?)
}

/// Compiles Go patterns together, for searches that tell which of them match (`which_overlapping_matches`).
///
/// The same limit on the automaton holds for all of them together as for one alone.
pub fn compile_set<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Regex, Error> {
    let translated = patterns.into_iter().map(translate).collect::<Result<Vec<_>, _>>()?;
    builder()
        .configure(Regex::config().match_kind(MatchKind::All))
        .build_many(&translated)
        .map_err(build_error)
}

/// A compiled Go pattern with the names of its groups.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
    group_names: Vec<Option<String>>,
    form: Option<LiteralForm>,
    anchored_prefix: Option<String>,
    required: Vec<String>,
    approximates_invalid: bool,
}

impl Pattern {
    /// Reads and compiles a pattern.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let ast = parse(pattern)?;
        let Emitted { text, approximates_invalid } = emit(&ast);
        let regex = build(&text)?;
        let Ast { root, group_names } = ast;
        Ok(Self {
            source: pattern.to_owned(),
            regex,
            group_names,
            form: literal::form(&root),
            anchored_prefix: literal::anchored_prefix(&root),
            required: literal::required(&root),
            approximates_invalid,
        })
    }

    /// The pattern as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The engine, for searches with groups and positions.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// The names of all groups, in order; entry 0 stands for the whole match and has none.
    pub fn group_names(&self) -> &[Option<String>] {
        &self.group_names
    }

    /// The number of groups, the whole match not counted.
    pub fn group_count(&self) -> usize {
        self.group_names.len().saturating_sub(1)
    }

    /// The index of the group with this name; of several the last.
    pub fn group_index(&self, name: &str) -> Option<usize> {
        self.group_names.iter().rposition(|known| known.as_deref() == Some(name))
    }

    /// True if the pattern matches anywhere in the text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        if self.regex.is_match(text) {
            return true;
        }
        self.approximates_invalid
            && std::str::from_utf8(text).is_err()
            && self.regex.is_match(&replace_invalid(text))
    }

    /// The plain text that the pattern amounts to, if it is nothing else.
    pub fn literal_form(&self) -> Option<&LiteralForm> {
        self.form.as_ref()
    }

    /// The plain text with which every text that matches starts; `None` if a match may start elsewhere.
    pub fn anchored_prefix(&self) -> Option<&str> {
        self.anchored_prefix.as_deref()
    }

    /// Texts of which at least one occurs in every text that matches; empty if nothing is known.
    pub fn required_literals(&self) -> &[String] {
        &self.required
    }
}

/// Replaces each invalid byte by U+FFFD, as Go decodes it (the standard library replaces whole sequences).
fn replace_invalid(text: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len() * 2);
    for chunk in text.utf8_chunks() {
        replaced.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            replaced.extend_from_slice(UTF8_REPLACEMENT.as_bytes());
        }
    }
    replaced
}

fn builder() -> Builder {
    let mut builder = Regex::builder();
    builder
        .syntax(syntax::Config::new().utf8(false).unicode(true).nest_limit(ENGINE_DEPTH_MAX))
        .configure(
            Regex::config()
                // With it the engine panics on some patterns over invalid UTF-8.
                .utf8_empty(false)
                .nfa_size_limit(Some(NFA_BYTES_MAX))
                .hybrid_cache_capacity(HYBRID_CACHE_BYTES)
                .onepass_size_limit(Some(ONEPASS_BYTES_MAX)),
        );
    builder
}

fn build(translated: &str) -> Result<Regex, Error> {
    builder().build(translated).map_err(build_error)
}

fn build_error(source: BuildError) -> Error {
    Error::Build { bytes_max: NFA_BYTES_MAX, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_automata::{Input, PatternSet};

    fn matches(pattern: &str, text: impl AsRef<[u8]>) -> bool {
        let compiled = match Pattern::new(pattern) {
            Ok(compiled) => compiled,
            Err(error) => panic!("{pattern}: {error}"),
        };
        compiled.is_match(text.as_ref())
    }

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(matches(pattern, text), "{pattern} must match {text:?}");
        }
        for text in no {
            assert!(!matches(pattern, text), "{pattern} must not match {text:?}");
        }
    }

    fn error(pattern: &str) -> String {
        Pattern::new(pattern)
            .map_or_else(|error| error.to_string(), |_| format!("{pattern}: no error"))
    }

    fn groups(pattern: &str, text: impl AsRef<[u8]>) -> Vec<Option<(usize, usize)>> {
        let pattern = Pattern::new(pattern).unwrap();
        let mut captures = pattern.regex().create_captures();
        pattern.regex().captures(text.as_ref(), &mut captures);
        captures.iter().map(|span| span.map(|span| (span.start, span.end))).collect()
    }

    #[test]
    fn a_bare_bracket_in_a_class_is_a_literal() {
        check("^[^[]$", &["a", "]"], &["["]);
        check("^[[]$", &["["], &["a"]);
        check("^[]a]$", &["]", "a"], &["b"]);
        check("^[^]a]$", &["b"], &["]", "a"]);
        check("^[[:]$", &["[", ":"], &["a"]);
        check("^[[:foo]$", &["[", ":", "f", "o"], &["a"]);
    }

    #[test]
    fn set_operators_in_a_class_are_literals() {
        check("^[a&&b]$", &["a", "&", "b"], &["c"]);
        check("^[~~a]$", &["~", "a"], &["b"]);
        check("^[+--]$", &["+", ",", "-"], &["."]);
        check("^[a-]$", &["a", "-"], &["b"]);
        check("^[-a]$", &["a", "-"], &["b"]);
        assert!(error("[z--a]").contains("\"z--\" at byte 1"), "{}", error("[z--a]"));
    }

    #[test]
    fn braces_that_form_no_repetition_are_literals() {
        check("^{$", &["{"], &[""]);
        check("^a{$", &["a{"], &["a"]);
        check("^a{,3}$", &["a{,3}"], &["a", "aaa"]);
        check("^a{x}$", &["a{x}"], &["a"]);
        check("^a{01}$", &["a{01}"], &["a"]);
        check("^a{2,3}$", &["aa", "aaa"], &["a", "aaaa"]);
        check("^a{2}$", &["aa"], &["a", "aaa"]);
        check("^a{2,}$", &["aa", "aaaa"], &["a"]);
        check("^}$", &["}"], &[""]);
    }

    #[test]
    fn quotes_and_octal_codes_are_translated() {
        check(r"^\Qa.b*\E+$", &["a.b*", "a.b**"], &["axb*", "a.b"]);
        check(r"^\Q(\Ex\Q)", &["(x)"], &["(x"]);
        check(r"^\101\60$", &["A0"], &["101"]);
        check(r"^\x41\x{1F600}$", &["A\u{1F600}"], &["A"]);
        check(r"^[\101-\103\]\n]+$", &["ABC]\n"], &["D"]);
        check(r"^\0$", &["\0"], &["0"]);
    }

    #[test]
    fn perl_classes_and_word_boundaries_are_ascii() {
        check(r"^\d$", &["7"], &["٣", "a"]);
        check(r"^[\d]$", &["7"], &["٣"]);
        check(r"^\w$", &["a", "_"], &["é"]);
        check(r"^\W$", &["é", "-"], &["a"]);
        check(r"^\s$", &[" ", "\t", "\n", "\x0C", "\r"], &["\x0B", "\u{A0}"]);
        check(r"^[[:space:]]$", &["\x0B"], &["\u{A0}"]);
        check(r"\bb", &["éb", "b"], &["ab"]);
        check(r"^[^\S]$", &[" "], &["a", "é"]);
    }

    #[test]
    fn any_ascii_punctuation_may_be_escaped() {
        check(r"^\<\>$", &["<>"], &["", "a"]);
        for code in 0_u8..128 {
            let character = char::from(code);
            if !character.is_ascii_alphanumeric() {
                check(&format!("^\\{character}$"), &[&character.to_string()], &["", "a"]);
                check(&format!("^[\\{character}]$"), &[&character.to_string()], &["", "a"]);
            }
        }
    }

    #[test]
    fn what_is_the_same_in_both_stays() {
        check("^[[:alpha:]]+$", &["aZ"], &["a1", "é"]);
        check("^[[:^alpha:]]+$", &["1é"], &["a"]);
        check(r"^\pL+$", &["aé"], &["1"]);
        check(r"^\p{Greek}\P{Greek}\p{^Greek}$", &["αab"], &["aab"]);
        check("(?i)^Straſse$", &["STRASSE", "strasse"], &["strase"]);
        check("(?i)^k$", &["K", "\u{212A}"], &["x"]);
        check("^a.b$", &["axb", "aéb"], &["a\nb"]);
        check("(?s)^a.b$", &["a\nb"], &["ab"]);
        check("(?m)^b$", &["a\nb\nc"], &["abc"]);
        check("b$", &["ab"], &["b\n"]);
        check(r"\Ab\z", &["b"], &["ab", "b\n"]);
        check("^(?i:a)b$", &["Ab"], &["AB"]);
        check("^a(?i)b|c$", &["aB", "C"], &["AB"]);
        check("^(?i)(?-i:a)b$", &["aB"], &["AB"]);
        check("^(?)a$", &["a"], &["b"]);
        assert_eq!(groups("(?U)(a+)(a+?)", "aaa"), [Some((0, 3)), Some((0, 1)), Some((1, 3))]);
    }

    #[test]
    fn what_go_refuses_is_refused_with_its_position() {
        assert!(error("ab(?=c)").contains("\"(?=\" at byte 2"), "{}", error("ab(?=c)"));
        for (pattern, text) in [
            (r"ab\ytest", r#"invalid escape "\\y" at byte 2"#),
            (r"a\8", r#"invalid escape "\\8" at byte 1"#),
            (r"(a)\1", r#"back-reference "\\1" at byte 3"#),
            (r"a\E", "invalid escape"),
            (r"a\Z", "invalid escape"),
            (r"[\b]", "invalid escape"),
            (r"[a-\d]", "invalid escape"),
            (r"a\", "trailing backslash at byte 1"),
            (r"\x{110000}", "invalid escape"),
            ("a[b", "opens at byte 1"),
            ("[]", "opens at byte 0"),
            ("a[z-b]", "\"z-b\" at byte 2"),
            ("[[:foo:]]", "\"[:foo:]\" at byte 1"),
            (r"a\p{Nope}", r#"Unicode class "\\p{Nope}" at byte 1"#),
            (r"\p{", "Unicode class"),
            ("a(b", "opens at byte 1"),
            ("ab)", "`)` at byte 2"),
            ("(?P<a-b>x)", "group name \"a-b\" at byte 0"),
            ("(?P<ab", "group name"),
            ("(?P=n)", "group syntax"),
            ("(?<!a)", "group syntax"),
            ("(?i", "group syntax"),
            ("(?x)a", "group syntax"),
            ("(?i-)a", "group syntax"),
            ("a|*", "nothing to repeat before \"*\" at byte 2"),
            ("(+)", "nothing to repeat"),
            ("{2}", "nothing to repeat"),
            ("a**", "repetition \"*\" at byte 2"),
            ("a+*", "follows another"),
            ("a++", "follows another"),
            ("a{2}{3}", "follows another"),
            ("a{1001}", "repetition \"{1001}\" at byte 1"),
            ("a{2,1}", "counts must rise"),
            ("a{99999999999}", "must not exceed 1000"),
            ("(a{500}){3}", "nested ones"),
        ] {
            let found = error(pattern);
            assert!(found.contains(text), "{pattern}: {found}");
        }
    }

    #[test]
    fn repetition_limits_hold_at_their_edges() {
        check("^a{1000}$", &[&"a".repeat(1000)], &[&"a".repeat(999)]);
        check("^(?:a{500}){2}$", &[&"a".repeat(1000)], &["a"]);
        check("^(?:a{0}){1000}$", &[""], &["a"]);
    }

    #[test]
    fn depth_and_length_limits_hold_at_their_edges() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(matches(&nested(DEPTH_MAX), "a"));
        assert!(error(&nested(DEPTH_MAX + 1)).contains("deeper than 100 at byte 100"));
        let starred = format!("{}a{}", "(?:".repeat(DEPTH_MAX), "|b)*".repeat(DEPTH_MAX));
        assert!(matches(&starred, "a"));
        assert!(error(&"a".repeat(crate::parse::PATTERN_BYTES_MAX + 1)).contains("at most 262144"));
    }

    #[test]
    fn a_pattern_that_is_too_large_is_an_error() {
        let found = error(r"(?:\pL{100}){10}");
        assert!(found.contains("cannot be compiled within 8388608 bytes"), "{found}");
    }

    #[test]
    fn an_invalid_byte_acts_as_the_replacement_character() {
        assert!(matches("^a.b$", b"a\xFFb"));
        assert!(matches("^a.b$", b"a\x80b"));
        assert!(matches("^a[^x]b$", b"a\xE9b"));
        assert!(matches(r"^a\x{FFFD}b$", b"a\xE9b"));
        assert!(matches(r"^a\Wb$", b"a\xE9b"));
        assert!(matches("^a.*b$", b"a\xE2\x82b"));
        assert!(matches("^a..b$", b"a\xE2\x82b"));
        assert!(!matches("^a.b$", b"a\xE2\x82b"));
        assert!(!matches("^a[b-y]b$", b"a\xE9b"));
        assert!(!matches("^aéb$", b"a\xE9b"));
        assert_eq!(
            groups(r#""((?:[^"\\]|\\.)*)""#, b"\"a\x80\\\"\""),
            [Some((0, 6)), Some((1, 5))]
        );
    }

    #[test]
    fn a_valid_character_is_never_counted_twice() {
        check("^.$", &["é", "世"], &["éé"]);
        check("^..$", &["éé"], &["é", "世"]);
        check("^...$", &[], &["世", "éé"]);
        check("[^é]x", &["ax"], &["éx"]);
        check(r"(?i)\W", &["é"], &["ſ", "\u{212A}"]);
        check(r"\PL", &["1"], &["é", "αβ"]);
        check("(?i)[^k]x", &["éx"], &["\u{212A}x"]);
        check("\u{FFFD}", &["\u{FFFD}"], &["é"]);
        check("^.{2,3}$", &["世界"], &["世"]);
        assert_eq!(groups("^(.+?)", "é"), [Some((0, 2)), Some((0, 2))]);
        assert_eq!(groups("^(.*?)(.)$", "aé"), [Some((0, 3)), Some((0, 1)), Some((1, 3))]);
    }

    #[test]
    fn the_last_of_equal_group_names_wins() {
        let pattern = Pattern::new("(?P<a>x)(?P<b>y)(?P<a>z)(w)(?P<1>v)(?<c>u)").unwrap();
        assert_eq!(pattern.group_index("a"), Some(3));
        assert_eq!(pattern.group_index("b"), Some(2));
        assert_eq!(pattern.group_index("1"), Some(5));
        assert_eq!(pattern.group_index("c"), Some(6));
        assert_eq!(pattern.group_index("d"), None);
        assert_eq!(pattern.group_count(), 6);
        let name = |text: &str| Some(text.to_owned());
        let names = [None, name("a"), name("b"), name("a"), None, name("1"), name("c")];
        assert_eq!(pattern.group_names(), names);
        assert!(pattern.is_match(b"xyzwvu"));
    }

    #[test]
    fn groups_are_leftmost_first() {
        assert_eq!(groups("(a|ab)(c|bcd)?", "abcd"), [Some((0, 4)), Some((0, 1)), Some((1, 4))]);
        assert_eq!(groups("(a)|(b)", "b"), [Some((0, 1)), None, Some((0, 1))]);
    }

    #[test]
    fn empty_matches_are_found_at_every_byte() {
        let regex = compile("x*").unwrap();
        let found: Vec<_> = regex.find_iter("é").map(|found| found.range()).collect();
        assert_eq!(found, [0..0, 1..1, 2..2]);
        assert!(matches("^", b"\x80"));
    }

    #[test]
    fn a_set_tells_which_patterns_match() {
        let set = compile_set(["a", "^ab$", r"\d", "[^a]b"]).unwrap();
        let mut found = PatternSet::new(set.pattern_len());
        set.which_overlapping_matches(&Input::new("ab"), &mut found);
        assert_eq!(found.iter().map(|id| id.as_usize()).collect::<Vec<_>>(), [0, 1]);
        assert!(matches!(compile_set(["a", "("]), Err(Error::UnclosedGroup { position: 0 })));
    }

    #[test]
    fn plain_patterns_are_known_as_such() {
        let form = |pattern: &str| Pattern::new(pattern).unwrap().literal_form().cloned();
        assert_eq!(form(r"^\/a\.b$"), Some(LiteralForm::Exact("/a.b".into())));
        assert_eq!(form("^(?:a(b))"), Some(LiteralForm::Prefix("ab".into())));
        assert_eq!(form("ab$"), Some(LiteralForm::Suffix("ab".into())));
        assert_eq!(form("ab"), Some(LiteralForm::Contains("ab".into())));
        assert_eq!(form(""), Some(LiteralForm::Contains(String::new())));
        assert_eq!(form("^"), Some(LiteralForm::Prefix(String::new())));
        assert_eq!(form("(?i)12"), Some(LiteralForm::Contains("12".into())));
        for pattern in
            ["^ES|ES", "ES|ES$", "a$b", "(?m)^a", "(?i)ab", "a.", "a+", r"a\b", "a\u{FFFD}"]
        {
            assert_eq!(form(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn the_plain_start_of_an_anchored_pattern_is_known() {
        let prefix =
            |pattern: &str| Pattern::new(pattern).unwrap().anchored_prefix().map(str::to_owned);
        assert_eq!(prefix(r"^\/api\/v17\/\d+").as_deref(), Some("/api/v17/"));
        assert_eq!(prefix("^ab*").as_deref(), Some("a"));
        assert_eq!(prefix("^(?i)ab").as_deref(), Some(""));
        for pattern in ["ab", "^a|b", "(?m)^ab", "(^a)?b"] {
            assert_eq!(prefix(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn required_texts_are_in_every_match() {
        let required = |pattern: &str| Pattern::new(pattern).unwrap().required_literals().to_vec();
        assert_eq!(required(r"^\/api\/v17\/\d+"), ["/api/v17/"]);
        assert_eq!(required("a+(bcd|ef)g?"), ["bcd", "ef"]);
        assert_eq!(required("(?:abc)+x*"), ["abc"]);
        assert_eq!(required("abc|d*"), Vec::<String>::new());
        assert_eq!(required("(?i)abc"), Vec::<String>::new());
        assert_eq!(required("x?"), Vec::<String>::new());
    }

    #[test]
    fn translated_text_keeps_unique_names() {
        assert_eq!(translate(r"^(?P<n>\d+) .*$").unwrap(), r"\A(?P<n>[0-9]+) (?-u:[^\x{A}])*\z");
    }
}
