//! Payloads that a pattern with named groups takes apart.
//!
//! Here: options, and what the groups `Timestamp` and `Severity` mean. Not here: the table of headers and
//! fields (`MessageTemplate`), layouts of times (`heka-datetime`).

use std::collections::BTreeMap;
use std::sync::Arc;

use heka_datetime::{GoLayout, Location};
use heka_goregex::Pattern;
use heka_message::RecordBuilder;
use heka_plugin::{
    Clock, Decode, DecodeError, Decoder, FieldProblems, LimitedLog, MessageTemplate, Plugin,
    PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::search::Searcher;

/// Name of the group that is the message's time.
const TIMESTAMP: &str = "Timestamp";
/// Name of the group that is the message's severity.
const SEVERITY: &str = "Severity";

/// Takes payloads apart with a pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PayloadRegexDecoderConfig {
    /// Pattern that must match somewhere in the payload, with at least one group; `(?P<name>…)` names one.
    #[schemars(extend("x-required" = true))]
    pub match_regex: String,
    /// Numbers for the texts of the group `Severity`; other texts must be numbers.
    pub severity_map: BTreeMap<String, i32>,
    /// What to set: `Logger`, `Type`, `Payload`, `Hostname`, `Pid`, `Severity` and `Uuid` are headers, any other
    /// key becomes a string field, `name|representation` one with a representation. `%name%` stands for the text
    /// of a group.
    pub message_fields: BTreeMap<String, String>,
    /// Layout of the group `Timestamp`, as Go writes layouts (`02/Jan/2006:15:04:05 -0700`), or `Epoch`,
    /// `EpochMilli`, `EpochMicro`, `EpochNano`. Usual layouts are tried where it does not fit.
    pub timestamp_layout: String,
    /// Zone of stamps that carry no offset: `UTC`, `Local` or an IANA name such as `Europe/Berlin`.
    pub timestamp_location: String,
    /// Refuses payloads that do not match; otherwise they are dropped without a word.
    pub log_errors: bool,
}

impl Default for PayloadRegexDecoderConfig {
    fn default() -> Self {
        Self {
            match_regex: String::new(),
            severity_map: BTreeMap::new(),
            message_fields: BTreeMap::new(),
            timestamp_layout: String::new(),
            timestamp_location: String::new(),
            log_errors: true,
        }
    }
}

impl PluginConfig for PayloadRegexDecoderConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        match Pattern::new(&self.match_regex) {
            Ok(pattern) => {
                let groups = pattern.group_count() > 0;
                problems.require(groups, "match_regex", "must contain capture groups");
            }
            Err(error) => problems.error("match_regex", format!("cannot be used: {error}")),
        }
        if let Err(error) = GoLayout::parse(&self.timestamp_layout) {
            problems.error("timestamp_layout", format!("cannot be used: {error}"));
        }
        if let Err(error) = Location::parse(&self.timestamp_location) {
            problems.error("timestamp_location", format!("cannot be used: {error}"));
        }
    }
}

impl Plugin for PayloadRegexDecoder {
    const NAME: &'static str = "PayloadRegexDecoder";
    const PAGE: &'static str = include_str!("payload_regex_decoder.md");
    type Config = PayloadRegexDecoderConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let pattern = Pattern::new(&config.match_regex)
            .map_err(|error| StartError::because("compile match_regex", error))?;
        if pattern.group_count() == 0 {
            return Err(StartError::new("PayloadRegexDecoder regex must contain capture groups"));
        }
        let layout = GoLayout::parse(&config.timestamp_layout)
            .map_err(|error| StartError::because("use timestamp_layout", error))?;
        let location = Location::parse(&config.timestamp_location)
            .map_err(|error| StartError::because("use timestamp_location", error))?;
        let template = MessageTemplate::compile(&config.message_fields, &context.names, |name| {
            group(&pattern, name).filter(|_| name != SEVERITY)
        });
        Ok(Self {
            searcher: Searcher::new(&pattern),
            timestamp: group(&pattern, TIMESTAMP).map(|group| Stamp { group, layout, location }),
            severity: group(&pattern, SEVERITY),
            severity_map: config.severity_map.clone(),
            template,
            refuses: config.log_errors,
            remarks: Remarks {
                name: Arc::clone(&context.name),
                clock: Arc::clone(&context.clock),
                log: LimitedLog::default(),
            },
        })
    }
}

/// The number of a group with this name, or of a nameless one with this number for a name.
fn group(pattern: &Pattern, name: &str) -> Option<usize> {
    pattern.group_index(name).or_else(|| {
        let number: usize = name.parse().ok()?;
        let nameless = pattern.group_names().get(number)?.is_none();
        (nameless && number > 0 && number.to_string() == name).then_some(number)
    })
}

