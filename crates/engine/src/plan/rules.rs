//! What a filter's or output's section means together with the defaults of its type.

use std::time::Duration;

use heka_config::{Buffering, CommonConsumer, Seconds};
use heka_plugin::Defaults;
use heka_stream::{DurableOptions, FullAction};

/// A section's shared settings, and what its type sets where they say nothing.
#[derive(Clone, Copy)]
pub(crate) struct ConsumerRules<'a> {
    pub(crate) common: &'a CommonConsumer,
    pub(crate) defaults: Defaults,
}

impl ConsumerRules<'_> {
    pub(crate) fn ticker_interval(self) -> Option<Duration> {
        ticker(self.common.ticker_interval, self.defaults)
    }

    pub(crate) fn can_exit(self) -> bool {
        self.common.can_exit.unwrap_or(self.defaults.can_exit)
    }

    /// `use_buffering`.
    pub(crate) fn is_durable(self) -> bool {
        self.common.use_buffering.unwrap_or(self.defaults.use_buffering)
    }

    /// The section's `buffering` table, else the type's defaults.
    pub(crate) fn buffering(self) -> Buffering {
        let count = self.defaults.cursor_update_count;
        let default = Buffering { cursor_update_count: count.max(1), ..Buffering::default() };
        self.common.buffering.unwrap_or(default)
    }

    /// How its messages are kept on disk; `None`: they are not.
    pub(crate) fn durable(self, keeps_state: bool) -> Option<DurableOptions> {
        let buffering = self.buffering();
        self.is_durable().then(|| DurableOptions {
            buffer_bytes_max: buffering.buffer_limit(),
            cursor_update_count: buffering.update_count(),
            keeps_state,
        })
    }

    pub(crate) fn full_action(self) -> FullAction {
        let given = self.common.buffering.and_then(|buffering| buffering.full_action);
        match given {
            Some(heka_config::FullAction::Drop) => FullAction::Drop,
            Some(heka_config::FullAction::Shutdown) => FullAction::Shutdown,
            Some(heka_config::FullAction::Block) => FullAction::Block,
            None if self.is_durable() => FullAction::Shutdown,
            None => FullAction::Block,
        }
    }
}

/// The time between two ticks; `None`: no ticks.
pub(crate) fn ticker(given: Option<Seconds>, defaults: Defaults) -> Option<Duration> {
    let default = Duration::from_secs(defaults.ticker_interval.into());
    let interval = given.map_or(default, Seconds::get);
    (!interval.is_zero()).then_some(interval)
}
