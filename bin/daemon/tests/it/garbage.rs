//! Bytes that mean nothing, peers that do nothing: counted, survived, and nobody else notices.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::harness::sections::{APP_LOG, TEXT, file_out, tcp_lines};
use crate::harness::{Daemon, Numbered, Port, World, assert_all_in_order, framed_messages};

/// Bytes of the longest garbage.
const GARBAGE_BYTES: usize = 100 << 20;
/// What memory may grow by while garbage is read.
const GROWTH_BYTES_MAX: u64 = 24 << 20;
/// Idle connections, if the machine allows so many descriptors.
const IDLE_CONNECTIONS: usize = 10_000;
/// Idle connections in any case.
const IDLE_CONNECTIONS_MIN: usize = 2_000;
/// What an idle connection may cost in the daemon.
const IDLE_CONNECTION_BYTES_MAX: u64 = 8 << 10;

/// A daemon that reads lines and frames from the network, while it also copies a file.
struct Victim {
    world: World,
    daemon: Daemon,
    lines: Port,
    frames: Port,
    numbered: Numbered,
    memory: u64,
}

impl Victim {
    fn new() -> Self {
        let world = World::with("memory_limit = '32MiB'\n");
        let (lines, frames) = (Port::reserve(), Port::reserve());
        let mut numbered = Numbered::default();
        world.write("logs/app.log", numbered.lines(1_000));
        let config = [
            APP_LOG,
            TEXT,
            &tcp_lines("lines", lines.number()),
            &format!("[frames]\ntype = 'TcpInput'\naddress = '127.0.0.1:{}'\n", frames.number()),
            &file_out("file", "Logger == 'app'", "out.log"),
            &file_out("got", "Logger != 'app'", "got"),
        ]
        .concat();
        let mut daemon = world.start(&config);
        let expected = world.read("logs/app.log").len();
        daemon.until("the file to be copied", || world.read("out.log").len() >= expected);
        let memory = daemon.memory("VmRSS");
        Self { world, daemon, lines, frames, numbered, memory }
    }

    /// Other plugins still work, memory did not grow, and the daemon stops in order.
    fn assert_well(mut self) {
        self.world.append("logs/app.log", self.numbered.lines(1_000));
        let expected = self.world.read("logs/app.log").len();
        let world = &self.world;
        self.daemon.until("the file to be copied", || world.read("out.log").len() >= expected);
        assert_all_in_order(&self.world.read_text("out.log"), self.numbered.count());
        let most = self.daemon.memory("VmHWM");
        println!("{} KiB more at most", most.saturating_sub(self.memory) >> 10);
        let growth = most.saturating_sub(self.memory);
        assert!(growth <= GROWTH_BYTES_MAX, "{} MiB", growth >> 20);
        self.daemon.stop_well();
    }
}

#[test]
fn a_hundred_megabytes_without_an_end_of_line_are_one_dropped_record() {
    let mut victim = Victim::new();
    let mut peer = TcpStream::connect(victim.lines.address()).unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..GARBAGE_BYTES / block.len() {
        peer.write_all(&block).unwrap();
    }
    peer.write_all(b"\na line\n").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let world = &victim.world;
    victim.daemon.until("the line behind it", || world.read_text("got") == "a line\n");
    let report = victim.daemon.report();
    assert_eq!(report.input("lines", "OversizeDroppedCount"), 1, "{}", report.text);
    assert_eq!(report.input("lines", "ProcessMessageCount"), 1);
    assert_eq!(report.input("lines", "ReadBytes"), GARBAGE_BYTES as u64 + 8);
    victim.assert_well();
}

