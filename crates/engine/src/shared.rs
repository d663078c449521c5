//! What all runners of a daemon share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use heka_config::Globals;
use heka_matcher::CompileError;
use heka_plugin::{StartContext, Stop, StopSwitch};
use heka_stream::{Consumer, DropReason, Route, Stream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The daemon as its runners see it.
pub(crate) struct Shared {
    pub(crate) stream: Stream,
    pub(crate) context: StartContext,
    pub(crate) limits: FilterLimits,
    /// Inputs stop reading; outputs hold nothing back any more.
    pub(crate) stop: StopSwitch,
    /// The shutdown's deadline passed.
    pub(crate) abandon: StopSwitch,
    /// A plugin asked for the shutdown.
    pub(crate) wanted: Notify,
    routes: Mutex<Vec<Route>>,
    /// Filters that ended by themselves: what they did not see is told then, and no fault of the shutdown.
    ended: Mutex<Vec<Arc<Consumer>>>,
    exit_code: AtomicI32,
    failed: AtomicBool,
}

/// What the daemon's own section says of all filters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterLimits {
    pub(crate) loops_max: u8,
    pub(crate) process_inject_max: u32,
    pub(crate) timer_inject_max: u32,
    pub(crate) process_duration_max_ns: u64,
}

impl From<&Globals> for FilterLimits {
    fn from(globals: &Globals) -> Self {
        Self {
            loops_max: u8::try_from(globals.message_loops()).unwrap_or(u8::MAX),
            process_inject_max: globals.max_process_inject,
            timer_inject_max: globals.max_timer_inject,
            process_duration_max_ns: globals.max_process_duration,
        }
    }
}

/// Why a filter or output is gone for good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone<'a> {
    pub(crate) error: &'a str,
    /// It said so itself; else it failed too often.
    pub(crate) at_its_wish: bool,
    /// It has announced that itself.
    pub(crate) announced: bool,
}

impl Shared {
    pub(crate) fn new(stream: Stream, context: StartContext, limits: FilterLimits) -> Arc<Self> {
        Arc::new(Self {
            stream,
            context,
            limits,
            stop: StopSwitch::new().0,
            abandon: StopSwitch::new().0,
            wanted: Notify::new(),
            routes: Mutex::default(),
            ended: Mutex::default(),
            exit_code: AtomicI32::new(0),
            failed: AtomicBool::new(false),
        })
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.signal().is_set()
    }

    pub(crate) fn stop_signal(&self) -> Stop {
        self.stop.signal()
    }

    /// A plugin that may not exit did: the daemon stops in order.
    pub(crate) fn request_shutdown(&self, code: i32) {
        if code != 0 && !self.failed.swap(true, Ordering::Relaxed) {
            self.exit_code.store(code, Ordering::Relaxed);
        }
        self.wanted.notify_one();
    }

    pub(crate) fn exit_code(&self) -> i32 {
        self.exit_code.load(Ordering::Relaxed)
    }

    /// Sets the routes of the configuration; those of filters that were loaded before come behind them.
    pub(crate) fn set_first_routes(&self, routes: Vec<Route>) -> Result<(), CompileError> {
        let mut current = self.routes();
        let mut all = routes;
        all.extend(current.iter().cloned());
        self.stream.set_routes(&all)?;
        *current = all;
        Ok(())
    }

    pub(crate) fn add_route(&self, route: Route) -> Result<(), CompileError> {
        let mut current = self.routes();
        let mut all = current.clone();
        all.push(route);
        self.stream.set_routes(&all)?;
        *current = all;
        Ok(())
    }

    fn routes(&self) -> MutexGuard<'_, Vec<Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A filter or output (name, type, whether it may exit) is gone for good: it is removed and announced where it
    /// may exit, else the daemon stops in order. True if it is removed.
    pub(crate) fn consumer_gone(
        &self,
        consumer: &Arc<Consumer>,
        (name, type_name, can_exit): (&str, &str, bool),
        gone: Gone<'_>,
    ) -> bool {
        if self.abandon.signal().is_set() {
            return false;
        }
        let error = gone.error;
        match gone.at_its_wish {
            true => tracing::error!(plugin = name, error, "has ended for good"),
            false => tracing::error!(plugin = name, error, "max retries exceeded"),
        }
        if !can_exit {
            tracing::error!(plugin = name, "has stopped, shutting down");
            self.request_shutdown(1);
            return false;
        }
        self.remove_route(consumer);
        if let Some(log) = self.stream.log() {
            log.retire(consumer);
        }
        let lost = consumer.give_up(DropReason::Stopped, true);
        if !gone.announced {
            crate::own_messages::announce(self, name, type_name, error);
        }
        tracing::error!(plugin = name, lost, "removed, what it had in memory is dropped");
        true
    }

    /// A filter ended by itself, and the daemon goes on.
    pub(crate) fn filter_ended(&self, consumer: &Arc<Consumer>) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(consumer));
    }

    /// True if it is a filter that ended by itself.
    pub(crate) fn has_ended(&self, consumer: &Arc<Consumer>) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().any(|it| Arc::ptr_eq(it, consumer))
    }

    /// Nothing is routed to a consumer any more, and it is closed.
    pub(crate) fn remove_route(&self, consumer: &Arc<Consumer>) {
        let mut routes = self.routes();
        routes.retain(|route| !Arc::ptr_eq(&route.consumer, consumer));
        if let Err(error) = self.stream.set_routes(&routes) {
            // The closed consumer refuses and counts what is still routed to it.
            tracing::error!(%error, "routes not changed");
        }
        // Sources that wait for its room go on, by the new routes.
        consumer.close();
    }
}

/// Stops the daemon when a consumer with `full_action = "shutdown"` is full.
pub(crate) async fn stop_when_full(shared: Arc<Shared>, consumer: Arc<Consumer>) {
    consumer.overflowed().await;
    tracing::error!(plugin = &*consumer.options().name, "its buffer is full, shutting down");
    shared.request_shutdown(1);
}
