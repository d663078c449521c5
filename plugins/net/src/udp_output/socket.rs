//! A connected datagram socket, and one system call for many datagrams.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};

use heka_plugin::Encoded;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg};
use socket2::{Domain, SockAddr, Type};
use tokio::io::Interest;
use tokio::net::{UdpSocket, UnixDatagram};

use super::UdpOutputConfig;
use crate::DatagramNet;
use crate::address::{self, Family};
use crate::socket_file::{self, SocketFile};

/// Most datagrams in one call.
const DATAGRAMS_MAX: usize = 64;
/// Most pieces of one datagram that the kernel takes.
const SLICES_MAX: usize = 1024;

/// A socket that sends to one address.
#[derive(Debug)]
pub(super) struct Socket {
    state: State,
    /// Held for its drop.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum State {
    /// Opened, but no runtime watches it yet: starting happens outside. `None`: that failed.
    Opened(Option<socket2::Socket>, DatagramNet),
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Socket {
    pub(super) fn open(config: &UdpOutputConfig) -> io::Result<Self> {
        let (socket, file) = match config.net {
            DatagramNet::Unixgram => open_unix(config)?,
            DatagramNet::Udp => (open_udp(config, Family::Any)?, None),
            DatagramNet::Udp4 => (open_udp(config, Family::V4)?, None),
            DatagramNet::Udp6 => (open_udp(config, Family::V6)?, None),
        };
        Ok(Self { state: State::Opened(Some(socket), config.net), _file: file })
    }

    /// Sends the records of a range, or its first ones, and returns the number sent, at least one. Waits while the
    /// kernel has no room. The error is that of the first record.
    pub(super) async fn send(
        &mut self,
        pending: &Encoded,
        records: Range<usize>,
    ) -> io::Result<usize> {
        if let State::Opened(socket, net) = &mut self.state {
            let socket = socket.take().ok_or(io::ErrorKind::NotConnected)?;
            self.state = match net {
                DatagramNet::Unixgram => State::Unix(UnixDatagram::from_std(socket.into())?),
                _ => State::Udp(UdpSocket::from_std(socket.into())?),
            };
        }
        loop {
            let send = |socket| send_now(socket, pending, records.clone()).map_err(io::Error::from);
            let result = match &self.state {
                State::Opened(..) => return Err(io::ErrorKind::NotConnected.into()),
                State::Udp(socket) => {
                    socket.writable().await?;
                    socket.try_io(Interest::WRITABLE, || send(socket.as_raw_fd()))
                }
                State::Unix(socket) => {
                    socket.writable().await?;
                    socket.try_io(Interest::WRITABLE, || send(socket.as_raw_fd()))
                }
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

fn open_unix(config: &UdpOutputConfig) -> io::Result<(socket2::Socket, Option<SocketFile>)> {
    let (socket, file) = if config.local_address.is_empty() {
        let socket = socket2::Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        (socket, None)
    } else {
        socket_file::bind(&config.local_address, Type::DGRAM)?
    };
    socket.connect(&address::unix(&config.address)?)?;
    Ok((socket, file))
}

fn open_udp(config: &UdpOutputConfig, family: Family) -> io::Result<socket2::Socket> {
    let (host, port) = address::split(&config.address)?;
    let target = address::resolve(host, port, family)?.into_iter().next();
    let target = target.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = socket2::Socket::new(Domain::for_address(target), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    if !config.local_address.is_empty() {
        let (host, port) = address::split_local(&config.local_address)?;
        let family = if target.is_ipv4() { Family::V4 } else { Family::V6 };
        let local = address::resolve(host, port, family)?.into_iter().next();
        let local = local.ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.bind(&SockAddr::from(local))?;
    }
    socket.connect(&SockAddr::from(target))?;
    Ok(socket)
}

/// Hands datagrams to the kernel; how many it took, at least one.
fn send_now(socket: RawFd, pending: &Encoded, records: Range<usize>) -> Result<usize, Errno> {
    let records = records.start..records.end.min(records.start + DATAGRAMS_MAX);
    let mut pieces = Vec::with_capacity(2 * records.len());
    let mut joined = Vec::new();
    let ends = gather(pending, records, &mut pieces);
    let mut datagrams: Vec<&[IoSlice<'_>]> = Vec::with_capacity(ends.len());
    let mut start = 0;
    for &end in &ends {
        datagrams.push(&pieces[start..end]);
        start = end;
    }
    if let Some(first) = datagrams.first()
        && first.len() > SLICES_MAX
    {
        // More pieces than the kernel takes; this one goes alone, in one piece.
        joined.extend(first.iter().flat_map(|piece| piece.iter().copied()));
        return send_one(socket, &joined);
    }
    let usable = datagrams.iter().take_while(|pieces| pieces.len() <= SLICES_MAX).count();
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let mut headers = MultiHeaders::<()>::preallocate(usable, None);
    let addresses = [None::<()>; DATAGRAMS_MAX];
    let sent = sendmmsg(socket, &mut headers, &datagrams[..usable], addresses, [], flags)?;
    Ok(sent.count())
}

fn send_one(socket: RawFd, datagram: &[u8]) -> Result<usize, Errno> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    nix::sys::socket::send(socket, datagram, flags).map(|_| 1)
}

/// The pieces of the given records in order, and the number of pieces before the end of each record.
fn gather<'a>(
    pending: &'a Encoded,
    records: Range<usize>,
    pieces: &mut Vec<IoSlice<'a>>,
) -> Vec<usize> {
    let mut ends = Vec::with_capacity(records.len());
    let mut at =
        records.start.checked_sub(1).and_then(|last| pending.record_end(last)).unwrap_or(0);
    let mut slices = pending.slices(at);
    let mut rest: &[u8] = &[];
    for index in records {
        let end = pending.record_end(index).unwrap_or(at);
        while at < end {
            if rest.is_empty() {
                let Some(next) = slices.next() else { break };
                rest = next;
            }
            let (piece, after) = rest.split_at(rest.len().min(end - at));
            pieces.push(IoSlice::new(piece));
            at += piece.len();
            rest = after;
        }
        ends.push(pieces.len());
    }
    ends
}
