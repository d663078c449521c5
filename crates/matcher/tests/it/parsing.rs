//! What an error and a warning say.

use heka_matcher::{Matcher, ParseError, WarningKind};

use crate::messages::matcher;

fn error(text: &str) -> String {
    match Matcher::parse(text) {
        Ok(_) => panic!("{text} is accepted"),
        Err(error) => error.to_string(),
    }
}

fn warnings(text: &str) -> Vec<(usize, String, WarningKind)> {
    let (_, warnings) = Matcher::parse(text).unwrap();
    warnings.into_iter().map(|warning| (warning.position, warning.text, warning.kind)).collect()
}

fn warning(position: usize, text: &str, kind: WarningKind) -> (usize, String, WarningKind) {
    (position, text.to_owned(), kind)
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    assert_eq!(
        error("Type == 'a' && Severity == '6'"),
        "syntax error: last token: '6' pos: 30; found at byte 27, expected a number without a sign"
    );
    assert_eq!(
        error("TRUE &&"),
        "syntax error: last token:  pos: 7; found at byte 7, expected a variable, TRUE, FALSE or ("
    );
    assert!(error("(TRUE").contains("found at byte 5, expected &&, || or )"));
    assert!(
        error("TRUE)")
            .contains("last token: ) pos: 5; found at byte 4, expected &&, || or the end")
    );
    assert!(error("Pid =~ /6/").contains("a numeric variable has no text to search"));
    assert!(error("Type 'x'").contains("expected ==, !="));
    assert!(
        error("Fields[a] != TRUE").contains("expected a string, a number without a sign or NIL")
    );
    assert!(
        error("Fields[a] == -5").contains("last token: - pos: 14"),
        "{}",
        error("Fields[a] == -5")
    );
    assert_eq!(Matcher::parse("TRUE && x").unwrap_err().position(), 8);
}

#[test]
fn an_unknown_word_names_its_nearest_neighbour() {
    for (text, hint) in [
        ("type == 'TEST'", "last token: type pos: 4; found at byte 0"),
        ("type == 'TEST'", "did you mean Type?"),
        ("TYPE == 'TEST'", "did you mean Type?"),
        ("Host == 'x'", ""),
        ("Hostnam == 'x'", "did you mean Hostname?"),
        ("Field[x] == 'x'", "did you mean Fields?"),
        ("true", "did you mean TRUE?"),
        ("NOT TRUE", "there is no negation but != and !~"),
        ("!TRUE", "there is no negation"),
        ("Type = 'x'", "last token: = pos: 7; found at byte 5, expected ==, !="),
        ("Type = 'x'", "did you mean ==?"),
        ("TRUE | FALSE", "did you mean ||?"),
        ("TRUE & FALSE", "did you mean &&?"),
        ("TRUE and FALSE", "did you mean &&?"),
        ("TRUE or FALSE", "did you mean ||?"),
        ("Fields[a][x] == 1", "a field is written Fields[name]"),
        ("Type == 'x", "the string has no closing quote"),
        ("Type =~ /x", "the regular expression has no closing slash"),
        ("Type == 'a' &&\nTRUE", "a line break ends the expression"),
    ] {
        assert!(error(text).contains(hint), "{text}: {}", error(text));
    }
    assert!(!error("Xyzzy == 'x'").contains("did you mean"));
}

