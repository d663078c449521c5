//! More comes than a sink takes: memory stays in its limit, what can wait loses nothing, what cannot is counted, and the
//! other output does not notice.
//!
//! `HEKA_OVERLOAD_SECONDS` sets how long it takes, about.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::harness::sections::{TEXT, file_out, tcp_lines, tcp_out, tcp_out_in_memory};
use crate::harness::{
    Arrivals, Daemon, Datagrams, Expect, GrowingLog, JudgeSink, LINE_BYTES, Peer, Port, Tail,
    World, Writer, free_udp_port, number_of, wait,
};

/// Seconds of overload unless the environment says otherwise.
const SECONDS: u64 = 9;
/// A sink is dead, then slow, for so long each before it may catch up: what waits on disk has a limit too.
const PHASE: Duration = Duration::from_secs(4);
/// Bytes of messages in flight.
const MEMORY_LIMIT: u64 = 32 << 20;
/// What is allowed above that and what an idle daemon needs. It should be 5 %: what is committed, encoded and decoded is
/// not in the limit yet, and up to 24 MiB were seen.
const MEMORY_BESIDE: u64 = MEMORY_LIMIT;
/// Settings of the daemon.
const SETTINGS: &str = "memory_limit = '32MiB'\nshutdown_timeout = '50s'\n";
/// The file may be so many lines ahead of its reader.
const LEAD_MAX: usize = (64 << 20) / LINE_BYTES;
/// Bytes after which the file is rotated.
const ROTATE_BYTES: usize = 64 << 20;
/// Bytes per second of a sender of datagrams that no kernel drops.
const CALM: u64 = 50 * LINE_BYTES as u64;

/// Sources: a file and a peer, which can wait, and datagrams, which cannot.
const FILE: u8 = b'f';
const PEER: u8 = b'p';
const DATAGRAM: u8 = b'd';
const SOURCES: [(u8, Expect); 3] =
    [(FILE, Expect::All), (PEER, Expect::All), (DATAGRAM, Expect::Some)];

/// Sources at full speed, a sink that can be dead or slow, and a file that is neither.
struct Scene {
    /// Goes first, so that it does not see its surroundings go.
    daemon: Daemon,
    sink: JudgeSink,
    tail: Tail,
    log: Writer,
    peer: Writer,
    datagrams: Writer,
    idle: u64,
    _world: World,
}

/// An output's sections by its name, matcher and port.
type MakeOutput = fn(&str, &str, u16) -> String;

impl Scene {
    fn new(output: MakeOutput, further: &str) -> Self {
        let world = World::with(SETTINGS);
        let sink = JudgeSink::closed(Arrivals::new("sink", &SOURCES, Duration::ZERO));
        let arrivals = Arrivals::new("file", &SOURCES, Duration::ZERO);
        let tail = Tail::follow(world.path("out.log"), arrivals);
        std::fs::create_dir_all(world.path("logs")).unwrap();
        let make = || {
            let (port, udp) = (Port::reserve(), free_udp_port());
            let datagrams = format!(
                "\n[udp]\ntype = 'UdpInput'\naddress = '127.0.0.1:{udp}'\nsplitter = 'TokenSplitter'\n\
                 decoder = ''\n"
            );
            let config = [
                GrowingLog::INPUT,
                TEXT,
                &tcp_lines("tcp", port.number()),
                &datagrams,
                &output("net", "TRUE", sink.port()),
                further,
                &file_out("file", "TRUE", "out.log"),
            ];
            ((port, udp), config.concat())
        };
        let (daemon, (port, udp)) = world.start_with(make);
        let idle = daemon.memory("VmRSS");
        let (arrived, read) = (sink.judged.clone(), tail.judged.clone());
        let other = read.clone();
        let log = GrowingLog {
            directory: world.path("logs"),
            name: FILE,
            rate: 0,
            rotate_bytes: ROTATE_BYTES,
            rng: fastrand::Rng::with_seed(7),
            arrived: Box::new(move || arrived.lock().next(FILE).min(other.lock().next(FILE))),
            lead_max: LEAD_MAX,
            read: Box::new(move || read.lock().next(FILE)),
        };
        let told = vec![sink.judged.clone(), tail.judged.clone()];
        let peer = Peer { address: port.address(), name: PEER, rate: 0, told };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, udp));
        let datagrams = Datagrams { address, name: DATAGRAM, rate: 0 };
        let (log, peer, datagrams) = (log.start(), peer.start(), datagrams.start());
        Self { daemon, sink, tail, log, peer, datagrams, idle, _world: world }
    }

    fn rest(&self, resting: bool) {
        [&self.log, &self.peer, &self.datagrams].iter().for_each(|writer| writer.rest(resting));
    }

    /// Bytes that arrived in the file.
    fn file_bytes(&self) -> u64 {
        (self.tail.judged.lock().lines * LINE_BYTES) as u64
    }

    /// Bytes that arrive in the file in this time.
    fn file_bytes_during(&self, time: Duration) -> u64 {
        let before = self.file_bytes();
        std::thread::sleep(time);
        self.file_bytes() - before
    }

    fn check(&self) {
        for judged in [&self.sink.judged, &self.tail.judged] {
            let arrivals = judged.lock();
            let faults = arrivals.faults().join("\n");
            assert!(faults.is_empty(), "{faults}\n{}", self.daemon.log());
        }
    }

    fn check_memory(&self) {
        let most = self.daemon.memory("VmHWM");
        let aim = (self.idle + MEMORY_LIMIT) / 100 * 105;
        let allowed = self.idle + MEMORY_LIMIT + MEMORY_BESIDE;
        println!(
            "{} KiB at most, {} KiB when idle, {} KiB should do",
            most >> 10,
            self.idle >> 10,
            aim >> 10
        );
        assert!(most <= allowed, "{} KiB are allowed", allowed >> 10);
    }

    /// The sources rest; waits until all that they sent has arrived, or is counted as dropped by the kernel.
    fn settle(&mut self) {
        self.rest(true);
        std::thread::sleep(Duration::from_millis(100));
        // What the kernel dropped is known once it does not drop the next one.
        self.datagrams.pace(CALM);
        self.datagrams.rest(false);
        std::thread::sleep(Duration::from_millis(500));
        self.datagrams.rest(true);
        std::thread::sleep(Duration::from_millis(100));
        let (log, peer) = (self.log.lines(), self.peer.lines());
        let sent = self.datagrams.lines() as u64;
        let report = self.daemon.until_report("all datagrams", |report| {
            let known = ["ProcessMessageCount", "KernelDroppedCount"];
            known.iter().map(|name| report.input("udp", name)).sum::<u64>() >= sent
        });
        let received = report.input("udp", "ProcessMessageCount");
        assert_eq!(received + report.input("udp", "KernelDroppedCount"), sent, "{}", report.text);
        let mut before = 0;
        let arrived = || {
            [&self.sink.judged, &self.tail.judged].iter().all(|judged| {
                let arrivals = judged.lock();
                arrivals.next(FILE) == log
                    && arrivals.next(PEER) == peer
                    && arrivals.arrived(DATAGRAM) as u64 == received
                    || !arrivals.faults().is_empty()
            })
        };
        while !wait(arrived) {
            let lines = self.sink.judged.lock().lines;
            assert!(lines > before, "no progress\n{}", self.daemon.log());
            before = lines;
        }
        self.check();
        let report = self.daemon.until_report("nothing held", |report| {
            ["net", "file"].iter().all(|name| report.output(name, "HeldMessageCount") == 0)
        });
        report.assert_balanced();
        for name in ["net", "file"] {
            assert_eq!(report.output(name, "DropMessageCount"), 0, "{}", report.text);
        }
        self.tail.drain(0);
        self.datagrams.pace(0);
    }

    fn finish(self) {
        for judged in [&self.sink.judged, &self.tail.judged] {
            println!("{}", judged.lock().summary());
        }
        let (lost, sent) = (self.sink.judged.lock().missing(DATAGRAM).0, self.datagrams.lines());
        println!("{} lines of the file, {} of the peer", self.log.lines(), self.peer.lines());
        println!("{sent} datagrams, {lost} dropped by the kernel and counted");
        self.check_memory();
        let ended = self.daemon.stop_well();
        assert!(ended.stderr.contains("shutdown complete undelivered=0"), "{}", ended.stderr);
    }
}

