//! Rules about Rust sources and manifests: sizes, headers, macros, pages, unwinding.
//!
//! Here: the limits and the list of exceptions. Not here: reading Rust (`code`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Finding;
use super::code::Code;
use crate::workspace::Workspace;

/// Lines of a function at most.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file at most, tests left out.
const FILE_LINES_MAX: usize = 800;

/// Functions that may be longer, with the reason: file, function, why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

/// Files that may be longer, with the reason: file, why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Files of configuration that cargo reads.
const CARGO_FILES: [&str; 2] = ["Cargo.toml", ".cargo/config.toml"];

/// Begins the first line of every file.
const HEADER: &str = "//!";

/// What defines a macro.
const MACRO: &str = "macro_rules!";

/// What stands for code that is still to be written.
const UNFINISHED: [&str; 2] = ["todo!", "unimplemented!"];

/// Module files that are called otherwise here: `a.rs` beside the folder `a`.
const OLD_MODULE_FILE: &str = "mod.rs";

/// How the implementation of a plugin begins, before the name of its type.
const PLUGIN_IMPLEMENTATIONS: [&str; 2] = [" Plugin for ", " heka_plugin::Plugin for "];

/// A source file, read.
struct Source {
    path: PathBuf,
    text: String,
    code: Code,
    /// Compiled for tests or benches only.
    is_test: bool,
}

/// Checks all sources and manifests.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut sources = Vec::new();
    for path in workspace.sources()? {
        let text = workspace.read(&path)?;
        let code = Code::new(&text);
        sources.push(Source { path, text, code, is_test: false });
    }
    mark_tests(&mut sources);
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(header(source));
        findings.extend(no_macros(source));
        findings.extend(finished(source));
        findings.extend(module_file(&source.path));
        findings.extend(type_name(source));
        findings.extend(sizes(source));
        findings.extend(page(workspace, source));
    }
    for file in CARGO_FILES {
        findings.extend(unwinds(file, &workspace.read(file)?));
    }
    findings.extend(stale_exceptions(&sources));
    Ok(findings)
}

/// Finds the files that are not part of the program: by their folder, and by how they are declared.
fn mark_tests(sources: &mut [Source]) {
    let mut tests = BTreeSet::new();
    for source in sources.iter() {
        let folder = module_folder(&source.path);
        for name in source.code.test_modules().files {
            tests.insert(folder.join(format!("{name}.rs")));
            tests.insert(folder.join(name));
        }
    }
    for source in sources {
        let declared = source.path.ancestors().any(|path| tests.contains(path));
        let mut parts = source.path.components().skip(2);
        source.is_test = declared
            || parts.any(|part| ["tests", "benches"].iter().any(|it| part.as_os_str() == *it));
    }
}

/// Where the modules lie that a file declares.
fn module_folder(path: &Path) -> PathBuf {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("lib.rs" | "main.rs") => path.parent().unwrap_or(Path::new("")).to_path_buf(),
        _ => path.with_extension(""),
    }
}

fn header(source: &Source) -> Option<Finding> {
    let lacks = !source.text.starts_with(HEADER);
    lacks.then(|| Finding::new(&source.path, 1, "begins without a header (//! what lives here)"))
}

fn no_macros(source: &Source) -> Option<Finding> {
    let ours = ["crates", "plugins"].iter().any(|folder| source.path.starts_with(folder));
    let found = source.code.text().find(MACRO).filter(|_| ours)?;
    let text = "defines a macro; crates/ and plugins/ do without macros of ours";
    Some(Finding::new(&source.path, source.code.line_at(found), text))
}

fn finished(source: &Source) -> Vec<Finding> {
    let text = source.code.text();
    let found = UNFINISHED.iter().flat_map(|it| text.match_indices(it));
    found
        .map(|(offset, it)| {
            let line = source.code.line_at(offset);
            Finding::new(&source.path, line, format!("{it} is no code"))
        })
        .collect()
}

fn module_file(path: &Path) -> Option<Finding> {
    let is_old = path.file_name().is_some_and(|name| name == OLD_MODULE_FILE);
    is_old.then(|| Finding::new(path, 0, "belongs beside its folder, under the folder's name"))
}

