//! A script tried out alone: called as its plugin would call it, each call looked at from close by.
//!
//! Here: the calls, and what they make, made by the plugins' own code. Not here: where messages come from and who shows what
//! came of them. A trial keeps no data, writes no post-mortem and starts nothing again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use heka_datetime::Location;
use heka_message::{Batch, BatchBuilder, Buffer, Envelope, Record};
use heka_plugin::{Matcher, StartContext};
use heka_sandbox::{
    ConfigValue, Ended, Exchange, Injected, Kind, Outcome, Profile, Refusal, Report, Sandbox,
    Script, StartError, Stopper, Usage,
};
use heka_wire::MessageDecoder;

use crate::config::SandboxConfig;
use crate::instance::find_script;
use crate::sandbox_decoder::{Decoding, in_zone, zone_of};
use crate::sandbox_encoder::Encoding;
use crate::sandbox_filter::fill;

/// How a script is tried out.
#[derive(Debug, Clone)]
pub struct TrialOptions {
    /// Counts what each line costs, which slows the script down.
    pub profile: bool,
    /// Messages that a filter may inject for each message.
    pub process_inject_max: u32,
    /// Messages that a filter may inject for each tick.
    pub timer_inject_max: u32,
    /// `max_message_loops`.
    pub loops_max: u8,
    /// The filter's matcher, which nothing that it injects may match.
    pub matcher: Option<Matcher>,
}

/// Something that a script made.
#[derive(Debug)]
pub enum Made {
    /// A text with its type and name, of a filter.
    Payload {
        /// What the text is, as a file extension.
        payload_type: Vec<u8>,
        /// Its name.
        name: Vec<u8>,
        /// The text.
        text: Vec<u8>,
    },
    /// Messages as others would see them.
    Messages(Batch),
    /// What an encoder made of its message.
    Bytes(Vec<u8>),
    /// The place that an input's script named, or how far an output's is, for people.
    Place(String),
}

/// What a call did.
#[derive(Debug)]
pub struct Called {
    /// How it ended; for a tick that worked, [`Outcome::Done`].
    pub outcome: Result<Outcome, Ended>,
    /// What it made. Of a decoder or encoder that refuses its message, nothing.
    pub made: Vec<Made>,
    /// What it printed, line by line.
    pub printed: Vec<String>,
    /// How long it took.
    pub time: Duration,
    /// Instructions that it took; 0 where they are not limited.
    pub instructions: u64,
}

/// A script that is tried out.
#[derive(Debug)]
pub struct Trial {
    kind: Kind,
    sandbox: Sandbox,
    script: Script,
    context: StartContext,
    options: TrialOptions,
    zone: Option<Location>,
    wire: MessageDecoder,
    made: Vec<u8>,
    /// Number of the last message.
    sequence: u64,
    /// Loop count of the message that was looked at last.
    loops: u8,
    /// The place that an input's script named last.
    place: Option<ConfigValue>,
    limited: bool,
}

impl Trial {
    /// Loads and starts the script of a configuration.
    ///
    /// # Errors
    /// If it cannot be read or run.
    pub fn start(
        kind: Kind,
        config: &SandboxConfig,
        context: &StartContext,
        options: TrialOptions,
    ) -> Result<Self, StartError> {
        let mut settings = config.settings(kind, context);
        settings.profile = options.profile;
        settings.keep_printed = true;
        let script = find_script(config, context)?;
        let zone = zone_of(config).map_err(|error| {
            StartError::Script(Report { text: error.to_string(), ..Report::default() })
        })?;
        let sandbox = Sandbox::start(&settings, &script, None, &mut Nowhere)?;
        Ok(Self {
            kind,
            sandbox,
            script,
            context: context.clone(),
            options,
            zone,
            wire: MessageDecoder::new(),
            made: Vec::new(),
            sequence: 0,
            loops: 0,
            place: None,
            limited: settings.limits.instructions > 0,
        })
    }

