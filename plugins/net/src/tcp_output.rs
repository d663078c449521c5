//! Sends messages over one TCP connection.
//!
//! Here: settings, what is pending, acknowledging. Not here: the connection (`connection`). Invariants: a delivery is
//! acknowledged only after the kernel took all bytes of all that was pending with it; nothing is written into a
//! connection that the peer is known to have closed; after a failure all that is not acknowledged is
//! sent again.

mod connection;

use std::sync::Arc;

use heka_config::{GoDuration, Seconds, Tls};
use heka_plugin::{
    Ack, BoxFuture, Counter, Defaults, Delivery, Encoded, FieldProblems, Flush, Framing,
    NO_DEFAULTS, Output, OutputContext, OutputError, Plugin, PluginConfig, StartContext,
    StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address;
use connection::Connection;

/// Where to connect to unless said otherwise.
const ADDRESS: &str = "localhost:9125";
/// How long connecting may take unless said otherwise.
const CONNECT_TIMEOUT: GoDuration = GoDuration::from_secs(10);
/// How long the peer may take nothing unless said otherwise.
const WRITE_TIMEOUT: GoDuration = GoDuration::from_secs(60);

/// Settings of [`TcpOutput`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TcpOutputConfig {
    /// Address to connect to, `host:port`; the host is looked up at each connect.
    pub address: String,
    /// Address to connect from, `ip:port` or an IP address alone; empty leaves it to the kernel.
    pub local_address: String,
    /// Encrypts the connection. Not available in this version: `true` is refused.
    pub use_tls: bool,
    /// How the connection is encrypted; read but not used in this version.
    pub tls: Tls,
    /// Lets the kernel probe the idle connection, so that a dead peer is noticed.
    pub keep_alive: bool,
    /// Idle time before the first probe and time between probes, in seconds; 0 means the kernel's values. Without
    /// effect unless `keep_alive` is set.
    pub keep_alive_period: Seconds,
    /// Closes the connection after so many messages and opens another one; 0 never does.
    pub reconnect_after: u32,
    /// How long connecting may take before it counts as failed, longer than `0s`.
    pub connect_timeout: GoDuration,
    /// How long the peer may take nothing before the connection counts as failed; `0s` waits for ever.
    pub write_timeout: GoDuration,
}

impl Default for TcpOutputConfig {
    fn default() -> Self {
        Self {
            address: ADDRESS.to_owned(),
            local_address: String::new(),
            use_tls: false,
            tls: Tls::default(),
            keep_alive: false,
            keep_alive_period: Seconds::ZERO,
            reconnect_after: 0,
            connect_timeout: CONNECT_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
        }
    }
}

impl PluginConfig for TcpOutputConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        match address::split(&self.address) {
            Ok((host, _)) => problems.require(!host.is_empty(), "address", "has no host"),
            Err(error) => problems.error("address", format!("cannot be used: {error}")),
        }
        if !self.local_address.is_empty()
            && let Err(error) = address::split_local(&self.local_address)
        {
            problems.error("local_address", format!("cannot be used: {error}"));
        }
        problems.require(!self.use_tls, "use_tls", "is not available in this version");
        problems.nested("tls", |problems| self.tls.validate(problems));
        if !self.keep_alive && !self.keep_alive_period.is_zero() {
            problems.warn("keep_alive_period", "has no effect without keep_alive");
        }
        let positive = !self.connect_timeout.is_zero();
        problems.require(positive, "connect_timeout", "must be longer than 0s");
    }
}

/// Figures for the daemon's report.
#[derive(Debug, Default)]
struct Counts {
    processed: Counter,
    dropped: Counter,
    connects: Counter,
}

/// Sends messages over one TCP connection.
#[derive(Debug)]
pub struct TcpOutput {
    config: TcpOutputConfig,
    connection: Option<Connection>,
    pending: Encoded,
    acks: Vec<Ack>,
    /// Bytes of `pending` that the kernel took.
    sent: usize,
    /// Messages written to the connection, for `reconnect_after`.
    on_connection: usize,
    counts: Arc<Counts>,
    reports: bool,
}

