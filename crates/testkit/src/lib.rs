//! Harnesses and contract checks for plugins.
