//! Plugins that are Lua scripts: decoder, filter, encoder, input, output, and the filter that loads filters.
//!
//! Here: what the daemon makes of what a script says. Not here: hosting (`heka-sandbox`). Invariants: a script that ends
//! takes nothing with it but the message that did it, which is kept to be looked at; a changed script is taken over
//! between two messages, or not at all.

mod config;
mod instance;
mod postmortem;
mod preservation;
mod sandbox_decoder;
mod sandbox_encoder;
mod sandbox_filter;
mod sandbox_input;
mod sandbox_manager_filter;
mod sandbox_output;
mod stats;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
mod trial;

pub use config::{OnTermination, SandboxConfig};
pub use sandbox_decoder::SandboxDecoder;
pub use sandbox_encoder::SandboxEncoder;
pub use sandbox_filter::SandboxFilter;
pub use sandbox_input::SandboxInput;
pub use sandbox_manager_filter::{SandboxManagerFilter, SandboxManagerFilterConfig};
pub use sandbox_output::SandboxOutput;
pub use trial::{Called, Made, Trial, TrialOptions};
