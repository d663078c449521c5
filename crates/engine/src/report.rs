//! What the daemon says of itself: `heka.all-report` as JSON and as text, and the ledger.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use heka_plugin::{FeedMaker, InputCounts, Metric, PluginCounts, Reporter};
use heka_stream::{
    Consumer, DeadLetters, DropReason, DurableLog, LedgerError, SourceCounts, Stream,
};
use serde_json::{Value, json};

use crate::consumers::Roster;
use crate::waits::waiting_for;

/// What can be asked of a running engine.
#[derive(Clone)]
pub struct Handles {
    pub(crate) inputs: Vec<InputHandle>,
    pub(crate) consumers: Roster,
    pub(crate) stream: Stream,
    pub(crate) letters: Option<DeadLetters>,
}

/// An input as seen from outside.
#[derive(Clone)]
pub struct InputHandle {
    /// Section name.
    pub name: Arc<str>,
    /// Plugin type.
    pub type_name: &'static str,
    /// What it read.
    pub counts: Arc<InputCounts>,
    /// What its runner counts.
    pub plugin_counts: Arc<PluginCounts>,
    /// What it appended to the stream.
    pub ledger: Arc<SourceCounts>,
    pub(crate) feeds: Arc<FeedMaker>,
    pub(crate) reporter: Reporter,
}

/// A filter or output as seen from outside.
#[derive(Clone)]
pub struct ConsumerHandle {
    /// Section name.
    pub name: Arc<str>,
    /// Plugin type.
    pub type_name: &'static str,
    /// A filter; else an output.
    pub is_filter: bool,
    /// Its place in the stream, with its ledger.
    pub consumer: Arc<Consumer>,
    /// What its runner counts.
    pub counts: Arc<PluginCounts>,
    /// What it injected.
    pub injected: Arc<SourceCounts>,
    pub(crate) stops_when_full: bool,
    /// Loaded while the daemon runs.
    pub(crate) is_loaded: bool,
    pub(crate) reporter: Reporter,
}

impl Handles {
    /// All inputs.
    #[must_use]
    pub fn inputs(&self) -> &[InputHandle] {
        &self.inputs
    }

    /// All filters of this moment: those of the configuration and those that are loaded.
    pub fn filters(&self) -> impl Iterator<Item = ConsumerHandle> + use<> {
        self.consumers.all().into_iter().filter(|handle| handle.is_filter)
    }

    /// All outputs.
    pub fn outputs(&self) -> impl Iterator<Item = ConsumerHandle> + use<> {
        self.consumers.all().into_iter().filter(|handle| !handle.is_filter)
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Checks that every message is in exactly one state; exact only while nothing moves.
    ///
    /// # Errors
    /// The first consumer whose numbers do not add up.
    pub fn balance(&self) -> Result<(), LedgerError> {
        self.consumers.all().iter().try_for_each(|handle| handle.consumer.counts().balance())
    }
}

/// The figures of one plugin or part.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Section name, or the name of a part of the daemon.
    pub name: String,
    /// Figures by name: representation and value.
    pub metrics: BTreeMap<String, (String, Value)>,
}

impl Entry {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), metrics: BTreeMap::new() }
    }

    fn count(&mut self, name: &str, value: u64) -> &mut Self {
        self.number(name, value, "count")
    }

    fn number(&mut self, name: &str, value: u64, unit: &str) -> &mut Self {
        self.metrics.insert(name.to_owned(), (unit.to_owned(), json!(value)));
        self
    }

    fn plugin(&mut self, reporter: &Reporter) {
        for (name, metric) in reporter.report().metrics() {
            let value = match metric {
                Metric::Number(number, unit) => ((*unit).to_owned(), json!(number)),
                Metric::Text(text) => (String::new(), json!(text)),
            };
            // The ledger's figures stand above what a plugin counts under the same name.
            self.metrics.entry(name.clone()).or_insert(value);
        }
    }
}

/// A report: sections of entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    sections: [(&'static str, Vec<Entry>); 4],
}

