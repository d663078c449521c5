//! Which files there are, sorted into streams.
//!
//! Here: walking the log directory and the latest listing. Not here: what names mean (`pattern`) and what streams do
//! with a new listing (`stream`). Invariants: a listing is sorted from the oldest to the newest file, ties by path; it
//! holds each file once, however many names it has; files too old for the settings are in it, marked `aged`, since
//! they tell where a position lies, but they are never a start.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::error::Error;
use crate::identity::FileId;
use crate::pattern::{Pattern, Rules};
use crate::settings::{Now, Settings};

/// How deep directories may be nested.
const DIRECTORY_DEPTH_MAX: usize = 128;
/// The kernel's clock for file times ticks at least so often.
const TIME_GRAIN: Duration = Duration::from_millis(50);
/// Up to so many directories are all looked at to tell whether a listing is current.
const FEW_DIRECTORIES: usize = 16;
/// How often a directory that keeps changing is read for one scan.
const READS_MAX: usize = 3;

/// A file of a stream as the last scan saw it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: Arc<Path>,
    pub(crate) id: FileId,
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
    /// Too old to be read for its own sake.
    pub(crate) aged: bool,
    symlink: bool,
    order: Vec<i64>,
}

impl Entry {
    /// Changes when the content does; a new name leaves it as it is.
    pub(crate) fn stamp(&self) -> (u64, SystemTime) {
        (self.bytes, self.modified)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order).then_with(|| self.path.cmp(&other.path))
    }
}

/// The files of one stream, the oldest first.
pub(crate) type Listing = Arc<[Entry]>;

/// Finds files and keeps the latest listing of each stream.
pub(crate) struct Catalog {
    directory: PathBuf,
    oldest_duration: Option<Duration>,
    follow_symlinks: bool,
    rules: Rules,
    /// The directory with its links resolved, once it exists, and the pattern for it.
    resolved: Option<(PathBuf, Pattern)>,
    listings: BTreeMap<String, Listing>,
    generation: u64,
    last_scan: Option<Instant>,
    /// When the last scan began, and when each directory had been changed last by then.
    scanned_at: SystemTime,
    directories: HashMap<PathBuf, SystemTime>,
    problems: Vec<Error>,
    reported: HashSet<String>,
    on_enter: EnterHook,
}

/// Called with each directory right before it is read.
pub(crate) type EnterHook = Box<dyn FnMut(&Path) + Send>;

impl Catalog {
    pub(crate) fn new(settings: &Settings, rules: Rules, on_enter: EnterHook) -> Self {
        Self {
            directory: settings.log_directory.clone(),
            oldest_duration: settings.oldest_duration,
            follow_symlinks: settings.follow_symlinks,
            rules,
            resolved: None,
            listings: BTreeMap::new(),
            generation: 0,
            last_scan: None,
            scanned_at: SystemTime::UNIX_EPOCH,
            directories: HashMap::new(),
            problems: Vec::new(),
            reported: HashSet::new(),
            on_enter,
        }
    }

    /// The latest listing of a stream; a stream without files keeps its last one.
    pub(crate) fn listing(&self, stream: &str) -> Option<&Listing> {
        self.listings.get(stream)
    }

    pub(crate) fn listings(&self) -> impl Iterator<Item = (&str, &Listing)> {
        self.listings.iter().map(|(name, listing)| (name.as_str(), listing))
    }

