//! What is left of a script that failed: a file that says why, where, with what figures, and over which message.

use std::fmt::Write as _;
use std::path::PathBuf;

use heka_message::Record;
use heka_plugin::{Durability, StartContext};
use heka_sandbox::{Ended, Usage};

use crate::preservation::plain_name;

/// Directory below `base_dir`.
const DIRECTORY: &str = "sandbox_postmortem";
/// Files that are kept for each plugin.
const FILES_MAX: usize = 10;
/// Bytes of the message that are shown.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// Writes the file and removes the oldest ones of the plugin; gives its path, `None` if it cannot be written, which is
/// logged.
pub(crate) fn write(
    context: &StartContext,
    script: &str,
    ended: &Ended,
    usage: &Usage,
    record: Option<&Record<'_>>,
) -> Option<PathBuf> {
    let directory = context.in_base_dir(DIRECTORY);
    let stem = plain_name(&context.name);
    let now_ns = context.clock.now_ns();
    let path = directory.join(format!("{stem}.{now_ns:020}.txt"));
    let text = text(context, script, ended, usage, record);
    if let Err(error) = context.storage.replace(&path, text.as_bytes(), Durability::Crash) {
        let plugin = &*context.name;
        tracing::warn!(plugin, %error, path = %path.display(), "no post-mortem written");
        return None;
    }
    let prefix = format!("{stem}.");
    let mut files = context.storage.list(&directory).unwrap_or_default();
    files.retain(|name| {
        let number = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".txt"));
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    files.sort();
    for old in files.iter().rev().skip(FILES_MAX) {
        if let Err(error) = context.storage.remove(&directory.join(old)) {
            tracing::debug!(%error, old, "old post-mortem not removed");
        }
    }
    Some(path)
}

fn text(
    context: &StartContext,
    script: &str,
    ended: &Ended,
    usage: &Usage,
    record: Option<&Record<'_>>,
) -> String {
    let mut time = Vec::new();
    heka_datetime::write_rfc3339(context.clock.now_ns(), &mut time);
    let mut text = format!(
        "plugin: {}\nscript: {script}\ntime: {}\nreason: {}\n",
        context.name,
        String::from_utf8_lossy(&time),
        ended.text(),
    );
    let mut add = |line: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        text.write_fmt(line).is_ok()
    };
    if let Ended::Failed(report) = ended {
        if let Some(line) = &report.source_line {
            add(format_args!("source: {line}\n"));
        }
        if !report.traceback.is_empty() {
            add(format_args!("traceback:\n"));
            for line in report.traceback.lines() {
                add(format_args!("    {line}\n"));
            }
        }
    }
    add(format_args!("memory: {} B, at most {} B\n", usage.memory, usage.memory_max));
    add(format_args!(
        "instructions: {} in the last call, at most {}\n",
        usage.instructions, usage.instructions_max
    ));
    add(format_args!("output: at most {} B\n", usage.output_max));
    match record {
        Some(record) => {
            add(format_args!("message:\n"));
            let mut encoded = Vec::new();
            heka_wire::encode_message(record, &mut encoded);
            add(format_args!("    {record:?}\n"));
            encoded.truncate(MESSAGE_BYTES_MAX);
            let hex: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
            add(format_args!("    protobuf: {hex}\n"));
        }
        None => {
            add(format_args!("message: none\n"));
        }
    }
    text
}
