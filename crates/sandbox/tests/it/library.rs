//! The shipped scripts and modules in sandboxes: their own tests, which else run on plain Lua with stand-ins.
//!
//! A test file runs in a sandbox of its own. What it asks of plugins comes here as bytes (`packed.lua`) by `inject_message`,
//! and the answer goes back as the payload of the current message. Each plugin is a sandbox of its own, whose script is
//! followed by what answers questions about its globals (`served.lua`).

use std::path::Path;
use std::sync::Arc;

use heka_message::{Batch, Record};
use heka_sandbox::{
    ConfigValue, Ended, Exchange, Injected, Kind, Limits, Outcome, Refusal, Sandbox, Script,
    Settings, embedded, embedded_files,
};

use crate::harness::{Draft, World, batch};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lua/test");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/library");

/// Files that test the harness for plain Lua itself, or give a script's table a function of the test's.
const LEFT_OUT: [&str; 2] = ["harness_test", "alert_module_test"];

/// A value between scripts.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Nil,
    Bool(bool),
    Number(f64),
    Text(Vec<u8>),
    Table(Vec<(Value, Value)>),
}

impl Value {
    fn text(&self) -> &[u8] {
        if let Self::Text(text) = self { text } else { b"" }
    }

    fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    fn read(bytes: &mut &[u8]) -> Self {
        let (&letter, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        match letter {
            b'z' => return Self::Nil,
            b't' | b'f' => return Self::Bool(letter == b't'),
            b'{' => {
                let mut fields = Vec::new();
                while bytes[0] != b'}' {
                    fields.push((Self::read(bytes), Self::read(bytes)));
                }
                *bytes = &bytes[1..];
                return Self::Table(fields);
            }
            _ => {}
        }
        let end = bytes.iter().position(|byte| matches!(byte, b';' | b':')).unwrap();
        let number = std::str::from_utf8(&bytes[..end]).unwrap();
        *bytes = &bytes[end + 1..];
        if letter == b'n' {
            return Self::Number(number.parse().unwrap());
        }
        let (text, rest) = bytes.split_at(number.parse().unwrap());
        *bytes = rest;
        Self::Text(text.to_vec())
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.push(b'z'),
            Self::Bool(flag) => out.push(if *flag { b't' } else { b'f' }),
            Self::Number(number) => out.extend_from_slice(format!("n{number:?};").as_bytes()),
            Self::Text(text) => {
                out.extend_from_slice(format!("s{}:", text.len()).as_bytes());
                out.extend_from_slice(text);
            }
            Self::Table(fields) => {
                out.push(b'{');
                for (key, value) in fields {
                    key.write(out);
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    fn config(&self) -> Option<ConfigValue> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(flag) => ConfigValue::Boolean(*flag),
            Self::Number(number) => ConfigValue::Number(*number),
            Self::Text(text) => ConfigValue::Text(text.as_slice().into()),
            Self::Table(fields) => ConfigValue::Table(
                fields
                    .iter()
                    .filter_map(|(key, it)| Some((key.text().into(), it.config()?)))
                    .collect(),
            ),
        })
    }
}

fn text(text: impl AsRef<[u8]>) -> Value {
    Value::Text(text.as_ref().to_vec())
}

/// What a plugin's script makes.
#[derive(Debug, Default)]
struct Made {
    items: Vec<Value>,
    /// Injections that are left; `None`: any number.
    budget: Option<u32>,
}

impl Exchange for Made {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        if let Some(budget) = &mut self.budget {
            *budget = budget.checked_sub(1).ok_or(Refusal::Count)?;
        }
        let fields = match injected {
            Injected::Payload { payload_type, name, text: payload } => vec![
                (text("kind"), text(payload_type)),
                (text("name"), text(name)),
                (text("text"), text(payload)),
            ],
            Injected::Message(bytes) | Injected::Encoded(bytes) => {
                vec![(text("bytes"), text(bytes))]
            }
        };
        self.items.push(Value::Table(fields));
        Ok(())
    }
}

