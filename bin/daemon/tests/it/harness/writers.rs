//! Sources of numbered lines that run beside the test: files that grow and are rotated, peers that come back.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Judged, LINE_BYTES, line_block};

/// How often something is written.
const TICK: Duration = Duration::from_millis(4);
/// Lines written at once.
const LINES_AT_ONCE: usize = 2_000;
/// Files that were moved away and are kept although they are long read.
const OLD_FILES: usize = 5;
/// Of what a peer sent so much is remembered.
const REMEMBERED: usize = 5_000;

/// What a source and its owner share.
#[derive(Debug, Default)]
struct Shared {
    ending: AtomicBool,
    resting: AtomicBool,
    lines: AtomicUsize,
    /// Bytes per second; 0: as fast as it goes.
    rate: AtomicU64,
    /// Lines sent until then.
    history: Mutex<VecDeque<(Instant, usize)>>,
}

/// A running source; it ends with its owner.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(rate: u64, work: impl FnOnce(&Shared) + Send + 'static) -> Self {
        let shared = Arc::new(Shared { rate: AtomicU64::new(rate), ..Shared::default() });
        let own = Arc::clone(&shared);
        Self { shared, thread: Some(std::thread::spawn(move || work(&own))) }
    }

    /// Lines written so far.
    pub(crate) fn lines(&self) -> usize {
        self.shared.lines.load(Ordering::SeqCst)
    }

    /// Lines written since then, as far as that is remembered.
    pub(crate) fn lines_since(&self, time: Instant) -> usize {
        let history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        let before = history.iter().rev().find(|(at, _)| *at <= time);
        let before = before.or(history.front()).map_or(0, |&(_, lines)| lines);
        self.lines() - before
    }

    /// Writes nothing for a while; what was begun is finished.
    pub(crate) fn rest(&self, resting: bool) {
        self.shared.resting.store(resting, Ordering::SeqCst);
    }

    /// So many bytes per second from now on; 0: as fast as it goes.
    pub(crate) fn pace(&self, rate: u64) {
        self.shared.rate.store(rate, Ordering::SeqCst);
    }

    /// Ends it; the lines that it wrote.
    pub(crate) fn finish(mut self) -> usize {
        self.end();
        self.lines()
    }

    fn end(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            println!("a source's thread panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    fn wrote(&self, lines: usize) {
        let lines = self.lines.fetch_add(lines, Ordering::SeqCst) + lines;
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.push_back((Instant::now(), lines));
        if history.len() > REMEMBERED {
            history.pop_front();
        }
    }

    /// Waits for its turn; how many lines to write now. `None`: it is to end.
    fn due(&self, credit: &mut f64, last: &mut Instant) -> Option<usize> {
        loop {
            if self.is_ending() {
                return None;
            }
            let rate = self.rate.load(Ordering::SeqCst);
            let elapsed = last.elapsed().as_secs_f64();
            *last = Instant::now();
            if self.resting.load(Ordering::SeqCst) {
                *credit = 0.0;
            } else if rate == 0 {
                return Some(LINES_AT_ONCE);
            } else {
                // What a busy machine held up is not made up for: it would come as a burst.
                *credit =
                    (*credit + elapsed * rate as f64 / LINE_BYTES as f64).min(LINES_AT_ONCE as f64);
                if *credit >= 1.0 {
                    let lines = *credit as usize;
                    *credit -= lines as f64;
                    return Some(lines);
                }
            }
            std::thread::sleep(TICK);
        }
    }
}

/// A log file that is rotated now and then.
pub(crate) struct GrowingLog {
    pub(crate) directory: PathBuf,
    pub(crate) name: u8,
    pub(crate) rate: u64,
    /// Bytes after which the file is moved away, about.
    pub(crate) rotate_bytes: usize,
    pub(crate) rng: fastrand::Rng,
    /// Number of the first line that did not arrive everywhere: files far below it are removed.
    pub(crate) arrived: Box<dyn Fn() -> usize + Send>,
    /// It waits rather than be so many lines ahead of what was read.
    pub(crate) lead_max: usize,
    /// Number of the first line that was not read.
    pub(crate) read: Box<dyn Fn() -> usize + Send>,
}

