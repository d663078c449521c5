//! Receives datagrams; each is a block of its own for the splitter.
//!
//! Here: settings, the receive loop. Not here: sockets (`socket`), the system call (`receive`). Invariants: a record
//! never spans datagrams; every datagram that the kernel dropped for want of room is counted, once the next one
//! comes; the buffer is allocated once.

mod receive;
mod socket;

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use heka_config::Size;
use heka_plugin::{
    BoxFuture, Feed, FieldProblems, Input, InputContext, InputError, Plugin, PluginConfig,
    StartContext, StartError,
};
use nix::errno::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address;
use receive::{Datagram, Receiver};
use socket::{Bound, Handle};

/// Kernel buffer asked for unless said otherwise: some 10,000 datagrams of usual size.
const RECEIVE_BUFFER: Size = Size::mib(8);
/// Longest datagram received unless said otherwise: the longest that UDP has fits.
const MAX_DATAGRAM: Size = Size::kib(64);
/// Bounds of the longest datagram.
const MAX_DATAGRAM_RANGE: std::ops::RangeInclusive<u64> = 512..=16 << 20;
/// A batch is published when it holds so many bytes, even if more datagrams wait.
const PUBLISH_BYTES: usize = 256 << 10;
/// A batch is published after so many system calls, even if more datagrams wait.
const CALLS_PER_BATCH: usize = 16;
/// Most batches received after the stop.
const DRAIN_BATCHES_MAX: usize = 64;
/// Wait after an error of receiving, so that a lasting one costs no processor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// What a datagram socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatagramNet {
    /// UDP over IPv4 and IPv6.
    #[default]
    Udp,
    /// UDP over IPv4.
    Udp4,
    /// UDP over IPv6.
    Udp6,
    /// A Unix datagram socket.
    Unixgram,
}

/// Settings of [`UdpInput`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UdpInputConfig {
    /// Address to receive on, `host:port`; without host all addresses of the machine. With `net = "unixgram"` the
    /// path of the socket, or `@name` for one without a file. `fd:3` uses descriptor 3, which the process that
    /// started the daemon left open.
    #[schemars(extend("x-required" = true))]
    pub address: String,
    /// What the socket speaks: `udp`, `udp4`, `udp6` or `unixgram`.
    pub net: DatagramNet,
    /// Sets `Hostname` to the sender's IP address without port. Not with `unixgram` nor `fd:`, and without effect
    /// where the splitter hands encoded messages to the decoder.
    pub set_hostname: bool,
    /// Longest datagram received, in bytes, from 512 to 16 MiB; a longer one is dropped and counted.
    pub max_datagram: Size,
    /// Kernel buffer for datagrams that are not received yet; the kernel may grant less. 0 leaves the kernel's default.
    /// Without effect on `fd:`.
    pub receive_buffer: Size,
}

impl Default for UdpInputConfig {
    fn default() -> Self {
        Self {
            address: String::new(),
            net: DatagramNet::default(),
            set_hostname: false,
            max_datagram: MAX_DATAGRAM,
            receive_buffer: RECEIVE_BUFFER,
        }
    }
}

impl PluginConfig for UdpInputConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        let inherited = match address::descriptor(&self.address) {
            Ok(descriptor) => descriptor.is_some(),
            Err(error) => {
                problems.error("address", format!("cannot be used: {error}"));
                true
            }
        };
        if self.address.is_empty() {
            problems.error("address", "must not be empty");
        } else if self.net != DatagramNet::Unixgram
            && !inherited
            && let Err(error) = address::split(&self.address)
        {
            problems.error("address", format!("cannot be used: {error}"));
        }
        let named = inherited || self.net == DatagramNet::Unixgram;
        problems.require(
            !(self.set_hostname && named),
            "set_hostname",
            "cannot be used with a Unix socket or an inherited descriptor",
        );
        let fits = MAX_DATAGRAM_RANGE.contains(&self.max_datagram.bytes());
        problems.require(fits, "max_datagram", "must lie in 512..=16777216");
    }
}

/// Receives datagrams.
#[derive(Debug)]
pub struct UdpInput {
    config: UdpInputConfig,
    bound: Option<Bound>,
}

