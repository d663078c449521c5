//! Sends messages as datagrams, one each.
//!
//! Here: settings, what is pending, errors. Not here: sockets and system calls (`udp_output/socket.rs`). Invariants: a
//! record over the limit is rejected, never cut; a datagram that the kernel did not take is sent again or rejected,
//! never forgotten; a delivery is acknowledged after the kernel took its datagrams, which says nothing about arrival.

mod socket;

use std::sync::Arc;
use std::time::Duration;

use heka_config::Size;
use heka_plugin::{
    Ack, BoxFuture, Counter, Defaults, Delivery, Encoded, FieldProblems, Flush, NO_DEFAULTS,
    Output, OutputContext, OutputError, Plugin, PluginConfig, StartContext, StartError,
};
use nix::errno::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DatagramNet;
use crate::address;
use socket::Socket;

/// Longest datagram that UDP over IPv4 can carry.
const MAX_MESSAGE_SIZE: Size = Size::new(65_507);
/// Least limit that makes sense.
const MESSAGE_SIZE_MIN: u64 = 512;
/// Wait when the kernel has no room for a datagram and will not tell when it has.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(10);
/// How often one datagram is offered again because an earlier one was refused meanwhile.
const REFUSALS_MAX: u32 = 8;

/// Settings of [`UdpOutput`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UdpOutputConfig {
    /// What the socket speaks: `udp`, `udp4`, `udp6` or `unixgram`.
    pub net: DatagramNet,
    /// Address to send to, `host:port`; with `net = "unixgram"` the path of the receiver's socket, or `@name` for
    /// one without a file. A host is looked up at the start, and again at SIGHUP.
    #[schemars(extend("x-required" = true))]
    pub address: String,
    /// Address to send from, `ip:port`, an IP address alone, or a path or `@name` with `net = "unixgram"`; empty
    /// leaves it to the kernel.
    pub local_address: String,
    /// Longest datagram sent, in bytes, at least 512; a longer message is dropped and counted.
    pub max_message_size: Size,
}

impl Default for UdpOutputConfig {
    fn default() -> Self {
        Self {
            net: DatagramNet::default(),
            address: String::new(),
            local_address: String::new(),
            max_message_size: MAX_MESSAGE_SIZE,
        }
    }
}

impl PluginConfig for UdpOutputConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        let fits = self.max_message_size.bytes() >= MESSAGE_SIZE_MIN;
        problems.require(fits, "max_message_size", "must be at least 512");
        if self.net == DatagramNet::Unixgram {
            problems.require(!self.address.is_empty(), "address", "must not be empty");
            return;
        }
        match address::split(&self.address) {
            Ok((host, _)) => problems.require(!host.is_empty(), "address", "has no host"),
            Err(error) => problems.error("address", format!("cannot be used: {error}")),
        }
        if !self.local_address.is_empty()
            && let Err(error) = address::split_local(&self.local_address)
        {
            problems.error("local_address", format!("cannot be used: {error}"));
        }
    }
}

/// Figures for the daemon's report.
#[derive(Debug, Default)]
struct Counts {
    sent: Counter,
    dropped: Counter,
    refused: Counter,
}

/// A delivery that is not acknowledged yet.
#[derive(Debug)]
struct Held {
    ack: Ack,
    /// Number of the record behind its last one.
    end: usize,
}

/// Sends messages as datagrams.
#[derive(Debug)]
pub struct UdpOutput {
    config: UdpOutputConfig,
    socket: Option<Socket>,
    pending: Encoded,
    held: Vec<Held>,
    /// Numbers of the records that are too long, in order.
    too_long: Vec<usize>,
    /// Number of the next record to send.
    next: usize,
    counts: Arc<Counts>,
    reports: bool,
}

impl Plugin for UdpOutput {
    const NAME: &'static str = "UdpOutput";
    const PAGE: &'static str = include_str!("udp_output.md");
    const DEFAULTS: Defaults =
        Defaults { unconfirmed: Some("UDP gives no answer"), needs_encoder: true, ..NO_DEFAULTS };

    type Config = UdpOutputConfig;

    fn start(config: &UdpOutputConfig, _: &StartContext) -> Result<Self, StartError> {
        let socket = match Socket::open(config) {
            Ok(socket) => Some(socket),
            // The receiver may come later; until then messages wait.
            Err(_) if config.net == DatagramNet::Unixgram => None,
            Err(error) => {
                return Err(StartError::because(format!("send to {}", config.address), error));
            }
        };
        Ok(Self {
            config: config.clone(),
            socket,
            pending: Encoded::new(),
            held: Vec::new(),
            too_long: Vec::new(),
            next: 0,
            counts: Arc::default(),
            reports: false,
        })
    }
}