    /// The script's name and text.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// True if it defines a function of that name.
    pub fn has_function(&self, name: &str) -> bool {
        self.sandbox.has_function(name)
    }

    /// Its figures.
    pub fn usage(&self) -> Usage {
        self.sandbox.usage()
    }

    /// What its lines cost, if that was counted.
    pub fn profile(&self) -> Option<&Profile> {
        self.sandbox.profile()
    }

    /// Something that stops it from another thread.
    pub fn stopper(&self) -> Stopper {
        self.sandbox.stopper()
    }

    /// Calls `process_message` with a message.
    pub fn message(&mut self, record: &Record<'_>) -> Called {
        self.sequence += 1;
        self.loops = record.loops();
        match self.kind {
            Kind::Decoder => self.decode(record),
            Kind::Encoder => self.encode(record),
            Kind::Filter => {
                let left = self.options.process_inject_max;
                self.inject(left, |sandbox, making| sandbox.process_message(Some(record), making))
            }
            Kind::Input | Kind::Output => {
                let argument = [ConfigValue::Number(self.sequence as f64)];
                self.inject(0, |sandbox, making| {
                    sandbox.process_message_with(&argument, Some(record), making)
                })
            }
        }
    }

    /// Calls `process_message` of an input, once, with the place that it named last.
    pub fn poll(&mut self) -> Called {
        let arguments: Vec<ConfigValue> = self.place.clone().into_iter().collect();
        self.inject(u32::MAX, |sandbox, making| {
            sandbox.process_message_with(&arguments, None, making)
        })
    }

    /// Calls `timer_event`.
    pub fn tick(&mut self, now_ns: i64) -> Called {
        let left = self.options.timer_inject_max;
        let shutdown = (self.kind == Kind::Output).then_some(false);
        self.inject(left, |sandbox, making| {
            sandbox.timer_event_with(now_ns, shutdown, making).map(|()| Outcome::Done)
        })
    }

    fn builder(&self) -> BatchBuilder {
        let envelope = Envelope::new(&self.context.name)
            .logger(self.context.name.as_bytes())
            .hostname(&self.context.hostname)
            .pid(self.context.pid);
        let names = self.context.names.snapshot();
        BatchBuilder::new(names, Arc::new(envelope), Buffer::empty(), self.context.clock.now_ns())
    }

