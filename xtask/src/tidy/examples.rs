//! Every example of a configuration is one that the daemon takes, and every option says what it does.
//!
//! Here: finding examples in pages and planning them with the daemon's plugins. An example fenced as
//! `toml` must be accepted as it stands; one fenced as `toml fragment` is only read. Sections for
//! decoders, encoders and splitters alone need no input or output.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use heka_config::{OptionDoc, Problem, Severity};
use heka_engine::{Engine, EngineSettings, Plan};
use heka_plugin::PluginDef;
use heka_stream::{MemoryStorage, SystemClock};

use super::Finding;
use super::documents::pages;
use crate::workspace::Workspace;

/// Makes an example that shows no output a whole configuration.
const SINK: &str = "\n[tidy_sink]\ntype = \"NullOutput\"\nmessage_matcher = \"TRUE\"\n";

/// An example in a page.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    /// With as many line breaks before it as the page has, so that positions are those of the page.
    text: String,
    is_fragment: bool,
}

/// Checks all pages and all options.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut pages = pages(workspace)?;
    // The generated pages repeat those of the plugins.
    pages.retain(|page| !page.starts_with(crate::reference::FOLDER));
    pages.extend(workspace.files("plugins", "md")?);
    for page in pages {
        for example in examples(&workspace.read(&page)?) {
            findings.extend(example.check(&page));
        }
    }
    for def in hekad::PLUGINS {
        options(def, "", &(def.options)(), &mut findings);
    }
    Ok(findings)
}

impl Example {
    fn check(&self, page: &Path) -> Vec<Finding> {
        let file = page.to_string_lossy();
        let text = if self.is_fragment { self.text.clone() } else { self.text.clone() + SINK };
        let (config, mut problems) = heka_config::parse_config(&text, &file);
        if !self.is_fragment {
            let plan = Plan::new(&config, hekad::PLUGINS, &mut problems);
            problems.extend(Engine::check(&plan, &settings()));
        }
        let finding = |problem: &Problem| {
            let text = format!("this example is refused: {}", problem.message);
            Finding::new(page, problem.line as usize, text)
        };
        problems.iter().filter(|it| it.severity == Severity::Error).map(finding).collect()
    }
}

fn settings() -> EngineSettings {
    EngineSettings {
        clock: Arc::new(SystemClock),
        storage: Arc::new(MemoryStorage::default()),
        hostname: String::new(),
        pid: 0,
    }
}

/// The examples of a page in order.
fn examples(page: &str) -> Vec<Example> {
    let mut found = Vec::new();
    let mut open: Option<Example> = None;
    for (line, content) in page.lines().enumerate() {
        match (&mut open, content.trim_end()) {
            (Some(_), "```") => found.extend(open.take()),
            (Some(example), _) => {
                example.text.push_str(content);
                example.text.push('\n');
            }
            (None, fence @ ("```toml" | "```toml fragment")) => {
                let is_fragment = fence.ends_with("fragment");
                open = Some(Example { text: "\n".repeat(line + 1), is_fragment });
            }
            (None, _) => {}
        }
    }
    // An example that is never closed ends with the page.
    found.extend(open);
    found
}

/// The text of an option goes into the reference as it stands: a sentence, with a full stop.
fn options(def: &PluginDef, prefix: &str, options_of: &[OptionDoc], findings: &mut Vec<Finding>) {
    for option in options_of {
        let name = format!("{prefix}{}", option.name);
        let text = option.doc.trim();
        let begins = text.chars().next().is_some_and(|it| !it.is_lowercase());
        if !begins || !text.ends_with('.') {
            let text =
                format!("option {name}: its text must be a sentence with capital and full stop");
            findings.push(Finding::new(def.name, 0, text));
        }
        options(def, &format!("{name}."), &option.children, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_found_with_the_lines_of_their_page() {
        let page =
            "# A\n```toml\n[a]\n```\ntext\n```rust\nlet a;\n```\n```toml fragment\nb = 1\n```\n";
        let found = examples(page);
        assert_eq!(
            found,
            [
                Example { text: "\n\n[a]\n".to_owned(), is_fragment: false },
                Example { text: format!("{}b = 1\n", "\n".repeat(9)), is_fragment: true },
            ]
        );
    }

    #[test]
    fn an_example_that_the_daemon_refuses_is_found_with_its_line() {
        let page = "text\n\n```toml\n[out]\ntype = \"NullOutput\"\nmessage_matcher = \"TRUE\"\n\
                    adress = 1\n```\n";
        let findings: Vec<_> =
            examples(page).iter().flat_map(|it| it.check(Path::new("a.md"))).collect();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, 7);
        let good = page.replace("adress = 1\n", "");
        assert!(examples(&good).iter().all(|it| it.check(Path::new("a.md")).is_empty()));
    }
}
