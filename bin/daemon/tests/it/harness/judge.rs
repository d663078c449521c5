//! Where lines arrive that are judged at once: a TCP server that takes one connection after another, and the tail of a
//! file. Not here: the judging (`arrivals`).

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Arrivals, Port};

/// How often threads look whether they are to end.
const TICK: Duration = Duration::from_millis(2);
/// Bytes read at once.
const BLOCK_BYTES: usize = 256 << 10;

/// Arrivals that a thread takes while the test looks at them.
#[derive(Debug, Clone)]
pub(crate) struct Judged(Arc<Mutex<Arrivals>>);

impl Judged {
    pub(crate) fn new(arrivals: Arrivals) -> Self {
        Self(Arc::new(Mutex::new(arrivals)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Arrivals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Ends once all connections are at their end.
    closing: AtomicBool,
    /// Ends at once.
    killed: AtomicBool,
    paused: AtomicBool,
    /// Bytes per second that are read; 0: as they come.
    rate: AtomicU64,
}

/// A TCP server. Connections are read one after another, so that what arrives has one order.
#[derive(Debug)]
pub(crate) struct JudgeSink {
    port: Port,
    pub(crate) judged: Judged,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl JudgeSink {
    /// Refuses connections at first.
    pub(crate) fn closed(arrivals: Arrivals) -> Self {
        let judged = Judged::new(arrivals);
        Self { port: Port::reserve(), judged, shared: Arc::default(), thread: None }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.thread.is_some()
    }

    /// Listens.
    pub(crate) fn open(&mut self) {
        assert!(self.thread.is_none(), "is open");
        let listener = self.port.listen();
        listener.set_nonblocking(true).unwrap();
        self.shared.closing.store(false, Ordering::SeqCst);
        let (shared, judged) = (Arc::clone(&self.shared), self.judged.clone());
        self.thread = Some(std::thread::spawn(move || serve(&listener, &shared, &judged)));
    }

    /// Takes all that the peer, which has ended, has sent, and listens no more.
    pub(crate) fn close(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Reads nothing for a while.
    pub(crate) fn pause(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::SeqCst);
    }

    /// Reads so many bytes a second; 0: as they come.
    pub(crate) fn throttle(&self, rate: u64) {
        self.shared.rate.store(rate, Ordering::SeqCst);
    }
}

impl Drop for JudgeSink {
    fn drop(&mut self) {
        self.shared.killed.store(true, Ordering::SeqCst);
        self.shared.closing.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            println!("a sink's thread panicked");
        }
    }
}

fn serve(listener: &TcpListener, shared: &Shared, judged: &Judged) {
    loop {
        // Looked at first, so that who connected before is let in.
        let closing = shared.closing.load(Ordering::SeqCst);
        match listener.accept() {
            Ok((connection, _)) => read(connection, shared, judged),
            Err(error) if error.kind() == ErrorKind::WouldBlock && closing => return,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(TICK),
            Err(error) => panic!("{error}"),
        }
    }
}

fn read(mut connection: TcpStream, shared: &Shared, judged: &Judged) {
    connection.set_nonblocking(false).unwrap();
    connection.set_read_timeout(Some(TICK)).unwrap();
    let mut block = vec![0; BLOCK_BYTES];
    let mut due = Instant::now();
    while !shared.killed.load(Ordering::SeqCst) {
        if shared.paused.load(Ordering::SeqCst) || Instant::now() < due {
            std::thread::sleep(TICK);
            continue;
        }
        match connection.read(&mut block) {
            Ok(read @ 1..) => {
                judged.lock().take(&block[..read]);
                let rate = shared.rate.load(Ordering::SeqCst);
                let pause = (read as u64 * 1_000_000).checked_div(rate).unwrap_or(0);
                // What a pause was too long is made up for, but not that there was nothing to read.
                due = due.max(Instant::now() - 10 * TICK) + Duration::from_micros(pause);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(0) | Err(_) => break,
        }
    }
    judged.lock().forget_torn();
}

#[derive(Debug)]
struct Follower {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    judged: Judged,
    block: Vec<u8>,
}

/// Follows a file that an output appends to.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) judged: Judged,
    follower: Arc<Mutex<Follower>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    pub(crate) fn follow(path: PathBuf, arrivals: Arrivals) -> Self {
        let judged = Judged::new(arrivals);
        let block = vec![0; BLOCK_BYTES];
        let follower = Follower { path, file: None, offset: 0, judged: judged.clone(), block };
        let follower = Arc::new(Mutex::new(follower));
        let ending = Arc::new(AtomicBool::new(false));
        let (shared, end) = (Arc::clone(&follower), Arc::clone(&ending));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::SeqCst) {
                let read = shared.lock().unwrap_or_else(PoisonError::into_inner).read();
                if read == 0 {
                    std::thread::sleep(TICK);
                }
            }
        });
        Self { judged, follower, ending, thread: Some(thread) }
    }

    /// Takes all that was written; a file of more than `bytes_max` is emptied. Its writer rests.
    pub(crate) fn drain(&self, bytes_max: u64) {
        let mut follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        while follower.read() > 0 {}
        if follower.offset > bytes_max {
            File::options().write(true).open(&follower.path).unwrap().set_len(0).unwrap();
            follower.offset = 0;
            follower.file = None;
            self.judged.lock().forget_torn();
        }
    }
}

impl Follower {
    /// Takes a block; the number of bytes that it had.
    fn read(&mut self) -> usize {
        if self.file.is_none() {
            let Ok(file) = File::open(&self.path) else { return 0 };
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return 0 };
        file.seek(SeekFrom::Start(self.offset)).unwrap();
        let read = file.read(&mut self.block).unwrap();
        self.offset += read as u64;
        if read > 0 {
            self.judged.lock().take(&self.block[..read]);
        }
        read
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            println!("a tail's thread panicked");
        }
    }
}
