//! `hekad stream ls`: what the log holds.

use std::collections::BTreeMap;
use std::fmt::Write;

use heka_matcher::{Evaluation, MatcherSet};
use heka_message::{Batch, NameRegistry};
use heka_stream::{LogOverview, RecordKind};
use serde_json::{Value, json};

use crate::printer::one_line;
use crate::store::Store;
use crate::{moment, say};

/// What waits for a consumer.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    messages: u64,
    bytes: u64,
    /// Counted with its matcher; else all that lies in the log from its cursor on.
    exact: bool,
}

/// Lists.
pub(super) fn list(store: &Store, json: bool, quick: bool) -> anyhow::Result<()> {
    let overview = store.overview(!quick)?;
    let waiting = match quick {
        true => BTreeMap::new(),
        false => counted(store, &overview)?,
    };
    if json {
        return say(&format!("{:#}\n", as_json(store, &overview, &waiting)));
    }
    say(&as_text(store, &overview, &waiting)?)
}

/// Reads all that waits.
fn counted<'a>(
    store: &Store,
    overview: &'a LogOverview,
) -> anyhow::Result<BTreeMap<&'a str, Waiting>> {
    let names = NameRegistry::new();
    let cursors = &overview.state.cursors;
    let mut waiting: BTreeMap<&str, Waiting> = BTreeMap::new();
    let mut matchers = Vec::new();
    let mut matched = Vec::new();
    for name in cursors.keys() {
        let known = store.consumers.iter().find(|(consumer, _)| consumer == name);
        waiting.insert(name, Waiting { exact: known.is_some(), ..Waiting::default() });
        if let Some((_, matcher)) = known {
            matchers.push(matcher.clone());
            matched.push(name.as_str());
        }
    }
    let set = MatcherSet::compile(&matchers, &names)?;
    let mut evaluation = Evaluation::default();
    let Some(from) = cursors.values().map(|cursor| cursor.sequence).min() else {
        return Ok(waiting);
    };
    let mut reader = store.log_reader(from);
    while let Some(record) = reader.next()? {
        let sequence = record.header.sequence;
        // What cannot be read waits for nobody; a daemon that comes to it says so.
        let Ok(batch) = record_batch(record, &names) else { continue };
        set.evaluate(&batch, &mut evaluation);
        let mut selected = BTreeMap::new();
        for place in evaluation.selected().to_vec() {
            let count = evaluation.take(place as usize).count(batch.len());
            if let Some(name) = matched.get(place as usize) {
                selected.insert(*name, count);
            }
        }
        for (name, waiting) in &mut waiting {
            let count = match waiting.exact {
                true => selected.get(name).copied().unwrap_or(0),
                false => batch.len(),
            };
            if cursors.get(*name).is_some_and(|cursor| cursor.sequence <= sequence) {
                waiting.add(&batch, count as u64);
            }
        }
    }
    Ok(waiting)
}

fn record_batch(
    record: heka_stream::StoredRecord,
    names: &NameRegistry,
) -> Result<Batch, heka_stream::LogError> {
    match record.header.kind {
        RecordKind::Batch => record.into_batch(names),
        _ => Err(heka_stream::LogError::Content("no batch".to_owned())),
    }
}

impl Waiting {
    fn add(&mut self, batch: &Batch, messages: u64) {
        self.messages += messages;
        self.bytes += batch.memory_bytes() as u64 * messages / batch.len().max(1) as u64;
    }
}

fn as_json(store: &Store, overview: &LogOverview, waiting: &BTreeMap<&str, Waiting>) -> Value {
    let segments: Vec<_> = overview.segments.iter().map(|segment| {
        let created = created(segment.created_ns);
        json!({"file": segment.name(), "first_sequence": segment.first(), "created": created, "bytes": segment.bytes})
    }).collect();
    let consumers: Vec<_> = overview
        .state
        .cursors
        .iter()
        .map(|(name, cursor)| {
            let waiting = waiting.get(name.as_str());
            json!({
                "name": name,
                "cursor": cursor.sequence,
                "waiting_messages": waiting.map(|it| it.messages),
                "waiting_bytes": waiting.map(|it| it.bytes),
                "waiting_is_exact": waiting.map(|it| it.exact),
                "last_seen": moment::text(cursor.seen_ns),
            })
        })
        .collect();
    let sources: Vec<_> = overview.state.positions.iter().map(|(key, position)| {
        let words = one_line(&position.position);
        json!({"key": key, "settled": position.settled, "logged": position.logged, "position": words})
    }).collect();
    let damage = |damage: &heka_stream::Damage| json!({"file": damage.path, "from": damage.from, "to": damage.to, "what": damage.what});
    json!({
        "directory": store.log_directory(),
        "next_sequence": overview.state.next_sequence,
        "segments": segments,
        "consumers": consumers,
        "sources": sources,
        "damage": overview.damage.iter().map(damage).collect::<Vec<_>>(),
        "unfinished": overview.unfinished.as_ref().map(damage),
    })
}

fn as_text(
    store: &Store,
    overview: &LogOverview,
    waiting: &BTreeMap<&str, Waiting>,
) -> anyhow::Result<String> {
    let mut text = String::new();
    let next = overview.state.next_sequence;
    writeln!(text, "log {}, next sequence number {next}\n", store.log_directory().display())?;
    writeln!(
        text,
        "{:<30} {:>15}  {:<24} {:>15}",
        "SEGMENT", "FIRST SEQUENCE", "CREATED", "BYTES"
    )?;
    for segment in &overview.segments {
        let (name, created) = (segment.name(), created(segment.created_ns));
        writeln!(text, "{name:<30} {:>15}  {created:<24} {:>15}", segment.first(), segment.bytes)?;
    }
    writeln!(
        text,
        "\n{:<24} {:>12} {:>15} {:>15}  LAST SEEN",
        "CONSUMER", "CURSOR", "MESSAGES WAIT", "BYTES WAIT"
    )?;
    for (name, cursor) in &overview.state.cursors {
        let [messages, bytes] = match waiting.get(name.as_str()) {
            Some(waiting) => [waiting.messages, waiting.bytes].map(|count| {
                // Without its matcher nobody knows which of them it will get.
                format!("{}{count}", if waiting.exact || count == 0 { "" } else { "<=" })
            }),
            None => ["-".to_owned(), "-".to_owned()],
        };
        let (sequence, seen) = (cursor.sequence, moment::text(cursor.seen_ns));
        writeln!(text, "{name:<24} {sequence:>12} {messages:>15} {bytes:>15}  {seen}")?;
    }
    if !overview.state.positions.is_empty() {
        writeln!(text, "\n{:<40} {:>15} {:>15}  POSITION", "SOURCE", "SETTLED", "LOGGED")?;
    }
    for (key, position) in &overview.state.positions {
        let words = one_line(&position.position);
        writeln!(text, "{key:<40} {:>15} {:>15}  {words}", position.settled, position.logged)?;
    }
    if overview.damage.is_empty() {
        writeln!(text, "\nno damage found")?;
    }
    for damage in &overview.damage {
        writeln!(text, "\ndamaged: {damage}")?;
    }
    if let Some(end) = &overview.unfinished {
        writeln!(text, "\nunfinished end, a write under way or cut off by a crash: {end}")?;
    }
    Ok(text)
}

/// When a segment was made; its header may be damaged.
fn created(ns: i64) -> String {
    if ns == 0 { "unknown".to_owned() } else { moment::text(ns) }
}
