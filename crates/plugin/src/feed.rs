//! The way from an input's bytes to the stream: buffer, splitter, decoder, batch.
//!
//! Here: how read bytes become batches without being copied, the size limit of records, what happens to decode
//! failures. Not here: any splitter or decoder. Invariants: a record's bytes reach the batch where they were
//! read; a position is passed on only with all records before it; memory is bounded by one buffer a feed.

use std::sync::Arc;
use std::time::Duration;

use heka_message::{
    Batch, BatchBuilder, Buffer, BufferMut, BufferPool, Envelope, NameId, RecordBuilder, Value,
};
use heka_stream::{DeadLetters, LetterMeta, Settled, Source, SourceCounts, Stream};

use crate::{
    Decode, DecodeError, Decoder, Frames, InputCounts, InputError, LimitedLog, MessageFeed,
    Oversize, Prepared, Scan, Splitter, StartContext, StartError,
};

/// Bytes of a buffer for sources that send little at a time.
const SMALL_BUFFER_BYTES: usize = 16 << 10;
/// Bytes of a buffer for sources that send much: fits the second-level cache beside what is made of it.
const LARGE_BUFFER_BYTES: usize = 256 << 10;
/// Unused buffers kept, of each size.
const IDLE_BUFFERS_MAX: usize = 32;
/// Up to so many bytes of records are copied out of the buffer, so that it can be filled on.
const COPY_BYTES_MAX: usize = 4 << 10;
/// A batch with more made bytes than this is closed, and another one begun.
const BATCH_MADE_BYTES_MAX: usize = 4 << 20;
/// Room is made at once for so many plain records of a batch.
const RESERVE_RECORDS_MAX: usize = 8192;
/// Longest part of a record that could not be decoded shown in a log line, in bytes.
const LOG_SAMPLE_BYTES: usize = 120;

/// How feeds treat records.
#[derive(Debug, Clone)]
pub struct FeedSettings {
    /// The record is an encoded message, not a payload.
    pub use_message_bytes: bool,
    /// What happens to records over the limit.
    pub oversize: Oversize,
    /// Deliver an unterminated rest at the end of a stream.
    pub deliver_incomplete_final: bool,
    /// Longest record in bytes.
    pub max_record_size: usize,
    /// First size of the buffer in bytes; 0: ours.
    pub min_buffer_size: usize,
    /// Route records that could not be decoded, marked.
    pub send_decode_failures: bool,
    /// Log records that could not be decoded.
    pub log_decode_failures: bool,
    /// Deliver an unterminated rest after so long without new bytes.
    pub flush_after: Option<Duration>,
}

/// Makes the feeds of one input.
pub struct FeedMaker {
    /// The section's splitter.
    pub splitter: Arc<dyn Prepared<dyn Splitter>>,
    /// What the splitter's section is called.
    pub splitter_name: Box<str>,
    /// The section's decoder, if any, and what its section is called.
    pub decoder: Option<Box<str>>,
    /// How records are treated.
    pub settings: Arc<FeedSettings>,
    /// Where batches go.
    pub stream: Stream,
    /// Ledger of the input.
    pub ledger: Arc<SourceCounts>,
    /// Counters of the input.
    pub counts: Arc<InputCounts>,
    /// The daemon around it.
    pub context: StartContext,
    /// Buffers shared by the input's feeds.
    pub pools: Pools,
    /// Log of decode failures.
    pub log: Arc<LimitedLog>,
}

/// Two sizes of buffers.
#[derive(Debug, Clone)]
pub struct Pools {
    small: Arc<BufferPool>,
    large: Arc<BufferPool>,
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            small: BufferPool::new(SMALL_BUFFER_BYTES, IDLE_BUFFERS_MAX),
            large: BufferPool::new(LARGE_BUFFER_BYTES, IDLE_BUFFERS_MAX),
        }
    }
}

impl std::fmt::Debug for FeedMaker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FeedMaker({})", self.context.name)
    }
}

impl FeedMaker {
    /// A feed of messages that the input makes itself: past splitter and decoder.
    #[must_use]
    pub fn messages(&self, envelope: Envelope) -> MessageFeed {
        let source = self.stream.source(Arc::clone(&self.ledger));
        MessageFeed::new(self.context.clone(), Arc::clone(&self.counts), envelope, source)
    }

