//! Telling addresses from host names.

/// What a host was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostKind {
    Ipv4,
    Ipv6,
    Name,
}

impl HostKind {
    /// The representation of a field that holds it.
    pub(super) fn representation(self) -> &'static [u8] {
        match self {
            Self::Ipv4 => b"ipv4",
            Self::Ipv6 => b"ipv6",
            Self::Name => b"hostname",
        }
    }
}

/// Longest text of an IPv6 address.
const IPV6_BYTES_MAX: usize = 45;

/// The host at the start of `text`: what it is, and its length.
///
/// An address is one only if no host name goes on behind it.
pub(super) fn read_host(text: &[u8]) -> Option<(HostKind, usize)> {
    if let Some(length) = ipv4_bytes(text)
        && !text.get(length).is_some_and(|&byte| is_name_byte(byte))
    {
        return Some((HostKind::Ipv4, length));
    }
    if let Some(length) = ipv6_bytes(text) {
        return Some((HostKind::Ipv6, length));
    }
    let length = name_bytes(text);
    (length > 0).then_some((HostKind::Name, length))
}

fn ipv4_bytes(text: &[u8]) -> Option<usize> {
    let (mut at, mut part, mut digits, mut dots) = (0, 0_u32, 0, 0);
    loop {
        match text.get(at) {
            Some(&byte @ b'0'..=b'9') if digits < 3 => {
                part = part * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            Some(b'.') if dots < 3 && digits > 0 && part < 256 => {
                (part, digits) = (0, 0);
                dots += 1;
            }
            _ => return (dots == 3 && digits > 0 && part < 256).then_some(at),
        }
        at += 1;
    }
}

fn ipv6_bytes(text: &[u8]) -> Option<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let length = text.iter().take(IPV6_BYTES_MAX + 1).take_while(is_part).count();
    if length > IPV6_BYTES_MAX || !text[..length].contains(&b':') {
        return None;
    }
    let written = std::str::from_utf8(&text[..length]).ok()?;
    written.parse::<std::net::Ipv6Addr>().ok().map(|_| length)
}

fn name_bytes(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match text.get(at) {
            Some(b'%') if is_escape(text, at) => at += 3,
            Some(b'%') | None => return at,
            Some(&byte) if is_name_byte(byte) => at += 1,
            Some(_) => return at,
        }
    }
}

fn is_escape(text: &[u8], at: usize) -> bool {
    text.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
}

/// RFC 3986: unreserved characters, `sub-delims`, and the `%` of an escape.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart() {
        for (text, kind, length) in [
            ("127.0.0.1 - -", HostKind::Ipv4, 9),
            ("255.255.255.255", HostKind::Ipv4, 15),
            ("10.0.0.1:80", HostKind::Ipv4, 8),
            ("256.1.1.1 ", HostKind::Name, 9),
            ("1.2.3 ", HostKind::Name, 5),
            ("66.249.66.1.example.com x", HostKind::Name, 23),
            ("::1 ", HostKind::Ipv6, 3),
            ("2001:db8::8a2e:370:7334 ", HostKind::Ipv6, 23),
            ("::ffff:192.0.2.1]", HostKind::Ipv6, 16),
            ("- x", HostKind::Name, 1),
            ("www.example.com:443", HostKind::Name, 15),
            ("a%20b%2", HostKind::Name, 5),
        ] {
            assert_eq!(read_host(text.as_bytes()), Some((kind, length)), "{text}");
        }
        assert_eq!((read_host(b""), read_host(b" x"), read_host(b"\"")), (None, None, None));
    }
}
