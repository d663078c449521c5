//! Which consumers get which records: all matchers, compiled together, evaluated once per batch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use heka_matcher::{CompileError, Matcher, MatcherSet};
use heka_message::NameRegistry;

use crate::budget::Budget;
use crate::clock::Clock;
use crate::consumer::Consumer;
use crate::durable::DurableLog;
use crate::ledger::SourceCounts;
use crate::source::Source;

/// A consumer and what it wants.
#[derive(Debug, Clone)]
pub struct Route {
    /// What it wants.
    pub matcher: Matcher,
    /// Who gets it.
    pub consumer: Arc<Consumer>,
}

/// The stream of one daemon; a clone is the same stream.
#[derive(Debug, Clone)]
pub struct Stream {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    routing: RwLock<Arc<Routing>>,
    pub(crate) budget: Budget,
    pub(crate) inject_budget: Budget,
    pub(crate) names: Arc<NameRegistry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) appended: AtomicU64,
    pub(crate) log: OnceLock<DurableLog>,
}

/// The compiled routes of one moment.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    /// `None` before any routes were set.
    pub(crate) set: Option<MatcherSet>,
    pub(crate) consumers: Vec<Arc<Consumer>>,
    /// Places of the consumers that want a signer.
    pub(crate) signed: Vec<usize>,
}

/// Injected messages have a budget of their own, this part of the whole: filters can then always put out what
/// they took in, even while inputs wait for the rest.
const INJECT_PART: u64 = 8;

impl Inner {
    /// The routes of now; nobody replaces them while the guard lives.
    pub(crate) fn routing(&self) -> RwLockReadGuard<'_, Arc<Routing>> {
        self.routing.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// A stream without consumers; `memory_bytes` bounds all batches in flight.
    #[must_use]
    pub fn new(memory_bytes: u64, names: Arc<NameRegistry>, clock: Arc<dyn Clock>) -> Self {
        let inject = memory_bytes / INJECT_PART;
        Self {
            inner: Arc::new(Inner {
                routing: RwLock::default(),
                budget: Budget::new(memory_bytes - inject),
                inject_budget: Budget::new(inject),
                names,
                clock,
                appended: AtomicU64::new(0),
                log: OnceLock::new(),
            }),
        }
    }

    /// Replaces all routes. A batch follows either the old ones or the new ones, also if its source has been waiting with
    /// it; once this returns, nothing follows the old ones any more. Consumers with a log that it does not know yet are
    /// registered with it at this very moment. A batch reaches its consumers in the order of the routes: put those that
    /// inject messages last.
    ///
    /// # Errors
    /// If the matchers cannot be compiled; the old routes then stay.
    pub fn set_routes(&self, routes: &[Route]) -> Result<(), CompileError> {
        let matchers: Vec<Matcher> = routes.iter().map(|route| route.matcher.clone()).collect();
        let consumers: Vec<_> = routes.iter().map(|route| Arc::clone(&route.consumer)).collect();
        let wants_signer = |(place, consumer): (usize, &Arc<Consumer>)| {
            consumer.options().signer.is_some().then_some(place)
        };
        let signed = consumers.iter().enumerate().filter_map(wants_signer).collect();
        let set = Some(MatcherSet::compile(&matchers, &self.inner.names)?);
        let routing = Arc::new(Routing { set, consumers, signed });
        let mut current = self.inner.routing.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = |route: &&Route| route.consumer.is_durable() && !route.consumer.is_logged();
        for route in routes.iter().filter(is_new) {
            if let Some(log) = self.log() {
                log.register(&route.consumer, &route.matcher)?;
            }
        }
        *current = routing;
        Ok(())
    }

    /// A source that appends for an input; `counts` may be shared by the sources of one input.
    #[must_use]
    pub fn source(&self, counts: Arc<SourceCounts>) -> Source {
        Source::new(self.clone(), counts, self.inner.budget.clone())
    }

    /// A source that appends what a filter injects.
    #[must_use]
    pub fn inject_source(&self, counts: Arc<SourceCounts>) -> Source {
        Source::new(self.clone(), counts, self.inner.inject_budget.clone())
    }

    /// Gives the stream a log, for consumers that are registered with it. Only the first call has an effect.
    pub fn set_log(&self, log: DurableLog) {
        self.inner.log.get_or_init(|| log);
    }

    /// The log, where a consumer is durable.
    #[must_use]
    pub fn log(&self) -> Option<&DurableLog> {
        self.inner.log.get()
    }

    /// The field names of this stream.
    #[must_use]
    pub fn names(&self) -> &Arc<NameRegistry> {
        &self.inner.names
    }

    /// The clock of this stream.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The budget of messages from inputs, and of injected ones.
    #[must_use]
    pub fn budgets(&self) -> (&Budget, &Budget) {
        (&self.inner.budget, &self.inner.inject_budget)
    }

    /// Messages appended since the start, by all sources.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.inner.appended.load(Ordering::Relaxed)
    }
}
