//! `hekad stream`: the log on disk seen from outside.
//!
//! Here: the options, and `rewind`. Not here: the listing (`list`), printing messages (`cat`).

mod cat;
mod list;

use std::num::NonZeroUsize;

use anyhow::bail;
use clap::{Args, Subcommand};
use heka_config::nearest;
use heka_engine::{Request, RewindRequest};
use heka_stream::{Clock, SystemClock};

use crate::moment::{self, Moment};
use crate::printer::Format;
use crate::say;
use crate::store::{Store, Whence, tell_damage};

/// What to do with the log.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum StreamCommand {
    /// Lists segments, consumers with what waits for them, sources with their positions, and damage.
    Ls {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Reads only as much as it takes to know the cursors: finds no damage in older segments, and does not say what waits.
        #[arg(long)]
        quick: bool,
    },
    /// Prints messages of the log, oldest first. Damage is told on standard error and passed over.
    Cat(CatOptions),
    /// Lets a filter or output get again what it got before, as far as the log has it (see retain_size, retain_time).
    Rewind {
        /// Section name of the filter or output.
        consumer: String,
        #[command(flatten)]
        target: Target,
    },
}

/// Which messages are printed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct CatOptions {
    /// Only messages that this message_matcher selects.
    #[arg(long, value_name = "EXPR")]
    pub(crate) matcher: Option<String>,
    /// Only messages with this timestamp of their own or a later one: 2026-01-31T09:30:00Z, or -15m for so long ago.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<Moment>,
    /// Only messages with an earlier timestamp of their own.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<Moment>,
    /// Begins at this sequence number.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) sequence: u64,
    /// Ends after so many messages.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,
    /// How messages are written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Goes on with what comes, until it is interrupted.
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Where to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Target {
    /// To this sequence number.
    #[arg(long, value_name = "N")]
    to_sequence: Option<u64>,
    /// To what was written at this time or later: 2026-01-31T09:30:00Z, or -15m for so long ago.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to_time: Option<Moment>,
    /// To the oldest that the log has.
    #[arg(long)]
    to_start: bool,
}

/// Runs; the result is the exit code.
pub(crate) fn run(whence: &Whence, command: &StreamCommand) -> anyhow::Result<u8> {
    let store = Store::find(whence)?;
    match command {
        StreamCommand::Ls { json, quick } => list::list(&store, *json, *quick)?,
        StreamCommand::Cat(options) => cat::cat(&store, options)?,
        StreamCommand::Rewind { consumer, target } => rewind(&store, consumer, *target)?,
    }
    Ok(0)
}

fn rewind(store: &Store, consumer: &str, target: Target) -> anyhow::Result<()> {
    let cursors = store.overview(false)?.state.cursors;
    let Some(cursor) = cursors.get(consumer) else {
        let names = cursors.keys().map(String::as_str);
        let hint = nearest(consumer, names).map(|it| format!(", did you mean '{it}'?"));
        let hint = hint.unwrap_or_default();
        bail!("the log has no cursor of a filter or output '{consumer}'{hint}");
    };
    let sequence = find(store, target)?;
    if sequence >= cursor.sequence {
        let at = cursor.sequence;
        bail!("'{consumer}' is at sequence number {at}: going to {sequence} is not going back");
    }
    let request = Request::Rewind(RewindRequest { consumer: consumer.to_owned(), sequence });
    let note = store.submit(&request, 0)?;
    let from = cursor.sequence;
    say(&format!("{consumer} is to go back from sequence number {from} to {sequence}\n{note}"))
}

/// The sequence number to go to, which the log has.
fn find(store: &Store, target: Target) -> anyhow::Result<u64> {
    let mut reader = store.log_reader(0);
    let oldest = reader.next()?;
    let Some(oldest) = oldest.map(|record| record.header) else {
        bail!("the log in {} holds no messages", store.log_directory().display());
    };
    let (first, written) = (oldest.sequence, moment::text(oldest.time_ns));
    if let Some(sequence) = target.to_sequence {
        if sequence < first {
            bail!(
                "the log has data from sequence number {first} on, written {written}; {sequence} is gone"
            );
        }
        return Ok(sequence);
    }
    let Some(time) = target.to_time else { return Ok(first) };
    let time_ns = time.resolve(SystemClock.now_ns());
    if oldest.time_ns >= time_ns {
        return Ok(first);
    }
    while let Some(record) = reader.next()? {
        if record.header.time_ns >= time_ns {
            return Ok(record.header.sequence);
        }
    }
    reader.take_damage().iter().for_each(tell_damage);
    bail!("nothing was written at {} or later", moment::text(time_ns));
}
