//! What a set of log streams is told, and the clock reading that drives it.
//!
//! Here: `Settings` with Heka's defaults and their check, `Now`. Not here: config text (the plugin reads it) and the
//! meaning of the pattern (`pattern`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::error::Error;
use crate::pattern::Rules;

/// How many idle files are kept open, unless the settings say otherwise.
pub const OPEN_FILES_MAX: usize = 512;

/// What to read and how; the default is Heka's.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to look; may be relative to the working directory, and may appear later.
    pub log_directory: PathBuf,
    /// Regular expression for the path below `log_directory`.
    pub file_match: String,
    /// Groups to sort by, the most significant first; `^` in front of a name turns its order round.
    pub priority: Vec<String>,
    /// Group names and literal texts whose values together name a stream.
    pub differentiator: Vec<String>,
    /// For a group, the sort value of each of its texts.
    pub translation: BTreeMap<String, BTreeMap<String, i64>>,
    /// Files not modified for so long are left alone; `None` takes all.
    pub oldest_duration: Option<Duration>,
    /// How often to look for new files; `None` never looks again.
    pub rescan_interval: Option<Duration>,
    /// How often to look for new data where inotify does not tell; `None` reads each stream once.
    pub check_data_interval: Option<Duration>,
    /// Whether a stream without a journal starts at the end of its newest file.
    pub initial_tail: bool,
    /// Whether symbolic links to directories are entered.
    pub follow_symlinks: bool,
    /// How many files may stay open; least recently active ones are closed beyond that. At least 1.
    pub open_files_max: usize,
    /// Whether to use inotify where it works.
    pub use_inotify: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log_directory: PathBuf::from("/var/log"),
            file_match: String::new(),
            priority: Vec::new(),
            differentiator: Vec::new(),
            translation: BTreeMap::new(),
            oldest_duration: Some(Duration::from_secs(720 * 3600)),
            rescan_interval: Some(Duration::from_secs(60)),
            check_data_interval: Some(Duration::from_millis(250)),
            initial_tail: false,
            follow_symlinks: false,
            open_files_max: OPEN_FILES_MAX,
            use_inotify: true,
        }
    }
}

impl Settings {
    /// Lists everything that makes these settings unusable; touches nothing outside memory.
    pub fn validate(&self) -> Vec<Error> {
        Rules::check(self)
    }
}

/// One reading of both clocks: wall time is compared with file times, steady time drives intervals.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Time of day.
    pub wall: SystemTime,
    /// Time that never jumps.
    pub steady: Instant,
}

impl Now {
    /// Reads the clocks of the system.
    pub fn read() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }

    /// The same reading some time later.
    pub fn after(self, time: Duration) -> Self {
        Self { wall: self.wall + time, steady: self.steady + time }
    }
}
