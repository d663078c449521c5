//! The output against real sockets on this machine.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use super::*;
use crate::test_support::{Rig, problems, reported, within};

/// An output and what it needs.
struct Bench {
    rig: Rig,
    output: UdpOutput,
    context: OutputContext,
}

impl Bench {
    fn new(address: &str, change: impl FnOnce(&mut UdpOutputConfig)) -> Self {
        let rig = Rig::new();
        let mut config =
            UdpOutputConfig { address: address.to_owned(), ..UdpOutputConfig::default() };
        change(&mut config);
        let output = UdpOutput::start(&config, &rig.start).unwrap();
        let context = rig.output();
        Self { rig, output, context }
    }

    async fn send(&mut self, payloads: &[&[u8]]) -> Result<(), OutputError> {
        let delivery = self.rig.delivery(payloads).await;
        self.output.write(delivery, &mut self.context).await.unwrap();
        self.flush(Flush::Idle).await
    }

    async fn flush(&mut self, why: Flush) -> Result<(), OutputError> {
        within(self.output.flush(why, &mut self.context)).await
    }
}

fn receiver() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let len = socket.recv(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

#[tokio::test]
async fn each_message_is_a_datagram() {
    let (socket, address) = receiver();
    let mut bench = Bench::new(&address, |_| {});
    let numbers: Vec<String> = (0..200).map(|number| format!("message {number}")).collect();
    let payloads: Vec<&[u8]> = numbers.iter().map(|number| number.as_bytes()).collect();
    bench.send(&payloads).await.unwrap();
    for number in &numbers {
        assert_eq!(receive(&socket), format!("{number}\n").as_bytes());
    }
    assert_eq!(bench.rig.delivered(), (200, 0));
    assert_eq!(reported(&bench.context.reporter, "ProcessMessageCount"), 200);
    let bytes: usize = numbers.iter().map(|number| number.len() + 1).sum();
    assert_eq!(bench.context.counts.bytes.get(), bytes as u64);
}

#[tokio::test]
async fn a_message_over_the_limit_is_rejected_and_the_others_are_sent() {
    let (socket, address) = receiver();
    let mut bench = Bench::new(&address, |config| config.max_message_size = Size::new(512));
    let (fits, long) = (vec![b'f'; 511], vec![b'l'; 512]);
    bench.send(&[&long, &fits, &long, b"bad", &long, b"last"]).await.unwrap();
    assert_eq!(receive(&socket).len(), 512);
    assert_eq!(receive(&socket), b"last\n");
    assert_eq!(bench.rig.delivered(), (2, 4));
    assert_eq!(reported(&bench.context.reporter, "DropMessageCount"), 4);
    bench.send(&[&long]).await.unwrap();
    assert_eq!(bench.rig.delivered(), (2, 5));
}

#[tokio::test]
async fn a_datagram_that_the_network_cannot_carry_is_rejected() {
    let (socket, address) = receiver();
    let mut bench = Bench::new(&address, |config| config.max_message_size = Size::kib(100));
    let long = vec![b'l'; 65_507];
    bench.send(&[b"a", &long, b"b"]).await.unwrap();
    assert_eq!((receive(&socket), receive(&socket)), (b"a\n".to_vec(), b"b\n".to_vec()));
    assert_eq!(bench.rig.delivered(), (2, 1));
}

#[tokio::test]
async fn refusals_are_counted_and_do_not_stop_the_sending() {
    let (socket, address) = receiver();
    drop(socket);
    let mut bench = Bench::new(&address, |_| {});
    for _ in 0..20 {
        bench.send(&[b"into the void"]).await.unwrap();
    }
    assert_eq!(bench.rig.delivered(), (20, 0));
    assert!(reported(&bench.context.reporter, "RefusedCount") > 0);
    let socket = UdpSocket::bind(&address).unwrap();
    bench.send(&[b"heard"]).await.unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(receive(&socket), b"heard\n");
}

#[tokio::test]
async fn a_unix_receiver_that_is_away_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.sock");
    let local = folder.path().join("local.sock");
    let mut bench = Bench::new(path.to_str().unwrap(), |config| {
        config.net = DatagramNet::Unixgram;
        config.local_address = local.to_str().unwrap().to_owned();
    });
    let error = bench.send(&[b"one"]).await.unwrap_err();
    assert!(matches!(error, OutputError::Retry { .. }), "{error}");
    assert_eq!(bench.rig.delivered(), (0, 0));

    let mut buffer = [0; 16];
    let receiver = UnixDatagram::bind(&path).unwrap();
    bench.flush(Flush::Retry).await.unwrap();
    assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
    assert_eq!(bench.rig.delivered(), (1, 0));

    drop(receiver);
    std::fs::remove_file(&path).unwrap();
    let receiver = UnixDatagram::bind(&path).unwrap();
    assert!(matches!(bench.send(&[b"two"]).await, Err(OutputError::Retry { .. })));
    bench.flush(Flush::Retry).await.unwrap();
    assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
    assert_eq!(bench.rig.delivered(), (2, 0));
    drop(bench.output);
    assert!(!local.exists());
}

