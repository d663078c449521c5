//! Syslog messages of both RFCs.

#![no_main]

use heka_fuzz::{choice, decode};
use heka_message::NameRegistry;
use heka_plugin_parse::{SyslogDecoder, SyslogDecoderConfig, SyslogFormat};
use libfuzzer_sys::fuzz_target;

const FORMATS: [SyslogFormat; 3] =
    [SyslogFormat::Auto, SyslogFormat::Rfc3164, SyslogFormat::Rfc5424];
const ZONES: [&str; 2] = ["UTC", "America/New_York"];

fuzz_target!(|data: &[u8]| {
    let (kind, data) = choice(data);
    let config = SyslogDecoderConfig {
        format: FORMATS[usize::from(kind & 0x7f) % FORMATS.len()],
        tz: ZONES[usize::from(kind >> 7)].to_owned(),
        message_type: String::new(),
    };
    let names = NameRegistry::new();
    let mut decoder = SyslogDecoder::compile(&config, &names).expect("valid");
    let first = decode(&mut decoder, &names, data).map_err(|error| error.to_string());
    let second = decode(&mut decoder, &names, data).map_err(|error| error.to_string());
    heka_fuzz::assert_same_outcome(&first, &second);
});
