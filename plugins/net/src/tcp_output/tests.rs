//! The output against real sockets on this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use heka_plugin::Encoded;

use super::*;
use crate::test_support::{Rig, problems, reported, within};

/// A peer on this machine, and an output that sends to it.
struct Bench {
    rig: Rig,
    listener: TcpListener,
    output: TcpOutput,
    context: OutputContext,
}

impl Bench {
    fn new(change: impl FnOnce(&mut TcpOutputConfig)) -> Self {
        let rig = Rig::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut config = TcpOutputConfig { address, ..TcpOutputConfig::default() };
        change(&mut config);
        let output = TcpOutput::start(&config, &rig.start).unwrap();
        let context = rig.output();
        Self { rig, listener, output, context }
    }

    async fn write(&mut self, payloads: &[&[u8]]) {
        let delivery = self.rig.delivery(payloads).await;
        self.output.write(delivery, &mut self.context).await.unwrap();
    }

    async fn flush(&mut self) -> Result<(), OutputError> {
        within(self.output.flush(Flush::Idle, &mut self.context)).await
    }

    fn accept(&self) -> TcpStream {
        let socket = socket2::SockRef::from(&self.listener);
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        self.listener.accept().unwrap().0
    }
}

/// Reads `len` bytes.
fn take(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads to the end of the connection.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn acks_follow_the_flush_that_wrote_them() {
    let mut bench = Bench::new(|_| {});
    bench.write(&[b"one", b"bad"]).await;
    bench.write(&[b"two"]).await;
    assert_eq!(bench.rig.delivered(), (0, 0));
    assert_eq!(bench.output.pending_bytes(), 8);

    bench.flush().await.unwrap();
    assert_eq!(bench.rig.delivered(), (2, 1));
    assert_eq!(bench.output.pending_bytes(), 0);
    assert_eq!(take(&mut bench.accept(), 8), b"one\ntwo\n");
    assert_eq!(reported(&bench.context.reporter, "ProcessMessageCount"), 2);
    assert_eq!(reported(&bench.context.reporter, "DropMessageCount"), 1);
    assert_eq!(bench.context.counts.bytes.get(), 8);
}

#[tokio::test]
async fn without_a_peer_nothing_is_acknowledged_and_all_comes_later() {
    let mut bench = Bench::new(|_| {});
    let address = bench.listener.local_addr().unwrap();
    drop(std::mem::replace(&mut bench.listener, TcpListener::bind("127.0.0.1:0").unwrap()));
    bench.write(&[b"one"]).await;
    let error = bench.flush().await.unwrap_err();
    assert!(matches!(error, OutputError::Retry { .. }));
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
    bench.write(&[b"two"]).await;
    assert_eq!(bench.rig.delivered(), (0, 0));

    bench.listener = TcpListener::bind(address).unwrap();
    bench.flush().await.unwrap();
    assert_eq!(take(&mut bench.accept(), 8), b"one\ntwo\n");
    assert_eq!(bench.rig.delivered(), (2, 0));
}

#[tokio::test]
async fn nothing_is_written_into_a_connection_that_the_peer_closed() {
    let mut bench = Bench::new(|_| {});
    for round in 0..20 {
        bench.write(&[b"message"]).await;
        bench.flush().await.unwrap();
        // Closed right after it was read: the next message must find another connection.
        let mut peer = bench.accept();
        assert_eq!(take(&mut peer, 8), b"message\n", "round {round}");
        drop(peer);
    }
    assert_eq!(bench.rig.delivered(), (20, 0));
    assert_eq!(reported(&bench.context.reporter, "ConnectCount"), 20);
}

#[tokio::test]
async fn what_the_peer_sends_is_thrown_away() {
    let mut bench = Bench::new(|_| {});
    bench.write(&[b"one"]).await;
    bench.flush().await.unwrap();
    let mut peer = bench.accept();
    peer.write_all(&[b'x'; 100_000]).unwrap();
    bench.write(&[b"two"]).await;
    bench.flush().await.unwrap();
    assert_eq!(take(&mut peer, 8), b"one\ntwo\n");
    assert_eq!(reported(&bench.context.reporter, "ConnectCount"), 1);
}

#[tokio::test]
async fn after_a_break_in_the_middle_all_that_is_not_acknowledged_is_sent_again() {
    let mut bench = Bench::new(|config| config.write_timeout = "300ms".parse().unwrap());
    let records: Vec<Vec<u8>> =
        (0..200).map(|number| vec![b'a' + number as u8 % 26; 99_999]).collect();
    let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    bench.write(&slices).await;
    // The peer reads nothing: the kernel's buffers fill, and then no one takes the rest.
    let error = bench.flush().await.unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
    assert_eq!(bench.rig.delivered(), (0, 0), "a part was written, nothing acknowledged");
    let first = rest(bench.accept());
    let whole = first.len() / 100_000;
    assert!(whole > 0 && whole < 200);

    let listener = bench.listener.try_clone().unwrap();
    let reader = std::thread::spawn(move || rest(listener.accept().unwrap().0));
    bench.flush().await.unwrap();
    assert_eq!(bench.rig.delivered(), (200, 0));
    drop(bench.output);
    let second = reader.join().unwrap();
    let all = records.iter().flat_map(|record| record.iter().copied().chain([b'\n']));
    let all: Vec<u8> = all.collect();
    assert_eq!(second, all);
    assert!(all.starts_with(&first));
}

#[tokio::test]
async fn a_cancelled_flush_goes_on_where_it_was() {
    let mut bench = Bench::new(|_| {});
    let record = vec![b'r'; 20_000_000];
    bench.write(&[&record]).await;
    let flush = bench.output.flush(Flush::Full, &mut bench.context);
    assert!(tokio::time::timeout(Duration::from_millis(200), flush).await.is_err());
    assert_eq!(bench.rig.delivered(), (0, 0));
    let mut peer = bench.accept();
    let reader = std::thread::spawn(move || take(&mut peer, 20_000_001));
    bench.flush().await.unwrap();
    let seen = reader.join().unwrap();
    assert!(seen.starts_with(&record) && seen.ends_with(b"\n"));
    assert_eq!(bench.rig.delivered(), (1, 0));
    assert_eq!(reported(&bench.context.reporter, "ConnectCount"), 1);
}

#[tokio::test]
async fn reconnect_after_closes_after_every_so_many_messages() {
    let mut bench = Bench::new(|config| config.reconnect_after = 3);
    bench.write(&[b"1", b"2"]).await;
    bench.flush().await.unwrap();
    bench.write(&[b"3", b"4", b"5", b"6", b"7"]).await;
    bench.flush().await.unwrap();
    assert_eq!(rest(bench.accept()), b"1\n2\n3\n");
    assert_eq!(rest(bench.accept()), b"4\n5\n6\n");
    drop(bench.output);
    assert_eq!(rest(bench.listener.accept().unwrap().0), b"7\n");
    assert_eq!(bench.rig.delivered(), (7, 0));
}

#[tokio::test]
async fn a_delivery_without_any_record_is_acknowledged_too() {
    let mut bench = Bench::new(|_| {});
    bench.write(&[b"bad"]).await;
    bench.flush().await.unwrap();
    assert_eq!(bench.rig.delivered(), (0, 1));
    assert_eq!(reported(&bench.context.reporter, "ConnectCount"), 0);
}

#[tokio::test]
async fn the_local_address_is_used() {
    for local in ["127.0.0.9", "127.0.0.9:0"] {
        let mut bench = Bench::new(|config| config.local_address = local.into());
        bench.write(&[b"x"]).await;
        bench.flush().await.unwrap();
        assert_eq!(bench.accept().peer_addr().unwrap().ip().to_string(), "127.0.0.9");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_given_up_after_the_timeout() {
    // A full backlog answers nobody.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _waiting = TcpStream::connect(address).unwrap();
    let mut bench = Bench::new(|config| {
        config.address = address.to_string();
        config.connect_timeout = "100ms".parse().unwrap();
    });
    bench.write(&[b"x"]).await;
    let error = bench.flush().await.unwrap_err();
    assert!(error.to_string().ends_with("no answer within 100ms"), "{error}");
}

#[test]
fn settings_are_checked() {
    let wrong = |change: fn(&mut TcpOutputConfig)| {
        let mut config = TcpOutputConfig::default();
        change(&mut config);
        problems(&config)
    };
    assert!(!wrong(|_| {}).contains("key"), "{}", wrong(|_| {}));
    assert!(wrong(|config| config.address = "nowhere".into()).contains("has no port"));
    assert!(wrong(|config| config.address = ":1".into()).contains("has no host"));
    assert!(wrong(|config| config.local_address = "eth0".into()).contains("has no port"));
    assert!(!wrong(|config| config.local_address = "10.0.0.1".into()).contains("key"));
    assert!(wrong(|config| config.use_tls = true).contains("is not available in this version"));
    let zero = wrong(|config| config.connect_timeout = heka_config::GoDuration::ZERO);
    assert!(zero.contains("must be longer than 0s"));
}

#[test]
fn a_new_output_holds_nothing() {
    let output = TcpOutput::start(&TcpOutputConfig::default(), &Rig::new().start).unwrap();
    assert_eq!(output.pending_bytes(), Encoded::new().len());
}

#[test]
fn the_example_of_the_page_loads() {
    crate::test_support::check_page::<heka_config::CommonConsumer, TcpOutputConfig>(
        TcpOutput::PAGE,
        TcpOutput::NAME,
    );
}
