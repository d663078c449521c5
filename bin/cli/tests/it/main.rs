//! Both programs as they are run: what they send, and what they say where they send nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use heka_message::{Batch, BatchBuilder, Buffer, Envelope, Names, Value};
use heka_wire::{FrameScanner, Keys, MESSAGE_BYTES_MAX_DEFAULT, decode_message};
use tempfile::TempDir;

const SCRIPT: &[u8] = b"function process_message() return 0 end -- \xff\n";
const SECTION: &str =
    "[Counter]\ntype = \"SandboxFilter\"\nmessage_matcher = \"TRUE\"\n\n[Counter.config]\nx = 1\n";

/// A directory with all files, and a listener that keeps what comes.
struct World {
    directory: TempDir,
    received: Option<JoinHandle<Vec<u8>>>,
}

impl World {
    fn new(signer: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let world = Self { directory, received: Some(received) };
        world.write("sbmgr.toml", format!("ip_address = \"{address}\"\n{signer}").as_bytes());
        world.write("xyz.lua", SCRIPT);
        world.write("xyz.toml", SECTION.as_bytes());
        world
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.directory.path().join(name), content).unwrap();
    }

    fn run(&self, program: &str, arguments: &str) -> Output {
        let program = match program {
            "heka-sbmgr" => env!("CARGO_BIN_EXE_heka-sbmgr"),
            _ => env!("CARGO_BIN_EXE_heka-sbmgrload"),
        };
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace()).current_dir(self.directory.path());
        command.output().unwrap()
    }

    /// Runs a program that sends; returns all frames, their signers checked.
    fn sent(&mut self, program: &str, arguments: &str, keys: &Keys) -> Vec<(Batch, String)> {
        let output = self.run(program, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let bytes = self.received.take().unwrap().join().unwrap();
        frames(&bytes, keys)
    }

    /// Runs a program that sends nothing; returns its exit code and what it says.
    fn refused(&self, arguments: &str) -> (i32, String) {
        let output = self.run("heka-sbmgr", arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    }
}

fn frames(bytes: &[u8], keys: &Keys) -> Vec<(Batch, String)> {
    let mut scanner = FrameScanner::authenticated(MESSAGE_BYTES_MAX_DEFAULT, keys.clone());
    let (mut found, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let scan = scanner.scan(rest, true);
        assert!(scan.skipped.is_empty(), "{:?}", scan.skipped);
        let frame = scan.frame.expect("nothing between and behind the frames");
        let envelope = Arc::new(Envelope::new("test"));
        let buffer = Buffer::from(frame.body.to_vec());
        let names = Arc::new(Names::default());
        let mut builder = BatchBuilder::new(names, envelope, buffer.clone(), 0);
        let mut record = builder.record();
        decode_message(&buffer, &mut record).unwrap();
        record.commit().unwrap();
        found.push((builder.finish(), String::from_utf8(frame.signer.to_vec()).unwrap()));
        rest = &rest[scan.consumed..];
    }
    found
}

fn keys() -> Keys {
    let mut keys = Keys::new();
    keys.add("ops_3", b"secret");
    keys
}

fn signer(hash: &str) -> String {
    format!("[signer]\nname = \"ops\"\nversion = 3\nhmac_key = \"secret\"\n{hash}\n")
}

fn text<'a>(batch: &'a Batch, field: &str) -> Option<(&'a str, &'a str)> {
    let field = batch.record(0)?.field_named(field.as_bytes())?;
    match field.first()? {
        Value::Str(text) => {
            Some((str::from_utf8(field.representation()).unwrap(), str::from_utf8(text).unwrap()))
        }
        _ => None,
    }
}

#[test]
fn a_filter_to_load_is_sent_with_its_script_and_its_section_and_signed() {
    for hash in ["", "hmac_hash = \"sha1\""] {
        let mut world = World::new(&signer(hash));
        let sent = world.sent("heka-sbmgr", "", &keys());
        let [(batch, signer)] = &sent[..] else { panic!() };
        assert_eq!(signer, "ops");
        let record = batch.record(0).unwrap();
        assert_eq!(record.message_type(), b"heka.control.sandbox");
        assert_eq!((record.logger(), record.payload()), (&b"hekad"[..], SCRIPT));
        assert_eq!(text(batch, "config"), Some(("toml", SECTION)));
        assert_eq!(text(batch, "action"), Some(("", "load")));
        assert!(record.uuid().is_some() && !record.hostname().is_empty());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
        assert!((0..4_000_000_000).contains(&(now - record.timestamp())));
    }
}

#[test]
fn a_filter_to_unload_is_named() {
    let mut world = World::new(&signer("hmac_hash = \"md5\""));
    let sent = world.sent("heka-sbmgr", "-action=unload -filtername Counter", &keys());
    let [(batch, _)] = &sent[..] else { panic!() };
    assert_eq!(text(batch, "name"), Some(("", "Counter")));
    assert_eq!(text(batch, "action"), Some(("", "unload")));
    assert_eq!(batch.record(0).unwrap().payload(), b"");
}

