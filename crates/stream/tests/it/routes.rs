//! Routes that change while messages come, and durable consumers that come and go.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heka_matcher::Matcher;
use heka_stream::{Consumer, DropReason, FullAction, MemoryStorage, Route};

use crate::durable::{Run, durable, texts};
use crate::{World, append, batch, options, payloads};

fn route(consumer: &Arc<Consumer>) -> Route {
    Route { matcher: Matcher::parse("TRUE").unwrap().0, consumer: Arc::clone(consumer) }
}

fn taken(consumer: &Arc<Consumer>) -> Vec<String> {
    let mut got = Vec::new();
    while let Some(delivery) = consumer.try_next() {
        got.extend(payloads(&delivery));
        delivery.ack.delivered();
    }
    got
}

/// A source has chosen by the old routes and waits; the routes change; only then it goes on.
#[test]
fn a_batch_that_waited_follows_the_routes_of_the_moment_it_goes_out() {
    let mut small = options("old");
    small.window_bytes = 1;
    let mut dropping = options("dropping");
    (dropping.window_bytes, dropping.full_action) = (1, FullAction::Drop);
    let world = World::new(1 << 20, &[("TRUE", small), ("TRUE", dropping)]);
    let [old, dropping] = &world.consumers[..] else { panic!() };
    let mut source = world.source();
    append(&mut source, &["first"], 1);
    {
        let mut second = pin!(source.append(batch(&["second"]), 2));
        let mut poll = || second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        let new = Consumer::new(options("new"));
        world.stream.set_routes(&[route(&new), route(dropping), route(old)]).unwrap();
        assert!(poll().is_pending(), "it still waits for the one without room");
        let routes = [route(&new), route(dropping)];
        old.close();
        world.stream.set_routes(&routes).unwrap();
        assert_eq!(poll(), Poll::Ready(Ok(())));
        assert_eq!(taken(&new), ["second"]);
        assert_eq!(new.counts().matched(), 1);
    }
    assert_eq!(taken(old), ["first"]);
    assert_eq!(old.counts().matched(), 1, "it was taken out before the batch went out");
    let counts = dropping.counts();
    assert_eq!((counts.matched(), counts.dropped(DropReason::Full)), (2, 1), "counted once");
    assert_eq!(taken(dropping), ["first"]);
    assert_eq!(world.counts.received(), 2);
    assert_eq!(source.settled().position(), 2);
}

#[test]
fn a_durable_consumer_that_goes_leaves_what_it_has_not_answered_for_to_the_next_of_its_name() {
    let storage = Arc::new(MemoryStorage::default());
    let mut run = Run::new(&storage, &[("TRUE", durable("stays"))]);
    let mut source = run.source();
    run.append(&mut source, 0, 50);
    assert_eq!(run.take("stays", 50), texts(0, 50));
    for round in 1..=5_u64 {
        let (begin, end) = (round * 1000, round * 1000 + 500);
        let consumer = Consumer::new(durable("goes"));
        let stays = Arc::clone(&run.consumers["stays"]);
        run.stream.set_routes(&[route(&stays), route(&consumer)]).unwrap();
        run.consumers.insert("goes".to_owned(), Arc::clone(&consumer));
        run.append(&mut source, begin, end);
        assert_eq!(run.take("stays", 500), texts(begin, end));
        // What the one before it left comes first.
        let left = if round == 1 { 0 } else { 470 };
        let from = (round - 1) * 1000 + 30;
        assert_eq!(run.take("goes", left), texts(from, from + left as u64));
        assert_eq!(run.take("goes", 30), texts(begin, begin + 30));
        run.stream.set_routes(&[route(&stays)]).unwrap();
        run.log.retire(&consumer);
        assert_eq!(consumer.held_bytes(), 0);
        consumer.counts().balance().unwrap();
    }
    run.wait_until("written", |figures| figures.pending.0 == 0);
    assert_eq!(source.settled().position(), 5500);
    assert!(run.log.close(Duration::from_secs(5)));
    assert_eq!(run.log.orphans()["goes"].messages, 470);
    drop((source, run));
    let run = Run::new(&storage, &[("TRUE", durable("goes"))]);
    assert_eq!(run.take("goes", 470), texts(5030, 5500), "also after a start");
    run.balance();
}
