//! A view of web traffic on the terminal, live.
//!
//! Here: options, reading messages, and when what is written. Not here: counting (`stats`, `tally`) and how it looks
//! (`view`). Invariants: a message is answered for as soon as it is counted; a terminal that does not take text makes
//! this output wait and no one else; no field is needed, what is not there is not shown.

mod stats;
mod tally;
mod view;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heka_config::GoDuration;
use heka_message::{NameId, NameRegistry, Record, Value};
use heka_plugin::{
    BoxFuture, Defaults, Delivery, FieldProblems, Flush, NO_DEFAULTS, Output, OutputContext,
    OutputError, Plugin, PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use stats::{Request, Stats};
use view::Palette;

/// Type of the messages of counters.
const COUNTER_TYPE: &[u8] = b"heka.counter-output";
/// How the texts begin in which counters sum up what they said before.
const COUNTER_SUM: &[u8] = b"AGG Sum.";
/// Shortest time between two screens.
const REFRESH_MIN: GoDuration = GoDuration::from_millis(20);
/// What a record counts for beside its payload, in bytes: the time it takes.
const RECORD_BYTES: usize = 64;

/// Where the view is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DemoMode {
    /// A screen if standard output is a terminal, else lines.
    #[default]
    Auto,
    /// A screen that is drawn over and over.
    Screen,
    /// A line a second.
    Lines,
}

/// Shows web traffic on standard output, live: rates, statuses, pages, clients, errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DemoOutputConfig {
    /// What is written: `auto`, `screen` or `lines`. At the end comes a table in any case.
    pub mode: DemoMode,
    /// Time between two screens, at least 20ms.
    pub refresh_interval: GoDuration,
}

impl Default for DemoOutputConfig {
    fn default() -> Self {
        Self { mode: DemoMode::default(), refresh_interval: GoDuration::from_millis(250) }
    }
}

impl PluginConfig for DemoOutputConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        let text = format!("must not be below {REFRESH_MIN}");
        problems.require(self.refresh_interval >= REFRESH_MIN, "refresh_interval", text);
    }
}

/// See [`DemoOutputConfig`].
pub struct DemoOutput {
    fields: Fields,
    stats: Stats,
    screen: Option<Screen>,
    refresh: Duration,
    refresh_ns: i64,
    /// When the next screen is due.
    next_ns: i64,
    /// A second ended that no line told of yet.
    ended: bool,
    /// The table was written.
    finished: bool,
    pending_bytes: usize,
    sink: Sink,
}

/// Where text goes.
type Sink = Arc<Mutex<dyn Write + Send>>;

/// A screen on a terminal.
#[derive(Debug)]
struct Screen {
    palette: Palette,
    /// Lines that were drawn and are drawn over.
    lines: usize,
}

/// Names of the fields that are looked at.
#[derive(Debug)]
struct Fields {
    status: NameId,
    request: NameId,
    client: NameId,
    sent_bytes: NameId,
}

impl std::fmt::Debug for DemoOutput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DemoOutput").field("screen", &self.screen).finish_non_exhaustive()
    }
}

impl Plugin for DemoOutput {
    const NAME: &'static str = "DemoOutput";
    const PAGE: &'static str = include_str!("demo_output.md");
    const DEFAULTS: Defaults = Defaults {
        message_matcher: Some("Type == 'demo' || Type == 'heka.counter-output'"),
        ..NO_DEFAULTS
    };
    type Config = DemoOutputConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let out = io::stdout();
        let on_screen = match config.mode {
            DemoMode::Auto => out.is_terminal(),
            DemoMode::Screen => true,
            DemoMode::Lines => false,
        };
        // See no-color.org: any value but an empty one asks for none.
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let palette = if no_colour { Palette::PLAIN } else { Palette::COLOUR };
        let screen = on_screen.then_some(Screen { palette, lines: 0 });
        let sink: Sink = Arc::new(Mutex::new(out));
        Ok(Self::new(config, &context.names, context.clock.now_ns(), screen, sink))
    }
}

impl Output for DemoOutput {
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(async move {
            let now_ns = context.clock.now_ns();
            self.advance(now_ns);
            self.count(&delivery, now_ns);
            delivery.ack.delivered();
            self.show(now_ns).await
        })
    }

    fn flush<'a>(
        &'a mut self,
        why: Flush,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(async move {
            self.pending_bytes = 0;
            let now_ns = context.clock.now_ns();
            self.advance(now_ns);
            if why == Flush::Stop { self.finish(now_ns).await } else { self.show(now_ns).await }
        })
    }

    /// Lets the runner look at its timer now and then, however much comes.
    fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    fn flush_interval(&self) -> Option<Duration> {
        Some(self.refresh)
    }
}

