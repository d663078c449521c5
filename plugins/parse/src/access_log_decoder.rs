//! Access logs of nginx and Apache: any `log_format`, compiled once.
//!
//! Here: options, named formats, and how a line becomes a message. Not here: the two format languages (`nginx`,
//! `apache`), their common form (`program`) and running it (`read`).

mod apache;
mod host;
mod nginx;
mod program;
mod read;
mod user_agent;

use heka_message::{NameId, NameRegistry, RecordBuilder, Value};
use heka_plugin::{
    Decode, DecodeError, Decoder, FieldProblems, Plugin, PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use program::Program;
use read::{Capture, Captures, Mismatch, Part, Reader};
use user_agent::UserAgents;

/// Formats that have a name, for nginx.
const NGINX_NAMED: [(&str, &str); 3] = [
    (
        "combined",
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
    ),
    ("common", r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent"#),
    (
        "main",
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for""#,
    ),
];

/// Formats that have a name, for Apache.
const APACHE_NAMED: [(&str, &str); 4] = [
    ("combined", r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#),
    ("common", r#"%h %l %u %t "%r" %>s %b"#),
    ("main", r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" "%{X-Forwarded-For}i""#),
    ("vhost_combined", r#"%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#),
];

/// The field that user agents are taken from.
const USER_AGENT: &str = "http_user_agent";

/// The language that a log format is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessLogFormat {
    /// nginx if it has a `$variable`, else Apache; named formats accept lines of both.
    #[default]
    Auto,
    /// nginx's `log_format`.
    Nginx,
    /// Apache's `LogFormat`.
    Apache,
}

/// Reads lines of web servers' access logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLogDecoderConfig {
    /// The format as the web server's own configuration has it, or one of the names `combined`, `common`, `main` and
    /// `vhost_combined`.
    pub log_format: String,
    /// The language of `log_format`: `auto`, `nginx` or `apache`.
    pub format: AccessLogFormat,
    /// Type of the messages; empty leaves the input's.
    pub message_type: String,
    /// Replaces the field `http_user_agent` by `user_agent_browser`, `user_agent_version` and `user_agent_os`.
    pub user_agent_transform: bool,
    /// With `user_agent_transform`: keeps `http_user_agent` too.
    pub user_agent_keep: bool,
    /// With `user_agent_transform`: keeps `http_user_agent` where no browser was recognised.
    pub user_agent_conditional: bool,
    /// Keeps the line as Payload.
    pub payload_keep: bool,
}

impl Default for AccessLogDecoderConfig {
    fn default() -> Self {
        Self {
            log_format: "combined".to_owned(),
            format: AccessLogFormat::default(),
            message_type: String::new(),
            user_agent_transform: false,
            user_agent_keep: false,
            user_agent_conditional: false,
            payload_keep: false,
        }
    }
}

impl PluginConfig for AccessLogDecoderConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        if let Err(error) = compile(&self.log_format, self.format) {
            problems.error("log_format", format!("cannot be used: {error}"));
        }
        for (set, key) in [
            (self.user_agent_keep, "user_agent_keep"),
            (self.user_agent_conditional, "user_agent_conditional"),
        ] {
            if set && !self.user_agent_transform {
                problems.warn(key, "has no effect without user_agent_transform");
            }
        }
    }
}

impl Plugin for AccessLogDecoder {
    const NAME: &'static str = "AccessLogDecoder";
    const PAGE: &'static str = include_str!("access_log_decoder.md");
    type Config = AccessLogDecoderConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        Self::compile(config, &context.names)
            .map_err(|error| StartError::because("compile log_format", error))
    }
}

/// See [`AccessLogDecoderConfig`].
#[derive(Debug)]
pub struct AccessLogDecoder {
    config: AccessLogDecoderConfig,
    program: Program,
    slots: Vec<Slot>,
    user_agent: Option<AgentRule>,
    captures: Captures,
    reader: Reader,
}

/// A field of the messages.
#[derive(Debug)]
struct Slot {
    name: NameId,
    representation: &'static str,
}

/// What is made of the user agent.
#[derive(Debug)]
struct AgentRule {
    slot: usize,
    agents: UserAgents,
    browser: NameId,
    version: NameId,
    os: NameId,
}

impl Decoder for AccessLogDecoder {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        let now_ns = record.view().record().timestamp();
        self.reader
            .read(&self.program, data, now_ns, &mut self.captures)
            .map_err(|mismatch| self.mismatch(mismatch))?;
        if !self.config.payload_keep {
            record.payload(b"");
        }
        if let Some(ns) = self.captures.stamp {
            record.timestamp(ns);
        }
        if !self.config.message_type.is_empty() {
            record.message_type(&self.config.message_type);
        }
        for (index, (slot, capture)) in self.slots.iter().zip(&self.captures.slots).enumerate() {
            if self.keeps(index, *capture, data, record) {
                self.add_field(slot, *capture, data, record)?;
            }
        }
        Ok(Decode::Done)
    }
}

