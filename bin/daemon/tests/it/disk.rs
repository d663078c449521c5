//! The disk under the log of `use_buffering` is full, short of space, read-only or no directory at all: what
//! `full_action` says happens, nothing else is lost, and when there is space again all goes on without a restart.
//!
//! Needs the right to mount a small file system; where that is missing the tests say so and show nothing.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use crate::harness::sections::{TEXT, file_out, tcp_lines, tcp_out};
use crate::harness::{
    Arrivals, Daemon, Expect, GrowingLog, JudgeSink, Judged, LINE_BYTES, Peer, Port, ReportText,
    Tail, World, Writer, line_block, wait,
};

/// Size of the disk unless a test wants another one.
const DISK_BYTES: u64 = 24 << 20;
/// Settings of the daemon; a disk so small is always below the usual floor.
const SETTINGS: &str =
    "memory_limit = '32MiB'\nshutdown_timeout = '5s'\n[hekad.stream]\ndisk_floor = 0\n";
/// Lines that neither memory nor disk can hold.
const MANY_LINES: usize = (64 << 20) / LINE_BYTES;
/// Repetitions are none of this file's business.
const ANY_AGE: Duration = Duration::from_secs(600);
/// Sources: a file and a peer.
const FILE: u8 = b'f';
const PEER: u8 = b'p';

