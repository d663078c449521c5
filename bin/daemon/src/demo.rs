//! `hekad demo`: the built-in configuration at work, or written out to be changed.
//!
//! Here: the chosen numbers, writing the file, the totals at the end. Not here: the traffic and the view, which are
//! plugins as all others (`heka-plugin-demo`). Invariant: what runs is what `--write-config` writes.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use heka_config::{Problems, parse_config};
use heka_engine::{ConsumerHandle, Handles, InputHandle, Plan, Report};

use crate::{PLUGINS, log, run, say};

/// The configuration, with numbers that [`text`] replaces.
const TEMPLATE: &str = include_str!("demo/demo.toml");
/// Its name in problems, and as a file.
const FILE_NAME: &str = "demo.toml";
/// The lines of the template that are replaced.
const RATE_LINE: &str = "rate = 500";
const DURATION_LINE: &str = "duration = \"0s\"";
const BASE_DIR_LINE: &str = "base_dir = \"/tmp/hekad-demo\"";
/// From which level on the daemon's log is shown beside the view, if the environment does not say.
const LOG_LEVEL: &str = "warn";

/// What the command line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DemoOptions {
    /// Lines per second in the mean; 0 as fast as possible.
    pub(crate) rate: Option<u32>,
    /// When to end; 0 never.
    pub(crate) seconds: Option<u32>,
    /// As fast as possible.
    pub(crate) max: bool,
    /// Write the configuration into this folder instead of running it.
    pub(crate) write_config: Option<PathBuf>,
    /// Overwrite.
    pub(crate) force: bool,
}

/// Runs or writes the demo; the result is the exit code.
pub(crate) fn demo(options: DemoOptions) -> anyhow::Result<u8> {
    if options.max && options.rate.is_some_and(|rate| rate > 0) {
        bail!("--max and --rate contradict each other");
    }
    match &options.write_config {
        Some(folder) => write_config(folder, &options),
        None if options.force => bail!("--force is for --write-config"),
        None => {
            let base_dir = std::env::temp_dir().join(format!("hekad-demo-{}", std::process::id()));
            let result = run_demo(&base_dir, &options);
            remove_empty(&base_dir);
            result
        }
    }
}

fn run_demo(base_dir: &Path, options: &DemoOptions) -> anyhow::Result<u8> {
    let plan = plan(&text(base_dir, options)?)?;
    log::start_at(plan.globals().log_format, LOG_LEVEL);
    let began = Instant::now();
    run::run_plan_then(&plan, |handles| {
        say(&totals(handles, began.elapsed()))?;
        handles.balance().context("the ledger does not balance")
    })
}

/// The demo keeps nothing, so its folder is empty; if it is not, it is not ours to remove.
fn remove_empty(folder: &Path) {
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, folder = %folder.display(), "cannot remove the demo's folder");
        }
        _ => {}
    }
}

/// Checks the configuration as any other.
fn plan(text: &str) -> anyhow::Result<Plan> {
    let (config, mut problems): (_, Problems) = parse_config(text, FILE_NAME);
    let plan = Plan::new(&config, PLUGINS, &mut problems);
    if problems.has_errors() {
        bail!("the demo's configuration has errors\n{problems}");
    }
    Ok(plan)
}

/// The configuration with the chosen numbers.
fn text(base_dir: &Path, options: &DemoOptions) -> anyhow::Result<String> {
    let base_dir = format!("base_dir = {}", quoted(base_dir)?);
    let mut text = replaced(TEMPLATE, BASE_DIR_LINE, &base_dir)?;
    let rate = if options.max { Some(0) } else { options.rate };
    if let Some(rate) = rate {
        text = replaced(&text, RATE_LINE, &format!("rate = {rate}"))?;
    }
    if let Some(seconds) = options.seconds {
        text = replaced(&text, DURATION_LINE, &format!("duration = \"{seconds}s\""))?;
    }
    Ok(text)
}