#[test]
fn half_frames_and_lying_lengths_are_skipped_and_counted() {
    let mut victim = Victim::new();
    let frame = framed_messages(1);
    let send = |bytes: &[u8]| {
        let mut peer = TcpStream::connect(victim.frames.address()).unwrap();
        peer.write_all(bytes).unwrap();
    };
    // Half a frame, then the peer goes.
    send(&frame[..frame.len() / 2]);
    // The header is not as long as it says; the good frames lie inside of what it claims.
    send(&[&[0x1e, 0xff][..], &frame, &frame, &frame].concat());
    // The same, with so little behind it that only the end of the connection shows the lie.
    send(&[&[0x1e, 0xff][..], &frame].concat());
    // A message that reaches into the next frame: that one is lost with it, the one behind it is not.
    send(&[&[0x1e, 0x02, 0x08, 0x05, 0x1f, b'x'][..], &frame, &frame].concat());
    // A message of 4 GiB.
    send(&[&[0x1e, 0x06, 0x08, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1f][..], &frame].concat());
    // A good frame with a message that is none.
    send(&[&[0x1e, 0x02, 0x08, 0x03, 0x1f, 0xff, 0xff, 0xff][..], &frame].concat());
    let report = victim.daemon.until_report("the good frames", |report| {
        report.input("frames", "ProcessMessageCount") >= 7
    });
    assert_eq!(report.input("frames", "ProcessMessageCount"), 7, "{}", report.text);
    assert_eq!(report.input("frames", "ProcessMessageFailures"), 2, "{}", report.text);
    assert_eq!(report.input("frames", "AcceptedCount"), 6);
    // The two lying headers, the rest of the frame that was reached into, and the 4 GiB header.
    let skipped = 2 + 2 + (frame.len() as u64 - 4) + 9;
    let skipped_with_half = skipped + (frame.len() / 2) as u64;
    let found = report.input("frames", "SkippedBytes");
    assert!([skipped, skipped_with_half].contains(&found), "{skipped}: {}", report.text);
    victim.assert_well();
}

#[test]
fn random_bytes_to_both_splitters_are_survived_and_counted() {
    const BYTES: usize = 16 << 20;
    let mut victim = Victim::new();
    let sent = Arc::new(AtomicU64::new(0));
    let senders: Vec<_> = [victim.lines.address(), victim.frames.address()]
        .into_iter()
        .enumerate()
        .map(|(seed, address)| {
            let sent = Arc::clone(&sent);
            std::thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed as u64);
                let mut peer = TcpStream::connect(address).unwrap();
                let mut block = vec![0; 64 << 10];
                for _ in 0..BYTES / block.len() {
                    random.fill(&mut block);
                    peer.write_all(&block).unwrap();
                    sent.fetch_add(block.len() as u64, Ordering::Relaxed);
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let total = sent.load(Ordering::Relaxed);
    let report = victim.daemon.until_report("all bytes", |report| {
        report.input("lines", "ReadBytes") + report.input("frames", "ReadBytes") == total
    });
    assert!(report.input("frames", "SkippedBytes") > total / 4, "{}", report.text);
    victim.assert_well();
}

#[test]
fn thousands_of_idle_connections_cost_next_to_nothing() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Each end of a connection takes a descriptor: one here, one in the daemon, which inherits the limit.
    let wanted = IDLE_CONNECTIONS as u64 + 2_000;
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).unwrap();
    }
    let (allowed, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let count =
        (allowed as usize).saturating_sub(2_000).clamp(IDLE_CONNECTIONS_MIN, IDLE_CONNECTIONS);
    let mut victim = Victim::new();
    let mut peers = Vec::new();
    for _ in 0..count {
        peers.push(TcpStream::connect(victim.lines.address()).unwrap());
    }
    victim.daemon.until_report("all connections", |report| {
        report.input("lines", "AcceptedCount") == count as u64
    });
    let growth = victim.daemon.memory("VmRSS").saturating_sub(victim.memory);
    println!("{count} connections, {} bytes each", growth / count as u64);
    assert!(growth <= IDLE_CONNECTION_BYTES_MAX * count as u64, "{growth} bytes");
    // Each of them still works.
    for (number, peer) in peers.iter_mut().enumerate().step_by(count / 10) {
        peer.write_all(format!("{number}\n").as_bytes()).unwrap();
    }
    let world = &victim.world;
    victim.daemon.until("ten lines", || world.read_text("got").lines().count() >= 10);
    drop(peers);
    victim.world.append("logs/app.log", victim.numbered.lines(1_000));
    victim.daemon.stop_well();
}

/// One more than `max_connections` is closed at once and counted; it does not take anybody's place.
#[test]
fn connections_over_the_limit_are_refused_and_counted() {
    let (world, port) = (World::new(), Port::reserve());
    let limit = "max_connections = 3\n";
    let config =
        [TEXT, &tcp_lines("in", port.number()), limit, &file_out("out", "TRUE", "out")].concat();
    let mut daemon = world.start(&config);
    let mut peers = Vec::new();
    for number in 1..=5_u64 {
        peers.push(TcpStream::connect(port.address()).unwrap());
        daemon.until_report("the connection", |report| {
            report.input("in", "AcceptedCount") + report.input("in", "RefusedCount") >= number
        });
    }
    let report = daemon.report();
    assert_eq!(report.input("in", "RefusedCount"), 2, "{}", report.text);
    peers[2].write_all(b"still here\n").unwrap();
    daemon.until("the line", || world.read_text("out") == "still here\n");
    daemon.stop_well();
}
