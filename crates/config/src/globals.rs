//! The `[hekad]` section: settings of the daemon as a whole. Not here: acting on them.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plugin::{FieldProblems, PluginConfig};
use crate::units::{GoDuration, Size};

/// Bytes of a message where nothing else is said.
const DEFAULT_MESSAGE_SIZE: Size = Size::kib(64);
/// A limit for messages must lie above this.
const MESSAGE_SIZE_FLOOR: u64 = 1024;
/// Heka holds the limit for messages in 32 bits.
const MESSAGE_SIZE_CEILING: u64 = u32::MAX as u64;
/// The memory limit must leave room for this many messages of the largest size.
const MEMORY_LIMIT_MESSAGES: u64 = 16;
/// More threads than this are a mistake.
const MAX_PROCS: i64 = 4096;

/// Form of the daemon's own log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings of the daemon, section `[hekad]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Globals {
    /// Threads that do the work; below 1 as many as there are processor cores.
    pub maxprocs: i64,
    /// Kept for old configurations.
    #[schemars(extend("x-retired" = "there are no pools; memory_limit bounds what is in flight"))]
    pub poolsize: Option<i64>,
    /// Kept for old configurations.
    #[schemars(extend("x-retired" = "there are no channels; memory_limit bounds what is in flight"))]
    pub plugin_chansize: Option<i64>,
    /// Kept for old configurations.
    #[schemars(extend("x-retired" = "profiles are taken with the tools of the system"))]
    pub cpuprof: Option<String>,
    /// Kept for old configurations.
    #[schemars(extend("x-retired" = "profiles are taken with the tools of the system"))]
    pub memprof: Option<String>,
    /// Kept for old configurations.
    #[schemars(extend("x-retired" = "there are no pools whose packs could lie idle"))]
    pub max_pack_idle: Option<GoDuration>,
    /// How often a message may be injected anew by filters that its own injection set off; 0
    /// counts as 1.
    pub max_message_loops: u32,
    /// Messages that a sandboxed filter may inject for each message it gets.
    pub max_process_inject: u32,
    /// Time in nanoseconds per message above which a sandboxed filter loaded at run time counts
    /// as slow; slow ones are ended first under back-pressure.
    pub max_process_duration: u64,
    /// Messages that a sandboxed filter may inject for each timer event.
    pub max_timer_inject: u32,
    /// Directory for everything the daemon keeps; relative paths of plugins begin here. It is
    /// created if missing.
    pub base_dir: PathBuf,
    /// Directory for read-only resources such as scripts.
    pub share_dir: PathBuf,
    /// Times one in so many operations; at least 1.
    pub sample_denominator: i64,
    /// File that holds the process number while the daemon runs; empty for none.
    pub pid_file: PathBuf,
    /// Name that the daemon calls its machine by; empty for the name of the operating system.
    pub hostname: String,
    /// Longest message accepted by framing, above 1024 bytes and below 4 GiB; 0 means 64 KiB.
    pub max_message_size: Size,
    /// Parts of the prefix of LogOutput's lines, added up: 1 date, 2 time, 4 microseconds, 8 long file
    /// name, 16 short file name, 32 UTC; 0 for none.
    pub log_flags: i64,
    /// Attempts to hand over a message that a full disk buffer of another plugin refuses.
    pub full_buffer_max_retries: u32,
    /// Most bytes of messages in flight in the whole process; past it the inputs wait.
    pub memory_limit: Size,
    /// Form of the daemon's own log lines.
    pub log_format: LogFormat,
    /// Time that plugins get to finish at shutdown before they are cut off.
    pub shutdown_timeout: GoDuration,
    /// How often the daemon puts its report into the stream as messages of the types
    /// `heka.all-report` and `heka.memstat`; `0s` never does.
    pub report_interval: GoDuration,
    /// The log on disk behind consumers with `use_buffering`.
    pub stream: StreamOptions,
}

