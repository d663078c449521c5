//! Looks at messages with a Lua script, and injects what it makes.

use std::sync::Arc;
use std::time::Instant;

use heka_message::{Record, RecordBuilder, Value};
use heka_plugin::{
    Defaults, Delivery, Filter, FilterContext, FilterError, NO_DEFAULTS, Plugin, StartContext,
    StartError,
};
use heka_sandbox::{Ended, Exchange, Injected, Kind, Outcome, Refusal};
use heka_wire::MessageDecoder;

use crate::config::SandboxConfig;
use crate::instance::{After, Instance};
use crate::sandbox_decoder::add_payload;

/// Type of messages that `inject_payload` makes.
const PAYLOAD_TYPE: &str = "heka.sandbox-output";
/// What the types of injected messages begin with.
const TYPE_PREFIX: &[u8] = b"heka.sandbox.";
/// Type of the message that tells the end.
const TERMINATED_TYPE: &str = "heka.sandbox-terminated";
/// Why a slow filter ends.
const BLOCKING: &str = "sandbox is running slowly and blocking the router";
/// So many messages must have been timed before a filter counts as slow.
const SAMPLES_MIN: u64 = 50;
/// Who tells it.
const DAEMON: &str = "hekad";

impl Plugin for SandboxFilter {
    const NAME: &'static str = "SandboxFilter";
    const PAGE: &'static str = include_str!("sandbox_filter.md");
    const DEFAULTS: Defaults = Defaults { can_exit: true, ..NO_DEFAULTS };
    type Config = SandboxConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        Self::new(config, context, false)
    }
}

impl SandboxFilter {
    /// `managed`: it was loaded by a manager, and ends where it is slow and holds others back.
    pub(crate) fn new(
        config: &SandboxConfig,
        context: &StartContext,
        managed: bool,
    ) -> Result<Self, StartError> {
        Ok(Self {
            instance: Instance::start(Kind::Filter, config, context)?,
            wire: MessageDecoder::new(),
            scratch: Vec::new(),
            loops: 0,
            preserves: config.preserve_data,
            timer_at_stop: config.timer_event_on_shutdown,
            times_all: config.profile || managed,
            managed,
        })
    }
}

/// See [`SandboxConfig`].
#[derive(Debug)]
pub struct SandboxFilter {
    instance: Instance,
    wire: MessageDecoder,
    /// The type of a message being injected.
    scratch: Vec<u8>,
    /// Loop count of the message that was looked at last.
    loops: u8,
    preserves: bool,
    timer_at_stop: bool,
    times_all: bool,
    managed: bool,
}

/// One call.
struct Injecting<'a> {
    context: &'a mut FilterContext,
    wire: &'a mut MessageDecoder,
    scratch: &'a mut Vec<u8>,
    loops: u8,
    /// Messages that may still be injected.
    left: u32,
    injected: u64,
}

impl Injecting<'_> {
    fn with_record(
        &mut self,
        make: impl FnOnce(
            &mut RecordBuilder<'_>,
            &mut MessageDecoder,
            &mut Vec<u8>,
        ) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if self.left == 0 {
            return Err(Refusal::Count);
        }
        self.left -= 1;
        let matcher = Arc::clone(&self.context.matcher);
        let mut record = self.context.inject(self.loops).ok_or(Refusal::Loops)?;
        make(&mut record, self.wire, self.scratch)?;
        if matcher.matches(&record.view().record()) {
            drop(record);
            self.context.counts.inject_refused.add(1);
            return Err(Refusal::Circular);
        }
        record.commit().map_err(|_| Refusal::Unknown)?;
        self.injected += 1;
        Ok(())
    }
}

impl Exchange for Injecting<'_> {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        let (name, hostname) = (Arc::clone(&self.context.name), Arc::clone(&self.context.hostname));
        self.with_record(|record, wire, scratch| {
            fill(record, wire, scratch, (&name, &hostname), injected)
        })
    }
}

/// Makes a message of what a filter's script injects; `by` are the names of filter and host.
pub(crate) fn fill(
    record: &mut RecordBuilder<'_>,
    wire: &mut MessageDecoder,
    scratch: &mut Vec<u8>,
    by: (&str, &str),
    injected: Injected<'_>,
) -> Result<(), Refusal> {
    match injected {
        Injected::Payload { payload_type, name, text } => {
            record.message_type(PAYLOAD_TYPE);
            add_payload(record, payload_type, name, text);
        }
        Injected::Message(message) | Injected::Encoded(message) => {
            wire.decode(message, record).map_err(|_| Refusal::Undecodable)?;
            scratch.clear();
            scratch.extend_from_slice(TYPE_PREFIX);
            scratch.extend_from_slice(record.view().record().message_type());
            record.message_type(&*scratch).logger(by.0).hostname(by.1);
        }
    }
    Ok(())
}

