//! Filters that `heka-sbmgr` loads into the running daemon.

use std::io::Write;
use std::net::TcpStream;
use std::process::ExitCode;

use super::preserved_number;
use crate::harness::sections::{TEXT, file_out, tcp_lines};
use crate::harness::{Daemon, Numbered, Port, World};

const SCRIPT: &str = "n = 0\nfunction process_message() n = n + 1 return 0 end\n";

struct Scene {
    world: World,
    control: Port,
    lines: Port,
    numbered: Numbered,
}

impl Scene {
    fn new() -> Self {
        let (control, lines) = (Port::reserve(), Port::reserve());
        let scene = Self { world: World::new(), control, lines, numbered: Numbered::default() };
        scene.world.write("counter.lua", SCRIPT);
        scene.section("counter", "");
        scene.signer("ops", "secret");
        scene
    }

    /// A filter to load.
    fn section(&self, name: &str, more: &str) {
        let text = format!(
            "[{name}]\ntype = 'SandboxFilter'\nmessage_matcher = \"Type == 'lines'\"\n\
             preserve_data = true\n{more}"
        );
        self.world.write(&format!("{name}.toml"), text);
    }

    /// Who signs from now on.
    fn signer(&self, name: &str, key: &str) {
        let address = self.control.address();
        let text = format!(
            "ip_address = '{address}'\n[signer]\nname = '{name}'\nversion = 0\n\
             hmac_hash = 'sha1'\nhmac_key = '{key}'\n"
        );
        self.world.write("sbmgr.toml", text);
    }

    fn config(&self) -> String {
        let control = self.control.number();
        [
            &format!(
                "[control]\ntype = 'TcpInput'\naddress = '127.0.0.1:{control}'\n\
                 splitter = 'signed'\n[signed]\ntype = 'HekaFramingSplitter'\n\
                 [signed.signer.ops_0]\nhmac_key = 'secret'\n\
                 [signed.signer.dev_0]\nhmac_key = 'other'\n"
            ),
            "[Ops]\ntype = 'SandboxManagerFilter'\nmessage_signer = 'ops'\nmax_filters = 2\n",
            &tcp_lines("in", self.lines.number()).replace("decoder = ''", "decoder = 'mark'"),
            "[mark]\ntype = 'ScribbleDecoder'\n[mark.message_fields]\nType = 'lines'\n",
            TEXT,
            "[rst]\ntype = 'RstEncoder'\n",
            &file_out("out", "Type == 'lines'", "out.log"),
            &file_out("ends", "Type =~ /terminated$/", "ends.log").replace("'text'", "'rst'"),
        ]
        .map(str::to_owned)
        .concat()
    }

    /// What `heka-sbmgr` does; it must work.
    fn manage(&self, arguments: &str) {
        let settings = format!("-config={}", self.world.text_path("sbmgr.toml"));
        let words = arguments.split_whitespace().map(str::to_owned);
        let code = heka_cli::manage(words.chain([settings]).collect());
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "{arguments}");
    }

    fn load(&self, script: &str, section: &str) {
        let (script, section) = (self.world.text_path(script), self.world.text_path(section));
        self.manage(&format!("-action=load -script={script} -scriptconfig={section}"));
    }

    /// Sends lines and waits until all have passed.
    fn send(&mut self, daemon: &mut Daemon, count: usize) {
        let mut peer = TcpStream::connect(self.lines.address()).unwrap();
        let before = daemon.report().output("out", "ProcessMessageCount");
        peer.write_all(self.numbered.lines(count).as_bytes()).unwrap();
        let wanted = before + count as u64;
        daemon.until_report("the lines", |it| it.output("out", "ProcessMessageCount") == wanted);
    }

    fn until_end(&self, daemon: &mut Daemon, text: &str) {
        daemon.until(text, || self.world.read_text("ends.log").contains(text));
    }
}

fn running(daemon: &mut Daemon, count: u64) {
    daemon.until_report("so many filters", |report| {
        report.number("Filters", "Ops", "RunningFilters") == count
    });
}

