//! What feeds the daemon and what takes from it.
//!
//! Here: sending over sockets, a server that counts. Not here: what is sent. Invariant: neither looks at the
//! bytes more than it must, since it runs on the same machine as what is measured.

use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Bytes read from a connection at a time.
const READ_BYTES: usize = 1 << 20;
/// How long a daemon may take to close a connection that was read to its end.
const CLOSE_TIME: Duration = Duration::from_secs(120);

/// Sends a file over a connection and waits until the other side closes it.
///
/// # Errors
/// If the connection fails.
pub(crate) fn send_file(path: &Path, port: u16) -> Result<()> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut stream = TcpStream::connect(local(port)).context("cannot connect to the daemon")?;
    // Copied inside of the kernel.
    io::copy(&mut file, &mut stream).context("cannot send to the daemon")?;
    stream.shutdown(Shutdown::Write).context("cannot end the connection")?;
    stream.set_read_timeout(Some(CLOSE_TIME)).context("cannot set a time limit")?;
    match stream.read(&mut [0; 1]) {
        Ok(_) => Ok(()),
        // It closes without having looked at everything that it was sent last.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error).context("the daemon does not close the connection"),
    }
}

/// Sends each record as a datagram, as fast as it goes.
///
/// # Errors
/// If the socket fails; that nobody listens is no failure.
pub(crate) fn send_datagrams<'a>(records: impl Iterator<Item = &'a [u8]>, port: u16) -> Result<()> {
    let socket = UdpSocket::bind(local(0)).context("cannot open a socket")?;
    socket.connect(local(port)).context("cannot address the daemon")?;
    for record in records {
        match socket.send(record) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error).context("cannot send to the daemon"),
        }
    }
    Ok(())
}

/// A port that nobody listens on at the moment, neither for connections nor for datagrams.
///
/// # Errors
/// If there is none.
pub(crate) fn free_port() -> Result<u16> {
    loop {
        let listener = TcpListener::bind(local(0)).context("cannot find a free port")?;
        let port = listener.local_addr().context("a port has no number")?.port();
        if UdpSocket::bind(local(port)).is_ok() {
            return Ok(port);
        }
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// What a sink has got so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// When the last of it came.
    pub(crate) at: Instant,
}

/// A server that takes everything and counts it.
#[derive(Debug)]
pub(crate) struct Counter {
    port: u16,
    shared: Arc<Shared>,
    news: Receiver<Got>,
}

#[derive(Debug)]
struct Shared {
    lines: AtomicU64,
    bytes: AtomicU64,
    /// Lines are to be counted, not only bytes.
    by_line: bool,
    closed: AtomicBool,
}

impl Counter {
    /// Listens on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn start(by_line: bool) -> Result<Self> {
        let listener = TcpListener::bind(local(0)).context("cannot listen")?;
        let port = listener.local_addr().context("a port has no number")?.port();
        let (lines, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { lines, bytes, by_line, closed: AtomicBool::new(false) });
        let (sender, news) = mpsc::channel();
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting, &sender));
        Ok(Self { port, shared, news })
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until `enough`, or until nothing came for `quiet`, and returns what came last; none if nothing did.
    pub(crate) fn wait(&self, quiet: Duration, enough: impl Fn(&Got) -> bool) -> Option<Got> {
        let mut last = None;
        loop {
            match self.news.recv_timeout(quiet) {
                Ok(got) if enough(&got) => return Some(got),
                Ok(got) => last = Some(got),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return last,
            }
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; if that fails it ends with the process.
        drop(TcpStream::connect(local(self.port)));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, news: &Sender<Got>) {
    for stream in listener.incoming() {
        if shared.closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (shared, news) = (Arc::clone(shared), news.clone());
        std::thread::spawn(move || count(stream, &shared, &news));
    }
}

fn count(mut stream: TcpStream, shared: &Shared, news: &Sender<Got>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        // This program is built without optimization, its dependencies are not: a loop of our own here
        // would be the slowest part of what is measured.
        let newlines = || memchr::memchr_iter(b'\n', bytes).count() as u64;
        let lines = if shared.by_line { newlines() } else { 0 };
        let lines = shared.lines.fetch_add(lines, Ordering::Relaxed) + lines;
        let bytes = shared.bytes.fetch_add(length as u64, Ordering::Relaxed) + length as u64;
        if news.send(Got { lines, bytes, at: Instant::now() }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_sink_counts_lines_and_bytes_and_says_when_it_has_enough() {
        let counter = Counter::start(true).unwrap();
        let mut stream = TcpStream::connect(local(counter.port())).unwrap();
        stream.write_all(b"a\nbc\nd").unwrap();
        let got = counter.wait(Duration::from_secs(10), |got| got.bytes == 6).unwrap();
        assert_eq!((got.lines, got.bytes), (2, 6));
    }

    #[test]
    fn a_sink_that_gets_nothing_says_so() {
        let counter = Counter::start(true).unwrap();
        assert_eq!(counter.wait(Duration::from_millis(1), |_| true), None);
    }
}
