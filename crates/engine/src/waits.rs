//! Who holds whom back: which inputs wait, for what, and why that is so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use heka_stream::{Consumer, SourceCounts};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::report::Handles;

/// How often waits are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A wait shorter than this is back-pressure at work and not told.
const TOLD_AFTER: Duration = Duration::from_secs(5);
/// A wait that goes on is told again after so long.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Tells in the log, as long as the daemon runs.
pub(crate) async fn watch(handles: Handles) {
    let mut told: HashMap<Arc<str>, Instant> = HashMap::new();
    let mut look = interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let filters: Vec<_> = handles.filters().collect();
        let inputs = handles.inputs.iter().map(|input| (&input.name, &input.ledger));
        let filters = filters.iter().map(|filter| (&filter.name, &filter.injected));
        for (name, counts) in inputs.chain(filters) {
            match waiting_for(&handles, counts).filter(|(lasts, _)| *lasts >= TOLD_AFTER) {
                Some((lasts, why)) => {
                    let due = told.get(name).is_none_or(|at| at.elapsed() >= TOLD_AGAIN_AFTER);
                    if due {
                        told.insert(Arc::clone(name), Instant::now());
                        let seconds = lasts.as_secs();
                        tracing::warn!(plugin = &**name, seconds, "waits: {why}");
                    }
                }
                None => {
                    if told.remove(name).is_some() {
                        tracing::info!(plugin = &**name, "goes on");
                    }
                }
            }
        }
    }
}

/// For how long and for what the sources behind `counts` wait; `None` if they do not.
pub(crate) fn waiting_for(handles: &Handles, counts: &SourceCounts) -> Option<(Duration, String)> {
    let waiting = counts.waiting()?;
    let why = match &waiting.consumer {
        Some(consumer) => no_room(handles, consumer),
        None => {
            let (budget, injected) = handles.stream.budgets();
            let (used, total) =
                (budget.used() + injected.used(), budget.total() + injected.total());
            let percent = used * 100 / total.max(1);
            let consumers = handles.consumers.all();
            let most = consumers.iter().max_by_key(|it| it.consumer.held_bytes());
            let holder = most.map(|it| holder(&it.consumer)).unwrap_or_default();
            format!("{percent} % of memory_limit is in use, most of it held by {holder}")
        }
    };
    Some((waiting.lasts, why))
}

fn no_room(handles: &Handles, consumer: &Consumer) -> String {
    let stuck = handles.stream.log().and_then(|log| log.figures().stuck);
    if let Some(stuck) = stuck.filter(|_| consumer.is_durable()) {
        return format!("{} has no room on disk: {stuck}", consumer.options().name);
    }
    let limit = consumer.options().durable.and_then(|durable| durable.buffer_bytes_max);
    match limit {
        Some(limit) => {
            format!("the {limit} bytes that may wait on disk are used up by {}", holder(consumer))
        }
        None => {
            let window = consumer.options().window_bytes;
            format!("the window of {window} bytes is used up by {}", holder(consumer))
        }
    }
}

fn holder(consumer: &Consumer) -> String {
    let name = &consumer.options().name;
    match consumer.trouble() {
        Some(trouble) => format!("{name}, which retries: {trouble}"),
        None => format!("{name}, which is slower than its inputs"),
    }
}
