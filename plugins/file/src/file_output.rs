//! Appends messages to a file, and changes the file as time goes on.
//!
//! Here: settings, when to write, when to rotate. Not here: the file itself (`writer`), the calendar (`rotation`).
//! Invariants: a delivery is acknowledged after its bytes were written and synced; a failed write leaves no part of a
//! record behind that a later one could be glued to; nothing is dropped because the disk is full.

mod rotation;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use heka_config::{Milliseconds, Octal, Size};
use heka_datetime::Location;
use heka_plugin::{
    Ack, BoxFuture, Defaults, Delivery, Encoded, FieldProblems, Flush, Framing, NO_DEFAULTS,
    Output, OutputContext, OutputError, Plugin, PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use rotation::Rotation;
use writer::{Rules, WriteError, Writer};

/// Mode of new files unless said otherwise.
const PERM: Octal = Octal::new(0o644);
/// Mode of new folders unless said otherwise.
const FOLDER_PERM: Octal = Octal::new(0o700);
/// Time between two writes of a busy stream unless said otherwise.
const FLUSH_INTERVAL: Milliseconds = Milliseconds::new(1_000);
/// Files moved away for their size that are kept unless said otherwise.
const MAX_OLD_FILES: u32 = 5;
/// Most files moved away that can be kept: each move renames all of them.
const OLD_FILES_LIMIT: u32 = 1_000;
/// Hours between two files that can be asked for; 0: one file for ever.
const ROTATION_HOURS: [u32; 5] = [0, 1, 4, 12, 24];
/// So many bytes are written at once, whatever the flush settings say: memory has a limit.
const BUFFER_BYTES_MAX: usize = 8 << 20;
/// How often an output without flush timer looks whether it is time for the next file.
const ROTATION_CHECK: Duration = Duration::from_secs(1);

/// How `flush_count` and `flush_interval` go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FlushOperator {
    /// Enough messages, and the interval is over.
    #[default]
    And,
    /// Enough messages, or the interval is over.
    Or,
}

/// Settings of [`FileOutput`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileOutputConfig {
    /// Path of the file. With a `rotation_interval` its strftime codes are replaced by the time; without one it is
    /// taken as it stands.
    #[schemars(extend("x-required" = true))]
    pub path: String,
    /// Mode of the file where it is made, octal digits; the process's umask applies.
    pub perm: Octal,
    /// Mode of the folders that are made for it, octal digits; the process's umask applies.
    pub folder_perm: Octal,
    /// Hours between two files: 1, 4, 12 or 24, counted from local midnight; 0 keeps one file.
    pub rotation_interval: u32,
    /// Time between two writes, in milliseconds; 0 means that only `flush_count` counts.
    pub flush_interval: Milliseconds,
    /// Messages to gather before they are written, at least 1.
    pub flush_count: u32,
    /// `AND` writes when there are `flush_count` messages and `flush_interval` is over, `OR` when one of the two holds.
    pub flush_operator: FlushOperator,
    /// Size that the file does not grow past: it is renamed to `.1` first, the one before to `.2`, and so on; 0 sets no
    /// limit. What is written at once stays together, so that a file may be longer than a very small limit.
    pub max_file_size: Size,
    /// Renamed files that are kept of each name, 1 to 1000; a further one is overwritten. Without effect unless
    /// `max_file_size` is set.
    pub max_old_files: u32,
}

impl Default for FileOutputConfig {
    fn default() -> Self {
        Self {
            path: String::new(),
            perm: PERM,
            folder_perm: FOLDER_PERM,
            rotation_interval: 0,
            flush_interval: FLUSH_INTERVAL,
            flush_count: 1,
            flush_operator: FlushOperator::default(),
            max_file_size: Size::new(0),
            max_old_files: MAX_OLD_FILES,
        }
    }
}

impl PluginConfig for FileOutputConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        problems.require(!self.path.is_empty(), "path", "must not be empty");
        let known = ROTATION_HOURS.contains(&self.rotation_interval);
        problems.require(known, "rotation_interval", "must be 0, 1, 4, 12 or 24 hours");
        problems.require(self.flush_count > 0, "flush_count", "must be at least 1");
        let few = (1..=OLD_FILES_LIMIT).contains(&self.max_old_files);
        problems.require(few, "max_old_files", "must lie in 1..=1000");
        if self.rotation_interval == 0 && self.path.contains('%') {
            problems.warn("path", "is taken as it stands, since rotation_interval is 0");
        }
    }
}

