//! Messages as JSON, one object a line.
//!
//! Here: options, and which members an object has. Not here: how values are written (`write`), Elasticsearch's bulk
//! format.

mod write;

use heka_datetime::{Location, Rfc3339Writer, Strftime, StrftimeCache};
use heka_message::{Field, NameId, NameRegistry, Record, Value, Variables};
use heka_plugin::{
    Encode, EncodeBuffer, EncodeError, Encoder, FieldProblems, Plugin, PluginConfig, StartContext,
    StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::number::write_integer;
use write::{write_bytes, write_double, write_text};

/// What a field is called whose name is that of another member, in a flat object.
const CLASH_PREFIX: &[u8] = b"Fields.";

/// Where an object has the fields of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JsonLayout {
    /// In an object of their own.
    #[default]
    Nested,
    /// Beside the headers.
    Flat,
}

/// What the members are called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub struct JsonMemberNames {
    /// Name of the member for Uuid.
    pub uuid: String,
    /// Name of the member for Timestamp.
    pub timestamp: String,
    /// Name of the member for Type.
    pub r#type: String,
    /// Name of the member for Logger.
    pub logger: String,
    /// Name of the member for Severity.
    pub severity: String,
    /// Name of the member for Payload.
    pub payload: String,
    /// Name of the member for EnvVersion.
    pub env_version: String,
    /// Name of the member for Pid.
    pub pid: String,
    /// Name of the member for Hostname.
    pub hostname: String,
    /// Name of the member that holds the fields, in the nested layout.
    pub fields: String,
}

impl Default for JsonMemberNames {
    fn default() -> Self {
        Self {
            uuid: "Uuid".to_owned(),
            timestamp: "Timestamp".to_owned(),
            r#type: "Type".to_owned(),
            logger: "Logger".to_owned(),
            severity: "Severity".to_owned(),
            payload: "Payload".to_owned(),
            env_version: "EnvVersion".to_owned(),
            pid: "Pid".to_owned(),
            hostname: "Hostname".to_owned(),
            fields: "Fields".to_owned(),
        }
    }
}

/// Writes messages as JSON, one object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JsonEncoderConfig {
    /// The members of an object and their order: Uuid, Timestamp, Type, Logger, Severity, Payload, EnvVersion, Pid,
    /// Hostname, Fields, in any case.
    pub fields: Vec<String>,
    /// What the members are called.
    pub field_mappings: JsonMemberNames,
    /// Where the fields of a message go: `nested` or `flat`.
    pub layout: JsonLayout,
    /// Names of the fields that are written; empty means all.
    pub dynamic_fields: Vec<String>,
    /// How Timestamp is written, in universal time: a strftime format; empty means RFC 3339 with up to nine digits of
    /// fraction.
    pub timestamp: String,
}

impl Default for JsonEncoderConfig {
    fn default() -> Self {
        Self {
            fields: Member::ALL.iter().map(|member| format!("{member:?}")).collect(),
            field_mappings: JsonMemberNames::default(),
            layout: JsonLayout::Nested,
            dynamic_fields: Vec::new(),
            timestamp: String::new(),
        }
    }
}

impl PluginConfig for JsonEncoderConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        for name in &self.fields {
            if let Err(error) = Member::parse(name) {
                problems.error("fields", format!("cannot be used: {error}"));
            }
        }
        let has_fields =
            self.fields.iter().any(|name| matches!(Member::parse(name), Ok(Member::Fields)));
        let useless = !self.dynamic_fields.is_empty() && !has_fields;
        problems.require(!useless, "dynamic_fields", "needs Fields among the fields");
    }
}

impl Plugin for JsonEncoder {
    const NAME: &'static str = "JsonEncoder";
    const PAGE: &'static str = include_str!("json_encoder.md");
    type Config = JsonEncoderConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        Self::compile(config, &context.names)
            .map_err(|error| StartError::because("use the options", error))
    }
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Uuid,
    Timestamp,
    Type,
    Logger,
    Severity,
    Payload,
    EnvVersion,
    Pid,
    Hostname,
    Fields,
}

impl Member {
    const ALL: [Self; 10] = [
        Self::Uuid,
        Self::Timestamp,
        Self::Type,
        Self::Logger,
        Self::Severity,
        Self::Payload,
        Self::EnvVersion,
        Self::Pid,
        Self::Hostname,
        Self::Fields,
    ];