fn seen(daemon: &mut Daemon, filter: &str, count: u64) {
    daemon.until_report("the loaded filter", |report| {
        report.entries("Filters").contains(&filter)
            && report.number("Filters", filter, "ProcessMessageCount") == count
    });
}

#[test]
fn filters_are_loaded_counted_with_loaded_again_and_unloaded() {
    let mut scene = Scene::new();
    let config = scene.config();
    let mut daemon = scene.world.start(&config);
    scene.send(&mut daemon, 100);
    scene.load("counter.lua", "counter.toml");
    running(&mut daemon, 1);
    scene.send(&mut daemon, 200);
    seen(&mut daemon, "Ops-counter", 200);
    daemon.stop_well();
    assert_eq!(preserved_number(&scene.world, "Ops_counter", "n"), 200.0);

    let mut daemon = scene.world.start(&config);
    running(&mut daemon, 1);
    scene.send(&mut daemon, 300);
    seen(&mut daemon, "Ops-counter", 300);
    scene.manage("-action=unload -filtername=counter");
    scene.until_end(
        &mut daemon,
        "Ops-counter (type SandboxFilter) terminated. Error: Filter unloaded.",
    );
    running(&mut daemon, 0);
    scene.send(&mut daemon, 50);
    daemon.stop_well();
    assert_eq!(preserved_number(&scene.world, "Ops_counter", "n"), 500.0);

    let mut daemon = scene.world.start(&config);
    running(&mut daemon, 0);
    daemon.stop_well();
    let ends = scene.world.read_text("ends.log");
    assert!(ends.contains(":Type: heka.terminated\n"), "{ends}");
}

#[test]
fn who_is_not_the_signer_loads_nothing() {
    let mut scene = Scene::new();
    let config = scene.config();
    let mut daemon = scene.world.start(&config);
    // A key that is wrong, a signer that is another team's, and none.
    for (name, key) in [("ops", "guess"), ("dev", "other"), ("", "")] {
        scene.signer(name, key);
        if name.is_empty() {
            let address = scene.control.address();
            scene.world.write("sbmgr.toml", format!("ip_address = '{address}'\n"));
        }
        scene.load("counter.lua", "counter.toml");
    }
    scene.signer("ops", "secret");
    scene.section("right", "");
    scene.load("counter.lua", "right.toml");
    running(&mut daemon, 1);
    scene.send(&mut daemon, 10);
    seen(&mut daemon, "Ops-right", 10);
    let report = daemon.report();
    assert!(!report.entries("Filters").contains(&"Ops-counter"), "{}", report.text);
    assert_eq!(report.number("Filters", "Ops", "ProcessMessageCount"), 1, "{}", report.text);
    daemon.stop_well();
}

#[test]
fn what_cannot_be_loaded_is_told_and_the_quota_holds() {
    let mut scene = Scene::new();
    let config = scene.config();
    let mut daemon = scene.world.start(&config);
    scene.world.write("broken.lua", "function process_message( return 0 end");
    scene.section("broken", "");
    scene.load("broken.lua", "broken.toml");
    scene.until_end(&mut daemon, "Ops-broken.lua:1: <name> or '...' expected near 'return'");
    let ends = scene.world.read_text("ends.log");
    assert!(ends.contains(":Type: heka.sandbox-terminated\n"), "{ends}");
    assert!(ends.contains("name:\"plugin\" type:string value:\"Ops\"\n"), "{ends}");
    assert!(!scene.world.path("base/sbxmgrs/Ops-broken.lua").exists());

    for name in ["one", "two", "three"] {
        scene.section(name, "");
        scene.load("counter.lua", &format!("{name}.toml"));
    }
    daemon.until_logged("attempted to load more than 2 filters");
    running(&mut daemon, 2);
    scene.load("counter.lua", "one.toml");

    // The end of one makes room for another.
    scene.manage("-action=unload -filtername=one");
    running(&mut daemon, 1);
    scene.world.write("fails.lua", "function process_message() error('gone') end");
    scene.section("fails", "");
    scene.load("fails.lua", "fails.toml");
    running(&mut daemon, 2);
    scene.send(&mut daemon, 10);
    scene.until_end(&mut daemon, "fails.lua:1: gone");
    running(&mut daemon, 1);
    daemon.stop_well();
}
