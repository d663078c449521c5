//! Sinks that close, refuse, or stall: nothing is lost from files, nobody else suffers, memory is bounded.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::sections::{APP_LOG, TEXT, file_out, tcp_lines, tcp_out, tcp_out_in_memory};
use crate::harness::{
    Numbered, Port, TcpSink, World, assert_all_in_order, during, line, numbers, wait,
};

/// What the daemon may use of memory with a limit of 32 MiB for messages in flight.
const RSS_BYTES_MAX: u64 = 80 << 20;
/// Settings of the daemon where memory is watched.
const SMALL: &str = "memory_limit = '32MiB'\nshutdown_timeout = '20s'\n";

/// Two outputs on the same lines, so that one can be in trouble while the other is not.
fn both(sink: &TcpSink) -> String {
    let outputs = [tcp_out("net", "TRUE", sink.port()), file_out("file", "TRUE", "out.log")];
    [APP_LOG, TEXT, &outputs.concat()].concat()
}

#[test]
fn a_sink_that_closes_and_comes_back_gets_every_line() {
    const CLOSINGS: usize = 4;
    const LINES_WRITTEN_AT_ONCE: usize = 8_000;
    let (world, mut sink) = (World::new(), TcpSink::open());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", "");
    let mut daemon = world.start(&both(&sink));
    for _ in 0..CLOSINGS {
        let before = sink.newlines();
        world.append("logs/app.log", numbered.lines(5_000));
        daemon.until("some lines", || sink.newlines() > before);
        sink.close();
        world.append("logs/app.log", numbered.lines(5_000));
        daemon
            .until("the other output to go on", || newlines(&world, "out.log") >= numbered.count());
        sink.reopen();
    }
    let found = || numbers(&sink.lines());
    daemon.until("all lines", || found().iter().collect::<BTreeSet<_>>().len() == numbered.count());
    daemon.stop_well();
    // What was on its way when the sink said goodbye comes again: at most what is written at once, each time.
    let repeated = found().len() - numbered.count();
    assert!(repeated <= CLOSINGS * LINES_WRITTEN_AT_ONCE, "{repeated} lines came again");
    assert_all_in_order(&world.read_text("out.log"), numbered.count());
}

/// A peer that breaks the connection while nothing is under way loses nothing either.
#[test]
fn a_sink_that_breaks_while_idle_gets_every_line() {
    let (world, mut sink) = (World::new(), TcpSink::open());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", "");
    let daemon = world.start(&both(&sink));
    for _ in 0..5 {
        world.append("logs/app.log", numbered.lines(1_000));
        sink.until_lines(numbered.count());
        sink.kill();
        sink.reopen();
    }
    daemon.stop_well();
    assert_all_in_order(&sink.lines(), numbered.count());
}

#[test]
fn a_sink_that_refuses_for_a_while_gets_every_line_and_one_warning_is_logged() {
    let (world, mut sink) = (World::new(), TcpSink::closed());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(20_000));
    let mut daemon = world.start(&both(&sink));
    daemon.until("the other output to go on", || newlines(&world, "out.log") >= numbered.count());
    daemon.until_report("several attempts", |report| report.output("net", "RetryCount") >= 3);
    let warnings = daemon.log().matches("output retries").count();
    assert_eq!(warnings, 1, "one line for a change of state, not for each attempt");
    sink.reopen();
    sink.until_lines(numbered.count());
    daemon.until_logged("output works again");
    let report =
        daemon.until_report("nothing held", |it| it.output("net", "HeldMessageCount") == 0);
    assert_eq!(report.output("net", "ProcessMessageCount"), numbered.count() as u64);
    assert_eq!(report.output("net", "DropMessageCount"), 0);
    daemon.stop_well();
    assert_all_in_order(&sink.lines(), numbered.count());
}

/// The input keeps coming, much more than fits in memory. An output that takes nothing holds back its source, which
/// is a file and can wait; memory stays as it was told.
#[test]
fn a_sink_that_stalls_costs_neither_lines_nor_memory() {
    let (world, sink) = (World::with(SMALL), TcpSink::open());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", "");
    let mut daemon = world.start(&both(&sink));
    world.append("logs/app.log", numbered.lines(1_000));
    sink.until_lines(numbered.count());
    sink.pause(true);
    for _ in 0..60 {
        world.append("logs/app.log", numbered.lines(10_000));
    }
    daemon.until_report("a full window", |report| {
        report.output("net", "HeldBytes") >= report.output("net", "WindowBytes") / 2
    });
    during(Duration::from_secs(2), || {
        let bytes = daemon.memory("VmRSS");
        assert!(bytes <= RSS_BYTES_MAX, "{} MiB", bytes >> 20);
    });
    sink.pause(false);
    sink.until_lines(numbered.count());
    daemon.until("all lines in the file", || newlines(&world, "out.log") >= numbered.count());
    let most = daemon.memory("VmHWM");
    println!("{} MiB at most", most >> 20);
    assert!(most <= RSS_BYTES_MAX, "{} MiB", most >> 20);
    daemon.stop_well();
    assert_all_in_order(&sink.lines(), numbered.count());
    assert_all_in_order(&world.read_text("out.log"), numbered.count());
}

