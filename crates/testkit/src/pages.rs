//! The examples of the pages are configurations that run.

use heka_config::{Problem, Problems, Severity, parse_config};
use heka_engine::{Engine, Plan};
use heka_plugin::PluginDef;

use crate::Fault;
use crate::world::engine_settings;

/// What an example begins and ends with.
const FENCES: (&str, &str) = ("```toml", "```");
/// Makes an example without an output a whole configuration.
const SINK: &str = "\n[testkit_sink]\ntype = \"NullOutput\"\nmessage_matcher = \"TRUE\"\n";

pub(crate) fn check(plugins: &[PluginDef]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for def in plugins {
        let examples = examples(def.page);
        if examples.is_empty() {
            faults.push(Fault::new(def.name, "its page has no example"));
        }
        for example in &examples {
            faults.extend(refused(example, plugins).map(|text| Fault::new(def.name, text)));
        }
        if !examples.iter().any(|example| example.contains(def.name)) {
            faults.push(Fault::new(def.name, "no example of its page shows it"));
        }
    }
    faults
}

/// Why an example is not taken, or warned about.
fn refused(example: &str, plugins: &[PluginDef]) -> Option<String> {
    let has_sink = plugins.iter().any(|def| def.name == "NullOutput");
    let text = format!("{example}{}", if has_sink { SINK } else { "" });
    let (config, mut problems) = parse_config(&text, "page.md");
    let plan = Plan::new(&config, plugins, &mut problems);
    problems.extend(Engine::check(&plan, &engine_settings()));
    // The one warning that an example may earn: it shows only a part of what a configuration needs.
    let counts = |it: &&Problem| it.severity == Severity::Error || it.line > 0;
    let mut told = Problems::new();
    problems.iter().filter(counts).for_each(|it| told.push(it.clone()));
    (!told.is_empty()).then(|| format!("an example is refused:\n{example}\n{told}"))
}

pub(crate) fn examples(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match &mut open {
            Some(_) if line.trim_end() == FENCES.1 => found.extend(open.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None if line.trim_end() == FENCES.0 => open = Some(String::new()),
            None => {}
        }
    }
    found.extend(open);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_found_in_order() {
        let page = "# A\n\n```toml\n[a]\n```\n\n```\nno\n```\n```toml\nb = 1\nc = 2\n```\n";
        assert_eq!(examples(page), ["[a]\n", "b = 1\nc = 2\n"]);
    }

    #[test]
    fn an_example_of_a_plugin_that_is_not_there_is_refused() {
        let text = refused("[a]\ntype = 'NoOutput'\n", &[]).unwrap();
        assert!(text.contains("page.md:2:1: [a] no registered plugin type: NoOutput"), "{text}");
    }
}
