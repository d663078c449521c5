//! The shipped decoders over real logs: what they make of them is written down in `testdata/real`.
//!
//! Run with `UPDATE_EXPECT=1`, the files are written anew; read them before they are committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use heka_message::{BatchBuilder, Buffer, Envelope, NameRegistry, Record};
use heka_sandbox::{ConfigValue, Kind, Outcome, Sandbox, Script, Settings, embedded};

use crate::harness::{Draft, World};

/// Where the real logs lie, unless a variable of the environment says otherwise.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
/// Messages that are shown in full.
const SHOWN: usize = 3;

#[allow(clippy::print_stdout, reason = "says what is skipped")]
fn real_log(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var("HEKA_TEST_DATA").unwrap_or_else(|_| DATA.to_owned());
    let path = std::path::Path::new(&folder).join(name);
    let log = std::fs::read(&path).ok();
    if log.is_none() {
        println!("skipped: there is no {}", path.display());
    }
    log
}

fn names() -> BatchBuilder {
    let envelope = Arc::new(Envelope::new("in"));
    BatchBuilder::new(NameRegistry::new().snapshot(), envelope, Buffer::empty(), 1)
}

/// A message, without what depends on the time of the test: its id, and a time whose year is guessed.
fn shown(message: &[u8], with_time: bool) -> String {
    let mut builder = names();
    let mut record = builder.record();
    heka_wire::decode_message(message, &mut record).unwrap();
    record.commit().unwrap();
    let text = |record: Record<'_>| {
        let payload = String::from_utf8_lossy(record.payload()).into_owned();
        let kind = String::from_utf8_lossy(record.message_type()).into_owned();
        let time = if with_time { record.timestamp() } else { 0 };
        let field = |field: heka_message::Field<'_>| {
            let unit = String::from_utf8_lossy(field.representation()).into_owned();
            let values = field.values().map(|value| match value.as_bytes() {
                Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                None => format!("{value:?}"),
            });
            let values: Vec<String> = values.collect();
            format!("\n  {}={} {unit}", String::from_utf8_lossy(field.name()), values.join(", "))
        };
        let mut fields: Vec<String> = record.fields().map(field).collect();
        fields.sort();
        format!("{kind} {time} {payload}{}\n", fields.concat())
    };
    text(builder.committed(0).unwrap())
}

/// FNV-1a: tells whether any message differs.
fn digest(text: &str, digest: u64) -> u64 {
    text.bytes()
        .fold(digest, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

struct Case {
    name: &'static str,
    log: &'static str,
    script: &'static str,
    config: &'static [(&'static str, &'static str)],
    with_time: bool,
}

fn summary(case: &Case, log: &[u8]) -> String {
    let value = |text: &str| ConfigValue::Text(text.as_bytes().into());
    let config = case.config.iter().map(|(key, text)| (key.as_bytes().into(), value(text)));
    let settings = Settings { config: config.collect(), ..Settings::new(Kind::Decoder, "tested") };
    let source = embedded(case.script).unwrap().into();
    let script = Script { name: case.script.to_owned(), source };
    let mut world = World::default();
    let mut sandbox = Sandbox::start(&settings, &script, None, &mut world).unwrap();
    let (mut refused, mut first_refused) = (BTreeMap::<String, u32>::new(), None);
    for line in log.split_inclusive(|&byte| byte == b'\n') {
        let mut builder = names();
        let mut record = builder.record();
        record.payload(line);
        let mut draft = Draft { record: &mut record, world: &mut world };
        match sandbox.process_message(None, &mut draft) {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Refused { text, .. }) => {
                *refused.entry(text).or_default() += 1;
                first_refused.get_or_insert_with(|| String::from_utf8_lossy(line).into_owned());
            }
            Err(ended) => panic!("{}: {}", case.name, ended.text()),
        }
    }
    let messages: Vec<String> =
        world.messages.iter().map(|message| shown(message, case.with_time)).collect();
    let all = messages.iter().fold(0xcbf2_9ce4_8422_2325, |all, text| digest(text, all));
    let mut text = format!("messages {}\ndigest {all:016x}\nrefused {refused:?}\n", messages.len());
    if let Some(line) = first_refused {
        text.push_str(&format!("first refused: {}\n", line.trim_end()));
    }
    messages.iter().take(SHOWN).for_each(|message| text.push_str(message));
    text
}

fn check(case: &Case) {
    let Some(log) = real_log(case.log) else { return };
    let found = summary(case, &log);
    let path = format!("{}/testdata/real/{}.txt", env!("CARGO_MANIFEST_DIR"), case.name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{}", case.name);
}

#[test]
fn web_requests_are_decoded() {
    check(&Case {
        name: "apache_access",
        log: "access_combined.log",
        script: "lua_decoders/apache_access.lua",
        config: &[
            ("log_format", r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i""#),
            ("type", "combined"),
            ("user_agent_transform", "true"),
        ],
        with_time: true,
    });
    check(&Case {
        name: "nginx_access",
        log: "access_combined.log",
        script: "lua_decoders/nginx_access.lua",
        config: &[
            (
                "log_format",
                r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
            ),
            ("type", "combined"),
        ],
        with_time: true,
    });
}

#[test]
fn system_logs_are_decoded() {
    for (name, log) in [("rsyslog_linux", "linux_2k.log"), ("rsyslog_openssh", "openssh_2k.log")] {
        check(&Case {
            name,
            log,
            script: "lua_decoders/rsyslog.lua",
            config: &[
                ("template", r"%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\n"),
                ("type", "syslog"),
            ],
            with_time: false,
        });
    }
}
