//! Compressed files: positions, damage, copies of what was read.

use std::fs;
use std::time::Duration;

use heka_logstream::Error;

use crate::world::{World, gzipped};

const NONE: [&str; 0] = [];
const LONG: Duration = Duration::from_secs(61);

fn text(name: &str, count: usize) -> String {
    (0..count).map(|index| format!("{name} {index} some more text\n")).collect()
}

#[test]
fn a_compressed_history_is_read_in_order_and_resumed_inside() {
    let mut world = World::numbered();
    fs::write(world.path("app.log.2.gz"), gzipped(text("two", 100).as_bytes())).unwrap();
    // Two members, one after the other.
    let mut members = gzipped(text("one", 50).as_bytes());
    members.extend(gzipped(b"last\n"));
    fs::write(world.path("app.log.1.gz"), members).unwrap();
    world.write("app.log", "zero\n");
    world.start();
    let lines = world.poll();
    assert_eq!(lines.len(), 152);
    assert_eq!(lines[99..101], ["two 99 some more text", "one 0 some more text"]);
    assert_eq!(lines[150..], ["last", "zero"]);
    assert!(world.problems().is_empty());
}

#[test]
fn a_journal_inside_a_compressed_file_is_resumed_there() {
    let mut world = World::numbered();
    let content = text("x", 200);
    fs::write(world.path("app.log.gz"), gzipped(content.as_bytes())).unwrap();
    world.buffer_bytes = 1000;
    world.start();
    let id = world.streams().ids().next().unwrap();
    let (now, mut buffer) = (world.now, vec![0; 1000]);
    world.streams().read(id, &mut buffer, now).unwrap();
    let position = world.streams().consume(id, &buffer[..700]);
    world.streams().checkpoint(id, &position).unwrap();
    world.stop();
    world.start();
    assert_eq!(world.poll().join("\n") + "\n", content[700..]);
}

#[test]
fn a_finished_compressed_file_is_left_alone() {
    let mut world = World::numbered();
    fs::write(world.path("app.log.gz"), gzipped(b"1\n")).unwrap();
    world.start();
    assert_eq!(world.poll(), ["1"]);
    assert_eq!(world.streams().open_files(), 0, "nothing of it stays open");
    assert_eq!((world.poll(), world.poll()), (Vec::<String>::new(), Vec::new()));
}

#[test]
fn initial_tail_finds_the_end_of_a_compressed_file() {
    let mut world = World::numbered();
    world.settings.initial_tail = true;
    world.write("app.log.2", "old\n");
    fs::write(world.path("app.log.1.gz"), gzipped(b"older\n")).unwrap();
    world.start();
    assert_eq!((world.poll(), world.seek("app")), (Vec::<String>::new(), 6));
    world.stop();
    world.write("app.log", "new\n");
    world.start();
    assert_eq!(world.poll(), ["new"]);
}

/// Heka began with the oldest file again, for ever.
#[test]
fn a_cut_file_is_read_as_far_as_it_goes_and_told_once() {
    let mut world = World::numbered();
    let content = text("x", 2000);
    let whole = gzipped(content.as_bytes());
    world.write("app.log.2", "before\n");
    fs::write(world.path("app.log.1.gz"), &whole[..whole.len() / 2]).unwrap();
    world.write("app.log", "after\n");
    world.start();
    let first = world.poll();
    assert!(first.len() > 100, "{}", first.len());
    assert!(matches!(world.problems()[..], [Error::Gzip { .. }]));
    for _ in 0..5 {
        world.tick(Duration::from_secs(3));
        assert_eq!(world.poll(), NONE);
    }
    assert!(world.problems().is_empty());

    // It is completed: what was missing follows.
    fs::write(world.path("app.log.1.gz"), &whole).unwrap();
    world.tick(LONG);
    let rest = world.poll();
    assert_eq!(first.len() + rest.len(), 2002);
    assert_eq!(rest[rest.len() - 1], "after");
}

#[test]
fn a_damaged_file_is_given_up_for_newer_ones_after_a_while() {
    let mut world = World::numbered();
    let whole = gzipped(text("x", 2000).as_bytes());
    fs::write(world.path("app.log.1.gz"), &whole[..whole.len() / 2]).unwrap();
    world.write("app.log", "after\n");
    world.start();
    world.poll();
    world.problems();
    world.tick(Duration::from_secs(50));
    assert_eq!(world.poll(), NONE);
    world.tick(LONG);
    let lines = world.poll();
    assert_eq!(lines.last().unwrap(), "after");
    assert!(matches!(world.problems()[..], [Error::GzipGivenUp { .. }]));
}

#[test]
fn a_damaged_newest_file_is_waited_for() {
    let mut world = World::numbered();
    fs::write(world.path("app.log.1.gz"), b"\x1f\x8bgarbage in here").unwrap();
    world.start();
    assert_eq!(world.poll(), NONE);
    assert_eq!(world.problems().len(), 1);
    for _ in 0..10 {
        world.tick(LONG);
        assert_eq!((world.poll().len(), world.problems().len()), (0, 0));
    }
}

/// The compressor writes beside the file that it will delete.
#[test]
fn a_copy_in_the_making_is_not_read_beside_its_original() {
    let mut world = World::numbered();
    let content = text("x", 2000);
    let whole = gzipped(content.as_bytes());
    world.write("app.log", &content);
    world.start();
    assert_eq!(world.poll().len(), 2000);
    world.rename("app.log", "app.log.1");
    fs::write(world.path("app.log.1.gz"), &whole[..whole.len() / 2]).unwrap();
    world.write("app.log", "next\n");
    assert_eq!(world.poll(), NONE, "it may yet become anything");
    fs::write(world.path("app.log.1.gz"), &whole).unwrap();
    assert_eq!(world.poll(), NONE, "it is not decompressed at each look");
    world.tick(Duration::from_secs(1));
    assert_eq!(world.poll(), ["next"]);
    world.remove("app.log.1");
    world.append("app.log", "more\n");
    assert_eq!(world.poll(), ["more"]);
    assert!(world.problems().is_empty());
}

#[test]
fn an_empty_file_may_turn_out_to_be_compressed() {
    let mut world = World::numbered();
    world.write("app.log.gz", "");
    world.start();
    assert_eq!(world.poll(), NONE);
    let whole = gzipped(b"1\n2\n");
    fs::write(world.path("app.log.gz"), &whole[..1]).unwrap();
    assert_eq!(world.poll(), NONE);
    fs::write(world.path("app.log.gz"), &whole).unwrap();
    assert_eq!(world.poll(), ["1", "2"]);
}
