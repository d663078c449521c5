//! Trying dead letters again: a record that a decoder refused goes through its input's decoder once more, a message goes
//! to the plugin that gave it up.
//!
//! Invariants: a letter goes to the plugin that gave it up and to no other consumer; letters stay where they are, and one
//! that is given up again becomes another one; bounded by the windows of those who get them.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use heka_message::{Envelope, Record, RecordBuilder};
use heka_plugin::{
    Feed, FeedMaker, Frames, Prepared, Scan, Splitter, StartContext, StartError, Stop,
};
use heka_stream::{DeadLetter, LetterReader, LogError, Settled};

use crate::durable::DEAD_LETTERS;
use crate::error::RequestError;
use crate::report::{Handles, InputHandle};
use crate::shared::Shared;
use crate::supervise::panic_text;

/// So many letters are read at once.
const READ_AT_ONCE: usize = 64;

/// Letters of one request.
pub(super) struct Requeue {
    shared: Arc<Shared>,
    handles: Handles,
    file: String,
    /// Not handed out yet.
    wanted: BTreeSet<u64>,
    given: Vec<Given>,
    feeds: HashMap<Arc<str>, (Feed, u64)>,
    stop: Stop,
}

/// A letter that was handed out.
struct Given {
    letter: u64,
    settled: Settled,
    /// It is answered for once this is reached.
    end: u64,
}

/// A request that is over, or was interrupted.
pub(super) struct UnderWay {
    pub(super) file: String,
    waiting: BTreeSet<u64>,
    given: Vec<Given>,
}

impl UnderWay {
    /// Letters that nobody has answered for.
    pub(super) fn unanswered(&self) -> Vec<u64> {
        let open = self.given.iter().filter(|given| given.settled.position() < given.end);
        self.waiting.iter().copied().chain(open.map(|given| given.letter)).collect()
    }
}

/// Why a letter is not tried again.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no input '{0}' any more")]
    NoInput(String),
    #[error("there is no filter or output '{0}' any more")]
    NoConsumer(String),
    #[error("only bytes made from the message are left of it")]
    Remains,
    #[error("it holds no record")]
    Empty,
    #[error("its decoder cannot start: {0}")]
    Start(#[from] StartError),
    #[error("the stream refused it: {0}")]
    Append(#[from] heka_plugin::InputError),
}

impl Requeue {
    pub(super) fn new(
        shared: Arc<Shared>,
        handles: Handles,
        (file, letters): (String, Vec<u64>),
        stop: Stop,
    ) -> Self {
        let wanted = letters.into_iter().collect();
        let (given, feeds) = (Vec::new(), HashMap::new());
        Self { shared, handles, file, wanted, given, feeds, stop }
    }

    /// Hands all letters out and waits until they are answered for, or the daemon stops.
    pub(super) async fn run(mut self) -> Result<UnderWay, RequestError> {
        let Some(&first) = self.wanted.first() else { return Ok(self.end()) };
        let context = &self.shared.context;
        let directory: PathBuf = context.base_dir.join(DEAD_LETTERS);
        let (storage, names) = (Arc::clone(&context.storage), Arc::clone(&context.names));
        let mut reader = LetterReader::new(storage, names, (&directory, first));
        let mut refused = 0;
        loop {
            let wanted = self.wanted.clone();
            let read = tokio::task::spawn_blocking(move || read(reader, &wanted));
            let letters = match read.await {
                Ok(Ok((next, letters))) => {
                    reader = next;
                    letters
                }
                Ok(Err(error)) => return Err(RequestError::Letters(error)),
                Err(error) => return Err(RequestError::Panicked(panic_text(error))),
            };
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                let (sequence, plugin) = (letter.sequence, letter.plugin.clone());
                let mut stop = self.stop.clone();
                let given = tokio::select! {
                    biased;
                    () = stop.wait() => return Ok(self.end()),
                    given = self.give(letter) => given,
                };
                match given {
                    Ok(true) => {}
                    Ok(false) => return Ok(self.end()),
                    Err(why) => {
                        refused += 1;
                        tracing::error!(letter = sequence, plugin, %why, "not tried again");
                    }
                }
                self.wanted.remove(&sequence);
            }
        }
        let missing = std::mem::take(&mut self.wanted);
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            let count = missing.len();
            tracing::error!(count, first, last, "dead letters are not there any more");
        }
        self.answered().await;
        let (letters, missing) = (self.given.len(), missing.len());
        let under_way = self.end();
        if under_way.unanswered().is_empty() {
            tracing::info!(
                file = under_way.file,
                letters,
                refused,
                missing,
                "dead letters were tried again"
            );
        }
        Ok(under_way)
    }

    /// Waits for the answers, or the stop.
    async fn answered(&mut self) {
        let mut stop = self.stop.clone();
        for given in &self.given {
            tokio::select! {
                () = stop.wait() => return,
                () = given.settled.reached(given.end) => {}
            }
        }
    }

    fn end(self) -> UnderWay {
        UnderWay { file: self.file, waiting: self.wanted, given: self.given }
    }

    /// Hands a letter out; waits for room. False: who would get it has ended.
    async fn give(&mut self, letter: DeadLetter) -> Result<bool, Refusal> {
        if let Some(input) = &letter.input {
            self.decode_again(&letter, input).await?;
            return Ok(true);
        }
        let plugin = &*letter.plugin;
        let consumer = self.handles.consumers.find(plugin);
        let Some(handle) = consumer else { return Err(Refusal::NoConsumer(plugin.to_owned())) };
        if letter.is_remains() {
            return Err(Refusal::Remains);
        }
        let given = self.shared.stream.give(&handle.consumer, letter.batch).await;
        let Some(settled) = given else { return Ok(false) };
        self.given.push(Given { letter: letter.sequence, settled, end: Settled::ALONE });
        Ok(true)
    }

    async fn decode_again(&mut self, letter: &DeadLetter, input: &str) -> Result<(), Refusal> {
        let handle = self.handles.inputs.iter().find(|handle| *handle.name == *input);
        let Some(handle) = handle else { return Err(Refusal::NoInput(input.to_owned())) };
        let Some(record) = letter.batch.record(0) else { return Err(Refusal::Empty) };
        if !self.feeds.contains_key(&handle.name) {
            self.feeds.insert(Arc::clone(&handle.name), (feed(handle)?, 0));
        }
        let Some((feed, end)) = self.feeds.get_mut(&handle.name) else { return Ok(()) };
        *end += 1;
        feed.block(record.payload(), |again| take_headers(again, &record));
        feed.publish(*end).await?;
        let (settled, end) = (feed.settled(), *end);
        self.given.push(Given { letter: letter.sequence, settled, end });
        Ok(())
    }
}

