//! Listening sockets and accepted ones, TCP and Unix behind one face. Not here: when to accept.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv};
use socket2::{SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{StreamNet, TcpInputConfig};
use crate::address::{self, Family};
use crate::socket_file::{self, SocketFile};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;

/// A socket that listens already, outside of any runtime.
#[derive(Debug)]
pub(super) struct Bound {
    socket: Socket,
    file: Option<SocketFile>,
    net: StreamNet,
}

impl Bound {
    pub(super) fn new(config: &TcpInputConfig) -> io::Result<Self> {
        let (socket, file) = match config.net {
            StreamNet::Tcp => (address::bind(&config.address, Family::Any, Type::STREAM)?, None),
            StreamNet::Tcp4 => (address::bind(&config.address, Family::V4, Type::STREAM)?, None),
            StreamNet::Tcp6 => (address::bind(&config.address, Family::V6, Type::STREAM)?, None),
            StreamNet::Unix => socket_file::bind(&config.address, Type::STREAM)?,
        };
        socket.listen(BACKLOG)?;
        Ok(Self { socket, file, net: config.net })
    }

    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }

    pub(super) fn listen(self) -> io::Result<Listener> {
        let socket = match self.net {
            StreamNet::Unix => Inner::Unix(UnixListener::from_std(self.socket.into())?),
            _ => Inner::Tcp(TcpListener::from_std(self.socket.into())?),
        };
        Ok(Listener { socket, _file: self.file })
    }
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Inner,
    /// Held for its drop, which comes after that of the socket.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Inner::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Peer::Remote(address::canonical(address))))
            }
            Inner::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Local))
            }
        }
    }
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// A host, maybe this one.
    Remote(SocketAddr),
    /// A process of this machine, over a Unix socket.
    Local,
}

impl Peer {
    /// The host without port.
    pub(super) fn host(&self) -> String {
        match self {
            Self::Remote(address) => address.ip().to_string(),
            Self::Local => "unix".to_owned(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(address) => address.fmt(out),
            Self::Local => out.write_str("a local process"),
        }
    }
}

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn keep_alive(&self, period: Duration) -> io::Result<()> {
        let Self::Tcp(stream) = self else { return Ok(()) };
        let mut probes = TcpKeepalive::new();
        if !period.is_zero() {
            probes = probes.with_time(period).with_interval(period);
        }
        SockRef::from(stream).set_tcp_keepalive(&probes)
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// Reads what the runtime knows to be there.
    pub(super) fn try_read(&self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(space),
            Self::Unix(stream) => stream.try_read(space),
        }
    }

    /// Reads what the kernel has, whether the runtime has heard of it or not.
    pub(super) fn read_now(&self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(self.as_raw_fd(), space, MsgFlags::MSG_DONTWAIT) {
                Err(nix::errno::Errno::EINTR) => {}
                result => return result.map_err(io::Error::from),
            }
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

/// True for errors that only mean "not now".
pub(super) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