    fn inject(
        &mut self,
        left: u32,
        call: impl FnOnce(&mut Sandbox, &mut Making<'_>) -> Result<Outcome, Ended>,
    ) -> Called {
        let builder = self.builder();
        let mut making = Making {
            kind: self.kind,
            context: &self.context,
            options: &self.options,
            zone: self.zone.as_ref(),
            wire: &mut self.wire,
            loops: self.loops,
            left,
            made: Vec::new(),
            place: None,
            builder,
        };
        let began = Instant::now();
        let outcome = call(&mut self.sandbox, &mut making);
        let time = began.elapsed();
        making.finish_messages();
        let (made, place) = (std::mem::take(&mut making.made), making.place.take());
        self.place = place.or(self.place.take());
        self.called(outcome, made, time)
    }

    fn decode(&mut self, record: &Record<'_>) -> Called {
        let mut builder = self.builder();
        let (outcome, time, is_good) = {
            let mut draft = builder.record();
            draft.copy_from(record);
            let mut decoding = Decoding::new(&mut draft, &mut self.wire, self.zone.as_ref());
            let began = Instant::now();
            let outcome = self.sandbox.process_message(None, &mut decoding);
            let time = began.elapsed();
            let is_good = matches!(outcome, Ok(Outcome::Done)) && !decoding.broken;
            (outcome, time, is_good && draft.commit().is_ok())
        };
        let made = if is_good { vec![Made::Messages(builder.finish())] } else { Vec::new() };
        self.called(outcome, made, time)
    }

    fn encode(&mut self, record: &Record<'_>) -> Called {
        let mut encoding = Encoding::new(record, &mut self.made, &self.context);
        let began = Instant::now();
        let outcome = self.sandbox.process_message(Some(record), &mut encoding);
        let time = began.elapsed();
        let made = match outcome {
            Ok(Outcome::Done) => {
                let mut bytes = Vec::new();
                encoding.finish(&mut bytes);
                vec![Made::Bytes(bytes)]
            }
            _ => Vec::new(),
        };
        self.called(outcome, made, time)
    }

    fn called(
        &mut self,
        outcome: Result<Outcome, Ended>,
        made: Vec<Made>,
        time: Duration,
    ) -> Called {
        let instructions = if self.limited { self.sandbox.usage().instructions } else { 0 };
        let printed = self.sandbox.take_printed();
        Called { outcome, made, printed, time, instructions }
    }
}

/// What a script's chunk injects is lost.
struct Nowhere;

impl Exchange for Nowhere {
    fn inject(&mut self, _: Injected<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// One call of a filter, input or output.
struct Making<'a> {
    kind: Kind,
    context: &'a StartContext,
    options: &'a TrialOptions,
    zone: Option<&'a Location>,
    wire: &'a mut MessageDecoder,
    loops: u8,
    left: u32,
    made: Vec<Made>,
    place: Option<ConfigValue>,
    /// Messages since the last other thing.
    builder: BatchBuilder,
}

impl Making<'_> {
    /// Puts the messages so far behind what was made before.
    fn finish_messages(&mut self) {
        if self.builder.is_empty() {
            return;
        }
        let envelope = Arc::new(Envelope::new(&self.context.name));
        let next = BatchBuilder::new(self.context.names.snapshot(), envelope, Buffer::empty(), 0);
        let batch = std::mem::replace(&mut self.builder, next).finish();
        self.made.push(Made::Messages(batch));
    }

    fn filter(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(1).ok_or(Refusal::Count)?;
        if self.loops.saturating_add(1) > self.options.loops_max {
            return Err(Refusal::Loops);
        }
        let mut record = self.builder.record();
        record.timestamp(self.context.clock.now_ns());
        let by = (&*self.context.name, &*self.context.hostname);
        fill(&mut record, self.wire, &mut Vec::new(), by, injected)?;
        let matcher = self.options.matcher.as_ref();
        if matcher.is_some_and(|matcher| matcher.matches(&record.view().record())) {
            return Err(Refusal::Circular);
        }
        if let Injected::Payload { payload_type, name, text } = injected {
            record.discard();
            self.finish_messages();
            self.made.push(Made::Payload {
                payload_type: payload_type.to_vec(),
                name: name.to_vec(),
                text: text.to_vec(),
            });
            return Ok(());
        }
        record.commit().map_err(|_| Refusal::Unknown)
    }

    fn input(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        let (Injected::Message(message) | Injected::Encoded(message)) = injected else {
            return Err(Refusal::Unknown);
        };
        let mut record = self.builder.record();
        self.wire.decode(message, &mut record).map_err(|_| Refusal::Undecodable)?;
        if let Some(zone) = self.zone {
            let ns = record.view().record().timestamp();
            record.timestamp(in_zone(ns, zone));
        }
        record.commit().map_err(|_| Refusal::Unknown)
    }
}

impl Exchange for Making<'_> {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        match self.kind {
            Kind::Input => self.input(injected),
            _ => self.filter(injected),
        }
    }

    fn place(&mut self, place: ConfigValue) {
        let text = match &place {
            ConfigValue::Number(number) => number.to_string(),
            ConfigValue::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        self.place = Some(place);
        self.finish_messages();
        self.made.push(Made::Place(format!("place {text}")));
    }

    fn settled(&mut self, sequence: Option<f64>, failures: u64) {
        let up_to = sequence.map_or("all".to_owned(), |sequence| format!("up to {sequence}"));
        let text = format!("dealt with {up_to}, {failures} failed");
        self.made.push(Made::Place(text));
    }
}
