//! The input against real sockets on this machine.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use heka_plugin::InputCounts;
use tokio::task::JoinHandle;

use super::*;
use crate::test_support::{Rig, problems, until, within};

/// A running input.
struct Running {
    rig: Rig,
    address: SocketAddr,
    counts: Arc<InputCounts>,
    task: JoinHandle<Result<(), InputError>>,
}

fn config(address: &str) -> UdpInputConfig {
    UdpInputConfig { address: address.to_owned(), ..UdpInputConfig::default() }
}

impl Running {
    fn start(config: &UdpInputConfig) -> Self {
        Self::start_after(config, |_| {})
    }

    /// `before` is called between binding and receiving.
    fn start_after(config: &UdpInputConfig, before: impl FnOnce(SocketAddr)) -> Self {
        let rig = Rig::new();
        let mut context = rig.input(|_| {});
        let mut input = UdpInput::start(config, &rig.start).unwrap();
        let address = input.local_address().unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        before(address);
        let counts = Arc::clone(&context.counts);
        let task = tokio::spawn(async move { input.run(&mut context).await });
        Self { rig, address, counts, task }
    }

    fn client(&self) -> UdpSocket {
        client(self.address)
    }

    async fn stop(self) {
        self.rig.switch.stop();
        within(self.task).await.unwrap().unwrap();
    }
}

fn client(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    socket
}

#[tokio::test]
async fn a_datagram_is_a_block_of_its_own() {
    let running = Running::start(&config("127.0.0.1:0"));
    let client = running.client();
    for datagram in ["one\ntwo\n", "no newline", "", "three\nrest"] {
        client.send(datagram.as_bytes()).unwrap();
    }
    let seen = running.rig.messages(4, |record| {
        [record.message_type(), record.hostname(), record.payload()].join(&b'|')
    });
    assert_eq!(seen.await, ["plugin||one", "plugin||two", "plugin||no newline", "plugin||three"]);
    running.stop().await;
}

#[tokio::test]
async fn the_hostname_is_the_senders_address_if_asked_for() {
    for address in ["127.0.0.1:0", "[::]:0"] {
        let mut config = config(address);
        config.set_hostname = true;
        let rig = Rig::new();
        if UdpInput::start(&config, &rig.start).is_err() {
            // A machine without IPv6.
            continue;
        }
        let running = Running::start(&config);
        let port = running.address.port();
        let other = UdpSocket::bind("127.0.0.8:0").unwrap();
        for (socket, text) in [(client(([127, 0, 0, 1], port).into()), "a\n"), (other, "b\n")] {
            socket.send_to(text.as_bytes(), ("127.0.0.1", port)).unwrap();
        }
        let seen =
            running.rig.messages(2, |record| [record.hostname(), record.payload()].join(&b' '));
        assert_eq!(seen.await, ["127.0.0.1 a", "127.0.0.8 b"]);
        running.stop().await;
    }
}

#[tokio::test]
async fn the_longest_datagram_arrives_whole() {
    let running = Running::start(&config("127.0.0.1:0"));
    let datagram = vec![b'x'; 65_507];
    running.client().send(&datagram).unwrap();
    let seen = running.rig.payloads(1).await;
    assert_eq!(seen[0].len(), 65_507);
    running.stop().await;
}

#[tokio::test]
async fn a_datagram_over_the_limit_is_dropped_and_counted() {
    let mut config = config("127.0.0.1:0");
    config.max_datagram = Size::new(512);
    let running = Running::start(&config);
    let client = running.client();
    for len in [512, 513, 3] {
        client.send(&vec![b'x'; len]).unwrap();
    }
    let lengths: Vec<usize> = running.rig.payloads(2).await.iter().map(String::len).collect();
    assert_eq!(lengths, [512, 3]);
    assert_eq!(running.counts.oversize_dropped.get(), 1);
    running.stop().await;
}

#[tokio::test]
async fn datagrams_that_the_kernel_dropped_are_counted_exactly() {
    let mut config = config("127.0.0.1:0");
    config.receive_buffer = Size::kib(64);
    let sent = 2_000;
    // Nobody receives yet: the buffer overflows.
    let running = Running::start_after(&config, |address| {
        let client = client(address);
        for _ in 0..sent {
            client.send(&[b'x'; 200]).unwrap();
        }
    });
    until(|| running.counts.records.get() > 0).await;
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let records = running.counts.records.get();
        if std::mem::replace(&mut last, records) == records {
            break;
        }
    }
    running.client().send(b"the one that tells").unwrap();
    until(|| running.counts.records.get() == last + 1).await;
    assert!(last < sent, "some were dropped");
    until(|| running.counts.kernel_dropped.get() == sent - last).await;
    running.rig.payloads(usize::try_from(last).unwrap() + 1).await;
    running.stop().await;
}

