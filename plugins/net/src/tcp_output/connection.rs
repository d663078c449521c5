//! One outgoing connection. Not here: what is sent, and what is done when sending fails.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::Duration;

use heka_plugin::Encoded;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use super::TcpOutputConfig;
use crate::address;

/// Pieces handed to the kernel in one call.
const SLICES_MAX: usize = 512;
/// What the peer sends is thrown away in pieces of this size.
const DISCARD_BYTES: usize = 4096;
/// Most pieces thrown away at a time.
const DISCARDS_MAX: usize = 64;

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects to the first address of the host that answers.
    pub(super) async fn open(config: &TcpOutputConfig) -> io::Result<Self> {
        let limit = config.connect_timeout.get();
        let stream = match tokio::time::timeout(limit, connect(config)).await {
            Ok(result) => result?,
            Err(_) => return Err(timed_out(limit)),
        };
        if stream.local_addr()? == stream.peer_addr()? {
            // Where nobody listens the kernel may choose the very port it connects to as its own: what we sent would come
            // back to us and count as delivered.
            return Err(io::Error::new(ErrorKind::ConnectionRefused, "connected to itself"));
        }
        stream.set_nodelay(true)?;
        if config.keep_alive {
            let period = config.keep_alive_period.get();
            let mut probes = TcpKeepalive::new();
            if !period.is_zero() {
                probes = probes.with_time(period).with_interval(period);
            }
            SockRef::from(&stream).set_tcp_keepalive(&probes)?;
        }
        Ok(Self { stream })
    }

    /// True if the peer closed its side, or the connection broke. Asks the kernel, not the runtime, which may not
    /// have heard of it yet. What the peer sent is thrown away: nothing is expected from it, and unread bytes would
    /// turn our close into a reset that can cost the peer what it has not read yet.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut discarded = [0; DISCARD_BYTES];
        for _ in 0..DISCARDS_MAX {
            match recv(self.stream.as_raw_fd(), &mut discarded, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return true,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return false,
                Err(_) => return true,
            }
        }
        false
    }

    /// Writes a part of the given bytes; waits until the kernel takes some, but no longer than `timeout` if that is
    /// not 0. Cancelled, nothing was written.
    pub(super) async fn write(
        &mut self,
        pending: &Encoded,
        range: Range<usize>,
        timeout: Duration,
    ) -> io::Result<usize> {
        loop {
            match self.try_write(pending, &range) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => return result,
            }
            if timeout.is_zero() {
                self.stream.writable().await?;
            } else {
                let writable = tokio::time::timeout(timeout, self.stream.writable()).await;
                writable.map_err(|_| timed_out(timeout))??;
            }
            if self.is_closed() {
                return Err(ErrorKind::ConnectionReset.into());
            }
        }
    }

    /// Ends our side after what was written.
    pub(super) fn finish(&mut self) {
        if !self.is_closed()
            && let Err(error) = SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write)
        {
            tracing::debug!(%error, "connection not shut down");
        }
    }

    fn try_write(&self, pending: &Encoded, range: &Range<usize>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut used = 0;
        let mut left = range.len();
        for (place, bytes) in slices.iter_mut().zip(pending.slices(range.start)) {
            let bytes = &bytes[..bytes.len().min(left)];
            *place = IoSlice::new(bytes);
            used += 1;
            left -= bytes.len();
            if left == 0 {
                break;
            }
        }
        self.stream.try_write_vectored(&slices[..used])
    }
}

fn timed_out(limit: Duration) -> io::Error {
    io::Error::new(ErrorKind::TimedOut, format!("no answer within {limit:?}"))
}

async fn connect(config: &TcpOutputConfig) -> io::Result<TcpStream> {
    let (host, port) = address::split(&config.address)?;
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    // An address that does not answer must not use up the time of the others.
    let limit = config.connect_timeout.get() / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match tokio::time::timeout(limit, connect_to(address, &config.local_address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = timed_out(limit),
        }
    }
    Err(failure)
}

async fn connect_to(address: SocketAddr, local_address: &str) -> io::Result<TcpStream> {
    if local_address.is_empty() {
        return TcpStream::connect(address).await;
    }
    let (host, port) = address::split_local(local_address)?;
    let mut found = tokio::net::lookup_host((host, port)).await?;
    let local = found.find(|local| local.is_ipv4() == address.is_ipv4());
    let local = local.ok_or(ErrorKind::AddrNotAvailable)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(local)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_to_itself_is_none() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = TcpOutputConfig {
            local_address: address.clone(),
            address,
            ..TcpOutputConfig::default()
        };
        let refused = Connection::open(&config).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.to_string(), "connected to itself");
    }
}