impl Plugin for TcpOutput {
    const NAME: &'static str = "TcpOutput";
    const PAGE: &'static str = include_str!("tcp_output.md");
    const DEFAULTS: Defaults = Defaults {
        encoder: Some("ProtobufEncoder"),
        use_framing: Framing::WithProtobuf,
        needs_encoder: true,
        use_buffering: true,
        cursor_update_count: 50,
        ..NO_DEFAULTS
    };

    type Config = TcpOutputConfig;

    fn start(config: &TcpOutputConfig, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self {
            config: config.clone(),
            connection: None,
            pending: Encoded::new(),
            acks: Vec::new(),
            sent: 0,
            on_connection: 0,
            counts: Arc::default(),
            reports: false,
        })
    }
}

impl Output for TcpOutput {
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        self.report(context);
        self.acks.push(context.encode(delivery, &mut self.pending));
        Box::pin(std::future::ready(Ok(())))
    }

    fn flush<'a>(
        &'a mut self,
        _: Flush,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(self.send(context))
    }

    fn pending_bytes(&self) -> usize {
        self.pending.len()
    }
}

impl TcpOutput {
    /// Sends all that is pending, then acknowledges it.
    async fn send(&mut self, context: &mut OutputContext) -> Result<(), OutputError> {
        while self.sent < self.pending.len() {
            let part = self.send_part(context).await;
            if part.is_err() {
                self.disconnect();
            }
            part?;
        }
        self.counts.processed.add(self.pending.record_count() as u64);
        self.counts.dropped.add(self.acks.iter().map(Ack::rejected).sum());
        self.pending.clear();
        self.sent = 0;
        self.acks.drain(..).for_each(Ack::delivered);
        Ok(())
    }

    /// Sends to the end, or up to where `reconnect_after` wants another connection.
    async fn send_part(&mut self, context: &mut OutputContext) -> Result<(), OutputError> {
        if self.connection.as_mut().is_some_and(Connection::is_closed) {
            tracing::debug!(plugin = &*context.name, "the peer closed the connection");
            self.disconnect();
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let address = &self.config.address;
                let opened = Connection::open(&self.config).await;
                let opened = opened.map_err(OutputError::retry(format!("connect to {address}")))?;
                self.counts.connects.add(1);
                self.on_connection = 0;
                self.connection.insert(opened)
            }
        };
        let first = self.pending.records_before(self.sent);
        let end = match self.config.reconnect_after as usize {
            0 => self.pending.len(),
            most => {
                let last = first + most.saturating_sub(self.on_connection + 1);
                self.pending.record_end(last).unwrap_or(self.pending.len())
            }
        };
        let timeout = self.config.write_timeout.get();
        while self.sent < end {
            let written = connection.write(&self.pending, self.sent..end, timeout).await;
            let address = &self.config.address;
            let written = written.map_err(OutputError::retry(format!("send to {address}")))?;
            self.sent += written;
            context.counts.bytes.add(written as u64);
        }
        self.on_connection += self.pending.records_before(end) - first;
        let most = self.config.reconnect_after as usize;
        if most > 0 && self.on_connection >= most {
            connection.finish();
            self.connection = None;
            self.on_connection = 0;
        }
        Ok(())
    }

    /// Gives up a broken connection. What the kernel took of it may never have arrived, so all that is not
    /// acknowledged is sent again: a message twice is better than none.
    fn disconnect(&mut self) {
        self.connection = None;
        self.on_connection = 0;
        self.sent = 0;
    }

    fn report(&mut self, context: &OutputContext) {
        if self.reports {
            return;
        }
        self.reports = true;
        let counts = Arc::clone(&self.counts);
        context.reporter.set(move |report| {
            report.count("ProcessMessageCount", counts.processed.get());
            report.count("DropMessageCount", counts.dropped.get());
            report.count("ConnectCount", counts.connects.get());
        });
    }
}

#[cfg(test)]
mod tests;