/// The file of a plugin is called as its type: one word, which a search finds everywhere.
fn type_name(source: &Source) -> Option<Finding> {
    let name = plugin_type(source)?;
    let file = format!("{}.rs", snake_case(name));
    let is_called = source.path.file_name().is_some_and(|it| it == file.as_str());
    (!is_called).then(|| Finding::new(&source.path, 0, format!("holds {name}, so it is {file}")))
}

/// The plugin type that a file implements, if any.
fn plugin_type(source: &Source) -> Option<&str> {
    if !source.path.starts_with("plugins") || source.is_test {
        return None;
    }
    let tests = source.code.test_modules().inline;
    let lines = source.code.text().lines().zip(1..);
    let lines = lines.filter(|(_, line)| !tests.iter().any(|(a, b)| (a..=b).contains(&line)));
    let mut lines = lines.filter(|(text, _)| text.starts_with("impl"));
    lines.find_map(|(text, _)| {
        let after = PLUGIN_IMPLEMENTATIONS.iter().find_map(|it| text.split_once(it))?.1;
        after.split(|it: char| !it.is_alphanumeric()).next()
    })
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.push(character.to_ascii_lowercase());
    }
    out
}

fn sizes(source: &Source) -> Vec<Finding> {
    let path = source.path.to_string_lossy();
    let mut findings = Vec::new();
    let tests = source.code.test_modules().inline;
    let in_test = |line: usize| tests.iter().any(|(first, last)| (*first..=*last).contains(&line));
    for function in source.code.functions() {
        let excepted = LONG_FUNCTIONS
            .iter()
            .any(|(file, name, _)| *file == path.as_ref() && *name == function.name);
        let skip = source.is_test || in_test(function.line) || excepted;
        if function.lines > FUNCTION_LINES_MAX && !skip {
            let (name, lines) = (&function.name, function.lines);
            let text = format!("function {name} has {lines} lines, above {FUNCTION_LINES_MAX}");
            findings.push(Finding::new(&source.path, function.line, text));
        }
    }
    let in_tests: usize = tests.iter().map(|(first, last)| last + 1 - first).sum();
    let lines = source.text.lines().count() - in_tests;
    let excepted = LONG_FILES.iter().any(|(file, _)| *file == path.as_ref());
    if lines > FILE_LINES_MAX && !source.is_test && !excepted {
        let text = format!("has {lines} lines without tests, above {FILE_LINES_MAX}");
        findings.push(Finding::new(&source.path, 0, text));
    }
    findings
}

/// A plugin's page lies beside it.
fn page(workspace: &Workspace, source: &Source) -> Option<Finding> {
    plugin_type(source)?;
    let page = source.path.with_extension("md");
    let text = std::fs::read_to_string(workspace.root.join(&page)).unwrap_or_default();
    text.trim().is_empty().then(|| {
        Finding::new(&source.path, 0, format!("its page {} is missing or empty", page.display()))
    })
}

/// A plugin that panics is restarted, which needs unwinding in every profile.
fn unwinds(file: &str, text: &str) -> Option<Finding> {
    let aborts = |line: &str| {
        let line: String = line.split('#').next().unwrap_or("").split_whitespace().collect();
        line.contains("panic=\"abort\"") || line.contains("panic='abort'")
    };
    let line = text.lines().position(aborts)?;
    Some(Finding::new(file, line + 1, "panics must unwind: a plugin that panics is restarted"))
}

