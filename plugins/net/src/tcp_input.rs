//! Accepts stream connections and reads them, each on its own.
//!
//! Here: settings, the accept loop, the connection limit. Not here: reading one connection (`connection`), the
//! sockets (`listener`). Invariants: connections are tasks owned by `run`, a panic in one is the input's panic; no
//! connection outlives the input.

mod connection;
mod listener;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heka_config::{GoDuration, Seconds, Tls};
use heka_plugin::{
    BoxFuture, Defaults, FieldProblems, Input, InputContext, InputError, NO_DEFAULTS, Plugin,
    PluginConfig, StartContext, StartError, Stop,
};
use nix::errno::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::address;
use connection::{Close, Connection};
use listener::{Bound, Listener, Peer, Stream};

/// Connections open at a time unless said otherwise.
const MAX_CONNECTIONS: u32 = 10_000;
/// First wait after accepting failed, for example for want of descriptors.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest wait after accepting failed.
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a stream socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamNet {
    /// TCP over IPv4 and IPv6.
    #[default]
    Tcp,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// A Unix stream socket.
    Unix,
}

/// Settings of [`TcpInput`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TcpInputConfig {
    /// Address to listen on, `host:port`; without host all addresses of the machine. With `net = "unix"` the path
    /// of the socket, or `@name` for one without a file.
    #[schemars(extend("x-required" = true))]
    pub address: String,
    /// What the socket speaks: `tcp`, `tcp4`, `tcp6` or `unix`.
    pub net: StreamNet,
    /// Encrypts connections. Not available in this version: `true` is refused.
    pub use_tls: bool,
    /// How connections are encrypted; read but not used in this version.
    pub tls: Tls,
    /// Lets the kernel probe idle connections, so that those to dead peers end.
    pub keep_alive: bool,
    /// Idle time before the first probe and time between probes, in seconds; 0 means the kernel's values. Without
    /// effect unless `keep_alive` is set.
    pub keep_alive_period: Seconds,
    /// Most connections at a time, at least 1; a further one is accepted, closed at once and counted.
    pub max_connections: u32,
    /// Closes a connection on which nothing came for so long; `0s` never does.
    pub idle_timeout: GoDuration,
}

impl Default for TcpInputConfig {
    fn default() -> Self {
        Self {
            address: String::new(),
            net: StreamNet::default(),
            use_tls: false,
            tls: Tls::default(),
            keep_alive: false,
            keep_alive_period: Seconds::ZERO,
            max_connections: MAX_CONNECTIONS,
            idle_timeout: GoDuration::ZERO,
        }
    }
}

impl PluginConfig for TcpInputConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        if self.address.is_empty() {
            problems.error("address", "must not be empty");
        } else if self.net != StreamNet::Unix
            && let Err(error) = address::split(&self.address)
        {
            problems.error("address", format!("cannot be used: {error}"));
        }
        problems.require(!self.use_tls, "use_tls", "is not available in this version");
        problems.nested("tls", |problems| self.tls.validate(problems));
        problems.require(self.max_connections > 0, "max_connections", "must be at least 1");
        if !self.keep_alive && !self.keep_alive_period.is_zero() {
            problems.warn("keep_alive_period", "has no effect without keep_alive");
        }
    }
}

/// Accepts stream connections; each has a splitter and a decoder of its own.
#[derive(Debug)]
pub struct TcpInput {
    config: TcpInputConfig,
    bound: Option<Bound>,
}

impl Plugin for TcpInput {
    const NAME: &'static str = "TcpInput";
    const PAGE: &'static str = include_str!("tcp_input.md");
    const DEFAULTS: Defaults = Defaults {
        splitter: Some("HekaFramingSplitter"),
        decoder: Some("ProtobufDecoder"),
        ..NO_DEFAULTS
    };

    type Config = TcpInputConfig;

    fn start(config: &TcpInputConfig, _: &StartContext) -> Result<Self, StartError> {
        let bound = Bound::new(config)
            .map_err(|error| StartError::because(format!("listen on {}", config.address), error))?;
        Ok(Self { config: config.clone(), bound: Some(bound) })
    }
}

impl Input for TcpInput {
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>> {
        Box::pin(self.serve(context))
    }
}

/// All that can wake the accept loop.
enum Event {
    Stop,
    /// The pause after a failed accept is over.
    Resume,
    Accepted(io::Result<(Stream, Peer)>),
    Ended(Result<Result<Close, InputError>, JoinError>),
}

impl TcpInput {
    /// The address that it listens on, `host:port`, while it was started but does not run yet.
    #[must_use]
    pub fn local_address(&self) -> Option<std::net::SocketAddr> {
        self.bound.as_ref().and_then(Bound::local_address)
    }

