//! What becomes of scripts that fail, of their plugins and of everybody else.

use std::time::Duration;

use super::{COUNT, assert_counted, filter, preserved_number, sandbox};
use crate::harness::sections::{APP_LOG, TEXT, file_out};
use crate::harness::{Daemon, Numbered, World, assert_all_in_order, numbers};

/// Fails at one line.
const FAILS_AT: &str = r#"
seen = 0
last = 0
function process_message()
    seen = seen + 1
    last = read_message("Payload")
    if string.find(last, "^00000100") then
        error("boom")
    end
    return 0
end
"#;

const LINES: usize = 500;
/// What tells ends, as text.
const ENDS: &str = "[rst]\ntype = 'RstEncoder'\n";
const LINES_ONLY: &str = "message_matcher = \"Type == 'logfile'\"\n";

fn fails_at() -> String {
    format!("require 'string'{FAILS_AT}")
}

/// A pipeline in which the filter `bad` fails, and `good` and an output do not.
fn config(world: &World, script: &str, more: &str) -> String {
    world.write("logs/app.log", Numbered::default().lines(LINES));
    [
        APP_LOG,
        TEXT,
        ENDS,
        &filter(world, "bad", script, &format!("{LINES_ONLY}{more}")),
        &filter(world, "good", COUNT, &format!("{LINES_ONLY}preserve_data = true")),
        &file_out("out", "Type == 'logfile'", "out.log"),
        &file_out("ends", "Type =~ /^heka.*terminated$/", "ends.log").replace("'text'", "'rst'"),
    ]
    .concat()
}

fn until_all(daemon: &mut Daemon) {
    daemon.until_report("all lines elsewhere", |report| {
        report.output("out", "ProcessMessageCount") == LINES as u64
            && report.number("Filters", "good", "ProcessMessageCount") == LINES as u64
    });
}

fn postmortems(world: &World) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(world.path("base/sandbox_postmortem")) else {
        return Vec::new();
    };
    folder.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn a_filter_that_fails_ends_alone_and_says_why() {
    let world = World::new();
    let mut daemon = world.start(&config(&world, &fails_at(), "preserve_data = true"));
    until_all(&mut daemon);
    daemon.until("the end told", || !world.read("ends.log").is_empty());
    let ends = world.read_text("ends.log");
    let script = world.text_path("scripts/bad.lua");
    let why = format!("process_message() {script}:8: boom");
    assert!(ends.contains(":Type: heka.sandbox-terminated\n"), "{ends}");
    assert!(ends.contains(&format!(":Payload: {why}\n")), "{ends}");
    assert!(ends.contains("name:\"plugin\" type:string value:\"bad\"\n"), "{ends}");
    assert_eq!(ends.matches(":Type:").count(), 1, "told once: {ends}");
    // What it left unseen is told at once, and no fault of the end.
    daemon.stop_well();
    assert_counted(&world, "good", LINES);
    assert_all_in_order(&world.read_text("out.log"), LINES);

    let found = postmortems(&world);
    let [postmortem] = &*found else { panic!("{} post-mortems", found.len()) };
    for text in [
        "plugin: bad\n".to_owned(),
        format!("reason: {why}\n"),
        "source:         error(\"boom\")\n".to_owned(),
        "traceback:\n".to_owned(),
        "00000100 GET".to_owned(),
    ] {
        assert!(postmortem.contains(&text), "{text:?} is not in\n{postmortem}");
    }
}

#[test]
fn a_filter_that_restarts_goes_on_with_its_data() {
    let world = World::new();
    let more = "preserve_data = true\non_termination = 'restart'";
    let mut daemon = world.start(&config(&world, &fails_at(), more));
    until_all(&mut daemon);
    daemon.until_report("the failing one at the end", |report| {
        report.number("Filters", "bad", "ProcessMessageCount") == LINES as u64
            && report.number("Filters", "bad", "Terminations") == 1
    });
    daemon.stop_well();
    // With the message at fault: it was counted before it failed.
    assert_eq!(preserved_number(&world, "bad", "seen"), LINES as f64);
    assert_counted(&world, "good", LINES);
    assert_eq!(postmortems(&world).len(), 1);
}