impl Plugin for UdpInput {
    const NAME: &'static str = "UdpInput";
    const PAGE: &'static str = include_str!("udp_input.md");

    type Config = UdpInputConfig;

    fn start(config: &UdpInputConfig, context: &StartContext) -> Result<Self, StartError> {
        let bound = Bound::new(config, &context.name).map_err(|error| {
            StartError::because(format!("receive on {}", config.address), error)
        })?;
        Ok(Self { config: config.clone(), bound: Some(bound) })
    }
}

impl Input for UdpInput {
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>> {
        Box::pin(self.serve(context))
    }
}

impl UdpInput {
    /// The address that it receives on, while it was started but does not run yet.
    #[must_use]
    pub fn local_address(&self) -> Option<std::net::SocketAddr> {
        self.bound.as_ref().and_then(Bound::local_address)
    }

    async fn serve(&mut self, context: &mut InputContext) -> Result<(), InputError> {
        let failed = || InputError::io(format!("receive on {}", self.config.address));
        let bound = match self.bound.take() {
            Some(bound) => bound,
            None => Bound::new(&self.config, &context.start.name).map_err(failed())?,
        };
        let address =
            bound.local_address().map_or(self.config.address.clone(), |it| it.to_string());
        let (handle, _file) = bound.watch().map_err(failed())?;
        tracing::info!(plugin = &*context.start.name, address, "receiving");
        context.reporter.set(move |report| report.text("ListenAddress", address.clone()));
        let envelope = context.envelope().message_type(&context.start.name);
        let mut run = Run {
            receiver: Receiver::new(self.config.max_datagram.as_usize(), self.config.set_hostname),
            feed: context.feed("", envelope)?,
            hostname: Hostname::default(),
            received: 0,
        };
        let mut stop = context.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => break,
                result = handle.readable() => result.map_err(failed())?,
            }
            let result = handle.try_io(|| run.fill(&handle, context));
            run.publish().await?;
            match result {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    context.problem(&format_args!("cannot receive: {error}"));
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
        for _ in 0..DRAIN_BATCHES_MAX {
            let result = run.fill(&handle, context);
            run.publish().await?;
            if result.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// What the loop works on.
struct Run {
    receiver: Receiver,
    feed: Feed,
    hostname: Hostname,
    /// Datagrams received: the position in the stream.
    received: u64,
}

impl Run {
    /// Receives until there is enough for a batch, or nothing waits, which is the error `WouldBlock`.
    fn fill(&mut self, handle: &Handle, context: &InputContext) -> io::Result<()> {
        let Self { receiver, feed, hostname, received } = self;
        let counts = &context.counts;
        for _ in 0..CALLS_PER_BATCH {
            let result = receiver.receive(handle, |datagram| {
                *received += 1;
                match datagram {
                    Datagram::Whole { data: &[], .. } => {}
                    Datagram::Whole { data, sender: Some(ip) } => {
                        let hostname = hostname.of(ip);
                        feed.block(data, |record| {
                            record.hostname(hostname);
                        });
                    }
                    Datagram::Whole { data, sender: None } => feed.block(data, |_| {}),
                    Datagram::TooLong => {
                        counts.records.add(1);
                        counts.oversize_dropped.add(1);
                    }
                }
            });
            let call = match result {
                Ok(call) => call,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            context.counts.kernel_dropped.add(call.newly_dropped);
            if call.drained {
                return Err(ErrorKind::WouldBlock.into());
            }
            if feed.block_bytes() >= PUBLISH_BYTES {
                break;
            }
        }
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), InputError> {
        self.feed.publish(self.received).await
    }
}

/// The sender's address as text; most datagrams come from the same sender as the one before.
#[derive(Debug, Default)]
struct Hostname {
    ip: Option<IpAddr>,
    text: String,
}

impl Hostname {
    fn of(&mut self, ip: IpAddr) -> &str {
        if self.ip != Some(ip) {
            self.ip = Some(ip);
            self.text = ip.to_string();
        }
        &self.text
    }
}

#[cfg(test)]
mod tests;