    fn parse(name: &str) -> Result<Self, ParseError> {
        // Heka's name for the fields, from its encoder for Elasticsearch.
        if name.eq_ignore_ascii_case("DynamicFields") {
            return Ok(Self::Fields);
        }
        let same = |member: &&Self| name.eq_ignore_ascii_case(&format!("{member:?}"));
        let found = Self::ALL.iter().find(same).copied();
        found.ok_or_else(|| ParseError::Member { name: name.to_owned() })
    }

    fn name_in(self, names: &JsonMemberNames) -> &str {
        match self {
            Self::Uuid => &names.uuid,
            Self::Timestamp => &names.timestamp,
            Self::Type => &names.r#type,
            Self::Logger => &names.logger,
            Self::Severity => &names.severity,
            Self::Payload => &names.payload,
            Self::EnvVersion => &names.env_version,
            Self::Pid => &names.pid,
            Self::Hostname => &names.hostname,
            Self::Fields => &names.fields,
        }
    }
}

/// See [`JsonEncoderConfig`].
#[derive(Debug)]
pub struct JsonEncoder {
    /// Each with its name as it is written: in quotes, with the colon.
    members: Vec<(Member, Vec<u8>)>,
    stamps: StampWriter,
    fields: FieldWriter,
}

/// Writes time stamps.
#[derive(Debug)]
enum StampWriter {
    Rfc3339(Rfc3339Writer),
    Format(Strftime, StrftimeCache, Vec<u8>),
}

/// Writes the fields of messages.
#[derive(Debug)]
struct FieldWriter {
    layout: JsonLayout,
    /// Whether a global name is to be written; empty means all names are.
    wanted: Vec<bool>,
    /// Member names that fields may not take.
    taken: Vec<Vec<u8>>,
    /// Global names as they are written; empty: not known yet.
    keys: Vec<Vec<u8>>,
    seen: Seen,
}

/// Which names a record had already.
#[derive(Debug, Default)]
struct Seen {
    round: u32,
    global: Vec<u32>,
    local: Vec<u32>,
}

impl Encoder for JsonEncoder {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        self.write(record, out.bytes());
        Ok(Encode::Done)
    }
}

impl JsonEncoder {
    /// An encoder with these options.
    ///
    /// # Errors
    /// If a member is not known.
    pub fn compile(config: &JsonEncoderConfig, names: &NameRegistry) -> Result<Self, ParseError> {
        let mut members = Vec::new();
        let mut taken = Vec::new();
        for name in &config.fields {
            let member = Member::parse(name)?;
            let shown = member.name_in(&config.field_mappings).as_bytes();
            let mut key = Vec::new();
            write_key(shown, &mut key);
            members.push((member, key));
            if member != Member::Fields && config.layout == JsonLayout::Flat {
                taken.push(shown.to_vec());
            }
        }
        let mut wanted = Vec::new();
        for name in &config.dynamic_fields {
            let index = names.intern(name.as_bytes()).index();
            if wanted.len() <= index {
                wanted.resize(index + 1, false);
            }
            wanted[index] = true;
        }
        let stamps = match config.timestamp.as_str() {
            "" => StampWriter::Rfc3339(Rfc3339Writer::default()),
            format => {
                StampWriter::Format(Strftime::parse(format), StrftimeCache::default(), Vec::new())
            }
        };
        let (keys, seen) = (Vec::new(), Seen::default());
        let fields = FieldWriter { layout: config.layout, wanted, taken, keys, seen };
        Ok(Self { members, stamps, fields })
    }