    async fn serve(&mut self, context: &mut InputContext) -> Result<(), InputError> {
        let failed = || InputError::io(format!("listen on {}", self.config.address));
        let bound = match self.bound.take() {
            Some(bound) => bound,
            None => Bound::new(&self.config).map_err(failed())?,
        };
        let address =
            bound.local_address().map_or(self.config.address.clone(), |it| it.to_string());
        let listener = bound.listen().map_err(failed())?;
        tracing::info!(plugin = &*context.start.name, address, "listening");
        let open = Arc::new(AtomicUsize::new(0));
        let shown = Arc::clone(&open);
        context.reporter.set(move |report| {
            report.text("ListenAddress", address.clone());
            report.count("OpenConnections", shown.load(Ordering::Relaxed) as u64);
        });

        let mut stop = context.stop.clone();
        let mut connections = JoinSet::new();
        let mut pause = None;
        let mut next_pause = ACCEPT_PAUSE_MIN;
        loop {
            match next_event(&listener, &mut stop, &mut connections, pause).await {
                Event::Stop => break,
                Event::Resume => pause = None,
                Event::Ended(result) => ended(result, context)?,
                Event::Accepted(Ok((stream, peer))) => {
                    next_pause = ACCEPT_PAUSE_MIN;
                    self.accepted(stream, peer, &mut connections, context);
                }
                Event::Accepted(Err(error)) if is_final(&error) => {
                    return Err(InputError::io("accept connections")(error));
                }
                Event::Accepted(Err(error)) => {
                    context.problem(&format_args!("cannot accept a connection: {error}"));
                    pause = Some(Instant::now() + next_pause);
                    next_pause = (next_pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
            open.store(connections.len(), Ordering::Relaxed);
        }
        drop(listener);
        while let Some(result) = connections.join_next().await {
            ended(result, context)?;
            open.store(connections.len(), Ordering::Relaxed);
        }
        Ok(())
    }

    fn accepted(
        &self,
        stream: Stream,
        peer: Peer,
        connections: &mut JoinSet<Result<Close, InputError>>,
        context: &InputContext,
    ) {
        if connections.len() >= self.config.max_connections as usize {
            context.counts.refused.add(1);
            if let Some(missed) = context.log.event(context.start.clock.now_ns()) {
                tracing::warn!(
                    plugin = &*context.start.name,
                    peer = %peer,
                    max_connections = self.config.max_connections,
                    missed,
                    "connection refused: too many"
                );
            }
            return;
        }
        if self.config.keep_alive
            && let Err(error) = stream.keep_alive(self.config.keep_alive_period.get())
        {
            context.problem(&format_args!("cannot set keep_alive for {peer}: {error}"));
        }
        context.counts.accepted.add(1);
        let name = &*context.start.name;
        let hostname = match &peer {
            Peer::Remote(address) => address.to_string(),
            // Whoever is at the other end of a Unix socket runs here.
            Peer::Local => context.start.hostname.to_string(),
        };
        let envelope = context.envelope().message_type(name).hostname(&hostname);
        let token = peer.host();
        let feeds = Arc::clone(&context.feeds);
        let stop = context.stop.clone();
        let idle_timeout =
            (!self.config.idle_timeout.is_zero()).then(|| self.config.idle_timeout.get());
        connections.spawn(async move {
            // In a box, since the parts of a task's state that are moved on keep their place in it.
            let open = move || -> Result<Box<Connection>, InputError> {
                let feed = feeds.feed(&token, envelope)?;
                Ok(Box::new(Connection::new(stream, peer, feed, stop, idle_timeout)))
            };
            open()?.serve().await
        });
    }
}

async fn next_event(
    listener: &Listener,
    stop: &mut Stop,
    connections: &mut JoinSet<Result<Close, InputError>>,
    pause: Option<Instant>,
) -> Event {
    tokio::select! {
        biased;
        () = stop.wait() => Event::Stop,
        Some(result) = connections.join_next() => Event::Ended(result),
        () = tokio::time::sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some() => Event::Resume,
        result = listener.accept(), if pause.is_none() => Event::Accepted(result),
    }
}

/// Takes note of a connection's end; a panic in its task goes on here.
fn ended(
    result: Result<Result<Close, InputError>, JoinError>,
    context: &InputContext,
) -> Result<(), InputError> {
    let close = match result {
        Ok(result) => result?,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => return Err(InputError::Failed("a connection's task was cancelled".to_owned())),
    };
    match close {
        Close::Ended | Close::Stopped => {}
        Close::Idle(peer) => {
            context.counts.refused.add(1);
            tracing::debug!(plugin = &*context.start.name, peer = %peer, "idle connection closed");
        }
        Close::Failed(peer, error) => {
            context.problem(&format_args!("cannot read from {peer}: {error}"));
        }
    }
    Ok(())
}

/// True if accepting can never succeed again.
fn is_final(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EOPNOTSUPP))
}

#[cfg(test)]
mod tests;
