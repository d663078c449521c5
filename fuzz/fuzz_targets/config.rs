//! Configurations: no bytes stop the reader, its problems are bounded and placed, and sections are read by their types.

#![no_main]

use heka_config::{MAX_FILE_PROBLEMS, Problems, Section, parse_bytes, parse_config};
use heka_plugin::{Maker, PluginDef};
use heka_plugin_core as core;
use heka_plugin_net as net;
use heka_plugin_parse as parse;
use heka_plugin_regex as regex;
use libfuzzer_sys::fuzz_target;

/// Types that between them have all shapes of options.
const PLUGINS: &[PluginDef] = &[
    PluginDef::input::<net::TcpInput>(),
    PluginDef::splitter::<core::TokenSplitter>(),
    PluginDef::splitter::<core::HekaFramingSplitter>(),
    PluginDef::splitter::<regex::RegexSplitter>(),
    PluginDef::splitter::<regex::PatternGroupingSplitter>(),
    PluginDef::decoder::<core::MultiDecoder>(),
    PluginDef::decoder::<core::ScribbleDecoder>(),
    PluginDef::decoder::<parse::JsonDecoder>(),
    PluginDef::decoder::<parse::AccessLogDecoder>(),
    PluginDef::decoder::<regex::PayloadRegexDecoder>(),
    PluginDef::filter::<core::CounterFilter>(),
    PluginDef::encoder::<core::PayloadEncoder>(),
    PluginDef::encoder::<parse::JsonEncoder>(),
    PluginDef::output::<net::TcpOutput>(),
];

/// True if the section can be used.
fn prepare(def: &PluginDef, section: &Section, problems: &mut Problems) -> bool {
    match def.maker {
        Maker::Input(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Splitter(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Decoder(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Filter(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Encoder(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Output(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
    }
    .is_some()
}

/// Problems stand inside the text, and each is shown in one line.
fn check(problems: &Problems, text: &str) {
    let lines = text.split('\n').count();
    for problem in problems {
        assert!(problem.line as usize <= lines, "there is no such line: {problem:?}");
        assert_eq!(problem.to_string().lines().count(), 1, "{problem:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let (table, problems) = parse_bytes(data);
    assert!(problems.len() <= MAX_FILE_PROBLEMS + 1);
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(problems.has_errors() && table.is_empty(), "this is no text");
        return;
    };
    check(&problems, text);
    let (config, mut problems) = parse_config(text, "fuzzed.toml");
    check(&problems, text);
    for section in &config.sections {
        for def in PLUGINS.iter().filter(|def| def.name == section.plugin_type) {
            let errors = problems.error_count();
            let usable = prepare(def, section, &mut problems);
            assert_eq!(usable, problems.error_count() == errors, "an error, or none");
        }
    }
    check(&problems, text);
});
