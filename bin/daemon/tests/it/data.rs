//! What goes in comes out: each line once, in order, byte for byte.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};

use crate::harness::sections::{APP_LOG, TEXT, file_out, tcp_lines, tcp_out};
use crate::harness::{
    Numbered, Port, ReportText, TcpSink, World, assert_all_in_order, framed_messages,
    free_udp_port, line, numbers, real_logs,
};

/// Lines of most tests: some megabytes.
const LINES: usize = 40_000;
/// Lines written at once, so that reads end in the middle of lines and of batches.
const CHUNK: usize = 777;

#[test]
fn lines_of_a_file_reach_a_socket_once_and_in_order() {
    let (world, sink) = (World::new(), TcpSink::open());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(LINES / 2));
    let config = [APP_LOG, TEXT, &tcp_out("out", "TRUE", sink.port())].concat();
    let daemon = world.start(&config);
    while numbered.count() < LINES {
        world.append("logs/app.log", numbered.lines(CHUNK));
    }
    sink.until_lines(numbered.count());
    daemon.stop_well();
    assert_all_in_order(&sink.lines(), numbered.count());
}

#[test]
fn lines_of_a_file_reach_a_file_once_and_in_order() {
    let world = World::new();
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(LINES));
    let config = [APP_LOG, TEXT, &file_out("out", "TRUE", "out.log")].concat();
    let mut daemon = world.start(&config);
    let expected = world.read("logs/app.log").len();
    daemon.until("all lines in the file", || world.read("out.log").len() >= expected);
    daemon.stop_well();
    assert_all_in_order(&world.read_text("out.log"), numbered.count());
}

#[test]
fn lines_of_several_connections_each_keep_their_order() {
    const CONNECTIONS: usize = 4;
    let (world, sink, port) = (World::new(), TcpSink::open(), Port::reserve());
    let config =
        [&tcp_lines("in", port.number()), TEXT, &tcp_out("out", "TRUE", sink.port())].concat();
    let daemon = world.start(&config);
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|sender| {
            let mut connection = TcpStream::connect(port.address()).unwrap();
            std::thread::spawn(move || {
                let own = (0..LINES).filter(|number| number % CONNECTIONS == sender);
                let text: String = own.map(line).collect();
                for block in text.as_bytes().chunks(4099) {
                    connection.write_all(block).unwrap();
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    sink.until_lines(LINES);
    daemon.stop_well();
    let found = numbers(&sink.lines());
    assert_eq!(found.len(), LINES);
    for sender in 0..CONNECTIONS {
        let own = found.iter().copied().filter(|number| number % CONNECTIONS == sender);
        let expected = (0..LINES).filter(|number| number % CONNECTIONS == sender);
        assert!(own.eq(expected), "connection {sender} lost its order");
    }
}

#[test]
fn the_standard_input_goes_to_a_file_and_the_daemon_ends_with_it() {
    let world = World::new();
    let input = "[StdinInput]\nexit_at_end = true\n";
    let config = [input, TEXT, &file_out("out", "TRUE", "out.log")].concat();
    let mut daemon = world.spawn(&config);
    let mut numbered = Numbered::default();
    let mut text = numbered.lines(LINES);
    // The last line has no end: what the input ends with is a record too.
    text.push_str(line(LINES).trim_end());
    daemon.stdin().write_all(text.as_bytes()).unwrap();
    let ended = daemon.ended();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(world.read_text("out.log") == text, "something was changed on the way");
}

#[test]
fn framed_messages_pass_two_daemons_byte_for_byte() {
    const MESSAGES: usize = 20_000;
    let (first, second, sink) = (World::new(), World::new(), TcpSink::open());
    let (front, back) = (Port::reserve(), Port::reserve());
    let relay = |from: u16, to: u16| {
        format!(
            "[in]\ntype = 'TcpInput'\naddress = '127.0.0.1:{from}'\n\
             [out]\ntype = 'TcpOutput'\nmessage_matcher = \"Type == 'TEST'\"\naddress = '127.0.0.1:{to}'\n"
        )
    };
    let mut aggregator = second.start(&relay(back.number(), sink.port()));
    let agent = first.start(&relay(front.number(), back.number()));
    let stream = framed_messages(MESSAGES);
    let mut connection = TcpStream::connect(front.address()).unwrap();
    for block in stream.chunks(10_007) {
        connection.write_all(block).unwrap();
    }
    drop(connection);
    aggregator.until("all messages at the sink", || sink.bytes() >= stream.len());
    agent.stop_well();
    aggregator.stop_well();
    assert!(sink.data() == stream, "some byte was changed on the way");
}

#[test]
fn datagrams_reach_a_file_once_and_in_order() {
    /// Datagrams under way at most: fewer than any kernel's buffer holds.
    const WINDOW: usize = 100;
    const DATAGRAMS: usize = 5_000;
    let world = World::new();
    let (mut daemon, port) = world.start_with(|| {
        let port = free_udp_port();
        let input = format!("[in]\ntype = 'UdpInput'\naddress = '127.0.0.1:{port}'\n");
        (port, [&input, TEXT, &file_out("out", "Type == 'in'", "out.log")].concat())
    });
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut written = 0;
    for number in 0..DATAGRAMS {
        let datagram = line(number);
        written += datagram.len();
        socket.send(datagram.as_bytes()).unwrap();
        if number % WINDOW == WINDOW - 1 {
            let length = || std::fs::metadata(world.path("out.log")).map_or(0, |it| it.len());
            daemon.until("datagrams in the file", || length() as usize >= written);
        }
    }
    daemon.stop_well();
    assert_all_in_order(&world.read_text("out.log"), DATAGRAMS);
}

/// Every log of the real data is a stream of its own and must come out as it went in.
#[test]
fn real_logs_come_out_byte_for_byte() {
    let Some(folder) = real_logs() else { return };
    let world = World::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            world.write(&format!("logs/{name}.log"), std::fs::read(&path).unwrap());
            names.push(name);
        }
    }
    let mut config = String::from(TEXT);
    config.push_str(
        "[real]\ntype = 'LogstreamerInput'\nlog_directory = '$DIR/logs'\n\
         file_match = '(?P<Name>[^/]+)\\.log'\ndifferentiator = ['Name']\n",
    );
    for name in &names {
        let matcher = format!("Logger == '{name}'");
        config.push_str(&file_out(&format!("to_{name}"), &matcher, &format!("out/{name}")));
    }
    let mut daemon = world.start(&config);
    for name in &names {
        let mut expected = world.read(&format!("logs/{name}.log"));
        // A last line without an end may still grow; it is no record yet.
        let end = expected.iter().rposition(|&byte| byte == b'\n').unwrap();
        expected.truncate(end + 1);
        let out = format!("out/{name}");
        daemon.until(&out, || world.read(&out).len() >= expected.len());
        assert!(world.read(&out) == expected, "{name} was changed on the way");
    }
    let delivered = |report: &ReportText| -> u64 {
        names.iter().map(|it| report.output(&format!("to_{it}"), "ProcessMessageCount")).sum()
    };
    // Delivered means synced, which comes after the bytes can be seen.
    let report = daemon.until_report("all lines delivered", |report| {
        report.input("real", "ProcessMessageCount") == delivered(report)
    });
    assert_eq!(report.input("real", "FilteredMessageCount"), 0);
    let lines: usize =
        names.iter().map(|it| world.read_text(&format!("out/{it}")).lines().count()).sum();
    assert_eq!(delivered(&report), lines as u64);
    daemon.stop_well();
}
