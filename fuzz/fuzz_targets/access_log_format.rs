//! Formats of access logs: each is compiled or refused, and reads a line or refuses it.

#![no_main]

use heka_fuzz::{choice, decode, text_and_rest};
use heka_message::NameRegistry;
use heka_plugin_parse::{AccessLogDecoder, AccessLogDecoderConfig, AccessLogFormat};
use libfuzzer_sys::fuzz_target;

const FORMATS: [AccessLogFormat; 3] =
    [AccessLogFormat::Auto, AccessLogFormat::Nginx, AccessLogFormat::Apache];

fuzz_target!(|data: &[u8]| {
    let (kind, data) = choice(data);
    let Some((log_format, line)) = text_and_rest(data) else { return };
    let config = AccessLogDecoderConfig {
        log_format: log_format.to_owned(),
        format: FORMATS[usize::from(kind) % FORMATS.len()],
        user_agent_transform: kind & 0x80 != 0,
        ..AccessLogDecoderConfig::default()
    };
    let names = NameRegistry::new();
    match AccessLogDecoder::compile(&config, &names) {
        Ok(mut decoder) => {
            let first = decode(&mut decoder, &names, line).map_err(|error| error.to_string());
            let second = decode(&mut decoder, &names, line).map_err(|error| error.to_string());
            heka_fuzz::assert_same_outcome(&first, &second);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
