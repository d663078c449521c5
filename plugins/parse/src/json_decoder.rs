//! JSON objects, flattened into fields.
//!
//! Here: options, and how a flattened text becomes a message. Not here: the JSON grammar (`scan`).

mod scan;

use heka_message::{RecordBuilder, Uuid, Value};
use heka_plugin::{
    Decode, DecodeError, Decoder, FieldProblems, Plugin, PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::level::severity_of;
use crate::number::parse_i64;
use crate::stamp::StampReader;
use scan::{Entry, Flat, Scalar, Settings, flatten};

/// The type of fields that hold JSON numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JsonNumbers {
    /// All are doubles.
    #[default]
    Double,
    /// Numbers written as integers are integers where they fit 64 bits, others are doubles.
    Native,
}

/// Which member of the JSON object becomes which header of the message; empty: none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub struct JsonHeaderNames {
    /// Name of the member that becomes Timestamp.
    pub timestamp: String,
    /// Name of the member that becomes Uuid; a string of 36 characters.
    pub uuid: String,
    /// Name of the member that becomes Type; a string.
    pub r#type: String,
    /// Name of the member that becomes Logger; a string.
    pub logger: String,
    /// Name of the member that becomes Severity; a number, or the name of a level.
    pub severity: String,
    /// Name of the member that becomes Payload; a string.
    pub payload: String,
    /// Name of the member that becomes EnvVersion; a number or a string.
    pub env_version: String,
    /// Name of the member that becomes Pid; a number.
    pub pid: String,
    /// Name of the member that becomes Hostname; a string.
    pub hostname: String,
}

/// Reads JSON objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JsonDecoderConfig {
    /// Type of the messages; empty leaves the input's.
    pub message_type: String,
    /// Keeps the JSON text as Payload.
    pub payload_keep: bool,
    /// Which member becomes which header; nested members are named as their field would be.
    pub field_mappings: JsonHeaderNames,
    /// How the member for Timestamp is written: a strftime format, `RFC3339`, `Epoch`, `EpochMilli`, `EpochMicro` or
    /// `EpochNano`; empty means nanoseconds.
    pub timestamp_format: String,
    /// Zone of stamps that carry no offset: `UTC`, `Local` or an IANA name such as `Europe/Berlin`.
    pub tz: String,
    /// From this depth on, nested objects and arrays stay JSON text; a member has depth 1; 0 means no limit.
    pub maximum_depth: u32,
    /// Text between the names of nested members.
    pub separator: String,
    /// What numbers become: `double` or `native`.
    pub numbers: JsonNumbers,
}

impl Default for JsonDecoderConfig {
    fn default() -> Self {
        Self {
            message_type: "json".to_owned(),
            payload_keep: false,
            field_mappings: JsonHeaderNames::default(),
            timestamp_format: String::new(),
            tz: "UTC".to_owned(),
            maximum_depth: 0,
            separator: ".".to_owned(),
            numbers: JsonNumbers::Double,
        }
    }
}

impl PluginConfig for JsonDecoderConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        StampReader::validate(&self.timestamp_format, &self.tz, problems);
        if !self.timestamp_format.is_empty() && self.field_mappings.timestamp.is_empty() {
            problems.warn("timestamp_format", "has no effect without field_mappings.Timestamp");
        }
    }
}

impl Plugin for JsonDecoder {
    const NAME: &'static str = "JsonDecoder";
    const PAGE: &'static str = include_str!("json_decoder.md");
    type Config = JsonDecoderConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Self::compile(config).map_err(|error| StartError::because("use the options", error))
    }
}

/// See [`JsonDecoderConfig`].
#[derive(Debug)]
pub struct JsonDecoder {
    message_type: String,
    payload_keep: bool,
    numbers: JsonNumbers,
    settings: Settings,
    /// Names of members that become headers.
    headers: Vec<(Box<[u8]>, Header)>,
    stamps: StampReader,
    flat: Flat,
}

/// A header that a member may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Timestamp,
    Uuid,
    Type,
    Logger,
    Severity,
    Payload,
    EnvVersion,
    Pid,
    Hostname,
}

impl Decoder for JsonDecoder {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        flatten(data, &self.settings, &mut self.flat)
            .map_err(|fault| DecodeError::at(fault.offset, fault.what))?;
        let now_ns = record.view().record().timestamp();
        let stamp = self.stamp(data, now_ns)?;
        if !self.payload_keep {
            record.payload(b"");
        }
        if !self.message_type.is_empty() {
            record.message_type(&self.message_type);
        }
        if let Some(ns) = stamp {
            record.timestamp(ns);
        }
        for entry in &self.flat.entries {
            if !self.set_header(data, entry, record) {
                self.add_field(data, entry, record);
            }
        }
        Ok(Decode::Done)
    }
}

