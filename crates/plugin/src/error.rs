//! How plugins fail.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// A plugin could not be started; it may be tried again.
#[derive(Debug)]
pub struct StartError {
    doing: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StartError {
    /// What was wrong, in words.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { doing: what.into(), source: None }
    }

    /// What was tried, and why it failed.
    #[must_use]
    pub fn because(
        tried: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { doing: tried.into(), source: Some(source.into()) }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(formatter, "cannot {}: {source}", self.doing),
            None => formatter.write_str(&self.doing),
        }
    }
}

impl Error for StartError {}

/// An input ended with an error; it is started again as its retry policy says, but after [`InputError::Exit`].
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Something outside failed.
    #[error("cannot {tried}: {source}")]
    Io {
        /// What was tried.
        tried: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A splitter or decoder could not be made.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The stream refused a batch.
    #[error("cannot append to the stream: {0}")]
    Append(#[from] heka_stream::AppendError),
    /// Something else, in words.
    #[error("{0}")]
    Failed(String),
    /// It ends for good, for this reason. The daemon goes on without it where its section's `can_exit` allows, else it stops.
    #[error("{0}")]
    Exit(String),
}

impl InputError {
    /// Wraps an operating system's error; `tried` completes "cannot …".
    pub fn io(tried: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let tried = tried.into();
        move |source| Self::Io { tried, source }
    }
}

/// A filter failed, or wants to end.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is to be started anew, and gets the delivery again.
    #[error("{0}")]
    Fatal(String),
    /// It ends for good. What it injected is still sent, and the delivery counts as dealt with. It is removed where its
    /// section's `can_exit` allows, else the daemon stops.
    #[error("{why}")]
    Exit {
        /// Why, in words.
        why: String,
        /// It injected a message that says so itself: the daemon's own `heka.terminated` is not sent.
        announced: bool,
    },
}

impl FilterError {
    /// The filter ends for good; the daemon announces that with `heka.terminated`.
    #[must_use]
    pub fn exit(why: impl Into<String>) -> Self {
        Self::Exit { why: why.into(), announced: false }
    }

    /// The filter ends for good, and has injected what announces that.
    #[must_use]
    pub fn exit_announced(why: impl Into<String>) -> Self {
        Self::Exit { why: why.into(), announced: true }
    }
}

/// An output failed. What it holds is not acknowledged.
#[derive(Debug)]
pub enum OutputError {
    /// The same data, later: the runner waits and calls `flush` again.
    Retry {
        /// What was tried; completes "cannot …".
        tried: String,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
        /// How long to wait at least, if the other side said so.
        after: Option<Duration>,
    },
    /// Start me anew.
    Fatal {
        /// What was tried; completes "cannot …".
        tried: String,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl OutputError {
    /// Wraps an error as "later"; `tried` completes "cannot …".
    pub fn retry<E: Into<Box<dyn Error + Send + Sync>>>(
        tried: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let tried = tried.into();
        move |source| Self::Retry { tried, source: source.into(), after: None }
    }

    /// Wraps an error as "start me anew"; `tried` completes "cannot …".
    pub fn fatal<E: Into<Box<dyn Error + Send + Sync>>>(
        tried: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let tried = tried.into();
        move |source| Self::Fatal { tried, source: source.into() }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Retry { tried, source, .. } | Self::Fatal { tried, source }) = self;
        write!(formatter, "cannot {tried}: {source}")
    }
}

impl Error for OutputError {}
