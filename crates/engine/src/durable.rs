//! Opening the log of durable consumers and the place of dead letters, and ending both.

use std::sync::Arc;
use std::time::Duration;

use heka_config::{Globals, Problem, Problems};
use heka_message::NameRegistry;
use heka_stream::{DeadLetters, DurableLog, DurableSettings, Stream};

use crate::engine::EngineSettings;
use crate::plan::Plan;

/// Directory of the dead letters below `base_dir`.
pub const DEAD_LETTERS: &str = "dead_letters";
/// What waits to be written may take this part of the memory limit.
const PENDING_PART: u64 = 4;
/// One commit writes no more than this part of the memory limit, whatever `commit_size` says.
const COMMIT_PART: u64 = 8;
/// A durable consumer's window is this part of the memory limit: what passes it in less than a commit interval need not be
/// written.
const WINDOW_PART: u64 = 32;
/// A durable consumer's window is not smaller than this.
const WINDOW_BYTES_MIN: u64 = 1 << 20;
/// What was read back from the log may take this part of the memory limit.
const CATCH_UP_PART: u64 = 8;

/// Bytes that consumers may hold of what was read back from the log.
pub(crate) fn catch_up_bytes(globals: &Globals) -> usize {
    usize::try_from(globals.memory_limit.bytes() / CATCH_UP_PART).unwrap_or(usize::MAX)
}

/// Bytes of the memory limit that the log uses itself: for what was read back, and for what is being written.
pub(crate) fn log_bytes(globals: &Globals) -> u64 {
    catch_up_bytes(globals) as u64 + commit_bytes(globals)
}

fn commit_bytes(globals: &Globals) -> u64 {
    // More must be able to come while this much is being written.
    globals.stream.commit_size.bytes().min(globals.memory_limit.bytes() / COMMIT_PART)
}

/// Bytes of the window of a durable consumer, where others have `most`.
pub(crate) fn window_bytes(globals: &Globals, most: usize) -> usize {
    let bytes = (globals.memory_limit.bytes() / WINDOW_PART).max(WINDOW_BYTES_MIN);
    usize::try_from(bytes).unwrap_or(usize::MAX).min(most)
}

/// Opens the log if a consumer is durable.
pub(crate) fn open_log(
    plan: &Plan,
    settings: &EngineSettings,
    names: &Arc<NameRegistry>,
    problems: &mut Problems,
) -> Option<DurableLog> {
    let globals = &plan.globals;
    let (options, memory) = (&globals.stream, globals.memory_limit.bytes());
    let directory = globals.in_base_dir(&options.directory);
    if !plan.needs_log() {
        return None;
    }
    let log = DurableSettings {
        directory,
        segment_bytes: plan.segment_bytes(),
        commit_interval: options.commit_interval.get(),
        commit_bytes: commit_bytes(globals),
        retain_bytes: options.retain_size.bytes(),
        retain_time: options.retain_time.get(),
        disk_floor_bytes: options.disk_floor.bytes(),
        pending_bytes_max: usize::try_from(memory / PENDING_PART).unwrap_or(usize::MAX),
        catch_up_bytes: catch_up_bytes(globals),
        forget_after: options.forget_after.get(),
    };
    let (storage, clock) = (Arc::clone(&settings.storage), Arc::clone(&settings.clock));
    match DurableLog::open(storage, clock, Arc::clone(names), log) {
        Ok(log) => Some(log),
        Err(error) => {
            problems.push(Problem::error(format!("cannot open the log of use_buffering: {error}")));
            None
        }
    }
}

/// Where dead letters go; `None` if none are kept.
pub(crate) fn dead_letters(
    plan: &Plan,
    settings: &EngineSettings,
    names: &Arc<NameRegistry>,
) -> Option<DeadLetters> {
    let bytes = plan.globals.stream.dead_letter_size.bytes();
    let directory = plan.globals.in_base_dir(DEAD_LETTERS);
    let (storage, clock) = (Arc::clone(&settings.storage), Arc::clone(&settings.clock));
    (bytes > 0).then(|| DeadLetters::new(storage, clock, Arc::clone(names), (&directory, bytes)))
}

/// Tells of consumers that an earlier run had and this one has not.
pub(crate) fn tell_orphans(log: &DurableLog) {
    for (name, cursor) in log.orphans() {
        let (messages, bytes) = (cursor.messages, cursor.bytes);
        if messages > 0 {
            tracing::warn!(
                plugin = name,
                messages,
                bytes,
                "is not in the configuration any more, or without use_buffering: what waits for it stays on disk \
                 until hekad.stream.forget_after has passed"
            );
        }
    }
}

/// Writes what must last. Blocks; false if something could not be written in time.
pub(crate) async fn close(
    stream: &Stream,
    letters: Option<DeadLetters>,
    longest: Duration,
) -> bool {
    let log = stream.log().cloned();
    let work = move || {
        if let Some(letters) = letters {
            letters.close();
        }
        log.is_none_or(|log| log.close(longest))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(false)
}