#[tokio::test]
async fn a_unix_receiver_that_is_slow_gets_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.sock");
    let receiver = UnixDatagram::bind(&path).unwrap();
    let mut bench = Bench::new(path.to_str().unwrap(), |config| config.net = DatagramNet::Unixgram);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 16];
        (0..3_000).all(|number| {
            let len = receiver.recv(&mut buffer).unwrap();
            buffer[..len] == *format!("{number}\n").as_bytes()
        })
    });
    let numbers: Vec<String> = (0..3_000).map(|number| number.to_string()).collect();
    let payloads: Vec<&[u8]> = numbers.iter().map(|number| number.as_bytes()).collect();
    bench.send(&payloads).await.unwrap();
    assert!(reader.join().unwrap());
    assert_eq!(bench.rig.delivered(), (3_000, 0));
}

#[tokio::test]
async fn the_local_address_is_used_and_a_hangup_opens_the_socket_anew() {
    let (socket, address) = receiver();
    let mut bench = Bench::new(&address, |config| config.local_address = "127.0.0.7".into());
    for _ in 0..2 {
        bench.send(&[b"x"]).await.unwrap();
        let (_, sender) = socket.recv_from(&mut [0; 9]).unwrap();
        assert_eq!(sender.ip().to_string(), "127.0.0.7");
        bench.flush(Flush::Reopen).await.unwrap();
    }
}

#[test]
fn an_address_that_cannot_be_used_is_an_error_of_the_start() {
    let rig = Rig::new();
    let config = UdpOutputConfig {
        address: "127.0.0.1:9".into(),
        net: DatagramNet::Udp6,
        ..UdpOutputConfig::default()
    };
    let error = UdpOutput::start(&config, &rig.start).unwrap_err().to_string();
    assert_eq!(error, "cannot send to 127.0.0.1:9: host '127.0.0.1' has no IPv6 address");
}

#[test]
fn settings_are_checked() {
    let wrong = |change: fn(&mut UdpOutputConfig)| {
        let mut config = UdpOutputConfig { address: "h:1".into(), ..UdpOutputConfig::default() };
        change(&mut config);
        problems(&config)
    };
    assert!(!wrong(|_| {}).contains("key"));
    assert!(wrong(|config| config.address.clear()).contains("has no port"));
    assert!(wrong(|config| config.address = ":1".into()).contains("has no host"));
    assert!(wrong(|config| config.max_message_size = Size::new(511)).contains("at least 512"));
    assert!(wrong(|config| config.local_address = "x".into()).contains("has no port"));
    assert!(!wrong(|config| config.net = DatagramNet::Unixgram).contains("key"));
}

#[test]
fn the_example_of_the_page_loads() {
    crate::test_support::check_page::<heka_config::CommonConsumer, UdpOutputConfig>(
        UdpOutput::PAGE,
        UdpOutput::NAME,
    );
}
