//! The reading loop: one thread for all streams of an input.
//!
//! Invariants: a journal is written only up to what is settled; every stream gets its turn; a quiet input sleeps
//! in the kernel.

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use heka_logstream::{Error, LogStreams, Now, Position, ReadEvent, StreamId};
use heka_message::Envelope;
use heka_plugin::{
    Clock, Feed, FeedMaker, InputContext, InputCounts, InputError, LimitedLog, Report, Settled,
    Stop,
};
use tokio::runtime::Handle;

use super::CHECKPOINT_INTERVAL;

/// Reads of one stream before the next one has its turn.
const READS_A_TURN: usize = 8;
/// Longest sleep: bounds how late anything that no event tells is seen.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// Journals written each time, at most; with more busy streams each is written less often.
const JOURNALS_A_CHECKPOINT: usize = 100;
/// From so many positions on those that need not be kept are dropped.
const PRUNED_POSITIONS: usize = 32;
/// How often a stopping input looks whether its messages are settled.
const SETTLE_POLL: Duration = Duration::from_millis(5);

/// Reads all streams of an input.
pub(super) struct Reader {
    streams: LogStreams,
    states: HashMap<StreamId, State>,
    /// Streams with positions that are not saved, or bytes that wait for the end of their record; the one whose
    /// journal was looked at longest ago comes first.
    open: VecDeque<StreamId>,
    feeds: Arc<FeedMaker>,
    counts: Arc<InputCounts>,
    log: LimitedLog,
    clock: Arc<dyn Clock>,
    name: Arc<str>,
    hostname: String,
    stop: Stop,
    abandon: Stop,
    /// Becomes readable when the input is to stop.
    wake: UnixStream,
    runtime: Handle,
    figures: Arc<Mutex<Vec<Figure>>>,
    next_checkpoint: Instant,
}

/// A stream as the report shows it.
#[derive(Debug)]
struct Figure {
    name: String,
    file: String,
    bytes: u64,
}

/// What is on its way of one stream.
struct State {
    feed: Feed,
    settled: Settled,
    /// Positions behind the batches that are not settled: in the feed's count and in the files.
    positions: VecDeque<(u64, Position)>,
    last_data: Instant,
    /// It is in the reader's list of open ones.
    is_open: bool,
    /// The log was told of it.
    is_keyed: bool,
    figure: usize,
}

impl Reader {
    pub(super) fn new(
        streams: LogStreams,
        context: &InputContext,
        hostname: &str,
        wake: UnixStream,
    ) -> Self {
        let figures: Arc<Mutex<Vec<Figure>>> = Arc::default();
        let shown = Arc::clone(&figures);
        context.reporter.set(move |report| show(&shown, report));
        Self {
            streams,
            states: HashMap::new(),
            open: VecDeque::new(),
            feeds: Arc::clone(&context.feeds),
            counts: Arc::clone(&context.counts),
            log: LimitedLog::default(),
            clock: Arc::clone(&context.start.clock),
            name: Arc::clone(&context.start.name),
            hostname: hostname.to_owned(),
            stop: context.stop.clone(),
            abandon: context.abandon.clone(),
            wake,
            runtime: Handle::current(),
            figures,
            next_checkpoint: Instant::now(),
        }
    }

    /// Reads the streams that were `found` and all that appear later, until the input is to stop.
    pub(super) fn run(mut self, found: Vec<StreamId>) -> Result<(), InputError> {
        let mut ready = found;
        let mut queue: VecDeque<StreamId> = VecDeque::new();
        let mut queued = HashSet::new();
        while !self.stop.is_set() {
            self.streams.poll(Now::read(), &mut ready);
            queue.extend(ready.drain(..).filter(|&id| queued.insert(id)));
            self.tell_problems();
            for _ in 0..queue.len() {
                let Some(id) = queue.pop_front() else { break };
                if self.turn(id)? {
                    queue.push_back(id);
                } else {
                    queued.remove(&id);
                }
                if self.stop.is_set() {
                    break;
                }
            }
            self.flush_quiet()?;
            self.checkpoint(false);
            if queue.is_empty() {
                self.sleep()?;
            }
        }
        self.settle();
        self.checkpoint(true);
        Ok(())
    }