impl Output for UdpOutput {
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        self.report(context);
        self.hold(delivery, context);
        Box::pin(std::future::ready(Ok(())))
    }

    fn flush<'a>(
        &'a mut self,
        why: Flush,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(async move {
            self.send(context).await?;
            if why == Flush::Reopen {
                self.reopen(context);
            }
            Ok(())
        })
    }

    fn pending_bytes(&self) -> usize {
        self.pending.len()
    }
}

impl UdpOutput {
    fn hold(&mut self, delivery: Delivery, context: &mut OutputContext) {
        let first = self.pending.record_count();
        let mut ack = context.encode(delivery, &mut self.pending);
        let limit = self.config.max_message_size.as_usize();
        let mut start = first.checked_sub(1).and_then(|last| self.pending.record_end(last));
        for index in first..self.pending.record_count() {
            let Some(end) = self.pending.record_end(index) else { break };
            let len = end - start.unwrap_or(0);
            start = Some(end);
            if len > limit {
                let why = format!("message has exceeded allowed UDP data size: {len} > {limit}");
                context.reject(&mut ack, &self.pending.record_bytes(index), &why);
                self.too_long.push(index);
            }
        }
        self.held.push(Held { ack, end: self.pending.record_count() });
    }

    /// Sends all that is pending, then acknowledges it.
    async fn send(&mut self, context: &mut OutputContext) -> Result<(), OutputError> {
        let mut refusals = 0;
        while self.next < self.pending.record_count() {
            if self.too_long.binary_search(&self.next).is_ok() {
                self.next += 1;
                continue;
            }
            let barrier = self.too_long.partition_point(|&index| index < self.next);
            let end = self.too_long.get(barrier).copied().unwrap_or(self.pending.record_count());
            let address = &self.config.address;
            let failed = || OutputError::retry(format!("send to {address}"));
            let socket = match &mut self.socket {
                Some(socket) => socket,
                None => self.socket.insert(Socket::open(&self.config).map_err(failed())?),
            };
            let error = match socket.send(&self.pending, self.next..end).await {
                Ok(sent) => {
                    self.count_bytes(self.next + sent, context);
                    self.next += sent;
                    self.counts.sent.add(sent as u64);
                    refusals = 0;
                    continue;
                }
                Err(error) => error,
            };
            let unix = self.config.net == DatagramNet::Unixgram;
            match error.raw_os_error().map(Errno::from_raw) {
                // This one was not sent since an earlier one met nobody; it may be sent again at once.
                Some(Errno::ECONNREFUSED) if !unix && refusals < REFUSALS_MAX => {
                    self.counts.refused.add(1);
                    refusals += 1;
                }
                Some(Errno::ENOBUFS | Errno::ENOMEM) => tokio::time::sleep(NO_ROOM_PAUSE).await,
                Some(Errno::EMSGSIZE) => self.reject_next(context),
                _ => {
                    let failure = failed()(error);
                    self.socket = None;
                    return Err(failure);
                }
            }
        }
        self.acknowledge();
        Ok(())
    }

    fn acknowledge(&mut self) {
        self.pending.clear();
        self.too_long.clear();
        self.next = 0;
        for held in self.held.drain(..) {
            self.counts.dropped.add(held.ack.rejected());
            held.ack.delivered();
        }
    }

    /// The network cannot carry a datagram of this length.
    fn reject_next(&mut self, context: &OutputContext) {
        let place = self.held.partition_point(|held| held.end <= self.next);
        if let Some(held) = self.held.get_mut(place) {
            let record = self.pending.record_bytes(self.next);
            let why = "the network carries no datagram of this length";
            context.reject(&mut held.ack, &record, &why);
        }
        self.next += 1;
    }

    fn count_bytes(&self, next: usize, context: &OutputContext) {
        let end = |next: usize| {
            next.checked_sub(1).and_then(|last| self.pending.record_end(last)).unwrap_or(0)
        };
        context.counts.bytes.add((end(next) - end(self.next)) as u64);
    }

    /// Looks the address up again.
    fn reopen(&mut self, context: &OutputContext) {
        match Socket::open(&self.config) {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => {
                tracing::warn!(plugin = &*context.name, %error, "socket not opened anew, the old one stays");
            }
        }
    }

    fn report(&mut self, context: &OutputContext) {
        if self.reports {
            return;
        }
        self.reports = true;
        let counts = Arc::clone(&self.counts);
        context.reporter.set(move |report| {
            report.count("ProcessMessageCount", counts.sent.get());
            report.count("DropMessageCount", counts.dropped.get());
            report.count("RefusedCount", counts.refused.get());
        });
    }
}

#[cfg(test)]
mod tests;
