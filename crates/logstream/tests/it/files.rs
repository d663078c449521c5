//! Which files belong to a stream, and files that cannot be read.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use heka_logstream::{Error, LogStreams, MemoryStore, Settings};

use crate::world::World;

const NONE: [&str; 0] = [];

#[test]
fn directories_named_like_logs_are_entered_not_read() {
    let mut world = World::new(r".*\.log", &[], &["x"]);
    world.write("dir.log/inner.log", "in\n");
    world.start();
    assert_eq!(
        (world.files("x"), world.poll()),
        (vec!["dir.log/inner.log".into()], vec!["in".into()])
    );
    assert!(world.problems().is_empty());
}

#[test]
fn links_to_files_are_followed_and_links_to_directories_if_asked() {
    let mut world = World::new(r"(?P<N>[a-z/]+)\.log", &[], &["N"]);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("c.log"), "c\n").unwrap();
    symlink(elsewhere.path().join("c.log"), world.path("b.log")).unwrap();
    symlink(elsewhere.path(), world.path("sub")).unwrap();
    world.start();
    assert_eq!((world.names(), world.poll()), (vec!["b".into()], vec!["c".into()]));
    world.stop();
    world.settings.follow_symlinks = true;
    world.start();
    assert_eq!(world.names(), ["b", "sub/c"]);
}

#[test]
fn a_circle_of_links_ends_and_is_told() {
    let mut world = World::new(r"(?P<N>.+)\.log", &[], &["N"]);
    world.settings.follow_symlinks = true;
    world.write("d/a.log", "a\n");
    symlink(world.directory.path(), world.path("d/up")).unwrap();
    world.start();
    assert_eq!(world.names(), ["d/a"]);
    assert!(matches!(world.problems()[..], [Error::DirectoryDepth { .. }]));
}

#[test]
fn a_file_with_two_names_is_read_once() {
    let mut world = World::new(r"(current|app-(?P<Day>\d+))\.log", &["Day"], &["x"]);
    world.write("app-1.log", "1\n");
    world.write("app-2.log", "2\n");
    symlink(world.path("app-2.log"), world.path("current.log")).unwrap();
    fs::hard_link(world.path("app-1.log"), world.path("app-0.log")).unwrap();
    world.start();
    assert_eq!(world.files("x"), ["app-1.log", "app-2.log"]);
    assert_eq!(world.poll(), ["1", "2"]);
}

#[test]
fn names_that_are_not_utf8_are_read_and_found_again() {
    let mut world = World::new(r"(?P<N>[^/]+)\.log", &[], &["N"]);
    let path = world.directory.path().join(OsStr::from_bytes(b"a\xff.log"));
    fs::write(&path, "1\n").unwrap();
    world.start();
    assert_eq!((world.poll(), world.names()), (vec!["1".into()], vec!["a\\xff".into()]));
    world.stop();
    fs::write(&path, "1\n2\n").unwrap();
    world.start();
    assert_eq!(world.poll(), ["2"]);
}

/// The super-user may read everything, so there the error is provoked by a file that turned into a pipe.
#[test]
fn an_unreadable_file_is_told_once_and_never_resets_the_position() {
    let mut world = World::numbered();
    world.write("app.log.1", "old\n");
    world.write("app.log", "new\n");
    world.start();
    assert_eq!(world.poll(), ["old", "new"]);
    world.stop();
    let permissions = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(world.path("app.log"), permissions(0)).unwrap();
    if fs::File::open(world.path("app.log")).is_ok() {
        return;
    }
    world.append("app.log.1", "");
    world.start();
    assert_eq!(world.poll(), NONE);
    assert!(matches!(world.problems()[..], [Error::File { .. }]));
    world.tick(Duration::from_secs(2));
    assert_eq!((world.poll().len(), world.problems().len()), (0, 0));
    fs::set_permissions(world.path("app.log"), permissions(0o600)).unwrap();
    world.append("app.log", "more\n");
    world.tick(Duration::from_secs(60));
    assert_eq!(world.poll(), ["more"]);
}

/// A link into a directory that is a file now: an error that holds for the super-user too.
#[test]
fn a_path_that_fails_keeps_the_stream_where_it_is() {
    let mut world = World::new(r"app\.log", &[], &["app"]);
    world.write("real/data", "1\n");
    symlink(world.path("real/data"), world.path("app.log")).unwrap();
    world.start();
    assert_eq!(world.poll(), ["1"]);
    world.rename("real", "moved");
    world.write("real", "not a directory");
    assert_eq!(world.poll(), NONE);
    assert!(matches!(world.problems()[..], [Error::File { .. }]));
    assert_eq!((world.poll().len(), world.problems().len()), (0, 0));
    world.remove("real");
    world.rename("moved", "real");
    world.append("real/data", "2\n");
    assert_eq!(world.poll(), NONE, "it waits before it tries again");
    world.tick(Duration::from_secs(2));
    assert_eq!(world.poll(), ["2"]);
}

#[test]
fn a_missing_directory_is_told_and_may_appear_later() {
    let mut world = World::new(r".*\.log", &[], &["x"]);
    let path = world.path("later");
    world.settings.log_directory = path.clone();
    world.start();
    assert!(matches!(world.problems()[..], [Error::LogDirectory { .. }]));
    world.write("later/a.log", "a\n");
    world.tick(Duration::from_secs(1));
    let (mut ready, now) = (Vec::new(), world.now);
    world.streams().poll(now, &mut ready);
    assert_eq!((ready.len(), world.poll()), (1, vec!["a".to_owned()]));
    assert!(world.problems().is_empty());
}

#[test]
fn a_relative_directory_is_one_below_the_working_directory() {
    let settings = Settings {
        log_directory: "src".into(),
        file_match: r"lib\.rs".into(),
        differentiator: vec!["x".into()],
        oldest_duration: None,
        ..Settings::default()
    };
    let now = heka_logstream::Now::read();
    let survey = heka_logstream::survey(&settings, &MemoryStore::default(), now).unwrap();
    let path = std::env::current_dir().unwrap().join("src/lib.rs");
    assert_eq!(survey.streams[0].position, Some((path.clone(), 0)));
    assert_eq!(survey.streams[0].files, [path]);
}

#[test]
fn a_survey_shows_files_and_position_and_changes_nothing() {
    let mut world = World::numbered();
    world.write("app.log.1", "a\n");
    world.write("app.log", "b\n");
    world.start();
    world.poll();
    world.stop();
    world.append("app.log", "c\n");
    let before = world.journal("app");
    let survey = heka_logstream::survey(&world.settings, &world.store, world.now).unwrap();
    let path = fs::canonicalize(world.path("app.log")).unwrap();
    assert_eq!(survey.streams[0].position, Some((path, 2)));
    assert_eq!((survey.streams[0].files.len(), survey.problems.len()), (2, 0));
    assert_eq!(before, world.journal("app"));
}

#[test]
fn invalid_settings_are_an_error() {
    let settings = Settings { file_match: "(".into(), ..Settings::default() };
    assert!(LogStreams::new(settings, Box::new(MemoryStore::default())).is_err());
}

#[test]
fn an_empty_buffer_is_an_error_not_an_end() {
    let mut world = World::numbered();
    world.write("app.log", "a\n");
    world.start();
    let (now, id) = (world.now, world.streams().ids().next().unwrap());
    assert!(matches!(world.streams().read(id, &mut [], now), Err(Error::BufferFull)));
}
