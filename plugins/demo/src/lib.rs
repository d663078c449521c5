//! The demo's traffic generator.
