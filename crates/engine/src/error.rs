//! What can go wrong with what an operator asks of a running daemon.

use std::io;

use heka_stream::LogError;

/// A request is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The file cannot be read.
    #[error("cannot read it")]
    Read(#[source] io::Error),
    /// The file is too long.
    #[error("has {bytes} bytes, and a request has {most} at most")]
    TooLong {
        /// Its length.
        bytes: u64,
        /// Longest one that is read.
        most: u64,
    },
    /// The file cannot be changed, so it could not be removed afterwards and would be carried out again and again.
    #[error("cannot be changed by the daemon, and could not be removed afterwards")]
    Fixed(#[source] io::Error),
    /// The file holds no request.
    #[error("is no request")]
    Content(#[from] serde_json::Error),
    /// There is no such filter or output.
    #[error("there is no filter or output '{0}'")]
    NoConsumer(String),
    /// The filter or output is not behind the log.
    #[error("'{0}' keeps nothing in the log, its use_buffering is off")]
    NotBuffered(String),
    /// The place asked for lies ahead.
    #[error("'{consumer}' is at sequence number {cursor} and cannot be set ahead to {sequence}")]
    Ahead {
        /// The filter or output.
        consumer: String,
        /// Where it is.
        cursor: u64,
        /// Where it was to go.
        sequence: u64,
    },
    /// The dead letters cannot be read.
    #[error("cannot read the dead letters")]
    Letters(#[source] LogError),
    /// Something panicked.
    #[error("panicked: {0}")]
    Panicked(String),
}
