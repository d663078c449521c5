//! Every row of the dialect, the TOML 1.0 forms beyond it, recovery, and hostile input.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn show(value: &Value) -> String {
    match &value.data {
        Data::String(text) => format!("{text:?}"),
        Data::Integer(number) => number.to_string(),
        Data::Float(number) => format!("{number:?}"),
        Data::Boolean(value) => value.to_string(),
        Data::Datetime(text) => format!("@{text}"),
        Data::Array(values) => {
            format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(","))
        }
        Data::Table(table) => show_table(table),
    }
}

fn show_table(table: &Table) -> String {
    let entries = table.iter().map(|entry| format!("{}={}", entry.key, show(&entry.value)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(";"))
}

/// The tree of a text without problems.
fn tree(text: &str) -> String {
    let (table, problems) = parse(text);
    assert!(problems.is_empty(), "{text:?}: {problems}");
    show_table(&table)
}

/// The value of `v = ...` without problems.
fn value(text: &str) -> String {
    let tree = tree(&format!("v = {text}\n"));
    tree.strip_prefix("{v=").and_then(|tree| tree.strip_suffix('}')).unwrap().to_owned()
}

/// All problems of a text, `line:column message`.
fn problems(text: &str) -> Vec<String> {
    let (_, problems) = parse(text);
    let shown = problems.iter();
    shown
        .map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.message))
        .collect()
}

/// The one error of a text.
fn error(text: &str) -> String {
    let found = problems(text);
    assert_eq!(found.len(), 1, "{text:?}: {found:?}");
    assert!(parse(text).1.has_errors(), "{text:?}");
    found[0].clone()
}

#[test]
fn section_names_are_raw_text() {
    for name in ["tcp:5565", "a b", "a/b-c_d$%", "a#b", "é", " a ", "a\nb\"c"] {
        let (table, _) = parse(&format!("[{name}]\nx = 1"));
        assert_eq!(show_table(&table), format!("{{{name}={{x=1}}}}"));
    }
}

#[test]
fn a_dot_in_a_section_name_always_nests() {
    assert_eq!(tree("[a.b]\nx = 1"), "{a={b={x=1}}}");
    assert_eq!(tree("[\"a.b\"]"), "{\"a={b\"={}}}");
}

#[test]
fn a_line_break_in_a_section_name_is_legal_but_warned_about() {
    let (table, problems) = parse("[a\nb]\nx = 1");
    assert_eq!(show_table(&table), "{a\nb={x=1}}");
    assert!(!problems.has_errors() && problems.len() == 1);
}

#[test]
fn empty_section_names_are_errors() {
    assert_eq!(error("[]"), "1:2 empty name in a section header");
    assert_eq!(error("[a.]"), "1:4 empty name in a section header");
    assert_eq!(error("[.a]"), "1:2 empty name in a section header");
    assert_eq!(error("[a..b]"), "1:4 empty name in a section header");
    assert!(error("[a").contains("']' is missing"));
}

#[test]
fn nothing_is_defined_twice() {
    assert_eq!(error("[a]\n[a]"), "2:1 section 'a' has already been defined");
    assert_eq!(error("x = 1\nx = 2"), "2:1 key 'x' has already been defined");
    assert_eq!(error("[a]\nb = 1\n[a.b]\nx = 1"), "3:1 section 'a.b' has already been defined");
    assert_eq!(error("[a.b]\n[a.b]"), "2:1 section 'a.b' has already been defined");
    assert_eq!(error("[a]\nb = {c = 1}\n[a.b.d]"), "3:1 section 'b' has already been defined");
    assert_eq!(error("[[a]]\n[a]"), "2:1 section 'a' has already been defined");
    assert_eq!(error("a = [1]\n[[a]]"), "2:1 section 'a' has already been defined");
}

#[test]
fn a_section_may_follow_its_own_part() {
    assert_eq!(tree("[a.b]\nx = 1\n[a]\ny = 2"), "{a={b={x=1};y=2}}");
}

#[test]
fn indentation_comments_and_line_ends_do_not_matter() {
    assert_eq!(tree("  [a] # c\r\n\t x = 1 # c\r\n\r\n# [b]\r\n"), "{a={x=1}}");
    assert_eq!(tree("\u{feff}x = 1"), "{x=1}");
    assert_eq!(tree(""), "{}");
    assert_eq!(tree("# only"), "{}");
}

