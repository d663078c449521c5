//! File output.
