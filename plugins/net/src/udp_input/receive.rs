//! One system call for many datagrams.
//!
//! Invariants: the buffer is allocated once and touched only as far as datagrams reach; the headers are made anew
//! for each call, since the kernel overwrites their lengths.

use std::array;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg,
};

use super::socket::Handle;

/// Most datagrams in one call.
const DATAGRAMS_MAX: usize = 64;
/// Fewest datagrams asked for in one call, so that a burst is not taken one by one.
const DATAGRAMS_MIN: usize = 8;
/// Address space for all datagrams of one call; only what is written to becomes memory.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// What was received.
pub(super) enum Datagram<'a> {
    /// All of it.
    Whole {
        /// Its bytes, maybe none.
        data: &'a [u8],
        /// Who sent it, if that was asked for.
        sender: Option<IpAddr>,
    },
    /// It was longer than the limit; the rest is gone.
    TooLong,
}

/// What one call yielded beside the datagrams.
pub(super) struct Call {
    /// Datagrams that the kernel dropped since the call before.
    pub(super) newly_dropped: u64,
    /// Fewer came than were asked for: none waits.
    pub(super) drained: bool,
}

/// Receives datagrams into a buffer of its own.
#[derive(Debug)]
pub(super) struct Receiver {
    buffer: Vec<u8>,
    datagram_bytes: usize,
    with_sender: bool,
    /// Datagrams to ask for in the next call.
    ask: usize,
    /// What the kernel last said that it dropped in all.
    dropped: u32,
}

impl Receiver {
    pub(super) fn new(datagram_bytes: usize, with_sender: bool) -> Self {
        let count = (BUFFER_BYTES_MAX / datagram_bytes).clamp(1, DATAGRAMS_MAX);
        Self {
            buffer: vec![0; count * datagram_bytes],
            datagram_bytes,
            with_sender,
            ask: DATAGRAMS_MIN.min(count),
            dropped: 0,
        }
    }

    /// Receives what waits, up to a bound, and calls `each` for every datagram. `EAGAIN`: none waits.
    pub(super) fn receive(
        &mut self,
        handle: &Handle,
        each: impl FnMut(Datagram<'_>),
    ) -> Result<Call, Errno> {
        if self.with_sender {
            self.receive_as::<SockaddrStorage>(handle, sender_of, each)
        } else {
            self.receive_as::<()>(handle, |()| None, each)
        }
    }

    fn receive_as<S: SockaddrLike + Copy>(
        &mut self,
        handle: &Handle,
        sender_of: fn(&S) -> Option<IpAddr>,
        mut each: impl FnMut(Datagram<'_>),
    ) -> Result<Call, Errno> {
        let count = self.ask;
        let mut places = self.buffer.chunks_exact_mut(self.datagram_bytes).take(count);
        let mut slices: [[IoSliceMut<'_>; 1]; DATAGRAMS_MAX] =
            array::from_fn(|_| [IoSliceMut::new(places.next().unwrap_or_default())]);
        let mut headers = MultiHeaders::<S>::preallocate(count, Some(cmsg_space!(u32)));
        let flags = MsgFlags::MSG_DONTWAIT;
        let results = recvmmsg(handle.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?;
        let mut received = 0;
        let mut dropped = self.dropped;
        for message in results {
            received += 1;
            // Control messages that did not fit are no reason to lose the datagram.
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(in_all) = control {
                    dropped = in_all;
                }
            }
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                each(Datagram::TooLong);
                continue;
            }
            let sender = message.address.as_ref().and_then(sender_of);
            each(Datagram::Whole { data: message.iovs().next().unwrap_or_default(), sender });
        }
        let newly_dropped = u64::from(dropped.wrapping_sub(self.dropped));
        self.dropped = dropped;
        let most = (self.buffer.len() / self.datagram_bytes).min(DATAGRAMS_MAX);
        self.ask = if received == count { count * 2 } else { received * 2 };
        self.ask = self.ask.max(DATAGRAMS_MIN).min(most);
        Ok(Call { newly_dropped, drained: received < count })
    }
}

fn sender_of(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(address) = address.as_sockaddr_in() {
        return Some(IpAddr::V4(address.ip()));
    }
    let address = address.as_sockaddr_in6()?;
    Some(IpAddr::V6(address.ip()).to_canonical())
}
