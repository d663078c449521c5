//! Starting, signals, stopping, exit codes.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::sections::{APP_LOG, TEXT, file_out, tcp_lines, tcp_out, tcp_out_in_memory};
use crate::harness::{
    Daemon, Numbered, Port, TcpSink, World, assert_all_in_order, during, line, run,
};

/// Lines that a dead sink leaves undelivered.
const LINES: usize = 3_000;

#[test]
fn undelivered_messages_are_told_and_come_again() {
    let (world, mut sink) = (World::with("shutdown_timeout = '1s'\n"), TcpSink::closed());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(LINES));
    let config = [APP_LOG, TEXT, &tcp_out_in_memory("out", "TRUE", sink.port())].concat();
    let mut daemon = world.start(&config);
    daemon.until_report("all lines held", |report| {
        report.output("out", "HeldMessageCount") == LINES as u64
    });
    let began = Instant::now();
    let ended = daemon.stop();
    assert!(began.elapsed() < Duration::from_secs(5), "took {:?}", began.elapsed());
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    for text in [
        "the shutdown takes too long".to_owned(),
        format!("not delivered before the end plugin=\"out\" messages={LINES}"),
        format!("shutdown complete undelivered={LINES}"),
    ] {
        assert!(ended.stderr.contains(&text), "{text:?} is not in\n{}", ended.stderr);
    }
    sink.reopen();
    world.append("logs/app.log", numbered.lines(10));
    let daemon = world.start(&config);
    sink.until_lines(numbered.count());
    daemon.stop_well();
    assert_all_in_order(&sink.lines(), numbered.count());
}

#[test]
fn a_second_signal_stops_at_once() {
    let (world, sink) = (World::with("shutdown_timeout = '10m'\n"), TcpSink::closed());
    world.write("logs/app.log", Numbered::default().lines(LINES));
    let config = [APP_LOG, TEXT, &tcp_out_in_memory("out", "TRUE", sink.port())].concat();
    let mut daemon = world.start(&config);
    daemon.until_report("lines held", |it| it.output("out", "HeldMessageCount") > 0);
    daemon.signal(Signal::SIGTERM);
    daemon.until_logged("shutdown initiated");
    let began = Instant::now();
    daemon.signal(Signal::SIGINT);
    let ended = daemon.ended();
    assert!(began.elapsed() < Duration::from_secs(5), "took {:?}", began.elapsed());
    assert_eq!(ended.code(), 1);
    assert!(ended.stderr.contains("told to stop at once"), "{}", ended.stderr);
}

/// No message is on its way: nothing keeps the daemon, whatever waits for connections and data.
#[test]
fn an_idle_daemon_stops_at_once_and_idles_for_free() {
    let (world, sink, port) = (World::new(), TcpSink::open(), Port::reserve());
    world.write("logs/app.log", "");
    let config = [
        APP_LOG,
        TEXT,
        "[StdinInput]\n",
        &tcp_lines("in", port.number()),
        &tcp_out("out", "TRUE", sink.port()),
        &file_out("file", "TRUE", "out.log"),
        "[CounterFilter]\n",
    ]
    .concat();
    let mut daemon = world.start(&config);
    let _idle = TcpStream::connect(port.address()).unwrap();
    daemon.until_report("the connection", |it| it.input("in", "AcceptedCount") == 1);
    let before = daemon.processor_ticks();
    during(Duration::from_secs(1), || ());
    let ticks = daemon.processor_ticks() - before;
    assert!(ticks <= 5, "{ticks} of 100 ticks of the processor for doing nothing");
    let began = Instant::now();
    let ended = daemon.stop_well();
    assert!(began.elapsed() < Duration::from_secs(5), "took {:?}", began.elapsed());
    assert!(ended.stderr.contains("shutdown complete undelivered=0"), "{}", ended.stderr);
}