impl JsonDecoder {
    /// A decoder with these options.
    ///
    /// # Errors
    /// If the zone or the time format is not known.
    pub fn compile(config: &JsonDecoderConfig) -> Result<Self, ParseError> {
        let names = &config.field_mappings;
        let headers = [
            (&names.timestamp, Header::Timestamp),
            (&names.uuid, Header::Uuid),
            (&names.r#type, Header::Type),
            (&names.logger, Header::Logger),
            (&names.severity, Header::Severity),
            (&names.payload, Header::Payload),
            (&names.env_version, Header::EnvVersion),
            (&names.pid, Header::Pid),
            (&names.hostname, Header::Hostname),
        ];
        let used = headers.into_iter().filter(|(name, _)| !name.is_empty());
        let text_depth = usize::try_from(config.maximum_depth).ok().filter(|&depth| depth > 0);
        Ok(Self {
            message_type: config.message_type.clone(),
            payload_keep: config.payload_keep,
            numbers: config.numbers,
            settings: Settings { separator: config.separator.clone().into(), text_depth },
            headers: used.map(|(name, header)| (name.as_bytes().into(), header)).collect(),
            stamps: StampReader::parse(&config.timestamp_format, &config.tz)?,
            flat: Flat::default(),
        })
    }

    fn header_of(&self, name: &[u8]) -> Option<Header> {
        self.headers.iter().find(|(known, _)| **known == *name).map(|&(_, header)| header)
    }

    /// The time stamp, if the text has one; it is read before anything is written.
    fn stamp(&mut self, data: &[u8], now_ns: i64) -> Result<Option<i64>, DecodeError> {
        let Some((name, _)) = self.headers.first().filter(|(_, it)| *it == Header::Timestamp)
        else {
            return Ok(None);
        };
        let flat = &self.flat;
        let named = |entry: &&Entry| flat.bytes(data, entry.name) == &**name;
        let Some(entry) = flat.entries.iter().rfind(named) else { return Ok(None) };
        let text = match entry.value {
            Scalar::Text(text) => flat.bytes(data, text),
            Scalar::Number(_, (start, end)) => data.get(start..end).unwrap_or(&[]),
            Scalar::Bool(_) => b"",
        };
        match self.stamps.read(text, now_ns) {
            Some(ns) => Ok(Some(ns)),
            None => Err(DecodeError::new("failed to decode timestamp")),
        }
    }

    /// Makes a header of a member that is to become one; false if it is not, or its type is wrong.
    fn set_header(&self, data: &[u8], entry: &Entry, record: &mut RecordBuilder<'_>) -> bool {
        let Some(header) = self.header_of(self.flat.bytes(data, entry.name)) else {
            return false;
        };
        let text = match entry.value {
            Scalar::Text(text) => Some(self.flat.bytes(data, text)),
            _ => None,
        };
        let (integer, written) = match entry.value {
            Scalar::Number(number, (start, end)) => (integer_of(number), data.get(start..end)),
            _ => (None, None),
        };
        match (header, text, integer) {
            (Header::Timestamp, ..) => {}
            (Header::Uuid, Some(text), _) => match Uuid::parse(text) {
                Some(uuid) => {
                    record.uuid(&uuid.0);
                }
                None => return false,
            },
            (Header::Type, Some(text), _) => {
                record.message_type(text);
            }
            (Header::Logger, Some(text), _) => {
                record.logger(text);
            }
            (Header::Payload, Some(text), _) => {
                record.payload(text);
            }
            (Header::Hostname, Some(text), _) => {
                record.hostname(text);
            }
            (Header::Severity, ..) => match integer.or_else(|| text.and_then(severity_of)) {
                Some(severity) => {
                    record.severity(severity);
                }
                None => return false,
            },
            (Header::Pid, _, Some(number)) => {
                record.pid(number);
            }
            (Header::EnvVersion, ..) => match text.or(written) {
                Some(version) => {
                    record.env_version(version);
                }
                None => return false,
            },
            _ => return false,
        }
        true
    }

    fn add_field(&self, data: &[u8], entry: &Entry, record: &mut RecordBuilder<'_>) {
        let name = record.name_id(self.flat.bytes(data, entry.name));
        let value = match entry.value {
            Scalar::Text(text) => Value::Str(self.flat.bytes(data, text)),
            Scalar::Bool(flag) => Value::Bool(flag),
            Scalar::Number(number, (start, end)) => {
                let integer = match self.numbers {
                    JsonNumbers::Double => None,
                    JsonNumbers::Native => data.get(start..end).and_then(parse_i64),
                };
                integer.map_or(Value::Double(number), Value::Int)
            }
        };
        record.field(name, value);
    }
}

/// A number without a fraction that fits 32 bits.
fn integer_of(number: f64) -> Option<i32> {
    let integer = number as i32;
    (f64::from(integer) == number).then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decoded;

    fn check(config: &JsonDecoderConfig, text: &str, expected: &str) {
        let mut decoder = JsonDecoder::compile(config).unwrap();
        assert_eq!(decoded(&mut decoder, text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn nested_members_become_fields() {
        check(
            &JsonDecoderConfig::default(),
            r#"{"a":1,"b":{"c":"x","d":[1,"two",{"e":true}]},"n":null,"empty":{}}"#,
            "Type json\na=1 double\nb.c=x\nb.d.1=1 double\nb.d.2=two\nb.d.3.e=true bool\n",
        );
    }

    #[test]
    fn members_become_headers() {
        let mut config = JsonDecoderConfig {
            timestamp_format: "%m/%d/%Y %H:%M:%S".into(),
            maximum_depth: 2,
            separator: "-".into(),
            ..JsonDecoderConfig::default()
        };
        config.field_mappings.severity = "severity".into();
        config.field_mappings.hostname = "hostname".into();
        config.field_mappings.timestamp = "time".into();
        check(
            &config,
            r#"{"hostname":"w","time":"05/07/2014 15:12:24","msg":"m","severity":3,"n1":{"f":{"n2":"v"}}}"#,
            "Timestamp 1399475544000000000\nType json\nHostname w\nSeverity 3\nmsg=m\nn1-f={\"n2\":\"v\"}\n",
        );
    }

    fn all_mapped() -> JsonDecoderConfig {
        JsonDecoderConfig {
            field_mappings: JsonHeaderNames {
                timestamp: "ts".into(),
                uuid: "u".into(),
                r#type: "t".into(),
                logger: "l".into(),
                severity: "s".into(),
                payload: "m".into(),
                env_version: "v".into(),
                pid: "p.id".into(),
                hostname: "h".into(),
            },
            ..JsonDecoderConfig::default()
        }
    }

    #[test]
    fn every_header_can_be_set() {
        check(
            &all_mapped(),
            r#"{"ts":1399475544000000001,"u":"72de6a05-1b99-4a88-84c2-90797624c68f","t":"T","l":"L","s":1,"m":"M","v":0.8,"p":{"id":9},"h":"H"}"#,
            "Timestamp 1399475544000000001\nUuid 72de6a05-1b99-4a88-84c2-90797624c68f\nType T\nLogger L\nHostname H\nEnvVersion 0.8\nSeverity 1\nPid 9\nPayload M\n",
        );
        check(&all_mapped(), r#"{"ts":"2014"}"#, "Timestamp 2014\nType json\n");
        check(&all_mapped(), r#"{"s":"Warning"}"#, "Type json\nSeverity 4\n");
    }

    #[test]
    fn what_does_not_fit_a_header_stays_a_field() {
        check(
            &all_mapped(),
            r#"{"u":"x","t":1,"l":true,"s":1.5,"m":2,"v":false,"p":{"id":99999999999},"h":3}"#,
            "Type json\nu=x\nt=1 double\nl=true bool\ns=1.5 double\nm=2 double\nv=false bool\np.id=99999999999 double\nh=3 double\n",
        );
    }

    #[test]
    fn a_stamp_that_cannot_be_read_is_an_error() {
        for text in [r#"{"ts":"x"}"#, r#"{"ts":true}"#] {
            check(&all_mapped(), text, "error: failed to decode timestamp\n");
        }
    }

    #[test]
    fn numbers_stay_integers_if_asked_for() {
        let config =
            JsonDecoderConfig { numbers: JsonNumbers::Native, ..JsonDecoderConfig::default() };
        check(
            &config,
            r#"{"a":1,"b":-9223372036854775808,"c":1.0,"d":9223372036854775808,"e":1e2}"#,
            "Type json\na=1 integer\nb=-9223372036854775808 integer\nc=1 double\nd=9223372036854776000 double\ne=100 double\n",
        );
    }

    #[test]
    fn the_text_is_kept_if_asked_for() {
        let mut config = all_mapped();
        config.payload_keep = true;
        config.message_type = String::new();
        check(&config, r#"{"a":"\n"}"#, "Payload {\"a\":\"\\n\"}\na=\n\n");
        check(&config, r#"{"m":"x"}"#, "Payload x\n");
    }

    #[test]
    fn what_is_no_json_is_an_error_that_says_where() {
        let config = JsonDecoderConfig::default();
        check(&config, "{\"a\":1,}", "error: expected a name at byte 7\n");
        check(&config, "12", "error: expected an object at byte 0\n");
    }

    #[test]
    fn wrong_options_are_problems() {
        let mut problems = FieldProblems::new();
        JsonDecoderConfig::default().validate(&mut problems);
        assert!(problems.is_empty());
        let config = JsonDecoderConfig { tz: "Nowhere".into(), ..JsonDecoderConfig::default() };
        config.validate(&mut problems);
        assert!(!problems.is_empty());
        assert!(JsonDecoder::compile(&config).is_err());
    }
}
