//! A log in the simulated file system beside a model of what it must hold.
//!
//! Here: a caller as the stream is one (it numbers, writes, makes safe, writes again what failed), and what must hold
//! after each restart. Not here: the histories (`log_random`, `log_crash`, `log_damage`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use heka_message::Buffer;
use heka_stream::{
    CursorState, Damage, LogError, LogReader, LogSettings, LogState, LogWriter, PositionState,
    RecordKind, RecordMeta, Recovered, SimRandom, SimStorage, Storage,
};

pub(crate) const DIRECTORY: &str = "/log";
pub(crate) const SEGMENT_BYTES: u64 = 4096;
const SOURCES: [&str; 3] = ["in/a", "in/b", "in/c"];
const CONSUMERS: [&str; 3] = ["out", "slow", "gone"];

/// How many times as long as by default random histories run.
pub(crate) fn rounds() -> u64 {
    std::env::var("HEKA_SIM_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Runs a history for so many seeds, or for the one that `HEKA_SEED` says; a panic tells the seed.
pub(crate) fn for_seeds(count: u64, history: impl Fn(u64)) {
    if let Some(seed) = std::env::var("HEKA_SEED").ok().and_then(|text| text.parse().ok()) {
        return history(seed);
    }
    for seed in 0..count * rounds() {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| history(seed)));
        if let Err(panic) = outcome {
            let text = panic.downcast_ref::<String>().map_or("a panic", String::as_str);
            panic!("HEKA_SEED={seed} shows it again: {text}");
        }
    }
}

#[derive(Debug, Clone)]
enum Item {
    Batch { sequence: u64, source: usize, to: u64, raw: Buffer, rest: Vec<u8> },
    Letters { sequence: u64, raw: Buffer },
    Change(LogState),
}

impl Item {
    fn sequence(&self) -> Option<u64> {
        match self {
            Self::Batch { sequence, .. } | Self::Letters { sequence, .. } => Some(*sequence),
            Self::Change(_) => None,
        }
    }

    fn body(&self) -> Vec<u8> {
        match self {
            Self::Batch { raw, rest, .. } => [&raw[..], rest].concat(),
            Self::Letters { raw, .. } => raw.to_vec(),
            Self::Change(_) => Vec::new(),
        }
    }

    fn apply(&self, state: &mut LogState) {
        match self {
            Self::Change(change) => state.apply(change.clone()),
            Self::Batch { source, to, .. } => state.logged(SOURCES[*source], *to),
            Self::Letters { .. } => {}
        }
        if let Some(sequence) = self.sequence() {
            state.next_sequence = state.next_sequence.max(sequence + 1);
        }
    }
}

/// A record that a reader returned.
pub(crate) type Bodies = BTreeMap<u64, Vec<u8>>;

/// Reads everything from a number on; that numbers ascend is checked.
pub(crate) fn read(storage: &SimStorage, from: u64) -> Bodies {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    let mut reader = LogReader::new(storage, Path::new(DIRECTORY), from);
    let mut found = Bodies::new();
    while let Some(record) = reader.next().unwrap() {
        let sequence = record.header.sequence;
        assert!(sequence >= from, "{sequence} is below {from}");
        let last = found.last_key_value().map(|(&last, _)| last);
        assert!(last.is_none_or(|last| last < sequence), "{sequence} after {last:?}");
        found.insert(sequence, record.body);
    }
    found
}

pub(crate) fn open(storage: &SimStorage) -> (LogWriter, Recovered) {
    let settings = LogSettings { directory: DIRECTORY.into(), segment_bytes: SEGMENT_BYTES };
    LogWriter::open(Arc::new(storage.clone()), settings).unwrap()
}

