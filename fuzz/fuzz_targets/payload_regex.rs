//! PayloadRegexDecoder: any pattern and layout, with a template that uses the groups.

#![no_main]

use heka_fuzz::{choice, context, decode, text_and_rest};
use heka_message::NameRegistry;
use heka_plugin::Plugin;
use heka_plugin_regex::{PayloadRegexDecoder, PayloadRegexDecoderConfig};
use libfuzzer_sys::fuzz_target;

/// The template and the groups that it asks for.
const FIELDS: [(&str, &str); 7] = [
    ("Hostname", "%host%"),
    ("Pid", "%pid%"),
    ("Uuid", "%uuid%"),
    ("Payload", "<%host%> %unknown% %"),
    ("Logger", "%%host%"),
    ("name|unit", "%x%%x%"),
    ("other", "%Timestamp%"),
];
/// Those that any text fits.
const SAFE_FIELDS: usize = 4;

fuzz_target!(|data: &[u8]| {
    let (kind, data) = choice(data);
    let Some((match_regex, data)) = text_and_rest(data) else { return };
    let Some((layout, payload)) = text_and_rest(data) else { return };
    let skipped = if kind & 1 == 0 { FIELDS.len() - SAFE_FIELDS } else { 0 };
    let fields = FIELDS.iter().skip(skipped);
    let config = PayloadRegexDecoderConfig {
        match_regex: match_regex.to_owned(),
        severity_map: [("warn".to_owned(), 4), ("".to_owned(), 5)].into(),
        message_fields: fields.map(|&(key, text)| (key.to_owned(), text.to_owned())).collect(),
        timestamp_layout: layout.to_owned(),
        timestamp_location: if kind & 2 == 0 { "UTC" } else { "Europe/Berlin" }.to_owned(),
        log_errors: kind & 4 == 0,
    };
    let names = NameRegistry::new();
    let Ok(mut decoder) = PayloadRegexDecoder::start(&config, &context(names.clone())) else {
        return;
    };
    let first = decode(&mut decoder, &names, payload).map_err(|error| error.to_string());
    let second = decode(&mut decoder, &names, payload).map_err(|error| error.to_string());
    heka_fuzz::assert_same_outcome(&first, &second);
});