    /// Rises with each scan.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn last_scan(&self) -> Option<Instant> {
        self.last_scan
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.resolved.is_some()
    }

    /// Whether a file of this name would be ours.
    pub(crate) fn concerns(&self, path: &Path) -> bool {
        self.resolved.as_ref().is_some_and(|(_, pattern)| pattern.matches(path))
    }

    pub(crate) fn take_problems(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.problems)
    }

    /// Whether no name appeared or went since the last scan, as far as the directories' times tell. Looked at are
    /// the directory of `file`, and all if there are few.
    pub(crate) fn is_current(&self, file: &Path) -> bool {
        let unchanged = |directory: &Path, modified: &SystemTime| {
            // A change right after one that was seen may carry the same time.
            let settled =
                self.scanned_at.duration_since(*modified).is_ok_and(|age| age > TIME_GRAIN);
            let now = fs::metadata(directory).and_then(|metadata| metadata.modified());
            settled && now.is_ok_and(|now| now == *modified)
        };
        if self.directories.len() <= FEW_DIRECTORIES {
            return !self.directories.is_empty()
                && self
                    .directories
                    .iter()
                    .all(|(directory, modified)| unchanged(directory, modified));
        }
        let directory = file.parent().unwrap_or(Path::new("/"));
        self.directories.get(directory).is_some_and(|modified| unchanged(directory, modified))
    }

    /// Walks the directory anew.
    pub(crate) fn scan(&mut self, now: Now) {
        self.generation += 1;
        self.last_scan = Some(now.steady);
        self.scanned_at = SystemTime::now();
        let mut problems = Vec::new();
        match self.resolve() {
            Ok(()) => self.scan_resolved(now, &mut problems),
            Err(error) => problems.push(error),
        }
        self.report(problems);
    }

    /// Finds the real path of the log directory, which may appear long after the start.
    fn resolve(&mut self) -> Result<(), Error> {
        if self.resolved.is_some() {
            return Ok(());
        }
        let root = fs::canonicalize(&self.directory)
            .map_err(|source| Error::LogDirectory { path: self.directory.clone(), source })?;
        let pattern = self.rules.pattern(&root)?;
        self.resolved = Some((root, pattern));
        Ok(())
    }

    fn scan_resolved(&mut self, now: Now, problems: &mut Vec<Error>) {
        let Some((root, pattern)) = &self.resolved else { return };
        let oldest = self.oldest_duration.and_then(|age| now.wall.checked_sub(age));
        let mut walk = Walk {
            pattern,
            rules: &self.rules,
            oldest,
            follow_symlinks: self.follow_symlinks,
            on_enter: &mut self.on_enter,
            problems,
            found: BTreeMap::new(),
            directories: HashMap::new(),
        };
        walk.run(root.clone());
        let found = walk.found;
        self.directories = walk.directories;
        for (stream, mut entries) in found {
            if let Some(problem) = priority_missing(&stream, &entries, &self.rules) {
                problems.push(problem);
                continue;
            }
            entries.sort_by(Entry::cmp);
            self.listings.insert(stream, unique(entries).into());
        }
    }

    /// Keeps problems that the scan before did not have.
    fn report(&mut self, problems: Vec<Error>) {
        let mut seen = HashSet::new();
        for problem in problems {
            let key = problem.key();
            if seen.insert(key.clone()) && !self.reported.contains(&key) {
                self.problems.push(problem);
            }
        }
        self.reported = seen;
    }
}

/// Several files that nothing sorts; files too old to be read do not count.
fn priority_missing(stream: &str, entries: &[Entry], rules: &Rules) -> Option<Error> {
    if rules.has_priority() {
        return None;
    }
    let mut fresh: Vec<&Entry> = entries.iter().filter(|entry| !entry.aged).collect();
    fresh.sort_by(|one, other| one.path.cmp(&other.path));
    match fresh.as_slice() {
        [first, second, ..] if first.id != second.id => Some(Error::PriorityMissing {
            stream: stream.to_owned(),
            first: first.path.to_path_buf(),
            second: second.path.to_path_buf(),
        }),
        _ => None,
    }
}

/// Leaves one name to each file: no symbolic link if there is another name, else the newest one.
fn unique(entries: Vec<Entry>) -> Vec<Entry> {
    let mut best: HashMap<FileId, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        match best.get(&entry.id) {
            Some(&other) if entry.symlink && !entries[other].symlink => {}
            _ => {
                best.insert(entry.id, index);
            }
        }
    }
    let mut index = 0..;
    let mut entries = entries;
    entries.retain(|entry| index.next() == best.get(&entry.id).copied());
    entries
}

struct Walk<'a> {
    pattern: &'a Pattern,
    rules: &'a Rules,
    oldest: Option<SystemTime>,
    follow_symlinks: bool,
    on_enter: &'a mut EnterHook,
    problems: &'a mut Vec<Error>,
    found: BTreeMap<String, Vec<Entry>>,
    directories: HashMap<PathBuf, SystemTime>,
}