/// The sections of the text form; those that have no entries of their own here print `NONE`.
const TEXT_SECTIONS: [&str; 7] =
    ["globals", "inputs", "splitters", "decoders", "filters", "outputs", "encoders"];

impl Report {
    /// The report of this moment.
    #[must_use]
    pub fn of(handles: &Handles) -> Self {
        Self {
            sections: [
                ("globals", globals(handles)),
                ("inputs", handles.inputs.iter().map(|it| input(handles, it)).collect()),
                ("filters", handles.filters().map(|it| consumer(handles, &it)).collect()),
                ("outputs", handles.outputs().map(|it| consumer(handles, &it)).collect()),
            ],
        }
    }

    /// The entries of a section: `globals`, `inputs`, `filters` or `outputs`.
    #[must_use]
    pub fn section(&self, name: &str) -> &[Entry] {
        let section = self.sections.iter().find(|(section, _)| *section == name);
        section.map_or(&[], |(_, entries)| entries)
    }

    /// The payload of `heka.all-report`: one JSON object and a newline, keys sorted.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut object = BTreeMap::new();
        for (section, entries) in &self.sections {
            if entries.is_empty() {
                continue;
            }
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| {
                    let mut fields = BTreeMap::from([("Name".to_owned(), json!(entry.name))]);
                    for (name, (representation, value)) in &entry.metrics {
                        let value = json!({"representation": representation, "value": value});
                        fields.insert(name.clone(), value);
                    }
                    fields
                })
                .collect();
            object.insert(*section, entries);
        }
        let mut text = serde_json::to_string(&object).unwrap_or_default();
        text.push('\n');
        text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    }

    /// The text form, as SIGUSR1 shows it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from("========[heka.all-report]========\n");
        for name in TEXT_SECTIONS {
            let title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
            text.push_str(&format!("\n===={title}====\n"));
            let entries = self.section(name);
            if entries.is_empty() {
                text.push_str("NONE\n\n");
            }
            for entry in entries {
                text.push_str(&format!("{}:\n", entry.name));
                for (metric, (_, value)) in &entry.metrics {
                    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    // Writing to a string cannot fail.
                    let written = writeln!(text, "    {metric}: {shown}");
                    debug_assert!(written.is_ok());
                }
            }
        }
        text.push_str("========\n");
        text
    }
}

fn globals(handles: &Handles) -> Vec<Entry> {
    let (budget, injected) = handles.stream.budgets();
    let (read_back, read_back_max) =
        handles.stream.log().map_or((0, 0), |log| log.read_back_bytes());
    let mut router = Entry::new("Router");
    router.count("ProcessMessageCount", handles.stream.appended());
    let mut memory = Entry::new("Memory");
    memory.number("InFlightBytes", budget.used() + injected.used() + read_back, "B").number(
        "LimitBytes",
        budget.total() + injected.total() + read_back_max,
        "B",
    );
    let mut entries = vec![router, memory];
    if let Some(log) = handles.stream.log() {
        entries.push(log_entry(log));
    }
    if let Some(letters) = &handles.letters {
        let (kept, lost) = letters.counts();
        if kept + lost > 0 {
            let mut entry = Entry::new("DeadLetters");
            entry.count("KeptCount", kept).count("NotKeptCount", lost);
            entries.push(entry);
        }
    }
    entries
}

fn log_entry(log: &DurableLog) -> Entry {
    let figures = log.figures();
    let mut entry = Entry::new("Log");
    entry
        .number("Bytes", figures.bytes, "B")
        .count("SegmentCount", figures.segments)
        .number("WrittenBytes", figures.written_bytes, "B")
        .count("WrittenBatchCount", figures.written_batches)
        .count("SparedBatchCount", figures.spared_batches)
        .count("SyncCount", figures.syncs)
        .count("PendingBatchCount", figures.pending.0)
        .number("PendingBytes", figures.pending.1, "B");
    if figures.damaged_bytes > 0 {
        entry.number("DamagedBytes", figures.damaged_bytes, "B");
    }
    if let Some(stuck) = figures.stuck {
        entry.metrics.insert("Stuck".to_owned(), (String::new(), json!(stuck)));
    }
    entry
}

