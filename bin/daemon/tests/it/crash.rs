//! The daemon is killed at random moments, while files grow, a peer sends and a sink comes and goes: what files say is
//! lost nowhere, comes again only if it was delivered right before the crash, and keeps its order; of what the peer sent
//! only the very last is lost.
//!
//! `HEKA_CRASH_ROUNDS` sets the number of crashes, `HEKA_CRASH_SEED` repeats a run as far as the machine allows.

use std::time::{Duration, Instant};

use crate::harness::sections::{TEXT, file_out, tcp_lines, tcp_out};
use crate::harness::{
    Arrivals, Daemon, Expect, GrowingLog, JudgeSink, Judged, LINE_BYTES, Peer, Port, ReportText,
    Tail, World, Writer, number_of, wait,
};

/// Crashes unless the environment says otherwise.
const ROUNDS: u64 = 15;
/// The log is committed this often unless configured otherwise.
const COMMIT_INTERVAL: Duration = Duration::from_millis(10);
/// How late the daemon may be with a commit, and with taking note of what the kernel took from it, on a busy machine.
const SLACK: Duration = Duration::from_secs(3);
/// Bytes per second of all sources together: what the daemon can take beside the test.
const RATE: u64 = if cfg!(debug_assertions) { 8_000_000 } else { 20_000_000 };
/// Bytes after which a source's file is rotated.
const ROTATE_BYTES: usize = RATE as usize;
/// The output's file is emptied between two instances when it is longer.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Names of the sources: two files and a peer.
const FILES: [u8; 2] = [b'a', b'b'];
const PEER: u8 = b'p';
/// Sources, and what is expected of them: a file can be read again, a peer does not repeat itself.
const SOURCES: [(u8, Expect); 3] =
    [(FILES[0], Expect::All), (FILES[1], Expect::All), (PEER, Expect::ConnectionsFromTheirBegin)];

/// Sources, sinks and the daemon between them.
struct Scene {
    world: World,
    /// Nobody else gets the peer's port between two instances.
    _port: Port,
    rng: fastrand::Rng,
    config: String,
    sink: JudgeSink,
    tail: Tail,
    logs: Vec<Writer>,
    peer: Writer,
    crashes: u64,
    /// Most lines of the peer that crashes may have cost: sent right before them, or in the kernel's buffers.
    losable: usize,
}

