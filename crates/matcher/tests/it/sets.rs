//! Sets select what single matchers select.

use std::sync::Arc;

use heka_matcher::{Evaluation, Matcher, MatcherSet};
use heka_message::{
    Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Selection, Value, ValueType,
};
use proptest::prelude::*;

use crate::messages::{builder, direct, matcher, selected};

const TEXTS: &[&str] =
    &["", "a", "ab", "abc", "web-17", "web-1", "TRUE", "/api/v1/x", "x\ny", "5", "bab"];
const PATTERNS: &[&str] = &[
    "",
    "^",
    "$",
    "^a",
    "b$",
    "^ab$",
    "b",
    "ab",
    "^web-\\d+",
    "web-1[0-9]",
    "(?i)WEB",
    "a|b",
    "^a|c$",
    "web|api",
    "ab+c",
    "^\\/api\\/",
    "\\/v1\\/",
    "x.y",
    "[^a]",
    "a*",
    "TR(UE|x)",
];
const NUMBERS: &[&str] = &["0", "5", "5.5", "6", "7", "77", "1e3", "1.2.3"];
const HEADERS: &[&str] = &["Type", "Logger", "Payload", "EnvVersion", "Hostname", "Uuid"];
const NUMERIC: &[&str] = &["Severity", "Pid", "Timestamp"];
const FIELDS: &[&str] = &[
    "Fields[f]",
    "Fields[g]",
    "Fields[f][1]",
    "Fields[f][0][1]",
    "Fields[h]",
    "Fields[never]",
    "Fields[g][1][1]",
];
const ORDERS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];

fn pick(list: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(list)
}

