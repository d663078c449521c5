//! Heka's documented and observed cases; where Heka was wrong, the comment says how.

use std::fs;
use std::time::Duration;

use heka_logstream::Error;

use crate::world::World;

const NONE: [&str; 0] = [];

fn system_log() -> World {
    let mut world = World::new(r"system\.log", &[], &["syslog"]);
    world.write("system.log", "a\nb\npart");
    world.start();
    world
}

#[test]
fn a_growing_file_gives_whole_lines() {
    let mut world = system_log();
    assert_eq!((world.poll(), world.seek("syslog")), (vec!["a".into(), "b".into()], 4));
    world.append("system.log", "ial\nc\n");
    assert_eq!((world.poll(), world.seek("syslog")), (vec!["partial".into(), "c".into()], 14));
    assert_eq!(world.names(), ["syslog"]);
}

#[test]
fn a_renamed_file_is_read_on_until_its_successor_has_data() {
    let mut world = system_log();
    world.append("system.log", "ial\nc\n");
    world.poll();
    world.append("system.log", "late\n");
    world.rename("system.log", "system.log.1");
    assert_eq!(world.poll(), ["late"]);
    world.append("system.log.1", "later\n");
    world.write("system.log", "new1\n");
    assert_eq!((world.poll(), world.seek("syslog")), (vec!["later".into(), "new1".into()], 5));
}

#[test]
fn truncation_and_replacement_are_seen() {
    let mut world = system_log();
    world.append("system.log", "ial\nc\nlate\n");
    world.poll();
    assert_eq!(world.seek("syslog"), 19);
    world.write("system.log", "c\n");
    assert_eq!(world.poll(), ["c"]);
    world.write("system.log", "x\n");
    assert_eq!(world.poll(), ["x"]);
    world.write("other", "y\n");
    world.rename("other", "system.log");
    assert_eq!(world.poll(), ["y"]);
    world.truncate("system.log");
    assert_eq!(world.poll(), NONE);
    world.append("system.log", "after\n");
    assert_eq!((world.poll(), world.seek("syslog")), (vec!["after".into()], 6));
}

fn access_log() -> World {
    let mut world = World::new(r"access\.log\.?(?P<Seq>\d*)", &["^Seq"], &["acc"]);
    world.write("access.log.2", "o1\n");
    world.write("access.log.1", "p1\n");
    world.write("access.log", "q1\n");
    world.start();
    assert_eq!(world.files("acc"), ["access.log.2", "access.log.1", "access.log"]);
    assert_eq!(world.poll(), ["o1", "p1", "q1"]);
    world
}

fn rotate(world: &World) {
    for index in (1..9).rev() {
        let name = format!("access.log.{index}");
        if world.path(&name).exists() {
            world.rename(&name, &format!("access.log.{}", index + 1));
        }
    }
    world.rename("access.log", "access.log.1");
}

/// Cases 4 to 8 in a row: numbered rotation while running and while stopped, compression, truncation.
#[test]
fn numbered_files_are_followed_through_rotation_restart_and_compression() {
    let mut world = access_log();
    world.append("access.log", "q2\n");
    rotate(&world);
    world.write("access.log", "r1\n");
    assert_eq!(world.poll(), ["q2", "r1"]);
    let files = ["access.log.3", "access.log.2", "access.log.1", "access.log"];
    assert_eq!(world.files("acc"), files);

    world.stop();
    world.append("access.log", "r2\n");
    rotate(&world);
    world.write("access.log", "s1\n");
    world.start();
    assert_eq!(world.poll(), ["r2", "s1"]);

    world.stop();
    world.settings.file_match = r"access\.log\.?(?P<Seq>\d*)(\.gz)?".to_owned();
    world.append("access.log", "s2\n");
    rotate(&world);
    world.gzip("access.log.1");
    world.write("access.log", "t1\n");
    world.start();
    assert_eq!(world.poll(), ["s2", "t1"]);

    // Heka read all older files again here.
    world.truncate("access.log");
    assert_eq!(world.poll(), NONE);
    world.append("access.log", "u1\n");
    assert_eq!(world.poll(), ["u1"]);
    assert!(matches!(world.problems()[..], [Error::FileTruncated { .. }]));
}

#[test]
fn one_pattern_gives_many_streams() {
    let differentiator = ["nginx.", "DomainName", ".access"];
    let mut world = World::new(r"(?P<DomainName>[^/]+)-access\.log", &[], &differentiator);
    for name in ["hekathings.com-access", "b.com-access", "sub/c.com-access", "c.com-error"] {
        world.write(&format!("{name}.log"), "x\n");
    }
    world.start();
    assert_eq!(world.names(), ["nginx.b.com.access", "nginx.hekathings.com.access"]);
}

#[test]
fn several_files_without_priority_are_a_problem() {
    let mut world = World::new(r".*\.log", &[], &["x"]);
    world.write("a.log", "a\n");
    world.write("b.log", "b\n");
    world.start();
    assert!(world.names().is_empty());
    assert!(matches!(world.problems()[..], [Error::PriorityMissing { .. }]));
    world.rescan();
    assert!(world.problems().is_empty(), "the same problem is told once");
}