#[test]
fn a_bare_key_is_all_up_to_a_blank_or_equals_sign() {
    for key in ["RemoteIP|ipv4", "a.b", "a#b", "\"a\"", "é", "'a'", "a,b]", "1"] {
        assert_eq!(tree(&format!("{key}=1")), format!("{{{key}=1}}"));
    }
    assert_eq!(tree("a\n = 1"), "{a=1}");
}

#[test]
fn other_keys_are_errors() {
    assert_eq!(error("a b = 1"), "1:1 expected '=' after the key 'a'");
    assert_eq!(error("\"a b\" = 1"), "1:1 expected '=' after the key '\"a'");
    assert_eq!(error("= 1"), "1:1 missing key before '='");
    assert_eq!(error("a"), "1:1 expected '=' after the key 'a'");
}

#[test]
fn a_value_stands_on_the_line_of_its_key() {
    let expected = "1:1 missing value for 'a', it must stand on this line";
    assert_eq!(problems("a =\n1")[0], expected);
    assert_eq!(error("a ="), expected);
    assert_eq!(error("a = # 1"), expected);
}

#[test]
fn double_quoted_strings_know_their_escapes_only() {
    assert_eq!(value(r#""\b\t\n\f\r\"\/\\\u00e9""#), r#""\u{8}\t\n\u{c}\r\"/\\é""#);
    assert_eq!(value("\"a\tb'#\""), "\"a\\tb'#\"");
    assert_eq!(value(r#""\ud800""#), "\"\u{fffd}\"");
    for escape in [r"\.", r"\'", r"\x41", r"\u12", r"\u12g4", r"\U12", r"\d"] {
        assert!(error(&format!("v = \"{escape}\"")).starts_with("1:6 "), "{escape}");
    }
    assert_eq!(error("v = \"a\nw = 1"), "1:5 the string is not closed, '\"' is missing");
    assert_eq!(error("v = \"a"), "1:5 the string is not closed, '\"' is missing");
    assert!(error("v = \"a\\\n").contains("a backslash at the end of the line"));
}

#[test]
fn single_quoted_strings_apply_escapes_and_keep_other_backslashes() {
    let rows = [
        (r"'\n'", "\n"),
        (r"'\t'", "\t"),
        (r"'\b'", "\u{8}"),
        (r"'\f\r'", "\u{c}\r"),
        (r"'\\'", "\\"),
        (r#"'\"'"#, "\""),
        (r"'\/'", "/"),
        (r"'\u0041'", "A"),
        (r"'\.\d\s\['", r"\.\d\s\["),
        (r"'\''", r"\'"),
        (r"'\\d'", r"\d"),
        (r"'\é'", r"\é"),
        ("'a\nb'", "a\nb"),
        ("'a\"#b'", "a\"#b"),
        ("''", ""),
    ];
    for (text, expected) in rows {
        assert_eq!(value(text), format!("{expected:?}"), "{text}");
    }
}

#[test]
fn a_faulty_unicode_escape_in_single_quotes_stays_as_it_is() {
    assert_eq!(value(r"'\u12'"), format!("{:?}", r"\u12"));
    assert_eq!(value(r"'\uxyzw'"), format!("{:?}", r"\uxyzw"));
    assert_eq!(value(r"'\u'"), format!("{:?}", r"\u"));
}

#[test]
fn an_unterminated_string_is_an_error() {
    assert_eq!(problems("v = 'a\nb")[0], "1:5 the string is not closed, \"'\" is missing");
    assert!(error("v = 'a\\'").contains("not closed"));
    assert!(error("v = '''a\n''").contains("not closed"));
    assert!(error("v = \"\"\"a\n\"\"").contains("not closed"));
}

#[test]
fn a_forgotten_quote_is_explained_where_the_next_one_ends_the_string() {
    let found = problems("a = 'x\nb = 'y'\nc = 1");
    let expected = "2:6 unexpected 'y'' after the value (a string that began in line 1 ends here)";
    assert_eq!(found, [expected]);
}

#[test]
fn numbers_booleans_and_dates_of_the_dialect_are_read() {
    assert_eq!(value("-5"), "-5");
    assert_eq!(value("010"), "10");
    assert_eq!(value("9223372036854775807"), "9223372036854775807");
    assert_eq!(value("-1.50"), "-1.5");
    assert_eq!((value("true"), value("false")), ("true".into(), "false".into()));
    assert_eq!(value("2013-05-27T07:32:00Z"), "@2013-05-27T07:32:00Z");
}

#[test]
fn numbers_booleans_and_dates_of_toml_are_read_too() {
    assert_eq!(value("+5"), "5");
    assert_eq!(value("1_000"), "1000");
    assert_eq!(
        (value("0xff"), value("0o17"), value("0b101")),
        ("255".into(), "15".into(), "5".into())
    );
    assert_eq!(
        (value("1e3"), value("1.5E-1"), value("+0.5")),
        ("1000.0".into(), "0.15".into(), "0.5".into())
    );
    assert_eq!(
        (value("inf"), value("-inf"), value("nan")),
        ("inf".into(), "-inf".into(), "NaN".into())
    );
    for date in [
        "1979-05-27T00:32:00-07:00",
        "1979-05-27 07:32:00.999Z",
        "1979-05-27T07:32:00",
        "1979-05-27",
        "07:32:00.5",
    ] {
        assert_eq!(value(date), format!("@{date}"));
    }
}

#[test]
fn other_words_are_no_values() {
    for word in
        ["abc", "True", "yes", "0xg", "1.", ".5", "1__0", "_1", "1_", "--1", "1e", "0x", "-"]
    {
        assert!(error(&format!("v = {word}")).starts_with("1:5 "), "{word}");
    }
    for date in [
        "1979-13-01",
        "1979-00-01",
        "1979-05-32",
        "24:00:00",
        "1979-05-27T",
        "1979-05-27T07:32:00+2:00",
    ] {
        assert!(error(&format!("v = {date}")).starts_with("1:5 "), "{date}");
    }
    assert_eq!(error("v = 9223372036854775808"), "1:5 '9223372036854775808' is too large");
    assert_eq!(error("v = abc"), "1:5 'abc' is no value, a text needs quotes");
}

#[test]
fn arrays_may_span_lines_and_hold_comments() {
    assert_eq!(value("[1,2]"), "[1,2]");
    assert_eq!(value("['a','b',]"), "[\"a\",\"b\"]");
    assert_eq!(value("[ # c\n 1, # d\n\n 2 # e\n]"), "[1,2]");
    assert_eq!(value("[]"), "[]");
    assert_eq!(value("[[1], ['a']]"), "[[1],[\"a\"]]");
    assert!(error("v = [1").contains("']' is missing"));
    assert!(error("v = [1 2]").contains("expected ',' or ']'"));
    assert!(error("v = [,]").contains("missing value"));
}

#[test]
fn junk_after_a_value_or_header_is_an_error() {
    assert_eq!(error("a = 1 2"), "1:7 unexpected '2' after the value");
    assert_eq!(error("a = \"x\" y # c"), "1:9 unexpected 'y # c' after the value");
    assert_eq!(error("[a] b\nx = 1"), "1:5 unexpected 'b' after the section name");
}

#[test]
fn long_strings_of_toml_are_read() {
    assert_eq!(value("'''\na\\n'b''c\n'''"), format!("{:?}", "a\\n'b''c\n"));
    assert_eq!(value("\"\"\"\r\na\\tb \\\n   c \"\" d\"\"\""), format!("{:?}", "a\tb c \"\" d"));
    assert_eq!(value("''''a'''''"), format!("{:?}", "'a''"));
    assert_eq!(value("''''''"), "\"\"");
    assert_eq!(value(r#""\U0001F600""#), "\"😀\"");
}

#[test]
fn tables_of_toml_are_read() {
    assert_eq!(tree("[[a]]\nx = 1\n[[a]]\nx = 2\n[a.b]\ny = 3"), "{a=[{x=1},{x=2;b={y=3}}]}");
    assert_eq!(value("{a = 1, \"b c\" = [2], 'd'={}}"), "{a=1;b c=[2];d={}}");
    assert_eq!(value("{ a = 1, # c\n  b = 2,\n}"), "{a=1;b=2}");
    assert!(error("v = {a = 1, a = 2}").contains("already been defined"));
    assert!(error("v = {a}").contains("expected 'key = value'"));
    assert!(error("v = {a = 1").contains("'}' is missing"));
    assert!(error("[[a]").contains("expected ']]'"));
}

#[test]
fn reading_goes_on_after_an_error() {
    let text = "[a]\nx = \"\\q\"\ny = 1\n[b.]\nx = 1\nx = 2\n[c]\nz = [1,\n  foo,\n  3]\n  w = 2\n";
    let (table, _) = parse(text);
    assert_eq!(show_table(&table), "{a={y=1};c={w=2}}");
    assert_eq!(
        problems(text),
        [
            "2:6 unknown escape '\\q'; write '\\\\' for a backslash, or use single quotes",
            "4:4 empty name in a section header",
            "6:1 key 'x' has already been defined",
            "9:3 'foo' is no value, a text needs quotes",
        ]
    );
}

#[test]
fn places_count_characters() {
    let (table, _) = parse("[s]\n  é = 'é'\n");
    let entry = table.get("s").unwrap().value.as_table().unwrap().get("é").unwrap();
    assert_eq!((entry.key_span.line, entry.key_span.column), (2, 3));
    assert_eq!((entry.value.span.line, entry.value.span.column), (2, 7));
}

#[test]
fn depth_is_limited() {
    let arrays = |depth: usize| format!("v = {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&arrays(MAX_DEPTH)).1.is_empty());
    assert!(error(&arrays(MAX_DEPTH + 1)).contains("nested deeper than 64"));
    assert!(problems(&arrays(100_000))[0].contains("nested deeper"));
    assert!(problems(&format!("v = {}", "{a=".repeat(100_000)))[0].contains("nested deeper"));
    let header = |depth: usize| format!("[{}a]", "a.".repeat(depth - 1));
    assert!(parse(&header(MAX_DEPTH)).1.is_empty());
    assert!(error(&header(MAX_DEPTH + 1)).contains("nested deeper than 64"));
}

#[test]
fn the_number_of_problems_is_limited() {
    let found = problems(&"=\n".repeat(10_000));
    assert_eq!(found.len(), MAX_FILE_PROBLEMS + 1);
    assert!(found[MAX_FILE_PROBLEMS].contains("too many problems"));
    let twice = format!("v = {{{}}}", "a = 1,".repeat(10_000));
    assert_eq!(problems(&twice).len(), MAX_FILE_PROBLEMS);
}

#[test]
fn bytes_that_are_no_text_are_errors() {
    let (table, problems) = parse_bytes(b"a = 1\nb = \"\xff\"");
    assert!(table.is_empty());
    assert_eq!(
        (problems.iter().next().unwrap().line, problems.iter().next().unwrap().column),
        (2, 6)
    );
    assert!(error("a = 1\n\0").starts_with("2:1 the file holds a NUL"));
}

/// Far below this if the time grows with the length; minutes if it grows with its square.
const PATIENCE_SECS: u64 = 20;

#[test]
fn long_input_is_read_in_time_that_grows_with_its_length() {
    let start = Instant::now();
    let one_line = format!("v = [{}]", "1,".repeat(500_000));
    assert!(parse(&one_line).1.is_empty());
    let keys: String = (0..50_000).map(|index| format!("k{index} = {index}\n")).collect();
    assert_eq!(parse(&keys).0.len(), 50_000);
    assert_eq!(problems(&"v = 'a\n".repeat(50_001)).len(), MAX_FILE_PROBLEMS + 1);
    let sections: String = (0..50_000).map(|index| format!("[a.b{index}]\n")).collect();
    assert!(parse(&sections).1.is_empty());
    assert!(start.elapsed().as_secs() < PATIENCE_SECS);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (table, problems) = parse_bytes(&bytes);
        prop_assert!(table.len() <= bytes.len());
        prop_assert!(problems.len() <= MAX_FILE_PROBLEMS + 1);
    }

    #[test]
    fn no_text_made_of_tokens_panics(
        tokens in proptest::collection::vec(
            prop_oneof![
                Just("["), Just("]"), Just("[["), Just("{"), Just("}"), Just("="), Just("\n"),
                Just("'"), Just("\""), Just("'''"), Just("\"\"\""), Just("\\"), Just("\\u"),
                Just(","), Just("."), Just("#"), Just(" "), Just("a"), Just("é"), Just("1"),
                Just("-"), Just("_"), Just("1979-05-27"), Just(":"), Just("\r"), Just("\u{feff}"),
                Just("%ENV["), Just("x = 1\n"), Just("[a]\n"),
            ],
            0..60,
        )
    ) {
        let text: String = tokens.concat();
        let lines = u32::try_from(text.lines().count()).unwrap() + 1;
        for problem in parse(&text).1.iter() {
            prop_assert!(problem.line >= 1 && problem.line <= lines && problem.column >= 1);
        }
    }

    #[test]
    fn written_strings_read_back(text in "[^\0]{0,40}") {
        let quoted: String = text.chars().map(|c| match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            c => c.to_string(),
        }).collect();
        let (table, problems) = parse(&format!("v = \"{quoted}\""));
        prop_assert!(problems.is_empty());
        prop_assert_eq!(table.get("v").unwrap().value.as_str(), Some(text.as_str()));
    }
}
