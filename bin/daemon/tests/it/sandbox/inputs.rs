//! Scripts that make messages: they end in time, and go on where they were.

use std::time::{Duration, Instant};

use super::sandbox;
use crate::harness::sections::file_out;
use crate::harness::{Daemon, World, during, wait};

/// How long a script may take to stop on a busy machine: the grace of the input, and some.
const STOP_MAX: Duration = Duration::from_secs(8);

fn pipeline(world: &World, script: &str, more: &str) -> String {
    world.write("scripts/make.lua", script);
    let out = file_out("out", "TRUE", "out.log");
    [
        &sandbox("Input", "make", more),
        "[lines]\ntype = 'PayloadEncoder'\n",
        &out.replace("'text'", "'lines'"),
    ]
    .concat()
}

fn lines(world: &World) -> usize {
    world.read("out.log").iter().filter(|&&byte| byte == b'\n').count()
}

fn stops_in_time(daemon: Daemon) {
    let began = Instant::now();
    let ended = daemon.stop_well();
    assert!(began.elapsed() < STOP_MAX, "{:?}\n{}", began.elapsed(), ended.stderr);
}

#[test]
fn a_polling_input_makes_messages_at_each_tick_and_stops_at_once() {
    let world = World::new();
    let script = "n = 0\nfunction process_message() n = n + 1 inject_message({Payload = n .. ''}) return 0 end";
    let mut daemon =
        world.start(&pipeline(&world, script, "ticker_interval = 1\npreserve_data = true"));
    daemon.until("two ticks", || lines(&world) >= 2);
    stops_in_time(daemon);
    let before = lines(&world);
    let mut daemon =
        world.start(&pipeline(&world, script, "ticker_interval = 3600\npreserve_data = true"));
    daemon.until("the first call", || lines(&world) > before);
    stops_in_time(daemon);
    let text = world.read_text("out.log");
    let expected: String = (1..=lines(&world)).map(|number| format!("{number}\n")).collect();
    assert_eq!(text, expected, "its data lasts");
}

/// They ask whether they run, or do not; they wait for processes that end soon.
#[test]
fn inputs_that_never_return_stop_in_time() {
    for script in [
        r#"require "io"
        function process_message()
            while is_running() do
                local pipe = io.popen("sleep 0.02; echo here")
                inject_message({Payload = pipe:read("*l")})
                pipe:close()
            end
            return 0
        end"#,
        r#"require "os"
        function process_message()
            while true do
                os.execute("sleep 0.02")
                inject_message({Payload = "here"})
            end
        end"#,
        "function process_message() inject_message({Payload = 'here'}) while true do end end",
    ] {
        let world = World::new();
        let mut daemon = world.start(&pipeline(&world, script, ""));
        daemon.until("a message", || lines(&world) > 0);
        stops_in_time(daemon);
        assert!(world.read_text("out.log").lines().all(|line| line == "here"));
    }
}

/// Every number is there after crashes; some are there more than once.
#[test]
fn an_input_with_places_loses_nothing_in_crashes() {
    let number = r#"
        require "os"
        function process_message(place)
            local n = place or 0
            while true do
                n = n + 1
                inject_message({Payload = n .. ""}, n)
                if n % 100 == 0 then os.execute("sleep 0.002") end
            end
        end"#;
    let text = r#"
        require "string"
        require "os"
        function process_message(place)
            local n = tonumber(string.match(place or "at 0", "^at (%d+)$"))
            while true do
                n = n + 1
                inject_message({Payload = n .. ""}, "at " .. n)
                if n % 100 == 0 then os.execute("sleep 0.002") end
            end
        end"#;
    for script in [number, text] {
        let world = World::new();
        let config = pipeline(&world, script, "");
        const CRASHES: usize = 3;
        for round in 0..CRASHES {
            let before = lines(&world);
            let mut daemon = world.start(&config);
            daemon.until("some messages", || lines(&world) > before + 500);
            // In some rounds long enough for places to be noted.
            during(Duration::from_millis([0, 1_500][round % 2]), || ());
            daemon.crash();
        }
        let before = lines(&world);
        let mut daemon = world.start(&config);
        daemon.until("some messages", || lines(&world) > before + 500);
        daemon.stop_well();
        let text = world.read_text("out.log");
        assert_no_gap(&text);
        let begins = text.lines().filter(|line| *line == "1").count();
        assert!(begins < CRASHES, "{begins} times from the beginning");
    }
}

fn assert_no_gap(text: &str) {
    let mut found: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    found.sort_unstable();
    found.dedup();
    let last = *found.last().unwrap();
    assert!(found.iter().copied().eq(1..=last), "{} of {last}", found.len());
}

/// A script that is called again and again is told the newest place, not the one of the start.
#[test]
fn a_polling_input_is_told_where_it_is() {
    let world = World::new();
    let script = r#"
        function process_message(place)
            local n = (place or 0) + 1
            inject_message({Payload = n .. ""}, n)
            return 0
        end"#;
    let config = pipeline(&world, script, "ticker_interval = 1");
    let mut daemon = world.start(&config);
    daemon.until("three ticks", || lines(&world) >= 3);
    daemon.stop_well();
    let expected: String = (1..=lines(&world)).map(|number| format!("{number}\n")).collect();
    assert_eq!(world.read_text("out.log"), expected);
}

/// An input whose script is done ends, and the daemon with the others goes on.
#[test]
fn an_input_that_is_done_ends_alone() {
    let world = World::new();
    let script = "function process_message() inject_message({Payload = 'once'}) return 0 end";
    let mut daemon = world.start(&pipeline(&world, script, ""));
    daemon.until_logged("single run completed");
    let delivered = wait(|| lines(&world) == 1);
    assert!(delivered, "{}", daemon.log());
    during(Duration::from_millis(200), || ());
    daemon.stop_well();
    assert_eq!(world.read_text("out.log"), "once\n");
}