/// See [`PayloadRegexDecoderConfig`].
#[derive(Debug)]
pub struct PayloadRegexDecoder {
    searcher: Searcher,
    timestamp: Option<Stamp>,
    severity: Option<usize>,
    severity_map: BTreeMap<String, i32>,
    template: MessageTemplate,
    refuses: bool,
    remarks: Remarks,
}

/// The group that is the message's time.
#[derive(Debug)]
struct Stamp {
    group: usize,
    layout: GoLayout,
    location: Location,
}

/// Logs what is odd and no reason to refuse a record.
#[derive(Debug)]
struct Remarks {
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    log: LimitedLog,
}

impl Remarks {
    fn show(&self, text: impl FnOnce() -> String) {
        if let Some(missed) = self.log.event(self.clock.now_ns()) {
            tracing::warn!(decoder = &*self.name, missed, "{}", text());
        }
    }
}

impl Decoder for PayloadRegexDecoder {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        if !self.searcher.captures(data) {
            return if self.refuses { Err(no_match(data)) } else { Ok(Decode::Discard) };
        }
        if let Some(stamp) = &self.timestamp {
            let text = self.searcher.group(stamp.group, data);
            let now_ns = record.view().record().timestamp();
            match stamp.layout.parse_time(text, &stamp.location, now_ns) {
                Ok(ns) => {
                    record.timestamp(ns);
                }
                // The message keeps the time that the input gave it.
                Err(error) => self.remarks.show(|| error.to_string()),
            }
        }
        if let Some(group) = self.severity {
            let text = String::from_utf8_lossy(self.searcher.group(group, data));
            let mapped = self.severity_map.get(&*text).copied();
            match mapped.or_else(|| text.parse().ok()) {
                Some(severity) => {
                    record.severity(severity);
                }
                None => self.remarks.show(|| format!("Don't recognize severity: '{text}'")),
            }
        }
        let searcher = &self.searcher;
        let applied = self.template.apply(record, |number| searcher.group(number, data));
        applied.map_err(|error| DecodeError::new(error.to_string()))?;
        Ok(Decode::Done)
    }
}

