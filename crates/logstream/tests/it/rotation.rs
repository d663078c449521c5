//! Rotation, copying and replacement in unusual orders.

use std::fs;

use crate::world::World;

const NONE: [&str; 0] = [];

#[test]
fn a_copied_and_truncated_file_is_finished_in_the_copy() {
    let mut world = World::numbered();
    world.write("app.log", "1\nhalf");
    world.start();
    assert_eq!(world.poll(), ["1"]);
    world.append("app.log", " a line\n2\n");
    world.copy_truncate("app.log", "app.log.1");
    world.append("app.log", "3\n");
    assert_eq!(world.poll(), ["half a line", "2", "3"]);
    assert!(world.problems().is_empty());
}

/// The file is longer than before by the time we look, so its size tells nothing.
#[test]
fn a_truncated_file_that_grew_past_the_position_is_seen() {
    let mut world = World::new(r"app\.log", &[], &["app"]);
    world.write("app.log", "first line\n");
    world.start();
    assert_eq!(world.poll(), ["first line"]);
    world.truncate("app.log");
    world.append("app.log", "another line\nand more\n");
    assert_eq!(world.poll(), ["another line", "and more"]);
    world.stop();
    world.truncate("app.log");
    world.append("app.log", "while nobody looked\nthe file was written anew\n");
    world.start();
    assert_eq!(world.poll(), ["while nobody looked", "the file was written anew"]);
    assert_eq!(world.problems().len(), 1);
}

#[test]
fn a_copy_that_replaces_the_file_is_read_on_not_anew() {
    let mut world = World::new(r"app\.log", &[], &["app"]);
    world.write("app.log", "1\n2\n");
    world.start();
    assert_eq!(world.poll(), ["1", "2"]);
    // As rsync does.
    world.write("app.tmp", "1\n2\n3\n");
    world.rename("app.tmp", "app.log");
    assert_eq!(world.poll(), ["3"]);
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut world = World::new(r"app\.log", &[], &["app"]);
    world.write("app.log", "1\n");
    world.start();
    assert_eq!(world.poll(), ["1"]);
    world.append("app.log", "2\n");
    world.remove("app.log");
    assert_eq!(world.poll(), ["2"]);
    world.write("app.log", "3\n");
    assert_eq!(world.poll(), ["3"]);
}

#[test]
fn files_that_begin_with_the_same_long_header_are_told_apart() {
    let header = "#Fields: ".to_owned() + &"column ".repeat(100) + "\n";
    let mut world = World::numbered();
    for (name, line) in [("app.log.2", "a"), ("app.log.1", "b"), ("app.log", "c")] {
        world.write(name, &format!("{header}{line}\n"));
    }
    world.start();
    let lines = world.poll();
    assert_eq!([&*lines[1], &*lines[3], &*lines[5]], ["a", "b", "c"]);
    assert_eq!(lines.len(), 6);
    for restart in [false, true] {
        for (from, to) in [("app.log.2", "app.log.3"), ("app.log.1", "app.log.2")] {
            world.rename(from, to);
        }
        world.rename("app.log", "app.log.1");
        world.write("app.log", &format!("{header}{restart}\n"));
        if restart {
            world.stop();
            world.start();
        }
        assert_eq!(world.poll(), [header.trim_end_matches('\n').to_owned(), restart.to_string()]);
    }
}

/// The writer keeps the renamed file open for a while, as before a signal tells it to reopen.
#[test]
fn lines_written_after_the_rename_are_read_before_the_new_file() {
    let mut world = World::numbered();
    world.write("app.log", "1\n");
    world.start();
    world.poll();
    world.rename("app.log", "app.log.1");
    world.write("app.log", "");
    assert_eq!(world.poll(), NONE);
    world.append("app.log.1", "2\n");
    assert_eq!(world.poll(), ["2"]);
    world.append("app.log.1", "3\n");
    world.append("app.log", "4\n");
    assert_eq!(world.poll(), ["3", "4"]);
}

#[test]
fn empty_files_in_between_are_passed_over() {
    let mut world = World::numbered();
    for index in 1..200 {
        world.write(&format!("app.log.{index}"), "");
    }
    world.write("app.log.200", "1\n");
    world.write("app.log", "2\n");
    world.start();
    assert_eq!(world.poll(), ["1", "2"]);
}

#[test]
fn files_beyond_the_limit_are_closed_and_found_again_through_rotation() {
    let mut world = World::new(r"(?P<N>\w+)\.log\.?(?P<Seq>\d*)", &["^Seq"], &["N"]);
    world.settings.open_files_max = 4;
    let name = |index: usize| format!("n{index}.log");
    (0..20).for_each(|index| world.write(&name(index), "1\n"));
    world.start();
    assert_eq!(world.poll().len(), 20);
    assert!(world.streams().open_files() <= 4, "{}", world.streams().open_files());

    (0..20).for_each(|index| world.append(&name(index), &format!("{index} two\n")));
    (0..10).for_each(|index| world.rename(&name(index), &format!("{}.1", name(index))));
    (0..5).for_each(|index| world.write(&name(index), "1\n3\n"));
    world.truncate(&name(19));
    world.append(&name(19), "9\n8\n7\n6\n");
    let lines = world.poll();
    assert_eq!(lines.iter().filter(|line| line.ends_with(" two")).count(), 19);
    assert_eq!(lines.iter().filter(|line| *line == "3").count(), 5);
    assert_eq!(lines.len(), 19 + 2 * 5 + 4);
    assert!(world.streams().open_files() <= 4);
    assert_eq!(world.poll(), NONE);
    fs::remove_dir_all(world.directory.path()).unwrap();
    assert_eq!(world.poll(), NONE);
}

#[test]
fn a_file_too_old_by_now_is_still_read_on() {
    let mut world = World::numbered();
    world.write("app.log", "1\n");
    world.start();
    assert_eq!(world.poll(), ["1"]);
    world.set_age("app.log", std::time::Duration::from_secs(1000 * 3600));
    world.rescan();
    assert_eq!(world.poll(), NONE);
    world.append("app.log", "2\n");
    assert_eq!(world.poll(), ["2"]);
    world.set_age("app.log", std::time::Duration::from_secs(1000 * 3600));
    world.rename("app.log", "app.log.1");
    world.write("app.log", "3\n");
    assert_eq!(world.poll(), ["3"]);
}

/// As long as the stream has not begun, too, a file that is gone is no error.
#[test]
fn a_file_that_vanishes_before_it_is_read_is_no_problem() {
    let mut world = World::new(r"app\.log", &[], &["app"]);
    world.write("app.log", "1\n");
    world.start();
    world.remove("app.log");
    assert_eq!((world.poll().len(), world.problems().len()), (0, 0));
    world.write("app.log", "2\n");
    world.rescan();
    assert_eq!(world.poll(), ["2"]);
}
