//! Addresses as Heka writes them: `host:port`, `:port`, `[::1]:port`, `/path`, `@name`, `fd:3`.
//!
//! Here: reading, resolving and binding them. Not here: what is done with the socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::RawFd;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::AddressError;

/// Which IP addresses a host name may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Of either version.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    fn admits(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Any => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// Host and port of `host:port`; the host is without brackets and may be empty.
pub(crate) fn split(address: &str) -> Result<(&str, u16), AddressError> {
    let no_port = || AddressError::NoPort { address: address.to_owned() };
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(no_port)?;
            (host, rest.strip_prefix(':').ok_or_else(no_port)?)
        }
        None => {
            let (host, port) = address.rsplit_once(':').ok_or_else(no_port)?;
            if host.contains(':') {
                return Err(AddressError::Colons { address: address.to_owned() });
            }
            (host, port)
        }
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = port.parse().ok().filter(|_| digits);
    Ok((host, number.ok_or_else(|| AddressError::Port { port: port.to_owned() })?))
}

/// As [`split`], but a bare IP address is an address with port 0.
pub(crate) fn split_local(address: &str) -> Result<(&str, u16), AddressError> {
    match address.parse::<IpAddr>() {
        Ok(_) => Ok((address, 0)),
        Err(_) => split(address),
    }
}

/// The addresses that a host stands for, IPv4 first; asks the resolver, which may take its time.
pub(crate) fn resolve(host: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> =
        (host, port).to_socket_addrs()?.filter(|address| family.admits(address)).collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    if found.is_empty() {
        let (host, network) = (host.to_owned(), family.name());
        return Err(AddressError::NoAddress { host, network }.into());
    }
    Ok(found)
}

/// A non-blocking socket bound to `host:port`; no host means all addresses of the machine.
pub(crate) fn bind(address: &str, family: Family, kind: Type) -> io::Result<Socket> {
    let (host, port) = split(address)?;
    if !host.is_empty() {
        let address = resolve(host, port, family)?.into_iter().next();
        let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        return bind_to(address, family == Family::V6, kind);
    }
    let all_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    if family == Family::V4 {
        return bind_to(all_v4, false, kind);
    }
    let all_v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match bind_to(all_v6, family == Family::V6, kind) {
        // A machine without IPv6.
        Err(error) if family == Family::Any && lacks_family(&error) => bind_to(all_v4, false, kind),
        result => result,
    }
}

fn lacks_family(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL | Errno::EPROTONOSUPPORT))
}

fn bind_to(address: SocketAddr, only_v6: bool, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    if kind == Type::STREAM {
        // Otherwise connections of the process before this one would keep the port for a minute.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// The address of a Unix socket: a path, or `@name` for one that has no file.
pub(crate) fn unix(address: &str) -> io::Result<SockAddr> {
    match address.strip_prefix('@') {
        // socket2 takes a leading zero byte as the mark of an abstract name.
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(address),
    }
}

/// The number of an inherited descriptor, `fd:N`: decimal, `0x` hexadecimal or `0` octal. `None`: another address.
pub(crate) fn descriptor(address: &str) -> Result<Option<RawFd>, AddressError> {
    let Some(text) = address.strip_prefix("fd:") else { return Ok(None) };
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')),
        None if text.starts_with('+') => None,
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    };
    match number.and_then(|number| RawFd::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(AddressError::Descriptor { address: address.to_owned() }),
    }
}

/// An address as Go prints it: an IPv4 address that came in over an IPv6 socket is shown as what it is.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        assert_eq!(split("localhost:5565"), Ok(("localhost", 5565)));
        assert_eq!(split(":0"), Ok(("", 0)));
        assert_eq!(split("[fe80::1%eth0]:65535"), Ok(("fe80::1%eth0", 65535)));
    }

    #[test]
    fn an_address_that_is_none_says_why() {
        for (address, text) in [
            ("localhost", "address 'localhost' has no port, expected 'host:port'"),
            ("[::1]", "address '[::1]' has no port, expected 'host:port'"),
            ("[::1:80", "address '[::1:80' has no port, expected 'host:port'"),
            ("h:65536", "port '65536' is no number from 0 to 65535"),
            ("h:+5", "port '+5' is no number from 0 to 65535"),
            ("h:", "port '' is no number from 0 to 65535"),
        ] {
            assert_eq!(split(address).unwrap_err().to_string(), text);
        }
        assert!(matches!(split("::1:80"), Err(AddressError::Colons { .. })));
    }

    #[test]
    fn a_local_address_needs_no_port() {
        assert_eq!(split_local("127.0.0.1"), Ok(("127.0.0.1", 0)));
        assert_eq!(split_local("::1"), Ok(("::1", 0)));
        assert_eq!(split_local("127.0.0.1:7"), Ok(("127.0.0.1", 7)));
        assert!(split_local("localhost").is_err());
    }

    #[test]
    fn a_host_without_an_address_of_the_network_is_an_error() {
        let error = resolve("127.0.0.1", 1, Family::V6).unwrap_err();
        assert_eq!(error.to_string(), "host '127.0.0.1' has no IPv6 address");
        assert_eq!(resolve("127.0.0.1", 1, Family::V4).unwrap().len(), 1);
    }

    #[test]
    fn descriptors_are_read_in_three_bases() {
        assert_eq!(descriptor("fd:10"), Ok(Some(10)));
        assert_eq!(descriptor("fd:0x1f"), Ok(Some(31)));
        assert_eq!(descriptor("fd:017"), Ok(Some(15)));
        assert_eq!(descriptor("fd:0"), Ok(Some(0)));
        assert_eq!(descriptor("127.0.0.1:1"), Ok(None));
        for address in ["fd:", "fd:-1", "fd:x", "fd:4294967295", "fd:08", "fd:+1", "fd:0x+1"] {
            assert!(descriptor(address).is_err(), "{address}");
        }
    }

    #[test]
    fn no_host_binds_all_addresses_of_the_network() {
        for family in [Family::Any, Family::V4] {
            let socket = bind(":0", family, Type::STREAM).unwrap();
            let address = socket.local_addr().unwrap().as_socket().unwrap();
            assert!(address.ip().is_unspecified() && address.port() > 0);
            assert!(family == Family::Any || address.is_ipv4());
        }
    }

    #[test]
    fn mapped_addresses_are_shown_as_what_they_are() {
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:51234".parse().unwrap();
        assert_eq!(canonical(mapped).to_string(), "10.0.0.1:51234");
    }
}
