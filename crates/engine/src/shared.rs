//! What all runners of a daemon share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use heka_config::Globals;
use heka_plugin::{StartContext, Stop, StopSwitch};
use heka_stream::{DropReason, Route, Stream};
use std::sync::{Mutex, PoisonError};
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

    pub(crate) fn set_routes(&self, routes: Vec<Route>) -> Result<(), heka_matcher::CompileError> {
        self.stream.set_routes(&routes)?;
        *self.routes.lock().unwrap_or_else(PoisonError::into_inner) = routes;
        Ok(())
    }

    /// A filter or output (name, type, whether it may exit) is gone for good: it is removed and announced where it
    /// may exit, else the daemon stops in order.
    pub(crate) fn consumer_gone(
        &self,
        consumer: &Arc<heka_stream::Consumer>,
        (name, type_name, can_exit): (&str, &str, bool),
        gone: Gone<'_>,
    ) {
        if self.abandon.signal().is_set() {
            return;
        }
        let error = gone.error;
        match gone.at_its_wish {
            true => tracing::error!(plugin = name, error, "has ended for good"),
            false => tracing::error!(plugin = name, error, "max retries exceeded"),
        }
        if !can_exit {
            tracing::error!(plugin = name, "has stopped, shutting down");
            self.request_shutdown(1);
            return;
        }
        self.remove_route(consumer);
        let lost = consumer.give_up(DropReason::Stopped, true);
        if !gone.announced {
            crate::own_messages::announce(self, name, type_name, error);
        }
        tracing::error!(plugin = name, lost, "removed, its messages are dropped");
    }

    /// A consumer's plugin is gone for good: nothing is routed to it any more.
    fn remove_route(&self, consumer: &Arc<heka_stream::Consumer>) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|route| !Arc::ptr_eq(&route.consumer, consumer));
        consumer.close();
        if let Err(error) = self.stream.set_routes(&routes) {
            // The closed consumer refuses and counts what is still routed to it.
            tracing::error!(%error, "routes not changed");
        }
    }
}
