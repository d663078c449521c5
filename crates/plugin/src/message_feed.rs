//! The way from an input that makes whole messages itself to the stream: no bytes to split, nothing to decode.
//!
//! Not here: what a message looks like on the wire; the input decodes it, or sets the headers and fields itself.
//! Invariants: a message that is refused leaves nothing; a position is passed on only with all messages before it; memory
//! is bounded whatever the input does.

use std::sync::Arc;

use heka_message::{BatchBuilder, Buffer, Envelope, RecordBuilder};
use heka_stream::{Settled, Source};
use tokio::runtime::Handle;

use crate::{DecodeError, InputCounts, InputError, StartContext};

/// A batch of so many bytes is worth publishing.
const FULL_BYTES: usize = 256 << 10;
/// A batch takes no more messages above this: the input forgot to publish.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Messages of an input on their way to the stream, in batches that the input ends.
pub struct MessageFeed {
    context: StartContext,
    counts: Arc<InputCounts>,
    envelope: Arc<Envelope>,
    source: Source,
    builder: Option<BatchBuilder>,
    /// The input's own number behind the last batch.
    position: u64,
}

impl MessageFeed {
    pub(crate) fn new(
        context: StartContext,
        counts: Arc<InputCounts>,
        envelope: Envelope,
        source: Source,
    ) -> Self {
        let envelope = Arc::new(envelope);
        Self { context, counts, envelope, source, builder: None, position: 0 }
    }

    /// Adds a message to the batch that is being built. `fill` makes it: sets what the envelope does not say, or decodes
    /// an encoded message into the record, which then is that one and nothing else. `bytes` is its length where it came
    /// from. Call [`publish`](Self::publish) when the feed [is full](Self::is_full), and when no more come at the moment.
    ///
    /// # Errors
    /// If it is longer than `max_message_size`, if `fill` says so, or if the batch is far over its size since nothing was
    /// published. Nothing of the message then remains.
    pub fn message(
        &mut self,
        bytes: usize,
        fill: impl FnOnce(&mut RecordBuilder<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let limit = self.context.max_message_size;
        self.counts.bytes.add(bytes as u64);
        self.counts.records.add(1);
        if bytes > limit {
            self.counts.oversize_dropped.add(1);
            let text =
                format!("the message has {bytes} bytes, and max_message_size allows {limit}");
            return Err(DecodeError::new(text));
        }
        let result = self.add(fill);
        if result.is_err() {
            self.counts.decode_failed.add(1);
        }
        result
    }

    fn add(
        &mut self,
        fill: impl FnOnce(&mut RecordBuilder<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.bytes() > BATCH_BYTES_MAX {
            return Err(DecodeError::new("too many messages were not published"));
        }
        let builder = self.builder.get_or_insert_with(|| {
            let now_ns = self.context.clock.now_ns();
            let (names, envelope) = (self.context.names.snapshot(), Arc::clone(&self.envelope));
            BatchBuilder::new(names, envelope, Buffer::empty(), now_ns)
        });
        let mut record = builder.record();
        fill(&mut record)?;
        record.commit().map_err(|error| DecodeError::new(error.to_string()))
    }

    /// Bytes of the batch that is being built.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.builder.as_ref().map_or(0, BatchBuilder::made_bytes)
    }

    /// True if the batch is to be published now, whether more messages follow or not.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes() >= FULL_BYTES
    }

    /// Appends the batch to the stream, and waits while that is full; `position` is the input's own number behind it,
    /// which never gets smaller. Cancelled meanwhile, its messages are lost, so their source must not be acknowledged.
    ///
    /// # Errors
    /// If the stream refuses the batch.
    pub async fn publish(&mut self, position: u64) -> Result<(), InputError> {
        self.position = self.position.max(position);
        let Some(builder) = self.builder.take() else { return Ok(()) };
        Ok(self.source.append(builder.finish(), self.position).await?)
    }

    /// As [`publish`](Self::publish), from a thread that may block.
    ///
    /// # Errors
    /// As `publish`.
    pub fn publish_blocking(&mut self, position: u64, runtime: &Handle) -> Result<(), InputError> {
        runtime.block_on(self.publish(position))
    }

    /// How far what was published is settled.
    #[must_use]
    pub fn settled(&self) -> Settled {
        self.source.settled()
    }

    /// The input's own number behind the last batch.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl std::fmt::Debug for MessageFeed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MessageFeed({})", self.context.name)
    }
}
