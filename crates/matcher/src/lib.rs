//! The message matcher language, compiled to batch selections.