#[tokio::test]
async fn many_datagrams_arrive_in_order() {
    let running = Running::start(&config("127.0.0.1:0"));
    let client = running.client();
    for batch in 0..20 {
        for number in 0..500 {
            client.send(format!("{}", batch * 500 + number).as_bytes()).unwrap();
        }
        let seen = running.rig.payloads(500).await;
        let expected: Vec<String> =
            (0..500).map(|number| (batch * 500 + number).to_string()).collect();
        assert_eq!(seen, expected);
    }
    assert_eq!(running.counts.kernel_dropped.get(), 0);
    running.stop().await;
}

#[tokio::test]
async fn what_the_kernel_has_is_received_when_the_stop_comes() {
    let rig = Rig::new();
    let mut context = rig.input(|_| {});
    let mut input = UdpInput::start(&config("127.0.0.1:0"), &rig.start).unwrap();
    let client = client(input.local_address().unwrap());
    for number in 0..100 {
        client.send(format!("{number}").as_bytes()).unwrap();
    }
    rig.switch.stop();
    within(input.run(&mut context)).await.unwrap();
    assert_eq!(rig.payloads(100).await[99], "99");
}

#[tokio::test]
async fn unix_datagrams_are_received_and_the_file_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sock");
    let name = format!("@heka-udp-input-{}", std::process::id());
    for address in [path.to_str().unwrap(), &name] {
        let mut config = config(address);
        config.net = DatagramNet::Unixgram;
        let running = Running::start(&config);
        let client = UnixDatagram::unbound().unwrap();
        let sent = match address.strip_prefix('@') {
            None => client.send_to(b"hi", address),
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                let target = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
                client.send_to_addr(b"hi", &target)
            }
        };
        assert_eq!(sent.unwrap(), 2);
        assert_eq!(running.rig.payloads(1).await, ["hi"]);
        running.stop().await;
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn an_inherited_descriptor_is_received_from_and_stays_open() {
    use std::os::fd::AsRawFd;
    let inherited = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = client(inherited.local_addr().unwrap());
    for text in ["first", "second"] {
        let running = Running::start(&config(&format!("fd:{}", inherited.as_raw_fd())));
        client.send(text.as_bytes()).unwrap();
        assert_eq!(running.rig.payloads(1).await, [text]);
        running.stop().await;
    }
    client.send(b"third").unwrap();
    assert_eq!(inherited.recv(&mut [0; 9]).unwrap(), 5);
}

#[test]
fn a_descriptor_that_is_no_socket_is_an_error_of_the_start() {
    let rig = Rig::new();
    for address in ["fd:0x7ffffff0", "fd:999999"] {
        let error = UdpInput::start(&config(address), &rig.start).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot receive on {address}: ")), "{error}");
    }
}

#[test]
fn settings_are_checked() {
    let wrong = |change: fn(&mut UdpInputConfig)| {
        let mut config = config(":514");
        change(&mut config);
        problems(&config)
    };
    assert!(!wrong(|_| {}).contains("key"));
    assert!(wrong(|config| config.address.clear()).contains("must not be empty"));
    assert!(wrong(|config| config.address = "514".into()).contains("has no port"));
    assert!(wrong(|config| config.address = "fd:x".into()).contains("names no descriptor"));
    assert!(wrong(|config| config.max_datagram = Size::new(511)).contains("must lie in"));
    let unix = wrong(|config| {
        config.net = DatagramNet::Unixgram;
        config.set_hostname = true;
    });
    assert!(unix.contains("cannot be used with a Unix socket"), "{unix}");
    let inherited = wrong(|config| {
        config.address = "fd:3".into();
        config.set_hostname = true;
    });
    assert!(inherited.contains("cannot be used with a Unix socket"), "{inherited}");
}

#[test]
fn the_example_of_the_page_loads() {
    crate::test_support::check_page::<heka_config::CommonInput, UdpInputConfig>(
        UdpInput::PAGE,
        UdpInput::NAME,
    );
}