/// What arrived before the signal is still delivered.
#[test]
fn what_a_connection_brought_before_the_signal_is_delivered() {
    let (world, sink, port) = (World::new(), TcpSink::open(), Port::reserve());
    let config =
        [TEXT, &tcp_lines("in", port.number()), &tcp_out("out", "TRUE", sink.port())].concat();
    let mut daemon = world.start(&config);
    let mut peer = TcpStream::connect(port.address()).unwrap();
    let text = Numbered::default().lines(LINES);
    peer.write_all(text.as_bytes()).unwrap();
    daemon.until_report("the connection", |it| it.input("in", "AcceptedCount") == 1);
    daemon.stop_well();
    sink.until_lines(LINES);
    assert_all_in_order(&sink.lines(), LINES);
}

#[test]
fn every_signal_may_come_as_soon_as_the_daemon_says_that_it_runs() {
    let world = World::new();
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGTERM] {
        let mut daemon = world.start("[StdinInput]\n[NullOutput]\nmessage_matcher = 'TRUE'\n");
        daemon.signal(signal);
        let ended = if signal == Signal::SIGTERM {
            daemon.ended()
        } else {
            assert_eq!(daemon.report().entries("Outputs"), ["NullOutput"]);
            daemon.stop()
        };
        assert_eq!(ended.code(), 0, "{signal}: {}", ended.stderr);
    }
}

#[test]
fn a_pid_file_is_written_removed_and_keeps_a_second_daemon_away() {
    let world = World::new();
    let sections = "[StdinInput]\n[NullOutput]\nmessage_matcher = 'TRUE'\n";
    let config = |base: &str| {
        let directory = world.directory().display();
        let text = format!(
            "[hekad]\nbase_dir = '{directory}/{base}'\npid_file = '{directory}/hekad.pid'\n{sections}"
        );
        world.write(&format!("{base}.toml"), text);
        world.text_path(&format!("{base}.toml"))
    };
    let mut first = Daemon::spawn(&["-config", &config("first")]);
    assert!(first.is_started(), "{}", first.log());
    let pid = first.pid().to_string();
    assert_eq!(world.read_text("hekad.pid").trim(), pid);

    let second = run(&["-config", &config("second")]);
    assert_eq!(second.code(), 1);
    let text = format!("Process {pid} is already running.");
    assert!(second.stderr.contains(&text), "{}", second.stderr);
    assert_eq!(world.read_text("hekad.pid").trim(), pid, "the first one's file must stay");

    first.stop_well();
    assert!(!world.path("hekad.pid").exists(), "left behind");

    // Of a process that is gone, as after a crash.
    world.write("hekad.pid", "4194303\n");
    let mut third = Daemon::spawn(&["-config", &config("third")]);
    assert!(third.is_started(), "{}", third.log());
    assert_eq!(world.read_text("hekad.pid").trim(), third.pid().to_string());
    third.stop_well();

    world.write("hekad.pid", "no number");
    let fourth = run(&["-config", &config("fourth")]);
    assert_eq!(fourth.code(), 1);
    assert!(fourth.stderr.contains("does not hold a process number"), "{}", fourth.stderr);
    assert_eq!(world.read_text("hekad.pid"), "no number");
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew_on_sighup() {
    let world = World::new();
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(1_000));
    let config = [APP_LOG, TEXT, &file_out("out", "TRUE", "out.log")].concat();
    let mut daemon = world.start(&config);
    let lines = |name: &str| world.read(name).iter().filter(|&&byte| byte == b'\n').count();
    daemon.until("the first lines", || lines("out.log") == 1_000);
    std::fs::rename(world.path("out.log"), world.path("out.log.old")).unwrap();
    // The old file is written to until the signal comes.
    world.append("logs/app.log", numbered.lines(1_000));
    daemon.until("the next lines", || lines("out.log.old") == 2_000);
    assert!(!world.path("out.log").exists());
    daemon.signal(Signal::SIGHUP);
    daemon.until("a new file", || world.path("out.log").exists());
    world.append("logs/app.log", numbered.lines(1_000));
    daemon.until("lines in the new file", || lines("out.log") == 1_000);
    daemon.stop_well();
    let all = world.read_text("out.log.old") + &world.read_text("out.log");
    assert_all_in_order(&all, numbered.count());
}

