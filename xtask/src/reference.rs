//! `cargo xtask reference`: the option reference, written from the plugins themselves.
//!
//! Here: one page a plugin type, the page of shared options, the index. Not here: what a plugin's page
//! says (its own file), how it is joined with its options (`hekad::reference_page`). Invariant: the
//! pages depend on the code alone, so that a stale one can be told from a fresh one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, bail};
use heka_config::{
    Category, CommonConsumer, CommonInput, CommonSplitter, Globals, OptionDoc, describe,
};
use heka_plugin::{Defaults, Framing, PluginDef};

use crate::workspace::Workspace;

/// Where the pages lie.
pub(crate) const FOLDER: &str = "docs/reference";

/// The kinds in the order in which data passes them, with their titles.
const KINDS: [(Category, &str); 6] = [
    (Category::Input, "Inputs"),
    (Category::Splitter, "Splitters"),
    (Category::Decoder, "Decoders"),
    (Category::Filter, "Filters"),
    (Category::Encoder, "Encoders"),
    (Category::Output, "Outputs"),
];

/// Writes the pages, or only compares them.
///
/// # Errors
/// If a page cannot be read or written, or, when comparing, differs.
pub(crate) fn reference(check: bool) -> Result<()> {
    let workspace = Workspace::load()?;
    let pages = pages();
    let mut stale = Vec::new();
    for (name, text) in &pages {
        let path = workspace.root.join(FOLDER).join(name);
        if fs::read_to_string(&path).is_ok_and(|found| found == *text) {
            continue;
        }
        stale.push(name.clone());
        if !check {
            write_page(&path, text)?;
        }
    }
    for path in surplus(&workspace, &pages)? {
        if !check {
            fs::remove_file(workspace.root.join(FOLDER).join(&path))
                .with_context(|| format!("cannot remove {path}"))?;
        }
        stale.push(path);
    }
    match (check, stale.is_empty()) {
        (true, false) => bail!("stale reference ({}): run cargo xtask reference", stale.join(", ")),
        (true, true) => println!("reference: {} pages, all as the code says", pages.len()),
        (false, _) => println!("reference: {} pages, {} changed", pages.len(), stale.len()),
    }
    Ok(())
}

/// The text of each page by its file name.
pub(crate) fn pages() -> BTreeMap<String, String> {
    let mut pages: BTreeMap<_, _> = hekad::PLUGINS
        .iter()
        .map(|def| (format!("{}.md", def.name), hekad::reference_page(def)))
        .collect();
    pages.insert("common.md".to_owned(), common());
    pages.insert("index.md".to_owned(), index());
    pages
}

