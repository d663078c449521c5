//! Batches as others build, store and read them, through the public surface only.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod compact;
mod model;
mod stored;
