//! Scripts that change while the daemon runs.

use std::sync::Arc;

use nix::sys::signal::Signal;

use super::crashes::Appender;
use super::{filter, preserved_number, sandbox};
use crate::harness::sections::{APP_LOG, TEXT, file_out};
use crate::harness::{Daemon, World, assert_all_in_order, run, wait};

/// Counts all messages, and those that this version saw.
fn version(number: u32) -> String {
    format!(
        "function process_message()\n\
         count = (count or 0) + 1\n\
         v{number} = (v{number} or 0) + 1\n\
         return 0\n\
         end\n"
    )
}

/// Asks for it, and waits until so many scripts in all have been loaded anew.
fn reload(world: &World, daemon: &mut Daemon, all: usize) {
    let ended = run(&["reload", "-config", &world.text_path("hekad.toml")]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let loaded = wait(|| daemon.log().matches("script loaded anew").count() >= all);
    assert!(loaded, "{}", daemon.log());
}

/// Waits until so many more lines have passed.
fn until_more(daemon: &mut Daemon, appender: &Appender, lines: usize) {
    let wanted = appender.lines() + lines;
    daemon.until_report("more lines", |report| {
        report.number("Filters", "count", "ProcessMessageCount") >= wanted as u64
    });
}

#[test]
fn a_changed_script_takes_over_under_traffic_and_a_broken_one_does_not() {
    let world = Arc::new(World::new());
    let decoder = |number: u32| {
        format!("function process_message() write_message('EnvVersion', '{number}') return 0 end")
    };
    world.write("scripts/stamp.lua", decoder(1));
    let config = [
        APP_LOG,
        "decoder = 'stamp'\n",
        &sandbox("Decoder", "stamp", ""),
        TEXT,
        &filter(&world, "count", &version(1), "message_matcher = 'TRUE'\npreserve_data = true"),
        &file_out("one", "EnvVersion == '1'", "one.log"),
        &file_out("other", "EnvVersion != '1'", "other.log"),
        &file_out("out", "TRUE", "out.log"),
    ]
    .concat();
    let appender = Appender::start(Arc::clone(&world));
    let mut daemon = world.start(&config);
    until_more(&mut daemon, &appender, 500);

    world.write("scripts/count.lua", version(2));
    world.write("scripts/stamp.lua", decoder(2));
    reload(&world, &mut daemon, 2);
    until_more(&mut daemon, &appender, 500);

    let bad = "function process_message( return 0 end";
    for script in ["count", "stamp"] {
        world.write(&format!("scripts/{script}.lua"), bad);
    }
    daemon.signal(Signal::SIGHUP);
    daemon.until_logged("script not loaded anew, the old one goes on");
    until_more(&mut daemon, &appender, 500);

    world.write("scripts/count.lua", version(3));
    reload(&world, &mut daemon, 3);
    until_more(&mut daemon, &appender, 500);
    let lines = appender.finish();
    daemon.until_report("all lines", |report| {
        report.output("out", "ProcessMessageCount") == lines as u64
            && report.number("Filters", "count", "ProcessMessageCount") == lines as u64
    });
    let ended = daemon.stop_well();

    assert_all_in_order(&world.read_text("out.log"), lines);
    assert!(!world.read("other.log").is_empty());
    assert_all_in_order(&(world.read_text("one.log") + &world.read_text("other.log")), lines);
    let number = |name| preserved_number(&world, "count", name);
    assert_eq!(number("count"), lines as f64);
    assert_eq!(number("v1") + number("v2") + number("v3"), lines as f64);
    let each = ["v1", "v2", "v3"].map(number);
    assert!(each.iter().all(|seen| *seen > 0.0), "{each:?}\n{}", ended.stderr);
}
