//! Traffic of a small web site, as lines of an access log.
//!
//! Here: options and the loop. Not here: the lines (`generator`), who visits what (`clients`, `site`), what goes wrong
//! (`incidents`), how fast (`pacer`). Invariants: whole lines only, in bytes, so that they pass the splitter and the
//! decoder like those of a file; the time is the context's clock alone.

mod clients;
mod generator;
mod incidents;
mod pacer;
mod site;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heka_config::GoDuration;
use heka_plugin::{
    BoxFuture, Defaults, Feed, FieldProblems, Input, InputContext, InputError, NO_DEFAULTS, Plugin,
    PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use generator::Generator;
use incidents::Incident;
use pacer::Pacer;

/// `Type` of the messages.
const MESSAGE_TYPE: &str = "demo";
/// How often it looks whether lines are due.
const TICK: Duration = Duration::from_millis(20);
/// Most lines per second that can be asked for.
const RATE_MAX: u32 = 100_000_000;

/// Makes traffic of a small web site, as lines of an access log in the combined format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DemoInputConfig {
    /// Lines per second in the mean, up to 100000000; 0 as fast as they are taken. Within ten seconds the rate swings
    /// around it, as that of a site does within a day.
    pub rate: u32,
    /// Visitors, their ways and the incidents follow from this number.
    pub seed: u64,
    /// Time after which the traffic ends, and with it the daemon unless `can_exit` says otherwise; 0 never.
    pub duration: GoDuration,
    /// Lets something go wrong now and then.
    pub incidents: bool,
}

impl Default for DemoInputConfig {
    fn default() -> Self {
        Self { rate: 1000, seed: 1, duration: GoDuration::ZERO, incidents: true }
    }
}

impl PluginConfig for DemoInputConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        let text = format!("must not be above {RATE_MAX}");
        problems.require(self.rate <= RATE_MAX, "rate", text);
    }
}

/// See [`DemoInputConfig`].
#[derive(Debug)]
pub struct DemoInput {
    config: DemoInputConfig,
}

impl Plugin for DemoInput {
    const NAME: &'static str = "DemoInput";
    const PAGE: &'static str = include_str!("demo_input.md");
    const DEFAULTS: Defaults = Defaults { splitter: Some("TokenSplitter"), ..NO_DEFAULTS };
    type Config = DemoInputConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self { config: config.clone() })
    }
}

impl Input for DemoInput {
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>> {
        Box::pin(self.generate(context))
    }
}

impl DemoInput {
    async fn generate(&self, context: &mut InputContext) -> Result<(), InputError> {
        let envelope = context.envelope().message_type(MESSAGE_TYPE);
        let envelope = envelope.hostname(&context.start.hostname).pid(context.start.pid);
        let mut feed = context.feed("", envelope)?;
        let figures = Arc::new(Figures::default());
        let reported = Arc::clone(&figures);
        context.reporter.set(move |report| {
            report.count("GeneratedLineCount", reported.lines.load(Ordering::Relaxed));
            report.count("SkippedLineCount", reported.skipped.load(Ordering::Relaxed));
            report.text("Incident", reported.incident().map_or("none", Incident::name));
        });
        let start_ns = context.start.clock.now_ns();
        let mut run = Run {
            generator: Generator::new(self.config.seed, self.config.incidents, start_ns),
            figures,
            start_ns,
            end: (!self.config.duration.is_zero()).then(|| self.config.duration.get()),
        };
        match self.config.rate {
            0 => run.as_fast_as_possible(context, &mut feed).await?,
            rate => run.paced(Pacer::new(rate), context, &mut feed).await?,
        }
        feed.end(true).await?;
        if !context.settle(&feed.settled(), feed.consumed()).await {
            tracing::debug!(plugin = &*context.start.name, "ended before all was delivered");
        }
        Ok(())
    }
}

/// What the report says.
#[derive(Debug, Default)]
struct Figures {
    lines: AtomicU64,
    skipped: AtomicU64,
    incident: Mutex<Option<Incident>>,
}

impl Figures {
    fn incident(&self) -> Option<Incident> {
        *self.incident.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_incident(&self, incident: Option<Incident>) {
        *self.incident.lock().unwrap_or_else(PoisonError::into_inner) = incident;
    }
}

/// What the loops work on.
struct Run {
    generator: Generator,
    figures: Arc<Figures>,
    start_ns: i64,
    end: Option<Duration>,
}

impl Run {
    async fn as_fast_as_possible(
        &mut self,
        context: &InputContext,
        feed: &mut Feed,
    ) -> Result<(), InputError> {
        while !context.stop.is_set() && !self.is_over(self.elapsed(context)) {
            self.write(u64::MAX, context, feed).await?;
            // Where the stream never makes it wait, others want to run as well.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn paced(
        &mut self,
        mut pacer: Pacer,
        context: &InputContext,
        feed: &mut Feed,
    ) -> Result<(), InputError> {
        let mut stop = context.stop.clone();
        loop {
            let elapsed = self.elapsed(context);
            let over = self.is_over(elapsed);
            let mut due = pacer.due(self.end.map_or(elapsed, |end| elapsed.min(end)));
            self.figures.skipped.store(pacer.skipped(), Ordering::Relaxed);
            while due > 0 && !stop.is_set() {
                let written = self.write(due, context, feed).await?;
                pacer.wrote(written);
                due -= written.min(due);
            }
            if over {
                return Ok(());
            }
            tokio::select! {
                () = stop.wait() => return Ok(()),
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    fn elapsed(&self, context: &InputContext) -> Duration {
        let ns = context.start.clock.now_ns().saturating_sub(self.start_ns);
        // A clock that was set back makes it wait.
        Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
    }

    fn is_over(&self, elapsed: Duration) -> bool {
        self.end.is_some_and(|end| elapsed >= end)
    }

    /// Writes at most so many lines, as many as the feed takes at once, and says how many.
    async fn write(
        &mut self,
        lines_max: u64,
        context: &InputContext,
        feed: &mut Feed,
    ) -> Result<u64, InputError> {
        let now_ns = context.start.clock.now_ns();
        let before = self.generator.incident();
        let mut filled = self.generator.fill(feed.space(), lines_max, now_ns);
        feed.commit(filled.bytes).await?;
        while self.generator.is_inside_line() {
            let rest = self.generator.fill(feed.space(), 0, now_ns);
            feed.commit(rest.bytes).await?;
            filled.lines += rest.lines;
        }
        self.figures.lines.fetch_add(filled.lines, Ordering::Relaxed);
        self.tell(before, context);
        Ok(filled.lines)
    }

    /// Says when an incident begins or ends.
    fn tell(&self, before: Option<Incident>, context: &InputContext) {
        let now = self.generator.incident();
        if before == now {
            return;
        }
        self.figures.set_incident(now);
        let plugin = &*context.start.name;
        match (before, now) {
            (_, Some(incident)) => tracing::info!(plugin, "{} begins", incident.name()),
            (Some(incident), None) => tracing::info!(plugin, "{} is over", incident.name()),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests;
