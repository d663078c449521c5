//! Journals as files: Heka's, ours, and those that cannot be written.

use std::io;

use heka_logstream::{DirectoryStore, Error, JournalStore, LogStreams, ReadEvent};

use crate::world::World;

const NONE: [&str; 0] = [];

#[test]
fn a_journal_of_heka_is_resumed_and_extended() {
    let mut world = World::numbered();
    world.write("app.log.1", "a\nb\nc\n");
    world.write("app.log", "d\n");
    // The hash of the four bytes; the name is that before a rotation.
    let hash = "935e0d0991ac076f5784dce2fabae2eff811a457";
    let journal = format!(r#"{{"seek":4,"file_name":"/gone/app.log","last_hash":"{hash}"}}"#);
    world.set_journal("app", &journal);
    world.start();
    assert_eq!(world.poll(), ["c", "d"]);
    let journal = world.journal("app");
    assert_eq!(journal["last_hash"].as_str().unwrap().len(), 40);
    assert!(
        journal["inode"].is_u64() && journal["file_name"].as_str().unwrap().ends_with("app.log")
    );
}

#[test]
fn hekas_reset_journal_means_the_oldest_file_even_with_initial_tail() {
    let mut world = World::numbered();
    world.settings.initial_tail = true;
    let hash = "fc56d4b3c72a8bfe593373c740d558ec1340ac73";
    world.set_journal("app", &format!(r#"{{"seek":0,"file_name":"","last_hash":"{hash}"}}"#));
    world.write("app.log.1", "a\n");
    world.write("app.log", "b\n");
    world.start();
    assert_eq!(world.poll(), ["a", "b"]);
}

#[test]
fn text_behind_a_journal_is_ignored() {
    let mut world = World::numbered();
    world.write("app.log", "a\nb\nc\n");
    let hash = "935e0d0991ac076f5784dce2fabae2eff811a457";
    let journal = format!(r#"{{"seek":4,"file_name":"x","last_hash":"{hash}"}}457"}}"#);
    world.set_journal("app", &journal);
    world.start();
    assert_eq!(world.poll(), ["c"]);
}

/// Heka never saved such a position, and never said so.
#[test]
fn a_stream_name_with_slashes_has_a_journal() {
    let mut world = World::new(r"(?P<N>.+)\.log", &[], &["N"]);
    let journals = tempfile::tempdir().unwrap();
    world.write("a/b/c.log", "1\n");
    for expected in [&["1"][..], &[]] {
        let store = DirectoryStore::open(journals.path(), false).unwrap();
        world.streams = Some(LogStreams::new(world.settings.clone(), Box::new(store)).unwrap());
        world.rescan();
        assert_eq!(world.poll(), expected);
        world.stop();
    }
    assert!(journals.path().join("a%2Fb%2Fc").exists());
}

/// The caller settles late: reading, rotation and truncation go on in between.
#[test]
fn a_position_may_be_written_long_after_it_was_passed() {
    let mut world = World::numbered();
    world.write("app.log", "1\n2\n");
    world.start();
    let (now, mut buffer) = (world.now, [0; 64]);
    let id = world.streams().ids().next().unwrap();
    assert_eq!(world.streams().read(id, &mut buffer, now).unwrap(), ReadEvent::Data(4));
    let early = world.streams().consume(id, b"1\n");
    let late = world.streams().consume(id, b"2\n");
    assert_eq!((early.offset(), late.offset()), (2, 4));
    world.rename("app.log", "app.log.1");
    world.write("app.log", "3\n");
    assert_eq!(world.streams().read(id, &mut buffer, now).unwrap(), ReadEvent::EndOfFile);
    assert_eq!(world.streams().read(id, &mut buffer, now).unwrap(), ReadEvent::Data(2));
    world.streams().checkpoint(id, &early).unwrap();
    let name = world.journal("app")["file_name"].as_str().unwrap().to_owned();
    assert!(name.ends_with("app.log.1"), "{name}");
    world.stop();
    world.start();
    assert_eq!(world.poll(), ["2", "3"]);
}

#[test]
fn an_older_position_does_not_undo_a_newer_one() {
    let mut world = World::numbered();
    world.write("app.log", "1\n2\n");
    world.start();
    let (now, mut buffer) = (world.now, [0; 64]);
    let id = world.streams().ids().next().unwrap();
    world.streams().read(id, &mut buffer, now).unwrap();
    let early = world.streams().consume(id, b"1\n");
    let late = world.streams().consume(id, b"2\n");
    world.streams().checkpoint(id, &late).unwrap();
    world.streams().checkpoint(id, &early).unwrap();
    assert_eq!(world.seek("app"), 4);
}

struct FailingStore;

impl JournalStore for FailingStore {
    fn load(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
        Err(io::Error::other("disk on fire"))
    }

    fn replace(&mut self, _: &str, _: &[u8]) -> io::Result<()> {
        Err(io::Error::other("disk on fire"))
    }
}

#[test]
fn a_journal_that_fails_is_told_and_reading_goes_on() {
    let mut world = World::numbered();
    world.write("app.log", "1\n");
    world.streams = Some(LogStreams::new(world.settings.clone(), Box::new(FailingStore)).unwrap());
    world.rescan();
    assert!(matches!(world.problems()[..], [Error::JournalRead { .. }]));
    let (now, mut buffer) = (world.now, [0; 64]);
    let id = world.streams().ids().next().unwrap();
    assert_eq!(world.streams().read(id, &mut buffer, now).unwrap(), ReadEvent::Data(2));
    let position = world.streams().consume(id, b"1\n");
    let written = world.streams().checkpoint(id, &position);
    assert!(matches!(written, Err(Error::JournalWrite { .. })));
}

#[test]
fn an_unfinished_line_is_read_again_after_a_restart() {
    let mut world = World::numbered();
    let long = "x".repeat(20_000);
    world.write("app.log", &format!("1\n{long}"));
    world.start();
    assert_eq!((world.poll(), world.seek("app")), (vec!["1".into()], 2));
    world.stop();
    world.append("app.log", "y\n");
    world.start();
    assert_eq!(world.poll(), [format!("{long}y")]);
}

#[test]
fn initial_tail_is_remembered_before_anything_is_read() {
    let mut world = World::numbered();
    world.settings.initial_tail = true;
    world.write("app.log", "old\n");
    world.start();
    assert_eq!(world.poll(), NONE);
    world.stop();
    world.append("app.log", "between\n");
    world.start();
    assert_eq!(world.poll(), ["between"]);
}