    /// Appends a record and a newline.
    pub fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        let start = out.len();
        for (member, key) in &self.members {
            match member {
                Member::Uuid => {
                    if let Some(uuid) = record.uuid() {
                        write_member(key, out, |out| {
                            out.push(b'"');
                            out.extend_from_slice(&uuid.text());
                            out.push(b'"');
                        });
                    }
                }
                Member::Timestamp if record.is_set(Variables::TIMESTAMP) => {
                    let stamps = &mut self.stamps;
                    write_member(key, out, |out| stamps.write(record.timestamp(), out));
                }
                Member::Severity if record.is_set(Variables::SEVERITY) => {
                    write_number(key, record.severity(), out);
                }
                Member::Pid if record.pid() != 0 => write_number(key, record.pid(), out),
                Member::Timestamp | Member::Severity | Member::Pid => {}
                Member::Type => write_header(key, record.message_type(), out),
                Member::Logger => write_header(key, record.logger(), out),
                Member::Payload => write_header(key, record.payload(), out),
                Member::EnvVersion => write_header(key, record.env_version(), out),
                Member::Hostname => write_header(key, record.hostname(), out),
                Member::Fields => self.fields.write(key, record, out),
            }
        }
        close(start, out);
        out.push(b'\n');
    }
}

impl StampWriter {
    fn write(&mut self, ns: i64, out: &mut Vec<u8>) {
        match self {
            Self::Rfc3339(writer) => {
                out.push(b'"');
                writer.write(ns, out);
                out.push(b'"');
            }
            Self::Format(format, cache, scratch) => {
                scratch.clear();
                format.format_cached(ns, &Location::utc(), cache, scratch);
                write_text(scratch, out);
            }
        }
    }
}

impl FieldWriter {
    fn write(&mut self, key: &[u8], record: &Record<'_>, out: &mut Vec<u8>) {
        let before = out.len();
        if self.layout == JsonLayout::Nested {
            out.extend_from_slice(key);
            out.push(b'{');
        }
        let start = out.len();
        if self.seen.any_repeats(record) {
            self.write_merged(record, out);
        } else {
            for field in record.fields() {
                if self.wants(field.name_id()) {
                    self.write_key(&field, out);
                    write_values(&[field], out);
                    out.push(b',');
                }
            }
        }
        if self.layout == JsonLayout::Flat {
            return;
        }
        if out.len() == start {
            out.truncate(before);
            return;
        }
        close(start, out);
        out.push(b',');
    }

    /// Writes fields of which some have one name; such ones are written where the first of them stands.
    fn write_merged(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let fields: Vec<Field<'_>> =
            record.fields().filter(|field| self.wants(field.name_id())).collect();
        let name_of = |&index: &usize| fields[index].name_id();
        let mut order: Vec<usize> = (0..fields.len()).collect();
        order.sort_by_key(|index| (name_of(index), *index));
        let mut groups: Vec<&[usize]> =
            order.chunk_by(|one, other| name_of(one) == name_of(other)).collect();
        groups.sort_by_key(|group| group.first());
        for group in groups {
            let same: Vec<Field<'_>> = group.iter().map(|&index| fields[index]).collect();
            if let Some(first) = same.first() {
                self.write_key(first, out);
            }
            write_values(&same, out);
            out.push(b',');
        }
    }

    fn wants(&self, name: NameId) -> bool {
        self.wanted.is_empty() || name.is_global() && self.wanted.get(name.index()) == Some(&true)
    }

    fn write_key(&mut self, field: &Field<'_>, out: &mut Vec<u8>) {
        let name = field.name_id();
        if !name.is_global() {
            return write_field_key(&self.taken, field.name(), out);
        }
        if self.keys.len() <= name.index() {
            self.keys.resize(name.index() + 1, Vec::new());
        }
        let key = &mut self.keys[name.index()];
        if key.is_empty() {
            write_field_key(&self.taken, field.name(), key);
        }
        out.extend_from_slice(key);
    }
}

impl Seen {
    /// True if two fields of the record have one name.
    fn any_repeats(&mut self, record: &Record<'_>) -> bool {
        if record.field_count() < 2 {
            return false;
        }
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.global.clear();
            self.local.clear();
            self.round = 1;
        }
        let round = self.round;
        record.fields().any(|field| {
            let name = field.name_id();
            let rounds = if name.is_global() { &mut self.global } else { &mut self.local };
            if rounds.len() <= name.index() {
                rounds.resize(name.index() + 1, 0);
            }
            std::mem::replace(&mut rounds[name.index()], round) == round
        })
    }
}

fn write_key(name: &[u8], out: &mut Vec<u8>) {
    write_text(name, out);
    out.push(b':');
}

fn write_field_key(taken: &[Vec<u8>], name: &[u8], out: &mut Vec<u8>) {
    if taken.iter().any(|taken| taken == name) {
        return write_key(&[CLASH_PREFIX, name].concat(), out);
    }
    write_key(name, out);
}

