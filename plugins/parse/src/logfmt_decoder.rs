//! Lines of `key=value` pairs, as many Go and Ruby programs write them.
//!
//! Here: options, and how pairs become a message. Not here: reading pairs (`scan`).

mod scan;

use heka_message::{RecordBuilder, Value};
use heka_plugin::{
    Decode, DecodeError, Decoder, FieldProblems, Plugin, PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::level::severity_of;
use crate::number::{leading_digits, parse_i64, parse_slowly};
use crate::stamp::{RFC3339, StampReader};
use scan::{Pair, Pairs};

/// What unquoted values become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogfmtValues {
    /// All are strings.
    #[default]
    Text,
    /// Numbers become integers or doubles, `true` and `false` booleans; others are strings.
    Typed,
}

/// Which key becomes which header of the message; empty: none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub struct LogfmtHeaderNames {
    /// Key of Timestamp.
    pub timestamp: String,
    /// Key of Severity; its value is the name of a level or a number from 0 to 7.
    pub severity: String,
    /// Key of Payload.
    pub payload: String,
    /// Key of Logger.
    pub logger: String,
    /// Key of Hostname.
    pub hostname: String,
    /// Key of Type.
    pub r#type: String,
    /// Key of Pid.
    pub pid: String,
}

impl Default for LogfmtHeaderNames {
    fn default() -> Self {
        Self {
            timestamp: "time".to_owned(),
            severity: "level".to_owned(),
            payload: "msg".to_owned(),
            logger: String::new(),
            hostname: String::new(),
            r#type: String::new(),
            pid: String::new(),
        }
    }
}

/// Reads lines of `key=value` pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogfmtDecoderConfig {
    /// Type of the messages; empty leaves the input's.
    pub message_type: String,
    /// Keeps the line as Payload where no key becomes the Payload.
    pub payload_keep: bool,
    /// Which key becomes which header; a value that does not fit stays a field.
    pub field_mappings: LogfmtHeaderNames,
    /// How Timestamp is written: a strftime format, `RFC3339`, `Epoch`, `EpochMilli`, `EpochMicro` or `EpochNano`; empty
    /// means nanoseconds.
    pub timestamp_format: String,
    /// Zone of stamps that carry no offset: `UTC`, `Local` or an IANA name such as `Europe/Berlin`.
    pub tz: String,
    /// What unquoted values become: `text` or `typed`.
    pub values: LogfmtValues,
}

impl Default for LogfmtDecoderConfig {
    fn default() -> Self {
        Self {
            message_type: String::new(),
            payload_keep: false,
            field_mappings: LogfmtHeaderNames::default(),
            timestamp_format: RFC3339.to_owned(),
            tz: "UTC".to_owned(),
            values: LogfmtValues::Text,
        }
    }
}

impl PluginConfig for LogfmtDecoderConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        StampReader::validate(&self.timestamp_format, &self.tz, problems);
    }
}

impl Plugin for LogfmtDecoder {
    const NAME: &'static str = "LogfmtDecoder";
    const PAGE: &'static str = include_str!("logfmt_decoder.md");
    type Config = LogfmtDecoderConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Self::compile(config).map_err(|error| StartError::because("use the options", error))
    }
}

/// See [`LogfmtDecoderConfig`].
#[derive(Debug)]
pub struct LogfmtDecoder {
    message_type: String,
    payload_keep: bool,
    values: LogfmtValues,
    headers: Vec<(Box<[u8]>, Header)>,
    stamps: StampReader,
    pairs: Pairs,
}

/// A header that a key may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Timestamp,
    Severity,
    Payload,
    Logger,
    Hostname,
    Type,
    Pid,
}

impl Decoder for LogfmtDecoder {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        self.pairs.read(data).map_err(|fault| DecodeError::at(fault.offset, fault.what))?;
        let now_ns = record.view().record().timestamp();
        if !self.payload_keep {
            record.payload(b"");
        }
        if !self.message_type.is_empty() {
            record.message_type(&self.message_type);
        }
        for pair in &self.pairs.list {
            let key = data.get(pair.key.0..pair.key.1).unwrap_or(&[]);
            let value = self.pairs.value(data, pair);
            if let Some(text) = value
                && let Some(header) = header_of(&self.headers, key)
                && set_header(&mut self.stamps, header, text, now_ns, record)
            {
                continue;
            }
            let name = record.name_id(key);
            record.field(name, self.field_value(pair, value));
        }
        Ok(Decode::Done)
    }
}

impl LogfmtDecoder {
    /// A decoder with these options.
    ///
    /// # Errors
    /// If the zone or the time format is not known.
    pub fn compile(config: &LogfmtDecoderConfig) -> Result<Self, ParseError> {
        let names = &config.field_mappings;
        let headers = [
            (&names.timestamp, Header::Timestamp),
            (&names.severity, Header::Severity),
            (&names.payload, Header::Payload),
            (&names.logger, Header::Logger),
            (&names.hostname, Header::Hostname),
            (&names.r#type, Header::Type),
            (&names.pid, Header::Pid),
        ];
        let used = headers.into_iter().filter(|(name, _)| !name.is_empty());
        Ok(Self {
            message_type: config.message_type.clone(),
            payload_keep: config.payload_keep,
            values: config.values,
            headers: used.map(|(name, header)| (name.as_bytes().into(), header)).collect(),
            stamps: StampReader::parse(&config.timestamp_format, &config.tz)?,
            pairs: Pairs::default(),
        })
    }

    fn field_value<'a>(&self, pair: &Pair, value: Option<&'a [u8]>) -> Value<'a> {
        let Some(text) = value else { return Value::Bool(true) };
        if self.values == LogfmtValues::Text || pair.quoted {
            return Value::Str(text);
        }
        match text {
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            _ => typed_number(text).unwrap_or(Value::Str(text)),
        }
    }
}

