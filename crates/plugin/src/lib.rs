//! The plugin contracts.
