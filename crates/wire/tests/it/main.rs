//! The codec and framing against the byte examples of the original, and against another implementation of
//! protobuf.

#![cfg(test)]

mod decoding_rules;
mod examples;
mod framing;
mod oracle;
mod support;