fn write_page(path: &std::path::Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a page has no folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Pages of plugins that are gone.
fn surplus(workspace: &Workspace, pages: &BTreeMap<String, String>) -> Result<Vec<String>> {
    if !workspace.root.join(FOLDER).is_dir() {
        return Ok(Vec::new());
    }
    let found = workspace.files(FOLDER, "md")?;
    let names = found.iter().filter_map(|path| path.strip_prefix(FOLDER).ok()?.to_str());
    Ok(names.filter(|name| !pages.contains_key(*name)).map(str::to_owned).collect())
}

fn index() -> String {
    let mut text = String::from(
        "# Reference\n\nEvery plugin type with all its options, written from the code by \
         `cargo xtask reference`; `hekad plugins --describe TYPE` prints the same page. What several \
         types share, and the settings of the daemon, stand in [common options](common.md).\n",
    );
    for (kind, title) in KINDS {
        add(
            &mut text,
            &format!(
                "\n## {title}\n\n| type | what it does | set unless its section says otherwise |\n|---|---|---|\n"
            ),
        );
        for def in hekad::PLUGINS.iter().filter(|def| def.kind == kind) {
            let (name, summary) = (def.name, summary(def).replace('|', "\\|"));
            let defaults = defaults(&def.defaults).replace('|', "\\|");
            add(&mut text, &format!("| [{name}]({name}.md) | {summary} | {defaults} |\n"));
        }
    }
    text
}

/// First sentence of a plugin's page.
fn summary(def: &PluginDef) -> String {
    let lines = def.page.lines().skip_while(|line| line.starts_with('#') || line.trim().is_empty());
    let paragraph: Vec<&str> = lines.take_while(|line| !line.trim().is_empty()).collect();
    let text = paragraph.join(" ");
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    text.get(..end).unwrap_or_default().trim().to_owned()
}

/// What a type sets where its section is silent.
fn defaults(defaults: &Defaults) -> String {
    let mut parts = Vec::new();
    let texts = [
        ("splitter", defaults.splitter),
        ("decoder", defaults.decoder),
        ("encoder", defaults.encoder),
        ("message_matcher", defaults.message_matcher),
    ];
    for (key, value) in texts {
        parts.extend(value.map(|value| format!("`{key} = \"{value}\"`")));
    }
    if defaults.ticker_interval > 0 {
        parts.push(format!("`ticker_interval = {}`", defaults.ticker_interval));
    }
    for (key, is_set) in
        [("can_exit", defaults.can_exit), ("use_message_bytes", defaults.use_message_bytes)]
    {
        parts.extend(is_set.then(|| format!("`{key} = true`")));
    }
    match defaults.use_framing {
        Framing::Never => {}
        Framing::WithProtobuf => parts.push("framing if the encoder writes protobuf".to_owned()),
        Framing::Always => parts.push("`use_framing = true`".to_owned()),
    }
    parts.join(", ")
}

fn common() -> String {
    let mut text = String::from(
        "# Common options\n\nOptions that all plugins of a kind share, beside `type`, the plugin type, \
         which is the section's name if left out. Decoders and encoders share none.\n",
    );
    let parts = [
        ("Inputs", describe::<CommonInput>()),
        ("Splitters", describe::<CommonSplitter>()),
        ("Filters and outputs", describe::<CommonConsumer>()),
        ("hekad", describe::<Globals>()),
    ];
    for (title, options) in parts {
        add(&mut text, &format!("\n## {title}\n\n"));
        if title == "hekad" {
            text.push_str("Settings of the daemon as a whole, section `[hekad]`.\n\n");
        }
        text.push_str("| option | type | default | meaning |\n|---|---|---|---|\n");
        rows(&mut text, "", &options);
    }
    text
}

/// A row for each option, nested ones with dots.
fn rows(text: &mut String, prefix: &str, options: &[OptionDoc]) {
    for option in options {
        let name = format!("{prefix}{}", option.name);
        let cell = |text: &str| text.replace('\n', " ").replace('|', "\\|");
        let default = match &option.default_text {
            _ if option.required => "required".to_owned(),
            Some(default) => format!("`{}`", cell(default)),
            None => String::new(),
        };
        let mut meaning = cell(&option.doc);
        if let Some(why) = &option.retired {
            add(&mut meaning, &format!(" No effect: {}.", cell(why)));
        }
        if !option.aliases.is_empty() {
            add(&mut meaning, &format!(" Also spelt `{}`.", option.aliases.join("`, `")));
        }
        add(text, &format!("| `{name}` | {} | {default} | {meaning} |\n", cell(&option.type_text)));
        rows(text, &format!("{name}."), &option.children);
    }
}

fn add(text: &mut String, part: &str) {
    // Writing to a text cannot fail.
    let written = text.write_str(part);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stale reference fails; `cargo xtask reference` writes it anew.
    #[test]
    fn the_pages_on_disk_are_those_that_the_code_makes() {
        reference(true).unwrap();
    }

    #[test]
    fn every_plugin_and_every_kind_has_its_place() {
        let pages = pages();
        assert_eq!(pages.len(), hekad::PLUGINS.len() + 2);
        let index = &pages["index.md"];
        for def in hekad::PLUGINS {
            assert!(index.contains(&format!("]({}.md)", def.name)), "{}", def.name);
        }
        for anchor in ["## Inputs", "## Splitters", "## Filters and outputs", "## hekad"] {
            assert!(pages["common.md"].contains(anchor), "{anchor}");
        }
    }

    #[test]
    fn tables_have_four_columns_whatever_the_options_say() {
        let options = vec![OptionDoc {
            name: "a".to_owned(),
            aliases: vec!["b".to_owned()],
            type_text: "\"x\" | \"y\"".to_owned(),
            default_text: Some("\"x|y\"".to_owned()),
            doc: "One\n| two.".to_owned(),
            required: false,
            retired: Some("it | is gone".to_owned()),
            children: Vec::new(),
        }];
        let mut text = String::new();
        rows(&mut text, "t.", &options);
        assert_eq!(text.replace("\\|", "").matches('|').count(), 5, "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
