//! Scripts that deliver messages.

use super::sandbox;
use crate::harness::sections::APP_LOG;
use crate::harness::{Numbered, World, assert_all_in_order, numbers, run};

const LINES: usize = 3_000;

fn pipeline(world: &World, script: &str, more: &str) -> String {
    world.write("logs/app.log", Numbered::default().lines(LINES));
    let script = script.replace("$DIR", world.directory().to_str().unwrap());
    world.write("scripts/deliver.lua", script);
    let more = format!("message_matcher = 'TRUE'\n{more}");
    [APP_LOG, &sandbox("Output", "deliver", &more)].concat()
}

/// The script never flushes: its file is closed with it.
#[test]
fn a_script_writes_every_line_once() {
    let world = World::new();
    let script = r#"
        require "io"
        local file = assert(io.open("$DIR/out.log", "a"))
        function process_message()
            file:write(read_message("Payload"))
            return 0
        end"#;
    let mut daemon = world.start(&pipeline(&world, script, ""));
    daemon.until_report("all lines", |report| {
        report.output("deliver", "ProcessMessageCount") == LINES as u64
    });
    daemon.stop_well();
    assert_all_in_order(&world.read_text("out.log"), LINES);
}

/// Of a hundred lines one is refused for good, and one three times before it is taken.
#[test]
fn what_a_script_refuses_is_a_dead_letter_and_what_it_puts_off_comes_again() {
    let world = World::new();
    let script = r#"
        require "io"
        require "string"
        local file = assert(io.open("$DIR/out.log", "a"))
        tries = 0
        function process_message()
            local payload = read_message("Payload")
            if string.find(payload, "^%d+13 ") then return -1, "unlucky" end
            if string.find(payload, "^%d+0050 ") then
                tries = tries + 1
                if tries % 4 ~= 0 then return -3, "not yet" end
            end
            file:write(payload)
            file:flush()
            return 0
        end"#;
    let mut daemon = world.start(&pipeline(&world, script, "preserve_data = true"));
    let report = daemon.until_report("all lines", |report| {
        let done = report.output("deliver", "ProcessMessageCount")
            + report.output("deliver", "DropMessageCount");
        done == LINES as u64
    });
    let refused = LINES / 100;
    assert_eq!(report.output("deliver", "DropMessageCount-rejected"), refused as u64);
    report.assert_balanced();
    daemon.stop_well();
    let found = numbers(&world.read_text("out.log"));
    let expected: Vec<usize> = (0..LINES).filter(|number| number % 100 != 13).collect();
    assert!(found == expected, "{} of {}", found.len(), expected.len());
    let tries = super::preserved_number(&world, "deliver", "tries");
    assert_eq!(tries, 4.0, "line 50 was tried four times");

    let listed = run(&["dlq", "list", "--json", "-config", &world.text_path("hekad.toml")]);
    assert_eq!(listed.code(), 0, "{}", listed.stderr);
    assert_eq!(listed.stdout.lines().count(), refused, "{}", listed.stdout);
    assert!(listed.stdout.lines().all(|line| line.contains("\"unlucky\"")), "{}", listed.stdout);
}

/// What a script keeps is answered for when it says so, and comes again after a crash if it did not.
#[test]
fn what_a_script_keeps_comes_again_after_a_crash() {
    let world = World::new();
    let script = r#"
        require "io"
        require "table"
        local kept = {}
        function process_message(number)
            kept[#kept + 1] = read_message("Payload")
            if #kept < 1000 then return -4 end
            local file = assert(io.open("$DIR/out.log", "a"))
            file:write(table.concat(kept))
            file:close()
            kept = {}
            return 0
        end
        function timer_event(ns, shutdown)
            if not shutdown then return end
            local file = assert(io.open("$DIR/out.log", "a"))
            file:write(table.concat(kept))
            file:close()
            kept = {}
            update_checkpoint()
        end"#;
    let config = pipeline(&world, script, "use_buffering = true");
    let mut daemon = world.start(&config);
    daemon.until("two thousand lines", || world.read_text("out.log").lines().count() >= 2_000);
    world.append("logs/app.log", {
        let mut numbered = Numbered::default();
        numbered.lines(LINES);
        numbered.lines(500)
    });
    daemon.until_report("some kept", |report| {
        report.output("deliver", "MatchedMessageCount") == LINES as u64 + 500
    });
    daemon.crash();
    let mut daemon = world.start(&config);
    daemon.until("the others", || world.read_text("out.log").lines().count() >= LINES);
    daemon.stop_well();
    let mut found = numbers(&world.read_text("out.log"));
    found.sort_unstable();
    found.dedup();
    assert!(found.iter().copied().eq(0..LINES + 500), "{} of {}", found.len(), LINES + 500);
}
