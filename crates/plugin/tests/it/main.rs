//! Feeds and encoded records, from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod encoded;
mod feed;
mod message_feed;