fn no_match(data: &[u8]) -> DecodeError {
    let shown = &data[..data.len().min(DecodeError::TEXT_MAX)];
    DecodeError::new(format!("No match: {}", String::from_utf8_lossy(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Decoding;
    use heka_message::{Batch, Value};

    const APACHE: &str = r#"
match_regex = '^(?P<RemoteIP>\\S+) \\S+ \\S+ \\[(?P<Timestamp>[^\\]]+)\\] "(?P<Method>[A-Z]+) (?P<Url>\\S+)[^"]*" (?P<StatusCode>\\d+) (?P<RequestSize>\\d+)'
timestamp_layout = "02/Jan/2006:15:04:05 -0700"

[message_fields]
Type = "ApacheLogfile"
Url|uri = "%Url%"
RequestSize|B = "%RequestSize%"
"#;

    const STAMP: &str = "match_regex = '\\\\[(?P<Timestamp>[^\\\\]]*)\\\\]'\n";
    const SEVERITY_TEXT: &str =
        "match_regex = '(?P<Severity>\\\\w*):'\n[severity_map]\nERROR = 3\nwarn = 4\n";

    fn decoded(config: &str, payload: &str) -> Batch {
        Decoding::of::<PayloadRegexDecoder>(config).decode(payload.as_bytes()).unwrap()
    }

    fn refused(config: &str, payload: &str) -> String {
        let mut decoding = Decoding::of::<PayloadRegexDecoder>(config);
        decoding.decode(payload.as_bytes()).unwrap_err().to_string()
    }

    fn stamp(options: &str, payload: &str) -> i64 {
        decoded(&format!("{STAMP}{options}"), payload).record(0).unwrap().timestamp()
    }

    #[test]
    fn groups_become_time_headers_and_fields() {
        let payload = r#"10.0.0.9 - - [18/Apr/2013:14:00:28 -0700] "GET /a?b HTTP/1.1" 200 512"#;
        let batch = decoded(APACHE, payload);
        let record = batch.record(0).unwrap();
        assert_eq!(record.timestamp(), 1_366_318_828_000_000_000);
        assert_eq!(
            (record.message_type(), record.payload()),
            (&b"ApacheLogfile"[..], payload.as_bytes())
        );
        let fields: Vec<_> = [&b"Url"[..], b"RequestSize"]
            .iter()
            .map(|name| record.field_named(name).unwrap())
            .map(|field| (field.representation(), field.first()))
            .collect();
        assert_eq!(
            fields,
            [(&b"uri"[..], Some(Value::Str(b"/a?b"))), (&b"B"[..], Some(Value::Str(b"512")))]
        );
        assert_eq!(record.field_count(), 2);
        assert_eq!((record.logger(), record.hostname()), (&b"in"[..], &b""[..]));
    }

    #[test]
    fn stamps_may_count_from_the_epoch() {
        assert_eq!(
            stamp("timestamp_layout = 'Epoch'", "[1414448234.638504391]"),
            1_414_448_234_638_504_391
        );
    }

    #[test]
    fn stamps_without_offset_are_of_the_configured_zone() {
        let options = "timestamp_layout = '02/Jan/2006:15:04:05'\n\
                       timestamp_location = 'America/Los_Angeles'";
        assert_eq!(stamp(options, "[18/Apr/2013:14:00:28]"), 1_366_318_828_000_000_000);
    }

    #[test]
    fn a_time_of_day_is_of_today() {
        // The input's time is 2014-02-10 12:00 in UTC.
        let expected = 1_392_052_560_000_000_000;
        assert_eq!(stamp("", "[5:16PM]"), expected);
    }

    /// The original set a constant of 1754.
    #[test]
    fn an_unreadable_stamp_leaves_the_time_of_the_input() {
        for payload in ["[yesterday]", "[]"] {
            assert_eq!(stamp("timestamp_layout = 'Epoch'", payload), crate::test_support::NOW_NS);
        }
    }

    #[test]
    fn severities_are_mapped_or_numbers() {
        let severity =
            |payload: &str| decoded(SEVERITY_TEXT, payload).record(0).unwrap().severity();
        assert_eq!((severity("ERROR: x"), severity("warn: x")), (3, 4));
        assert_eq!(severity("5: x"), 5);
        assert_eq!((severity("error: x"), severity(": x")), (7, 7), "not known: not set");
    }

    #[test]
    fn the_severity_is_no_group_of_the_template() {
        let config = format!("{SEVERITY_TEXT}[message_fields]\nshown = '%Severity%'");
        let batch = decoded(&config, "ERROR: x");
        let shown = batch.record(0).unwrap().field_named(b"shown").unwrap().first();
        assert_eq!(shown, Some(Value::Str(b"<Severity>")));
        let config = format!("{SEVERITY_TEXT}[message_fields]\nSeverity = '%Severity%'");
        assert_eq!(refused(&config, "ERROR: x"), "'<Severity>' is no Severity");
    }

    #[test]
    fn nameless_groups_have_numbers_and_of_equal_names_the_last_counts() {
        let config = "match_regex = '(\\\\w)(?P<a>\\\\w)(?P<a>\\\\w)?'\n[message_fields]\n\
                      Type = '%1%%2%-%a%'";
        let found = |payload| decoded(config, payload).record(0).unwrap().message_type().to_vec();
        assert_eq!(found("xyz"), b"x<2>-z");
        assert_eq!(found("xy"), b"x<2>-", "a group that took no part is empty");
    }

    #[test]
    fn captured_texts_are_not_copied() {
        let batch = decoded("match_regex = '=(\\\\w+)'\n[message_fields]\nf = '%1%'", "key=value");
        let value = batch.record(0).unwrap().field_named(b"f").unwrap().first();
        let bytes = value.and_then(Value::as_bytes).unwrap();
        assert_eq!(batch.raw_offset(bytes), Some(4));
    }

    #[test]
    fn what_does_not_match_is_refused_or_dropped() {
        assert_eq!(refused(STAMP, "no stamp"), "No match: no stamp");
        assert!(refused(STAMP, &"x".repeat(100_000)).len() < 600);
        assert!(decoded(&format!("log_errors = false\n{STAMP}"), "no stamp").is_empty());
    }

    #[test]
    fn a_template_that_cannot_be_filled_in_refuses_the_record() {
        let config = "match_regex = 'pid=(\\\\w+)'\n[message_fields]\nPid = '%1%'";
        assert_eq!(decoded(config, "pid=77").record(0).unwrap().pid(), 77);
        assert_eq!(refused(config, "pid=none"), "'none' is no Pid");
    }

    #[test]
    fn patterns_are_those_of_go() {
        let config = "match_regex = '\\\\Qa.b\\\\E(\\\\pL+)\\\\/'\n[message_fields]\nType = '%1%'";
        let batch = decoded(config, "a.bÄ/");
        assert_eq!(batch.record(0).unwrap().message_type(), "Ä".as_bytes());
    }

    #[test]
    fn options_are_checked() {
        let fine =
            PayloadRegexDecoderConfig { match_regex: "(a)".to_owned(), ..Default::default() };
        let problems = |change: fn(&mut PayloadRegexDecoderConfig)| {
            let mut config = fine.clone();
            change(&mut config);
            let mut problems = FieldProblems::new();
            config.validate(&mut problems);
            !problems.is_empty()
        };
        assert!(!problems(|_| {}));
        assert!(problems(|config| config.match_regex = "a".to_owned()));
        assert!(problems(|config| config.match_regex = "(a".to_owned()));
        assert!(problems(|config| config.timestamp_layout = "EpochDays".to_owned()));
        assert!(problems(|config| config.timestamp_location = "Nowhere/Else".to_owned()));
    }
}
