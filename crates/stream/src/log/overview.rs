//! Looking at a log from outside, also while a daemon writes it.
//!
//! Invariant: nothing here writes, cuts or locks; use it with a [`ReadOnlyStorage`](crate::ReadOnlyStorage).

use std::io;
use std::path::Path;
use std::sync::Arc;

use heka_message::{Batch, NameRegistry};

use crate::log::error::LogError;
use crate::log::reader::{Damage, LogReader, StoredRecord, find_id, list_segments};
use crate::log::state::{LogState, take_progress};
use crate::log::writer::{Segment, recover_state, segment};
use crate::storage::Storage;

/// What lies in the directory of a log.
#[derive(Debug, Clone, Default)]
pub struct LogOverview {
    /// The segments, oldest first.
    pub segments: Vec<Segment>,
    /// Cursors and positions as they were written last.
    pub state: LogState,
    /// What could not be read of the segments that were looked at.
    pub damage: Vec<Damage>,
    /// The end of the last segment that is no whole record: a write that is under way, or that a crash interrupted.
    pub unfinished: Option<Damage>,
}

/// Finds out how a log is, reading only as many of the newest segments as that takes. A directory without a log is an
/// empty one.
///
/// # Errors
/// If the directory or a file in it cannot be used at all. Whatever is in the files is no error.
pub fn read_state(storage: &Arc<dyn Storage>, directory: &Path) -> Result<LogOverview, LogError> {
    let keys = list_segments(&**storage, directory)?;
    let Some(id) = find_id(&**storage, directory, &keys)? else {
        return Ok(LogOverview::default());
    };
    let mut overview = LogOverview::default();
    for key in &keys {
        match segment(&**storage, directory, *key) {
            Ok(segment) => overview.segments.push(segment),
            // The daemon needs it no longer.
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
    }
    let scan = recover_state(storage, directory, id, &keys)?;
    overview.state = scan.state;
    overview.set_damage(directory, scan.damage);
    overview.damage.extend(scan.senseless);
    Ok(overview)
}

impl LogOverview {
    /// Reads everything from the oldest segment on and takes over what damage there is.
    ///
    /// # Errors
    /// As [`read_state`].
    pub fn verify(&mut self, storage: &Arc<dyn Storage>, directory: &Path) -> Result<(), LogError> {
        let keys = list_segments(&**storage, directory)?;
        let (Some(&first), Some(id)) = (keys.first(), find_id(&**storage, directory, &keys)?)
        else {
            return Ok(());
        };
        let mut reader = LogReader::of_everything(Arc::clone(storage), directory, id, first)?;
        while reader.next()?.is_some() {}
        self.set_damage(directory, reader.take_damage());
        Ok(())
    }

    fn set_damage(&mut self, directory: &Path, mut damage: Vec<Damage>) {
        let Some(last) = self.segments.last() else { return };
        let path = directory.join(last.name());
        let mut end = last.bytes;
        // It may have grown since its length was looked at.
        while let Some(cut) = damage.pop_if(|it| it.path == path && it.to >= end && it.from > 0) {
            end = cut.from;
            let to = self.unfinished.as_ref().map_or(cut.to, |unfinished| unfinished.to);
            self.unfinished = Some(Damage { to, ..cut });
        }
        self.damage = damage;
    }
}

impl StoredRecord {
    /// The batch of a [`RecordKind::Batch`](crate::RecordKind::Batch) record.
    ///
    /// # Errors
    /// If the body is none.
    pub fn into_batch(self, names: &NameRegistry) -> Result<Batch, LogError> {
        let mut body = self.body;
        take_progress(&mut body)?;
        Batch::from_stored(body, &names.snapshot())
            .map_err(|error| LogError::Content(error.to_string()))
    }
}

impl LogError {
    /// True if a file is not there.
    fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use heka_message::Buffer;

    use super::*;
    use crate::log::{CursorState, LogSettings, LogWriter, RecordKind, RecordMeta};
    use crate::storage::{Durability, FileStorage, ReadOnlyStorage};

    /// A log of 30 batches in several segments, and a way to look at it.
    struct World {
        folder: tempfile::TempDir,
        reader: Arc<dyn Storage>,
        writer: LogWriter,
    }

    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let settings = LogSettings { directory: folder.path().into(), segment_bytes: 2000 };
        let mut writer = LogWriter::open(Arc::new(FileStorage), settings).unwrap().0;
        let mut state = LogState::default();
        for sequence in 1..31 {
            let mut group = writer.group();
            let meta = RecordMeta { kind: RecordKind::Batch, messages: 1, sequence, time_ns: 1 };
            group.push(meta, &Buffer::from(vec![b'x'; 150]), |out| {
                crate::log::put_progress(out, Some(("in", sequence)));
            });
            state.next_sequence = sequence + 1;
            state.cursors.insert("out".into(), CursorState { sequence, ..CursorState::default() });
            group.push_state(RecordKind::StateChange, &state, 1);
            writer.write(&group, &state, 1).unwrap();
        }
        writer.sync().unwrap();
        World { folder, reader: Arc::new(ReadOnlyStorage(FileStorage)), writer }
    }

    impl World {
        fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
            let entries = std::fs::read_dir(self.folder.path()).unwrap();
            let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
        }

        fn look(&self) -> LogOverview {
            let mut overview = read_state(&self.reader, self.folder.path()).unwrap();
            overview.verify(&self.reader, self.folder.path()).unwrap();
            overview
        }
    }

    #[test]
    fn a_look_tells_what_the_writer_knows_and_changes_no_byte() {
        let world = world();
        let before = world.files();
        let overview = world.look();
        let segments: Vec<_> = world.writer.segments().copied().collect();
        assert!(segments.len() > 2);
        assert_eq!(overview.segments, segments);
        assert_eq!(overview.state.next_sequence, 31);
        assert_eq!(overview.state.cursors["out"].sequence, 30);
        assert_eq!(overview.state.positions["in"].logged, 30);
        assert!(overview.damage.is_empty() && overview.unfinished.is_none());
        assert_eq!(world.files(), before);
    }

    #[test]
    fn half_a_write_is_unfinished_and_stays_where_it_is() {
        let world = world();
        let (path, content) = world
            .files()
            .into_iter()
            .rfind(|(path, _)| path.ends_with(world.writer.segments().next_back().unwrap().name()))
            .unwrap();
        let whole = content.len();
        std::fs::write(&path, &content[..whole - 20]).unwrap();
        let overview = world.look();
        assert_eq!(overview.unfinished.unwrap().to, whole as u64 - 20);
        assert!(overview.damage.is_empty());
        assert_eq!(std::fs::read(&path).unwrap().len(), whole - 20);
    }

    #[test]
    fn damage_in_an_old_segment_is_found_by_reading_everything() {
        let world = world();
        let path = world.folder.path().join(world.writer.segments().next().unwrap().name());
        let mut content = std::fs::read(&path).unwrap();
        content[700..740].fill(0xee);
        FileStorage.replace(&path, &content, Durability::Crash).unwrap();
        let quick = read_state(&world.reader, world.folder.path()).unwrap();
        assert!(quick.damage.is_empty());
        let overview = world.look();
        assert!(overview.damage.iter().all(|damage| damage.path == path));
        assert!(overview.damage.iter().any(|it| it.from <= 700 && it.to >= 740));
        assert_eq!(overview.state.cursors["out"].sequence, 30);
    }

    #[test]
    fn a_directory_without_a_log_is_an_empty_one() {
        let reader: Arc<dyn Storage> = Arc::new(ReadOnlyStorage(FileStorage));
        let overview = read_state(&reader, Path::new("/not/there")).unwrap();
        assert!(overview.segments.is_empty() && overview.state.is_empty());
    }
}