impl SandboxFilter {
    fn record(
        &mut self,
        record: &Record<'_>,
        context: &mut FilterContext,
    ) -> Result<(), FilterError> {
        self.loops = record.loops();
        let Some(sandbox) = self.instance.ready() else {
            self.instance.stats.refuse();
            return Ok(());
        };
        let left = context.process_inject_max;
        let mut exchange = Injecting {
            context,
            wire: &mut self.wire,
            scratch: &mut self.scratch,
            loops: self.loops,
            left,
            injected: 0,
        };
        let outcome = sandbox.process_message(Some(record), &mut exchange);
        if exchange.injected > 0 {
            self.instance.stats.inject();
        }
        match outcome {
            Ok(Outcome::Done) => Ok(()),
            Ok(Outcome::Refused { text, .. }) => {
                self.instance.stats.refuse();
                if !text.is_empty()
                    && let Some(missed) = context.log.event(context.clock.now_ns())
                {
                    tracing::error!(
                        plugin = &*context.name,
                        error = text,
                        missed,
                        "message refused"
                    );
                }
                Ok(())
            }
            Err(ended) => self.ended(&ended, Some(record), context),
        }
    }

    /// Calls `timer_event` if the script has it; at the end, that is no duty.
    fn tick(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        let began = Instant::now();
        let Some(sandbox) = self.instance.ready() else { return Ok(()) };
        let (left, now_ns) = (context.timer_inject_max, context.clock.now_ns());
        let mut exchange = Injecting {
            context,
            wire: &mut self.wire,
            scratch: &mut self.scratch,
            loops: self.loops,
            left,
            injected: 0,
        };
        let outcome = sandbox.timer_event(now_ns, &mut exchange);
        (0..exchange.injected).for_each(|_| self.instance.stats.inject());
        self.instance.stats.tick(began.elapsed());
        self.instance.update_usage();
        outcome.or_else(|ended| self.ended(&ended, None, context))
    }

    #[cold]
    fn ended(
        &mut self,
        ended: &Ended,
        record: Option<&Record<'_>>,
        context: &mut FilterContext,
    ) -> Result<(), FilterError> {
        if matches!(ended, Ended::Status { .. }) {
            // Its data is whole.
            self.instance.preserve();
        }
        let after = self.instance.fail(ended, record);
        self.announce(ended.text(), &[], context);
        match after {
            After::Exit => Err(FilterError::exit_announced(ended.text())),
            After::Restarted | After::Quarantined => Ok(()),
        }
    }

    /// Others wait for it: if that is since it takes too long for each message, it ends.
    #[cold]
    fn end_if_slow(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        let slowness = self.instance.stats.slowness();
        if slowness.samples < SAMPLES_MIN || slowness.mean_ns <= context.process_duration_max_ns {
            return Ok(());
        }
        let ended = Ended::Status { status: 1, text: BLOCKING.to_owned() };
        self.instance.preserve();
        self.instance.end(&ended);
        let waiting = context.waiting_deliveries() as u64;
        let numbers = [
            ("ProcessMessageCount", slowness.processed, "count"),
            ("ProcessMessageFailures", slowness.failures, "count"),
            ("ProcessMessageSamples", slowness.samples, "count"),
            ("ProcessMessageAvgDuration", slowness.mean_ns, "ns"),
            ("FilterChanLength", waiting, "count"),
        ];
        self.announce(BLOCKING, &numbers, context);
        Err(FilterError::exit_announced(BLOCKING))
    }

    /// Injects what tells the end, unless the filter itself would get it.
    fn announce(&self, text: &str, numbers: &[(&str, u64, &str)], context: &mut FilterContext) {
        let (matcher, name) = (Arc::clone(&context.matcher), Arc::clone(&context.name));
        let Some(mut record) = context.inject(0) else { return };
        record.message_type(TERMINATED_TYPE).logger(DAEMON).payload(text);
        let id = record.name_id(b"plugin");
        record.field(id, Value::Str(name.as_bytes()));
        for &(name, number, unit) in numbers {
            let id = record.name_id(name.as_bytes());
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            record.field_with(id, unit.as_bytes(), Value::Int(number));
        }
        if matcher.matches(&record.view().record()) {
            tracing::error!(
                plugin = &*name,
                error = "attempted to Inject a message to itself",
                "message not injected"
            );
            return;
        }
        if let Err(error) = record.commit() {
            tracing::error!(plugin = &*name, %error, "message not injected");
        }
    }
}

impl Filter for SandboxFilter {
    fn begin(&mut self, context: &mut FilterContext) {
        let stats = Arc::clone(&self.instance.stats);
        context.reporter.set(move |report| stats.report(report));
    }

    fn process(
        &mut self,
        delivery: &Delivery,
        context: &mut FilterContext,
    ) -> Result<(), FilterError> {
        for record in delivery.records() {
            let timing = self.instance.stats.begin(self.times_all);
            let done = self.record(&record, context);
            self.instance.stats.end(&timing);
            done?;
        }
        self.instance.update_usage();
        if self.managed && context.holds_back() {
            return self.end_if_slow(context);
        }
        Ok(())
    }

    fn keeps_state(&self) -> bool {
        self.preserves
    }

    fn save(&mut self) -> Result<Vec<u8>, FilterError> {
        self.instance.data().map_err(FilterError::Fatal)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), FilterError> {
        self.instance.restore(state).map_err(|error| FilterError::Fatal(error.to_string()))
    }

    fn timer(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        self.tick(context)
    }

    fn reload(&mut self, _: &mut FilterContext) -> Result<(), FilterError> {
        self.instance.reload();
        Ok(())
    }

    fn stop(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        if self.timer_at_stop
            && let Err(error) = self.tick(context)
        {
            tracing::error!(
                plugin = &*context.name,
                error = format!("FATAL: {error}"),
                "last timer_event"
            );
        }
        self.instance.preserve();
        Ok(())
    }
}
