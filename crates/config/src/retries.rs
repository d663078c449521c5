//! The `retries` table: how long to wait before a plugin is started again. Not here: the waiting.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::plugin::{FieldProblems, PluginConfig};
use crate::units::{GoDuration, empty_is_none};

/// Waiting times between attempts to start or prepare a plugin again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// First wait; each later one is twice as long. Not capped by `max_delay`.
    #[serde(deserialize_with = "delay")]
    #[schemars(with = "GoDuration")]
    pub delay: GoDuration,
    /// Longest wait after doubling.
    #[serde(deserialize_with = "max_delay")]
    #[schemars(with = "GoDuration")]
    pub max_delay: GoDuration,
    /// Upper end of the random time added to each wait; `0s` adds none.
    #[serde(deserialize_with = "max_jitter")]
    #[schemars(with = "GoDuration")]
    pub max_jitter: GoDuration,
    /// Attempts before giving up: -1 never gives up, 0 makes none. Below -1 counts as 0.
    pub max_retries: i64,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            delay: GoDuration::from_millis(250),
            max_delay: GoDuration::from_secs(30),
            max_jitter: GoDuration::from_millis(500),
            max_retries: -1,
        }
    }
}

impl Retries {
    /// Attempts before giving up; none means forever.
    pub fn limit(&self) -> Option<u64> {
        (self.max_retries != -1).then(|| u64::try_from(self.max_retries).unwrap_or(0))
    }
}

impl PluginConfig for Retries {
    fn validate(&self, problems: &mut FieldProblems) {
        if self.max_retries < -1 {
            problems.warn("max_retries", "below -1 counts as 0: no attempt is made");
        }
    }
}

fn delay<'de, D: Deserializer<'de>>(source: D) -> Result<GoDuration, D::Error> {
    Ok(empty_is_none(source)?.unwrap_or(Retries::default().delay))
}

fn max_delay<'de, D: Deserializer<'de>>(source: D) -> Result<GoDuration, D::Error> {
    Ok(empty_is_none(source)?.unwrap_or(Retries::default().max_delay))
}

fn max_jitter<'de, D: Deserializer<'de>>(source: D) -> Result<GoDuration, D::Error> {
    Ok(empty_is_none(source)?.unwrap_or(Retries::default().max_jitter))
}
