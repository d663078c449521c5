//! Filters that are loaded and unloaded while the daemon runs.
//!
//! Here: how they come into the stream and out of it. Not here: how a filter runs (`filter`), who manages them.
//! Invariants: loading and unloading wait for nobody; no lock is held while a plugin's code runs; of one name one filter
//! works at a time; one that was told that it is loaded is stopped in order with the daemon.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use heka_plugin::{
    DynamicFilter, Filter, ManageFilters, OnEnd, StartContext, StartError, Stop, StopSwitch,
};
use heka_stream::{Consumer, DropReason, Route};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::consumers::{ConsumerMaker, Roster};
use crate::filter::{End, FilterRunner, FilterSettings};
use crate::own_messages;
use crate::plan::ConsumerRules;
use crate::report::ConsumerHandle;
use crate::shared::{Shared, stop_when_full};
use crate::supervise::start_guarded;

/// What `heka.terminated` gives as the reason of a filter that was unloaded.
const UNLOADED: &str = "Filter unloaded.";
/// Why nothing can be loaded.
const STOPS: &str = "the daemon stops";

/// All loaded filters.
pub(crate) struct DynamicFilters {
    this: Weak<Self>,
    shared: Arc<Shared>,
    roster: Roster,
    maker: ConsumerMaker,
    /// Names of the filters and outputs that the configuration has.
    configured: HashSet<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_name: HashMap<Arc<str>, Place>,
    /// Loaded before the engine runs.
    early: Vec<Job>,
    /// Where filters run; `None` before the engine does.
    runtime: Option<Handle>,
    tasks: Vec<(Arc<Consumer>, JoinHandle<()>)>,
    /// The daemon stops: nothing is loaded any more.
    closed: bool,
}

/// Who has a name; a filter says when it is gone.
enum Place {
    /// One that is being started.
    Taken,
    Running(Arc<Consumer>, Stop),
    /// One that was unloaded and deals with what it has.
    Ending(Arc<Consumer>, Stop),
}

/// A loaded filter, ready to run.
struct Job {
    runner: FilterRunner,
    handle: ConsumerHandle,
    /// `None`: made when the one before it is gone.
    first: Option<Box<dyn Filter>>,
    /// The one before it of the same name.
    before: Option<Stop>,
    /// Told when this one is gone.
    gone: StopSwitch,
    on_end: Option<OnEnd>,
}

/// A name that is taken until this is dropped, or the filter runs.
struct Reservation<'a> {
    filters: &'a DynamicFilters,
    name: Arc<str>,
    /// The one that is ending under this name.
    before: Option<(Arc<Consumer>, Stop)>,
    is_kept: bool,
}

impl DynamicFilters {
    pub(crate) fn new(
        shared: Arc<Shared>,
        roster: Roster,
        maker: ConsumerMaker,
        configured: HashSet<String>,
    ) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            shared,
            roster,
            maker,
            configured,
            state,
        })
    }

    /// The engine runs: what was loaded before begins.
    pub(crate) fn begin(self: &Arc<Self>) {
        let mut state = self.state();
        state.runtime = Some(Handle::current());
        for job in std::mem::take(&mut state.early) {
            state.start(self, job);
        }
    }

    /// Loads nothing any more; returns those that run.
    pub(crate) fn close(&self) -> Vec<(Arc<Consumer>, JoinHandle<()>)> {
        let mut state = self.state();
        state.closed = true;
        std::mem::take(&mut state.tasks)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self, name: &str) -> Result<Reservation<'_>, StartError> {
        let running = || StartError::new(format!("{name} is already running"));
        if self.configured.contains(name) {
            return Err(running());
        }
        let mut state = self.state();
        if state.closed || self.shared.stopping() {
            return Err(StartError::new(STOPS));
        }
        let name: Arc<str> = name.into();
        let before = match state.by_name.remove(&name) {
            None => None,
            Some(Place::Ending(consumer, gone)) if !consumer.is_durable() => Some((consumer, gone)),
            Some(place) => {
                state.by_name.insert(name, place);
                return Err(running());
            }
        };
        state.by_name.insert(Arc::clone(&name), Place::Taken);
        Ok(Reservation { filters: self, name, before, is_kept: false })
    }

    fn context(&self, name: &Arc<str>) -> StartContext {
        let filters = self.this.upgrade().map(|this| this as Arc<dyn ManageFilters>);
        let log = self.shared.stream.log().cloned();
        StartContext { name: Arc::clone(name), log, filters, ..self.shared.context.clone() }
    }

    /// Runs a filter to its end.
    async fn run(self: Arc<Self>, job: Job) {
        if let Some(mut before) = job.before {
            before.wait().await;
        }
        let overflow = job.handle.stops_when_full.then(|| {
            let (shared, consumer) = (Arc::clone(&self.shared), Arc::clone(&job.handle.consumer));
            tokio::spawn(stop_when_full(shared, consumer))
        });
        let end = job.runner.run(job.first, Arc::clone(&self.shared)).await;
        if let Some(overflow) = overflow {
            overflow.abort();
        }
        self.ended(&job.handle, end, job.on_end);
        job.gone.stop();
    }

    /// A filter has ended: its name is free, and whoever has to know is told.
    fn ended(&self, handle: &ConsumerHandle, end: End, on_end: Option<OnEnd>) {
        let consumer = &handle.consumer;
        let was_unloaded = {
            let mut state = self.state();
            if state.closed || matches!(end, End::Abandoned) {
                return; // The end of the daemon tells what becomes of its messages.
            }
            state.tasks.retain(|(_, task)| !task.is_finished());
            match state.by_name.get(&handle.name) {
                Some(Place::Running(known, _)) if Arc::ptr_eq(known, consumer) => {
                    state.by_name.remove(&handle.name);
                    false
                }
                Some(Place::Ending(known, _)) if Arc::ptr_eq(known, consumer) => {
                    state.by_name.remove(&handle.name);
                    true
                }
                // Another one has taken its name already.
                _ => true,
            }
        };
        if let Some(log) = self.shared.stream.log() {
            log.retire(consumer);
        }
        self.roster.remove(consumer);
        match end {
            End::Gone(why) if !was_unloaded => {
                if let Some(on_end) = on_end {
                    on_end(&why);
                }
            }
            End::Drained => {
                tracing::info!(plugin = &*handle.name, "filter unloaded");
                own_messages::announce(&self.shared, &handle.name, handle.type_name, UNLOADED);
            }
            _ => {}
        }
    }
}