    /// A feed of its own splitter and decoder instance. `token` tells it from the input's other feeds in logs.
    ///
    /// # Errors
    /// If the splitter or the decoder cannot start.
    pub fn feed(&self, token: &str, envelope: Envelope) -> Result<Feed, StartError> {
        let instance = |plugin: &str| match token {
            "" => format!("{}-{plugin}", self.context.name),
            token => format!("{}-{plugin}-{token}", self.context.name),
        };
        let named = |name: String| StartContext { name: name.into(), ..self.context.clone() };
        let splitter = self.splitter.start(&named(instance(&self.splitter_name)))?;
        let decoder_name = self.decoder.as_deref().map(instance);
        let decoder = match (&self.decoder, &decoder_name) {
            (Some(section), Some(name)) => {
                Some(self.context.decoders.make_decoder(section, &named(name.clone()))?)
            }
            _ => None,
        };
        let envelope = Arc::new(envelope);
        Ok(Feed {
            splitter,
            decode: Decoding {
                decoder,
                name: decoder_name.unwrap_or_default(),
                settings: Arc::clone(&self.settings),
                counts: Arc::clone(&self.counts),
                log: Arc::clone(&self.log),
                decode_failure: self.context.name_id("decode_failure"),
                decode_error: self.context.name_id("decode_error"),
                record_truncated: self.context.name_id("record_truncated"),
                input: Arc::clone(&self.context.name),
                letters: self.context.letters.clone(),
                envelope: Arc::clone(&envelope),
            },
            source: self.stream.source(Arc::clone(&self.ledger)),
            envelope,
            pools: self.pools.clone(),
            context: self.context.clone(),
            buffer: None,
            filled: 0,
            seen: 0,
            discarding: false,
            large: false,
            consumed: 0,
            frames: Frames::default(),
            sizes: (0, 0, 0),
            blocks: None,
            logged_until: 0,
        })
    }
}

/// One stream of bytes on its way.
pub struct Feed {
    splitter: Box<dyn Splitter>,
    decode: Decoding,
    source: Source,
    envelope: Arc<Envelope>,
    pools: Pools,
    context: StartContext,
    buffer: Option<BufferMut>,
    /// Bytes of the buffer that were read.
    filled: usize,
    /// Bytes of the buffer that the splitter saw.
    seen: usize,
    /// Inside the rest of a record that was over the limit.
    discarding: bool,
    /// The source sends much at a time.
    large: bool,
    /// Bytes of the stream that are done with.
    consumed: u64,
    frames: Frames,
    /// What the last batch held: records, fields, made bytes.
    sizes: (usize, usize, usize),
    /// The batch that blocks go to.
    blocks: Option<BatchBuilder>,
    /// Up to here in the stream the log has everything: no batch may reach across it.
    logged_until: u64,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Feed({})", self.context.name)
    }
}

