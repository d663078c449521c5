//! The pages of the plugins against the configuration loader.

use heka_config::{NoCommon, Problems, Section, parse_config};
use heka_plugin::{Plugin, PluginConfig, PluginDef};
use heka_plugin_parse::{
    AccessLogDecoder, AccessLogDecoderConfig, JsonDecoder, JsonDecoderConfig, JsonEncoder,
    JsonEncoderConfig, JsonHeaderNames, JsonLayout, JsonMemberNames, LogfmtDecoder,
    LogfmtDecoderConfig, LogfmtHeaderNames, LogfmtValues, SyslogDecoder, SyslogDecoderConfig,
};

/// The section for `P` of the one example on its page.
fn example<P: Plugin>() -> Section {
    let toml = P::PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let (config, problems) = parse_config(toml.expect("a page has an example"), P::NAME);
    assert!(problems.is_empty(), "{problems}");
    let mut sections = config.sections.into_iter();
    sections.find(|section| section.plugin_type == P::NAME).expect("the example has the plugin")
}

/// The options of that section.
fn options<P: Plugin>() -> P::Config {
    read::<P>(&example::<P>())
}

fn read<P: Plugin>(section: &Section) -> P::Config {
    let mut problems = Problems::new();
    let read = section.decode::<NoCommon, P::Config>(&mut problems);
    assert!(problems.is_empty(), "{problems}");
    read.expect("no problem, so there are options").1
}

#[test]
fn the_examples_on_the_pages_mean_what_they_say() {
    let access = options::<AccessLogDecoder>();
    assert!(access.log_format.starts_with("$remote_addr - "));
    assert_eq!(access.message_type, "nginx.access");
    let expected = SyslogDecoderConfig { tz: "Europe/Berlin".into(), ..Default::default() };
    assert_eq!(options::<SyslogDecoder>(), expected);
    let json = options::<JsonDecoder>();
    let field_mappings = JsonHeaderNames {
        timestamp: "time".into(),
        severity: "level".into(),
        payload: "msg".into(),
        hostname: "host.name".into(),
        ..Default::default()
    };
    assert_eq!((json.field_mappings, json.maximum_depth), (field_mappings, 3));
    let logfmt = options::<LogfmtDecoder>();
    let field_mappings =
        LogfmtHeaderNames { timestamp: "ts".into(), hostname: "host".into(), ..Default::default() };
    assert_eq!((logfmt.field_mappings, logfmt.values), (field_mappings, LogfmtValues::Typed));
    let encoder = options::<JsonEncoder>();
    let field_mappings = JsonMemberNames { timestamp: "@timestamp".into(), ..Default::default() };
    assert_eq!((encoder.field_mappings, encoder.layout), (field_mappings, JsonLayout::Flat));
}

#[test]
fn the_plugins_can_be_listed() {
    let listed = [
        PluginDef::decoder::<AccessLogDecoder>(),
        PluginDef::decoder::<SyslogDecoder>(),
        PluginDef::decoder::<JsonDecoder>(),
        PluginDef::decoder::<LogfmtDecoder>(),
        PluginDef::encoder::<JsonEncoder>(),
    ];
    for def in listed {
        assert!(!(def.options)().is_empty(), "{}", def.name);
        assert!(def.page.starts_with(&format!("# {}\n", def.name)), "{}", def.name);
    }
}

#[test]
fn sections_without_options_have_the_defaults() {
    fn check<P: Plugin>(expected: P::Config) -> bool
    where
        P::Config: PartialEq + std::fmt::Debug,
    {
        assert_eq!(read::<P>(&Section::implicit(P::NAME)), expected);
        heka_config::describe::<P::Config>().iter().all(|option| !option.doc.is_empty())
    }
    assert!(check::<AccessLogDecoder>(AccessLogDecoderConfig::default()));
    assert!(check::<SyslogDecoder>(SyslogDecoderConfig::default()));
    assert!(check::<JsonDecoder>(JsonDecoderConfig::default()));
    assert!(check::<LogfmtDecoder>(LogfmtDecoderConfig::default()));
    assert!(check::<JsonEncoder>(JsonEncoderConfig::default()));
}

#[test]
fn headers_can_be_named_in_any_case() {
    let text = "[x]\ntype = 'JsonDecoder'\nfield_mappings = { type = 'a', envversion = 'b' }";
    let (config, problems) = parse_config(text, "x");
    assert!(problems.is_empty(), "{problems}");
    let names = read::<JsonDecoder>(&config.sections[0]).field_mappings;
    assert_eq!((names.r#type.as_str(), names.env_version.as_str()), ("a", "b"));
}

#[test]
fn wrong_options_are_refused_with_their_key() {
    fn refused<C: PluginConfig>(kind: &str, option: &str, key: &str) {
        let (config, _) = parse_config(&format!("[x]\ntype = '{kind}'\n{option}"), "x");
        let mut problems = Problems::new();
        assert!(config.sections[0].decode::<NoCommon, C>(&mut problems).is_none(), "{option}");
        let mut options = problems.iter().map(|problem| problem.option.as_deref());
        assert!(options.all(|option| option == Some(key)), "{problems}");
    }
    refused::<AccessLogDecoderConfig>("AccessLogDecoder", "log_format = '%Z'", "log_format");
    refused::<SyslogDecoderConfig>("SyslogDecoder", "tz = 'Nowhere'", "tz");
    refused::<JsonDecoderConfig>("JsonDecoder", "timestamp_format = '%Q'", "timestamp_format");
    refused::<LogfmtDecoderConfig>("LogfmtDecoder", "tz = 'Nowhere'", "tz");
    refused::<JsonEncoderConfig>("JsonEncoder", "fields = ['Typo']", "fields");
}
