//! The input against real sockets on this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use heka_plugin::{InputCounts, StopSwitch};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use super::*;
use crate::test_support::{Rig, problems, reported, until, within};

/// A running input.
struct Running {
    rig: Rig,
    address: SocketAddr,
    counts: Arc<InputCounts>,
    reporter: heka_plugin::Reporter,
    switch: StopSwitch,
    task: JoinHandle<Result<(), InputError>>,
}

fn config(address: &str) -> TcpInputConfig {
    TcpInputConfig { address: address.to_owned(), ..TcpInputConfig::default() }
}

impl Running {
    fn start(config: &TcpInputConfig, adapt: impl FnOnce(&mut heka_plugin::FeedSettings)) -> Self {
        let rig = Rig::new();
        let mut context = rig.input(adapt);
        let mut input = TcpInput::start(config, &rig.start).unwrap();
        let address = input.local_address().unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let (counts, reporter) = (Arc::clone(&context.counts), context.reporter.clone());
        let switch = rig.switch.clone();
        let task = tokio::spawn(async move { input.run(&mut context).await });
        Self { rig, address, counts, reporter, switch, task }
    }

    fn local() -> Self {
        Self::start(&config("127.0.0.1:0"), |_| {})
    }

    async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.unwrap()
    }

    async fn stop(self) -> Result<(), InputError> {
        self.switch.stop();
        within(self.task).await.unwrap()
    }
}