impl AccessLogDecoder {
    /// A decoder with these options.
    ///
    /// # Errors
    /// If the format cannot be compiled.
    pub fn compile(
        config: &AccessLogDecoderConfig,
        names: &NameRegistry,
    ) -> Result<Self, ParseError> {
        let program = compile(&config.log_format, config.format)?;
        let slots = program.slots.iter().map(|slot| Slot {
            name: names.intern(slot.name.as_bytes()),
            representation: slot.representation,
        });
        let slots: Vec<Slot> = slots.collect();
        let agent_slot = program.slots.iter().position(|slot| &*slot.name == USER_AGENT);
        let user_agent = agent_slot.filter(|_| config.user_agent_transform).map(|slot| AgentRule {
            slot,
            agents: UserAgents::new(),
            browser: names.intern(b"user_agent_browser"),
            version: names.intern(b"user_agent_version"),
            os: names.intern(b"user_agent_os"),
        });
        let (captures, reader) = (Captures::default(), Reader::default());
        Ok(Self { program, slots, user_agent, captures, reader, config: config.clone() })
    }

    fn mismatch(&self, mismatch: Mismatch) -> DecodeError {
        let expected = self.program.expected(mismatch.step);
        DecodeError::at(mismatch.offset, format!("expected {expected}"))
    }

