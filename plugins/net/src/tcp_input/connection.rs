//! Reads one connection until its end.
//!
//! Invariants: while it waits it holds no buffer, unless half a record is in it; it never reads faster than the
//! stream takes; what the kernel has when the stop comes is still read.

use std::io;
use std::time::Duration;

use heka_plugin::{Feed, InputError, Stop};
use tokio::time::Instant;

use super::listener::{Peer, Stream, is_transient};

/// After so many reads in a row others get the thread: each read may be a buffer full to split and decode.
const READS_PER_TURN: u32 = 4;
/// Most bytes read after the stop; more than a kernel buffer holds, so only a peer that goes on sending is cut off.
const DRAIN_BYTES_MAX: usize = 16 << 20;

/// Why a connection was closed.
#[derive(Debug)]
pub(super) enum Close {
    /// The peer closed it.
    Ended,
    /// The daemon stops.
    Stopped,
    /// Nothing came for too long.
    Idle(Peer),
    /// Reading failed.
    Failed(Peer, io::Error),
}

/// All that can wake a connection.
enum Wake {
    Stop,
    Readable(io::Result<()>),
    /// Nothing came for so long that the unterminated rest is a record.
    FlushRest,
    Idle,
}

/// One accepted connection.
pub(super) struct Connection {
    stream: Stream,
    peer: Peer,
    feed: Feed,
    stop: Stop,
    idle_timeout: Option<Duration>,
    last_read: Instant,
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        peer: Peer,
        feed: Feed,
        stop: Stop,
        idle_timeout: Option<Duration>,
    ) -> Self {
        Self { stream, peer, feed, stop, idle_timeout, last_read: Instant::now() }
    }

    /// Reads to the end. An error is one of the stream behind it; those of the connection are a [`Close`].
    pub(super) async fn serve(&mut self) -> Result<Close, InputError> {
        loop {
            self.feed.release_buffer();
            match self.wait().await {
                Wake::Readable(Ok(())) => {
                    if let Some(result) = self.read_available().await? {
                        return self.close(result).await;
                    }
                }
                Wake::Readable(Err(error)) => return self.close(Err(error)).await,
                Wake::FlushRest => self.feed.end(true).await?,
                Wake::Idle => {
                    self.feed.end(false).await?;
                    return Ok(Close::Idle(self.peer.clone()));
                }
                Wake::Stop => return self.drain().await,
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let flush_after = self.feed.flush_after().filter(|_| self.feed.pending() > 0);
        let flush_at = flush_after.map(|after| self.last_read + after);
        let idle_at = self.idle_timeout.map(|after| self.last_read + after);
        let due = [flush_at, idle_at].into_iter().flatten().min();
        tokio::select! {
            biased;
            () = self.stop.wait() => Wake::Stop,
            result = self.stream.readable() => Wake::Readable(result),
            () = tokio::time::sleep_until(due.unwrap_or(self.last_read)), if due.is_some() => {
                if due == flush_at { Wake::FlushRest } else { Wake::Idle }
            }
        }
    }

    /// Reads while there is something. `Some`: the connection ended, cleanly or not.
    async fn read_available(&mut self) -> Result<Option<io::Result<()>>, InputError> {
        let mut reads = 0;
        loop {
            match self.stream.try_read(self.feed.space()) {
                Ok(0) => return Ok(Some(Ok(()))),
                Ok(read) => self.feed.commit(read).await?,
                Err(error) if is_transient(&error) => {
                    if reads > 0 {
                        self.last_read = Instant::now();
                    }
                    return Ok(None);
                }
                Err(error) => return Ok(Some(Err(error))),
            }
            reads += 1;
            if reads % READS_PER_TURN == 0 {
                if self.stop.is_set() {
                    return Ok(None);
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// The daemon stops: reads what is already here.
    async fn drain(&mut self) -> Result<Close, InputError> {
        let mut drained = 0;
        while drained < DRAIN_BYTES_MAX {
            match self.stream.read_now(self.feed.space()) {
                Ok(0) => break,
                Ok(read) => {
                    drained += read;
                    self.feed.commit(read).await?;
                }
                Err(error) if is_transient(&error) => break,
                Err(error) => return Ok(Close::Failed(self.peer.clone(), error)),
            }
        }
        self.feed.end(false).await?;
        Ok(Close::Stopped)
    }

    /// A clean end may make a record of the rest, a broken connection gives it up.
    async fn close(&mut self, result: io::Result<()>) -> Result<Close, InputError> {
        match result {
            Ok(()) => {
                self.feed.end(false).await?;
                Ok(Close::Ended)
            }
            Err(error) => Ok(Close::Failed(self.peer.clone(), error)),
        }
    }
}
