//! Ports that nobody else gets.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// How `/proc/net/tcp` shows an open connection.
const ESTABLISHED: &str = "01";

/// A TCP port of this machine, kept by a socket that is bound and never listens: connecting to it is refused, and who
/// asks for reuse of addresses, as servers do, can listen on it.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _keeper: Socket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let keeper = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        keeper.set_reuse_address(true).unwrap();
        keeper.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let number = keeper.local_addr().unwrap().as_socket().unwrap().port();
        Self { number, _keeper: keeper }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Whether some socket of this machine believes to be connected to the port.
    pub(crate) fn is_connected_to(&self) -> bool {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let remote = format!(":{:04X}", self.number);
        table.lines().skip(1).any(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            columns[2].ends_with(&remote) && columns[3] == ESTABLISHED
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }

    /// Listens; another process may have the port for a moment, for a connection of its own.
    pub(crate) fn listen(&self) -> TcpListener {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match TcpListener::bind(self.address()) {
                Ok(listener) => return listener,
                Err(error) => assert!(Instant::now() < deadline, "{}: {error}", self.address()),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A UDP port that was free a moment ago.
pub(crate) fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}