/// The log on disk behind all consumers with `use_buffering`, and the dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamOptions {
    /// Directory of the log; relative to `base_dir`.
    pub directory: PathBuf,
    /// How long messages may wait before they are written: what is delivered by then need not be. A crash makes
    /// what was delivered in this time come twice; what was received in it and cannot be asked for again is lost.
    pub commit_interval: GoDuration,
    /// So many bytes are written without waiting; at most an eighth of `memory_limit`.
    pub commit_size: Size,
    /// Delivered messages are kept for replay while the log is not larger than this; 0 keeps none for its sake.
    pub retain_size: Size,
    /// Delivered messages are kept for replay for so long; `0s` keeps none for its sake.
    pub retain_time: GoDuration,
    /// Nothing is written while the disk has less free space than this.
    pub disk_floor: Size,
    /// What waits for a consumer that is no longer in the configuration is kept for so long.
    pub forget_after: GoDuration,
    /// Most bytes of dead letters, the oldest go first; 0 keeps none.
    pub dead_letter_size: Size,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("stream"),
            commit_interval: GoDuration::from_millis(10),
            commit_size: Size::mib(16),
            retain_size: Size::new(0),
            retain_time: GoDuration::from_secs(0),
            disk_floor: Size::mib(256),
            forget_after: GoDuration::from_secs(7 * 24 * 3600),
            dead_letter_size: Size::mib(128),
        }
    }
}

/// A commit may be put off for no longer than this.
const COMMIT_INTERVAL_MAX: Duration = Duration::from_secs(60);

impl PluginConfig for StreamOptions {
    fn validate(&self, problems: &mut FieldProblems) {
        let fits = self.commit_interval.get() <= COMMIT_INTERVAL_MAX;
        problems.require(fits, "commit_interval", "must not be above 60s");
        let text = "must not be empty";
        problems.require(!self.directory.as_os_str().is_empty(), "directory", text);
        let text = "must be at least 4KiB";
        problems.require(self.commit_size.bytes() >= 4096, "commit_size", text);
    }
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            maxprocs: 0,
            poolsize: None,
            plugin_chansize: None,
            cpuprof: None,
            memprof: None,
            max_pack_idle: None,
            max_message_loops: 4,
            max_process_inject: 1,
            max_process_duration: 100_000,
            max_timer_inject: 10,
            base_dir: PathBuf::from("/var/cache/hekad"),
            share_dir: PathBuf::from("/usr/share/heka"),
            sample_denominator: 1000,
            pid_file: PathBuf::new(),
            hostname: String::new(),
            max_message_size: DEFAULT_MESSAGE_SIZE,
            log_flags: 3,
            full_buffer_max_retries: 10,
            memory_limit: Size::mib(128),
            log_format: LogFormat::Text,
            shutdown_timeout: GoDuration::from_secs(30),
            report_interval: GoDuration::from_secs(0),
            stream: StreamOptions::default(),
        }
    }
}

impl Globals {
    /// Threads that do the work, at least 1.
    pub fn workers(&self) -> usize {
        match usize::try_from(self.maxprocs) {
            Ok(count) if count > 0 => count,
            _ => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }

    /// How often a message may be injected anew, at least 1.
    pub fn message_loops(&self) -> u32 {
        self.max_message_loops.max(1)
    }

    /// Longest message in bytes, never 0.
    pub fn message_size(&self) -> usize {
        let unset = self.max_message_size.bytes() == 0;
        if unset { DEFAULT_MESSAGE_SIZE.as_usize() } else { self.max_message_size.as_usize() }
    }

    /// A path of a plugin: as it is if absolute, else below `base_dir`.
    pub fn in_base_dir(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base_dir.join(path)
    }

    /// A path of a resource: as it is if absolute, else below `share_dir`.
    pub fn in_share_dir(&self, path: impl AsRef<Path>) -> PathBuf {
        self.share_dir.join(path)
    }
}

impl PluginConfig for Globals {
    fn validate(&self, problems: &mut FieldProblems) {
        let procs = format!("must not be above {MAX_PROCS}");
        problems.require(self.maxprocs <= MAX_PROCS, "maxprocs", procs);
        problems.require(self.sample_denominator > 0, "sample_denominator", "must be at least 1");

        let size = self.max_message_size.bytes();
        let fits = size == 0 || (size > MESSAGE_SIZE_FLOOR && size <= MESSAGE_SIZE_CEILING);
        let text = format!("must lie in {}..={MESSAGE_SIZE_CEILING}", MESSAGE_SIZE_FLOOR + 1);
        problems.require(fits, "max_message_size", text);

        let least = MEMORY_LIMIT_MESSAGES.saturating_mul(self.message_size() as u64);
        let text = format!(
            "must be at least {}, room for {MEMORY_LIMIT_MESSAGES} messages of max_message_size",
            Size::new(least)
        );
        problems.require(self.memory_limit.bytes() >= least, "memory_limit", text);
        problems.require(!self.base_dir.as_os_str().is_empty(), "base_dir", "must not be empty");
        problems.nested("stream", |problems| self.stream.validate(problems));
    }
}
