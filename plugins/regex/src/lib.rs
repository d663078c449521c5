//! Plugins that match regular expressions.