impl GrowingLog {
    /// An input over all such logs in `logs`, one stream for each name.
    pub(crate) const INPUT: &str = r#"
[logs]
type = "LogstreamerInput"
log_directory = "$DIR/logs"
file_match = '(?P<Name>[a-z])\.log\.?(?P<Seq>\d*)'
differentiator = ["Name"]
priority = ["^Seq"]
"#;

    pub(crate) fn start(self) -> Writer {
        fs::create_dir_all(&self.directory).unwrap();
        Writer::start(self.rate, move |shared| self.run(shared))
    }

    fn path(&self, number: usize) -> PathBuf {
        let end = if number == 0 { String::new() } else { format!(".{number}") };
        self.directory.join(format!("{}.log{end}", self.name as char))
    }

    fn open(&self) -> File {
        File::options().append(true).create(true).open(self.path(0)).unwrap()
    }

    fn run(mut self, shared: &Shared) {
        let mut file = self.open();
        // Numbers behind the last lines of the old files, the newest first.
        let mut old = VecDeque::new();
        let (mut next, mut bytes) = (0, 0);
        let (mut credit, mut last) = (0.0, Instant::now());
        let mut limit = self.rotate_bytes;
        while let Some(lines) = shared.due(&mut credit, &mut last) {
            if next - (self.read)() > self.lead_max {
                std::thread::sleep(TICK);
                continue;
            }
            file.write_all(&line_block(self.name, next, lines)).unwrap();
            next += lines;
            bytes += lines * LINE_BYTES;
            shared.wrote(lines);
            if bytes >= limit {
                self.rotate(&mut old);
                old.push_front(next);
                file = self.open();
                bytes = 0;
                limit = self.rng.usize(self.rotate_bytes / 2..=self.rotate_bytes * 2);
            }
        }
    }

    fn rotate(&self, old: &mut VecDeque<usize>) {
        let arrived = (self.arrived)();
        while old.len() > OLD_FILES && old[old.len() - OLD_FILES] <= arrived {
            fs::remove_file(self.path(old.len())).unwrap();
            old.pop_back();
        }
        for number in (0..=old.len()).rev() {
            fs::rename(self.path(number), self.path(number + 1)).unwrap();
        }
    }
}

/// A peer that sends lines, and comes back when its connection breaks.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) name: u8,
    pub(crate) rate: u64,
    /// Who is to know where connections begin.
    pub(crate) told: Vec<Judged>,
}

impl Peer {
    pub(crate) fn start(self) -> Writer {
        Writer::start(self.rate, move |shared| self.run(shared))
    }

    fn run(self, shared: &Shared) {
        let (mut credit, mut last) = (0.0, Instant::now());
        let mut next = 0;
        while !shared.is_ending() {
            let Ok(mut connection) = TcpStream::connect(self.address) else {
                std::thread::sleep(TICK);
                continue;
            };
            self.told.iter().for_each(|judged| judged.lock().begins(self.name, next));
            while let Some(lines) = shared.due(&mut credit, &mut last) {
                let block = line_block(self.name, next, lines);
                let sent = send(&mut connection, &block);
                // A line of which a part was sent counts as sent: nobody knows what became of it.
                let sent_lines = sent.div_ceil(LINE_BYTES);
                next += sent_lines;
                shared.wrote(sent_lines);
                if sent < block.len() {
                    break;
                }
            }
        }
    }
}

/// Sends all of it unless the connection breaks; the number of bytes sent.
fn send(connection: &mut TcpStream, block: &[u8]) -> usize {
    let mut sent = 0;
    while sent < block.len() {
        match connection.write(&block[sent..]) {
            Ok(written @ 1..) => sent += written,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    sent
}

/// A sender of datagrams of one line each.
pub(crate) struct Datagrams {
    pub(crate) address: SocketAddr,
    pub(crate) name: u8,
    pub(crate) rate: u64,
}

impl Datagrams {
    pub(crate) fn start(self) -> Writer {
        Writer::start(self.rate, move |shared| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let (mut credit, mut last) = (0.0, Instant::now());
            let mut next = 0;
            while let Some(lines) = shared.due(&mut credit, &mut last) {
                for line in line_block(self.name, next, lines).chunks(LINE_BYTES) {
                    socket.send_to(line, self.address).unwrap();
                }
                next += lines;
                shared.wrote(lines);
            }
        })
    }
}
