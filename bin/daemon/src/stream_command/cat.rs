//! `hekad stream cat`: messages of the log, as they lie on disk.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use heka_matcher::{Evaluation, Matcher, MatcherSet};
use heka_message::{Batch, NameRegistry, Selection};
use heka_stream::{Clock, Damage, RecordKind, StoredRecord, SystemClock};

use crate::moment;
use crate::printer::{Format, Printer};
use crate::store::{Store, tell_damage};
use crate::stream_command::CatOptions;
use crate::{put_out, tell};

/// How often the log is looked at for more.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);
/// So many bytes are gathered before they are written.
const OUT_BYTES: usize = 64 << 10;

/// Prints.
pub(super) fn cat(store: &Store, options: &CatOptions) -> anyhow::Result<()> {
    let mut cat = Cat::new(store, options)?;
    let mut next = options.sequence;
    loop {
        let (behind, more) = cat.pass(next)?;
        if !more || !options.follow {
            return Ok(());
        }
        next = behind;
        std::thread::sleep(FOLLOW_INTERVAL);
    }
}

struct Cat<'a> {
    store: &'a Store,
    options: &'a CatOptions,
    names: Arc<NameRegistry>,
    matcher: Option<(MatcherSet, Evaluation)>,
    /// Timestamps from the first on, and before the second.
    times: (i64, i64),
    printer: Printer,
    out: Vec<u8>,
    /// Messages that may still be printed.
    left: usize,
    told: HashSet<Damage>,
}

impl<'a> Cat<'a> {
    fn new(store: &'a Store, options: &'a CatOptions) -> anyhow::Result<Self> {
        let names = NameRegistry::new();
        let matcher = match &options.matcher {
            None => None,
            Some(text) => {
                let (matcher, warnings) = Matcher::parse(text).context("--matcher")?;
                for warning in &warnings {
                    tell(&format!("--matcher: {warning}\n"));
                }
                let set = MatcherSet::compile(&[matcher], &names).context("--matcher")?;
                Some((set, Evaluation::default()))
            }
        };
        let now_ns = SystemClock.now_ns();
        let from = options.from.map_or(i64::MIN, |time| time.resolve(now_ns));
        let to = options.to.map_or(i64::MAX, |time| time.resolve(now_ns));
        Ok(Self {
            store,
            options,
            matcher,
            times: (from, to),
            printer: Printer::new(options.format, &names, store.message_bytes_max)?,
            names,
            out: Vec::new(),
            left: options.limit.map_or(usize::MAX, std::num::NonZeroUsize::get),
            told: HashSet::new(),
        })
    }

    /// Prints what the log has from a number on. Returns the number behind it, and whether more is wanted.
    fn pass(&mut self, from: u64) -> anyhow::Result<(u64, bool)> {
        let mut reader = self.store.log_reader(from);
        let mut next = from;
        while let Some(record) = reader.next()? {
            next = record.header.sequence + 1;
            if record.header.kind == RecordKind::Batch && !self.batch(record)? {
                return Ok((next, false));
            }
            self.tell(reader.take_damage());
        }
        self.tell(reader.take_damage());
        Ok((next, self.flush()?))
    }

    /// Prints what is wanted of a batch; false if no more is.
    fn batch(&mut self, record: StoredRecord) -> anyhow::Result<bool> {
        let header = record.header;
        let batch = match record.into_batch(&self.names) {
            Ok(batch) => batch,
            Err(error) => {
                tell(&format!("sequence number {}: {error}\n", header.sequence));
                return Ok(true);
            }
        };
        let mut is_first = true;
        for index in self.select(&batch).iter(batch.len()) {
            let Some(record) = batch.record(index) else { continue };
            if !(self.times.0..self.times.1).contains(&record.timestamp()) {
                continue;
            }
            if std::mem::take(&mut is_first) && self.options.format == Format::Rst {
                let (sequence, time) = (header.sequence, moment::text(header.time_ns));
                self.out.extend_from_slice(format!(".. {sequence} written {time}\n").as_bytes());
            }
            match self.printer.bytes(&batch, &record) {
                Ok(bytes) => self.out.extend_from_slice(&bytes),
                Err(error) => tell(&format!("sequence number {}: {error}\n", header.sequence)),
            }
            self.left -= 1;
            if self.out.len() >= OUT_BYTES && !self.flush()? {
                return Ok(false);
            }
            if self.left == 0 {
                self.flush()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn select(&mut self, batch: &Batch) -> Selection {
        let Some((set, evaluation)) = &mut self.matcher else { return Selection::All };
        set.evaluate(batch, evaluation);
        if evaluation.selected().is_empty() { Selection::None } else { evaluation.take(0) }
    }

    /// Writes what was gathered; false if nobody reads it any more.
    fn flush(&mut self) -> anyhow::Result<bool> {
        let there = put_out(&self.out)?;
        self.out.clear();
        Ok(there)
    }

    fn tell(&mut self, damage: Vec<Damage>) {
        for damage in damage {
            let length = std::fs::metadata(&damage.path).map_or(0, |file| file.len());
            // The end of a file may be a write that is under way.
            if (self.options.follow && damage.to >= length) || self.told.contains(&damage) {
                continue;
            }
            tell_damage(&damage);
            self.told.insert(damage);
        }
    }
}