/// Replaces the one line that reads `line`.
fn replaced(text: &str, line: &str, by: &str) -> anyhow::Result<String> {
    let mut found = 0;
    let mut out = String::with_capacity(text.len() + by.len());
    for old in text.lines() {
        let is_it = old == line;
        found += usize::from(is_it);
        out.push_str(if is_it { by } else { old });
        out.push('\n');
    }
    if found != 1 {
        bail!("the built-in configuration has {found} lines `{line}`");
    }
    Ok(out)
}

/// A path as a TOML string.
fn quoted(path: &Path) -> anyhow::Result<String> {
    let Some(text) = path.to_str() else { bail!("{} is not UTF-8", path.display()) };
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            _ if letter.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

/// Writes the configuration and says how to go on.
fn write_config(folder: &Path, options: &DemoOptions) -> anyhow::Result<u8> {
    let folder = std::path::absolute(folder)
        .with_context(|| format!("cannot tell where {} is", folder.display()))?;
    let text = text(&folder.join("data"), options)?;
    // A file that does not run would be worse than none.
    plan(&text)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(FILE_NAME);
    let mut open = OpenOptions::new();
    if options.force {
        open.write(true).create(true).truncate(true);
    } else {
        open.write(true).create_new(true);
    }
    let mut file = match open.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} exists; --force overwrites it", path.display());
        }
        file => file.with_context(|| format!("cannot write {}", path.display()))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    let word = shell_word(&path);
    say(&format!(
        "Wrote {}.\n\n  hekad check {word}      shows what is wrong with a change\n  hekad -config={word}    runs it\n",
        path.display()
    ))?;
    Ok(0)
}

/// A path as one word of a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+,:@%".contains(it);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// What became of all lines and messages, once everything has stopped.
fn totals(handles: &Handles, elapsed: Duration) -> String {
    let mut text = String::from("\n");
    for input in handles.inputs() {
        input_totals(&mut text, input, elapsed.as_secs_f64().max(0.001));
    }
    late_lines(&mut text, handles);
    for consumer in handles.filters().chain(handles.outputs()) {
        consumer_totals(&mut text, &consumer);
    }
    put(
        &mut text,
        match handles.balance() {
            Ok(()) => format_args!("The ledger balances: every message is in exactly one state."),
            Err(_) => format_args!("The ledger does not balance."),
        },
    );
    text
}

fn input_totals(text: &mut String, input: &InputHandle, seconds: f64) {
    let (counts, ledger) = (&input.counts, &input.ledger);
    let (lines, bytes) = (counts.records.get(), counts.bytes.get());
    let megabytes = bytes as f64 / 1e6;
    let (lines_rate, megabytes_rate) = (lines as f64 / seconds, megabytes / seconds);
    let name = &input.name;
    let rates = format!("{lines_rate:.0} lines/s, {megabytes_rate:.1} MB/s");
    put(
        text,
        format_args!("{name:<12} {lines:>12} lines, {megabytes:.1} MB in {seconds:.1} s: {rates}"),
    );
    let (parsed, failed, filtered) =
        (ledger.received(), counts.decode_failed.get(), ledger.filtered());
    put(
        text,
        format_args!(
            "{:<12} {parsed:>12} parsed, {failed} not parsed, {filtered} matched by nothing",
            ""
        ),
    );
}

/// Lines that were due but given up, since the pipeline or the machine was too slow for the rate.
fn late_lines(text: &mut String, handles: &Handles) {
    let report = Report::of(handles);
    for input in report.section("inputs") {
        let skipped = input.metrics.get("SkippedLineCount").and_then(|(_, value)| value.as_u64());
        if let Some(skipped) = skipped.filter(|&skipped| skipped > 0) {
            put(text, format_args!("{:<12} {skipped:>12} given up, too late for the rate", ""));
        }
    }
}