/// The folder goes away under the output; on SIGHUP it is made again, and nothing is lost that was not in it.
#[test]
fn a_folder_that_was_removed_is_made_again_on_sighup() {
    let world = World::new();
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(10));
    let config = [APP_LOG, TEXT, &file_out("out", "TRUE", "folder/out.log")].concat();
    let mut daemon = world.start(&config);
    daemon.until("the first lines", || world.read("folder/out.log").len() > line(0).len());
    std::fs::remove_dir_all(world.path("folder")).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.until("the folder", || world.path("folder/out.log").exists());
    world.append("logs/app.log", numbered.lines(10));
    daemon.until("the next lines", || world.read_text("folder/out.log").lines().count() == 10);
    daemon.stop_well();
}

#[test]
fn the_report_has_all_sections_and_every_plugin() {
    let world = World::new();
    world.write("logs/app.log", Numbered::default().lines(10));
    let config = [
        APP_LOG,
        TEXT,
        "[StdinInput]\n[CounterFilter]\n",
        &file_out("out", "Type == 'logfile'", "out.log"),
    ]
    .concat();
    let mut daemon = world.start(&config);
    let report =
        daemon.until_report("ten lines", |it| it.output("out", "ProcessMessageCount") == 10);
    let titles = ["Decoders", "Encoders", "Filters", "Globals", "Inputs", "Outputs", "Splitters"];
    assert_eq!(report.titles(), titles);
    assert_eq!(report.entries("Inputs"), ["StdinInput", "app"]);
    assert_eq!(report.entries("Filters"), ["CounterFilter"]);
    assert_eq!(report.entries("Outputs"), ["out"]);
    assert_eq!(report.number("Globals", "Router", "ProcessMessageCount"), 10);
    assert!(report.number("Globals", "Memory", "LimitBytes") > 0);
    assert_eq!(report.input("app", "ProcessMessageCount"), 10);
    daemon.stop_well();
}

#[test]
fn the_log_is_json_if_asked_for() {
    let world = World::with("log_format = 'json'\n");
    let mut daemon = world.spawn("[StdinInput]\n[NullOutput]\nmessage_matcher = 'TRUE'\n");
    daemon.until_logged("\"message\":\"started\"");
    daemon.signal(Signal::SIGUSR1);
    daemon.until_logged("heka.all-report");
    let ended = daemon.stop_well();
    for line in ended.stderr.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_its_section_and_ends_the_start() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!(
        "[in]\ntype = 'TcpInput'\naddress = '{address}'\n[NullOutput]\nmessage_matcher = 'TRUE'\n"
    );
    let ended = world.spawn(&config).ended();
    assert_eq!(ended.code(), 1);
    let text = format!("[in] TcpInput: cannot listen on {address}: ");
    let told = ended.stderr.lines().find(|line| line.contains(&text));
    let told = told.unwrap_or_else(|| panic!("{text:?} is not in\n{}", ended.stderr));
    assert!(told.contains("hekad.toml:6:1: ") && told.contains("in use"), "{told}");
}

#[test]
fn an_output_that_cannot_start_ends_the_start() {
    let world = World::new();
    world.write("file", "not a folder");
    let config = ["[StdinInput]\n", TEXT, &file_out("out", "TRUE", "file/out.log")].concat();
    let ended = world.spawn(&config).ended();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("[out] FileOutput: "), "{}", ended.stderr);
}

#[test]
fn a_base_directory_that_cannot_be_made_ends_the_start() {
    let world = World::new();
    world.write("file", "not a folder");
    let directory = world.directory().display();
    let text = format!(
        "[hekad]\nbase_dir = '{directory}/file/base'\n[StdinInput]\n[NullOutput]\nmessage_matcher = 'TRUE'\n"
    );
    world.write("a.toml", text);
    let ended = run(&["-config", &world.text_path("a.toml")]);
    assert_eq!(ended.code(), 1);
    let expected = format!("hekad: cannot make base_dir {directory}/file/base: ");
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
}

