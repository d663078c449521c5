//! Syslog messages of RFC 3164 and RFC 5424, and lines of the files in `/var/log`.
//!
//! Here: options, and how a message becomes one of ours. Not here: reading (`message`), framing (splitters).

mod message;

use heka_datetime::Location;
use heka_message::{NameId, NameRegistry, RecordBuilder, Value};
use heka_plugin::{
    Decode, DecodeError, Decoder, FieldProblems, Plugin, PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use message::{Accept, Parameter, Parts, Reader, unescape};

/// Bits of a priority that hold the severity.
const SEVERITY_BITS: u32 = 3;

/// A format of syslog messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyslogFormat {
    /// RFC 5424 if a version follows the priority, else RFC 3164.
    #[default]
    Auto,
    /// RFC 3164 only, with or without a priority.
    Rfc3164,
    /// RFC 5424 only.
    Rfc5424,
}

/// Reads syslog messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SyslogDecoderConfig {
    /// Which messages are accepted: `auto`, `rfc3164` or `rfc5424`.
    pub format: SyslogFormat,
    /// Zone of stamps that carry no offset: `UTC`, `Local` or an IANA name such as `Europe/Berlin`.
    pub tz: String,
    /// Type of the messages; empty leaves the input's.
    pub message_type: String,
}

impl Default for SyslogDecoderConfig {
    fn default() -> Self {
        Self { format: SyslogFormat::Auto, tz: "UTC".to_owned(), message_type: String::new() }
    }
}

impl PluginConfig for SyslogDecoderConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        if let Err(error) = Location::parse(&self.tz) {
            problems.error("tz", format!("cannot be used: {error}"));
        }
    }
}

impl Plugin for SyslogDecoder {
    const NAME: &'static str = "SyslogDecoder";
    const PAGE: &'static str = include_str!("syslog_decoder.md");
    type Config = SyslogDecoderConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        Self::compile(config, &context.names)
            .map_err(|error| StartError::because("use the options", error))
    }
}

/// See [`SyslogDecoderConfig`].
#[derive(Debug)]
pub struct SyslogDecoder {
    message_type: String,
    facility: NameId,
    program: NameId,
    process: NameId,
    message_id: NameId,
    reader: Reader,
    scratch: Vec<u8>,
}

impl Decoder for SyslogDecoder {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        let now_ns = record.view().record().timestamp();
        let parts = self.reader.read(data, now_ns).map_err(|fault| {
            DecodeError::at(fault.offset, format!("expected {}", fault.expected))
        })?;
        self.add_headers(&parts, record);
        if let Some(priority) = parts.priority {
            let facility = f64::from(priority >> SEVERITY_BITS);
            record.field(self.facility, Value::Double(facility));
        }
        for (name, text) in [
            (self.program, parts.program),
            (self.process, parts.process),
            (self.message_id, parts.message_id),
        ] {
            if !text.is_empty() {
                record.field(name, Value::Str(text));
            }
        }
        self.add_parameters(data, record)?;
        Ok(Decode::Done)
    }
}

impl SyslogDecoder {
    /// A decoder with these options.
    ///
    /// # Errors
    /// If the zone is not known.
    pub fn compile(config: &SyslogDecoderConfig, names: &NameRegistry) -> Result<Self, ParseError> {
        let location = Location::parse(&config.tz).map_err(ParseError::Zone)?;
        let accept = match config.format {
            SyslogFormat::Auto => Accept::Both,
            SyslogFormat::Rfc3164 => Accept::Classic,
            SyslogFormat::Rfc5424 => Accept::Structured,
        };
        Ok(Self {
            message_type: config.message_type.clone(),
            facility: names.intern(b"syslogfacility"),
            program: names.intern(b"programname"),
            process: names.intern(b"procid"),
            message_id: names.intern(b"msgid"),
            reader: Reader::new(accept, location),
            scratch: Vec::new(),
        })
    }

    fn add_headers(&self, parts: &Parts<'_>, record: &mut RecordBuilder<'_>) {
        record.payload(parts.message);
        if !self.message_type.is_empty() {
            record.message_type(&self.message_type);
        }
        if let Some(priority) = parts.priority {
            record.severity(i32::from(priority & ((1 << SEVERITY_BITS) - 1)));
        }
        if let Some(ns) = parts.stamp {
            record.timestamp(ns);
        }
        if !parts.hostname.is_empty() {
            record.hostname(parts.hostname);
        }
        if let Some(pid) = parts.pid {
            record.pid(pid);
        }
    }

