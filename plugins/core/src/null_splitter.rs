//! One record for whatever was read.

use heka_plugin::{
    Defaults, FieldProblems, Frames, NO_DEFAULTS, Plugin, PluginConfig, Scan, Splitter,
    StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes one record of whatever was read at once; has no options of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NullSplitterConfig {}

impl PluginConfig for NullSplitterConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for NullSplitter {
    const NAME: &'static str = "NullSplitter";
    const PAGE: &'static str = include_str!("null_splitter.md");
    const DEFAULTS: Defaults = NO_DEFAULTS;
    type Config = NullSplitterConfig;

    fn start(_: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self)
    }
}

/// See [`NullSplitterConfig`].
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSplitter;

impl Splitter for NullSplitter {
    fn split(&mut self, data: &[u8], _: Scan, frames: &mut Frames) -> usize {
        if !data.is_empty() {
            frames.push(0..data.len());
        }
        data.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Feeding, texts};

    #[test]
    fn each_read_is_a_record() {
        let mut feeding = Feeding::of::<NullSplitter>("");
        assert_eq!(texts(&feeding.reads(&[b"ab", b"cd"])), ["ab", "cd"]);
    }

    #[test]
    fn nothing_read_is_no_record() {
        let mut feeding = Feeding::of::<NullSplitter>("");
        assert!(feeding.reads(&[b""]).is_empty());
        assert!(feeding.blocks(&[b""]).is_empty());
        let mut frames = Frames::default();
        assert_eq!(NullSplitter.split(b"", Scan::default(), &mut frames), 0);
        assert!(frames.is_empty());
    }

    #[test]
    fn a_block_is_a_record() {
        let mut feeding = Feeding::of::<NullSplitter>("");
        assert_eq!(texts(&feeding.blocks(&[b"one\ntwo", b"x"])), ["one\ntwo", "x"]);
    }
}