/// The standard input ends; the daemon goes with it although there is another input.
#[test]
fn the_daemon_ends_with_an_input_that_may_not_exit() {
    let world = World::new();
    world.write("logs/app.log", Numbered::default().lines(1_000));
    let pipe = "[StdinInput]\nexit_at_end = true\n";
    let config = [APP_LOG, pipe, TEXT, &file_out("out", "TRUE", "out.log")].concat();
    let mut daemon = world.start(&config);
    daemon.until("the file", || newlines(&world, "out.log") == 1_000);
    daemon.stdin().write_all(line(1_000).as_bytes()).unwrap();
    let ended = daemon.ended();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("has stopped, shutting down"), "{}", ended.stderr);
    assert_all_in_order(&world.read_text("out.log"), 1_001);
}

#[test]
fn the_daemon_goes_on_without_an_input_that_may_exit() {
    let world = World::new();
    world.write("logs/app.log", "");
    let pipe = "[StdinInput]\nexit_at_end = true\ncan_exit = true\n";
    let config = [APP_LOG, pipe, TEXT, &file_out("out", "TRUE", "out.log")].concat();
    let mut daemon = world.start(&config);
    let mut numbered = Numbered::default();
    daemon.stdin().write_all(numbered.lines(10).as_bytes()).unwrap();
    daemon.until_logged("input finished plugin=\"StdinInput\"");
    world.append("logs/app.log", numbered.lines(1_000));
    daemon.until("lines of the other input", || newlines(&world, "out.log") == 1_010);
    daemon.stop_well();
    assert_all_in_order(&world.read_text("out.log"), 1_010);
}

/// Read once, a file is not looked at again until the next start, which goes on where it ended.
#[test]
fn a_stream_that_is_read_once_goes_on_with_the_next_start() {
    let world = World::new();
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(100));
    let once = "check_data_interval = '0s'\n";
    let config = [APP_LOG, once, TEXT, &file_out("out", "TRUE", "out.log")].concat();
    let mut daemon = world.start(&config);
    daemon.until("the file", || newlines(&world, "out.log") == 100);
    world.append("logs/app.log", numbered.lines(100));
    during(Duration::from_millis(500), || assert_eq!(newlines(&world, "out.log"), 100));
    daemon.stop_well();
    let mut daemon = world.start(&config);
    daemon.until("the rest", || newlines(&world, "out.log") == 200);
    daemon.stop_well();
    assert_all_in_order(&world.read_text("out.log"), 200);
}

#[test]
fn what_is_printed_comes_out_as_it_is() {
    let world = World::new();
    let config = ["[StdinInput]\nexit_at_end = true\n[LogOutput]\nmessage_matcher = 'TRUE'\nencoder = 'text'\n", TEXT].concat();
    let mut daemon = world.spawn(&config);
    let text = Numbered::default().lines(1_000);
    daemon.stdin().write_all(text.as_bytes()).unwrap();
    let ended = daemon.ended();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stdout == text, "printed is something else");
}

fn newlines(world: &World, name: &str) -> usize {
    world.read(name).iter().filter(|&&byte| byte == b'\n').count()
}

/// Whoever read the log is gone: the daemon works on, and stops when it is told to.
#[test]
fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let (world, sink) = (World::new(), TcpSink::open());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(100));
    let config = [APP_LOG, TEXT, &tcp_out("out", "TRUE", sink.port())].concat();
    let path = world.configure(&config);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_hekad"))
        .arg("-config")
        .arg(path)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    sink.until_lines(100);
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    for signal in [Signal::SIGUSR1, Signal::SIGUSR1] {
        nix::sys::signal::kill(pid, signal).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    world.append("logs/app.log", numbered.lines(100));
    sink.until_lines(200);
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = child.try_wait().unwrap();
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    assert_all_in_order(&sink.lines(), 200);
}
