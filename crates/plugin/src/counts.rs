//! Counters of what happens to records before they are messages.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The sum.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an input read and what became of it on the way to the stream.
///
/// `records` = messages appended without those that decoders multiplied or discarded + `decode_failed` kept out.
#[derive(Debug, Default)]
pub struct InputCounts {
    /// Bytes read.
    pub bytes: Counter,
    /// Records that the splitter found, those over the size limit included.
    pub records: Counter,
    /// Records that the decoder refused.
    pub decode_failed: Counter,
    /// Of these, those that were routed all the same, marked.
    pub decode_failed_sent: Counter,
    /// Records that the decoder dropped on purpose.
    pub discarded: Counter,
    /// Unfinished records given up at the end of a stream.
    pub incomplete: Counter,
    /// Records over the size limit that were dropped.
    pub oversize_dropped: Counter,
    /// Records over the size limit that were cut.
    pub oversize_truncated: Counter,
    /// Bytes that belonged to no record (garbage between frames).
    pub skipped_bytes: Counter,
    /// Records dropped since their signature did not verify.
    pub bad_signature: Counter,
    /// Datagrams that the kernel dropped before we could read them.
    pub kernel_dropped: Counter,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections refused or closed for a limit.
    pub refused: Counter,
    /// Errors of reading.
    pub errors: Counter,
}

/// Counters that every plugin's runner keeps.
#[derive(Debug, Default)]
pub struct PluginCounts {
    /// Times that it was started again.
    pub restarts: Counter,
    /// Panics caught.
    pub panics: Counter,
    /// Errors that led to a retry.
    pub retries: Counter,
    /// Messages that it injected.
    pub injected: Counter,
    /// Messages that it wanted to inject but must not (loops, its own matcher).
    pub inject_refused: Counter,
    /// Messages that the encoder refused.
    pub encode_failed: Counter,
    /// Bytes sent or written.
    pub bytes: Counter,
}