/// Encoded messages and the duty to answer for them.
#[derive(Debug, Default)]
struct Held {
    pending: Encoded,
    acks: Vec<Ack>,
}

/// A writer at work, away from the runtime's own threads.
#[derive(Debug)]
struct Job {
    writer: Writer,
    held: Held,
    result: Result<(), WriteError>,
}

/// Appends messages to a file.
#[derive(Debug)]
pub struct FileOutput {
    config: FileOutputConfig,
    rotation: Option<Rotation>,
    /// `None` while a job has it.
    writer: Option<Writer>,
    /// A job outlives a flush that is cancelled; the next flush waits for it.
    job: Option<JoinHandle<Job>>,
    held: Held,
    /// What could not be written; it goes before what is held.
    unwritten: Option<Held>,
    /// The last write failed.
    failed: bool,
    /// The flush timer fired since the last write.
    timer_fired: bool,
    flushed_at: i64,
}

impl Plugin for FileOutput {
    const NAME: &'static str = "FileOutput";
    const PAGE: &'static str = include_str!("file_output.md");
    const DEFAULTS: Defaults =
        Defaults { use_framing: Framing::WithProtobuf, needs_encoder: true, ..NO_DEFAULTS };

    type Config = FileOutputConfig;

    fn start(config: &FileOutputConfig, context: &StartContext) -> Result<Self, StartError> {
        let location = Location::parse("Local")
            .map_err(|error| StartError::because("read the local time zone", error))?;
        Self::start_in(config, context, location)
    }
}

impl Output for FileOutput {
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(async move {
            // What came before the boundary belongs into the file before it.
            let rotated = self.rotate_if_due(context).await;
            let ack = context.encode(delivery, &mut self.held.pending);
            if self.held.pending.record_count() == 0 {
                ack.delivered();
            } else {
                self.held.acks.push(ack);
            }
            rotated
        })
    }

    fn flush<'a>(
        &'a mut self,
        why: Flush,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(async move {
            self.rotate_if_due(context).await?;
            if self.is_due(why, context.clock.now_ns()) {
                self.commit(context).await?;
            }
            if why == Flush::Reopen {
                self.reopen(context).await?;
            }
            Ok(())
        })
    }

    fn pending_bytes(&self) -> usize {
        let unwritten = self.unwritten.as_ref().map_or(0, |held| held.pending.len());
        unwritten + self.held.pending.len()
    }

    fn flush_interval(&self) -> Option<Duration> {
        match self.config.flush_interval.get() {
            interval if !interval.is_zero() => Some(interval),
            _ => self.rotation.is_some().then_some(ROTATION_CHECK),
        }
    }
}

impl FileOutput {
    fn start_in(
        config: &FileOutputConfig,
        context: &StartContext,
        location: Location,
    ) -> Result<Self, StartError> {
        let now_ns = context.clock.now_ns();
        let rotation = (config.rotation_interval > 0)
            .then(|| Rotation::new(&config.path, config.rotation_interval, location, now_ns));
        let path = match &rotation {
            Some(rotation) => rotation.path_at(now_ns),
            None => PathBuf::from(&config.path),
        };
        let rules = Rules {
            file_mode: config.perm.mode(),
            folder_mode: config.folder_perm.mode(),
            bytes_max: config.max_file_size.bytes(),
            old_max: config.max_old_files,
        };
        let mut writer = Writer::new(path, rules);
        let started = writer.probe(now_ns).and_then(|()| writer.open());
        started.map_err(|error| StartError::because(error.tried, error.source))?;
        Ok(Self {
            config: config.clone(),
            rotation,
            writer: Some(writer),
            job: None,
            held: Held::default(),
            unwritten: None,
            failed: false,
            timer_fired: false,
            flushed_at: now_ns,
        })
    }