fn test() -> impl Strategy<Value = String> {
    let search = || (prop_oneof![pick(HEADERS), pick(FIELDS)], pick(&["=~", "!~"]), pick(PATTERNS));
    prop_oneof![
        2 => (prop_oneof![pick(HEADERS), pick(FIELDS)], pick(&["=="]), pick(TEXTS))
            .prop_map(|(v, o, t)| format!("{v} {o} '{}'", t.replace('\n', "."))),
        1 => (prop_oneof![pick(HEADERS), pick(FIELDS)], pick(ORDERS), pick(TEXTS))
            .prop_map(|(v, o, t)| format!("{v} {o} '{}'", t.replace('\n', "."))),
        2 => (prop_oneof![pick(NUMERIC), pick(FIELDS)], pick(ORDERS), pick(NUMBERS))
            .prop_map(|(v, o, n)| format!("{v} {o} {n}")),
        2 => search().prop_map(|(v, o, p)| format!("{v} {o} /{p}/")),
        1 => (pick(FIELDS), pick(&["== TRUE", "== FALSE", "== NIL", "!= NIL"])).prop_map(|(v, r)| format!("{v} {r}")),
        1 => pick(&["TRUE", "FALSE"]).prop_map(str::to_owned),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    test().prop_recursive(4, 12, 4, |inner| {
        (prop::collection::vec(inner, 1..4), any::<bool>()).prop_map(|(operands, and)| {
            format!("({})", operands.join(if and { " && " } else { " || " }))
        })
    })
}

#[derive(Clone, Debug)]
enum FieldValues {
    Texts(Vec<&'static str>),
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Bools(Vec<bool>),
    Unknown,
}

#[derive(Clone, Debug)]
struct Message {
    detached: bool,
    headers: [Option<&'static str>; 5],
    severity: Option<i32>,
    timestamp: Option<i64>,
    uuid: Option<[u8; 16]>,
    fields: Vec<(&'static str, FieldValues)>,
}

fn values() -> impl Strategy<Value = FieldValues> {
    prop_oneof![
        3 => prop::collection::vec(pick(TEXTS), 0..3).prop_map(FieldValues::Texts),
        2 => prop::collection::vec(prop::sample::select(vec![-5, 0, 5, 6, 7, 1000]), 0..3).prop_map(FieldValues::Integers),
        1 => prop::collection::vec(prop::sample::select(vec![5.5, -0.0, f64::NAN, f64::INFINITY]), 0..3)
            .prop_map(FieldValues::Doubles),
        1 => prop::collection::vec(any::<bool>(), 0..3).prop_map(FieldValues::Bools),
        1 => Just(FieldValues::Unknown),
    ]
}

fn text_header() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::weighted(0.3, pick(TEXTS))
}

fn message() -> impl Strategy<Value = Message> {
    let headers = [text_header(), text_header(), text_header(), text_header(), text_header()];
    let fields = prop::collection::vec((pick(&["f", "g", "h"]), values()), 0..5);
    (
        prop::bool::weighted(0.1),
        headers,
        prop::option::weighted(0.3, 0..8),
        prop::option::weighted(0.2, Just(5_i64)),
        prop::option::weighted(0.2, any::<[u8; 16]>()),
        fields,
    )
        .prop_map(|(detached, headers, severity, timestamp, uuid, fields)| Message {
            detached,
            headers,
            severity,
            timestamp,
            uuid,
            fields,
        })
}

fn add(builder: &mut BatchBuilder, message: &Message) {
    let mut record = builder.record();
    if message.detached {
        record.detach();
    }
    let [message_type, logger, payload, env_version, hostname] = message.headers;
    message_type.map(|text| record.message_type(text));
    logger.map(|text| record.logger(text));
    payload.map(|text| record.payload(text));
    env_version.map(|text| record.env_version(text));
    hostname.map(|text| record.hostname(text));
    message.severity.map(|value| record.severity(value));
    message.timestamp.map(|value| record.timestamp(value));
    message.uuid.map(|value| record.uuid(&value));
    for (name, values) in &message.fields {
        let name = record.name_id(name.as_bytes());
        match values {
            FieldValues::Texts(texts) => {
                record.empty_field(name, b"", ValueType::String);
                texts.iter().for_each(|text| record.push_value(Value::from(*text)).unwrap());
            }
            FieldValues::Integers(numbers) => {
                record.empty_field(name, b"", ValueType::Integer);
                numbers.iter().for_each(|number| record.push_value(Value::Int(*number)).unwrap());
            }
            FieldValues::Doubles(numbers) => {
                record.empty_field(name, b"", ValueType::Double);
                numbers
                    .iter()
                    .for_each(|number| record.push_value(Value::Double(*number)).unwrap());
            }
            FieldValues::Bools(flags) => {
                record.empty_field(name, b"", ValueType::Bool);
                flags.iter().for_each(|flag| record.push_value(Value::Bool(*flag)).unwrap());
            }
            FieldValues::Unknown => {
                record.empty_field(name, b"", ValueType::Unknown);
            }
        }
    }
    record.commit().unwrap();
}

fn batch(registry: &NameRegistry, envelope: &Envelope, messages: &[Message]) -> Batch {
    let mut builder = BatchBuilder::new(
        registry.snapshot(),
        Arc::new(envelope.clone()),
        Buffer::from(Vec::new()),
        77,
    );
    messages.iter().for_each(|message| add(&mut builder, message));
    builder.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_set_selects_what_its_matchers_select(
        expressions in prop::collection::vec(expression(), 1..30),
        common in (text_header(), text_header(), prop::option::of(0..8)),
        batches in prop::collection::vec(prop::collection::vec(message(), 0..70), 1..4),
        known_names in any::<bool>(),
    ) {
        let matchers: Vec<Matcher> = expressions.iter().map(|text| matcher(text)).collect();
        let registry = NameRegistry::new();
        let set = MatcherSet::compile(&matchers, &registry).unwrap();
        let other = NameRegistry::new();
        let (message_type, hostname, severity) = common;
        let envelope = Envelope {
            message_type: message_type.map(|text| text.as_bytes().into()),
            hostname: hostname.map(|text| text.as_bytes().into()),
            severity,
            ..Envelope::new("abc")
        };
        let mut evaluation = Evaluation::new();
        for messages in &batches {
            let batch = batch(if known_names { &registry } else { &other }, &envelope, messages);
            let found = selected(&set, &mut evaluation, &batch);
            for ((text, found), expected) in expressions.iter().zip(&found).zip(direct(&matchers, &batch)) {
                prop_assert_eq!(found, &expected, "{}", text);
            }
        }
    }

    #[test]
    fn no_expression_panics(text in prop_oneof![
        "[A-Za-z\\[\\]()=!~<>&|'\"/\\\\0-9. \\n\\x00é-]{0,40}",
        ".{0,40}",
        prop::collection::vec(prop::sample::select(vec![
            "Type", "Fields", "[a]", "[0]", "==", "=~", "!=", "&&", "||", "(", ")", "'a'", "\"", "/a/", "/", "1", "TRUE",
            "NIL", " ", "\n", "=", "!", "Bogus", "\\", "é",
        ]), 0..12).prop_map(|pieces| pieces.concat()),
    ]) {
        match Matcher::parse(&text) {
            Ok((matcher, warnings)) => {
                let registry = NameRegistry::new();
                let set = MatcherSet::compile(std::slice::from_ref(&matcher), &registry).unwrap();
                let batch = crate::messages::a_with_e(&registry);
                let found = selected(&set, &mut Evaluation::new(), &batch);
                prop_assert_eq!(found, direct(&[matcher], &batch));
                for warning in warnings {
                    prop_assert!(text[warning.position..].starts_with(&warning.text));
                }
            }
            Err(error) => {
                prop_assert!(error.position() <= text.len());
                prop_assert!(text.is_char_boundary(error.position()), "{}", error);
            }
        }
    }
}

#[test]
fn a_constant_needs_no_records() {
    let registry = NameRegistry::new();
    let matchers = ["TRUE", "FALSE", "TRUE || Type == 'x'", "FALSE && Type == 'x'"].map(matcher);
    let set = MatcherSet::compile(&matchers, &registry).unwrap();
    let mut evaluation = Evaluation::new();
    let empty = builder(&registry, Envelope::default()).finish();
    set.evaluate(&empty, &mut evaluation);
    let expected = [Selection::All, Selection::None, Selection::All, Selection::None];
    assert_eq!(evaluation.selections(), expected);
    assert_eq!((set.len(), set.is_empty()), (4, false));
}

#[test]
fn an_envelope_decides_for_all_records() {
    let registry = NameRegistry::new();
    let matchers =
        ["Logger == 'web'", "Logger == 'db'", "Logger =~ /^we/ && Severity < 3"].map(matcher);
    let set = MatcherSet::compile(&matchers, &registry).unwrap();
    let mut builder = builder(&registry, Envelope::new("web"));
    for severity in 0..100 {
        let mut record = builder.record();
        record.severity(severity);
        record.commit().unwrap();
    }
    let batch = builder.finish();
    let mut evaluation = Evaluation::new();
    set.evaluate(&batch, &mut evaluation);
    assert_eq!(evaluation.selections()[..2], [Selection::All, Selection::None]);
    assert_eq!(evaluation.selections()[2].iter(100).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn an_evaluation_serves_one_set_after_another() {
    let registry = NameRegistry::new();
    let one = MatcherSet::compile(&["Type == 'TEST'"].map(matcher), &registry).unwrap();
    let many: Vec<Matcher> =
        (0..50).map(|n| matcher(&format!("Pid == {n} || Fields[x{n}] == 1"))).collect();
    let many_set = MatcherSet::compile(&many, &registry).unwrap();
    let batch = crate::messages::a_with_e(&registry);
    let mut evaluation = Evaluation::new();
    assert_eq!(selected(&one, &mut evaluation, &batch), [[0]]);
    assert_eq!(selected(&many_set, &mut evaluation, &batch), direct(&many, &batch));
    assert_eq!(selected(&one, &mut evaluation, &batch), [[0]]);
    assert_eq!(evaluation.take(0), Selection::Bits([1].into()));
    assert_eq!((evaluation.take(0), evaluation.take(9)), (Selection::None, Selection::None));
}

#[test]
fn the_names_of_a_set_become_global() {
    let registry = NameRegistry::new();
    MatcherSet::compile(&[matcher("Fields[status] == 1")], &registry).unwrap();
    assert!(registry.snapshot().find(b"status").is_some());
}

#[test]
fn patterns_without_plain_text_are_searched_together_and_exactly() {
    let registry = NameRegistry::new();
    let patterns = [
        "^.$",
        "^..$",
        "[a-c][d-f]",
        "^[^x]+$",
        "[0-9]{2}",
        r"\W",
        "(?i)k",
        r"\PL$",
        "^(a|bb)*$",
        "[^é]",
    ];
    let matchers: Vec<Matcher> = ["Payload", "Fields[f]"]
        .iter()
        .flat_map(|variable| patterns.map(|pattern| matcher(&format!("{variable} =~ /{pattern}/"))))
        .collect();
    let set = MatcherSet::compile(&matchers, &registry).unwrap();
    let mut builder = builder(&registry, Envelope::default());
    let texts: [&[u8]; 12] = [
        b"",
        b"a",
        b"ad",
        b"12",
        b"\xFF",
        b"\x80",
        b"\xE9d",
        b"\xE2\x82",
        "é".as_bytes(),
        "\u{212A}".as_bytes(),
        b"bba",
        b"x",
    ];
    for text in texts {
        let mut record = builder.record();
        let name = record.name_id(b"f");
        record.payload(text).field(name, Value::Bytes(text));
        record.commit().unwrap();
    }
    let batch = builder.finish();
    let expected = direct(&matchers, &batch);
    assert!(expected.iter().all(|records| !records.is_empty() && records.len() < texts.len()));
    assert_eq!(selected(&set, &mut Evaluation::new(), &batch), expected);
}

#[test]
fn thousands_of_matchers_select_what_each_selects() {
    let registry = NameRegistry::new();
    let matchers: Vec<Matcher> = (0..300)
        .flat_map(|n| {
            [
                format!("Type == 'x{n}' && Fields[status] == 503"),
                format!("Logger == 'svc-{n}' || Hostname =~ /db-{n}$/"),
                format!(r"Fields[url] =~ /^\/api\/v{n}\//"),
                format!("Severity <= 3 && Hostname =~ /web-{n}/"),
                format!("Fields[status] > {n} && Fields[url] =~ /item{n}[a-z]/"),
                format!("Type != 'x{n}' && Fields[absent{n}] != 'y'"),
                format!("Pid == {n} || Pid < -{n}5.0 || Fields[url] == NIL").replace("-", ""),
            ]
        })
        .map(|text| matcher(&text))
        .collect();
    let set = MatcherSet::compile(&matchers, &registry).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let mut evaluation = Evaluation::new();
    for records in [1, 63, 64, 65, 130] {
        let mut builder = builder(&registry, Envelope::new("svc-7").hostname("web-12"));
        for _ in 0..records {
            let mut record = builder.record();
            record
                .message_type(format!("x{}", random.u8(..)))
                .severity(random.i32(0..8))
                .pid(random.i32(..300));
            if random.bool() {
                record.hostname(format!("db-{}", random.u8(..)));
            }
            let (status, url) = (record.name_id(b"status"), record.name_id(b"url"));
            record.field(status, Value::Int(if random.bool() { 503 } else { random.i64(0..300) }));
            let text =
                format!("/api/v{}/item{}{}", random.u8(..), random.u8(..), random.lowercase());
            record.field(url, Value::from(text.as_str()));
            record.commit().unwrap();
        }
        let batch = builder.finish();
        assert_eq!(selected(&set, &mut evaluation, &batch), direct(&matchers, &batch));
    }
}

#[test]
fn sets_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<MatcherSet>();
    shared::<Matcher>();
    shared::<Evaluation>();
}