fn header_of(headers: &[(Box<[u8]>, Header)], key: &[u8]) -> Option<Header> {
    headers.iter().find(|(known, _)| **known == *key).map(|&(_, header)| header)
}

/// Sets a header; false if the text does not fit it.
fn set_header(
    stamps: &mut StampReader,
    header: Header,
    text: &[u8],
    now_ns: i64,
    record: &mut RecordBuilder<'_>,
) -> bool {
    match header {
        Header::Timestamp => match stamps.read(text, now_ns) {
            Some(ns) => record.timestamp(ns),
            None => return false,
        },
        Header::Severity => match severity_of(text) {
            Some(severity) => record.severity(severity),
            None => return false,
        },
        Header::Pid => match parse_i64(text).and_then(|pid| i32::try_from(pid).ok()) {
            Some(pid) => record.pid(pid),
            None => return false,
        },
        Header::Payload => record.payload(text),
        Header::Logger => record.logger(text),
        Header::Hostname => record.hostname(text),
        Header::Type => record.message_type(text),
    };
    true
}

/// A number in its plainest form: no sign but minus, no leading zeros, no exponent.
fn typed_number(text: &[u8]) -> Option<Value<'static>> {
    let magnitude = text.strip_prefix(b"-").unwrap_or(text);
    let whole = leading_digits(magnitude);
    if whole == 0 || whole > 1 && magnitude[0] == b'0' {
        return None;
    }
    match &magnitude[whole..] {
        [] => parse_i64(text).map(Value::Int),
        [b'.', digits @ ..] if !digits.is_empty() && leading_digits(digits) == digits.len() => {
            parse_slowly(text).map(Value::Double)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decoded;

    fn check(config: &LogfmtDecoderConfig, line: &str, expected: &str) {
        let mut decoder = LogfmtDecoder::compile(config).unwrap();
        assert_eq!(decoded(&mut decoder, line.as_bytes()), expected, "{line}");
    }

    #[test]
    fn a_line_of_logrus_is_read() {
        check(
            &LogfmtDecoderConfig::default(),
            "time=\"2015-03-26T01:27:38-04:00\" level=warning msg=\"The group's number \\\"increased\\\"\\n\" number=122 omg\n",
            "Timestamp 1427347658000000000\nSeverity 4\nPayload The group's number \"increased\"\n\nnumber=122\nomg=true bool\n",
        );
    }

    #[test]
    fn what_does_not_fit_a_header_stays_a_field() {
        check(
            &LogfmtDecoderConfig::default(),
            "time=12 level=loud level=6 msg",
            "Severity 6\ntime=12\nlevel=loud\nmsg=true bool\n",
        );
    }

    #[test]
    fn keys_can_be_mapped_to_all_headers() {
        let field_mappings = LogfmtHeaderNames {
            timestamp: "ts".into(),
            severity: "lvl".into(),
            payload: "m".into(),
            logger: "l".into(),
            hostname: "h".into(),
            r#type: "t".into(),
            pid: "p".into(),
        };
        let config = LogfmtDecoderConfig {
            field_mappings,
            timestamp_format: "Epoch".into(),
            message_type: "logfmt".into(),
            ..LogfmtDecoderConfig::default()
        };
        check(
            &config,
            "ts=1.5 lvl=ERROR m=x l=y h=z t=w p=7 p=99999999999 time=3",
            "Timestamp 1500000000\nType w\nLogger y\nHostname z\nSeverity 3\nPid 7\nPayload x\np=99999999999\ntime=3\n",
        );
        check(&config, "a=b", "Type logfmt\na=b\n");
    }

    #[test]
    fn values_have_types_if_asked_for() {
        let mut config = LogfmtDecoderConfig::default();
        let line =
            "a=1 b=-2 c=0.5 d=007 e=1e3 f=true g=false h=\"1\" i= j=99999999999999999999 k=-";
        check(
            &config,
            line,
            "a=1\nb=-2\nc=0.5\nd=007\ne=1e3\nf=true\ng=false\nh=1\ni=\nj=99999999999999999999\nk=-\n",
        );
        config.values = LogfmtValues::Typed;
        check(
            &config,
            line,
            "a=1 integer\nb=-2 integer\nc=0.5 double\nd=007\ne=1e3\nf=true bool\ng=false bool\nh=1\ni=\nj=99999999999999999999\nk=-\n",
        );
    }

    #[test]
    fn the_line_is_kept_if_asked_for() {
        let config = LogfmtDecoderConfig { payload_keep: true, ..LogfmtDecoderConfig::default() };
        check(&config, "a=b", "Payload a=b\na=b\n");
        check(&config, "a=b msg=c", "Payload c\na=b\n");
    }

    #[test]
    fn what_is_no_logfmt_is_an_error_that_says_where() {
        let config = LogfmtDecoderConfig::default();
        check(&config, "", "error: expected key=value at byte 0\n");
        check(&config, "just some words", "error: expected key=value at byte 15\n");
        check(&config, "a=b \"c\"", "error: expected a key at byte 4\n");
        check(&config, "a=\"b", "error: quoted value without an end at byte 3\n");
    }
}