    fn add_field(
        &self,
        slot: &Slot,
        capture: Capture,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<(), DecodeError> {
        let representation = slot.representation.as_bytes();
        match capture {
            Capture::Absent => {}
            Capture::Text(part) => {
                record.field(slot.name, Value::Str(part_of(data, part)));
            }
            Capture::Host(part, kind) => {
                let value = Value::Str(part_of(data, part));
                record.field_with(slot.name, kind.representation(), value);
            }
            Capture::Number(number) => {
                record.field_with(slot.name, representation, Value::Double(number));
            }
            Capture::List(first, count) => {
                let items = self.captures.items.get(first..first + count).unwrap_or(&[]);
                let mut values = items.iter().filter_map(|&item| value_of(item, data));
                if let Some(value) = values.next() {
                    record.field_with(slot.name, representation, value);
                }
                for value in values {
                    record
                        .push_value(value)
                        .map_err(|error| DecodeError::new(error.to_string()))?;
                }
            }
        }
        Ok(())
    }

    /// Adds what the field tells if it is the user agent; whether to add the field too.
    fn keeps(
        &self,
        index: usize,
        capture: Capture,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> bool {
        let Some(rule) = self.user_agent.as_ref().filter(|rule| rule.slot == index) else {
            return true;
        };
        let Capture::Text(part) = capture else { return true };
        let found = rule.agents.recognise(part_of(data, part));
        if let Some(browser) = found.browser {
            record.field(rule.browser, browser.into());
        }
        if let Some(version) = found.version {
            record.field(rule.version, Value::Double(version));
        }
        if let Some(os) = found.os {
            record.field(rule.os, os.into());
        }
        self.config.user_agent_keep || self.config.user_agent_conditional && found.browser.is_none()
    }
}

fn part_of(data: &[u8], (start, end): Part) -> &[u8] {
    data.get(start..end).unwrap_or(&[])
}

fn value_of(capture: Capture, data: &[u8]) -> Option<Value<'_>> {
    match capture {
        Capture::Text(part) => Some(Value::Str(part_of(data, part))),
        Capture::Number(number) => Some(Value::Double(number)),
        Capture::Absent | Capture::Host(..) | Capture::List(..) => None,
    }
}

/// Compiles a format or a named one.
fn compile(log_format: &str, format: AccessLogFormat) -> Result<Program, ParseError> {
    let named = |list: &[(&'static str, &'static str)]| {
        list.iter().find(|(name, _)| *name == log_format).map(|&(_, written)| written)
    };
    match format {
        AccessLogFormat::Nginx => nginx::compile(named(&NGINX_NAMED).unwrap_or(log_format)),
        AccessLogFormat::Apache => apache::compile(named(&APACHE_NAMED).unwrap_or(log_format)),
        // Apache's forms of the named formats read nginx's lines too.
        AccessLogFormat::Auto => match named(&APACHE_NAMED) {
            Some(written) => apache::compile(written),
            None if has_variable(log_format) => nginx::compile(log_format),
            None if log_format.contains('%') => apache::compile(log_format),
            None => Err(ParseError::NoVariable),
        },
    }
}

fn has_variable(log_format: &str) -> bool {
    log_format.as_bytes().windows(2).any(|pair| {
        pair[0] == b'$' && (pair[1].is_ascii_alphanumeric() || matches!(pair[1], b'_' | b'{'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{NOW, batch_of, decoded_with, lines, real_log};

    fn config(log_format: &str) -> AccessLogDecoderConfig {
        AccessLogDecoderConfig { log_format: log_format.to_owned(), ..Default::default() }
    }

    fn check(config: &AccessLogDecoderConfig, line: &str, expected: &str) {
        let names = NameRegistry::new();
        let mut decoder = AccessLogDecoder::compile(config, &names).unwrap();
        for _ in 0..2 {
            let got = decoded_with(&mut decoder, &names, line.as_bytes());
            assert_eq!(got, expected, "{} <- {line}", config.log_format);
        }
    }

    /// A line of this one variable.
    fn check_one(variable: &str, text: &str, expected: &str) {
        check(&config(variable), text, expected);
    }

    const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
    const LINE: &str = r#"127.0.0.1 - - [10/Feb/2014:08:46:41 -0800] "GET / HTTP/1.1" 304 0 "-" "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0""#;

    #[test]
    fn the_combined_format_of_nginx_is_read() {
        let mut config = config(COMBINED);
        config.user_agent_transform = true;
        config.message_type = "combined".into();
        let head = "Timestamp 1392050801000000000\nType combined\n";
        let agent =
            "user_agent_browser=Firefox\nuser_agent_version=26 double\nuser_agent_os=Linux\n";
        let fields = "remote_addr=127.0.0.1 (ipv4)\nremote_user=-\nrequest=GET / HTTP/1.1\nstatus=304 double\nbody_bytes_sent=0 double (B)\nhttp_referer=-\n";
        let whole = "http_user_agent=Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0\n";
        check(&config, LINE, &format!("{head}{fields}{agent}"));
        config.user_agent_conditional = true;
        check(&config, LINE, &format!("{head}{fields}{agent}"));
        config.user_agent_keep = true;
        check(&config, LINE, &format!("{head}{fields}{agent}{whole}"));
        config.user_agent_transform = false;
        config.payload_keep = true;
        check(&config, LINE, &format!("{head}Payload {LINE}\n{fields}{whole}"));
    }

    #[test]
    fn an_unknown_browser_is_kept_on_condition() {
        let mut config = config("\"$http_user_agent\"");
        config.user_agent_transform = true;
        check(&config, "\"curl on Linux\"", "user_agent_os=Linux\n");
        config.user_agent_conditional = true;
        check(&config, "\"curl on Linux\"", "user_agent_os=Linux\nhttp_user_agent=curl on Linux\n");
    }

    #[test]
    fn upstream_variables_hold_a_value_for_each_server() {
        check(
            &config("$msec $request_time $upstream_addr $upstream_status $upstream_response_time"),
            "1399500744.123 0.005 10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 200, 502 : 200 0.001, 0.002 : 0.003",
            "Timestamp 1399500744123000000\nrequest_time=0.005 double (s)\nupstream_addr=10.0.0.1:80|10.0.0.2:80|10.0.0.3:80\nupstream_status=200|502|200 double\nupstream_response_time=0.001|0.002|0.003 double (s)\n",
        );
        check_one("$upstream_addr", "-", "upstream_addr=-\n");
        check_one("$upstream_status", "-", "upstream_status=0 double\n");
        check_one("$upstream_response_length", "-", "upstream_response_length=-\n");
        check_one("$upstream_response_length", "7, -", "upstream_response_length=7|0 double (B)\n");
    }

    #[test]
    fn the_vhost_format_of_apache_is_read() {
        let line = r#"www.example.com:443 192.0.2.1 ident frank [10/Oct/2000:13:55:36 -0700] "GET /x HTTP/1.0" 200 2326 "-" "Mozilla/4.08""#;
        let expected = "Timestamp 971211336000000000\nserver_name=www.example.com (hostname)\nserver_port=443 double\nremote_addr=192.0.2.1 (ipv4)\nremote_user=frank\nrequest=GET /x HTTP/1.0\nstatus=200 double\nresponse_length=2326 double (B)\nhttp_referer=-\nhttp_user_agent=Mozilla/4.08\n";
        let written = r#"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""#;
        check(&config(written), line, expected);
        check(&config("vhost_combined"), line, expected);
    }

    #[test]
    fn apache_times_can_have_a_format_and_a_fraction() {
        check(
            &config("%{%Y-%m-%d %H:%M:%S}t.%{msec_frac}t %b %D %T"),
            "2014-05-07 22:12:24.250 - 1500 1",
            "Timestamp 1399500744000000000\nsec_frac=0.25 double\nbody_bytes_sent=0 double (B)\nrequest_time=1 double (s)\n",
        );
        for (argument, text) in [
            ("sec", "1399500744"),
            ("begin:msec", "1399500744000"),
            ("end:usec", "1399500744000000"),
        ] {
            let mut decoder = AccessLogDecoder::compile(
                &config(&format!("%{{{argument}}}t")),
                &NameRegistry::new(),
            )
            .unwrap();
            let batch = batch_of(&mut decoder, &NameRegistry::new(), text.as_bytes()).unwrap();
            assert_eq!(
                batch.record(0).unwrap().timestamp(),
                1_399_500_744_000_000_000,
                "{argument}"
            );
        }
    }

    #[test]
    fn every_typed_variable_of_nginx_is_read() {
        for (variable, text, expected) in [
            ("$server_addr", "::1", "server_addr=::1 (ipv6)\n"),
            ("$hostname", "web-1", "hostname=web-1 (hostname)\n"),
            ("$content_length", "-", ""),
            ("$request_time", "-", ""),
            ("$connection", "77", "connection=77 double\n"),
            ("$time_iso8601", "2014-05-07T22:12:25+00:00", "Timestamp 1399500745000000000\n"),
            ("$request_method", "PATCH /", "request_method=PATCH\n"),
            ("$scheme", "https", "scheme=https\n"),
            ("$scheme://", "http://", "scheme=http\n"),
            ("$server_protocol", "HTTP/1.1", "server_protocol=HTTP/1.1\n"),
            ("$https", "", "https=\n"),
            ("$is_args|", "?|", "is_args=?\n"),
            ("$request_completion", "OK", "request_completion=OK\n"),
            ("$pipe", ".", "pipe=.\n"),
            ("$nginx_version", "1.5.9", "nginx_version=1.5.9\n"),
            ("$binary_remote_addr", "abcde", "binary_remote_addr=abcd\n"),
            ("$upstream_cache_status", "HIT", "upstream_cache_status=HIT\n"),
            ("$upstream_cache_last_modified", "-", "upstream_cache_last_modified=-\n"),
            (
                "$upstream_cache_last_modified",
                "Fri, 07 Feb 2014 15:04:05 GMT",
                "upstream_cache_last_modified=1391785445000000000 double\n",
            ),
        ] {
            check_one(variable, text, expected);
        }
    }

    #[test]
    fn every_directive_of_apache_is_read() {
        for (directive, text, expected) in [
            ("%a", "10.0.0.1", "remote_addr=10.0.0.1 (ipv4)\n"),
            ("%A", "10.0.0.1", "server_addr=10.0.0.1 (ipv4)\n"),
            ("%V", "a.b", "server_name=a.b (hostname)\n"),
            ("%B", "5", "body_bytes_sent=5 double (B)\n"),
            ("%I", "5", "request_length=5 double (B)\n"),
            ("%S", "5", "total_length=5 double (B)\n"),
            ("%D", "5", "request_time=5 double (us)\n"),
            ("%H", "HTTP/2.0", "server_protocol=HTTP/2.0\n"),
            ("%m", "GET", "request_method=GET\n"),
            ("%k", "1", "connection_requests=1 double\n"),
            ("%P", "1", "pid=1 double\n"),
            ("%X", "+", "connection_status=+\n"),
            ("%U", "/a", "uri=/a\n"),
            ("%q", "?a=b", "query_string=?a=b\n"),
            ("%f", "/var", "request_filename=/var\n"),
            ("%R", "h", "request_handler=h\n"),
            ("%L", "l", "request_log_id=l\n"),
            ("%%%k", "%1", "connection_requests=1 double\n"),
            ("%{X-Forwarded-For}i", "x", "http_x_forwarded_for=x\n"),
            ("%400,501{User-Agent}i", "x", "http_user_agent=x\n"),
            ("%!200,304{Referer}i", "x", "http_referer=x\n"),
            ("%{Set-Cookie}o", "x", "sent_http_set_cookie=x\n"),
            ("%{Id}C", "x", "cookie_Id=x\n"),
            ("%{PATH}e", "x", "env_PATH=x\n"),
            ("%{note}n", "x", "module_note=x\n"),
            ("%{c}a", "::1", "remote_addr=::1 (ipv6)\n"),
            ("%{local}p", "1", "server_port=1 double\n"),
            ("%{remote}p", "1", "remote_port=1 double\n"),
            ("%{pid}P", "1", "pid=1 double\n"),
            ("%{tid}P", "1", "tid=1 double\n"),
            ("%{hextid}P", "ff", "tid=255 double\n"),
            ("\\065\\t%k", "A\t1", "connection_requests=1 double\n"),
        ] {
            check_one(directive, text, expected);
        }
    }

    #[test]
    fn text_ends_where_the_format_goes_on() {
        check_one("[$foo] ($bar)", "[a b] (c d)", "foo=a b\nbar=c d\n");
        check_one("|$foo|$bar|", "|a b||", "foo=a b\nbar=\n");
        check_one("\"$foo $bar\"", "\"a b c\"", "foo=a\nbar=b c\n");
        check_one("\"$foo\" x", r#""a \" b\\" x"#, "foo=a \\\" b\\\\\n");
        check_one("$foo", "a b", "foo=a\n");
        check_one("${foo}bar $x", "abar 1", "foo=a\nx=1\n");
        check_one("$foo-$bar", "a b", "error: expected \"-\" at byte 3\n");
    }

    #[test]
    fn a_variable_that_comes_twice_keeps_its_last_value() {
        check_one("$foo $foo", "a b", "foo=b\n");
    }

    #[test]
    fn any_amount_of_whitespace_separates() {
        check_one("$status  $foo", "200 \t x\n", "status=200 double\nfoo=x\n");
    }

    #[test]
    fn a_mismatch_says_what_and_where() {
        for (line, expected) in [
            ("", "expected %h at byte 0"),
            ("127.0.0.1", "expected whitespace at byte 9"),
            ("127.0.0.1 - bob smith [", "expected %t at byte 16"),
            ("127.0.0.1 - - [10/Feb/2014:08:46:41 -0800] GET", "expected \"\\\"\" at byte 43"),
            ("127.0.0.1 - - [10/Feb/2014:08:46:41 -0800] \"GET\" 2x", "expected %>s at byte 49"),
        ] {
            check(&config("combined"), line, &format!("error: {expected}\n"));
        }
    }

    #[test]
    fn wrong_formats_are_problems() {
        for (log_format, expected) in [
            ("plain", "log_format has neither a $variable of nginx nor a %directive of Apache"),
            ("%Z", "unknown variable: Z"),
            ("%{x}p", "unknown variable: p"),
            ("%", "log_format has a lone % at byte 0"),
            ("%h %{x", "log_format has a { without } behind byte 3"),
            ("%h \\x", "log_format has an unknown escape at byte 3"),
            ("%h \\256", "log_format has an unknown escape at byte 3"),
            ("%h \\", "log_format has an unknown escape at byte 3"),
        ] {
            let error = compile(log_format, AccessLogFormat::Auto).unwrap_err();
            assert_eq!(error.to_string(), expected, "{log_format}");
            let mut problems = FieldProblems::new();
            config(log_format).validate(&mut problems);
            assert!(!problems.is_empty());
        }
        assert!(compile("%{%Q}t", AccessLogFormat::Auto).is_err());
    }

    #[test]
    fn every_line_of_a_real_log_is_read() {
        let Some(log) = real_log("access_combined.log") else { return };
        for format in [AccessLogFormat::Auto, AccessLogFormat::Nginx, AccessLogFormat::Apache] {
            let names = NameRegistry::new();
            let config = AccessLogDecoderConfig { format, ..config("combined") };
            let mut decoder = AccessLogDecoder::compile(&config, &names).unwrap();
            let status = names.intern(b"status");
            let bytes = names.intern(b"body_bytes_sent");
            let mut total = 0.0;
            let mut refused = 0;
            for line in lines(&log) {
                let Ok(batch) = batch_of(&mut decoder, &names, line) else {
                    refused += 1;
                    continue;
                };
                let record = batch.record(0).unwrap();
                let code = record.field(status).unwrap().first().unwrap().as_number().unwrap();
                assert!((100.0..600.0).contains(&code));
                let sent = record.field(bytes).and_then(|field| field.first()?.as_number());
                total += sent.unwrap_or(0.0);
                assert!(record.timestamp() < NOW + 40_000_000_000_000_000);
            }
            // One line of it ends inside of its last quotes.
            assert_eq!((refused, total), (1, 2_747_282_505.0), "{format:?}");
        }
    }

    proptest! {
        #[test]
        fn no_format_and_no_line_panics(
            format in "([$%][a-zA-Z_{}<>!0-9:]{0,9}|[ -~]){0,8}",
            line in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let names = NameRegistry::new();
            if let Ok(mut decoder) = AccessLogDecoder::compile(&config(&format), &names) {
                let got = decoded_with(&mut decoder, &names, &line);
                prop_assert!(got.is_empty() || got.ends_with('\n'));
            }
        }

        #[test]
        fn damaged_lines_never_panic(cut in 0..LINE.len(), byte in any::<u8>()) {
            let names = NameRegistry::new();
            let mut decoder = AccessLogDecoder::compile(&config("combined"), &names).unwrap();
            let mut line = LINE.as_bytes().to_vec();
            line[cut] = byte;
            let whole = decoded_with(&mut decoder, &names, &line);
            let part = decoded_with(&mut decoder, &names, &line[..cut]);
            prop_assert!(whole.len() > 7 && part.starts_with("error") | part.contains("status="));
        }
    }
}
