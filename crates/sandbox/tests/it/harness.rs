//! Runs a script and keeps what it makes.

use std::sync::Arc;

use heka_message::{
    Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Record, RecordBuilder, Value,
};
use heka_sandbox::{
    Edit, EditError, Ended, Exchange, Injected, Kind, Outcome, Refusal, Sandbox, Script, Settings,
    StartError,
};

/// Shows bytes as the specification does.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(byte as char),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

/// What a script made.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) made: Vec<String>,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) refusal: Option<Refusal>,
}

impl Exchange for World {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        match injected {
            Injected::Payload { payload_type, name, text } => {
                self.made.push(format!(
                    "P({},{}) {}",
                    shown(payload_type),
                    shown(name),
                    shown(text)
                ));
            }
            Injected::Message(message) | Injected::Encoded(message) => {
                self.made.push(format!("M {}", shown(message)));
                self.messages.push(message.to_vec());
            }
        }
        Ok(())
    }
}

/// A message that can change, with what is made of it.
pub(crate) struct Draft<'a, 'b> {
    pub(crate) record: &'a mut RecordBuilder<'b>,
    pub(crate) world: &'a mut World,
}

impl Exchange for Draft<'_, '_> {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        self.world.inject(injected)
    }

    fn read(&mut self, look: &mut dyn FnMut(&Record<'_>)) {
        look(&self.record.view().record());
    }

    fn write(&mut self, edit: Edit<'_>) -> Result<(), EditError> {
        edit(self.record)
    }
}

/// A sandbox with its world.
pub(crate) struct Run {
    pub(crate) sandbox: Sandbox,
    pub(crate) world: World,
}

pub(crate) fn settings(kind: Kind) -> Settings {
    Settings::new(kind, "test")
}

pub(crate) fn script(text: &str) -> Script {
    Script { name: "f.lua".to_owned(), source: Arc::from(text.as_bytes()) }
}

impl Run {
    pub(crate) fn start(settings: &Settings, text: &str) -> Result<Self, StartError> {
        let mut world = World::default();
        let sandbox = Sandbox::start(settings, &script(text), None, &mut world)?;
        Ok(Self { sandbox, world })
    }

    /// A filter.
    pub(crate) fn of(text: &str) -> Self {
        Self::start(&settings(Kind::Filter), text).unwrap()
    }

    pub(crate) fn process(&mut self) -> Result<Outcome, Ended> {
        self.sandbox.process_message(None, &mut self.world)
    }

    /// Calls it with a message.
    pub(crate) fn with(&mut self, batch: &Batch) -> Result<Outcome, Ended> {
        let record = batch.record(0).unwrap();
        self.sandbox.process_message(Some(&record), &mut self.world)
    }

    pub(crate) fn timer(&mut self, ns: i64) -> Result<(), Ended> {
        self.sandbox.timer_event(ns, &mut self.world)
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.world.made)
    }

    /// What it ends with.
    pub(crate) fn ends(&mut self) -> String {
        match self.process() {
            Err(Ended::Failed(report)) => report.text,
            other => panic!("it did not end: {other:?}"),
        }
    }
}

/// Runs a script whose chunk returns nothing and whose function `check` returns text.
pub(crate) fn eval(text: &str) -> String {
    let script = format!(
        "local function check() {text} end\n\
         function process_message() add_to_payload(tostring(check())) inject_payload('', '') return 0 end"
    );
    let mut run = Run::of(&script);
    match run.process() {
        Ok(_) => {
            let made = run.take().concat();
            made.strip_prefix("P(txt,) ").unwrap_or_default().to_owned()
        }
        Err(ended) => format!("T: {}", ended.text()),
    }
}

pub(crate) fn batch(build: impl FnOnce(&mut RecordBuilder<'_>)) -> Batch {
    let envelope = Arc::new(Envelope::new("in").hostname("h1"));
    let names = NameRegistry::new();
    let mut builder = BatchBuilder::new(names.snapshot(), envelope, Buffer::empty(), 5);
    let mut record = builder.record();
    build(&mut record);
    record.commit().unwrap();
    builder.finish()
}

/// Adds a field.
pub(crate) fn field(record: &mut RecordBuilder<'_>, name: &str, value: Value<'_>) {
    let name = record.name_id(name.as_bytes());
    record.field(name, value);
}
