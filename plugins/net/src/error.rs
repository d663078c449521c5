//! What can be wrong with an address.

use std::io;

/// An address that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// There is no port.
    #[error("address '{address}' has no port, expected 'host:port'")]
    NoPort {
        /// The address as written.
        address: String,
    },
    /// The port is no number up to 65535.
    #[error("port '{port}' is no number from 0 to 65535")]
    Port {
        /// The port as written.
        port: String,
    },
    /// An IPv6 address without its brackets.
    #[error("address '{address}' has too many colons, write IPv6 addresses as '[::1]:5565'")]
    Colons {
        /// The address as written.
        address: String,
    },
    /// The host has no address of the network asked for.
    #[error("host '{host}' has no {network} address")]
    NoAddress {
        /// The host as written.
        host: String,
        /// `IPv4`, `IPv6` or `IP`.
        network: &'static str,
    },
    /// `fd:` without a number behind it.
    #[error("'{address}' names no descriptor, expected for example 'fd:3'")]
    Descriptor {
        /// The address as written.
        address: String,
    },
}

impl From<AddressError> for io::Error {
    fn from(error: AddressError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
