//! Lines of access logs in a few formats.

#![no_main]

use heka_fuzz::{choice, decode};
use heka_message::NameRegistry;
use heka_plugin_parse::{AccessLogDecoder, AccessLogDecoderConfig, AccessLogFormat};
use libfuzzer_sys::fuzz_target;

const FORMATS: [(&str, AccessLogFormat); 8] = [
    ("combined", AccessLogFormat::Auto),
    ("common", AccessLogFormat::Nginx),
    ("vhost_combined", AccessLogFormat::Apache),
    (
        "$msec $request_time $upstream_addr $upstream_status $upstream_response_time",
        AccessLogFormat::Nginx,
    ),
    (
        "[$time_iso8601] $remote_addr,$http_x_forwarded_for $server_port \"$http_user_agent\"",
        AccessLogFormat::Nginx,
    ),
    ("%h %l %u %t \"%r\" %>s %b %D %T %I", AccessLogFormat::Apache),
    ("%{X-A}i|%{X-B}o|%a %p %P", AccessLogFormat::Apache),
    ("$remote_addr $request", AccessLogFormat::Nginx),
];

fuzz_target!(|data: &[u8]| {
    let (kind, line) = choice(data);
    let (log_format, format) = FORMATS[usize::from(kind) % FORMATS.len()];
    let config = AccessLogDecoderConfig {
        log_format: log_format.to_owned(),
        format,
        user_agent_transform: kind & 0x10 != 0,
        user_agent_keep: kind & 0x20 != 0,
        user_agent_conditional: kind & 0x40 != 0,
        payload_keep: kind & 0x80 != 0,
        ..AccessLogDecoderConfig::default()
    };
    let names = NameRegistry::new();
    let mut decoder = AccessLogDecoder::compile(&config, &names).expect("a good format");
    let first = decode(&mut decoder, &names, line).map_err(|error| error.to_string());
    let second = decode(&mut decoder, &names, line).map_err(|error| error.to_string());
    heka_fuzz::assert_same_outcome(&first, &second);
});