#[test]
fn a_bad_pattern_is_reported_with_its_cause() {
    let error = Matcher::parse(r"TRUE && Type =~ /\ytest/").unwrap_err();
    assert_eq!(
        error.to_string(),
        r"syntax error: last token: /\ytest/ pos: 24; invalid regular expression at byte 16"
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with(r#"invalid escape "\\y" at byte 0"#), "{cause}");
    assert!(matches!(error, ParseError::Regex { position: 16, .. }));
}

#[test]
fn ignored_text_is_named() {
    use WarningKind::{
        AfterNewline, AfterNul, EarlierExpression, InvalidNumber, InvalidRegex, LoneOperator,
        MalformedField, UnknownWord, UnterminatedRegex, UnterminatedString,
    };
    assert_eq!(warnings("TRUE FALSE"), [warning(0, "TRUE", EarlierExpression)]);
    assert_eq!(
        warnings("TRUE && FALSE (TRUE) Type == 'x'"),
        [warning(0, "TRUE && FALSE", EarlierExpression), warning(14, "(TRUE)", EarlierExpression)]
    );
    assert_eq!(
        warnings("Type == 'a' AND Severity == 7"),
        [warning(12, "AND Severity == 7", UnknownWord)]
    );
    assert_eq!(warnings("TRUE\n&& FALSE"), [warning(5, "&& FALSE", AfterNewline)]);
    assert_eq!(warnings("TRUE\0x"), [warning(5, "x", AfterNul)]);
    assert_eq!(warnings("TRUE 'abc"), [warning(5, "'abc", UnterminatedString)]);
    assert_eq!(warnings("TRUE /abc"), [warning(5, "/abc", UnterminatedRegex)]);
    assert_eq!(warnings("TRUE /[/ x"), [warning(5, "/[/ x", InvalidRegex)]);
    assert_eq!(warnings("TRUE Fields[] x"), [warning(5, "Fields[] x", MalformedField)]);
    assert_eq!(warnings("TRUE =\n"), [warning(5, "=", LoneOperator)]);
    assert_eq!(
        warnings("TRUE |\nx"),
        [warning(5, "|", LoneOperator), warning(7, "x", AfterNewline)]
    );
    assert_eq!(warnings("TRUE ="), [warning(5, "=", LoneOperator)]);
    assert_eq!(
        warnings("TRUE =(FALSE)"),
        [warning(0, "TRUE", EarlierExpression), warning(5, "=", LoneOperator)]
    );
    assert_eq!(warnings("Pid < 1.2.3"), [warning(6, "1.2.3", InvalidNumber)]);
    assert_eq!(warnings("Pid < 1e999"), [warning(6, "1e999", InvalidNumber)]);
}

#[test]
fn nothing_is_said_of_what_has_its_meaning() {
    for text in
        ["TRUE\n", "TRUE  \n \t\n", "Type == 'a' && (Pid == 1 || Fields[x] =~ /a|b/)", " TRUE "]
    {
        assert_eq!(warnings(text), [], "{text:?}");
    }
}

#[test]
fn a_warning_reads_as_a_sentence() {
    let (_, warnings) = Matcher::parse("TRUE AND FALSE").unwrap();
    assert_eq!(
        warnings[0].to_string(),
        "\"AND FALSE\" at byte 5 is ignored: it begins with an unknown word, which ends the expression; \"and\" is \
         &&, \"or\" is ||"
    );
    let (_, warnings) = Matcher::parse(&format!("TRUE X{}", "y".repeat(100))).unwrap();
    assert!(warnings[0].to_string().contains("yyy\"… at byte 5"), "{}", warnings[0]);
}

#[test]
fn limits_hold_at_their_edges() {
    let nested = |depth: usize| format!("{}TRUE{}", "(".repeat(depth), ")".repeat(depth));
    matcher(&nested(100));
    assert!(error(&nested(101)).contains("parentheses nest deeper than 100"));
    let long = |bytes: usize| format!("TRUE{}", " ".repeat(bytes - 4));
    matcher(&long(256 * 1024));
    assert!(error(&long(256 * 1024 + 1)).contains("at most 262144"));
}

#[test]
fn the_names_of_all_fields_are_listed_once() {
    let matcher =
        matcher("Fields[b] == 1 && (Fields[a][1] == 'x' || Fields[b][0][2] == NIL) || Type == 'x'");
    assert_eq!(matcher.required_names(), [b"b", b"a"]);
    assert_eq!(matcher.to_string(), matcher.as_str());
}
