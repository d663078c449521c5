//! Rules about written pages: the architecture names what there is, and links lead somewhere.
//!
//! Here: `ARCHITECTURE.md` and relative links. Not here: examples of configuration (`examples`).

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::Finding;
use crate::workspace::Workspace;

/// The page that describes the code as a whole.
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Folders whose names the architecture must not make up.
const MEMBER_FOLDERS: [&str; 3] = ["crates/", "plugins/", "bin/"];

/// Checks all pages.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let members: Vec<&str> = workspace.packages.iter().map(|it| it.folder.as_str()).collect();
    let mut findings = names(&workspace.read(ARCHITECTURE)?, &members);
    for page in pages(workspace)? {
        findings.extend(links(workspace, &page)?);
    }
    Ok(findings)
}

/// All written pages, relative to the root.
pub(super) fn pages(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut pages: Vec<PathBuf> =
        ["README.md", ARCHITECTURE, "CHANGELOG.md"].iter().map(PathBuf::from).collect();
    for folder in ["docs", "lua"] {
        pages.extend(workspace.files(folder, "md")?);
    }
    Ok(pages)
}

/// Each member is named, and each name is one of a member.
fn names(text: &str, members: &[&str]) -> Vec<Finding> {
    let mut named = BTreeSet::new();
    let mut findings = Vec::new();
    for (line, content) in text.lines().enumerate() {
        for code in content.split('`').skip(1).step_by(2) {
            let folder = code.trim_end_matches('/');
            if MEMBER_FOLDERS.iter().any(|it| folder.starts_with(it)) && !folder.contains('*') {
                let member = folder.split('/').take(2).collect::<Vec<_>>().join("/");
                if !members.contains(&member.as_str()) {
                    let text = format!("names {folder}, which does not exist");
                    findings.push(Finding::new(ARCHITECTURE, line + 1, text));
                }
                named.insert(member);
            } else {
                named.insert(folder.to_owned());
            }
        }
    }
    let missing = members.iter().filter(|member| !named.contains(**member));
    findings.extend(missing.map(|it| Finding::new(ARCHITECTURE, 0, format!("does not name {it}"))));
    findings
}

/// Links to files of ours lead to files that exist.
fn links(workspace: &Workspace, page: &Path) -> Result<Vec<Finding>> {
    let text = workspace.read(page)?;
    let mut findings = Vec::new();
    for (line, target) in targets(&text) {
        let path = target.split('#').next().unwrap_or_default();
        if path.is_empty() {
            continue;
        }
        let file = normal(&page.parent().unwrap_or(Path::new("")).join(path));
        if !workspace.root.join(&file).exists() {
            findings.push(Finding::new(
                page,
                line,
                format!("links to {target}, which does not exist"),
            ));
        }
    }
    Ok(findings)
}

/// Targets of relative links with their lines; code blocks are left out.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (line, content) in text.lines().enumerate() {
        if content.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in content.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if !target.contains(':') {
                found.push((line + 1, target));
            }
        }
    }
    found
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                // At the root it stays there, and the file is not found.
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn the_architecture_names_all_members_and_no_others() {
        let members = ["crates/message", "xtask"];
        assert!(names("`crates/message`, `crates/message/src`, `xtask`", &members).is_empty());
        assert_eq!(
            texts(names("`crates/massage`\n`xtask/`", &members)),
            [
                "ARCHITECTURE.md:1: names crates/massage, which does not exist",
                "ARCHITECTURE.md: does not name crates/message",
            ]
        );
    }

    #[test]
    fn links_are_found_outside_of_code_blocks() {
        let text = "[a](b.md#c) [d](https://e)\n```\n[f](g)\n```\n[h](../i.md)";
        assert_eq!(targets(text), [(1, "b.md#c"), (5, "../i.md")]);
        assert_eq!(normal(Path::new("docs/guide/../i.md")), Path::new("docs/i.md"));
    }
}