fn write_member(key: &[u8], out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(key);
    value(out);
    out.push(b',');
}

fn write_header(key: &[u8], text: &[u8], out: &mut Vec<u8>) {
    if !text.is_empty() {
        write_member(key, out, |out| write_text(text, out));
    }
}

fn write_number(key: &[u8], number: i32, out: &mut Vec<u8>) {
    write_member(key, out, |out| write_integer(i64::from(number), out));
}

/// Writes the values of fields of one name: one as it is, several as an array, none as `null`.
fn write_values(fields: &[Field<'_>], out: &mut Vec<u8>) {
    if let [field] = fields
        && field.len() <= 1
    {
        return match field.first() {
            Some(value) => write_value(value, out),
            None => out.extend_from_slice(b"null"),
        };
    }
    out.push(b'[');
    let start = out.len();
    for value in fields.iter().flat_map(|field| field.values()) {
        write_value(value, out);
        out.push(b',');
    }
    if out.len() > start {
        out.pop();
    }
    out.push(b']');
}

fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Str(text) => write_text(text, out),
        Value::Bytes(bytes) => write_bytes(bytes, out),
        Value::Int(number) => write_integer(number, out),
        Value::Double(number) => write_double(number, out),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
    }
}

/// Ends an object whose members, each with a comma, begin at `start`.
fn close(start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.pop();
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heka_message::{Batch, BatchBuilder, Buffer, Envelope, RecordBuilder, ValueType};

    use super::*;

    /// A batch of one message that `fill` fills.
    fn batch(names: &NameRegistry, fill: impl FnOnce(&mut RecordBuilder<'_>)) -> Batch {
        let envelope = Arc::new(Envelope::default());
        let mut builder = BatchBuilder::new(names.snapshot(), envelope, Buffer::empty(), 0);
        let mut record = builder.record();
        fill(&mut record);
        record.commit().unwrap();
        builder.finish()
    }

    fn encoded(config: &JsonEncoderConfig, fill: impl FnOnce(&mut RecordBuilder<'_>)) -> String {
        let names = NameRegistry::new();
        names.intern(b"status");
        let mut encoder = JsonEncoder::compile(config, &names).unwrap();
        let batch = batch(&names, fill);
        let mut out = b"before".to_vec();
        encoder.write(&batch.record(0).unwrap(), &mut out);
        let mut again = b"before".to_vec();
        encoder.write(&batch.record(0).unwrap(), &mut again);
        assert_eq!(out, again, "what is remembered changes nothing");
        let line = String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned();
        assert!(sonic_rs::from_str::<sonic_rs::Value>(&line).is_ok(), "{line}");
        line
    }

    fn example(record: &mut RecordBuilder<'_>) {
        record.uuid(b"\x87\xcf\x1a\xc2\xe8\x10\x4d\xdf\xa0\x2d\xa5\xce\x44\xd1\x3a\x85");
        record.timestamp(1_373_989_745_000_000_000).message_type("TEST").logger("GoSpec");
        record.severity(6).payload("say \"hi\"\n").env_version("0.8").pid(14_098);
        record.hostname("Host.A");
        let name = record.name_id(b"a.b");
        record.field(name, Value::Str(b"x/y"));
        let name = record.name_id(b"n");
        record.field_with(name, b"count", Value::Int(22));
        record.push_value(Value::Int(80)).unwrap();
        let name = record.name_id(b"d");
        record.field(name, Value::Double(1e6));
        let name = record.name_id(b"ok");
        record.field(name, Value::Bool(true));
        let name = record.name_id(b"raw");
        record.field(name, Value::Bytes(b"\xff"));
    }

    #[test]
    fn a_message_is_written_whole() {
        assert_eq!(
            encoded(&JsonEncoderConfig::default(), example),
            concat!(
                r#"{"Uuid":"87cf1ac2-e810-4ddf-a02d-a5ce44d13a85","Timestamp":"2013-07-16T15:49:05Z","#,
                r#""Type":"TEST","Logger":"GoSpec","Severity":6,"Payload":"say \"hi\"\n","EnvVersion":"0.8","#,
                r#""Pid":14098,"Hostname":"Host.A","Fields":{"a.b":"x/y","n":[22,80],"d":1000000,"ok":true,"#,
                "\"raw\":\"/w==\"}}\n"
            )
        );
    }

    #[test]
    fn what_is_not_set_is_left_out() {
        let config = JsonEncoderConfig {
            fields: vec!["Severity".into(), "type".into(), "PID".into(), "DynamicFields".into()],
            ..JsonEncoderConfig::default()
        };
        assert_eq!(encoded(&config, |_| {}), "{}\n");
        assert_eq!(encoded(&config, |record| _ = record.severity(7)), "{\"Severity\":7}\n");
    }

    #[test]
    fn members_and_their_names_can_be_chosen() {
        let mut config = JsonEncoderConfig {
            fields: vec!["Timestamp".into(), "severity".into(), "Fields".into()],
            dynamic_fields: vec!["n".into(), "status".into()],
            timestamp: "%Y-%m-%dT%H:%M:%S.000Z".into(),
            ..JsonEncoderConfig::default()
        };
        config.field_mappings.timestamp = "@timestamp".into();
        config.field_mappings.severity = "level".into();
        config.field_mappings.fields = "f".into();
        let expected =
            "{\"@timestamp\":\"2013-07-16T15:49:05.000Z\",\"level\":6,\"f\":{\"n\":[22,80]}}\n";
        assert_eq!(encoded(&config, example), expected);
        config.layout = JsonLayout::Flat;
        config.fields.rotate_right(1);
        let expected = "{\"n\":[22,80],\"@timestamp\":\"2013-07-16T15:49:05.000Z\",\"level\":6}\n";
        assert_eq!(encoded(&config, example), expected);
    }

    #[test]
    fn fields_of_one_name_become_an_array() {
        let config = JsonEncoderConfig {
            fields: vec!["Fields".into()],
            layout: JsonLayout::Flat,
            ..JsonEncoderConfig::default()
        };
        let line = encoded(&config, |record| {
            for (name, value) in [("x", 1), ("status", 2), ("x", 3), ("status", 4), ("y", 5)] {
                let name = record.name_id(name.as_bytes());
                record.field(name, Value::Int(value));
            }
            let name = record.name_id(b"x");
            record.field(name, Value::Str(b"six"));
        });
        assert_eq!(line, "{\"x\":[1,3,\"six\"],\"status\":[2,4],\"y\":5}\n");
    }

    #[test]
    fn fields_without_values_are_null_alone_and_nothing_among_others() {
        let config =
            JsonEncoderConfig { fields: vec!["Fields".into()], ..JsonEncoderConfig::default() };
        let line = encoded(&config, |record| {
            let name = record.name_id(b"none");
            record.empty_field(name, b"", ValueType::Integer);
            let name = record.name_id(b"status");
            record.empty_field(name, b"", ValueType::String);
            record.field(name, Value::Double(f64::NAN));
        });
        assert_eq!(line, "{\"Fields\":{\"none\":null,\"status\":[null]}}\n");
    }

    #[test]
    fn a_flat_field_does_not_take_the_name_of_a_header() {
        let config = JsonEncoderConfig {
            fields: vec!["Type".into(), "Fields".into()],
            layout: JsonLayout::Flat,
            ..JsonEncoderConfig::default()
        };
        let line = encoded(&config, |record| {
            record.message_type("t");
            let name = record.name_id(b"Type");
            record.field(name, Value::Int(1));
            let name = record.name_id(b"Logger");
            record.field(name, Value::Int(2));
        });
        assert_eq!(line, "{\"Type\":\"t\",\"Fields.Type\":1,\"Logger\":2}\n");
    }

    #[test]
    fn wrong_options_are_problems() {
        let mut config = JsonEncoderConfig::default();
        let check = |config: &JsonEncoderConfig| {
            let mut problems = FieldProblems::new();
            config.validate(&mut problems);
            problems.is_empty()
        };
        assert!(check(&config));
        config.fields = vec!["Type".into()];
        config.dynamic_fields = vec!["x".into()];
        assert!(!check(&config));
        config.fields = vec!["Fields".into(), "Typo".into()];
        assert!(!check(&config));
        let error = JsonEncoder::compile(&config, &NameRegistry::new()).unwrap_err();
        assert_eq!(error.to_string(), "no member of a message is called \"Typo\"");
    }
}
