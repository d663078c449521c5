//! The numbers of a report add up: every message is in exactly one state.

use std::io::Write;
use std::net::TcpStream;

use crate::harness::sections::{APP_LOG, TEXT, file_out, tcp_lines, tcp_out};
use crate::harness::{Daemon, Numbered, Port, ReportText, TcpSink, World, framed_messages, line};

/// A report after which nothing moves: a second one says the same.
fn settled(daemon: &mut Daemon, what: &str, holds: impl Fn(&ReportText) -> bool) -> ReportText {
    daemon.until_report(what, &holds);
    let mut last = daemon.report();
    daemon.until_settled(&mut last);
    last
}

#[test]
fn all_numbers_of_a_report_add_up() {
    const FRAMES: u64 = 500;
    const BAD_FRAMES: u64 = 7;
    const LINES: u64 = 4_000;
    const NOISE: u64 = 300;
    let (world, sink, dead) = (World::new(), TcpSink::open(), TcpSink::closed());
    let (lines, frames) = (Port::reserve(), Port::reserve());
    world.write("logs/app.log", Numbered::default().lines(LINES as usize));
    let config = [
        APP_LOG,
        TEXT,
        &tcp_lines("lines", lines.number()),
        &format!("[frames]\ntype = 'TcpInput'\naddress = '127.0.0.1:{}'\n", frames.number()),
        "[count]\ntype = 'CounterFilter'\nmessage_matcher = \"Type == 'logfile'\"\nticker_interval = 1\n",
        &file_out("logs", "Type == 'logfile'", "logs.out"),
        &file_out("counts", "Type == 'heka.counter-output'", "counts.out"),
        &tcp_out("some", "Type == 'logfile' && Payload =~ /^0+[0-9]*0 /", sink.port()),
        &tcp_out("dead", "Type == 'TEST' || Payload =~ /^0000000/", dead.port()),
        "[frames_too]\ntype = 'NullOutput'\nmessage_matcher = \"Fields[number] >= 100\"\n",
    ]
    .concat();
    let mut daemon = world.start(&config);

    let mut peer = TcpStream::connect(frames.address()).unwrap();
    peer.write_all(&framed_messages(FRAMES as usize)).unwrap();
    // Frames whose message is none.
    for _ in 0..BAD_FRAMES {
        peer.write_all(&[0x1e, 0x02, 0x08, 0x03, 0x1f, 0xff, 0xff, 0xff]).unwrap();
    }
    // Lines that nobody wants, and one that is too long.
    let mut peer = TcpStream::connect(lines.address()).unwrap();
    let noise: String =
        (0..NOISE as usize).map(|number| format!("noise {}", line(number))).collect();
    peer.write_all(noise.as_bytes()).unwrap();
    peer.write_all(&vec![b'x'; 100_000]).unwrap();
    peer.write_all(b"\n").unwrap();

    let report = settled(&mut daemon, "everything", |report| {
        report.input("app", "ProcessMessageCount") == LINES
            && report.input("frames", "RecordCount") == FRAMES + BAD_FRAMES
            && report.input("lines", "RecordCount") == NOISE + 1
            && report.output("some", "ProcessMessageCount") == LINES / 10
            && report.output("counts", "ProcessMessageCount") >= 1
    });
    report.assert_balanced();

    // Each record of an input became a message, or is counted as something else.
    assert_eq!(report.input("frames", "ProcessMessageCount"), FRAMES);
    assert_eq!(report.input("frames", "ProcessMessageFailures"), BAD_FRAMES);
    assert_eq!(report.input("lines", "ProcessMessageCount"), NOISE);
    assert_eq!(report.input("lines", "OversizeDroppedCount"), 1);
    // Each message was routed to somebody, or is counted as filtered.
    assert_eq!(report.input("lines", "FilteredMessageCount"), NOISE);
    assert_eq!(report.input("app", "FilteredMessageCount"), 0);
    assert_eq!(report.input("frames", "FilteredMessageCount"), 0);
    // Each consumer got what its matcher says.
    assert_eq!(report.output("logs", "MatchedMessageCount"), LINES);
    assert_eq!(report.output("some", "MatchedMessageCount"), LINES / 10);
    assert_eq!(report.output("frames_too", "MatchedMessageCount"), FRAMES - 100);
    assert_eq!(report.output("dead", "MatchedMessageCount"), FRAMES + 10);
    assert_eq!(report.output("dead", "HeldMessageCount"), FRAMES + 10);
    assert_eq!(report.number("Filters", "count", "MatchedMessageCount"), LINES);
    // The daemon as a whole has seen what inputs and filters made.
    let injected = report.number("Filters", "count", "InjectMessageCount");
    assert_eq!(injected, report.output("counts", "MatchedMessageCount"));
    let all = report.number("Globals", "Router", "ProcessMessageCount");
    assert_eq!(all, LINES + FRAMES + NOISE + injected, "{}", report.text);
    // What is held is held in memory, and nothing else is.
    assert!(report.number("Globals", "Memory", "InFlightBytes") > 0);

    let printed = world.read_text("counts.out");
    assert!(printed.starts_with("Got 4000 messages.") || printed.contains("Got 4000 messages."));
    let lines_written = world.read_text("logs.out").lines().count() as u64;
    assert_eq!((lines_written, sink.newlines() as u64), (LINES, LINES / 10));
}

/// After everything is delivered no memory is in use any more.
#[test]
fn memory_in_flight_goes_back_to_nothing() {
    let (world, sink) = (World::new(), TcpSink::open());
    world.write("logs/app.log", Numbered::default().lines(50_000));
    let config = [APP_LOG, TEXT, &tcp_out("out", "TRUE", sink.port())].concat();
    let mut daemon = world.start(&config);
    sink.until_lines(50_000);
    let report = daemon.until_report("nothing in flight", |report| {
        report.number("Globals", "Memory", "InFlightBytes") == 0
    });
    report.assert_balanced();
    assert_eq!(report.output("out", "HeldBytes"), 0);
    daemon.stop_well();
}