struct Plugin {
    kind: Kind,
    sandbox: Sandbox,
    made: Made,
}

/// The host of a test file.
struct Tests {
    plugins: Vec<Plugin>,
    answer: Batch,
}

impl Exchange for Tests {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        let Injected::Encoded(mut request) = injected else { return Err(Refusal::Unknown) };
        let mut arguments = Vec::new();
        while !request.is_empty() {
            arguments.push(Value::read(&mut request));
        }
        let answer = self.answer(&arguments).unwrap_or_else(|error| {
            let mut out = Vec::new();
            [Value::Bool(false), text(error)].iter().for_each(|value| value.write(&mut out));
            out
        });
        self.answer = batch(|record| _ = record.payload(&answer));
        Ok(())
    }

    fn read(&mut self, look: &mut dyn FnMut(&Record<'_>)) {
        look(&self.answer.record(0).unwrap());
    }
}

/// True and values.
fn done(values: &[Value]) -> Result<Vec<u8>, String> {
    let mut out = b"t".to_vec();
    values.iter().for_each(|value| value.write(&mut out));
    Ok(out)
}

impl Tests {
    fn answer(&mut self, request: &[Value]) -> Result<Vec<u8>, String> {
        let what = request[0].text();
        if what == b"load" {
            let id = self.plugins.len() as f64;
            self.plugins.push(load(request)?);
            return done(&[Value::Number(id)]);
        }
        let id = request[1].number().unwrap() as usize;
        let plugin = &mut self.plugins[id];
        match what {
            b"process" => plugin.process(request),
            b"timer" => {
                plugin.set_clock(&request[2])?;
                plugin.made.budget = request[4].number().map(|budget| budget as u32);
                let ns = request[3].number().unwrap() as i64;
                let ended = plugin.sandbox.timer_event(ns, &mut plugin.made);
                ended.map_err(|ended| ended.text().to_owned())?;
                done(&[])
            }
            b"take" => {
                let items = (1..).zip(std::mem::take(&mut plugin.made.items));
                let items = items.map(|(index, item)| (Value::Number(f64::from(index)), item));
                done(&[Value::Table(items.collect())])
            }
            b"preserve" => {
                done(&[text(plugin.sandbox.preserve().map_err(|error| error.to_string())?)])
            }
            b"request" => plugin.request(&request[2], request[3].text()),
            _ => panic!("{request:?}"),
        }
    }
}

fn kind_of(name: &[u8]) -> Kind {
    match name {
        b"decoder" => Kind::Decoder,
        b"encoder" => Kind::Encoder,
        b"output" => Kind::Output,
        b"input" => Kind::Input,
        _ => Kind::Filter,
    }
}

/// `load`, kind, path, source, configuration, preserved data, time, limits of output and of instructions.
fn load(request: &[Value]) -> Result<Plugin, String> {
    let name = String::from_utf8(request[2].text().to_vec()).unwrap();
    let source = match &request[3] {
        Value::Text(source) => source.clone(),
        _ => embedded(&name).ok_or(format!("there is no {name}"))?.into_owned(),
    };
    let now_s = request[6].number().unwrap();
    let mut served = format!("require('served').start({now_s}) ").into_bytes();
    served.extend_from_slice(&source);
    served.extend_from_slice(b"\nprocess_message = require('served').wrap(process_message)\n");

    let kind = kind_of(request[1].text());
    let Some(ConfigValue::Table(config)) = request[4].config() else { panic!("{request:?}") };
    let usual = Limits::default();
    let limits = Limits {
        // Modules with many patterns need more than the usual memory, in Heka too.
        memory: 4 * usual.memory,
        instructions: request[8].number().map_or(usual.instructions, |limit| limit as u64),
        output: request[7].number().map_or(usual.output, |limit| limit as usize),
    };
    let settings =
        Settings { modules: vec![OURS.into()], config, limits, ..Settings::new(kind, "plugin") };
    let script = Script { name, source: served.into() };
    let mut made = Made::default();
    let preserved = match &request[5] {
        Value::Text(preserved) => Some(preserved.as_slice()),
        _ => None,
    };
    let sandbox = Sandbox::start(&settings, &script, preserved, &mut made);
    Ok(Plugin { kind, sandbox: sandbox.map_err(|error| error.to_string())?, made: Made::default() })
}