/// An output that may drop does so when its window is full, says how many, and holds nobody back.
#[test]
fn an_output_that_may_drop_holds_back_nobody() {
    let (world, sink) = (World::with(SMALL), TcpSink::closed());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", "");
    let config = [
        APP_LOG,
        TEXT,
        &tcp_out_in_memory("net", "TRUE", sink.port()),
        "[net.buffering]\nfull_action = 'drop'\n",
        &file_out("file", "TRUE", "out.log"),
    ]
    .concat();
    let mut daemon = world.start(&config);
    for _ in 0..30 {
        world.append("logs/app.log", numbered.lines(10_000));
    }
    daemon.until("all lines in the file", || newlines(&world, "out.log") >= numbered.count());
    let report = daemon.report();
    let dropped = report.output("net", "DropMessageCount-full");
    assert!(dropped > 0, "{}", report.text);
    assert_eq!(
        report.output("net", "MatchedMessageCount"),
        report.output("net", "HeldMessageCount") + report.output("net", "DropMessageCount")
    );
    assert_all_in_order(&world.read_text("out.log"), numbered.count());
    // Twice: at once, without waiting for the dead sink.
    daemon.signal(Signal::SIGTERM);
    daemon.until_logged("shutdown initiated");
    assert_eq!(daemon.stop().code(), 1, "messages were held and could not be delivered");
}

#[test]
fn an_output_that_may_stop_the_daemon_does_so_when_its_window_is_full() {
    let (world, sink) =
        (World::with("memory_limit = '4MiB'\nshutdown_timeout = '1s'\n"), TcpSink::closed());
    world.write("logs/app.log", Numbered::default().lines(100_000));
    let full_action = "[net.buffering]\nfull_action = 'shutdown'\n";
    let config =
        [APP_LOG, TEXT, &tcp_out_in_memory("net", "TRUE", sink.port()), full_action].concat();
    let ended = world.spawn(&config).ended();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("its buffer is full, shutting down"), "{}", ended.stderr);
}

/// A peer that sends waits while the output is dead, memory stays bounded, and nothing it sent is lost.
#[test]
fn a_dead_output_holds_back_a_sending_peer() {
    /// More than fits into the window and into the kernel's buffers.
    const BYTES: usize = 48 << 20;
    let (world, mut sink, port) = (World::with(SMALL), TcpSink::closed(), Port::reserve());
    let config =
        [TEXT, &tcp_lines("in", port.number()), &tcp_out_in_memory("out", "TRUE", sink.port())]
            .concat();
    let mut daemon = world.start(&config);
    let mut peer = TcpStream::connect(port.address()).unwrap();
    peer.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let lines = BYTES / line(0).len();
    let text = Numbered::default().lines(lines);
    let mut sent = 0;
    let stalled = loop {
        match peer.write(&text.as_bytes()[sent..]) {
            Ok(written) => sent += written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break true;
            }
            Err(error) => panic!("{error}"),
        }
        if sent == text.len() {
            break false;
        }
    };
    assert!(stalled, "took all of {BYTES} bytes with nowhere to go");
    let report = daemon.report();
    assert!(report.output("out", "HeldBytes") <= 2 * report.output("out", "WindowBytes"));
    let most = daemon.memory("VmHWM");
    assert!(most <= RSS_BYTES_MAX, "{} MiB", most >> 20);
    sink.reopen();
    peer.set_write_timeout(None).unwrap();
    peer.write_all(&text.as_bytes()[sent..]).unwrap();
    drop(peer);
    sink.until_lines(lines);
    daemon.stop_well();
    assert_all_in_order(&sink.lines(), lines);
}

/// A message that can never be sent is counted and left out; its neighbours are sent.
#[test]
fn a_message_too_long_for_framing_is_rejected_alone() {
    let (world, sink) = (World::new(), TcpSink::open());
    // As a record of 65,794 bytes it is short enough, as a message with headers it is not.
    let long = format!("{}\n", "x".repeat(65_700));
    world.write("logs/app.log", [line(0), long, line(1)].concat());
    let out = format!(
        "[out]\ntype = 'TcpOutput'\nmessage_matcher = 'TRUE'\naddress = '127.0.0.1:{}'\n",
        sink.port()
    );
    let mut daemon = world.start(&[APP_LOG, &out].concat());
    let report = daemon
        .until_report("two messages", |report| report.output("out", "ProcessMessageCount") == 2);
    assert_eq!(report.output("out", "DropMessageCount-rejected"), 1, "{}", report.text);
    assert_eq!(report.output("out", "MatchedMessageCount"), 3);
    daemon.until_logged("message cannot be encoded");
    daemon.stop_well();
    let arrived = wait(|| sink.newlines() >= 2);
    assert!(arrived && sink.bytes() < 1_000, "{} bytes", sink.bytes());
}

fn newlines(world: &World, name: &str) -> usize {
    world.read(name).iter().filter(|&&byte| byte == b'\n').count()
}