impl DemoOutput {
    fn new(
        config: &DemoOutputConfig,
        names: &NameRegistry,
        now_ns: i64,
        screen: Option<Screen>,
        sink: Sink,
    ) -> Self {
        let refresh = config.refresh_interval.get();
        let fields = Fields {
            status: names.intern(b"status"),
            request: names.intern(b"request"),
            client: names.intern(b"remote_addr"),
            sent_bytes: names.intern(b"body_bytes_sent"),
        };
        Self {
            fields,
            stats: Stats::new(now_ns),
            screen,
            refresh,
            refresh_ns: i64::try_from(refresh.as_nanos()).unwrap_or(i64::MAX),
            next_ns: now_ns,
            ended: false,
            finished: false,
            pending_bytes: 0,
            sink,
        }
    }

    fn advance(&mut self, now_ns: i64) {
        self.ended |= self.stats.advance(now_ns) > 0;
    }

    fn count(&mut self, delivery: &Delivery, now_ns: i64) {
        let mut requests = 0;
        for record in delivery.records() {
            let payload = record.payload();
            self.pending_bytes += payload.len() + RECORD_BYTES;
            if let Some(request) = self.fields.request(&record) {
                self.stats.request(&request);
                requests += 1;
            } else if record.message_type() == COUNTER_TYPE && !payload.starts_with(COUNTER_SUM) {
                self.stats.counter(record.logger(), payload);
            }
        }
        if requests > 0 {
            self.stats.latency(now_ns.saturating_sub(delivery.batch().timestamp()));
        }
    }

    /// Writes what is due.
    async fn show(&mut self, now_ns: i64) -> Result<(), OutputError> {
        let text = match &mut self.screen {
            Some(screen) if now_ns >= self.next_ns => {
                self.next_ns = now_ns.saturating_add(self.refresh_ns);
                screen.draw(&self.stats, now_ns)
            }
            None if self.ended => view::second_line(&self.stats),
            _ => return Ok(()),
        };
        self.ended = false;
        self.print(text).await
    }

    /// Writes the last screen and the table, once.
    async fn finish(&mut self, now_ns: i64) -> Result<(), OutputError> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let mut text = match &mut self.screen {
            Some(screen) => screen.draw(&self.stats, now_ns),
            None if self.ended => view::second_line(&self.stats),
            None => String::new(),
        };
        text.push_str(&view::summary(&self.stats, now_ns));
        self.print(text).await
    }

    /// Writes on a thread that may wait: a terminal can be stopped, a pipe can be full.
    async fn print(&self, text: String) -> Result<(), OutputError> {
        let sink = Arc::clone(&self.sink);
        let written = tokio::task::spawn_blocking(move || {
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            sink.write_all(text.as_bytes())?;
            sink.flush()
        });
        let failed = OutputError::fatal::<io::Error>("write to standard output");
        written.await.map_err(io::Error::other).flatten().map_err(failed)
    }
}

impl Fields {
    /// What a message says of a request; `None` if it has no status.
    fn request<'a>(&self, record: &Record<'a>) -> Option<Request<'a>> {
        let value = |name| record.field(name).and_then(|field| field.first());
        let status = value(self.status)?;
        let text = |name| value(name).and_then(Value::as_bytes).unwrap_or(b"-");
        // Numbers that are none of a status or a length become 0 or the nearest that is one.
        let sent_bytes = value(self.sent_bytes).and_then(Value::as_number).unwrap_or(0.0) as u64;
        Some(Request {
            timestamp_ns: record.timestamp(),
            status: status_number(status),
            request: text(self.request),
            client: text(self.client),
            sent_bytes,
            line_bytes: record.payload().len() as u64,
        })
    }
}

/// A status, whether it came as a number or as a text; 0 if it is neither.
fn status_number(value: Value<'_>) -> u16 {
    match (value.as_number(), value.as_bytes()) {
        (Some(number), _) => number as u16,
        (None, Some(text)) => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        }
        (None, None) => 0,
    }
}

impl Screen {
    /// Text that draws the screen over the one before: in place, line by line, without clearing first, so that nothing
    /// flickers.
    fn draw(&mut self, stats: &Stats, now_ns: i64) -> String {
        let screen = view::screen(stats, now_ns, &self.palette);
        // Without wrapping, a narrow terminal cuts lines instead of making two of them.
        let mut text = String::from("\x1b[?7l");
        if self.lines > 0 {
            text.push_str(&format!("\x1b[{}F", self.lines));
        }
        self.lines = 0;
        for line in screen.lines() {
            text.push_str(line);
            text.push_str("\x1b[K\n");
            self.lines += 1;
        }
        text.push_str("\x1b[J\x1b[?7h");
        text
    }
}

#[cfg(test)]
mod tests;