impl Plugin {
    /// Tells the script what time it is, by a call that does nothing else.
    fn set_clock(&mut self, now_s: &Value) -> Result<(), String> {
        let arguments = [text("clock"), now_s.clone()].map(|it| it.config().unwrap());
        let done = self.sandbox.process_message_with(&arguments, None, &mut Made::default());
        done.map(drop).map_err(|ended| ended.text().to_owned())
    }

    /// `process`, id, time, message, injections: the status, what was said, and the message as it is then.
    fn process(&mut self, request: &[Value]) -> Result<Vec<u8>, String> {
        self.made.budget = request[4].number().map(|budget| budget as u32);
        let arguments = [text(""), request[2].clone()].map(|it| it.config().unwrap());
        let mut last = Vec::new();
        let mut outcome = Ok(Outcome::Done);
        let message = request[3].text();
        let changes = matches!(self.kind, Kind::Decoder | Kind::Encoder);
        let as_sent = batch(|record| {
            heka_wire::decode_message(message, record).unwrap();
            if changes {
                let mut world = World::default();
                let mut draft = Draft { record, world: &mut world };
                let mut both = Both { draft: &mut draft, made: &mut self.made };
                outcome = self.sandbox.process_message_with(&arguments, None, &mut both);
            }
            heka_wire::encode_message(&record.view().record(), &mut last);
        });
        if !changes {
            let record = as_sent.record(0).unwrap();
            outcome = self.sandbox.process_message_with(&arguments, Some(&record), &mut self.made);
        }
        let (status, said) = match outcome {
            Ok(Outcome::Done) => (0, String::new()),
            Ok(Outcome::Refused { status, text }) => (status, text),
            Err(Ended::Status { status, text }) => (status, text),
            Err(Ended::Failed(report)) => return Err(report.text),
        };
        let said = if said.is_empty() { Value::Nil } else { text(said) };
        done(&[Value::Number(status.into()), said, text(last)])
    }

    /// A request for the script itself.
    fn request(&mut self, now_s: &Value, request: &[u8]) -> Result<Vec<u8>, String> {
        let arguments = [text(request), now_s.clone()].map(|it| it.config().unwrap());
        let mut made = Made::default();
        let outcome = self.sandbox.process_message_with(&arguments, None, &mut made);
        outcome.map_err(|ended| ended.text().to_owned())?;
        let Some(Value::Table(fields)) = made.items.pop() else { panic!("no answer") };
        let answer = fields.into_iter().find(|(key, _)| key.text() == b"text");
        Ok(answer.unwrap().1.text().to_vec())
    }
}

/// A message that can change, and what is made of it.
struct Both<'a, 'b, 'c> {
    draft: &'a mut Draft<'b, 'c>,
    made: &'a mut Made,
}

impl Exchange for Both<'_, '_, '_> {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        self.made.inject(injected)
    }

    fn read(&mut self, look: &mut dyn FnMut(&Record<'_>)) {
        self.draft.read(look);
    }

    fn write(&mut self, edit: heka_sandbox::Edit<'_>) -> Result<(), heka_sandbox::EditError> {
        self.draft.write(edit)
    }
}

/// Runs a test file; what went wrong, if anything.
fn run(name: &str, modules: &Path) -> Result<String, String> {
    let source = format!(
        "package.path = '' require 'string' require 'table' require 'math' require 'os'
         function process_message()
           local good, failed = pcall(require, '{name}')
           if not good then print(failed) end
           return good and 0 or -1
         end"
    );
    let script = Script { name: "tests.lua".to_owned(), source: Arc::from(source.as_bytes()) };
    let settings = Settings {
        modules: vec![modules.to_owned()],
        limits: Limits { memory: 0, instructions: 0, output: 0 },
        keep_printed: true,
        ..Settings::new(Kind::Decoder, "tests")
    };
    let mut tests = Tests { plugins: Vec::new(), answer: batch(|_| {}) };
    let mut sandbox =
        Sandbox::start(&settings, &script, None, &mut tests).map_err(|error| error.to_string())?;
    let outcome = sandbox.process_message(None, &mut tests);
    let said = sandbox.take_printed().join("\n");
    match outcome {
        Ok(Outcome::Done) => Ok(said),
        Ok(Outcome::Refused { .. }) => Err(said),
        Err(ended) => Err(ended.text().to_owned()),
    }
}

