//! `hekad dlq`: dead letters seen from outside, and how they are tried again.

use std::collections::VecDeque;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Subcommand};
use heka_engine::{LETTERS_MAX, Request};
use heka_message::NameRegistry;
use heka_stream::{DeadLetter, LetterReader, LogError};
use serde_json::{Value, json};

use crate::printer::{Format, Printer, one_line};
use crate::store::{Store, Whence, tell_damage};
use crate::{moment, put_out, say, tell};

/// Longest beginning of a payload in a list, in bytes.
const SAMPLE_BYTES: usize = 60;
/// Bytes in a line of a dump.
const DUMP_LINE_BYTES: usize = 16;

/// What to do with the dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum DlqCommand {
    /// Lists dead letters, oldest first.
    List {
        /// Only those that this plugin gave up; an input stands for its decoder.
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
        /// Only the newest N.
        #[arg(long, value_name = "N")]
        limit: Option<NonZeroUsize>,
        /// Prints JSON, an object a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows all of one: when, who gave it up, why, the message, its payload byte by byte.
    Show {
        /// Its number in the list.
        id: u64,
    },
    /// Has dead letters tried again: by the plugin that gave it up; what a decoder refused, by the input's decoder. They stay
    /// in the list until they age out.
    Requeue(Chosen),
}

/// Which letters are tried again.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// Their numbers in the list.
    #[arg(value_name = "ID")]
    ids: Vec<u64>,
    /// All that this plugin gave up; an input stands for its decoder.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// All.
    #[arg(long)]
    all: bool,
}

/// Runs; the result is the exit code.
pub(crate) fn run(whence: &Whence, command: &DlqCommand) -> anyhow::Result<u8> {
    let store = Store::find(whence)?;
    match command {
        DlqCommand::List { plugin, limit, json } => {
            list(&store, plugin.as_deref(), *limit, *json)?;
        }
        DlqCommand::Show { id } => show(&store, *id)?,
        DlqCommand::Requeue(chosen) => requeue(&store, chosen)?,
    }
    Ok(0)
}

/// Reads letters past what cannot be read of them.
struct Letters {
    reader: LetterReader,
}

impl Letters {
    fn new(store: &Store, names: &Arc<NameRegistry>, from: u64) -> Self {
        Self { reader: store.letter_reader(names, from) }
    }

