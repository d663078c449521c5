//! Where a daemon keeps its log and its dead letters, for the commands that look at them from outside.
//!
//! Invariant: everything is read through a storage that cannot write, so no command harms a running daemon; only a request
//! is ever written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use heka_config::{Globals, Problems};
use heka_engine::{DEAD_LETTERS, Plan, Request};
use heka_matcher::Matcher;
use heka_message::NameRegistry;
use heka_stream::{
    Clock, Damage, FileStorage, LetterReader, LogOverview, LogReader, ReadOnlyStorage, Storage,
    SystemClock, read_state,
};

use crate::{PLUGINS, say, tell};

/// How the user says which daemon is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whence {
    /// By its configuration.
    Config(PathBuf),
    /// By its `base_dir`.
    BaseDir(PathBuf),
}

/// The files of a daemon.
#[derive(Debug)]
pub(crate) struct Store {
    storage: Arc<dyn Storage>,
    base_dir: PathBuf,
    log: PathBuf,
    /// Longest message.
    pub(crate) message_bytes_max: usize,
    /// Filters and outputs of the configuration, where there is one, and what they want.
    pub(crate) consumers: Vec<(String, Matcher)>,
}

impl Store {
    /// Finds the files.
    ///
    /// # Errors
    /// If the configuration has errors.
    pub(crate) fn find(whence: &Whence) -> anyhow::Result<Self> {
        let (globals, consumers) = match whence {
            Whence::Config(path) => configured(path)?,
            Whence::BaseDir(base_dir) => {
                let base_dir = base_dir.clone();
                (Globals { base_dir, ..Globals::default() }, Vec::new())
            }
        };
        Ok(Self {
            storage: Arc::new(ReadOnlyStorage(FileStorage)),
            log: globals.in_base_dir(&globals.stream.directory),
            message_bytes_max: globals.message_size(),
            base_dir: globals.base_dir,
            consumers,
        })
    }

    /// Where the log lies.
    pub(crate) fn log_directory(&self) -> &Path {
        &self.log
    }

    /// How the log is; reading all of it if it is to be `thorough`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub(crate) fn overview(&self, thorough: bool) -> anyhow::Result<LogOverview> {
        let directory = self.log.display();
        let mut overview = read_state(&self.storage, &self.log)
            .with_context(|| format!("cannot read the log in {directory}"))?;
        if overview.segments.is_empty() {
            bail!("there is no log in {directory}");
        }
        if thorough {
            overview
                .verify(&self.storage, &self.log)
                .with_context(|| format!("cannot read the log in {directory}"))?;
        }
        Ok(overview)
    }

    /// Reads the batches of the log from a sequence number on.
    pub(crate) fn log_reader(&self, from: u64) -> LogReader {
        LogReader::new(Arc::clone(&self.storage), &self.log, from)
    }

    /// Reads the dead letters from a number on.
    pub(crate) fn letter_reader(&self, names: &Arc<NameRegistry>, from: u64) -> LetterReader {
        let directory = self.base_dir.join(DEAD_LETTERS);
        LetterReader::new(Arc::clone(&self.storage), Arc::clone(names), (&directory, from))
    }

    /// Leaves a request for the daemon; `number` tells it from others of this command. Returns what to tell the user.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn submit(&self, request: &Request, number: usize) -> anyhow::Result<String> {
        let stamp = (SystemClock.now_ns(), number);
        let path = request
            .submit(&FileStorage, &self.base_dir, stamp)
            .with_context(|| format!("cannot leave a request in {}", self.base_dir.display()))?;
        Ok(format!(
            "request {}\na running daemon carries it out within a second, a stopped one when it starts; \
             its log says what came of it\n",
            path.display()
        ))
    }
}

/// `hekad reload`: leaves the request; the result is the exit code.
pub(crate) fn reload(whence: &Whence) -> anyhow::Result<u8> {
    let note = Store::find(whence)?.submit(&Request::Reload, 0)?;
    say(&note)?;
    Ok(0)
}

fn configured(path: &Path) -> anyhow::Result<(Globals, Vec<(String, Matcher)>)> {
    let (config, mut problems): (_, Problems) = heka_config::load(path);
    let plan = Plan::new(&config, PLUGINS, &mut problems);
    if problems.has_errors() {
        problems.sort();
        tell(&problems.to_string());
        bail!("the configuration has errors; with --base-dir none is needed");
    }
    let routes = plan.routes();
    let consumers = routes.into_iter().map(|route| {
        let (matcher, _) = Matcher::parse(&route.message_matcher)?;
        anyhow::Ok((route.consumer, matcher))
    });
    Ok((plan.globals().clone(), consumers.collect::<Result<_, _>>()?))
}

/// Tells what could not be read.
pub(crate) fn tell_damage(damage: &Damage) {
    tell(&format!("damaged: {damage}\n"));
}