#[test]
fn a_stream_that_loses_its_order_keeps_its_file() {
    let mut world = World::new(r"app.*\.log", &[], &["app"]);
    world.start();
    assert!(world.names().is_empty());
    world.write("app.log", "1\n");
    world.rescan();
    assert_eq!(world.poll(), ["1"]);
    world.write("app2.log", "other\n");
    world.rescan();
    world.append("app.log", "2\n");
    assert_eq!(world.poll(), ["2"]);
    assert!(matches!(world.problems()[..], [Error::PriorityMissing { .. }]));
}

#[test]
fn missing_values_sort_first_unless_translated() {
    let pattern = r"(?P<Domain>[^/]+)/access(-(?P<Year>\d{4})(?P<Month>\d{2})(?P<Day>\d{2}))?\.log";
    let priority = ["Year", "Month", "Day"];
    let mut world = World::new(pattern, &priority, &["nginx-", "Domain", "-access"]);
    for name in ["", "-20140803", "-20131231", "-20140804"] {
        world.write(&format!("sally.com/access{name}.log"), &format!("x{name}\n"));
    }
    world.start();
    assert_eq!(world.poll(), ["x", "x-20131231", "x-20140803", "x-20140804"]);
    world.stop();
    world.store = Default::default();
    let missing = [("missing".to_owned(), 9999)].into();
    world.settings.translation = [("Year".to_owned(), missing)].into();
    world.start();
    assert_eq!(world.poll(), ["x-20131231", "x-20140803", "x-20140804", "x"]);
}

#[test]
fn months_sort_by_date_and_an_unknown_one_is_told() {
    let pattern = r"(?P<Year>\d+)/(?P<MonthName>\w+)/(?P<Name>\w+)\.log";
    let mut world = World::new(pattern, &["Year", "MonthName"], &["m-", "Name"]);
    for month in ["Sep", "OCTOBER", "jan"] {
        world.write(&format!("2014/{month}/a.log"), &format!("{month}\n"));
    }
    world.start();
    assert_eq!(world.poll(), ["jan", "Sep", "OCTOBER"]);
    assert!(world.problems().is_empty());
    // Heka made a stream called `m-Name` of this file.
    world.write("2014/Sept/b.log", "Sept\n");
    world.rescan();
    assert_eq!(
        (world.poll(), world.names()),
        (vec!["Sept".into()], vec!["m-a".into(), "m-b".into()])
    );
    assert!(matches!(world.problems()[..], [Error::Untranslatable { .. }]));
}

#[test]
fn a_file_of_a_new_date_is_read_after_the_scan_and_one_of_an_old_date_never() {
    let pattern = r"(?P<Year>\d+)/(?P<Month>\d+)/(?P<Day>\d+)\.access\.log";
    let mut world = World::new(pattern, &["Year", "Month", "Day"], &["x"]);
    for day in ["11", "2", "1"] {
        world.write(&format!("2014/08/{day}.access.log"), &format!("{day}\n"));
    }
    world.start();
    assert_eq!(world.poll(), ["1", "2", "11"]);
    world.write("2014/08/12.access.log", "12\n");
    assert_eq!(world.poll(), NONE);
    world.rescan();
    assert_eq!(world.poll(), ["12"]);
    world.write("2014/08/10.access.log", "10\n");
    world.rescan();
    assert_eq!(world.poll(), NONE);
}

#[test]
fn two_rotations_between_two_looks_skip_nothing() {
    let mut world = World::numbered();
    world.write("app.log", "b1\nb2\n");
    world.start();
    assert_eq!(world.poll(), ["b1", "b2"]);
    world.append("app.log", "b3\n");
    world.rename("app.log", "app.log.2");
    world.write("app.log.1", "c1\nc2\n");
    world.write("app.log", "d1\n");
    assert_eq!(world.poll(), ["b3", "c1", "c2", "d1"]);
}

/// Heka read everything again here.
#[test]
fn a_lost_file_does_not_bring_back_what_was_read_before_it() {
    let mut world = World::numbered();
    world.write("app.log.2", "a1\n");
    world.write("app.log.1", "b1\n");
    world.write("app.log", "c1\n");
    world.start();
    assert_eq!(world.poll(), ["a1", "b1", "c1"]);
    world.stop();
    world.rename("app.log.2", "app.log.3");
    world.rename("app.log.1", "app.log.2");
    world.remove("app.log");
    world.write("app.log.1", "new\n");
    world.write("app.log", "");
    world.start();
    assert_eq!(world.poll(), ["new"]);
    // The second one if the file system gave the inode to a new file.
    let problems = world.problems();
    assert!(
        matches!(problems[..], [Error::PositionLost { .. } | Error::FileTruncated { .. }]),
        "{problems:?}"
    );
    world.append("app.log", "d1\n");
    assert_eq!(world.poll(), ["d1"]);
}

#[test]
fn a_lost_file_with_nothing_new_waits_for_news() {
    let mut world = World::numbered();
    world.write("app.log.1", "b1\n");
    world.write("app.log", "c1\n");
    world.start();
    world.poll();
    world.stop();
    world.remove("app.log");
    world.start();
    assert_eq!(world.poll(), NONE);
    world.write("app.log", "d1\n");
    world.rescan();
    assert_eq!(world.poll(), ["d1"]);
}