#[test]
fn without_a_signer_the_message_has_no_signature() {
    let mut world = World::new("");
    let sent = world.sent("heka-sbmgr", "--action load --config sbmgr.toml", &keys());
    assert_eq!(sent[0].1, "");
}

#[test]
fn many_filters_go_out_over_one_connection() {
    let mut world = World::new(&signer(""));
    let settings = "-config=sbmgr.toml -num=30 -matcher=Payload=~/\"\\\\/";
    let sent = world.sent("heka-sbmgrload", settings, &keys());
    assert_eq!(sent.len(), 30);
    for (number, (batch, signer)) in sent.iter().enumerate() {
        assert_eq!(signer, "ops");
        let (_, config) = text(batch, "config").unwrap();
        let (config, problems) = heka_config::parse_config(config, "sent");
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(config.sections[0].name, format!("CounterSandbox{number}"));
        let matcher = config.sections[0].table.get("message_matcher").unwrap();
        assert_eq!(matcher.value.as_str(), Some("Payload=~/\"\\\\/"));
    }
    let mut world = World::new(&signer(""));
    let sent = world.sent("heka-sbmgrload", "-config=sbmgr.toml -num=2 -action=unload", &keys());
    assert_eq!(text(&sent[1].0, "name"), Some(("", "CounterSandbox1")));
}

#[test]
fn what_is_wrong_is_told_before_anything_is_sent() {
    let world = World::new(&signer(""));
    world.write("tls.toml", b"ip_address = \"localhost:1\"\nuse_tls = true\n");
    world.write("typo.toml", b"ip_adress = \"localhost:1\"\n");
    world.write("key.toml", b"ip_address = \"localhost\"\n[signer]\nname = \"x\"\n");
    world.write("broken.toml", b"[Counter]\ntype = \"SandboxFilter\n");
    world.write(
        "other.toml",
        b"[Counter]\ntype = \"CounterFilter\"\nmessage_matcher = \"Type = 1\"\n",
    );
    world.write("two.toml", format!("{SECTION}[Other]\n").as_bytes());
    world.write("empty.toml", b"");
    world.write("compiled.lua", b"\x1bLua");
    world.write("long.lua", &vec![b'-'; 64 << 10]);
    for (arguments, expected) in [
        ("-config=none.toml", "heka-sbmgr: cannot read none.toml"),
        ("-config=tls.toml", "tls.toml:2:1: 'use_tls' is not possible yet"),
        (
            "-config=typo.toml",
            "typo.toml:1:1: unknown option 'ip_adress', did you mean 'ip_address'?",
        ),
        ("-config=key.toml", "key.toml:1:1: 'ip_address' must be host:port"),
        ("-config=key.toml", "'signer.hmac_key' must not be empty"),
        ("-scriptconfig=broken.toml", "broken.toml:2:"),
        ("-scriptconfig=other.toml", "other.toml:2:1: [Counter] is a CounterFilter"),
        ("-scriptconfig=other.toml", "other.toml:3:1: [Counter] cannot read message_matcher"),
        ("-scriptconfig=two.toml", "[Other] is a second section"),
        ("-scriptconfig=empty.toml", "empty.toml has no section"),
        ("-script=none.lua", "cannot read none.lua"),
        ("-script=compiled.lua", "compiled.lua is compiled Lua"),
        ("-script=long.lua", "cannot frame the message"),
    ] {
        let (code, said) = world.refused(arguments);
        assert_eq!(code, 1, "{arguments}: {said}");
        assert!(said.contains(expected), "{arguments}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
    assert_eq!(world.refused("-action=restart").0, 2);
    assert_eq!(world.refused("-actoin=load").0, 2);
}

#[test]
fn a_daemon_that_is_not_there_is_told() {
    let world = World::new("");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    world.write("gone.toml", format!("ip_address = \"127.0.0.1:{port}\"\n").as_bytes());
    let (code, said) = world.refused("-config=gone.toml");
    assert_eq!(code, 1);
    assert!(
        said.contains(&format!("cannot connect to 127.0.0.1:{port}: Connection refused")),
        "{said}"
    );
    world.write("unknown.toml", b"ip_address = \"no-such-host.invalid:1\"\n");
    let (code, said) = world.refused("-config=unknown.toml");
    assert!(code == 1 && said.contains("cannot find no-such-host.invalid:1"), "{said}");
}

#[test]
fn help_is_there_in_go_s_spelling_too() {
    let world = World::new("");
    for (program, word) in [("heka-sbmgr", "scriptconfig"), ("heka-sbmgrload", "CounterSandbox0")] {
        for flag in ["-help", "--help"] {
            let output = world.run(program, flag);
            assert!(output.status.success());
            assert!(String::from_utf8(output.stdout).unwrap().contains(word));
        }
    }
}
