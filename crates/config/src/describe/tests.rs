//! What the reference says about options.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    Buffering, CommonConsumer, Globals, GoDuration, Octal, Oversize, Seconds, Secret, Size, Tls,
};

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Inner {
    /// Program to run.
    bin: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    /// Where to listen.
    #[schemars(extend("x-required" = true))]
    address: String,
    /// How long to wait.
    wait: GoDuration,
    limit: Size,
    tick: Option<Seconds>,
    perm: Octal,
    key: Secret,
    oversize: Oversize,
    maybe_oversize: Option<Oversize>,
    list: Vec<String>,
    ratio: f64,
    table: BTreeMap<String, String>,
    command: BTreeMap<String, Inner>,
    tls: Tls,
    buffering: Option<Buffering>,
    /// Kept for old configurations.
    #[schemars(extend("x-retired" = "of a reason"))]
    old: Option<bool>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            address: ":80".into(),
            wait: GoDuration::from_secs(90),
            limit: Size::mib(1),
            tick: None,
            perm: Octal::new(0o644),
            key: Secret::default(),
            oversize: Oversize::Keep,
            maybe_oversize: None,
            list: vec!["a".into()],
            ratio: 0.5,
            table: BTreeMap::new(),
            command: BTreeMap::new(),
            tls: Tls { prefer_server_ciphers: true, ..Tls::default() },
            buffering: None,
            old: None,
        }
    }
}

impl PluginConfig for Sample {}

fn lines(options: &[OptionDoc]) -> Vec<String> {
    let line = |option: &OptionDoc| {
        let default = option.default_text.as_deref().unwrap_or("-");
        format!("{}: {} = {default}", option.name, option.type_text)
    };
    options.iter().map(line).collect()
}

#[test]
fn options_are_listed_in_order_with_type_and_default() {
    let options = describe::<Sample>();
    assert_eq!(
        lines(&options),
        [
            "address: string = \":80\"",
            "wait: duration = \"1m30s\"",
            "limit: size = \"1MiB\"",
            "tick: seconds = -",
            "perm: octal = \"644\"",
            "key: secret = \"\"",
            "oversize: \"drop\" | \"truncate\" | \"keep\" = \"keep\"",
            "maybe_oversize: \"drop\" | \"truncate\" | \"keep\" = -",
            "list: array of string = [\"a\"]",
            "ratio: float = 0.5",
            "table: table of string = -",
            "command: table of table = -",
            "tls: table = -",
            "buffering: table = -",
            "old: boolean = -",
        ]
    );
    assert_eq!(options[0].doc, "Where to listen.");
    assert!(options[0].required && !options[1].required);
    assert_eq!(options[14].retired.as_deref(), Some("of a reason"));
    assert_eq!(lines(&options[11].children), ["bin: string = \"\""]);
}

#[test]
fn nested_tables_show_the_defaults_that_hold_for_them() {
    let options = describe::<Sample>();
    let tls = &options[12].children;
    let find = |name: &str| tls.iter().find(|option| option.name == name).unwrap();
    assert_eq!(find("prefer_server_ciphers").default_text.as_deref(), Some("true"));
    assert_eq!(find("session_ticket_key").aliases, ["sesion_ticket_key"]);
    assert!(find("min_version").type_text.starts_with("\"SSL30\" | \"TLS10\""));
    assert!(find("ciphers").type_text.starts_with("array of \"RSA_WITH_RC4_128_SHA\" | "));
    assert_eq!(
        lines(&options[13].children),
        [
            "max_file_size: size = \"512MiB\"",
            "max_buffer_size: size = \"0B\"",
            "full_action: \"shutdown\" | \"drop\" | \"block\" = -",
            "cursor_update_count: integer = 1",
        ]
    );
}

/// Every option of this crate is documented in the form that the reference needs.
#[test]
fn every_option_has_a_sentence() {
    fn check(options: &[OptionDoc]) {
        for option in options {
            let starts = option.doc.starts_with(|c: char| c.is_uppercase());
            assert!(starts && option.doc.ends_with('.'), "{}: {}", option.name, option.doc);
            check(&option.children);
        }
    }
    check(&describe::<Globals>());
    check(&describe::<CommonConsumer>());
    check(&describe::<crate::CommonInput>());
    check(&describe::<crate::CommonSplitter>());
    check(&describe::<Tls>());
}
