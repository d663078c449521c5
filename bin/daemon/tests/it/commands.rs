//! `hekad stream` and `hekad dlq`: what they show of a running and of a stopped daemon, and what they make it do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::sections::{APP_LOG, TEXT, file_out, tcp_lines, tcp_out};
use crate::harness::{
    Daemon, Ended, Numbered, Port, TcpSink, World, assert_all_in_order, during, line, numbers, run,
    wait,
};

/// Lines of a test.
const LINES: usize = 2_000;
/// Delivered messages stay in the log.
const RETAIN: &str = "\n[hekad.stream]\nretain_size = '64MiB'\n";

/// Runs `hekad WORDS --config FILE`, which must work.
fn ask(world: &World, words: &str) -> String {
    let ended = try_ask(world, words);
    assert_eq!(ended.code(), 0, "{words}: {}", ended.stderr);
    ended.stdout
}

fn try_ask(world: &World, words: &str) -> Ended {
    let config = world.text_path("hekad.toml");
    let words = words.split_whitespace().map(|word| word.replace('_', " "));
    let words: Vec<String> = words.chain(["--config".to_owned(), config]).collect();
    run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn ask_json(world: &World, words: &str) -> Value {
    serde_json::from_str(&ask(world, words)).unwrap()
}

/// Objects of JSON lines.
fn ask_list(world: &World, words: &str) -> Vec<Value> {
    ask(world, words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn until_waiting(world: &World, count: usize) {
    let mut last = Value::Null;
    let reached = wait(|| {
        // At the very beginning there is no log.
        let ended = try_ask(world, "stream ls --json");
        last = serde_json::from_str(&ended.stdout).unwrap_or_default();
        last["consumers"][0]["waiting_messages"] == count
    });
    assert!(reached, "{count} messages do not wait: {last:#}");
}

/// Waits until the log says that nothing waits.
fn until_delivered(world: &World) {
    let mut last = Value::Null;
    let reached = wait(|| {
        let ended = try_ask(world, "stream ls --json");
        last = serde_json::from_str(&ended.stdout).unwrap_or_default();
        last["next_sequence"].as_u64() > Some(1)
            && last["consumers"][0]["cursor"] == last["next_sequence"]
    });
    assert!(reached, "something still waits: {last:#}");
}

/// Every file below `base`.
fn files(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![world.path("base")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(files.insert(path.clone(), std::fs::read(path).unwrap())),
            }
        }
    }
    files
}

fn requests(world: &World) -> Vec<String> {
    let folder = std::fs::read_dir(world.path("base/requests"));
    let entries = folder.into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Lines into a log that nobody fetches.
fn dead_sink(world: &World, sink: &TcpSink) -> String {
    world.write("logs/app.log", Numbered::default().lines(LINES));
    [APP_LOG, TEXT, &tcp_out("out", "TRUE", sink.port())].concat()
}

fn looks_as_it_is(world: &World) {
    let overview = ask_json(world, "stream ls --json");
    assert_eq!(overview["consumers"][0]["name"], "out");
    assert_eq!(overview["consumers"][0]["waiting_messages"], LINES);
    assert_eq!(overview["consumers"][0]["waiting_is_exact"], true);
    assert_eq!(overview["damage"], serde_json::json!([]));
    assert!(overview["sources"][0]["key"].as_str().unwrap().starts_with("app"), "{overview:#}");
    let text = ask(world, "stream ls");
    assert!(text.contains("no damage found") && text.contains("\nout "), "{text}");

    assert_all_in_order(&ask(world, "stream cat --format payload"), LINES);
    let some =
        ask(world, "stream cat --format payload --limit 3 --matcher Payload_=~_/of=7[0-9]_/");
    assert_eq!(numbers(&some), [70, 71, 72]);
    let one = ask(world, "stream cat --limit 1");
    assert!(one.starts_with(".. 1 written 20") && one.contains("\n:Type: logfile\n"), "{one}");
    assert!(one.contains(&format!("\n:Payload: {}", line(0))), "{one}");
    let objects = ask_list(world, "stream cat --format json --limit 5");
    let payloads: String = objects.iter().map(|it| it["Payload"].as_str().unwrap()).collect();
    assert_all_in_order(&payloads, 5);

    let count =
        |times: &str| ask(world, &format!("stream cat --format payload {times}")).lines().count();
    assert_eq!(count("--from -1h"), LINES);
    assert_eq!(count("--to -1h"), 0);
    assert_eq!(count("--from 2020-01-01T00:00:00Z --to 2999-01-01T00:00:00+02:00"), LINES);
    assert_eq!(count("--from 2999-01-01T00:00:00Z"), 0);
    let next = overview["next_sequence"].as_u64().unwrap();
    assert_eq!(count(&format!("--sequence {next}")), 0);
}

#[test]
fn the_log_is_shown_beside_a_running_daemon_and_after_its_end_and_not_a_byte_is_changed() {
    let (world, mut sink) = (World::new(), TcpSink::closed());
    let config = dead_sink(&world, &sink);
    let daemon = world.start(&config);
    until_waiting(&world, LINES);
    looks_as_it_is(&world);
    daemon.stop_well();
    let before = files(&world);
    looks_as_it_is(&world);
    let base = world.text_path("base");
    let most = run(&["stream", "ls", "--json", "--base-dir", &base]);
    let most: Value = serde_json::from_str(&most.stdout).unwrap();
    assert_eq!(most["consumers"][0]["waiting_messages"], LINES);
    assert_eq!(most["consumers"][0]["waiting_is_exact"], false, "no matcher is known");
    let quick = ask_json(&world, "stream ls --json --quick");
    assert_eq!(quick["consumers"][0]["waiting_messages"], Value::Null);
    assert_eq!(files(&world), before);
    // What was looked at all the time is delivered whole.
    let daemon = world.start(&config);
    sink.reopen();
    sink.until_lines(LINES);
    daemon.stop_well();
    assert_all_in_order(&sink.lines(), LINES);
    assert!(ask_json(&world, "stream ls --json")["consumers"][0]["waiting_messages"] == 0);
}

/// Frames as the daemon itself reads them.
#[test]
fn what_is_printed_in_frames_another_daemon_reads() {
    let (world, sink) = (World::new(), TcpSink::closed());
    let daemon = world.start(&dead_sink(&world, &sink));
    until_waiting(&world, LINES);
    let mut cat = Command::new(env!("CARGO_BIN_EXE_hekad"))
        .args(["stream", "cat", "--format", "protobuf", "--config", &world.text_path("hekad.toml")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let other = World::new();
    let config = [
        "[StdinInput]\nexit_at_end = true\nsplitter = 'HekaFramingSplitter'\ndecoder = 'ProtobufDecoder'\n",
        TEXT,
        &file_out("out", "Type == 'logfile'", "out.log"),
    ]
    .concat();
    let ended = Command::new(env!("CARGO_BIN_EXE_hekad"))
        .args(["-config", &other.configure(&config)])
        .stdin(cat.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(cat.wait().unwrap().success());
    assert_all_in_order(&other.read_text("out.log"), LINES);
    daemon.stop_well();
}

#[test]
fn following_the_log_shows_what_comes_as_it_comes() {
    let (world, sink) = (World::new(), TcpSink::closed());
    let daemon = world.start(&dead_sink(&world, &sink));
    until_waiting(&world, LINES);
    let mut cat = Command::new(env!("CARGO_BIN_EXE_hekad"))
        .args(["stream", "cat", "--follow", "--format", "payload"])
        .args(["--config", &world.text_path("hekad.toml")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(cat.stdout.take().unwrap()).lines();
    let mut text = String::new();
    for round in 0..6 {
        let more: String = (LINES + round * 10..LINES + round * 10 + 10).map(line).collect();
        while numbers(&text).len() < LINES + round * 10 {
            text.push_str(&lines.next().unwrap().unwrap());
            text.push('\n');
        }
        world.append("logs/app.log", more);
    }
    cat.kill().unwrap();
    let ended = cat.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "half a write is no damage");
    assert_all_in_order(&text, LINES + 50);
    daemon.stop_well();
}

#[test]
fn who_reads_no_further_ends_the_printing_without_an_error() {
    let (world, sink) = (World::new(), TcpSink::closed());
    let daemon = world.start(&dead_sink(&world, &sink));
    until_waiting(&world, LINES);
    let mut cat = Command::new(env!("CARGO_BIN_EXE_hekad"))
        .args(["stream", "cat", "--config", &world.text_path("hekad.toml")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(cat.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = cat.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    assert!(first.starts_with(".. 1 "), "{first}");
    daemon.stop_well();
}

/// What cannot be read is told with its place; all the rest is printed.
#[test]
fn damage_is_told_with_its_range_and_everything_else_is_shown() {
    let seed = std::env::var("HEKA_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(7);
    let mut random = fastrand::Rng::with_seed(seed);
    let (world, sink) = (World::new(), TcpSink::closed());
    let mut numbered = Numbered::default();
    world.write("logs/app.log", "");
    let config = [APP_LOG, TEXT, &tcp_out("out", "TRUE", sink.port())].concat();
    let daemon = world.start(&config);
    // Many small batches, so that damage hits only some.
    for round in 1..=40 {
        world.append("logs/app.log", numbered.lines(50));
        until_waiting(&world, round * 50);
    }
    daemon.stop_well();
    let (path, whole) = files(&world)
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|it| it == "log"))
        .unwrap();
    for _ in 0..12 {
        let mut damaged = whole.clone();
        let at = random.usize(64..whole.len() / 2);
        let len = random.usize(1..400);
        damaged[at..at + len].iter_mut().for_each(|byte| *byte ^= random.u8(1..));
        std::fs::write(&path, &damaged).unwrap();
        let seen = try_ask(&world, "stream cat --format payload");
        assert_eq!(seen.code(), 0, "HEKA_SEED={seed}: {}", seen.stderr);
        let found = numbers(&seen.stdout);
        assert!(found.is_sorted(), "HEKA_SEED={seed}");
        let overview = ask_json(&world, "stream ls --json");
        let damage = overview["damage"].as_array().unwrap();
        // Between records there are some bytes of padding that nobody misses.
        if found.len() < numbered.count() || !damage.is_empty() {
            let is_told = damage.iter().any(|it| {
                let range = it["from"].as_u64().unwrap()..it["to"].as_u64().unwrap();
                it["file"] == path.to_str().unwrap()
                    && range.contains(&(at as u64 + len as u64 / 2))
            });
            assert!(is_told, "HEKA_SEED={seed} {at}..{}: {damage:#?}", at + len);
            let text = format!("damaged: {}: bytes ", path.display());
            assert!(ask(&world, "stream ls").contains(&text));
        }
        if found.len() < numbered.count() {
            assert!(seen.stderr.contains("damaged: "), "HEKA_SEED={seed}: {}", seen.stderr);
        }
        assert!(found.len() >= numbered.count() / 4, "HEKA_SEED={seed}: {}", found.len());
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "it is only looked at");
    }
    // Nothing but garbage.
    let garbage: Vec<u8> = (0..whole.len()).map(|_| random.u8(..)).collect();
    std::fs::write(&path, garbage).unwrap();
    assert_eq!(ask(&world, "stream cat"), "");
    assert!(ask(&world, "stream ls").contains("bytes "));
}

#[test]
fn a_consumer_that_is_set_back_gets_everything_again() {
    let (world, sink) = (World::with(RETAIN), TcpSink::open());
    let config = dead_sink(&world, &sink);
    let daemon = world.start(&config);
    sink.until_lines(LINES);
    until_delivered(&world);
    let told = ask(&world, "stream rewind out --to-start");
    assert!(told.contains("carries it out within a second"), "{told}");
    sink.until_lines(2 * LINES);
    assert!(wait(|| requests(&world).is_empty()));
    let mut twice = numbers(&sink.lines());
    assert_eq!(twice.split_off(LINES), twice, "twice the same, in order");
    until_delivered(&world);
    // By time, which is before everything was written.
    ask(&world, "stream rewind out --to-time -1h");
    sink.until_lines(3 * LINES);
    assert!(wait(|| requests(&world).is_empty()));
    let log = daemon.log();
    assert!(log.contains("was set back, as asked for plugin=\"out\""), "{log}");
    daemon.stop_well();

    for (words, text) in [
        ("stream rewind oot --to-start", "did you mean 'out'?"),
        ("stream rewind out --to-sequence 0", "the log has data from sequence number 1 on"),
        ("stream rewind out --to-sequence 999999", "is not going back"),
        ("stream rewind out --to-time 2999-01-01T00:00:00Z", "nothing was written at 2262"),
    ] {
        let ended = try_ask(&world, words);
        assert_eq!(ended.code(), 1, "{words}");
        assert!(ended.stderr.contains(text), "{words}: {}", ended.stderr);
    }
    for words in ["stream rewind out", "stream rewind out --to-start --to-sequence 1"] {
        assert_eq!(try_ask(&world, words).code(), 2, "{words}");
    }
    assert!(requests(&world).is_empty(), "what cannot be done is not asked for");

    // A stopped daemon does it when it starts.
    ask(&world, "stream rewind out --to-sequence 1");
    assert_eq!(requests(&world).len(), 1);
    let daemon = world.start(&config);
    sink.until_lines(4 * LINES);
    daemon.stop_well();
}

/// A decoder refuses what is no JSON, an input without it takes that.
fn json_config(port: u16, decoder: &str) -> String {
    let input = tcp_lines("in", port).replace("decoder = ''", &format!("decoder = '{decoder}'"));
    let outputs = [file_out("out", "Type == 'in'", "out.log"), file_out("all", "TRUE", "all.log")];
    [&input, "\n[json]\ntype = 'JsonDecoder'\n", TEXT, &outputs.concat()].concat()
}

fn lines_of(world: &World, name: &str) -> usize {
    world.read_text(name).lines().count()
}

#[test]
fn records_that_a_decoder_refused_are_shown_and_decoded_again_once_it_can() {
    const BAD: usize = 150;
    let (world, port) = (World::new(), Port::reserve());
    let mut daemon = world.start(&json_config(port.number(), "json"));
    let mut peer = TcpStream::connect(port.address()).unwrap();
    for number in 0..BAD {
        peer.write_all(b"{\"good\": 1}\n").unwrap();
        peer.write_all(line(number).as_bytes()).unwrap();
    }
    drop(peer);
    let letters = || ask_list(&world, "dlq list --json");
    daemon.until("all that is bad", || letters().len() == BAD);
    let list = letters();
    assert_eq!(list[3]["payload"], line(3));
    assert_eq!((&list[3]["id"], &list[3]["input"]), (&Value::from(3), &Value::from("in")));
    let limited = ask_list(&world, "dlq list --json --limit 2 --plugin in");
    assert_eq!(limited, list[BAD - 2..]);
    assert!(ask_list(&world, "dlq list --json --plugin out").is_empty());
    let text = ask(&world, "dlq list --limit 1");
    assert!(text.starts_with("      ID") && text.contains("00000149 GET /some"), "{text}");
    let shown = ask(&world, "dlq show 3");
    for part in
        ["id:       3\n", "input:    in ", "why:      ", "\n:Type: in\n", "|00000003 GET /so|"]
    {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    for (words, code) in [("dlq show 9999", 1), ("dlq requeue 1 9999", 1), ("dlq requeue", 2)] {
        assert_eq!(try_ask(&world, words).code(), code, "{words}");
    }

    // The same decoder refuses it again: another letter, and the old one stays.
    ask(&world, "dlq requeue 3");
    daemon.until("another letter", || letters().len() == BAD + 1);
    assert_eq!(letters().last().unwrap()["payload"], line(3));
    daemon.until("the request done", || requests(&world).is_empty());
    daemon.stop_well();
    assert!(!world.read_text("out.log").contains("GET /some"));

    let before = lines_of(&world, "all.log");
    ask(&world, "dlq requeue --plugin in");
    let daemon = world.start(&json_config(port.number(), ""));
    assert!(wait(|| lines_of(&world, "all.log") == before + BAD + 1));
    assert!(wait(|| requests(&world).is_empty()));
    daemon.stop_well();
    let again = world.read_text("out.log");
    let again: String = again
        .lines()
        .skip_while(|it| !it.starts_with("00000000"))
        .map(|it| format!("{it}\n"))
        .collect();
    let mut found = numbers(&again);
    assert_eq!(found.pop(), Some(3));
    assert_eq!(found, (0..BAD).collect::<Vec<_>>());
}

#[test]
fn a_message_that_an_encoder_refused_goes_to_its_output_only_and_outlives_a_stop() {
    let (world, port, mut sink) =
        (World::with("max_message_size = 1200\n"), Port::reserve(), TcpSink::closed());
    let framed = format!(
        "\n[framed]\ntype = 'TcpOutput'\nmessage_matcher = 'TRUE'\naddress = '127.0.0.1:{}'\n",
        sink.port()
    );
    let config =
        [&tcp_lines("in", port.number()), TEXT, &framed, &file_out("all", "TRUE", "all.log")]
            .concat();
    let long = format!("{:0>1180}\n", "long");
    let mut daemon = world.start(&config);
    sink.reopen();
    let mut peer = TcpStream::connect(port.address()).unwrap();
    peer.write_all(format!("short\n{long}short\n").as_bytes()).unwrap();
    daemon.until("the letter", || ask_list(&world, "dlq list --json").len() == 1);
    let letter = ask_list(&world, "dlq list --json").remove(0);
    assert_eq!((&letter["plugin"], &letter["input"]), (&Value::from("framed"), &Value::Null));
    assert!(letter["why"].as_str().unwrap().contains("MAX_MESSAGE_SIZE = 1200"), "{letter}");
    daemon.until_report("two delivered", |it| it.output("framed", "ProcessMessageCount") == 2);
    sink.close();
    daemon.stop_well();

    // Longer messages are allowed now, but nobody listens: the request waits, over another stop too.
    let text = world.read_text("hekad.toml").replace("= 1200", "= 64000");
    world.write("hekad.toml", text);
    let path = world.text_path("hekad.toml");
    ask(&world, "dlq requeue --all");
    let start = || {
        let mut daemon = Daemon::spawn(&["-config", &path]);
        assert!(daemon.is_started(), "{}", daemon.log());
        daemon
    };
    let mut daemon = start();
    daemon.until_report("the letter held", |it| it.output("framed", "HeldMessageCount") == 1);
    daemon.stop_well();
    assert_eq!(requests(&world).len(), 1, "nobody has answered for it");
    let mut daemon = start();
    sink.reopen();
    daemon.until("the long one", || {
        sink.data().windows(long.len() - 1).any(|part| part == &long.as_bytes()[..long.len() - 1])
    });
    daemon.until("the request done", || requests(&world).is_empty());
    let report = daemon.report();
    assert_eq!(report.output("framed", "ProcessMessageCount"), 1);
    assert_eq!(report.output("all", "MatchedMessageCount"), 0, "it goes to nobody else");
    daemon.stop_well();
    assert_eq!(lines_of(&world, "all.log"), 3);
}

#[test]
fn requests_that_make_no_sense_are_refused_and_stop_nothing() {
    let (world, sink) = (World::with(RETAIN), TcpSink::open());
    let config = dead_sink(&world, &sink);
    let garbage: &[(&str, &[u8])] = &[
        ("1.json", b"\x00\xff\xfe not JSON"),
        ("2.json", b""),
        ("3.json", b"{\"rewind\":{\"consumer\":\"nobody\",\"sequence\":1}}"),
        ("4.json", b"{\"rewind\":{\"consumer\":\"out\",\"sequence\":18446744073709551615}}"),
        ("5.json", b"{\"delete\":[1]}"),
        ("6.json", b"[[[[[[[[[[[["),
    ];
    let drop_in = || {
        garbage
            .iter()
            .for_each(|(name, content)| world.write(&format!("base/requests/{name}"), content))
    };
    drop_in();
    world.write("base/requests/note.txt", "not for the daemon");
    std::fs::create_dir_all(world.path("base/requests/folder.json")).unwrap();
    world.write("base/requests/7.json", "{\"requeue\":[5,6,7]}");
    let mut daemon = world.start(&config);
    let all_refused = || {
        let left = requests(&world);
        let refused = left.iter().filter(|name| name.ends_with(".json.refused")).count();
        refused == garbage.len() && left.len() == refused + 2
    };
    daemon.until("all refused", all_refused);
    daemon.until_logged("there is no filter or output 'nobody'");
    daemon.until_logged("cannot be set ahead");
    daemon.until_logged("dead letters are not there any more");
    // Again beside the running daemon, which still does what makes sense.
    sink.until_lines(LINES);
    until_delivered(&world);
    drop_in();
    ask(&world, "stream rewind out --to-start");
    sink.until_lines(2 * LINES);
    daemon.until("all refused", all_refused);
    let told = daemon.log().matches("a request is not carried out").count();
    during(Duration::from_millis(2500), || ());
    assert_eq!(daemon.log().matches("a request is not carried out").count(), told, "told once");
    daemon.stop_well();
}

#[test]
fn a_running_daemon_is_asked_to_load_scripts_anew() {
    let (world, sink) = (World::new(), TcpSink::open());
    let mut daemon = world.start(&dead_sink(&world, &sink));
    let said = ask(&world, "reload");
    assert!(said.contains("within a second"), "{said}");
    daemon.until_logged("plugins load anew what changed");
    daemon.until("the request done", || requests(&world).is_empty());
    daemon.stop_well();
}

#[test]
fn where_there_is_nothing_to_show_that_is_said() {
    let world = World::new();
    world.configure("[StdinInput]\n[NullOutput]\nmessage_matcher = 'TRUE'\n");
    let ended = try_ask(&world, "stream ls");
    assert_eq!(ended.code(), 1);
    assert!(ended.stderr.contains("there is no log in"), "{}", ended.stderr);
    assert_eq!(ask(&world, "dlq list").lines().count(), 1);
    let ended = try_ask(&world, "stream cat --matcher Nonsense_==_1");
    assert_eq!(ended.code(), 1);
    assert!(ended.stderr.contains("--matcher"), "{}", ended.stderr);
    assert_eq!(try_ask(&world, "stream cat --from yesterday").code(), 2);
    for words in
        ["stream --help", "stream cat --help", "stream rewind --help", "dlq requeue --help"]
    {
        assert!(ask(&world, words).contains("Usage: hekad"), "{words}");
    }
    assert!(!world.path("base").exists(), "looking makes nothing");
}