impl Reservation<'_> {
    /// Routes messages to a filter and lets it run.
    fn run(mut self, job: Job, route: Route) -> Result<(), StartError> {
        let filters = self.filters;
        let stops = || StartError::new(STOPS);
        let this = filters.this.upgrade().ok_or_else(stops)?;
        let consumer = Arc::clone(&route.consumer);
        let cannot = |error| StartError::because("compile the message matchers", error);
        filters.shared.add_route(route).map_err(cannot)?;
        filters.roster.add(job.handle.clone());
        let mut state = filters.state();
        if state.closed {
            drop(state);
            filters.shared.remove_route(&consumer);
            consumer.give_up(DropReason::Stopped, true);
            return Err(stops());
        }
        self.is_kept = true;
        let place = Place::Running(consumer, job.gone.signal());
        state.by_name.insert(Arc::clone(&self.name), place);
        state.start(&this, job);
        Ok(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let mut state = self.filters.state();
        state.by_name.remove(&self.name);
        if let Some((consumer, gone)) = self.before.take().filter(|(_, gone)| !gone.is_set()) {
            state.by_name.insert(Arc::clone(&self.name), Place::Ending(consumer, gone));
        }
    }
}

impl State {
    /// Lets a filter run, now or as soon as the engine does.
    fn start(&mut self, filters: &Arc<DynamicFilters>, job: Job) {
        let Some(runtime) = &self.runtime else {
            self.early.push(job);
            return;
        };
        let consumer = Arc::clone(&job.handle.consumer);
        self.tasks.push((consumer, runtime.spawn(Arc::clone(filters).run(job))));
    }
}

impl ManageFilters for DynamicFilters {
    fn load(&self, filter: DynamicFilter) -> Result<(), StartError> {
        let reservation = self.reserve(&filter.name)?;
        let rules = ConsumerRules { common: &filter.common, defaults: filter.defaults };
        if rules.is_durable() && self.shared.stream.log().is_none() {
            let text = "use_buffering needs the log, which is there only if a section of the configuration uses it";
            return Err(StartError::new(text));
        }
        let context = self.context(&reservation.name);
        let made_after = context.reload.generation();
        let first = start_guarded(|| filter.prepared.start(&context))?;
        let consumer = self.maker.consumer(&filter.name, rules, first.keeps_state());
        let handle = ConsumerHandle {
            is_loaded: true,
            ..ConsumerHandle::new(&consumer, filter.type_name, true)
        };
        let settings = FilterSettings {
            rules,
            prepared: filter.prepared,
            matcher: Arc::new(filter.matcher.clone()),
        };
        let runner = FilterRunner::new(&handle, settings, context, made_after);
        // Where another one is still at its end, this one is made again behind it, from what that one leaves.
        let before = reservation.before.as_ref().map(|(_, gone)| gone.clone());
        let first = Some(first).filter(|_| before.is_none());
        let job =
            Job { runner, handle, first, before, gone: StopSwitch::new().0, on_end: filter.on_end };
        reservation.run(job, Route { matcher: filter.matcher, consumer })
    }

    fn is_running(&self, name: &str) -> bool {
        let is_loaded =
            matches!(self.state().by_name.get(name), Some(Place::Taken | Place::Running(..)));
        is_loaded || self.configured.contains(name)
    }

    fn unload(&self, name: &str) -> bool {
        let consumer = {
            let mut state = self.state();
            let Some(place) = state.by_name.get_mut(name) else { return false };
            let Place::Running(consumer, gone) = place else { return false };
            let consumer = Arc::clone(consumer);
            *place = Place::Ending(Arc::clone(&consumer), gone.clone());
            consumer
        };
        self.shared.remove_route(&consumer);
        true
    }
}