    /// Adds the structured data; values of one name that follow each other become one field.
    fn add_parameters(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<(), DecodeError> {
        let of = |(start, end): (usize, usize)| data.get(start..end).unwrap_or(&[]);
        let mut last = None;
        for &Parameter { id, name, value, escaped } in &self.reader.parameters {
            self.scratch.clear();
            self.scratch.extend_from_slice(of(id));
            if of(name).is_empty() {
                let name_id = record.name_id(&self.scratch);
                record.field(name_id, Value::Bool(true));
                last = None;
                continue;
            }
            self.scratch.push(b'.');
            self.scratch.extend_from_slice(of(name));
            let name_id = record.name_id(&self.scratch);
            let mut text = of(value);
            if escaped {
                self.scratch.clear();
                unescape(text, &mut self.scratch);
                text = &self.scratch;
            }
            if last == Some(name_id) {
                let pushed = record.push_value(Value::Str(text));
                pushed.map_err(|error| DecodeError::new(error.to_string()))?;
            } else {
                record.field(name_id, Value::Str(text));
            }
            last = Some(name_id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{batch_of, decoded_with, lines, real_log};

    fn check(config: &SyslogDecoderConfig, message: &str, expected: &str) {
        let names = NameRegistry::new();
        let mut decoder = SyslogDecoder::compile(config, &names).unwrap();
        let got = decoded_with(&mut decoder, &names, message.as_bytes());
        assert_eq!(got, expected, "{message}");
    }

    #[test]
    fn a_classic_message_is_decoded() {
        check(
            &SyslogDecoderConfig::default(),
            "<34>Feb 10 12:58:58 testhost widget[4322]: test message.\n",
            "Timestamp 1392037138000000000\nHostname testhost\nSeverity 2\nPid 4322\nPayload test message.\nsyslogfacility=4 double\nprogramname=widget\n",
        );
        check(
            &SyslogDecoderConfig::default(),
            "<28>2014-02-10T12:58:59.123456-08:00 h app: m x\n",
            "Timestamp 1392065939123456000\nHostname h\nSeverity 4\nPayload m x\nsyslogfacility=3 double\nprogramname=app\n",
        );
    }

    #[test]
    fn a_zone_shifts_stamps_without_an_offset_only() {
        let config = SyslogDecoderConfig {
            tz: "America/Los_Angeles".into(),
            message_type: "syslog".into(),
            ..Default::default()
        };
        check(
            &config,
            "Feb 10 12:58:58 h app: m",
            "Timestamp 1392065938000000000\nType syslog\nHostname h\nPayload m\nprogramname=app\n",
        );
        check(
            &config,
            "2014-02-10T12:58:59.123456-08:00 h app: m",
            "Timestamp 1392065939123456000\nType syslog\nHostname h\nPayload m\nprogramname=app\n",
        );
    }

    #[test]
    fn structured_data_becomes_fields() {
        check(
            &SyslogDecoderConfig::default(),
            r#"<165>1 2003-10-11T22:14:15.003Z m app main ID47 [a@1 ip="1" ip="2" q="x\"y\]\z"][b] text"#,
            "Timestamp 1065910455003000000\nHostname m\nSeverity 5\nPayload text\nsyslogfacility=20 double\nprogramname=app\nprocid=main\nmsgid=ID47\na@1.ip=1|2\na@1.q=x\"y]\\z\nb=true bool\n",
        );
        check(
            &SyslogDecoderConfig::default(),
            "<0>1 - - - - - -",
            "Severity 0\nsyslogfacility=0 double\n",
        );
    }

    #[test]
    fn a_fault_says_what_and_where() {
        check(
            &SyslogDecoderConfig::default(),
            "no syslog",
            "error: expected priority or time stamp at byte 0\n",
        );
        let config = SyslogDecoderConfig { format: SyslogFormat::Rfc5424, ..Default::default() };
        check(&config, "<1>x", "error: expected priority and version of RFC 5424 at byte 3\n");
    }

    #[test]
    fn every_line_of_real_logs_is_read() {
        for (name, program, pids) in
            [("linux_2k.log", &b"sshd(pam_unix)"[..], 1_000), ("openssh_2k.log", b"sshd", 2_000)]
        {
            let Some(log) = real_log(name) else { return };
            let names = NameRegistry::new();
            let config = SyslogDecoderConfig::default();
            let mut decoder = SyslogDecoder::compile(&config, &names).unwrap();
            let (mut messages, mut with_pid, mut of_program) = (0, 0, 0);
            for line in lines(&log) {
                let batch = batch_of(&mut decoder, &names, line).unwrap();
                let record = batch.record(0).unwrap();
                assert!(!record.hostname().is_empty() && !record.payload().is_empty());
                assert!(line.ends_with(record.payload()) || line.ends_with(b"\r"));
                let found = record.field_named(b"programname").and_then(|field| field.first());
                of_program += u32::from(found == Some(Value::Str(program)));
                with_pid += u32::from(record.pid() > 0);
                messages += 1;
            }
            assert_eq!(messages, 2_000, "{name}");
            assert!(with_pid >= pids && of_program > 600, "{name} {with_pid} {of_program}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(
            head in "(<[0-9]{0,4}>)?(1 )?(- |Feb 10 12:58:58 |2003-10-11T22:14:15Z ){0,3}",
            rest in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let names = NameRegistry::new();
            let mut decoder = SyslogDecoder::compile(&SyslogDecoderConfig::default(), &names).unwrap();
            let got = decoded_with(&mut decoder, &names, &[head.as_bytes(), &rest].concat());
            prop_assert!(got.is_empty() || got.ends_with('\n'));
        }
    }
}
