//! Durable consumers in a daemon that is killed: state, positions, outputs that come back.

use std::sync::Arc;
use std::time::Duration;

use heka_stream::{SimRandom, SimStorage};

use crate::Running;
use crate::plugins::lines_of;

const COUNT: u64 = 4_000;

fn config(key: &str, more: &str) -> String {
    format!(
        "[hekad.stream]\ndisk_floor = 0\n\
         [NumbersInput]\ncount = {COUNT}\n\
         [TallyFilter]\nmessage_matcher = 'TRUE'\nuse_buffering = true\nkey = '{key}'\n{more}\n"
    )
}

fn tally() -> [String; 1] {
    [format!("{COUNT} {}", COUNT * (COUNT - 1) / 2)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tally_over_a_durable_route_is_exact_however_often_the_daemon_is_killed() {
    let seed = std::env::var("HEKA_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(11);
    println!("HEKA_SEED={seed}");
    let mut random = SimRandom::new(seed);
    let mut storage = Arc::new(SimStorage::new(seed));
    for round in 0..12 {
        let config = config(&format!("tally.{round}"), "");
        let running = Running::on(Arc::clone(&storage) as _, &config);
        tokio::time::sleep(Duration::from_millis(random.below(350) as u64)).await;
        // The files as they are at this moment are all that the next one finds; this one may do what it likes.
        storage = Arc::new(match round % 3 {
            0 => storage.crash(round),
            _ => storage.kill(),
        });
        let exit = running.stop().await;
        assert_eq!(exit.undelivered, 0);
    }
    let running = Running::on(storage, &config("tally.end", ""));
    for _ in 0..4_000 {
        if lines_of("tally.end") == tally() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(lines_of("tally.end"), tally(), "each number is counted once");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tally_is_exact_after_a_panic() {
    let more = "panic_at = 1234\n[TallyFilter.retries]\ndelay = '1ms'\nmax_jitter = '0s'";
    let storage = Arc::new(SimStorage::new(5));
    let running = Running::on(storage, &config("tally.panic", more));
    running.until("the whole tally", |_| lines_of("tally.panic") == tally()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tally_goes_on_after_an_orderly_stop() {
    let storage = Arc::new(SimStorage::new(6));
    for _ in 0..3 {
        let running = Running::on(Arc::clone(&storage) as _, &config("tally.stop", ""));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(running.stop().await.undelivered, 0);
    }
    let running = Running::on(storage, &config("tally.stop", ""));
    running.until("the whole tally", |_| lines_of("tally.stop") == tally()).await;
    running.stop().await;
}

/// Its state is from before the message that ended it, and cannot be made anew without meeting that again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_a_filter_does_not_end_it_again_after_a_start() {
    let storage = Arc::new(SimStorage::new(5));
    let config = config("tally.ends", "can_exit = true\nexit_at = 2000");
    for round in 0..2 {
        let running = Running::on(Arc::clone(&storage) as _, &config);
        if round == 0 {
            running.until("its end", |_| lines_of("tally.ends.ends").len() == 1).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let is_closed = running.handles.filters().any(|filter| filter.consumer.is_closed());
        assert_eq!(is_closed, round == 0);
        running.stop().await;
    }
    assert_eq!(lines_of("tally.ends.ends").len(), 1);
}
