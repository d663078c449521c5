//! What a log knows besides messages: how far each consumer and each source is.
//!
//! Written into the log itself: a snapshot at the begin of each segment, changes as they come.

use std::collections::BTreeMap;

use crate::log::error::LogError;

/// How far a consumer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CursorState {
    /// Every batch below this number is delivered, or was finally given up.
    pub sequence: u64,
    /// Messages that wait in the log.
    pub messages: u64,
    /// Their bytes in the log, as far as they are its own.
    pub bytes: u64,
    /// When a daemon last ran with this consumer, ns since 1970.
    pub seen_ns: i64,
}

/// How far a source is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PositionState {
    /// The source's progress behind its last batch that durable consumers need not get again.
    pub logged: u64,
    /// The source's progress up to which no consumer needs anything again.
    pub settled: u64,
    /// The source's own words for `settled`.
    pub position: Vec<u8>,
}

/// Cursors and positions; as a change, those that changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogState {
    /// The next batch gets this number or a higher one.
    pub next_sequence: u64,
    /// By section name of the consumer.
    pub cursors: BTreeMap<String, CursorState>,
    /// By key of the source.
    pub positions: BTreeMap<String, PositionState>,
    /// Cursors and positions that are no more.
    pub removed: Vec<String>,
}

/// Removed names begin with a letter that says of what.
const CURSOR: char = 'c';
const POSITION: char = 'p';

