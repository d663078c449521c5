//! Files are rotated under the daemon, while it runs and while it does not.

use std::fs::{self, File};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::sections::{APP_LOG, TEXT, file_out};
use crate::harness::{Daemon, Numbered, World, assert_all_in_order, wait};

/// Rotations of each test.
const ROTATIONS: usize = 20;
/// Lines between two rotations, written in several steps.
const LINES: usize = 500;
/// The daemon is stopped before every so many rotations, and started after that rotation.
const STOP_EVERY: usize = 4;

/// How the file is made to be the previous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `app.log` becomes `app.log.1`; a new one is begun.
    Rename,
    /// `app.log` is copied to `app.log.1` and emptied.
    CopyTruncate,
    /// As `Rename`; what becomes `.2` is compressed.
    Compress,
}

/// `logs/app.log` with the files of earlier rotations.
struct Log {
    world: World,
    numbered: Numbered,
    old: usize,
}

impl Log {
    fn new() -> Self {
        let world = World::new();
        world.write("logs/app.log", "");
        Self { world, numbered: Numbered::default(), old: 0 }
    }

    fn write(&mut self, lines: usize) {
        self.world.append("logs/app.log", self.numbered.lines(lines));
    }

    /// The path of the old file with this number, whether compressed or not.
    fn path(&self, number: usize) -> (std::path::PathBuf, bool) {
        let plain = self.world.path(&format!("logs/app.log.{number}"));
        if plain.exists() {
            return (plain, false);
        }
        (self.world.path(&format!("logs/app.log.{number}.gz")), true)
    }

    fn rotate(&mut self, way: Way) {
        for number in (1..=self.old).rev() {
            let (path, compressed) = self.path(number);
            let end = if compressed { ".gz" } else { "" };
            let next = self.world.path(&format!("logs/app.log.{}{end}", number + 1));
            fs::rename(path, next).unwrap();
        }
        self.old += 1;
        let (log, first) = (self.world.path("logs/app.log"), self.world.path("logs/app.log.1"));
        match way {
            Way::Rename | Way::Compress => {
                fs::rename(&log, first).unwrap();
                File::create(log).unwrap();
            }
            Way::CopyTruncate => {
                fs::copy(&log, first).unwrap();
                File::options().write(true).open(log).unwrap().set_len(0).unwrap();
            }
        }
        if way == Way::Compress && self.old > 1 {
            self.compress(2);
        }
    }

    /// As gzip does: the compressed file is complete before the other one goes.
    fn compress(&self, number: usize) {
        let (path, _) = self.path(number);
        let content = fs::read(&path).unwrap();
        let compressed = path.with_file_name(format!("app.log.{number}.gz"));
        let mut encoder = GzEncoder::new(File::create(compressed).unwrap(), Compression::fast());
        encoder.write_all(&content).unwrap();
        encoder.finish().unwrap().sync_all().unwrap();
        fs::remove_file(path).unwrap();
    }
}

/// Waits for all lines; should some be missing, which they are says more than that the wait was in vain.
fn finish(daemon: Daemon, world: &World, count: usize) {
    let lines = || world.read("out.log").iter().filter(|&&byte| byte == b'\n').count();
    let complete = wait(|| lines() >= count);
    let ended = daemon.stop_well();
    // Shown if the test fails.
    println!("{}", ended.stderr);
    assert_all_in_order(&world.read_text("out.log"), count);
    assert!(complete, "lines came, but late");
}

fn check(way: Way) {
    let mut log = Log::new();
    let config = [APP_LOG, TEXT, &file_out("out", "TRUE", "out.log")].concat();
    let mut daemon = Some(log.world.start(&config));
    for rotation in 0..ROTATIONS {
        log.write(LINES / 2);
        if rotation % STOP_EVERY == STOP_EVERY - 1 {
            let ended = daemon.take().map(Daemon::stop_well);
            println!("{}", ended.map(|it| it.stderr).unwrap_or_default());
        }
        log.write(LINES / 4);
        log.rotate(way);
        log.write(LINES / 4);
        if daemon.is_none() {
            daemon = Some(log.world.start(&config));
        }
    }
    finish(daemon.unwrap(), &log.world, log.numbered.count());
}

#[test]
fn renamed_files_are_read_exactly_once_across_restarts() {
    check(Way::Rename);
}

#[test]
fn copied_and_truncated_files_are_read_exactly_once_across_restarts() {
    check(Way::CopyTruncate);
}

#[test]
fn compressed_files_are_read_exactly_once_across_restarts() {
    check(Way::Compress);
}

/// A writer that waits for nobody: it writes and rotates while the daemon reads, stops and starts.
#[test]
fn a_writer_that_waits_for_nobody_is_read_exactly_once() {
    let mut log = Log::new();
    let output = World::new();
    let config = [APP_LOG, TEXT, &file_out("out", "TRUE", "out.log")].concat();
    let logs = format!("{}/logs", log.world.directory().display());
    let config = config.replace("$DIR/logs", &logs);
    let mut daemon = output.start(&config);
    let writer = std::thread::spawn(move || {
        for rotation in 0..ROTATIONS {
            (0..4 * LINES / 100).for_each(|_| log.write(100));
            if rotation + 1 < ROTATIONS {
                log.rotate(if rotation % 2 == 0 { Way::Rename } else { Way::Compress });
            }
        }
        log
    });
    let mut restarts = 0;
    while !writer.is_finished() || restarts < 3 {
        daemon.stop_well();
        daemon = output.start(&config);
        restarts += 1;
    }
    let log = writer.join().unwrap();
    println!("{restarts} restarts");
    finish(daemon, &output, log.numbered.count());
}