impl Feed {
    /// Where to read the next bytes into; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        let filled = self.filled;
        let min = self.decode.settings.min_buffer_size;
        let pool = if self.large { &self.pools.large } else { &self.pools.small };
        let buffer = self.buffer.get_or_insert_with(|| {
            let mut buffer = pool.take();
            buffer.grow(min);
            buffer
        });
        if filled >= buffer.len() {
            // One record fills the buffer; `commit` bounds how long it can get.
            let longer = (buffer.len() * 2).max(LARGE_BUFFER_BYTES);
            buffer.grow(longer);
        }
        &mut buffer[filled..]
    }

    /// `read` bytes were read into [`space`](Self::space): splits, decodes and appends to the stream. Waits while
    /// the stream is full; cancelled meanwhile, bytes may be lost, so the source must not be acknowledged.
    ///
    /// # Errors
    /// If the stream refuses the batch.
    pub async fn commit(&mut self, read: usize) -> Result<(), InputError> {
        let Some((raw, consumed)) = self.take_records(read) else { return Ok(()) };
        self.append(raw, consumed, None).await
    }

    /// Keeps the positions of this stream in the log, if there is one, under `key`; see
    /// [`Source::keep_positions`]. Before the first commit.
    pub fn keep_positions(&mut self, key: &str, resumed: bool) {
        self.logged_until = self.source.keep_positions(key, resumed);
    }

    /// True if the positions that closures return are kept.
    #[must_use]
    pub fn keeps_positions(&self) -> bool {
        self.source.keeps_positions()
    }

    /// As [`commit`](Self::commit), from a thread that may block. `consumed` sees the bytes that are done with
    /// before they are appended, and returns the place behind them in the source's own words, for the log.
    ///
    /// # Errors
    /// As `commit`.
    pub fn commit_blocking(
        &mut self,
        read: usize,
        runtime: &tokio::runtime::Handle,
        consumed: impl FnOnce(&[u8]) -> Option<Box<[u8]>>,
    ) -> Result<(), InputError> {
        let Some((raw, len)) = self.take_records(read) else { return Ok(()) };
        let position = consumed(&raw);
        runtime.block_on(self.append(raw, len, position))
    }

    /// The stream ends here, or its file does: what is left becomes records where `always` or the section's
    /// `deliver_incomplete_final` says so, else it is given up. The next bytes begin another stream.
    ///
    /// # Errors
    /// As `commit`.
    pub async fn end(&mut self, always: bool) -> Result<(), InputError> {
        let result = match self.take_rest(always) {
            Some((raw, consumed)) => self.append(raw, consumed, None).await,
            None => Ok(()),
        };
        self.splitter.reset();
        result
    }

    /// As [`end`](Self::end), from a thread that may block. `consumed` is as in
    /// [`commit_blocking`](Self::commit_blocking).
    ///
    /// # Errors
    /// As `commit`.
    pub fn end_blocking(
        &mut self,
        always: bool,
        runtime: &tokio::runtime::Handle,
        consumed: impl FnOnce(&[u8]) -> Option<Box<[u8]>>,
    ) -> Result<(), InputError> {
        let result = match self.take_rest(always) {
            Some((raw, len)) => {
                let position = consumed(&raw);
                runtime.block_on(self.append(raw, len, position))
            }
            None => Ok(()),
        };
        self.splitter.reset();
        result
    }

    /// Adds a block with boundaries of its own (a datagram, a broker's message) to the batch being built.
    /// `decorate` sets what the input knows of it. Call [`publish`](Self::publish) after the last block.
    pub fn block(&mut self, data: &[u8], mut decorate: impl FnMut(&mut RecordBuilder<'_>)) {
        let now_ns = self.context.clock.now_ns();
        self.decode.counts.bytes.add(data.len() as u64);
        self.frames.clear();
        let consumed = self.splitter.split(data, Scan::default(), &mut self.frames);
        let rest = &data[consumed.min(data.len())..];
        if !rest.is_empty() {
            let deliver = self.frames.is_empty() || self.decode.settings.deliver_incomplete_final;
            let (mark, start) = (self.frames.len(), data.len() - rest.len());
            self.splitter.finish(rest, deliver, &mut self.frames);
            for frame in &mut self.frames.list[mark..] {
                frame.start += start as u32;
            }
            self.count_incomplete(data.len());
        }
        self.splitter.reset();
        self.count_frames();
        let builder = self.blocks.get_or_insert_with(|| {
            let (names, envelope) = (self.context.names.snapshot(), Arc::clone(&self.envelope));
            BatchBuilder::new(names, envelope, Buffer::empty(), now_ns)
        });
        for frame in &self.frames.list {
            let signer = self.splitter.signer(frame.signer);
            for piece in self.decode.pieces(&data[frame.range()]) {
                self.decode.record(builder, piece, signer, now_ns, &mut decorate);
            }
        }
    }

    /// Bytes of the batch that blocks were added to.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.blocks.as_ref().map_or(0, BatchBuilder::made_bytes)
    }

    /// Appends the blocks' batch to the stream; `position` is the input's own number behind it.
    ///
    /// # Errors
    /// As `commit`.
    pub async fn publish(&mut self, position: u64) -> Result<(), InputError> {
        self.consumed = self.consumed.max(position);
        let Some(builder) = self.blocks.take() else { return Ok(()) };
        Ok(self.source.append(builder.finish(), self.consumed).await?)
    }

    /// Bytes of the stream whose records were appended; what is behind them waits for the end of its record.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Bytes that were read and wait for the end of their record.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.filled
    }

    /// The bytes that wait for the end of their record.
    #[must_use]
    pub fn pending_data(&self) -> &[u8] {
        self.buffer.as_ref().and_then(|buffer| buffer.get(..self.filled)).unwrap_or(&[])
    }

    /// How far the stream's bytes are settled.
    #[must_use]
    pub fn settled(&self) -> Settled {
        self.source.settled()
    }

    /// After how long without new bytes [`end`](Self::end) is to be called with what is left.
    #[must_use]
    pub fn flush_after(&self) -> Option<Duration> {
        self.decode.settings.flush_after
    }

    /// Gives up the buffer if nothing waits in it, so that an idle source holds none.
    pub fn release_buffer(&mut self) {
        if self.filled == 0 {
            self.buffer = None;
            self.large = false;
            self.frames = Frames::default();
        }
    }

    /// Splits what was read. Returns the bytes to make records of, and how many bytes of the stream they and
    /// what lies between them are.
    fn take_records(&mut self, read: usize) -> Option<(Buffer, usize)> {
        self.decode.counts.bytes.add(read as u64);
        let buffer = self.buffer.as_mut()?;
        let space = buffer.len() - self.filled;
        self.large = read >= SMALL_BUFFER_BYTES / 2 || read == space;
        self.filled = (self.filled + read).min(buffer.len());
        self.frames.clear();
        let data = &buffer[..self.filled];
        let scan = Scan { seen: self.seen };
        let mut consumed = self.splitter.split(data, scan, &mut self.frames).min(data.len());
        self.count_frames();
        self.drop_tail_of_oversize();
        let limit = self.decode.settings.max_record_size;
        if self.discarding && self.frames.is_empty() {
            consumed = self.filled;
        } else if self.filled - consumed > limit {
            consumed = self.cut_oversize(consumed, limit);
        }
        if consumed == 0 {
            self.seen = self.filled;
            return None;
        }
        Some((self.detach(consumed), consumed))
    }

    /// The unfinished record is already over the limit: delivers what its policy says, discards the rest.
    fn cut_oversize(&mut self, consumed: usize, limit: usize) -> usize {
        // What it knows of the data ends here; the search for the next delimiter starts anew.
        self.splitter.reset();
        let counts = &self.decode.counts;
        match self.decode.settings.oversize {
            Oversize::Drop => counts.oversize_dropped.add(1),
            // `pieces` cuts and counts it.
            Oversize::Truncate => self.frames.push(consumed..self.filled),
            Oversize::Keep => {
                self.frames.push(consumed..consumed + limit);
                counts.records.add(1);
                return consumed + limit;
            }
        }
        counts.records.add(1);
        self.discarding = true;
        self.filled
    }

    fn drop_tail_of_oversize(&mut self) {
        if self.discarding && !self.frames.is_empty() {
            self.frames.list.remove(0);
            self.discarding = false;
        }
    }

    fn take_rest(&mut self, always: bool) -> Option<(Buffer, usize)> {
        let deliver = always || self.decode.settings.deliver_incomplete_final;
        let rest = self.filled;
        self.frames.clear();
        if !self.discarding && rest > 0 {
            let data = self.buffer.as_ref()?.get(..rest)?;
            self.splitter.finish(data, deliver, &mut self.frames);
            self.count_frames();
            self.count_incomplete(rest);
        }
        self.discarding = false;
        if rest == 0 {
            return None;
        }
        Some((self.detach(rest), rest))
    }

    /// Takes the first `consumed` bytes out of the buffer; the rest stays, or moves to a new one.
    fn detach(&mut self, consumed: usize) -> Buffer {
        self.seen = 0;
        let rest = self.filled - consumed;
        let Some(mut buffer) = self.buffer.take() else { return Buffer::empty() };
        if consumed <= COPY_BYTES_MAX {
            let raw = Buffer::from(buffer[..consumed].to_vec());
            buffer.copy_within(consumed..self.filled, 0);
            self.filled = rest;
            self.buffer = Some(buffer);
            return raw;
        }
        if rest > 0 {
            let pool = if self.large || rest > SMALL_BUFFER_BYTES / 2 {
                &self.pools.large
            } else {
                &self.pools.small
            };
            let mut next = pool.take();
            next.grow(rest + SMALL_BUFFER_BYTES);
            next[..rest].copy_from_slice(&buffer[consumed..self.filled]);
            self.buffer = Some(next);
        }
        self.filled = rest;
        buffer.freeze(consumed)
    }

    /// Counts what is given up behind the last record, if anything.
    fn count_incomplete(&self, end: usize) {
        let found = self.frames.list.last().map_or(0, |frame| frame.range().end);
        self.decode.counts.incomplete.add(u64::from(found < end));
    }

    fn count_frames(&self) {
        let counts = &self.decode.counts;
        counts.records.add(self.frames.len() as u64);
        counts.skipped_bytes.add(self.frames.skipped_bytes);
        counts.bad_signature.add(self.frames.bad_signature);
    }

    async fn append(
        &mut self,
        raw: Buffer,
        consumed: usize,
        mut position: Option<Box<[u8]>>,
    ) -> Result<(), InputError> {
        let now_ns = self.context.clock.now_ns();
        let mut done = 0;
        loop {
            let (batch, next) = self.build(&raw, done, now_ns);
            let last = next >= self.frames.len();
            let end = match self.frames.list.get(next) {
                Some(frame) => self.consumed + u64::from(frame.start),
                None => self.consumed + consumed as u64,
            };
            let position = if last { position.take() } else { None };
            self.source.append_at(batch, end, position).await?;
            done = next;
            if last {
                self.consumed = end;
                return Ok(());
            }
        }
    }

    /// Number of the first frame behind `from` that must not be in one batch with it.
    fn batch_limit(&self, from: usize) -> usize {
        let len = self.frames.len();
        let Some(logged) = self.logged_until.checked_sub(self.consumed).filter(|&it| it > 0) else {
            return len;
        };
        let behind = |frame: &crate::Frame| u64::from(frame.start) >= logged;
        let first = self.frames.list.iter().position(behind).unwrap_or(len);
        if first > from { first } else { len }
    }

    /// Makes a batch of the frames from number `from` on; returns it and the number of the frame after it.
    fn build(&mut self, raw: &Buffer, from: usize, now_ns: i64) -> (Batch, usize) {
        let (names, envelope) = (self.context.names.snapshot(), Arc::clone(&self.envelope));
        let mut builder = BatchBuilder::new(names, envelope, raw.clone(), now_ns);
        if self.decode.is_plain() && self.frames.list.iter().all(|frame| frame.signer == 0) {
            return self.build_plain(raw, builder, from);
        }
        let (records, fields, made) = self.sizes;
        builder.reserve((self.frames.len() - from).min(2 * records + 16), fields, made);
        let (mut next, limit) = (from, self.batch_limit(from));
        while let Some(frame) = self.frames.list.get(next).filter(|_| next < limit) {
            let signer: &[u8] = match frame.signer {
                0 => &[],
                number => self.splitter.signer(number),
            };
            let data = &raw[frame.range()];
            if data.len() <= self.decode.settings.max_record_size {
                self.decode.record(&mut builder, (data, false), signer, now_ns, &mut |_| {});
            } else {
                for piece in self.decode.pieces(data) {
                    self.decode.record(&mut builder, piece, signer, now_ns, &mut |_| {});
                }
            }
            next += 1;
            if builder.made_bytes() > BATCH_MADE_BYTES_MAX {
                break;
            }
        }
        self.sizes = builder.sizes();
        (builder.finish(), next)
    }
}