    /// Heka's rules of when to write.
    fn is_due(&mut self, why: Flush, now_ns: i64) -> bool {
        let count = self.held.pending.record_count();
        let enough = count >= self.config.flush_count as usize;
        let operator = self.config.flush_operator;
        let interval_ns = i64::try_from(self.config.flush_interval.get().as_nanos());
        let interval_ns = interval_ns.unwrap_or(i64::MAX);
        let elapsed_ns = now_ns.saturating_sub(self.flushed_at);
        let by_rule = match why {
            Flush::Retry | Flush::Reopen | Flush::Pressure | Flush::Stop => true,
            Flush::Idle | Flush::Full => {
                let fired = self.timer_fired || elapsed_ns >= interval_ns;
                enough && (operator == FlushOperator::Or || interval_ns == 0 || fired)
            }
            Flush::Timer if interval_ns == 0 => false,
            // A write starts the interval anew, but the runner's timer goes on as it did: a tick right after a
            // write is none.
            Flush::Timer if elapsed_ns < interval_ns / 2 => false,
            Flush::Timer => {
                self.timer_fired = true;
                enough || operator == FlushOperator::Or
            }
        };
        let too_much = self.held.pending.len() >= BUFFER_BYTES_MAX;
        let overdue = self.failed || self.job.is_some();
        overdue || count > 0 && (by_rule || too_much)
    }

    /// Writes all that is held, then acknowledges it. Also opens the file if it is not open.
    async fn commit(&mut self, context: &mut OutputContext) -> Result<(), OutputError> {
        self.finish(context).await?;
        if let Some(held) = self.unwritten.take() {
            self.append(held, context).await?;
        }
        let held = std::mem::take(&mut self.held);
        self.append(held, context).await
    }

    async fn append(&mut self, held: Held, context: &mut OutputContext) -> Result<(), OutputError> {
        let Some(mut writer) = self.writer.take() else {
            return Err(OutputError::fatal("write")("the file was lost with its thread"));
        };
        self.job = Some(tokio::task::spawn_blocking(move || {
            let result = writer.append(&held.pending);
            Job { writer, held, result }
        }));
        self.finish(context).await
    }

    /// Waits for the writer, if one is at work, and takes note of what it did.
    async fn finish(&mut self, context: &mut OutputContext) -> Result<(), OutputError> {
        let Some(job) = &mut self.job else { return Ok(()) };
        let finished = job.await;
        self.job = None;
        let mut job = match finished {
            Ok(job) => job,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => return Err(OutputError::fatal("write")(error)),
        };
        self.writer = Some(job.writer);
        if let Err(error) = job.result {
            self.unwritten = Some(job.held);
            self.failed = true;
            return Err(OutputError::retry(error.tried)(error.source));
        }
        self.failed = false;
        self.timer_fired = false;
        self.flushed_at = context.clock.now_ns();
        context.counts.bytes.add(job.held.pending.len() as u64);
        job.held.acks.drain(..).for_each(Ack::delivered);
        if self.held.pending.record_count() == 0 {
            // Its memory is used again.
            job.held.pending.clear();
            self.held.pending = job.held.pending;
        }
        Ok(())
    }

    async fn rotate_if_due(&mut self, context: &mut OutputContext) -> Result<(), OutputError> {
        let now_ns = context.clock.now_ns();
        if !self.rotation.as_ref().is_some_and(|rotation| rotation.is_due(now_ns)) {
            return Ok(());
        }
        self.commit(context).await?;
        let Some(path) = self.rotation.as_mut().map(|rotation| rotation.advance(now_ns)) else {
            return Ok(());
        };
        self.change_file(Some(&path), context).await
    }

    async fn reopen(&mut self, context: &mut OutputContext) -> Result<(), OutputError> {
        self.change_file(None, context).await
    }

    /// Closes the file and opens it anew, or another one.
    async fn change_file(
        &mut self,
        path: Option<&Path>,
        context: &mut OutputContext,
    ) -> Result<(), OutputError> {
        if let Some(writer) = &mut self.writer {
            writer.close();
            if let Some(path) = path {
                tracing::debug!(plugin = &*context.name, path = %path.display(), "next file");
                writer.set_path(path);
            }
        }
        // Nothing is held: this only opens the file.
        self.commit(context).await
    }
}

#[cfg(test)]
mod tests;