/// A file system in memory.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts it on a new directory. `None`, with a word about it, where that is not allowed.
    fn mount(path: PathBuf, bytes: u64) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let options = format!("size={bytes}");
        let arguments = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        let output = Command::new("mount").args(arguments).arg(&path).output();
        let failure = match output {
            Ok(output) if output.status.success() => return Some(Self { path }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        println!("skipped: cannot mount a small file system: {failure}");
        None
    }

    fn unmount(&self) -> bool {
        let output = Command::new("umount").arg("-l").arg(&self.path).output();
        output.is_ok_and(|output| output.status.success())
    }

    fn free(&self) -> u64 {
        let stat = statvfs(&self.path).unwrap();
        stat.blocks_available() * stat.fragment_size()
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    /// Fills it with a file that is none of the daemon's until so many bytes are left.
    fn fill(&self, left: u64) {
        let mut file = File::options().append(true).create(true).open(self.filler()).unwrap();
        let block = [0; 16 << 10];
        while self.free() > left {
            match file.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        while self.unmount() {}
    }
}

/// A daemon whose base directory is a small disk, with a durable output and one that is not, whose file lies elsewhere.
struct Scene {
    sink: JudgeSink,
    tail: Tail,
    config: String,
    port: Port,
    /// Lines of the file.
    lines: usize,
    disk: SmallDisk,
    world: World,
}

impl Scene {
    /// `None` where disks cannot be mounted.
    fn new(settings: &str, bytes: u64, buffering: &str, expect: Expect) -> Option<Self> {
        let world = World::with(settings);
        let disk = SmallDisk::mount(world.path("base"), bytes)?;
        let arrivals =
            |place, expect| Arrivals::new(place, &[(FILE, expect), (PEER, expect)], ANY_AGE);
        let sink = JudgeSink::closed(arrivals("sink", expect));
        let tail = Tail::follow(world.path("out.log"), arrivals("file", Expect::All));
        let port = Port::reserve();
        let config = [
            GrowingLog::INPUT,
            TEXT,
            &tcp_lines("in", port.number()),
            &tcp_out("net", "TRUE", sink.port()),
            buffering,
            &file_out("file", "TRUE", "out.log"),
        ]
        .concat();
        world.write("logs/f.log", "");
        Some(Self { sink, tail, config, port, lines: 0, disk, world })
    }

    fn start(&self) -> Daemon {
        self.world.start(&self.config)
    }

    /// Appends so many lines to the file.
    fn write(&mut self, lines: usize) {
        self.world.append("logs/f.log", line_block(FILE, self.lines, lines));
        self.lines += lines;
    }

    /// A peer that sends as much as it can.
    fn peer(&self) -> Writer {
        let told = vec![self.sink.judged.clone(), self.tail.judged.clone()];
        Peer { address: self.port.address(), name: PEER, rate: 0, told }.start()
    }

    /// Waits until nothing moves any more: all sources wait.
    fn until_stalled(&self) {
        let mut last = 0;
        let mut since = Instant::now();
        let stalled = wait(|| {
            let lines = self.tail.judged.lock().lines;
            if lines != last {
                (last, since) = (lines, Instant::now());
            }
            since.elapsed() > Duration::from_secs(2)
        });
        assert!(stalled, "the sources never wait");
    }

    /// Waits until the lines of the file, and so many of the peer, are in the output's file.
    fn until_in_file(&self, daemon: &Daemon, peer: usize) {
        self.until_in(&self.tail.judged, daemon, peer);
    }

    /// The same for the sink.
    fn until_in_sink(&self, daemon: &Daemon, peer: usize) {
        self.until_in(&self.sink.judged, daemon, peer);
    }

    fn until_in(&self, judged: &Judged, daemon: &Daemon, peer: usize) {
        let arrived = wait(|| {
            let arrivals = judged.lock();
            arrivals.next(FILE) == self.lines && arrivals.next(PEER) >= peer
                || !arrivals.faults().is_empty()
        });
        let arrivals = judged.lock();
        let (file, of_peer, log) = (arrivals.next(FILE), arrivals.next(PEER), daemon.log());
        let faults = arrivals.faults().join("\n");
        assert!(faults.is_empty(), "{faults}\n{log}");
        assert!(arrived, "{file} of {}, {of_peer} of {peer}\n{log}", self.lines);
    }

    /// All arrived everywhere, nothing was dropped, nothing came twice.
    fn finish(&self, mut daemon: Daemon, peer: usize) {
        self.until_in_file(&daemon, peer);
        self.until_in_sink(&daemon, peer);
        let report = settled(&mut daemon);
        assert_eq!(report.output("net", "DropMessageCount"), 0, "{}", report.text);
        // What waited may have filled the disk once more.
        daemon.until_report("a log that can be written", |report| {
            report.text_of("Globals", "Log", "Stuck").is_none()
        });
        let ended = daemon.stop_well();
        assert!(ended.stderr.contains("shutdown complete undelivered=0"), "{}", ended.stderr);
        for judged in [&self.sink.judged, &self.tail.judged] {
            println!("{}", judged.lock().summary());
            assert_eq!(judged.lock().repeated, 0);
        }
    }
}

/// A report in which nothing is held any more.
fn settled(daemon: &mut Daemon) -> ReportText {
    let report = daemon.until_report("nothing held", |report| {
        ["net", "file"].iter().all(|name| report.output(name, "HeldMessageCount") == 0)
    });
    report.assert_balanced();
    report
}

/// True if an input waits for the disk, and the report says so.
fn waits_for_disk(report: &ReportText) -> bool {
    let why = report.text_of("Inputs", "logs", "WaitsFor");
    why.is_some_and(|why| why.contains("net has no room on disk"))
}

/// File and peer wait, for as long as the disk is full.
#[test]
fn a_full_disk_makes_sources_wait_if_the_output_says_block() {
    let buffering = "[net.buffering]\nfull_action = 'block'\n";
    let scene = Scene::new(SETTINGS, DISK_BYTES, buffering, Expect::All);
    let Some(mut scene) = scene else { return };
    let mut daemon = scene.start();
    let peer = scene.peer();
    scene.disk.fill(0);
    scene.write(MANY_LINES);
    let report = daemon.until_report("an input that waits", waits_for_disk);
    println!("{}", report.text_of("Inputs", "logs", "WaitsFor").unwrap());
    scene.until_stalled();
    assert!(daemon.log().contains("the log cannot be written"), "{}", daemon.log());
    assert!(scene.tail.judged.lock().next(FILE) < scene.lines);
    scene.disk.make_room();
    daemon.until_logged("the log can be written again");
    scene.sink.open();
    scene.finish(daemon, peer.finish());
}

/// The output that says so loses what its disk has no room for, which is counted, and holds back nobody.
#[test]
fn a_full_disk_costs_an_output_that_says_drop_what_it_has_no_room_for() {
    let buffering = "[net.buffering]\nfull_action = 'drop'\n";
    let scene = Scene::new(SETTINGS, DISK_BYTES, buffering, Expect::Some);
    let Some(mut scene) = scene else { return };
    let mut daemon = scene.start();
    scene.disk.fill(0);
    scene.write(MANY_LINES);
    scene.until_in_file(&daemon, 0);
    let report = daemon.report();
    let dropped = report.output("net", "DropMessageCount-full");
    assert!(dropped > 0, "{}", report.text);
    scene.disk.make_room();
    daemon.until_report("all written", |report| {
        let pending = report.number("Globals", "Log", "PendingBatchCount");
        pending == 0 && report.text_of("Globals", "Log", "Stuck").is_none()
    });
    // What comes now is kept again.
    scene.write(1_000);
    scene.until_in_file(&daemon, 0);
    scene.sink.open();
    scene.until_in_sink(&daemon, 0);
    let report = settled(&mut daemon);
    assert_eq!(report.output("net", "DropMessageCount"), dropped, "{}", report.text);
    let arrived = scene.sink.judged.lock().arrived(FILE) as u64;
    println!("{dropped} of {} lines dropped", scene.lines);
    assert_eq!(arrived + dropped, scene.lines as u64);
    daemon.stop_well();
}

/// Where nothing is said about it the daemon ends, and loses nothing that it can read again.
#[test]
fn a_full_disk_ends_the_daemon_if_nothing_else_is_said() {
    // With room for all lines: the sink may be slower than the file.
    let scene = Scene::new(SETTINGS, 8 * DISK_BYTES, "", Expect::All);
    let Some(mut scene) = scene else { return };
    let daemon = scene.start();
    scene.disk.fill(0);
    scene.write(MANY_LINES);
    let ended = daemon.ended();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("its buffer is full, shutting down"), "{}", ended.stderr);
    scene.tail.drain(u64::MAX);
    [&scene.sink.judged, &scene.tail.judged].iter().for_each(|it| it.lock().killed(Instant::now()));
    scene.disk.make_room();
    scene.sink.open();
    let mut daemon = scene.start();
    scene.until_in_file(&daemon, 0);
    scene.until_in_sink(&daemon, 0);
    let report = settled(&mut daemon);
    assert_eq!(report.output("net", "DropMessageCount"), 0, "{}", report.text);
    println!("{}\n{}", scene.sink.judged.lock().summary(), scene.tail.judged.lock().summary());
    daemon.stop_well();
}

/// A sink that takes everything at once needs no disk: neither does it stop, nor is anything dropped.
#[test]
fn a_healthy_sink_does_not_care_for_a_full_disk() {
    let Some(mut scene) = Scene::new(SETTINGS, DISK_BYTES, "", Expect::All) else { return };
    scene.sink.open();
    let daemon = scene.start();
    scene.disk.fill(0);
    let peer = scene.peer();
    for _ in 0..20 {
        scene.write(MANY_LINES / 20);
        scene.until_in_sink(&daemon, 0);
    }
    scene.disk.make_room();
    scene.finish(daemon, peer.finish());
}

/// The log leaves others some space.
#[test]
fn the_log_stops_above_the_floor() {
    const FLOOR: u64 = 32 << 20;
    /// Free space is looked at after so many bytes only.
    const PASSED_OVER: u64 = 20 << 20;
    let settings = SETTINGS.replace("disk_floor = 0", "disk_floor = '32MiB'");
    let buffering = "[net.buffering]\nfull_action = 'block'\n";
    let Some(mut scene) = Scene::new(&settings, 4 * FLOOR, buffering, Expect::All) else { return };
    let mut daemon = scene.start();
    scene.disk.fill(FLOOR + (8 << 20));
    scene.write(MANY_LINES);
    let report = daemon.until_report("an input that waits", waits_for_disk);
    println!("{}", report.text_of("Inputs", "logs", "WaitsFor").unwrap());
    let free = scene.disk.free();
    assert!((FLOOR - PASSED_OVER..FLOOR).contains(&free), "{free} bytes are free");
    scene.disk.make_room();
    daemon.until_logged("the log can be written again");
    scene.sink.open();
    scene.finish(daemon, 0);
}

/// Killed while the disk was full, and started again while it still is.
#[test]
fn a_crash_on_a_full_disk_loses_nothing() {
    let buffering = "[net.buffering]\nfull_action = 'block'\n";
    let scene = Scene::new(SETTINGS, DISK_BYTES, buffering, Expect::All);
    let Some(mut scene) = scene else { return };
    let mut daemon = scene.start();
    // The second commit says where the file was after the first.
    for _ in 0..2 {
        scene.write(1_000);
        scene.until_in_file(&daemon, 0);
        let known = |report: &ReportText| report.number("Globals", "Log", "PendingBatchCount") == 0;
        daemon.until_report("nothing to write", known);
    }
    scene.disk.fill(4 << 20);
    scene.write(MANY_LINES);
    daemon.until_report("an input that waits", waits_for_disk);
    daemon.crash();
    scene.tail.drain(u64::MAX);
    [&scene.sink.judged, &scene.tail.judged].iter().for_each(|it| it.lock().killed(Instant::now()));
    scene.sink.open();
    let mut daemon = scene.start();
    scene.until_in_sink(&daemon, 0);
    scene.disk.make_room();
    scene.until_in_file(&daemon, 0);
    settled(&mut daemon);
    println!("{}\n{}", scene.sink.judged.lock().summary(), scene.tail.judged.lock().summary());
    daemon.stop_well();
}

fn start_error(world: &World, expected: &str) {
    let config = [GrowingLog::INPUT, TEXT, &tcp_out("net", "TRUE", 9)].concat();
    world.write("logs/f.log", "");
    let ended = world.spawn(&config).ended();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(expected), "{expected:?} is not in\n{}", ended.stderr);
}

fn stream(directory: &Path) -> String {
    directory.join("stream").display().to_string()
}

#[test]
fn a_log_directory_that_is_a_file_ends_the_start() {
    let world = World::new();
    world.write("base/stream", "no directory");
    let path = stream(&world.path("base"));
    start_error(
        &world,
        &format!("cannot open the log of use_buffering: cannot list {path}: Not a directory"),
    );
}