/// A folder with the test files as modules, and the harness for sandboxes in the place of the other one.
fn modules() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &Path, name: &str| {
        std::fs::copy(from, folder.path().join(name)).unwrap();
    };
    for entry in std::fs::read_dir(TESTS).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        copy(&path, if name == "harness.lua" { "plain.lua" } else { &name });
    }
    for name in ["harness.lua", "packed.lua"] {
        copy(&Path::new(OURS).join(name), name);
    }
    folder
}

#[test]
fn the_tests_of_shipped_scripts_hold_in_sandboxes() {
    let folder = modules();
    let mut names: Vec<String> = std::fs::read_dir(TESTS)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".lua").map(str::to_owned))
        .filter(|name| name.ends_with("_test") && !LEFT_OUT.contains(&name.as_str()))
        .collect();
    names.sort();
    assert!(names.len() > 30, "{names:?}");
    let mut failed = Vec::new();
    for name in names {
        match run(&name, folder.path()) {
            Ok(said) => println!("{name}: {said}"),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// What of the configuration a script cannot start without.
fn least_config(path: &str) -> Vec<(Box<[u8]>, ConfigValue)> {
    let set: &[(&str, &str)] = match path {
        "lua_decoders/apache_access.lua" => &[("log_format", "%h")],
        "lua_decoders/nginx_access.lua" => &[("log_format", "$remote_addr")],
        "lua_decoders/rsyslog.lua" => &[("template", "%msg%")],
        "lua_filters/cbufd_host_aggregator.lua" => &[("max_hosts", "2"), ("rows", "2")],
        "lua_filters/stat_graph.lua" => &[("stats", "a b"), ("stat_labels", "a b")],
        "lua_filters/frequent_items.lua" | "lua_filters/unique_items.lua" => {
            &[("message_variable", "Hostname")]
        }
        _ => &[],
    };
    let value = |text: &str| match text.parse() {
        Ok(number) => ConfigValue::Number(number),
        Err(_) => ConfigValue::Text(text.as_bytes().into()),
    };
    set.iter().map(|(key, text)| (key.as_bytes().into(), value(text))).collect()
}

#[test]
fn every_shipped_script_starts_within_the_usual_limits() {
    let scripts = embedded_files().filter(|path| !path.starts_with("lua_modules/"));
    for path in scripts {
        let folder = path.split('/').next().unwrap();
        let kind = kind_of(folder["lua_".len()..].trim_end_matches('s').as_bytes());
        let settings = Settings { config: least_config(path), ..Settings::new(kind, "plugin") };
        let script = Script { name: path.to_owned(), source: embedded(path).unwrap().into() };
        let sandbox = Sandbox::start(&settings, &script, None, &mut World::default());
        let sandbox = sandbox.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(sandbox.has_function("process_message"), "{path}");
        assert!(sandbox.usage().memory_max < 4 << 20, "{path}: {:?}", sandbox.usage());
    }
}

#[test]
fn every_shipped_module_loads() {
    for path in embedded_files().filter(|path| path.starts_with("lua_modules/")) {
        let name = path["lua_modules/".len()..].trim_end_matches(".lua").replace('/', ".");
        let source = format!("assert(type(require '{name}') == 'table')");
        let script = Script { name: "f.lua".to_owned(), source: Arc::from(source.as_bytes()) };
        let settings = Settings::new(Kind::Filter, "plugin");
        let sandbox = Sandbox::start(&settings, &script, None, &mut World::default());
        sandbox.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
