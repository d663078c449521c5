//! The connection to the daemon.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the daemon may take to read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the daemon may take to close the connection once it has all.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// An open connection.
pub(crate) struct Connection {
    stream: TcpStream,
    address: String,
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// If the host is unknown, or none of its addresses answers.
    pub(crate) fn open(address: &str) -> anyhow::Result<Self> {
        let found = address.to_socket_addrs().with_context(|| format!("cannot find {address}"))?;
        let mut last = None;
        for one in found {
            match TcpStream::connect_timeout(&one, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    stream
                        .set_write_timeout(Some(WRITE_TIMEOUT))
                        .context("cannot set a time-out")?;
                    stream
                        .set_read_timeout(Some(CLOSE_TIMEOUT))
                        .context("cannot set a time-out")?;
                    return Ok(Self { stream, address: address.to_owned() });
                }
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error).with_context(|| format!("cannot connect to {address}")),
            None => bail!("cannot find {address}: it has no address"),
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the daemon does not take it.
    pub(crate) fn send(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        let sent = self.stream.write_all(frame);
        sent.with_context(|| format!("cannot send to {}", self.address))
    }

    /// Says that nothing more comes, and waits until the daemon closes the connection, which it does when it has read
    /// everything; one that keeps it open has it as well.
    ///
    /// # Errors
    /// If the daemon gave the connection up before.
    pub(crate) fn close(mut self) -> anyhow::Result<()> {
        let refused = || format!("{} gave the connection up", self.address);
        self.stream.shutdown(Shutdown::Write).with_context(refused)?;
        match self.stream.read(&mut [0]) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(())
            }
            Err(error) => Err(error).with_context(refused),
        }
    }
}

/// Name of this machine.
///
/// # Errors
/// If the system does not tell.
pub(crate) fn hostname() -> anyhow::Result<String> {
    let name = nix::unistd::gethostname().context("cannot read the host name")?;
    Ok(name.to_string_lossy().into_owned())
}
