//! What a configuration would read, for those who want to check it.
//!
//! Here: a look without reading on and without writing. Not here: how it is shown.

use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::journal::JournalStore;
use crate::pattern::Rules;
use crate::settings::{Now, Settings};
use crate::stream::Stream;
use crate::streams::start_of;

/// The streams that a configuration gives.
#[derive(Debug)]
pub struct Survey {
    /// Ordered by name.
    pub streams: Vec<StreamSurvey>,
    /// What is wrong with files, names and journals.
    pub problems: Vec<Error>,
}

/// One stream.
#[derive(Debug)]
pub struct StreamSurvey {
    /// Its name, which is the Logger of its messages.
    pub name: String,
    /// Its files, the oldest first.
    pub files: Vec<PathBuf>,
    /// Where reading would begin; `None` if that cannot be told now, for which a problem gives the reason.
    pub position: Option<(PathBuf, u64)>,
}

/// Looks what `settings` find and where reading would begin by the journals in `store`; changes nothing.
pub fn survey(settings: &Settings, store: &dyn JournalStore, now: Now) -> Result<Survey, Error> {
    if let Some(problem) = settings.validate().into_iter().next() {
        return Err(problem);
    }
    let rules = Rules::new(settings);
    let mut problems = rules.warnings(settings);
    let mut catalog = Catalog::new(settings, rules, Box::new(|_| {}));
    catalog.scan(now);
    problems.append(&mut catalog.take_problems());
    let mut streams = Vec::new();
    for (name, listing) in catalog.listings() {
        if listing.iter().all(|entry| entry.aged) {
            continue;
        }
        let (start, problem) = start_of(name, listing, settings, store, &[]);
        problems.extend(problem);
        let mut stream = Stream::new(name.to_owned(), Arc::clone(listing), start);
        problems.extend(stream.begin_only(now).err());
        problems.append(&mut stream.take_problems());
        streams.push(StreamSurvey {
            name: name.to_owned(),
            files: stream.files().map(PathBuf::from).collect(),
            position: stream.path().map(|path| (path.to_owned(), stream.seek())),
        });
    }
    Ok(Survey { streams, problems })
}
