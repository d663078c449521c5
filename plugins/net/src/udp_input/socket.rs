//! Datagram sockets: bound by us, or inherited. Not here: receiving.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::socket::{SockaddrStorage, getsockname, getsockopt, setsockopt, sockopt};
use socket2::{Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{UdpSocket, UnixDatagram};

use super::{DatagramNet, UdpInputConfig};
use crate::address::{self, Family};
use crate::socket_file::{self, SocketFile};

/// A socket that a runtime watches.
#[derive(Debug)]
pub(super) enum Handle {
    Udp(UdpSocket),
    Unix(UnixDatagram),
    /// Left open by whoever started the daemon; it stays open, so that a restart finds it.
    Inherited(AsyncFd<RawFd>),
}

impl Handle {
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.readable().await,
            Self::Unix(socket) => socket.readable().await,
            Self::Inherited(socket) => {
                socket.readable().await.map(|mut guard| guard.retain_ready())
            }
        }
    }

    /// Calls `receive`; where that returns `WouldBlock`, `readable` waits from then on.
    pub(super) fn try_io(&self, receive: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.try_io(Interest::READABLE, receive),
            Self::Unix(socket) => socket.try_io(Interest::READABLE, receive),
            Self::Inherited(socket) => socket.try_io(Interest::READABLE, |_| receive()),
        }
    }
}

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Udp(socket) => socket.as_raw_fd(),
            Self::Unix(socket) => socket.as_raw_fd(),
            Self::Inherited(socket) => *socket.get_ref(),
        }
    }
}

/// A socket ready to receive, outside of any runtime.
#[derive(Debug)]
pub(super) struct Bound {
    socket: Unwatched,
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Unwatched {
    Udp(Socket),
    Unix(Socket),
    Inherited(RawFd),
}

impl Bound {
    pub(super) fn new(config: &UdpInputConfig, name: &str) -> io::Result<Self> {
        if let Some(number) = address::descriptor(&config.address)? {
            // Says whether it is a socket at all.
            getsockname::<SockaddrStorage>(number)?;
            return Ok(Self { socket: Unwatched::Inherited(number), file: None });
        }
        let (socket, file) = match config.net {
            DatagramNet::Udp => (address::bind(&config.address, Family::Any, Type::DGRAM)?, None),
            DatagramNet::Udp4 => (address::bind(&config.address, Family::V4, Type::DGRAM)?, None),
            DatagramNet::Udp6 => (address::bind(&config.address, Family::V6, Type::DGRAM)?, None),
            DatagramNet::Unixgram => socket_file::bind(&config.address, Type::DGRAM)?,
        };
        set_receive_buffer(&socket, config.receive_buffer.as_usize(), name)?;
        if config.net == DatagramNet::Unixgram {
            return Ok(Self { socket: Unwatched::Unix(socket), file });
        }
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        Ok(Self { socket: Unwatched::Udp(socket), file })
    }

    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Unwatched::Udp(socket) => socket.local_addr().ok()?.as_socket(),
            Unwatched::Unix(_) | Unwatched::Inherited(_) => None,
        }
    }

    /// Has the runtime watch the socket; the file goes when the second value does.
    pub(super) fn watch(self) -> io::Result<(Handle, Option<SocketFile>)> {
        let handle = match self.socket {
            Unwatched::Udp(socket) => Handle::Udp(UdpSocket::from_std(socket.into())?),
            Unwatched::Unix(socket) => Handle::Unix(UnixDatagram::from_std(socket.into())?),
            Unwatched::Inherited(number) => Handle::Inherited(watch_number(number)?),
        };
        Ok((handle, self.file))
    }
}

#[expect(
    deprecated,
    reason = "an inherited descriptor has no owner that a safe call could be given"
)]
fn watch_number(number: RawFd) -> io::Result<AsyncFd<RawFd>> {
    AsyncFd::with_interest(number, Interest::READABLE)
}

/// Sets the kernel's buffer, past the system's limit where we may.
fn set_receive_buffer(socket: &Socket, bytes: usize, name: &str) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let bytes = bytes.min(i32::MAX as usize / 2);
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &bytes)?;
    }
    // The kernel doubles what it is asked for, for its own records, and says so.
    let granted = getsockopt(socket, sockopt::RcvBuf)? / 2;
    if granted < bytes {
        tracing::info!(
            plugin = name,
            asked = bytes,
            granted,
            "receive buffer is smaller than asked for; net.core.rmem_max limits it"
        );
    }
    Ok(())
}