/// What the input knew of the record besides its bytes.
fn take_headers(again: &mut RecordBuilder<'_>, letter: &Record<'_>) {
    again.message_type(letter.message_type()).logger(letter.logger()).hostname(letter.hostname());
    again.severity(letter.severity()).pid(letter.pid());
    for field in letter.fields() {
        again.copy_field(&field);
    }
}

/// Reads on to letters that are wanted; none at the end.
fn read(
    mut reader: LetterReader,
    wanted: &BTreeSet<u64>,
) -> Result<(LetterReader, Vec<DeadLetter>), LogError> {
    let mut letters = Vec::new();
    while letters.len() < READ_AT_ONCE {
        let letter = match reader.next_letter() {
            Ok(Some(letter)) => letter,
            Ok(None) => break,
            Err(error @ LogError::Content(_)) => {
                tracing::error!(%error, "a dead letter cannot be read");
                continue;
            }
            Err(error) => return Err(error),
        };
        let last = wanted.last().copied().unwrap_or(0);
        let is_last = letter.sequence >= last;
        if wanted.contains(&letter.sequence) {
            letters.push(letter);
        }
        if is_last {
            break;
        }
    }
    for damage in reader.take_damage() {
        tracing::error!(at = %damage, "part of the dead letters is damaged and was passed over");
    }
    Ok((reader, letters))
}

/// A feed of an input for records that were found before.
fn feed(input: &InputHandle) -> Result<Feed, StartError> {
    let maker = &input.feeds;
    let maker = FeedMaker {
        splitter: Arc::new(Whole),
        splitter_name: maker.splitter_name.clone(),
        decoder: maker.decoder.clone(),
        settings: Arc::clone(&maker.settings),
        stream: maker.stream.clone(),
        ledger: Arc::clone(&maker.ledger),
        counts: Arc::clone(&maker.counts),
        context: maker.context.clone(),
        pools: maker.pools.clone(),
        log: Arc::clone(&maker.log),
    };
    maker.feed("again", Envelope::new(&input.name))
}

/// What the input's splitter found once is one record: it need not be there with what stood around it.
struct Whole;

impl Splitter for Whole {
    fn split(&mut self, data: &[u8], _: Scan, frames: &mut Frames) -> usize {
        frames.push(0..data.len());
        data.len()
    }
}

impl Prepared<dyn Splitter> for Whole {
    fn start(&self, _: &StartContext) -> Result<Box<dyn Splitter>, StartError> {
        Ok(Box::new(Self))
    }

    fn references(&self) -> Vec<String> {
        Vec::new()
    }

    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}
