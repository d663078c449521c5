//! Filters that come and go while the daemon runs: what a filter that manages others can ask for.
//!
//! Here: the contract. Not here: who keeps it (`heka-engine`), where managed filters come from.

use std::fmt;
use std::sync::Arc;

use heka_config::CommonConsumer;
use heka_matcher::Matcher;

use crate::{Defaults, Filter, Prepared, StartError};

/// Loads and unloads filters. Neither call waits for anybody, so both may be made from within a filter.
pub trait ManageFilters: Send + Sync {
    /// Starts a filter and routes messages to it from now on. It runs as one of the configuration does: supervised, in
    /// reports, stopped in order.
    ///
    /// # Errors
    /// If a filter or output of this name is running, the daemon stops, or the filter cannot be started or routed to.
    fn load(&self, filter: DynamicFilter) -> Result<(), StartError>;

    /// True if a filter or output of this name runs, so that none can be loaded under it.
    fn is_running(&self, name: &str) -> bool;

    /// Ends a filter that was loaded: nothing more is routed to it; it deals with what it has, and is gone then, which
    /// `heka.terminated` says. Its name may be used again at once; the new filter then begins where the old one ended.
    ///
    /// False if no loaded filter has the name, or it is ending already.
    fn unload(&self, name: &str) -> bool;
}

/// What is told to whom loaded a filter that ended by itself: why.
pub type OnEnd = Box<dyn FnOnce(&str) + Send>;

/// A filter to load.
pub struct DynamicFilter {
    /// What its section would be called; no other filter or output has the name.
    pub name: String,
    /// Its plugin type.
    pub type_name: &'static str,
    /// What it gets.
    pub matcher: Matcher,
    /// The settings that all filters share; its `message_matcher` is not looked at.
    pub common: CommonConsumer,
    /// What its type sets where `common` says nothing.
    pub defaults: Defaults,
    /// Makes instances.
    pub prepared: Arc<dyn Prepared<dyn Filter>>,
    /// Called when it ended by itself, with the reason; not when it was unloaded, nor at the daemon's end.
    pub on_end: Option<OnEnd>,
}

impl fmt::Debug for DynamicFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DynamicFilter({}, {})", self.name, self.type_name)
    }
}