/// With `use_buffering` what a sink does not take waits on disk.
#[test]
fn a_sink_slower_than_its_sources_costs_nothing_but_disk() {
    let mut scene = Scene::new(tcp_out, "[net.buffering]\nfull_action = 'block'\n");
    scene.sink.open();
    let end =
        Instant::now() + Duration::from_secs(number_of("HEKA_OVERLOAD_SECONDS").unwrap_or(SECONDS));
    let rate = |bytes: u64, time: Duration| bytes as f64 / time.as_secs_f64() / 1e6;
    while Instant::now() < end {
        let fast = scene.file_bytes_during(PHASE / 4);
        scene.sink.pause(true);
        // Until the sink's buffers are full.
        std::thread::sleep(PHASE / 8);
        let dead = scene.file_bytes_during(PHASE);
        assert!(dead > MEMORY_LIMIT, "{dead} bytes beside a dead output");
        scene.sink.throttle(dead * 1_000 / PHASE.as_millis() as u64 / 2);
        scene.sink.pause(false);
        let slow = scene.file_bytes_during(PHASE);
        assert!(slow > MEMORY_LIMIT / 2, "{slow} bytes beside a slow output");
        let report = scene.daemon.report();
        assert!(report.output("net", "BacklogMessageCount") > 0, "{}", report.text);
        println!(
            "MB/s to the file: {:.0} beside a fast sink, {:.0} beside a dead one, {:.0} beside a slow one; \
             {} MB waited; {} KiB, at most {}",
            rate(fast, PHASE / 4),
            rate(dead, PHASE),
            rate(slow, PHASE),
            report.output("net", "BacklogBytes") / 1_000_000,
            scene.daemon.memory("VmRSS") >> 10,
            scene.daemon.memory("VmHWM") >> 10
        );
        scene.sink.throttle(0);
        scene.settle();
        scene.rest(false);
    }
    scene.settle();
    scene.finish();
}

/// Without it the sources wait, and both report and log say for whom and why.
#[test]
fn who_holds_whom_back_is_told() {
    let mut scene = Scene::new(tcp_out_in_memory, "");
    let address = format!("127.0.0.1:{}", scene.sink.port());
    let why = format!("net, which retries: cannot connect to {address}");
    let report = scene.daemon.until_report("inputs that wait", |report| {
        ["logs", "tcp", "udp"].iter().all(|name| {
            report.text_of("Inputs", name, "WaitsFor").is_some_and(|text| text.contains(&why))
        })
    });
    for name in ["logs", "tcp", "udp"] {
        println!("{name}: {}", report.text_of("Inputs", name, "WaitsFor").unwrap());
    }
    for name in ["logs", "tcp"] {
        scene.daemon.until_logged(&format!(
            "waits: {}",
            report.text_of("Inputs", name, "WaitsFor").unwrap()
        ));
    }
    scene.sink.open();
    scene.daemon.until_logged("goes on plugin=\"logs\"");
    scene.settle();
    scene.finish();
}