impl Scene {
    fn new(buffering: &str) -> Self {
        let seed = number_of("HEKA_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
        println!("HEKA_CRASH_SEED={seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let oldest = COMMIT_INTERVAL + SLACK;
        let world = World::with("shutdown_timeout = '50s'\n");
        let sink = JudgeSink::closed(Arrivals::new("sink", &SOURCES, oldest));
        let arrivals = Arrivals::new("file", &SOURCES, oldest);
        let tail = Tail::follow(world.path("out.log"), arrivals);
        let port = Port::reserve();
        let config = [
            GrowingLog::INPUT,
            TEXT,
            &tcp_lines("in", port.number()),
            &tcp_out("net", "TRUE", sink.port()),
            &format!("[net.buffering]\nfull_action = 'block'\n{buffering}"),
            &file_out("file", "TRUE", "out.log"),
        ]
        .concat();
        let logs = FILES.map(|name| {
            let (sink, file) = (sink.judged.clone(), tail.judged.clone());
            let log = GrowingLog {
                directory: world.path("logs"),
                name,
                rate: RATE / 3,
                rotate_bytes: ROTATE_BYTES,
                rng: rng.fork(),
                arrived: Box::new(move || sink.lock().next(name).min(file.lock().next(name))),
                lead_max: usize::MAX,
                read: Box::new(|| 0),
            };
            log.start()
        });
        let told = vec![sink.judged.clone(), tail.judged.clone()];
        let peer = Peer { address: port.address(), name: PEER, rate: RATE / 3, told };
        Self {
            world,
            _port: port,
            rng,
            config,
            sink,
            tail,
            logs: logs.into(),
            peer: peer.start(),
            crashes: 0,
            losable: 0,
        }
    }

    /// Lets an instance run until the log knows positions of both files: a crash before that makes all come again that the
    /// log has of a file, however old it is.
    fn begin(&mut self) {
        let mut daemon = self.world.start(&self.config);
        daemon.until_report("first positions", |report| {
            FILES.iter().all(|&name| report.input("logs", &format!("{}-bytes", name as char)) > 0)
        });
        self.kill(daemon);
    }

    /// A moment of up to so many milliseconds.
    fn moment(&mut self, ms: u64) {
        std::thread::sleep(Duration::from_millis(self.rng.u64(..ms)));
    }

    /// Kills it, and takes what it had sent.
    fn kill(&mut self, daemon: Daemon) {
        self.losable += self.peer.lines_since(Instant::now() - COMMIT_INTERVAL - SLACK);
        self.losable += socket_bytes() / LINE_BYTES;
        let at = Instant::now();
        daemon.crash();
        self.crashes += 1;
        self.drain();
        self.places().iter().for_each(|judged| judged.lock().killed(at));
        self.check();
    }

    /// Stops it in order, and takes what it had sent.
    fn stop(&mut self, daemon: Daemon) {
        daemon.stop_well();
        self.drain();
        self.places().iter().for_each(|judged| judged.lock().stopped());
        self.check();
    }

    fn drain(&mut self) {
        self.sink.close();
        self.tail.drain(FILE_BYTES_MAX);
    }

    fn places(&self) -> [Judged; 2] {
        [self.sink.judged.clone(), self.tail.judged.clone()]
    }

    fn check(&self) {
        for judged in self.places() {
            let arrivals = judged.lock();
            let faults = arrivals.faults();
            assert!(faults.is_empty(), "{} crashes\n{}", self.crashes, faults.join("\n"));
        }
    }

    /// Ends the sources, waits until all has arrived, and checks everything once more.
    fn finish(self, mut daemon: Daemon) {
        assert!(self.sink.is_open());
        let places = self.places();
        // The peer is with this instance: what it sent to the one before may be lost, and nobody would know.
        let sent = self.peer.lines();
        let is_back = || places.iter().all(|judged| judged.lock().next(PEER) > sent);
        daemon.until("the peer to be back", is_back);
        let peer = self.peer.finish();
        let written: Vec<_> =
            FILES.into_iter().zip(self.logs.into_iter().map(Writer::finish)).collect();
        let arrived = |judged: &Judged| {
            let arrivals = judged.lock();
            written.iter().all(|&(name, lines)| arrivals.next(name) == lines)
                && arrivals.next(PEER) == peer
                || !arrivals.faults().is_empty()
        };
        // Far behind in a debug build; some progress is enough to wait on.
        let mut before = 0;
        while !wait(|| places.iter().all(&arrived)) {
            let lines: usize = places.iter().map(|judged| judged.lock().lines).sum();
            let arrivals = places.each_ref().map(|judged| judged.lock().progress());
            let wanted = (&written, peer);
            assert!(lines > before, "{arrivals:?} of {wanted:?}\n{}", daemon.log());
            before = lines;
        }
        let report = daemon.until_report("nothing held", |report| {
            ["net", "file"].iter().all(|name| report.output(name, "HeldMessageCount") == 0)
        });
        report.assert_balanced();
        assert_eq!(dropped(&report), 0, "{}", report.text);
        let ended = daemon.stop_well();
        assert!(ended.stderr.contains("shutdown complete undelivered=0"), "{}", ended.stderr);
        for judged in &places {
            let arrivals = judged.lock();
            assert!(arrivals.faults().is_empty(), "{}", arrivals.faults().join("\n"));
            for &(name, lines) in &written {
                assert_eq!(arrivals.next(name), lines, "of {}", name as char);
            }
            println!("{}", arrivals.summary());
        }
        let (missing, most) = places[0].lock().missing(PEER);
        println!(
            "{} crashes, {} lines of files, {peer} of the peer, of which {missing} were lost ({most} at once)",
            self.crashes,
            written.iter().map(|&(_, lines)| lines).sum::<usize>(),
        );
        assert!(missing <= self.losable, "{missing} lines lost, at most {} could be", self.losable);
    }
}

/// What the kernel may hold of a connection on this machine.
fn socket_bytes() -> usize {
    let most = |name: &str| -> usize {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        text.split_whitespace().last().unwrap().parse().unwrap()
    };
    most("tcp_rmem") + most("tcp_wmem")
}

fn dropped(report: &ReportText) -> u64 {
    report.entries("Outputs").iter().map(|name| report.output(name, "DropMessageCount")).sum()
}

/// The sink is there, or is not for the time of an instance; now and then an instance is stopped in order, and now and
/// then one is killed while it starts.
#[test]
fn crashes_lose_nothing_of_files_and_repeat_only_what_was_just_delivered() {
    let mut scene = Scene::new("cursor_update_count = 1\n");
    let rounds = number_of("HEKA_CRASH_ROUNDS").unwrap_or(ROUNDS);
    scene.begin();
    while scene.crashes < rounds {
        if scene.rng.u64(..4) > 0 {
            scene.sink.open();
        }
        let config = scene.config.clone();
        if scene.rng.u64(..5) == 0 {
            let daemon = scene.world.spawn(&config);
            scene.moment(300);
            scene.kill(daemon);
            continue;
        }
        let daemon = scene.world.start(&config);
        scene.moment(800);
        if scene.rng.u64(..8) == 0 && scene.sink.is_open() {
            scene.stop(daemon);
        } else {
            scene.kill(daemon);
        }
    }
    scene.sink.open();
    let daemon = scene.world.start(&scene.config);
    scene.finish(daemon);
}

/// What waits on disk outlasts any number of crashes, and one in the middle of its delivery.
#[test]
fn a_sink_that_was_dead_for_many_crashes_gets_everything() {
    let mut scene = Scene::new("");
    let rounds = number_of("HEKA_CRASH_ROUNDS").unwrap_or(ROUNDS) / 3;
    scene.begin();
    for _ in 1..rounds.max(2) {
        let daemon = scene.world.start(&scene.config);
        scene.moment(1_000);
        scene.kill(daemon);
    }
    assert_eq!(scene.sink.judged.lock().lines, 0);
    scene.sink.open();
    let mut daemon = scene.world.start(&scene.config);
    let sink = scene.sink.judged.clone();
    daemon.until("some lines", || sink.lock().lines > 10_000);
    scene.kill(daemon);
    scene.sink.open();
    let daemon = scene.world.start(&scene.config);
    scene.finish(daemon);
}
