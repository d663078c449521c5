//! LogstreamerInput: settings and life. Not here: the reading loop (`reader`), files (`heka-logstream`).

mod reader;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use heka_config::GoDuration;
use heka_logstream::{JournalStore, LogStreams, Now, Settings, StreamId, journal_file_name};
use heka_plugin::{
    BoxFuture, Defaults, Durability, DurableLog, FieldProblems, Input, InputContext, InputError,
    Plugin, PluginConfig, StartContext, StartError, Storage,
};
use nix::sys::resource::{Resource, getrlimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use reader::Reader;

/// Reads log files as streams: each ordered set of files that a rotation makes is one stream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogstreamerInputConfig {
    /// Directory that is searched, with all directories below it. It may appear later.
    pub log_directory: String,
    /// Regular expression that a file's path below `log_directory` must match as a whole. Named groups can be
    /// used in `differentiator` and `priority`.
    #[schemars(extend("x-required" = true))]
    pub file_match: String,
    /// Names of groups by which the files of one stream are ordered, oldest first; `^` before a name means
    /// descending. Needed where a stream has more than one file.
    pub priority: Vec<String>,
    /// Parts of the stream's name, which is also the messages' logger: names of groups, or literal text.
    /// The section's name if empty.
    pub differentiator: Vec<String>,
    /// For a group, the number that each of its texts stands for in the order; `missing` stands for none.
    pub translation: BTreeMap<String, BTreeMap<String, i64>>,
    /// Files that were not changed for so long are left out; `0s` takes all.
    pub oldest_duration: GoDuration,
    /// How often the directories are searched anew, beside being told by the operating system; `0s`: never.
    pub rescan_interval: GoDuration,
    /// How often files are looked at where the operating system cannot tell that they changed; `0s` reads each
    /// stream once to its end.
    pub check_data_interval: GoDuration,
    /// Directory of the journals that say how far each stream was delivered; `logstreamer` below `base_dir` if
    /// empty.
    pub journal_directory: String,
    /// Host name that messages carry; the daemon's if empty.
    pub hostname: String,
    /// Begin a stream that has no journal at the end of its newest file.
    pub initial_tail: bool,
    /// Search directories behind symbolic links too.
    pub follow_symlinks: bool,
    /// Most files that are kept open, and at most half of what the system allows the daemon; further ones are opened
    /// when they change.
    pub open_files_max: u32,
}

impl Default for LogstreamerInputConfig {
    fn default() -> Self {
        Self {
            log_directory: "/var/log".to_owned(),
            file_match: String::new(),
            priority: Vec::new(),
            differentiator: Vec::new(),
            translation: BTreeMap::new(),
            oldest_duration: GoDuration::from_secs(720 * 3600),
            rescan_interval: GoDuration::from_secs(60),
            check_data_interval: GoDuration::from_millis(250),
            journal_directory: String::new(),
            hostname: String::new(),
            initial_tail: false,
            follow_symlinks: false,
            open_files_max: 4096,
        }
    }
}

impl PluginConfig for LogstreamerInputConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        problems.require(self.open_files_max > 0, "open_files_max", "must be at least 1");
        if !self.file_match.is_empty() {
            for error in self.settings("name").validate() {
                problems.error("file_match", format!("cannot be used: {error}"));
            }
        }
    }
}

impl LogstreamerInputConfig {
    fn settings(&self, section: &str) -> Settings {
        let some = |duration: GoDuration| (!duration.is_zero()).then(|| duration.get());
        let differentiator = match self.differentiator.is_empty() {
            true => vec![section.to_owned()],
            false => self.differentiator.clone(),
        };
        Settings {
            log_directory: self.log_directory.clone().into(),
            file_match: self.file_match.clone(),
            priority: self.priority.clone(),
            differentiator,
            translation: self.translation.clone(),
            oldest_duration: some(self.oldest_duration),
            rescan_interval: some(self.rescan_interval),
            check_data_interval: some(self.check_data_interval),
            initial_tail: self.initial_tail,
            follow_symlinks: self.follow_symlinks,
            open_files_max: (self.open_files_max as usize).min(half_of_open_files()),
            ..Settings::default()
        }
    }
}