impl Feed {
    /// As `build`, where records are payloads and nothing else.
    fn build_plain(
        &mut self,
        raw: &Buffer,
        mut builder: BatchBuilder,
        from: usize,
    ) -> (Batch, usize) {
        let limit = self.decode.settings.max_record_size;
        builder.reserve((self.frames.len() - from).min(RESERVE_RECORDS_MAX), 0, 0);
        let (mut next, batch_limit) = (from, self.batch_limit(from));
        while let Some(frame) = self.frames.list.get(next).filter(|_| next < batch_limit)
            && frame.len as usize <= limit
            && builder.made_bytes() <= BATCH_MADE_BYTES_MAX
        {
            // A raw buffer is far shorter than what an arena can hold.
            if builder.push_payload(&raw[frame.range()]).is_err() {
                break;
            }
            next += 1;
        }
        if next > from || self.frames.len() == from {
            return (builder.finish(), next);
        }
        // The first one is over the limit.
        let data = &raw[self.frames.list[from].range()];
        let now_ns = self.context.clock.now_ns();
        for piece in self.decode.pieces(data) {
            self.decode.record(&mut builder, piece, &[], now_ns, &mut |_| {});
        }
        (builder.finish(), from + 1)
    }
}

/// The decoder of a feed, and what happens when it fails.
struct Decoding {
    decoder: Option<Box<dyn Decoder>>,
    name: String,
    settings: Arc<FeedSettings>,
    counts: Arc<InputCounts>,
    log: Arc<LimitedLog>,
    decode_failure: NameId,
    decode_error: NameId,
    record_truncated: NameId,
    /// Section name of the input.
    input: Arc<str>,
    letters: Option<DeadLetters>,
    /// That of the feed.
    envelope: Arc<Envelope>,
}

