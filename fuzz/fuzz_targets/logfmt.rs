//! Lines of `key=value` pairs.

#![no_main]

use heka_fuzz::{choice, decode};
use heka_message::NameRegistry;
use heka_plugin_parse::{LogfmtDecoder, LogfmtDecoderConfig, LogfmtValues};
use libfuzzer_sys::fuzz_target;

const STAMPS: [&str; 4] = ["RFC3339", "", "Epoch", "%d/%b/%Y:%H:%M:%S %z"];

fuzz_target!(|data: &[u8]| {
    let (kind, data) = choice(data);
    let values = if kind & 1 == 0 { LogfmtValues::Text } else { LogfmtValues::Typed };
    let config = LogfmtDecoderConfig {
        values,
        payload_keep: kind & 2 != 0,
        timestamp_format: STAMPS[usize::from(kind >> 2 & 3)].to_owned(),
        ..LogfmtDecoderConfig::default()
    };
    let names = NameRegistry::new();
    let mut decoder = LogfmtDecoder::compile(&config).expect("valid");
    let first = decode(&mut decoder, &names, data).map_err(|error| error.to_string());
    let second = decode(&mut decoder, &names, data).map_err(|error| error.to_string());
    heka_fuzz::assert_same_outcome(&first, &second);
});
