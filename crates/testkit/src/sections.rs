//! Sections: empty ones, unknown options, secrets.

use heka_config::{OptionDoc, Problems, Section, Severity, parse_config};
use heka_plugin::{Maker, PluginDef};
use serde_json::Value;

use crate::Fault;

/// An option that no plugin has.
const UNKNOWN: &str = "zzz_nobody_has_this";
/// A value that must not be seen again.
const SECRET: &str = "dont-show-this-5f3a";

pub(crate) fn check(plugins: &[PluginDef]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for def in plugins {
        empty(def, &mut faults);
        unknown(def, &mut faults);
        secrets(def, &mut faults);
    }
    faults
}

/// Reads a section; what it comes to is the options in force.
fn read(def: &PluginDef, config: &str) -> (Option<Value>, Problems) {
    let text = format!("[tested]\ntype = \"{}\"\n{config}", def.name);
    let (config, mut problems) = parse_config(&text, "tested.toml");
    let options = config.sections.first().and_then(|section| prepare(def, section, &mut problems));
    (options, problems)
}

fn prepare(def: &PluginDef, section: &Section, problems: &mut Problems) -> Option<Value> {
    match def.maker {
        Maker::Input(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Splitter(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Decoder(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Filter(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Encoder(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
        Maker::Output(prepare) => prepare(section, problems).map(|(_, it)| it.options()),
    }
}

/// An empty section is valid, or all that is wrong with it is what the reference calls required.
fn empty(def: &PluginDef, faults: &mut Vec<Fault>) {
    let (options, problems) = read(def, "");
    let required: Vec<String> =
        (def.options)().into_iter().filter(|it| it.required).map(|it| it.name).collect();
    let mut missing = Vec::new();
    for problem in problems.iter().filter(|it| it.severity == Severity::Error) {
        match problem.option.as_ref().filter(|option| required.contains(option)) {
            Some(option) => missing.push(option.clone()),
            None => {
                let text = format!("an empty section is refused: {problem}");
                faults.push(Fault::new(def.name, text));
            }
        }
    }
    for option in required.iter().filter(|option| !missing.contains(option)) {
        let text = format!("option {option} is called required, but may be left out");
        faults.push(Fault::new(def.name, text));
    }
    if options.is_none() != problems.has_errors() {
        faults.push(Fault::new(def.name, "is read although there are errors, or not without any"));
    }
}

fn unknown(def: &PluginDef, faults: &mut Vec<Fault>) {
    let (_, problems) = read(def, &format!("{UNKNOWN} = 1\n"));
    let found = problems.iter().find(|problem| problem.message.contains(UNKNOWN));
    match found {
        Some(problem) if (problem.line, problem.column) == (3, 1) => {}
        Some(problem) => {
            faults.push(Fault::new(def.name, format!("an unknown option has no place: {problem}")));
        }
        None => faults.push(Fault::new(def.name, "an unknown option is not reported")),
    }
}

/// Secrets, wherever they are in the options, neither show in the options in force nor in problems.
fn secrets(def: &PluginDef, faults: &mut Vec<Fault>) {
    let mut config = String::new();
    let mut tables = String::new();
    write_secrets("tested", &(def.options)(), &mut config, &mut tables);
    let with_secrets = format!("{config}{tables}");
    if !with_secrets.contains(SECRET) {
        return;
    }
    // Also where something else is wrong, so that the section is shown in problems.
    for wrong in ["", "zzz_nobody_has_this = 1\n"] {
        let (options, problems) = read(def, &format!("{wrong}{with_secrets}"));
        let shown = options.map(|options| options.to_string()).unwrap_or_default();
        if shown.contains(SECRET) || problems.to_string().contains(SECRET) {
            faults.push(Fault::new(def.name, format!("shows a secret: {shown} {problems}")));
        }
    }
}

fn write_secrets(table: &str, options: &[OptionDoc], own: &mut String, tables: &mut String) {
    for option in options {
        if option.type_text == "secret" {
            own.push_str(&format!("{} = \"{SECRET}\"\n", option.name));
        }
        if option.children.is_empty() {
            continue;
        }
        // A free-form table needs one more name.
        let nested = match option.type_text.starts_with("table of") {
            true => format!("{table}.{}.some_1", option.name),
            false => format!("{table}.{}", option.name),
        };
        let (mut inner, mut deeper) = (String::new(), String::new());
        write_secrets(&nested, &option.children, &mut inner, &mut deeper);
        if !inner.is_empty() {
            tables.push_str(&format!("[{nested}]\n{inner}"));
        }
        tables.push_str(&deeper);
    }
}