    /// Reads a stream for a while; true if there is more.
    fn turn(&mut self, id: StreamId) -> Result<bool, InputError> {
        if !self.states.contains_key(&id) {
            let state = self.begin(id)?;
            self.states.insert(id, state);
        }
        let Some(state) = self.states.get_mut(&id) else { return Ok(false) };
        for _ in 0..READS_A_TURN {
            let event = self.streams.read(id, state.feed.space(), Now::read());
            let is_begun = matches!(event, Ok(ref event) if !matches!(event, ReadEvent::Idle));
            if is_begun && !std::mem::replace(&mut state.is_keyed, true) {
                let stream = self.streams.stream(id);
                let key = super::position_key(&self.name, stream.name());
                state.feed.keep_positions(&key, stream.resumed());
            }
            let mut place = Place::new(&mut self.streams, id, &state.feed);
            match event {
                Ok(ReadEvent::Data(read)) => {
                    state.last_data = Instant::now();
                    let done = |bytes: &[u8]| place.consumed(bytes);
                    state.feed.commit_blocking(read, &self.runtime, done)?;
                }
                Ok(ReadEvent::EndOfFile | ReadEvent::Truncated) => {
                    let done = |bytes: &[u8]| place.consumed(bytes);
                    state.feed.end_blocking(true, &self.runtime, done)?;
                }
                Ok(ReadEvent::Idle) => {
                    state.feed.release_buffer();
                    return Ok(false);
                }
                Err(error) => {
                    self.problem(&error);
                    return Ok(false);
                }
            }
            let position = place.position;
            state.appended(position);
            if !std::mem::replace(&mut state.is_open, true) {
                self.open.push_back(id);
            }
        }
        Ok(true)
    }

    fn begin(&self, id: StreamId) -> Result<State, InputError> {
        let name = self.streams.stream(id).name().to_owned();
        let envelope = Envelope::new(&self.name)
            .message_type("logfile")
            .logger(name.as_bytes())
            .hostname(&self.hostname);
        let feed = self.feeds.feed(&(id.index() + 1).to_string(), envelope)?;
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.push(Figure { name, file: String::new(), bytes: 0 });
        Ok(State {
            settled: feed.settled(),
            feed,
            positions: VecDeque::new(),
            last_data: Instant::now(),
            is_open: false,
            is_keyed: false,
            figure: figures.len() - 1,
        })
    }

    /// Delivers what waits for the end of its record where nothing came for as long as the splitter says.
    fn flush_quiet(&mut self) -> Result<(), InputError> {
        for &id in &self.open {
            let Some(state) = self.states.get_mut(&id) else { continue };
            if state.flush_due().is_some_and(|due| due.is_zero()) {
                let mut place = Place::new(&mut self.streams, id, &state.feed);
                let done = |bytes: &[u8]| place.consumed(bytes);
                state.feed.end_blocking(true, &self.runtime, done)?;
                let position = place.position;
                state.appended(position);
            }
        }
        Ok(())
    }

    /// Writes the journals of streams whose settled position moved: all at the `end`, else only so many a second,
    /// since each costs the file system more than the lines that it stands for.
    fn checkpoint(&mut self, end: bool) {
        if !end && Instant::now() < self.next_checkpoint {
            return;
        }
        self.next_checkpoint = Instant::now() + CHECKPOINT_INTERVAL;
        let most = if end { usize::MAX } else { JOURNALS_A_CHECKPOINT };
        let mut written = 0;
        for _ in 0..self.open.len() {
            if written >= most {
                return;
            }
            let Some(id) = self.open.pop_front() else { return };
            let Some(state) = self.states.get_mut(&id) else { continue };
            let settled = state.take_settled();
            state.is_open = !state.positions.is_empty() || state.feed.pending() > 0;
            if state.is_open {
                self.open.push_back(id);
            }
            if let Some(position) = settled {
                written += 1;
                self.save(id, &position);
            }
        }
    }

