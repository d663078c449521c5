//! TCP and UDP inputs and outputs, and their relatives on Unix sockets.
//!
//! Here: sockets, connections, datagrams. Not here: what the bytes mean (splitters, decoders, encoders). Invariants:
//! an idle connection holds no buffer; nothing is acknowledged before the kernel took it.

mod address;
mod error;
mod socket_file;
mod tcp_input;
mod tcp_output;
mod udp_input;
mod udp_output;

#[cfg(test)]
mod test_support;

pub use error::AddressError;
pub use tcp_input::{StreamNet, TcpInput, TcpInputConfig};
pub use tcp_output::{TcpOutput, TcpOutputConfig};
pub use udp_input::{DatagramNet, UdpInput, UdpInputConfig};
pub use udp_output::{UdpOutput, UdpOutputConfig};