    fn next(&mut self) -> anyhow::Result<Option<DeadLetter>> {
        loop {
            let letter = self.reader.next_letter();
            self.reader.take_damage().iter().for_each(tell_damage);
            match letter {
                Ok(letter) => return Ok(letter),
                Err(error @ LogError::Content(_)) => tell(&format!("{error}\n")),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_of(letter: &DeadLetter, plugin: Option<&str>) -> bool {
    plugin.is_none_or(|name| letter.plugin == name || letter.input.as_deref() == Some(name))
}

fn list(
    store: &Store,
    plugin: Option<&str>,
    limit: Option<NonZeroUsize>,
    json: bool,
) -> anyhow::Result<()> {
    let names = NameRegistry::new();
    let mut letters = Letters::new(store, &names, 0);
    let mut lines = VecDeque::new();
    if !json && !put_out(head().as_bytes())? {
        return Ok(());
    }
    while let Some(letter) = letters.next()? {
        if !is_of(&letter, plugin) {
            continue;
        }
        let line = if json { format!("{}\n", as_json(&letter)) } else { as_line(&letter) };
        let Some(limit) = limit else {
            if !put_out(line.as_bytes())? {
                return Ok(());
            }
            continue;
        };
        if lines.len() == limit.get() {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    say(&lines.into_iter().collect::<String>())
}

fn head() -> String {
    format!("{:>8}  {:<24}  {:<20}  {:<40}  PAYLOAD\n", "ID", "GIVEN UP", "PLUGIN", "WHY")
}

fn as_line(letter: &DeadLetter) -> String {
    let DeadLetter { sequence, plugin, .. } = letter;
    let (time, why) = (moment::text(letter.time_ns), one_line(letter.why.as_bytes()));
    let payload = letter.batch.record(0).map_or(&[][..], |record| record.payload());
    let dots = if payload.len() > SAMPLE_BYTES { "…" } else { "" };
    let sample = one_line(&payload[..payload.len().min(SAMPLE_BYTES)]);
    format!("{sequence:>8}  {time}  {plugin:<20}  {why:<40}  {sample}{dots}\n")
}

fn as_json(letter: &DeadLetter) -> Value {
    let payload = letter.batch.record(0).map_or(&[][..], |record| record.payload());
    json!({
        "id": letter.sequence,
        "time": moment::text(letter.time_ns),
        "plugin": letter.plugin,
        "input": letter.input,
        "why": letter.why,
        "payload": String::from_utf8_lossy(payload),
        "payload_bytes": payload.len(),
    })
}

fn show(store: &Store, id: u64) -> anyhow::Result<()> {
    let names = NameRegistry::new();
    let letter = Letters::new(store, &names, id).next()?.filter(|it| it.sequence == id);
    let Some(letter) = letter else { bail!("there is no dead letter {id}") };
    let mut text = format!("id:       {id}\n");
    writeln!(text, "given up: {}", moment::text(letter.time_ns))?;
    writeln!(text, "plugin:   {}", letter.plugin)?;
    if let Some(input) = &letter.input {
        writeln!(text, "input:    {input} (its decoder refused the record)")?;
    }
    if letter.is_remains() {
        writeln!(
            text,
            "left:     only the bytes that were made of the message; it cannot be tried again"
        )?;
    }
    writeln!(text, "why:      {}", letter.why)?;
    let mut out = text.into_bytes();
    let mut printer = Printer::new(Format::Rst, &names, store.message_bytes_max)?;
    for record in letter.batch.records() {
        out.extend_from_slice(&printer.bytes(&letter.batch, &record)?);
        out.extend_from_slice(format!("payload, {} bytes:\n", record.payload().len()).as_bytes());
        dump(record.payload(), &mut out);
    }
    put_out(&out).map(|_there| ())
}

/// Bytes as numbers and as text.
fn dump(bytes: &[u8], out: &mut Vec<u8>) {
    for (number, line) in bytes.chunks(DUMP_LINE_BYTES).enumerate() {
        let mut text = format!("{:08x} ", number * DUMP_LINE_BYTES);
        for byte in line {
            text.push_str(&format!(" {byte:02x}"));
        }
        text.push_str(&"   ".repeat(DUMP_LINE_BYTES - line.len()));
        text.push_str("  |");
        text.extend(line.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        }));
        text.push_str("|\n");
        out.extend_from_slice(text.as_bytes());
    }
}

fn requeue(store: &Store, chosen: &Chosen) -> anyhow::Result<()> {
    let names = NameRegistry::new();
    let mut missing = chosen.ids.clone();
    let mut letters = Letters::new(store, &names, missing.iter().copied().min().unwrap_or(0));
    let mut ids = Vec::new();
    while let Some(letter) = letters.next()? {
        let id = letter.sequence;
        let is_chosen = match chosen.ids.is_empty() {
            true => is_of(&letter, chosen.plugin.as_deref()),
            false => chosen.ids.contains(&id),
        };
        if is_chosen {
            missing.retain(|&other| other != id);
            ids.push(id);
        }
    }
    if let Some(id) = missing.first() {
        bail!("there is no dead letter {id}");
    }
    if ids.is_empty() {
        bail!("there is no such dead letter");
    }
    let mut note = String::new();
    for (number, part) in ids.chunks(LETTERS_MAX).enumerate() {
        note = store.submit(&Request::Requeue(part.to_vec()), number)?;
    }
    say(&format!("{} dead letters are to be tried again\n{note}", ids.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_shows_every_byte() {
        let mut out = Vec::new();
        dump(b"0123456789abcdef\x00\xff", &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|"
        );
        assert!(lines[1].starts_with("00000010  00 ff ") && lines[1].ends_with("  |..|"));
    }
}
