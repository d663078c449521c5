//! How many messages a second.

use heka_plugin::{
    Clock, Defaults, Delivery, FieldProblems, Filter, FilterContext, FilterError, NO_DEFAULTS,
    Plugin, PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Type of the messages that it injects.
const MESSAGE_TYPE: &str = "heka.counter-output";

/// Rates that are summed up in one message.
const RATES_PER_SUM: usize = 10;

/// Seconds between counts where the section does not say.
const TICKER_INTERVAL_S: u32 = 5;

/// Counts messages and injects their number and rate at every tick; has no options of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CounterFilterConfig {}

impl PluginConfig for CounterFilterConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for CounterFilter {
    const NAME: &'static str = "CounterFilter";
    const PAGE: &'static str = include_str!("counter_filter.md");
    const DEFAULTS: Defaults = Defaults {
        message_matcher: Some("Type != 'heka.counter-output'"),
        ticker_interval: TICKER_INTERVAL_S,
        ..NO_DEFAULTS
    };
    type Config = CounterFilterConfig;

    fn start(_: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        Ok(Self::new(&context.clock))
    }
}

/// See [`CounterFilterConfig`].
#[derive(Debug)]
pub struct CounterFilter {
    count: u64,
    last_count: u64,
    last_ns: i64,
    rates: Vec<f64>,
    /// Loop count of the message counted last.
    loops: u8,
}

impl CounterFilter {
    fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { count: 0, last_count: 0, last_ns: clock.now_ns(), rates: Vec::new(), loops: 0 }
    }

    fn inject(&self, payload: &str, context: &mut FilterContext) -> Result<(), FilterError> {
        let Some(mut record) = context.inject(self.loops) else { return Ok(()) };
        record.message_type(MESSAGE_TYPE).payload(payload);
        record.commit().map_err(|error| FilterError::Fatal(error.to_string()))
    }
}

impl Filter for CounterFilter {
    fn process(&mut self, delivery: &Delivery, _: &mut FilterContext) -> Result<(), FilterError> {
        self.count += delivery.len() as u64;
        if let Some(record) = delivery.records().last() {
            self.loops = record.loops();
        }
        Ok(())
    }

    fn timer(&mut self, context: &mut FilterContext) -> Result<(), FilterError> {
        let news = self.count - self.last_count;
        if news == 0 {
            // The next rate is that of the idle time too.
            return Ok(());
        }
        let now_ns = context.clock.now_ns();
        // A clock that was set back gives a rate that is too high, but a number.
        let elapsed_s = now_ns.saturating_sub(self.last_ns).max(1) as f64 / 1e9;
        let rate = news as f64 / elapsed_s;
        (self.last_count, self.last_ns) = (self.count, now_ns);
        self.rates.push(rate);
        self.inject(&format!("Got {} messages. {rate:.2} msg/sec", self.count), context)?;
        if self.rates.len() < RATES_PER_SUM {
            return Ok(());
        }
        let min = self.rates.iter().copied().fold(f64::INFINITY, f64::min);
        let max = self.rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = self.rates.iter().sum::<f64>() / self.rates.len() as f64;
        self.rates.clear();
        let text = format!("AGG Sum. Min: {min:.2}    Max: {max:.2}    Mean: {mean:.2}");
        self.inject(&text, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Filtering;

    fn filtering() -> Filtering {
        Filtering::of::<CounterFilter>("")
    }

    #[test]
    fn counts_and_rates_are_told_at_every_tick_with_news() {
        let mut filtering = filtering();
        filtering.messages(7);
        assert_eq!(filtering.tick(5), ["Got 7 messages. 1.40 msg/sec"]);
        filtering.messages(3);
        assert_eq!(filtering.tick(5), ["Got 10 messages. 0.60 msg/sec"]);
        assert!(filtering.tick(5).is_empty());
        filtering.messages(5);
        assert_eq!(filtering.tick(5), ["Got 15 messages. 0.50 msg/sec"]);
    }

    #[test]
    fn ten_rates_are_summed_up() {
        let mut filtering = filtering();
        for tick in 1..10 {
            filtering.messages(5);
            assert_eq!(filtering.tick(5), [format!("Got {} messages. 1.00 msg/sec", tick * 5)]);
        }
        for _ in 0..2 {
            filtering.messages(10);
            let told = filtering.tick(5);
            assert_eq!(told.len(), if filtering.total() == 55 { 2 } else { 1 });
            if let Some(sum) = told.get(1) {
                assert_eq!(sum, "AGG Sum. Min: 1.00    Max: 2.00    Mean: 1.10");
            }
        }
    }

    #[test]
    fn what_it_injects_has_its_type_and_one_more_loop() {
        let mut filtering = filtering();
        filtering.messages_of_loop(2, 3);
        filtering.tick(5);
        assert_eq!(filtering.injected(), [(MESSAGE_TYPE.to_owned(), 4)]);
        filtering.messages_of_loop(1, u8::MAX);
        assert!(filtering.tick(5).is_empty(), "one loop too many");
    }

    #[test]
    fn a_clock_set_back_does_no_harm() {
        let mut filtering = filtering();
        filtering.messages(1);
        assert_eq!(filtering.tick(-5), ["Got 1 messages. 1000000000.00 msg/sec"]);
    }
}
