//! Settings that all plugins of a kind share.
//!
//! Here: the keys, their defaults where these do not depend on the plugin. Not here: what a
//! plugin type puts in place of an unset one; it is an `Option` wherever a type may do so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::buffering::Buffering;
use crate::plugin::{FieldProblems, PluginConfig};
use crate::retries::Retries;
use crate::units::{GoDuration, Seconds, Size};

/// Settings of every input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommonInput {
    /// Section name of the decoder; an empty text switches the plugin's default decoder off.
    pub decoder: Option<String>,
    /// Section name of the splitter; `NullSplitter` unless the plugin has another default.
    pub splitter: Option<String>,
    /// Kept for old configurations.
    #[schemars(extend("x-retired" = "inputs always decode on their own task"))]
    pub synchronous_decode: bool,
    /// Routes a message that could not be decoded, marked with `decode_failure` and `decode_error`.
    pub send_decode_failures: bool,
    /// Logs decode errors.
    pub log_decode_failures: bool,
    /// Lets the daemon go on when this plugin ends; by default the daemon shuts down, unless the
    /// plugin has another default.
    pub can_exit: Option<bool>,
    /// Time between two ticks in seconds; 0 never ticks.
    pub ticker_interval: Option<Seconds>,
    /// Waiting times between attempts to start the plugin again.
    pub retries: Retries,
}

impl Default for CommonInput {
    fn default() -> Self {
        Self {
            decoder: None,
            splitter: None,
            synchronous_decode: false,
            send_decode_failures: false,
            log_decode_failures: true,
            can_exit: None,
            ticker_interval: None,
            retries: Retries::default(),
        }
    }
}

impl PluginConfig for CommonInput {
    fn validate(&self, problems: &mut FieldProblems) {
        problems.nested("retries", |problems| self.retries.validate(problems));
    }
}

/// Settings of every filter and output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommonConsumer {
    /// Expression that selects the messages this plugin gets. Needed unless the plugin has a
    /// default.
    pub message_matcher: Option<String>,
    /// Name that messages must be signed by; empty for any.
    pub message_signer: String,
    /// Time between two ticks in seconds; 0 never ticks.
    pub ticker_interval: Option<Seconds>,
    /// Lets the daemon go on when this plugin ends; by default the daemon shuts down, unless the
    /// plugin has another default.
    pub can_exit: Option<bool>,
    /// Waiting times between attempts to start the plugin again.
    pub retries: Retries,
    /// Keeps messages on disk until this plugin has dealt with them.
    pub use_buffering: Option<bool>,
    /// Limits of what is kept on disk. A table given in part takes the general defaults for what
    /// it leaves out, not the plugin's own.
    pub buffering: Option<Buffering>,
    /// Section name of the encoder. Outputs only.
    pub encoder: Option<String>,
    /// Wraps each encoded message in a frame of Heka's stream format. Outputs only.
    pub use_framing: Option<bool>,
}

impl PluginConfig for CommonConsumer {
    fn validate(&self, problems: &mut FieldProblems) {
        problems.nested("retries", |problems| self.retries.validate(problems));
        if let Some(buffering) = &self.buffering {
            problems.nested("buffering", |problems| buffering.validate(problems));
        }
    }
}

/// What happens to a record that is longer than a record may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Oversize {
    /// It is dropped and counted.
    #[default]
    Drop,
    /// Its beginning is delivered, the rest is dropped and counted.
    Truncate,
    /// It is delivered in pieces, so that nothing is lost.
    Keep,
}

/// Settings of every splitter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommonSplitter {
    /// Heka's older form of `oversize = "truncate"`.
    pub keep_truncated: bool,
    /// What happens to a record that is longer than a record may be; `drop` by default.
    pub oversize: Option<Oversize>,
    /// Hands the record to the decoder as an encoded message instead of as payload.
    pub use_message_bytes: Option<bool>,
    /// First size of the read buffer; 0 means the default.
    pub min_buffer_size: Size,
    /// Delivers the unterminated rest at the end of the stream.
    pub deliver_incomplete_final: bool,
    /// Delivers what waits for the end of its record after so long without new data, for splitters
    /// that know a record's end only by the next one's beginning; `0` waits for ever.
    pub flush_after: GoDuration,
}

impl CommonSplitter {
    /// What happens to an oversized record, `keep_truncated` taken into account.
    pub fn oversize(&self) -> Oversize {
        match self.oversize {
            Some(oversize) => oversize,
            None if self.keep_truncated => Oversize::Truncate,
            None => Oversize::Drop,
        }
    }
}

impl PluginConfig for CommonSplitter {
    fn validate(&self, problems: &mut FieldProblems) {
        let agrees =
            !self.keep_truncated || matches!(self.oversize, None | Some(Oversize::Truncate));
        let text = "contradicts keep_truncated, which means \"truncate\"; leave one of them out";
        problems.require(agrees, "oversize", text);
    }
}

/// Decoders and encoders share no setting but `type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoCommon {}

impl PluginConfig for NoCommon {}