fn consumer_totals(text: &mut String, consumer: &ConsumerHandle) {
    let counts = consumer.consumer.counts();
    let (name, matched, delivered) = (&consumer.name, counts.matched(), counts.delivered());
    let dropped = counts.dropped_in_all();
    let mut line =
        format!("{name:<12} {matched:>12} matched, {delivered} delivered, {dropped} dropped");
    if consumer.is_filter {
        line.push_str(&format!(", {} made", consumer.injected.received()));
    }
    put(text, format_args!("{line}"));
}

/// Appends a line.
fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(rate: Option<u32>, seconds: Option<u32>, max: bool) -> DemoOptions {
        DemoOptions { rate, seconds, max, ..DemoOptions::default() }
    }

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("hekad-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_built_in_configuration_is_planned_without_any_problem() {
        let (config, mut problems) = parse_config(TEMPLATE, FILE_NAME);
        let plan = Plan::new(&config, PLUGINS, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        let routes = plan.routes();
        let names: Vec<&str> = routes.iter().map(|route| route.consumer.as_str()).collect();
        assert_eq!(names, ["requests", "errors", "view"]);
    }

    #[test]
    fn what_is_commented_out_can_be_taken_in() {
        let taken_in = |line: &str| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
            _ => line.to_owned(),
        };
        let text: Vec<String> = TEMPLATE.lines().map(taken_in).collect();
        let (config, mut problems) = parse_config(&text.join("\n"), FILE_NAME);
        drop(Plan::new(&config, PLUGINS, &mut problems));
        assert!(!problems.has_errors(), "{problems}");
        assert!(problems.is_empty(), "{problems}");
        for name in ["errors_file", "json", "aggregator", "my_log"] {
            assert!(config.sections.iter().any(|section| section.name == name), "{name}");
        }
    }

    #[test]
    fn the_chosen_numbers_are_in_the_text() {
        let text = |options| text(Path::new("/x/\"y\\"), &options).unwrap();
        let chosen = text(numbers(Some(7), Some(3), false));
        for line in ["rate = 7", "duration = \"3s\"", r#"base_dir = "/x/\"y\\""#] {
            assert!(chosen.lines().any(|it| it == line), "{line}\n{chosen}");
        }
        assert!(text(numbers(None, None, true)).contains("\nrate = 0\n"));
        assert!(text(numbers(None, None, false)).contains("\nrate = 500\n"));
        let plan = plan(&chosen).unwrap();
        assert_eq!(plan.globals().base_dir, Path::new("/x/\"y\\"));
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let error = demo(numbers(Some(1), None, true)).unwrap_err();
        assert_eq!(error.to_string(), "--max and --rate contradict each other");
        let error = demo(DemoOptions { force: true, ..DemoOptions::default() }).unwrap_err();
        assert_eq!(error.to_string(), "--force is for --write-config");
    }

    #[test]
    fn a_file_that_exists_is_overwritten_only_by_force() {
        let folder = Folder::new("write-config");
        let path = folder.0.join("new/deep").join(FILE_NAME);
        let options = DemoOptions {
            write_config: Some(folder.0.join("new/deep")),
            ..numbers(Some(3), None, false)
        };
        assert_eq!(demo(options.clone()).unwrap(), 0);
        assert!(fs::read_to_string(&path).unwrap().contains("\nrate = 3\n"));
        let other = DemoOptions { rate: Some(4), ..options };
        let error = demo(other.clone()).unwrap_err();
        assert!(error.to_string().ends_with("demo.toml exists; --force overwrites it"), "{error}");
        assert!(fs::read_to_string(&path).unwrap().contains("\nrate = 3\n"));
        assert_eq!(demo(DemoOptions { force: true, ..other }).unwrap(), 0);
        assert!(fs::read_to_string(&path).unwrap().contains("\nrate = 4\n"));
    }

    #[test]
    fn paths_are_words_of_a_shell() {
        assert_eq!(shell_word(Path::new("/a/b-1.toml")), "/a/b-1.toml");
        assert_eq!(shell_word(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