#[test]
fn hekas_journal_at_byte_zero_of_a_vanished_file_means_the_newest_file() {
    let mut world = World::numbered();
    let hash = "fc56d4b3c72a8bfe593373c740d558ec1340ac73";
    let gone = world.path("app.log.9");
    world.set_journal(
        "app",
        &format!(r#"{{"seek":0,"file_name":"{}","last_hash":"{hash}"}}"#, gone.display()),
    );
    world.write("app.log.2", "a\n");
    world.write("app.log.1", "b\n");
    world.write("app.log", "c\n");
    world.start();
    assert_eq!(world.poll(), ["c"]);
}

#[test]
fn hekas_journal_with_a_wrong_hash_means_everything() {
    let mut world = World::numbered();
    world.write("app.log.1", "old1\n");
    world.write("app.log", "cur1\n");
    let hash = "935e0d0991ac076f5784dce2fabae2eff811a457";
    let path = fs::canonicalize(world.path("app.log")).unwrap();
    world.set_journal(
        "app",
        &format!(r#"{{"seek":4,"file_name":"{}","last_hash":"{hash}"}}"#, path.display()),
    );
    world.start();
    assert_eq!(world.poll(), ["old1", "cur1"]);
}

/// Heka joined the last line of the old file with the first of the new one.
#[test]
fn an_unfinished_last_line_is_a_record_of_its_own() {
    let mut world = World::numbered();
    world.write("app.log", "one\ntwo");
    world.start();
    assert_eq!(world.poll(), ["one"]);
    world.rename("app.log", "app.log.1");
    world.write("app.log", "three\nfour\n");
    assert_eq!(world.poll(), ["two", "three", "four"]);
}

#[test]
fn an_empty_file_may_be_replaced() {
    let mut world = World::new(r"app\.log", &[], &["app"]);
    world.write("app.log", "");
    world.start();
    assert_eq!(world.poll(), NONE);
    world.remove("app.log");
    assert_eq!(world.poll(), NONE);
    world.write("app.log", "fresh\n");
    assert_eq!(world.poll(), ["fresh"]);
}

/// Heka took the new file for the old one and read nothing until a restart, and then only `bb`.
#[test]
fn a_new_file_that_begins_like_the_old_one_is_a_new_file() {
    let mut world = World::new(r"app\.log", &[], &["app"]);
    world.write("app.log", "aa\n");
    world.start();
    assert_eq!(world.poll(), ["aa"]);
    world.rename("app.log", "gone.log.1");
    world.write("app.log", "aa\nbb\n");
    assert_eq!(world.poll(), ["aa", "bb"]);
}

/// Heka never read `b`, because the scan that found it was made for `a`.
#[test]
fn a_stream_found_by_the_scan_of_another_one_is_read() {
    let mut world = World::new(r"(?P<N>\w+)\.log", &[], &["N"]);
    world.write("a.log", "a1\n");
    world.start();
    assert_eq!(world.poll(), ["a1"]);
    world.write("b.log", "b1\n");
    world.truncate("a.log");
    assert_eq!(world.poll(), ["b1"]);
    let (mut ready, now) = (Vec::new(), world.now);
    world.streams().poll(now, &mut ready);
    assert!(ready.iter().any(|id| id.index() == 1), "{ready:?}");
}

#[test]
fn initial_tail_starts_at_the_end_of_the_newest_file() {
    let mut world = World::numbered();
    world.settings.initial_tail = true;
    world.write("app.log.1", "old\n");
    world.write("app.log", "x1\nx2\n");
    world.start();
    assert_eq!((world.poll(), world.seek("app")), (Vec::<String>::new(), 6));
    world.append("app.log", "x3\n");
    assert_eq!(world.poll(), ["x3"]);
}

/// Heka read the old part of a revived file too.
#[test]
fn a_file_too_old_at_first_is_read_from_where_it_was_revived() {
    let mut world = World::new(r"(?P<N>\w+)\.log", &[], &["N"]);
    world.settings.oldest_duration = Some(Duration::from_secs(2 * 3600));
    world.write("old.log", "ancient\n");
    world.set_age("old.log", Duration::from_secs(3 * 3600));
    world.write("new.log", "n\n");
    world.start();
    assert_eq!((world.names(), world.poll()), (vec!["new".into()], vec!["n".into()]));
    world.append("old.log", "revived\n");
    world.rescan();
    assert_eq!((world.names().len(), world.poll()), (2, vec!["revived".into()]));
}

#[test]
fn a_broken_journal_is_told_and_a_blank_one_is_none() {
    for (journal, problems) in [("{bad", 1), (" \n", 0), ("", 0)] {
        let mut world = World::numbered();
        world.set_journal("app", journal);
        world.write("app.log", "a\n");
        world.start();
        assert_eq!(world.poll(), ["a"], "{journal:?}");
        assert_eq!(world.problems().len(), problems, "{journal:?}");
        assert_eq!(world.seek("app"), 2);
    }
}