#[test]
fn a_filter_that_may_not_end_stops_the_daemon() {
    let world = World::new();
    let ended = world.spawn(&config(&world, &fails_at(), "can_exit = false")).ended();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("boom"), "{}", ended.stderr);
}

/// One in a thousand fails, by an error and by a status; all others arrive, however many that are.
#[test]
fn a_decoder_loses_only_what_it_fails_on() {
    const LINES: usize = 12_000;
    let script = r#"
require "string"
function process_message()
    local payload = read_message("Payload")
    if string.find(payload, "^%d+500 ") then error("cannot") end
    if string.find(payload, "^%d+501 ") then return -1, "will not" end
    write_message("Fields[decoded]", true)
    return 0
end
"#;
    let world = World::new();
    world.write("logs/app.log", Numbered::default().lines(LINES));
    world.write("scripts/picky.lua", script);
    let config = [
        APP_LOG,
        "decoder = 'picky'\nlog_decode_failures = false\n",
        &sandbox("Decoder", "picky", ""),
        TEXT,
        &file_out("out", "Fields[decoded] == TRUE", "out.log"),
    ]
    .concat();
    let mut daemon = world.start(&config);
    let failures = LINES / 1000 * 2;
    let report = daemon.until_report("all lines", |report| {
        let sum = report.input("app", "ProcessMessageCount")
            + report.input("app", "ProcessMessageFailures");
        sum == LINES as u64
            && report.output("out", "ProcessMessageCount")
                == report.output("out", "MatchedMessageCount")
    });
    assert_eq!(report.input("app", "ProcessMessageFailures"), failures as u64, "{}", daemon.log());
    daemon.stop_well();
    let found = numbers(&world.read_text("out.log"));
    let expected: Vec<usize> =
        (0..LINES).filter(|number| !matches!(number % 1000, 500 | 501)).collect();
    assert!(found == expected, "{} of {}", found.len(), expected.len());
}

/// A decoder that fails on everything is set aside, and costs nothing more.
#[test]
fn a_decoder_that_always_fails_is_set_aside() {
    let world = World::new();
    world.write("logs/app.log", Numbered::default().lines(LINES));
    world.write("scripts/never.lua", "function process_message() error('no') end");
    let config = [
        APP_LOG,
        "decoder = 'never'\nlog_decode_failures = false\n",
        &sandbox("Decoder", "never", ""),
        "[NullOutput]\nmessage_matcher = 'TRUE'\n",
    ]
    .concat();
    let mut daemon = world.start(&config);
    daemon.until_report("all lines refused", |report| {
        report.input("app", "ProcessMessageFailures") == LINES as u64
    });
    let ended = daemon.stop_well();
    assert_eq!(ended.stderr.matches("script set aside").count(), 1, "{}", ended.stderr);
    assert!(postmortems(&world).len() <= 10);
}

/// What a filter gathered is not lost while it is set aside.
#[test]
fn a_filter_that_is_set_aside_keeps_its_data() {
    let world = World::new();
    let script = fails_at().replace("^00000100", "^0000010");
    let more = "preserve_data = true\non_termination = 'restart'";
    let mut daemon = world.start(&config(&world, &script, more));
    until_all(&mut daemon);
    daemon.until_logged("script set aside");
    daemon.stop_well();
    assert_eq!(preserved_number(&world, "bad", "seen"), 105.0);
}

/// The limit of a call is told as such, within the time that it takes.
#[test]
fn a_filter_without_end_ends() {
    let world = World::new();
    let script = "function process_message() while true do end end";
    let began = std::time::Instant::now();
    let mut daemon = world.start(&config(&world, script, ""));
    until_all(&mut daemon);
    daemon.until("the end told", || !world.read("ends.log").is_empty());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(world.read_text("ends.log").contains("instruction_limit exceeded"));
    daemon.stop_well();
}