/// A directory to read, and the directories that lead to it.
struct Visit {
    path: PathBuf,
    above: Vec<FileId>,
}

/// What one reading of a directory gave.
#[derive(Default)]
struct Contents {
    files: Vec<(String, Entry)>,
    directories: Vec<PathBuf>,
    problems: Vec<Error>,
}

impl Walk<'_> {
    fn run(&mut self, root: PathBuf) {
        let mut pending = vec![Visit { path: root, above: Vec::new() }];
        while let Some(visit) = pending.pop() {
            if let Err(source) = self.visit(&visit, &mut pending) {
                let problem = problem(visit.path, source);
                self.problems.extend(problem);
            }
        }
    }

    fn visit(&mut self, visit: &Visit, pending: &mut Vec<Visit>) -> io::Result<()> {
        // Watched first, read second: what appears in between is seen at least once.
        (self.on_enter)(&visit.path);
        let mut above = visit.above.clone();
        above.push(FileId::of(&fs::metadata(&visit.path)?));
        let contents = self.stable_contents(&visit.path, &above)?;
        self.problems.extend(contents.problems);
        for (stream, entry) in contents.files {
            self.found.entry(stream).or_default().push(entry);
        }
        for path in contents.directories {
            if above.len() >= DIRECTORY_DEPTH_MAX {
                self.problems.push(Error::DirectoryDepth { path });
            } else {
                pending.push(Visit { path, above: above.clone() });
            }
        }
        Ok(())
    }

    /// Reads a directory again if names changed meanwhile: a file that is just being renamed may be missed under both
    /// its names, and would be taken for deleted.
    fn stable_contents(&mut self, path: &Path, above: &[FileId]) -> io::Result<Contents> {
        let mut contents = Contents::default();
        for _ in 0..READS_MAX {
            let before = fs::metadata(path)?.modified()?;
            contents = self.contents(path, above)?;
            self.directories.insert(path.to_owned(), before);
            if fs::metadata(path)?.modified()? == before {
                break;
            }
        }
        Ok(contents)
    }

    fn contents(&self, path: &Path, above: &[FileId]) -> io::Result<Contents> {
        let mut contents = Contents::default();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                contents.directories.push(path);
            } else if kind.is_symlink() {
                self.link(path, above, &mut contents);
            } else if kind.is_file() && self.pattern.matches(&path) {
                match fs::metadata(&path) {
                    Ok(metadata) => self.add(path, &metadata, false, &mut contents),
                    Err(source) => contents.problems.extend(problem(path, source)),
                }
            }
        }
        Ok(contents)
    }

    fn link(&self, path: PathBuf, above: &[FileId], contents: &mut Contents) {
        let matches = self.pattern.matches(&path);
        if !matches && !self.follow_symlinks {
            return;
        }
        match fs::metadata(&path) {
            Ok(target) if target.is_dir() && self.follow_symlinks => {
                if above.contains(&FileId::of(&target)) {
                    contents.problems.push(Error::DirectoryDepth { path });
                } else {
                    contents.directories.push(path);
                }
            }
            Ok(target) if target.is_file() && matches => self.add(path, &target, true, contents),
            Ok(_) => {}
            Err(source) => contents.problems.extend(problem(path, source)),
        }
    }

    fn add(&self, path: PathBuf, metadata: &Metadata, symlink: bool, contents: &mut Contents) {
        let class = self.pattern.classify(self.rules, &path, &mut contents.problems);
        let Some(class) = class else { return };
        // Every system that has inodes has modification times.
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let entry = Entry {
            path: path.into(),
            id: FileId::of(metadata),
            bytes: metadata.len(),
            modified,
            aged: self.oldest.is_some_and(|oldest| modified <= oldest),
            symlink,
            order: class.order,
        };
        contents.files.push((class.stream, entry));
    }
}

/// What vanished while we looked is no problem.
fn problem(path: PathBuf, source: io::Error) -> Option<Error> {
    (source.kind() != io::ErrorKind::NotFound).then_some(Error::Directory { path, source })
}