    fn save(&mut self, id: StreamId, position: &Position) {
        if let Err(error) = self.streams.checkpoint(id, position) {
            self.problem(&error);
        }
        let Some(state) = self.states.get(&id) else { return };
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(figure) = figures.get_mut(state.figure) {
            figure.file = position.path().display().to_string();
            figure.bytes = position.offset();
        }
    }

    /// Waits until what was read is delivered, or there is no more time for it.
    fn settle(&mut self) {
        let open = |state: &State| state.settled.position() < state.feed.consumed();
        while self.states.values().any(open) && !self.abandon.is_set() {
            std::thread::sleep(SETTLE_POLL);
        }
    }

    fn sleep(&mut self) -> Result<(), InputError> {
        let mut longest = self.streams.sleep_time(Now::read()).unwrap_or(SLEEP_MAX).min(SLEEP_MAX);
        for state in self.open.iter().filter_map(|id| self.states.get(id)) {
            if !state.positions.is_empty() {
                let until = self.next_checkpoint.saturating_duration_since(Instant::now());
                longest = longest.min(until);
            }
            longest = longest.min(state.flush_due().unwrap_or(SLEEP_MAX));
        }
        let wake = Some(self.wake.as_fd());
        self.streams.wait(longest, wake).map_err(InputError::io("wait for file changes"))?;
        Ok(())
    }

    fn tell_problems(&mut self) {
        for error in self.streams.take_problems() {
            self.counts.errors.add(1);
            if lost_data(&error) {
                tracing::error!(plugin = &*self.name, %error, "log files");
            } else {
                tracing::warn!(plugin = &*self.name, %error, "log files");
            }
        }
    }

    fn problem(&self, error: &Error) {
        self.counts.errors.add(1);
        if let Some(missed) = self.log.event(self.clock.now_ns()) {
            tracing::warn!(plugin = &*self.name, %error, missed, "log files");
        }
    }
}

/// Follows what a feed does with the bytes of a stream.
struct Place<'a> {
    streams: &'a mut LogStreams,
    id: StreamId,
    /// The log wants the position in words.
    in_words: bool,
    position: Option<Position>,
}

impl<'a> Place<'a> {
    fn new(streams: &'a mut LogStreams, id: StreamId, feed: &Feed) -> Self {
        Self { streams, id, in_words: feed.keeps_positions(), position: None }
    }

    fn consumed(&mut self, bytes: &[u8]) -> Option<Box<[u8]>> {
        let position = self.streams.consume(self.id, bytes);
        let words = self.in_words.then(|| position.to_journal().into());
        self.position = Some(position);
        words
    }
}

/// True if lines may have been destroyed before they could be read.
fn lost_data(error: &Error) -> bool {
    matches!(
        error,
        Error::FileTruncated { .. } | Error::PositionLost { .. } | Error::GzipGivenUp { .. }
    )
}

impl State {
    fn appended(&mut self, position: Option<Position>) {
        let Some(position) = position else { return };
        self.positions.push_back((self.feed.consumed(), position));
        if self.positions.len() < PRUNED_POSITIONS {
            return;
        }
        // Of those that are settled only the newest will be saved.
        let settled = self.settled.position();
        while self.positions.get(1).is_some_and(|&(end, _)| end <= settled) {
            self.positions.pop_front();
        }
    }

    /// The newest position up to which all is settled, if that moved.
    fn take_settled(&mut self) -> Option<Position> {
        let settled = self.settled.position();
        let mut last = None;
        while self.positions.front().is_some_and(|&(end, _)| end <= settled) {
            last = self.positions.pop_front();
        }
        last.map(|(_, position)| position)
    }

    /// How long until what waits for the end of its record is delivered as it is.
    fn flush_due(&self) -> Option<Duration> {
        let after = self.feed.flush_after().filter(|_| self.feed.pending() > 0)?;
        Some(after.saturating_sub(self.last_data.elapsed()))
    }
}

fn show(figures: &Mutex<Vec<Figure>>, report: &mut Report) {
    let figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
    for figure in figures.iter() {
        report.text(format!("{}-filename", figure.name), &figure.file);
        report.count(format!("{}-bytes", figure.name), figure.bytes);
    }
}
