//! A TCP server that keeps what it gets, and can be slow, deaf or away.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Port, wait};

/// How often threads of a sink look whether they are to end or to pause.
const TICK: Duration = Duration::from_millis(5);

/// A peer that was told goodbye and sends nothing for so long has understood.
const GOODBYE: Duration = Duration::from_millis(500);

/// What the threads of a sink share.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes of each connection, in the order in which they were accepted.
    connections: Mutex<Vec<Vec<u8>>>,
    bytes: AtomicUsize,
    newlines: AtomicUsize,
    paused: AtomicBool,
    /// Nobody is let in any more.
    closing: AtomicBool,
    /// Connections say goodbye; the port refuses by now.
    leaving: AtomicBool,
    /// Ends without reading what is on its way.
    killed: AtomicBool,
}

/// A sink on a port that it keeps while it is closed.
#[derive(Debug)]
pub(crate) struct TcpSink {
    port: Port,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl TcpSink {
    /// Listens at once.
    pub(crate) fn open() -> Self {
        let mut sink = Self::closed();
        sink.reopen();
        sink
    }

    /// Does not listen yet: connections are refused.
    pub(crate) fn closed() -> Self {
        Self { port: Port::reserve(), shared: Arc::default(), acceptor: None }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Listens, also again after it was closed.
    pub(crate) fn reopen(&mut self) {
        assert!(self.acceptor.is_none(), "is open");
        let listener = self.port.listen();
        listener.set_nonblocking(true).unwrap();
        self.shared.closing.store(false, Ordering::SeqCst);
        self.shared.leaving.store(false, Ordering::SeqCst);
        self.shared.killed.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.acceptor = Some(std::thread::spawn(move || accept(listener, &shared)));
    }

    /// Says goodbye on all connections, reads what is still on its way, and refuses further ones.
    pub(crate) fn close(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }

    /// Breaks all connections, as a crash of the peer does.
    pub(crate) fn kill(&mut self) {
        self.shared.killed.store(true, Ordering::SeqCst);
        self.close();
        // On a busy machine the peer's side may hear of it late, and a write in between is lost, as TCP has it.
        assert!(wait(|| !self.port.is_connected_to()), "connections to the port are still open");
    }

    /// Reads nothing for a while; the peer's writes stall once the kernel's buffers are full.
    pub(crate) fn pause(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::SeqCst);
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// Ends of lines read so far.
    pub(crate) fn newlines(&self) -> usize {
        self.shared.newlines.load(Ordering::SeqCst)
    }

    /// All that was read, of each connection the whole lines: a broken connection may end in half a one.
    pub(crate) fn lines(&self) -> String {
        let connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        for bytes in connections.iter() {
            let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            lines.extend_from_slice(&bytes[..end]);
        }
        String::from_utf8(lines).unwrap()
    }

    /// All that was read.
    pub(crate) fn data(&self) -> Vec<u8> {
        self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).concat()
    }

    /// Waits for so many lines.
    pub(crate) fn until_lines(&self, count: usize) {
        let reached = wait(|| self.newlines() >= count);
        assert!(reached, "{} of {count} lines", self.newlines());
    }
}

impl Drop for TcpSink {
    fn drop(&mut self) {
        self.shared.paused.store(false, Ordering::SeqCst);
        self.shared.killed.store(true, Ordering::SeqCst);
        self.shared.closing.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take()
            && acceptor.join().is_err()
        {
            println!("a sink's thread panicked");
        }
    }
}

fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    let mut readers = Vec::new();
    loop {
        // Looked at first, so that who connected before is let in.
        let closing = shared.closing.load(Ordering::SeqCst);
        match listener.accept() {
            Ok((connection, _)) => {
                let mut connections =
                    shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
                let index = connections.len();
                connections.push(Vec::new());
                drop(connections);
                let shared = Arc::clone(shared);
                readers.push(std::thread::spawn(move || read(connection, index, &shared)));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && closing => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(TICK),
            Err(error) => panic!("{error}"),
        }
    }
    // Before the goodbyes: who hears one and comes back must be refused, not let in and forgotten.
    drop(listener);
    shared.leaving.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.join().unwrap();
    }
}

fn read(mut connection: TcpStream, index: usize, shared: &Shared) {
    connection.set_nonblocking(false).unwrap();
    connection.set_read_timeout(Some(TICK)).unwrap();
    let mut block = vec![0; 64 << 10];
    let mut goodbye: Option<Instant> = None;
    loop {
        if shared.leaving.load(Ordering::SeqCst) {
            if shared.killed.load(Ordering::SeqCst) {
                return;
            }
            let since = *goodbye.get_or_insert_with(|| {
                // A peer that is gone already needs no goodbye, but what it left is still to be read.
                let said = connection.shutdown(Shutdown::Write);
                assert!(said.is_ok() || said.is_err_and(|it| it.kind() == ErrorKind::NotConnected));
                Instant::now()
            });
            if since.elapsed() > GOODBYE {
                return;
            }
        } else if shared.paused.load(Ordering::SeqCst) {
            std::thread::sleep(TICK);
            continue;
        }
        match connection.read(&mut block) {
            Ok(0) => return,
            Ok(read) => {
                let new = &block[..read];
                goodbye = goodbye.map(|_| Instant::now());
                let newlines = new.iter().filter(|&&byte| byte == b'\n').count();
                shared.connections.lock().unwrap_or_else(PoisonError::into_inner)[index]
                    .extend_from_slice(new);
                shared.bytes.fetch_add(read, Ordering::SeqCst);
                shared.newlines.fetch_add(newlines, Ordering::SeqCst);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}