impl Decoding {
    /// True if a record is a message as it stands.
    fn is_plain(&self) -> bool {
        self.decoder.is_none() && !self.settings.use_message_bytes
    }

    /// The parts of a record to deliver, and whether they were cut.
    fn pieces<'a>(&self, data: &'a [u8]) -> impl Iterator<Item = (&'a [u8], bool)> + use<'a> {
        let limit = self.settings.max_record_size;
        let (pieces, cut) = match self.settings.oversize {
            _ if data.len() <= limit => (data.chunks(limit.max(data.len()).max(1)), false),
            Oversize::Drop => {
                self.counts.oversize_dropped.add(1);
                (data[..0].chunks(1), false)
            }
            Oversize::Truncate => {
                self.counts.oversize_truncated.add(1);
                (data[..limit].chunks(limit), true)
            }
            Oversize::Keep => (data.chunks(limit), false),
        };
        // Chunks of nothing are none, but an empty record is one.
        let empty = data.is_empty().then_some((data, false));
        pieces.map(move |piece| (piece, cut)).chain(empty)
    }

    fn record(
        &mut self,
        builder: &mut BatchBuilder,
        (data, truncated): (&[u8], bool),
        signer: &[u8],
        now_ns: i64,
        decorate: &mut dyn FnMut(&mut RecordBuilder<'_>),
    ) {
        let mut record = builder.record();
        if !self.settings.use_message_bytes {
            record.payload(data);
            decorate(&mut record);
        }
        if !signer.is_empty() {
            record.signer(signer);
        }
        if truncated {
            record.field(self.record_truncated, Value::Bool(true));
        }
        let outcome = match &mut self.decoder {
            Some(decoder) => decoder.decode(data, &mut record),
            None => Ok(Decode::Done),
        };
        let failure = match outcome {
            Ok(Decode::Done) => match record.commit() {
                Ok(()) => return,
                Err(error) => DecodeError::new(error.to_string()),
            },
            Ok(Decode::Discard) => {
                self.counts.discarded.add(1);
                record.discard();
                return;
            }
            Err(error) => {
                drop(record);
                error
            }
        };
        self.failed(builder, data, &failure, now_ns, decorate);
    }

    /// The record goes nowhere else: its bytes are kept with the reason.
    fn keep_letter(
        &self,
        data: &[u8],
        error: &DecodeError,
        decorate: &mut dyn FnMut(&mut RecordBuilder<'_>),
    ) {
        let Some(letters) = &self.letters else { return };
        let (plugin, why) = (&*self.name, &*error.to_string());
        let meta = LetterMeta { plugin, why, input: Some(&self.input) };
        letters.send_refused(&meta, &self.envelope, |record| {
            record.payload(data);
            decorate(record);
        });
    }

    fn failed(
        &self,
        builder: &mut BatchBuilder,
        data: &[u8],
        error: &DecodeError,
        now_ns: i64,
        decorate: &mut dyn FnMut(&mut RecordBuilder<'_>),
    ) {
        self.counts.decode_failed.add(1);
        if self.settings.log_decode_failures
            && let Some(missed) = self.log.event(now_ns)
        {
            let sample = String::from_utf8_lossy(&data[..data.len().min(LOG_SAMPLE_BYTES)]);
            tracing::warn!(decoder = self.name, %error, %sample, missed, "record not decoded");
        }
        if !self.settings.send_decode_failures {
            self.keep_letter(data, error, decorate);
            return;
        }
        let mut text = error.to_string();
        let mut cut = text.len().min(DecodeError::TEXT_MAX);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        text.truncate(cut);
        let mut record = builder.record();
        record.payload(data);
        decorate(&mut record);
        record.field(self.decode_failure, Value::Bool(true));
        record.field(self.decode_error, text.as_str().into());
        if record.commit().is_ok() {
            self.counts.decode_failed_sent.add(1);
        }
    }
}
