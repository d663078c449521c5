//! The places of filters and outputs in the stream, and the list of all that there are.

use std::sync::{Arc, PoisonError, RwLock};

use heka_plugin::{PluginCounts, Reporter};
use heka_stream::{Consumer, ConsumerOptions, DeadLetters, FullAction, SourceCounts, Stream};

use crate::plan::ConsumerRules;
use crate::report::ConsumerHandle;

/// Makes consumers.
#[derive(Clone)]
pub(crate) struct ConsumerMaker {
    pub(crate) stream: Stream,
    pub(crate) letters: Option<DeadLetters>,
    /// Window of one without a log.
    pub(crate) window_bytes: usize,
    /// Window of one with a log.
    pub(crate) durable_window_bytes: usize,
}

impl ConsumerMaker {
    /// A consumer as a section says; durable only if there is a log.
    pub(crate) fn consumer(
        &self,
        name: &str,
        rules: ConsumerRules<'_>,
        keeps_state: bool,
    ) -> Arc<Consumer> {
        let mut options = ConsumerOptions::new(name);
        options.full_action = rules.full_action();
        let signer = &rules.common.message_signer;
        options.signer = (!signer.is_empty()).then(|| signer.as_bytes().into());
        options.letters.clone_from(&self.letters);
        options.durable = rules.durable(keeps_state).filter(|_| self.stream.log().is_some());
        options.window_bytes = match options.durable {
            Some(_) => self.durable_window_bytes,
            None => self.window_bytes,
        };
        Consumer::new(options)
    }
}

impl ConsumerHandle {
    /// What a consumer of a type is seen by.
    pub(crate) fn new(consumer: &Arc<Consumer>, type_name: &'static str, is_filter: bool) -> Self {
        Self {
            name: consumer.options().name.as_ref().into(),
            type_name,
            is_filter,
            is_loaded: false,
            stops_when_full: consumer.options().full_action == FullAction::Shutdown,
            consumer: Arc::clone(consumer),
            counts: Arc::new(PluginCounts::default()),
            injected: Arc::new(SourceCounts::default()),
            reporter: Reporter::new(),
        }
    }
}

/// All filters and outputs that there are; a clone is the same list.
#[derive(Clone, Default)]
pub(crate) struct Roster(Arc<RwLock<Vec<ConsumerHandle>>>);

impl Roster {
    /// Those of this moment, outputs first.
    pub(crate) fn all(&self) -> Vec<ConsumerHandle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn find(&self, name: &str) -> Option<ConsumerHandle> {
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().find(|handle| *handle.name == *name).cloned()
    }

    pub(crate) fn add(&self, handle: ConsumerHandle) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(handle);
    }

    pub(crate) fn remove(&self, consumer: &Arc<Consumer>) {
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        list.retain(|handle| !Arc::ptr_eq(&handle.consumer, consumer));
    }
}
