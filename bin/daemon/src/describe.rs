//! `hekad plugins`, and the reference, which comes from the same source.

use std::fmt::Write;

use heka_config::{OptionDoc, nearest};
use heka_plugin::{Category, PluginDef};
use serde_json::json;

use crate::{PLUGINS, say};

/// Lists all plugins, or describes one; the result is the exit code.
pub(crate) fn plugins(json: bool, describe: Option<&str>) -> anyhow::Result<u8> {
    let Some(name) = describe else {
        say(&if json { list_json() } else { list_text() })?;
        return Ok(0);
    };
    match PLUGINS.iter().find(|def| def.name.eq_ignore_ascii_case(name)) {
        Some(def) if json => say(&format!("{:#}\n", def_json(def)))?,
        Some(def) => say(&reference_page(def))?,
        None => {
            let names = PLUGINS.iter().map(|def| def.name);
            let hint = nearest(name, names).map(|it| format!(", did you mean '{it}'?"));
            anyhow::bail!("there is no plugin '{name}'{}", hint.unwrap_or_default());
        }
    }
    Ok(0)
}

/// First sentence of a page: what the plugin does.
fn summary(def: &PluginDef) -> String {
    let mut lines = def.page.lines().skip_while(|line| line.starts_with('#') || line.is_empty());
    let paragraph: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let text = paragraph.join(" ");
    text.split_inclusive(". ").next().unwrap_or("").trim().to_owned()
}

fn list_text() -> String {
    let mut text = String::new();
    for kind in KINDS {
        text.push_str(&format!("{}s\n", kind.name()));
        for def in PLUGINS.iter().filter(|def| def.kind == kind) {
            text.push_str(&format!("  {:<26} {}\n", def.name, summary(def)));
        }
        text.push('\n');
    }
    text.push_str("hekad plugins --describe NAME shows the page and the options of one.\n");
    text
}

/// The kinds in the order in which data passes them.
const KINDS: [Category; 6] = [
    Category::Input,
    Category::Splitter,
    Category::Decoder,
    Category::Filter,
    Category::Encoder,
    Category::Output,
];

fn list_json() -> String {
    let list: Vec<_> = PLUGINS.iter().map(def_json).collect();
    format!("{:#}\n", json!(list))
}

fn def_json(def: &PluginDef) -> serde_json::Value {
    let options: Vec<_> = (def.options)().iter().map(option_json).collect();
    json!({
        "name": def.name,
        "kind": def.kind.name(),
        "summary": summary(def),
        "options": options,
    })
}

fn option_json(option: &OptionDoc) -> serde_json::Value {
    serde_json::to_value(option).unwrap_or_default()
}

/// The page of a plugin in the reference: its text, then all its options.
#[must_use]
pub fn reference_page(def: &PluginDef) -> String {
    let mut text = def.page.trim_end().to_owned();
    text.push_str("\n\n## Options\n\n");
    let options = (def.options)();
    if options.is_empty() {
        text.push_str("None of its own.\n");
    } else {
        text.push_str("| option | type | default | meaning |\n|---|---|---|---|\n");
        rows(&mut text, "", &options);
    }
    let common = match def.kind {
        Category::Input => "\nAnd those that [all inputs](common.md#inputs) share.\n",
        Category::Splitter => "\nAnd those that [all splitters](common.md#splitters) share.\n",
        Category::Filter | Category::Output => {
            "\nAnd those that [all filters and outputs](common.md#filters-and-outputs) share.\n"
        }
        Category::Decoder | Category::Encoder => "",
    };
    text.push_str(common);
    text
}

/// Appends a table row for each option, nested ones with dots.
pub(crate) fn rows(text: &mut String, prefix: &str, options: &[OptionDoc]) {
    for option in options {
        let name = format!("{prefix}{}", option.name);
        let default = match &option.default_text {
            _ if option.required => "required".to_owned(),
            Some(default) => format!("`{}`", default.replace('|', "\\|")),
            None => String::new(),
        };
        let mut doc = option.doc.replace('\n', " ").replace('|', "\\|");
        if let Some(why) = &option.retired {
            doc.push_str(&format!(" No effect: {why}."));
        }
        if !option.aliases.is_empty() {
            doc.push_str(&format!(" Also spelt `{}`.", option.aliases.join("`, `")));
        }
        let kind = option.type_text.replace('|', "\\|");
        // Writing to a string cannot fail.
        let written = writeln!(text, "| `{name}` | {kind} | {default} | {doc} |");
        debug_assert!(written.is_ok());
        rows(text, &format!("{name}."), &option.children);
    }
}