#[tokio::test]
async fn messages_carry_their_input_and_the_remote_address_with_port() {
    let running = Running::local();
    let mut client = running.connect().await;
    client.write_all(b"one\ntwo\n").await.unwrap();
    let text = heka_plugin::Metric::Text(running.address.to_string());
    until(|| running.reporter.report().metrics().contains(&("ListenAddress".into(), text.clone())))
        .await;
    let expected = format!("plugin plugin {} one", client.local_addr().unwrap());
    let seen = running
        .rig
        .messages(2, |record| {
            [record.message_type(), record.logger(), record.hostname(), record.payload()]
                .join(&b' ')
        })
        .await;
    assert_eq!(seen[0], expected);
    assert!(seen[1].ends_with(" two"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_record_may_arrive_in_pieces() {
    let running = Running::local();
    let mut client = running.connect().await;
    client.set_nodelay(true).unwrap();
    for piece in ["hal", "f\nwh", "ole\n"] {
        let before = running.counts.bytes.get();
        client.write_all(piece.as_bytes()).await.unwrap();
        until(|| running.counts.bytes.get() == before + piece.len() as u64).await;
    }
    assert_eq!(running.rig.payloads(2).await, ["half", "whole"]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn half_a_record_at_the_end_is_dropped_unless_asked_for() {
    for (deliver, expected) in [(false, vec!["one"]), (true, vec!["one", "tw"])] {
        let running = Running::start(&config("127.0.0.1:0"), |settings| {
            settings.deliver_incomplete_final = deliver;
        });
        let mut client = running.connect().await;
        client.write_all(b"one\ntw").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(running.rig.payloads(expected.len()).await, expected);
        until(|| reported(&running.reporter, "OpenConnections") == 0).await;
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_reset_gives_half_a_record_up_and_is_counted() {
    let running = Running::start(&config("127.0.0.1:0"), |settings| {
        settings.deliver_incomplete_final = true;
    });
    let mut client = running.connect().await;
    client.write_all(b"one\ntw").await.unwrap();
    until(|| running.counts.bytes.get() == 6).await;
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    until(|| running.counts.errors.get() == 1).await;
    assert_eq!(running.rig.payloads(1).await, ["one"]);
    assert!(running.rig.consumer.try_next().is_none());
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_at_once_and_a_free_place_is_used_again() {
    let mut config = config("127.0.0.1:0");
    config.max_connections = 2;
    let running = Running::start(&config, |_| {});
    let (first, _second) = (running.connect().await, running.connect().await);
    until(|| running.counts.accepted.get() == 2).await;
    let mut third = running.connect().await;
    assert_eq!(within(third.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(running.counts.refused.get(), 1);

    drop(first);
    until(|| reported(&running.reporter, "OpenConnections") == 1).await;
    let mut fourth = running.connect().await;
    fourth.write_all(b"in\n").await.unwrap();
    assert_eq!(running.rig.payloads(1).await, ["in"]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_thousand_idle_connections_hold_no_buffers() {
    let before = resident_bytes();
    // Buffers so large that a thousand of them cannot be overlooked beside what other tests hold.
    let running = Running::start(&config("127.0.0.1:0"), |settings| {
        settings.min_buffer_size = 512 << 10;
    });
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = running.connect().await;
        client.write_all(b"hello\n").await.unwrap();
        clients.push(client);
    }
    running.rig.payloads(1_000).await;
    assert_eq!(reported(&running.reporter, "OpenConnections"), 1_000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 300 << 20, "{grown} bytes more with 1,000 idle connections");
    running.stop().await.unwrap();
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time_and_a_busy_one_is_not() {
    let mut config = config("127.0.0.1:0");
    config.idle_timeout = "300ms".parse().unwrap();
    let running = Running::start(&config, |_| {});
    let mut idle = running.connect().await;
    let mut busy = running.connect().await;
    let since = std::time::Instant::now();
    let keep_busy = async {
        loop {
            busy.write_all(b"x\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut byte = [0; 1];
    tokio::select! {
        read = idle.read(&mut byte) => assert_eq!(read.unwrap(), 0),
        () = keep_busy => unreachable!("it never ends"),
    }
    assert!(since.elapsed() >= Duration::from_millis(290));
    until(|| reported(&running.reporter, "OpenConnections") == 1).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_unterminated_rest_is_delivered_after_the_flush_time() {
    let running = Running::start(&config("127.0.0.1:0"), |settings| {
        settings.flush_after = Some(Duration::from_millis(30));
    });
    let mut client = running.connect().await;
    client.write_all(b"no newline").await.unwrap();
    assert_eq!(running.rig.payloads(1).await, ["no newline"]);
    client.write_all(b"line\n").await.unwrap();
    assert_eq!(running.rig.payloads(1).await, ["line"]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_kernel_has_is_read_when_the_stop_comes() {
    let running = Running::local();
    let mut client = running.connect().await;
    client.write_all(b"first\n").await.unwrap();
    assert_eq!(running.rig.payloads(1).await, ["first"]);
    // Nobody else runs on this thread between the write and the stop.
    client.try_write(b"second\nthird\n").unwrap();
    running.switch.stop();
    assert_eq!(running.rig.payloads(2).await, ["second", "third"]);
    assert_eq!(within(client.read(&mut [0; 1])).await.unwrap(), 0);
    let address = running.address;
    running.stop().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_panic_in_one_connection_is_the_inputs_panic() {
    let running = Running::local();
    let mut client = running.connect().await;
    client.write_all(b"panic\n").await.unwrap();
    let error = within(running.task).await.unwrap_err();
    assert!(error.is_panic());
}

#[tokio::test]
async fn a_missing_decoder_ends_the_input_with_its_error() {
    let rig = Rig::new();
    let mut context = rig.input(|_| {});
    let feeds = Arc::get_mut(&mut context.feeds).unwrap();
    feeds.decoder = Some("Nope".into());
    let mut input = TcpInput::start(&config("127.0.0.1:0"), &rig.start).unwrap();
    let _client = std::net::TcpStream::connect(input.local_address().unwrap()).unwrap();
    let error = within(input.run(&mut context)).await.unwrap_err();
    assert_eq!(error.to_string(), "no decoder 'Nope'");
}

#[tokio::test]
async fn bulk_data_arrives_whole_and_in_order() {
    let running = Running::local();
    let mut client = running.connect().await;
    let lines = 200_000;
    let writer = tokio::spawn(async move {
        let text: String = (0..lines).map(|number| format!("line number {number}\n")).collect();
        client.write_all(text.as_bytes()).await.unwrap();
    });
    let seen = running.rig.payloads(lines).await;
    assert!(seen.iter().enumerate().all(|(at, line)| *line == format!("line number {at}")));
    assert_eq!(seen.len(), lines);
    writer.await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn unix_sockets_are_served_and_their_file_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.sock");
    let mut config = config(path.to_str().unwrap());
    config.net = StreamNet::Unix;
    let running = Running::start(&config, |_| {});
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"hi\n").await.unwrap();
    let seen = running.rig.messages(1, |record| record.hostname().to_vec()).await;
    assert_eq!(seen, ["host"]);
    running.stop().await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn keep_alive_is_set_with_its_period() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let stream = Stream::Tcp(TcpStream::from_std(accepted).unwrap());
    stream.keep_alive(Duration::from_secs(77)).unwrap();
    let Stream::Tcp(stream) = &stream else { panic!("it is one") };
    let socket = SockRef::from(stream);
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(77));
}

/// In a process of its own, whose limit of descriptors it may lower.
#[tokio::test]
async fn accepting_goes_on_when_there_are_descriptors_again() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    const CHILD: &str = "HEKA_TEST_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let name = "tcp_input::tests::accepting_goes_on_when_there_are_descriptors_again";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name]).env(CHILD, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let rig = Rig::new();
    let mut context = rig.input(|_| {});
    let counts = Arc::clone(&context.counts);
    let mut input = TcpInput::start(&config("127.0.0.1:0"), &rig.start).unwrap();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = std::net::TcpStream::connect(input.local_address().unwrap()).unwrap();
        std::io::Write::write_all(&mut client, b"patient\n").unwrap();
        clients.push(client);
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
    let task = tokio::spawn(async move { input.run(&mut context).await });
    until(|| counts.errors.get() >= 3).await;
    assert!(counts.errors.get() < 20, "it does not try without a pause");
    assert_eq!(counts.accepted.get(), 0);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!(rig.payloads(5).await, ["patient"; 5]);
    rig.switch.stop();
    within(task).await.unwrap().unwrap();
}

#[test]
fn an_address_in_use_is_named_in_the_error() {
    let rig = Rig::new();
    let first = TcpInput::start(&config("127.0.0.1:0"), &rig.start).unwrap();
    let address = first.local_address().unwrap().to_string();
    let error = TcpInput::start(&config(&address), &rig.start).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
}

#[test]
fn only_errors_of_the_listening_socket_itself_are_final() {
    for code in [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ECONNABORTED, Errno::EPERM] {
        assert!(!is_final(&code.into()), "{code}");
    }
    assert!(is_final(&Errno::EBADF.into()) && is_final(&Errno::EINVAL.into()));
}

#[test]
fn settings_are_checked() {
    assert_eq!(problems(&config(":5565")), problems(&config("localhost:1")));
    let wrong = |change: fn(&mut TcpInputConfig)| {
        let mut config = config(":5565");
        change(&mut config);
        problems(&config)
    };
    assert!(wrong(|config| config.address.clear()).contains("must not be empty"));
    assert!(wrong(|config| config.address = "localhost".into()).contains("has no port"));
    assert!(wrong(|config| config.use_tls = true).contains("is not available in this version"));
    assert!(wrong(|config| config.max_connections = 0).contains("must be at least 1"));
    let unix: TcpInputConfig =
        serde_json::from_str(r#"{"net":"unix","address":"/run/x"}"#).unwrap();
    assert_eq!(problems(&unix), problems(&config(":1")));
    assert!(serde_json::from_str::<TcpInputConfig>(r#"{"net":"unixpacket"}"#).is_err());
}

#[test]
fn the_example_of_the_page_loads() {
    crate::test_support::check_page::<heka_config::CommonInput, TcpInputConfig>(
        TcpInput::PAGE,
        TcpInput::NAME,
    );
}