impl LogState {
    /// True if there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cursors.is_empty() && self.positions.is_empty() && self.removed.is_empty()
    }

    /// Forgets a consumer.
    pub fn remove_cursor(&mut self, name: &str) {
        self.cursors.remove(name);
        self.removed.push(format!("{CURSOR}{name}"));
    }

    /// Forgets a source.
    pub fn remove_position(&mut self, key: &str) {
        self.positions.remove(key);
        self.removed.push(format!("{POSITION}{key}"));
    }

    /// Takes over what a change says.
    pub fn apply(&mut self, change: Self) {
        self.next_sequence = self.next_sequence.max(change.next_sequence);
        for removed in change.removed {
            if let Some(name) = removed.strip_prefix(CURSOR) {
                self.cursors.remove(name);
            } else if let Some(key) = removed.strip_prefix(POSITION) {
                self.positions.remove(key);
            }
        }
        self.cursors.extend(change.cursors);
        for (key, mut position) in change.positions {
            // Batches that lie before the change may be further on than it says.
            let known = self.positions.get(&key).map_or(0, |known| known.logged);
            position.logged = position.logged.max(known);
            self.positions.insert(key, position);
        }
    }

    /// A batch of a source was read in the log: the source need not give it to durable consumers again.
    pub fn logged(&mut self, key: &str, progress: u64) {
        match self.positions.get_mut(key) {
            Some(position) => position.logged = position.logged.max(progress),
            None => {
                let position = PositionState { logged: progress, ..PositionState::default() };
                self.positions.insert(key.to_owned(), position);
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next_sequence.to_le_bytes());
        put_len(out, self.removed.len());
        self.removed.iter().for_each(|name| put_bytes(out, name.as_bytes()));
        put_len(out, self.cursors.len());
        for (name, cursor) in &self.cursors {
            put_bytes(out, name.as_bytes());
            for word in [cursor.sequence, cursor.messages, cursor.bytes, cursor.seen_ns as u64] {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        put_len(out, self.positions.len());
        for (key, position) in &self.positions {
            put_bytes(out, key.as_bytes());
            out.extend_from_slice(&position.logged.to_le_bytes());
            out.extend_from_slice(&position.settled.to_le_bytes());
            put_bytes(out, &position.position);
        }
    }

    /// # Errors
    /// If the bytes are none that [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let mut rest = Words(bytes);
        let mut state = Self { next_sequence: rest.word()?, ..Self::default() };
        for _ in 0..rest.len()? {
            state.removed.push(rest.text()?);
        }
        for _ in 0..rest.len()? {
            let name = rest.text()?;
            let cursor = CursorState {
                sequence: rest.word()?,
                messages: rest.word()?,
                bytes: rest.word()?,
                seen_ns: rest.word()? as i64,
            };
            state.cursors.insert(name, cursor);
        }
        for _ in 0..rest.len()? {
            let key = rest.text()?;
            let (logged, settled) = (rest.word()?, rest.word()?);
            let position = rest.bytes()?.to_vec();
            state.positions.insert(key, PositionState { logged, settled, position });
        }
        match rest.0 {
            [] => Ok(state),
            _ => Err(content("bytes are left over")),
        }
    }
}

fn content(what: &str) -> LogError {
    LogError::Content(format!("cursors and positions: {what}"))
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// The section of a batch's record that says whose it is: behind the stored batch, its length last.
pub(crate) fn put_progress(out: &mut Vec<u8>, source: Option<(&str, u64)>) {
    let start = out.len();
    if let Some((key, progress)) = source {
        out.extend_from_slice(&progress.to_le_bytes());
        out.extend_from_slice(key.as_bytes());
    }
    put_len(out, out.len() - start);
}

/// Takes the section that [`put_progress`] wrote off a body.
///
/// # Errors
/// If there is none.
pub(crate) fn take_progress(body: &mut Vec<u8>) -> Result<Option<(String, u64)>, LogError> {
    let wrong = || LogError::Content("the source of a batch".to_owned());
    let end = body.len().checked_sub(4).ok_or_else(wrong)?;
    let len = u32::from_le_bytes(body[end..].try_into().map_err(|_| wrong())?) as usize;
    let start = end.checked_sub(len).ok_or_else(wrong)?;
    let section = &body[start..end];
    let source = match section.split_first_chunk::<8>() {
        Some((progress, key)) => {
            let key = String::from_utf8(key.to_vec()).map_err(|_| wrong())?;
            Some((key, u64::from_le_bytes(*progress)))
        }
        None if section.is_empty() => None,
        None => return Err(wrong()),
    };
    body.truncate(start);
    Ok(source)
}

/// The section of a dead letter that says what became of it: behind the stored batch, its length last.
pub(crate) fn put_texts(out: &mut Vec<u8>, texts: &[Box<str>; 3]) {
    let start = out.len();
    texts.iter().for_each(|text| put_bytes(out, text.as_bytes()));
    put_len(out, out.len() - start);
}

/// Takes the section that [`put_texts`] wrote off a body.
///
/// # Errors
/// If there is none.
pub(crate) fn take_texts(body: &mut Vec<u8>) -> Result<[String; 3], LogError> {
    let wrong = || LogError::Content("the reason of a dead letter".to_owned());
    let end = body.len().checked_sub(4).ok_or_else(wrong)?;
    let len = u32::from_le_bytes(body[end..].try_into().map_err(|_| wrong())?) as usize;
    let start = end.checked_sub(len).ok_or_else(wrong)?;
    let mut rest = Words(&body[start..end]);
    let texts = [rest.text()?, rest.text()?, rest.text()?];
    body.truncate(start);
    Ok(texts)
}

struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], LogError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(|| content("cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u64, LogError> {
        let bytes = self.take(8)?.try_into().map_err(|_| content("cut off"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn len(&mut self) -> Result<usize, LogError> {
        let bytes = self.take(4)?.try_into().map_err(|_| content("cut off"))?;
        Ok(u32::from_le_bytes(bytes) as usize)
    }

    fn bytes(&mut self) -> Result<&'a [u8], LogError> {
        let len = self.len()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<String, LogError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| content("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> LogState {
        let cursor = CursorState { sequence: 9, messages: 3, bytes: 700, seen_ns: -1 };
        let position = PositionState { logged: 20, settled: 10, position: b"here".to_vec() };
        LogState {
            next_sequence: 12,
            cursors: BTreeMap::from([("out".to_owned(), cursor)]),
            positions: BTreeMap::from([("in/a".to_owned(), position)]),
            removed: vec!["cold".to_owned()],
        }
    }

    #[test]
    fn a_state_comes_back_and_no_cut_of_it_is_taken_for_one() {
        let state = example();
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        assert_eq!(LogState::decode(&bytes).unwrap(), state);
        for cut in 0..bytes.len() {
            assert!(LogState::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        bytes.push(0);
        assert!(LogState::decode(&bytes).is_err());
    }

    #[test]
    fn changes_are_taken_over_in_order() {
        let mut state = example();
        let mut change = LogState { next_sequence: 30, ..LogState::default() };
        change.cursors.insert("new".to_owned(), CursorState::default());
        change.remove_cursor("out");
        change.remove_position("in/a");
        state.apply(change);
        assert_eq!(state.next_sequence, 30);
        assert_eq!(state.cursors.keys().collect::<Vec<_>>(), ["new"]);
        assert!(state.positions.is_empty());
        state.logged("in/a", 7);
        state.logged("in/a", 5);
        assert_eq!(state.positions["in/a"].logged, 7);
    }

    #[test]
    fn the_source_of_a_batch_lies_behind_it() {
        for source in [None, Some(("in/stream", 77)), Some(("", 0))] {
            let mut body = b"batch".to_vec();
            put_progress(&mut body, source);
            let taken = take_progress(&mut body).unwrap();
            assert_eq!(taken, source.map(|(key, progress)| (key.to_owned(), progress)));
            assert_eq!(body, b"batch");
        }
        assert!(take_progress(&mut vec![9, 0, 0, 0]).is_err());
        assert!(take_progress(&mut vec![1]).is_err());
    }
}