/// A caller, its log, and what is known of both.
pub(crate) struct World {
    pub(crate) storage: SimStorage,
    pub(crate) random: SimRandom,
    pub(crate) writer: LogWriter,
    /// What the caller did, for the report of a failure.
    pub(crate) script: Vec<String>,
    /// What is safe.
    state: LogState,
    /// What is not safe yet; the first `in_log` are written.
    pending: Vec<Item>,
    in_log: usize,
    /// Groups written since the last sync, or tried to.
    writes: usize,
    /// Some of them failed to become safe.
    lost_written: bool,
    next: u64,
    /// Progress of each source behind its newest batch.
    progress: [u64; SOURCES.len()],
    /// The furthest that each was ever said to be: what was given up may come back in a power cut.
    furthest: [u64; SOURCES.len()],
    units: u64,
    /// All bodies ever handed over under a number.
    written: BTreeMap<u64, BTreeSet<Vec<u8>>>,
    /// What a body says of a source: behind which progress it begins and where it ends.
    covers: BTreeMap<Vec<u8>, (usize, u64, u64)>,
    pub(crate) confirmed: Bodies,
    /// Batches below may be gone: their segments were removed.
    removed_below: u64,
    removed_covers: BTreeSet<(usize, u64, u64)>,
    /// For each cursor and each settled position: what it was when last safe, and all that it was since.
    history: BTreeMap<String, Vec<Option<u64>>>,
    /// What was damaged after the last restart.
    damage: Vec<Damage>,
    /// A failure was put in since the last power cut.
    pub(crate) failures: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let storage = SimStorage::new(seed);
        let (writer, recovered) = open(&storage);
        assert_eq!(recovered.state, LogState::default());
        Self {
            storage,
            random: SimRandom::new(!seed),
            writer,
            script: Vec::new(),
            state: LogState::default(),
            pending: Vec::new(),
            in_log: 0,
            writes: 0,
            lost_written: false,
            next: 0,
            progress: [0; SOURCES.len()],
            furthest: [0; SOURCES.len()],
            units: 0,
            written: BTreeMap::new(),
            covers: BTreeMap::new(),
            confirmed: Bodies::new(),
            removed_below: 0,
            removed_covers: BTreeSet::new(),
            history: BTreeMap::new(),
            damage: Vec::new(),
            failures: false,
        }
    }

    fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            panic!("{}\n{}", what(), self.script.join("\n"));
        }
    }

    /// Takes in a batch of a source, or a dead letter.
    pub(crate) fn take(&mut self) {
        let len = match self.random.below(8) {
            0 => 0,
            1 => 4000 + self.random.below(20_000),
            2..4 => 450 + self.random.below(20),
            _ => self.random.below(300),
        };
        self.units += 1;
        let mut raw = vec![b'x'; len];
        raw.extend_from_slice(format!("#{}", self.units).as_bytes());
        let (raw, sequence) = (Buffer::from(raw), self.next);
        self.next += 1;
        let item = if self.random.once_in(6) {
            Item::Letters { sequence, raw }
        } else {
            let source = self.random.below(SOURCES.len());
            let from = self.progress[source];
            let to = from + 1 + self.random.below(3) as u64;
            self.progress[source] = to;
            self.furthest[source] = self.furthest[source].max(to);
            let mut rest = to.to_le_bytes().to_vec();
            rest.extend_from_slice(SOURCES[source].as_bytes());
            rest.extend_from_slice(&(rest.len() as u32).to_le_bytes());
            let body = [&raw[..], &rest].concat();
            self.covers.insert(body, (source, from, to));
            Item::Batch { sequence, source, to, raw, rest }
        };
        self.script.push(format!("take {sequence}, {} bytes", item.body().len()));
        self.written.entry(sequence).or_default().insert(item.body());
        self.pending.push(item);
    }

    /// A consumer or a source moves.
    pub(crate) fn change(&mut self) {
        let mut change = LogState { next_sequence: self.next, ..LogState::default() };
        self.units += 1;
        let name = CONSUMERS[self.random.below(CONSUMERS.len())];
        let key = format!("c{name}");
        let value = if name == "gone" && self.random.once_in(2) {
            change.remove_cursor(name);
            None
        } else {
            let cursor = CursorState { sequence: self.units, ..CursorState::default() };
            change.cursors.insert(name.to_owned(), cursor);
            Some(self.units)
        };
        self.script.push(format!("change {name} to {value:?}"));
        self.history.entry(key).or_insert_with(|| vec![None]).push(value);
        if self.random.once_in(2) {
            let source = self.random.below(SOURCES.len());
            let safe = self.state.positions.get(SOURCES[source]);
            let settled = safe.map_or(0, |position| position.logged);
            let position = PositionState {
                logged: self.progress[source],
                settled,
                position: settled.to_string().into_bytes(),
            };
            let key = format!("p{}", SOURCES[source]);
            self.history.entry(key).or_insert_with(|| vec![Some(0)]).push(Some(settled));
            change.positions.insert(SOURCES[source].to_owned(), position);
        }
        self.pending.push(Item::Change(change));
    }

    fn state_in_log(&self) -> LogState {
        let mut state = self.state.clone();
        self.pending[..self.in_log].iter().for_each(|item| item.apply(&mut state));
        state
    }

    fn told(&mut self, tried: &str, error: &LogError) {
        self.script.push(format!("{tried}: {error}"));
        if error.to_string().starts_with("cannot sync") {
            self.lost_written |= self.in_log > 0 && self.writes > 1;
            self.in_log = 0;
        }
    }

    /// Writes what is not written yet. False if that fails.
    pub(crate) fn write(&mut self) -> bool {
        let mut group = self.writer.group();
        for item in &self.pending[self.in_log..] {
            let meta = |kind, sequence| RecordMeta { kind, messages: 1, sequence, time_ns: 1 };
            match item {
                Item::Batch { sequence, raw, rest, .. } => {
                    group.push(meta(RecordKind::Batch, *sequence), raw, |out| out.extend(rest));
                }
                Item::Letters { sequence, raw } => {
                    group.push(meta(RecordKind::DeadLetters, *sequence), raw, |_| {});
                }
                Item::Change(change) => group.push_state(RecordKind::StateChange, change, 1),
            }
        }
        if group.is_empty() {
            return true;
        }
        self.writes += 1;
        let outcome = self.writer.write(&group, &self.state_in_log(), 1);
        match outcome {
            Ok(()) => {
                self.script.push(format!("write {} bytes", group.bytes()));
                self.in_log = self.pending.len();
                true
            }
            Err(error) => {
                self.told("write", &error);
                false
            }
        }
    }

    /// Makes safe what is written. False if that fails.
    pub(crate) fn sync(&mut self) -> bool {
        if let Err(error) = self.writer.sync() {
            self.told("sync", &error);
            return false;
        }
        (self.writes, self.lost_written) = (0, false);
        self.script.push("sync".to_owned());
        self.state = self.state_in_log();
        for item in self.pending.drain(..self.in_log) {
            if let Some(sequence) = item.sequence() {
                self.confirmed.insert(sequence, item.body());
            }
        }
        self.in_log = 0;
        for (key, history) in &mut self.history {
            let safe = value_of(&self.state, key);
            let at = history.iter().position(|&value| value == safe).unwrap_or(0);
            history.drain(..at);
        }
        true
    }

    /// Gives up what could not be written; its numbers are used again. Not if something was written before it and
    /// then lost: a part of that may have become safe.
    pub(crate) fn give_up(&mut self) {
        if self.lost_written {
            return;
        }
        let given_up = self.pending.split_off(self.in_log);
        let first = given_up.iter().find_map(Item::sequence);
        self.script.push(format!("give up from {first:?}"));
        self.next = first.unwrap_or(self.next);
        let state = self.state_in_log();
        for (source, progress) in SOURCES.iter().zip(&mut self.progress) {
            *progress = state.positions.get(*source).map_or(0, |position| position.logged);
        }
    }

    pub(crate) fn end_segment(&mut self) {
        self.script.push("end the segment".to_owned());
        self.writer.end_segment();
    }

    /// Removes the oldest segment, if no batch in it is waiting to become safe.
    pub(crate) fn remove_oldest(&mut self) {
        let Some(first) = self.writer.segments().nth(1).map(|second| second.first()) else {
            return;
        };
        let waiting = self.pending.iter().find_map(Item::sequence);
        if waiting.is_some_and(|waiting| waiting < first) {
            return;
        }
        let outcome = self.writer.remove_oldest();
        if let Err(error) = &outcome {
            self.told("remove", error);
        }
        // Even where it failed the file may be gone after a power cut.
        if !matches!(outcome, Err(LogError::Needed { .. })) {
            self.script.push(format!("remove below {first}"));
            self.removed_below = self.removed_below.max(first);
            for (_, body) in self.confirmed.range(..first) {
                self.removed_covers.extend(self.covers.get(body));
            }
        }
    }

    /// Checks what a reader sees while the writer is at work.
    pub(crate) fn check_reading(&mut self) {
        let found = read(&self.storage, 0);
        self.check_found(&found);
        for item in &self.pending[..self.in_log] {
            let Some(sequence) = item.sequence() else { continue };
            self.check(found.get(&sequence) == Some(&item.body()), || {
                format!("{sequence} is written, but not read")
            });
        }
        let from = self.random.below(self.next as usize + 2) as u64;
        let part = read(&self.storage, from);
        self.check(part.iter().eq(found.range(from..)), || {
            let (part, whole) = (part.keys(), found.range(from..).map(|(sequence, _)| sequence));
            format!(
                "from {from}: {:?}, not {:?}",
                part.collect::<Vec<_>>(),
                whole.collect::<Vec<_>>()
            )
        });
    }

    fn check_found(&self, found: &Bodies) {
        for (sequence, body) in found {
            let is_known = self.written.get(sequence).is_some_and(|bodies| bodies.contains(body));
            self.check(is_known, || format!("{sequence} was never written so"));
        }
        for (sequence, body) in self.confirmed.range(self.removed_below..) {
            self.check(found.get(sequence) == Some(body), || {
                let other = found.contains_key(sequence);
                format!("{sequence} was safe and is not there; something else is: {other}")
            });
        }
    }

    /// Goes on after a power cut.
    pub(crate) fn crash(&mut self, seed: u64) {
        self.script.push(format!("power cut {seed}"));
        self.storage = self.storage.crash(seed);
        self.failures = false;
        self.damage = self.recover().damage;
    }

    /// Goes on after the process was killed.
    pub(crate) fn kill(&mut self) {
        self.script.push("killed".to_owned());
        let is_whole = !self.failures && !self.storage.stopped();
        self.storage = self.storage.kill();
        let recovered = self.recover();
        let is_new = |damage: &&Damage| !self.damage.contains(damage);
        if is_whole {
            let is_damaged = recovered.damage.iter().find(is_new).is_some();
            self.check(!is_damaged && recovered.torn.is_none(), || {
                format!("damage: {:?}, torn: {:?}", recovered.damage, recovered.torn)
            });
        }
        self.damage = recovered.damage;
    }

    /// Goes on with what another opening of the log gave; nothing is checked.
    pub(crate) fn restart(&mut self, writer: LogWriter, state: LogState) {
        self.writer = writer;
        self.pending.clear();
        (self.in_log, self.writes, self.lost_written) = (0, 0, false);
        self.next = state.next_sequence;
        for (source, progress) in SOURCES.iter().zip(&mut self.progress) {
            *progress = state.positions.get(*source).map_or(0, |position| position.logged);
        }
        for (key, history) in &mut self.history {
            *history = vec![value_of(&state, key)];
        }
        self.state = state;
    }

    fn recover(&mut self) -> Recovered {
        let (writer, recovered) = open(&self.storage);
        let found = read(&self.storage, 0);
        let summary = format!("found {:?}", found.keys().collect::<Vec<_>>());
        self.script.push(format!("{summary}, {:?} {:?}", recovered.damage, recovered.torn));
        let names: Vec<_> = writer.segments().map(|segment| segment.name()).collect();
        self.script.push(format!("segments {names:?}"));
        self.check_found(&found);
        self.check_state(&recovered.state, &found);
        self.check(found.keys().all(|&sequence| sequence < recovered.state.next_sequence), || {
            format!("the next number is used already: {}", recovered.state.next_sequence)
        });
        self.confirmed = found;
        self.restart(writer, recovered.state.clone());
        recovered
    }

    /// Cursors and positions are not older than when last safe, and nothing that a source need not give again is lost.
    fn check_state(&self, state: &LogState, found: &Bodies) {
        for (key, history) in &self.history {
            let value = value_of(state, key);
            self.check(history.contains(&value), || format!("{key} is {value:?}: {history:?}"));
        }
        for (number, source) in SOURCES.iter().enumerate() {
            let logged = state.positions.get(*source).map_or(0, |position| position.logged);
            let safe = self.state.positions.get(*source).map_or(0, |position| position.logged);
            self.check((safe..=self.furthest[number]).contains(&logged), || {
                format!("{source} is logged up to {logged}; {safe} was safe")
            });
            let known = found.values().filter_map(|body| self.covers.get(body));
            let covered: BTreeSet<u64> = known
                .chain(&self.removed_covers)
                .filter(|cover| cover.0 == number)
                .flat_map(|cover| cover.1 + 1..=cover.2)
                .collect();
            for unit in 1..=logged {
                self.check(covered.contains(&unit), || {
                    format!("{source} need not give {unit} of {logged} again, but it is lost")
                });
            }
        }
    }
}

fn value_of(state: &LogState, key: &str) -> Option<u64> {
    match key.split_at(1) {
        ("c", name) => state.cursors.get(name).map(|cursor| cursor.sequence),
        (_, source) => Some(state.positions.get(source).map_or(0, |position| position.settled)),
    }
}
