//! The list as such: names, kinds, their order, the texts of options.

use std::collections::BTreeSet;

use heka_config::OptionDoc;
use heka_plugin::{Category, PluginDef};

use crate::Fault;

/// The kinds in the order in which data passes them, which is the order of the reference.
const ORDER: [Category; 6] = [
    Category::Input,
    Category::Splitter,
    Category::Decoder,
    Category::Filter,
    Category::Encoder,
    Category::Output,
];

pub(crate) fn check(plugins: &[PluginDef]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut reached = 0;
    for def in plugins {
        if !names.insert(def.name.to_lowercase()) {
            faults.push(Fault::new(def.name, "the name is taken"));
        }
        if Category::of_type(def.name) != Some(def.kind) {
            let text = format!("the name does not end in its kind, {}", def.kind);
            faults.push(Fault::new(def.name, text));
        }
        let place = ORDER.iter().position(|kind| *kind == def.kind).unwrap_or(ORDER.len());
        if place < reached {
            let text = format!("stands behind plugins of a later kind than {}", def.kind);
            faults.push(Fault::new(def.name, text));
        }
        reached = reached.max(place);
        if !def.page.starts_with(&format!("# {}\n", def.name)) {
            faults.push(Fault::new(def.name, "its page does not begin with its name as title"));
        }
        options(def.name, "", &(def.options)(), &mut faults);
    }
    faults
}

/// What an option says goes into the reference as it stands.
fn options(plugin: &str, prefix: &str, options_of: &[OptionDoc], faults: &mut Vec<Fault>) {
    let mut names = BTreeSet::new();
    for option in options_of {
        let name = format!("{prefix}{}", option.name);
        let text = option.doc.trim();
        if text.chars().next().is_none_or(char::is_lowercase) || !text.ends_with('.') {
            faults.push(Fault::new(
                plugin,
                format!("the text of option {name} is no sentence: {text:?}"),
            ));
        }
        for spelling in option.aliases.iter().chain([&option.name]) {
            if !names.insert(spelling.to_lowercase()) {
                faults.push(Fault::new(plugin, format!("option {name} shares a spelling")));
            }
        }
        options(plugin, &format!("{name}."), &option.children, faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(name: &str, doc: &str) -> OptionDoc {
        OptionDoc {
            name: name.to_owned(),
            aliases: Vec::new(),
            type_text: "string".to_owned(),
            default_text: None,
            doc: doc.to_owned(),
            required: false,
            retired: None,
            children: Vec::new(),
        }
    }

    #[test]
    fn the_text_of_an_option_must_be_a_sentence() {
        let children = vec![option("inner", "no capital.")];
        let good = OptionDoc { children, ..option("good", "A sentence.") };
        let mut faults = Vec::new();
        options("p", "", &[good, option("a", "No stop"), option("A", "")], &mut faults);
        let texts: Vec<&str> = faults.iter().map(|fault| fault.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "the text of option good.inner is no sentence: \"no capital.\"",
                "the text of option a is no sentence: \"No stop\"",
                "the text of option A is no sentence: \"\"",
                "option A shares a spelling",
            ]
        );
    }
}