fn input(handles: &Handles, handle: &InputHandle) -> Entry {
    let mut entry = Entry::new(&handle.name);
    waits(&mut entry, handles, &handle.ledger);
    let (counts, ledger) = (&handle.counts, &handle.ledger);
    entry
        .count("ProcessMessageCount", ledger.received())
        .count("ProcessMessageFailures", counts.decode_failed.get())
        .count("FilteredMessageCount", ledger.filtered())
        .count("RecordCount", counts.records.get())
        .number("ReadBytes", counts.bytes.get(), "B");
    for (name, value) in [
        ("DiscardedCount", counts.discarded.get()),
        ("IncompleteCount", counts.incomplete.get()),
        ("OversizeDroppedCount", counts.oversize_dropped.get()),
        ("OversizeTruncatedCount", counts.oversize_truncated.get()),
        ("SkippedBytes", counts.skipped_bytes.get()),
        ("BadSignatureCount", counts.bad_signature.get()),
        ("KernelDroppedCount", counts.kernel_dropped.get()),
        ("AcceptedCount", counts.accepted.get()),
        ("RefusedCount", counts.refused.get()),
        ("ErrorCount", counts.errors.get()),
        ("RestartCount", handle.plugin_counts.restarts.get()),
    ] {
        if value > 0 {
            entry.count(name, value);
        }
    }
    entry.plugin(&handle.reporter);
    entry
}

/// For how long sources waited, and for what they wait now.
fn waits(entry: &mut Entry, handles: &Handles, counts: &SourceCounts) {
    let waited = u64::try_from(counts.waited().as_nanos()).unwrap_or(u64::MAX);
    if waited > 0 {
        entry.number("WaitedDuration", waited, "ns");
    }
    if let Some((_, why)) = waiting_for(handles, counts) {
        entry.metrics.insert("WaitsFor".to_owned(), (String::new(), json!(why)));
    }
}

fn consumer(handles: &Handles, handle: &ConsumerHandle) -> Entry {
    let mut entry = Entry::new(&handle.name);
    if handle.consumer.is_durable() {
        let (messages, bytes) = handle.consumer.backlog();
        entry.count("BacklogMessageCount", messages).number("BacklogBytes", bytes, "B");
    }
    if let Some(trouble) = handle.consumer.trouble() {
        entry.metrics.insert("Trouble".to_owned(), (String::new(), json!(trouble)));
    }
    waits(&mut entry, handles, &handle.injected);
    let (counts, ledger) = (&handle.counts, handle.consumer.counts());
    entry
        .count("MatchedMessageCount", ledger.matched())
        .count("ProcessMessageCount", ledger.delivered())
        .count("HeldMessageCount", ledger.held())
        .count("DropMessageCount", ledger.dropped_in_all())
        .count("InChanLength", handle.consumer.held_deliveries() as u64)
        .number("HeldBytes", handle.consumer.held_bytes() as u64, "B")
        .number("WindowBytes", handle.consumer.options().window_bytes as u64, "B");
    for reason in DropReason::ALL {
        if ledger.dropped(reason) > 0 {
            entry.count(&format!("DropMessageCount-{}", reason.name()), ledger.dropped(reason));
        }
    }
    if handle.is_filter {
        entry.count("InjectMessageCount", counts.injected.get());
    }
    for (name, value) in [
        ("InjectRefusedCount", counts.inject_refused.get()),
        ("EncodeFailureCount", counts.encode_failed.get()),
        ("RetryCount", counts.retries.get()),
        ("RestartCount", counts.restarts.get()),
        ("PanicCount", counts.panics.get()),
        ("RedeliveredCount", ledger.redelivered()),
    ] {
        if value > 0 {
            entry.count(name, value);
        }
    }
    entry.plugin(&handle.reporter);
    entry
}