/// Half of the files that the process may have open; other plugins need the rest.
fn half_of_open_files() -> usize {
    let allowed = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(allowed / 2).unwrap_or(usize::MAX).max(1)
}

/// The input.
pub struct LogstreamerInput {
    /// The streams and those found at the start. Taken by the first run; a restart makes a new instance.
    streams: Option<(LogStreams, Vec<StreamId>)>,
    hostname: String,
}

/// How often progress is written to the journals while messages flow.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

impl Plugin for LogstreamerInput {
    const NAME: &'static str = "LogstreamerInput";
    const PAGE: &'static str = include_str!("logstreamer_input.md");
    const DEFAULTS: Defaults =
        Defaults { splitter: Some("TokenSplitter"), resumes: true, ..heka_plugin::NO_DEFAULTS };
    type Config = LogstreamerInputConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let directory = match config.journal_directory.as_str() {
            "" => context.in_base_dir("logstreamer"),
            given => given.into(),
        };
        let log = context.log.clone().map(|log| (log, Arc::clone(&context.name)));
        let store = Journals { storage: Arc::clone(&context.storage), directory, log };
        let mut streams = LogStreams::new(config.settings(&context.name), Box::new(store))
            .map_err(|error| StartError::because("read log files", error))?;
        let found = streams.rescan(Now::read());
        for problem in streams.take_problems() {
            if matches!(problem, heka_logstream::Error::PriorityMissing { .. }) {
                return Err(StartError::because("order log files", problem));
            }
            tracing::warn!(plugin = &*context.name, error = %problem, "log files");
        }
        let hostname = match config.hostname.as_str() {
            "" => context.hostname.to_string(),
            given => given.to_owned(),
        };
        Ok(Self { streams: Some((streams, found)), hostname })
    }
}

/// The journals, a small file each. Where the stream has a log, that knows better where a stream was, to the last commit.
struct Journals {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    log: Option<(DurableLog, Arc<str>)>,
}

/// What the log calls a file stream of an input.
fn position_key(input: &str, stream: &str) -> String {
    format!("{input}/{stream}")
}

/// Journal of a stream that was begun: from then on a missing file means that someone wants it read anew.
const BEGUN: &[u8] = b"\n";

impl JournalStore for Journals {
    fn load(&self, stream: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.directory.join(journal_file_name(stream));
        let journal = self.storage.read(&path)?;
        let Some((log, input)) = &self.log else { return Ok(journal) };
        if journal.is_none() {
            self.storage.replace(&path, BEGUN, Durability::Crash)?;
            return Ok(None);
        }
        let resume = log.resume(&position_key(input, stream));
        Ok(resume.map(|resume| resume.position).or(journal))
    }

    fn replace(&mut self, stream: &str, journal: &[u8]) -> io::Result<()> {
        let path = self.directory.join(journal_file_name(stream));
        // A journal that a power cut sets back a second makes a second's lines come twice; flushing the disk for
        // every stream every second would cost more than all the rest.
        self.storage.replace(&path, journal, Durability::Crash)
    }
}

impl Input for LogstreamerInput {
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>> {
        Box::pin(async move {
            let streams = self.streams.take();
            let (streams, found) =
                streams.ok_or_else(|| InputError::Failed("was run before".to_owned()))?;
            let (bell, wake) =
                UnixStream::pair().map_err(InputError::io("make a pair of sockets"))?;
            let reader = Reader::new(streams, context, &self.hostname, wake);
            let mut stop = context.stop.clone();
            // Files cannot be waited for in an asynchronous way, so they are read on a thread of its own.
            let work = context.blocking(move || reader.run(found));
            tokio::pin!(work);
            tokio::select! {
                result = &mut work => return result,
                () = stop.wait() => drop(bell),
            }
            work.await
        })
    }
}