/// An exception for something that is no longer there, or no longer long, is to go.
fn stale_exceptions(sources: &[Source]) -> Vec<Finding> {
    let source = |file: &str| sources.iter().find(|source| source.path == Path::new(file));
    let long_function = |file: &str, name: &str| {
        source(file).is_some_and(|source| {
            let mut functions = source.code.functions().into_iter();
            functions.any(|it| it.name == name && it.lines > FUNCTION_LINES_MAX)
        })
    };
    let long_file =
        |file: &str| source(file).is_some_and(|it| it.text.lines().count() > FILE_LINES_MAX);
    let functions = LONG_FUNCTIONS.iter().filter(|(file, name, _)| !long_function(file, name));
    let files = LONG_FILES.iter().filter(|(file, _)| !long_file(file));
    functions
        .map(|(file, name, _)| Finding::new(file, 0, format!("needs no exception for {name}")))
        .chain(files.map(|(file, _)| Finding::new(file, 0, "needs no exception for its length")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        let (path, text) = (PathBuf::from(path), text.to_owned());
        Source { path, code: Code::new(&text), text, is_test: false }
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    call();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_may_have_as_many_lines_as_the_limit_and_no_more() {
        let lib = "crates/message/src/lib.rs";
        assert!(sizes(&source(lib, &function(FUNCTION_LINES_MAX))).is_empty());
        let findings = sizes(&source(lib, &function(FUNCTION_LINES_MAX + 1)));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].text, "function long has 71 lines, above 70");
    }

    #[test]
    fn tests_do_not_count_for_the_length_of_a_file() {
        let code = "// a\n".repeat(FILE_LINES_MAX);
        let lib = "crates/message/src/lib.rs";
        let tests = "#[cfg(test)]\nmod tests {\n// a\n}\n";
        assert!(sizes(&source(lib, &format!("{code}{tests}"))).is_empty());
        assert_eq!(sizes(&source(lib, &format!("{code}\n{tests}"))).len(), 1);
    }

    #[test]
    fn files_of_tests_are_known_by_their_folder_and_by_their_declaration() {
        let mut sources = [
            source("crates/a/src/lib.rs", "#[cfg(test)]\nmod testing;\nmod real;"),
            source("crates/a/src/testing.rs", ""),
            source("crates/a/src/real.rs", "#[cfg(test)]\nmod cases;"),
            source("crates/a/src/real/cases.rs", ""),
            source("crates/a/src/real/cases/deep.rs", ""),
            source("crates/a/tests/it/main.rs", ""),
            source("crates/tests/src/lib.rs", ""),
        ];
        mark_tests(&mut sources);
        let tests: Vec<_> = sources.iter().map(|source| source.is_test).collect();
        assert_eq!(tests, [false, true, false, true, true, true, false]);
    }

    #[test]
    fn headers_are_needed_and_macros_refused_in_libraries_only() {
        assert!(header(&source("crates/a/src/a.rs", "//! Here.\n")).is_none());
        assert!(header(&source("crates/a/src/a.rs", "use b;\n//! Here.\n")).is_some());
        assert!(no_macros(&source("crates/a/src/a.rs", "\nmacro_rules! a {}")).is_some());
        assert!(no_macros(&source("crates/a/src/a.rs", "// macro_rules! a {}")).is_none());
        assert!(no_macros(&source("xtask/src/a.rs", "macro_rules! a {}")).is_none());
    }

    #[test]
    fn the_file_of_a_plugin_is_called_as_its_type() {
        let text = "impl Plugin for TcpOutput {\n}\n";
        assert!(type_name(&source("plugins/net/src/tcp_output.rs", text)).is_none());
        assert!(type_name(&source("plugins/net/src/tcp.rs", text)).is_some());
        assert!(type_name(&source("crates/engine/src/tcp.rs", text)).is_none());
        let in_test = format!("#[cfg(test)]\nmod tests {{\n{text}}}\n");
        assert!(type_name(&source("plugins/net/src/tcp.rs", &in_test)).is_none());
    }

    #[test]
    fn what_is_still_to_be_written_is_found() {
        assert_eq!(finished(&source("xtask/src/a.rs", "\n todo!()")).len(), 1);
        assert!(finished(&source("xtask/src/a.rs", "// todo!()")).is_empty());
        assert!(module_file(Path::new("crates/a/src/b/mod.rs")).is_some());
        assert!(module_file(Path::new("crates/a/src/b.rs")).is_none());
    }

    #[test]
    fn a_profile_that_aborts_is_found_with_its_line() {
        let finding = unwinds("Cargo.toml", "[profile.release]\npanic = \"abort\"\n").unwrap();
        assert_eq!(finding.line, 2);
        assert!(unwinds("Cargo.toml", "# panic = \"abort\"\npanic = \"unwind\"").is_none());
    }
}
