//! An output that throws everything away.

use heka_plugin::{
    BoxFuture, Delivery, FieldProblems, Flush, Output, OutputContext, OutputError, Plugin,
    PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Throws messages away and acknowledges them at once; has no options of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NullOutputConfig {}

impl PluginConfig for NullOutputConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for NullOutput {
    const NAME: &'static str = "NullOutput";
    const PAGE: &'static str = include_str!("null_output.md");
    type Config = NullOutputConfig;

    fn start(_: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self)
    }
}

/// See [`NullOutputConfig`].
#[derive(Debug, Clone, Copy)]
pub struct NullOutput;

impl Output for NullOutput {
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        _: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        delivery.ack.delivered();
        Box::pin(std::future::ready(Ok(())))
    }

    fn flush<'a>(
        &'a mut self,
        _: Flush,
        _: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Delivering;

    #[test]
    fn everything_is_acknowledged_at_once() {
        let mut delivering = Delivering::to("", |_, _| NullOutput);
        delivering.write(&["a", "b"]).unwrap();
        assert_eq!(delivering.delivered(), 2);
        delivering.flush(Flush::Stop).unwrap();
        assert_eq!(delivering.delivered(), 2);
    }
}
