//! Types for settings that carry a unit or need care: durations, sizes, permissions, secrets.
//!
//! Here: their text forms, serde, schema. Not here: ranges that a plugin adds (its `validate`).
//! Invariant: what `Display` writes, `FromStr` reads back to the same value (but for `Secret`).

mod duration;
mod empty;
mod interval;
mod octal;
mod secret;
mod size;

pub use duration::GoDuration;
pub use empty::empty_is_none;
pub use interval::{Interval, Milliseconds, Seconds};
pub use octal::Octal;
pub use secret::Secret;
pub use size::Size;
