//! The stream from outside: routing, order, acks, windows, the watermark and the ledger.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod durable;
mod given;
mod log_crash;
mod log_damage;
mod log_model;
mod log_random;
mod model;
mod routes;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heka_matcher::Matcher;
use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Names};
use heka_stream::{
    AppendError, Consumer, ConsumerOptions, DropReason, FullAction, ManualClock, Route, Source,
    SourceCounts, Stream,
};

pub(crate) struct World {
    pub(crate) stream: Stream,
    pub(crate) consumers: Vec<Arc<Consumer>>,
    pub(crate) counts: Arc<SourceCounts>,
}

impl World {
    pub(crate) fn new(memory: u64, routes: &[(&str, ConsumerOptions)]) -> Self {
        let clock = Arc::new(ManualClock::new(1));
        let stream = Stream::new(memory, NameRegistry::new(), clock);
        let consumers: Vec<_> =
            routes.iter().map(|(_, options)| Consumer::new(options.clone())).collect();
        let routes: Vec<Route> = routes
            .iter()
            .zip(&consumers)
            .map(|((matcher, _), consumer)| Route {
                matcher: Matcher::parse(matcher).unwrap().0,
                consumer: Arc::clone(consumer),
            })
            .collect();
        stream.set_routes(&routes).unwrap();
        Self { stream, consumers, counts: Arc::default() }
    }

    pub(crate) fn source(&self) -> Source {
        self.stream.source(Arc::clone(&self.counts))
    }
}

pub(crate) fn options(name: &str) -> ConsumerOptions {
    ConsumerOptions::new(name)
}

pub(crate) fn batch(payloads: &[&str]) -> Batch {
    let envelope = Arc::new(Envelope::new("test"));
    let mut builder = BatchBuilder::new(Arc::new(Names::default()), envelope, Buffer::empty(), 1);
    for payload in payloads {
        let mut record = builder.record();
        record.payload(payload);
        record.commit().unwrap();
    }
    builder.finish()
}

pub(crate) fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

pub(crate) fn append(source: &mut Source, payloads: &[&str], end: u64) {
    assert_eq!(poll(source.append(batch(payloads), end)), Some(Ok(())));
}

pub(crate) fn payloads(delivery: &heka_stream::Delivery) -> Vec<String> {
    delivery
        .records()
        .map(|record| String::from_utf8_lossy(record.payload()).into_owned())
        .collect()
}

#[test]
fn each_consumer_gets_what_it_matches_in_order() {
    let world = World::new(
        1 << 20,
        &[("Payload =~ /a/", options("a")), ("TRUE", options("all")), ("FALSE", options("none"))],
    );
    let mut source = world.source();
    append(&mut source, &["a1", "b1", "a2"], 3);
    append(&mut source, &["b2"], 4);
    append(&mut source, &["a3"], 5);
    let [a, all, none] = &world.consumers[..] else { panic!() };
    let (first, second) = (a.try_next().unwrap(), a.try_next().unwrap());
    assert_eq!(
        (payloads(&first), payloads(&second)),
        (vec!["a1".into(), "a2".into()], vec!["a3".into()])
    );
    assert!(a.try_next().is_none() && none.try_next().is_none());
    for expected in [&["a1", "b1", "a2"][..], &["b2"], &["a3"]] {
        let delivery = all.try_next().unwrap();
        assert_eq!(payloads(&delivery), expected);
        delivery.ack.delivered();
    }
    assert_eq!((world.counts.received(), world.counts.filtered()), (5, 0));
}

#[test]
fn what_nobody_matches_is_filtered_and_settled_at_once() {
    let world =
        World::new(1 << 20, &[("Payload == 'x'", options("x")), ("Payload == 'y'", options("y"))]);
    let mut source = world.source();
    append(&mut source, &["x", "y", "z", "z"], 10);
    assert_eq!((world.counts.received(), world.counts.filtered()), (4, 2));
    assert_eq!(source.settled().position(), 0);
    append(&mut source, &["z"], 20);
    for consumer in &world.consumers {
        consumer.try_next().unwrap().ack.delivered();
    }
    assert_eq!(source.settled().position(), 20);
    append(&mut source, &[], 25);
    assert_eq!(source.settled().position(), 25, "an empty batch only moves the position");
}

#[test]
fn a_delivery_that_was_not_acknowledged_comes_again_in_its_place() {
    let world = World::new(1 << 20, &[("TRUE", options("out"))]);
    let mut source = world.source();
    let consumer = &world.consumers[0];
    for (number, payload) in ["1", "2", "3"].iter().enumerate() {
        append(&mut source, &[payload], number as u64 + 1);
    }
    let (first, second) = (consumer.try_next().unwrap(), consumer.try_next().unwrap());
    second.ack.delivered();
    drop(first);
    assert_eq!(source.settled().position(), 0);
    let again = consumer.try_next().unwrap();
    assert_eq!(payloads(&again), ["1"]);
    again.ack.delivered();
    assert_eq!(source.settled().position(), 2);
    assert_eq!(payloads(&consumer.try_next().unwrap()), ["3"]);
    assert_eq!(consumer.counts().redelivered(), 2, "the last one was dropped too");
}

#[test]
fn panics_are_counted_against_what_came_back_until_it_is_given_up() {
    let world = World::new(1 << 20, &[("TRUE", options("out"))]);
    let mut source = world.source();
    let consumer = &world.consumers[0];
    append(&mut source, &["poison", "beside it"], 1);
    append(&mut source, &["fine"], 2);
    for _ in 0..ConsumerOptions::PANICS_MAX {
        assert_eq!(payloads(&consumer.try_next().unwrap()).len(), 2);
        consumer.blame();
    }
    let next = consumer.try_next().unwrap();
    assert_eq!(payloads(&next), ["fine"]);
    next.ack.delivered();
    assert_eq!(consumer.counts().dropped(DropReason::Poison), 2);
    assert_eq!(source.settled().position(), 2);
    consumer.counts().balance().unwrap();
}

#[test]
fn a_panic_over_one_delivery_is_not_held_against_another_that_came_back_from_an_error() {
    let world = World::new(1 << 20, &[("TRUE", options("out"))]);
    let mut source = world.source();
    let consumer = &world.consumers[0];
    append(&mut source, &["poison"], 1);
    append(&mut source, &["innocent"], 2);
    for _ in 0..ConsumerOptions::PANICS_MAX {
        drop((consumer.try_next().unwrap(), consumer.try_next().unwrap()));
        consumer.forgive();
        assert_eq!(payloads(&consumer.try_next().unwrap()), ["poison"]);
        consumer.blame();
    }
    assert_eq!(payloads(&consumer.try_next().unwrap()), ["innocent"]);
    assert_eq!(consumer.counts().dropped(DropReason::Poison), 1);
}

#[test]
fn errors_alone_never_give_up_a_delivery() {
    let world = World::new(1 << 20, &[("TRUE", options("out"))]);
    let mut source = world.source();
    append(&mut source, &["kept"], 1);
    for _ in 0..100 {
        assert!(world.consumers[0].try_next().is_some());
    }
    assert_eq!(world.consumers[0].counts().held(), 1);
}

#[test]
fn a_full_window_makes_only_its_own_sources_wait() {
    let mut small = options("slow");
    small.window_bytes = 1;
    let world = World::new(
        1 << 20,
        &[("Payload == 'slow'", small), ("Payload == 'fast'", options("fast"))],
    );
    let (mut source, mut other) = (world.source(), world.source());
    append(&mut source, &["slow"], 1);
    let mut waiting = pin!(source.append(batch(&["slow"]), 2));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert!(world.consumers[0].is_full() && !world.consumers[1].is_full());
    append(&mut other, &["fast"], 1);
    assert_eq!(payloads(&world.consumers[1].try_next().unwrap()), ["fast"]);
    world.consumers[0].try_next().unwrap().ack.delivered();
    assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}

#[test]
fn a_full_window_that_drops_counts_and_settles() {
    let mut small = options("slow");
    small.window_bytes = 1;
    small.full_action = FullAction::Drop;
    let world = World::new(1 << 20, &[("TRUE", small), ("TRUE", options("fast"))]);
    let mut source = world.source();
    append(&mut source, &["1"], 1);
    append(&mut source, &["2", "3"], 2);
    let [slow, fast] = &world.consumers[..] else { panic!() };
    assert_eq!(slow.counts().dropped(DropReason::Full), 2);
    assert!(poll(slow.overflowed()).is_some());
    slow.try_next().unwrap().ack.delivered();
    while let Some(delivery) = fast.try_next() {
        delivery.ack.delivered();
    }
    assert_eq!(source.settled().position(), 2);
    assert_eq!((slow.counts().delivered(), fast.counts().delivered()), (1, 3));
    slow.counts().balance().unwrap();
}

#[test]
fn the_budget_is_free_again_when_the_last_holder_lets_go() {
    let one = batch(&["x"]).memory_bytes() as u64;
    // An eighth belongs to injected messages.
    let world = World::new(one * 2, &[("TRUE", options("a")), ("TRUE", options("b"))]);
    let mut source = world.source();
    append(&mut source, &["x"], 1);
    assert!(poll(source.append(batch(&["x"]), 2)).is_none(), "the budget is used up");
    let [a, b] = &world.consumers[..] else { panic!() };
    a.try_next().unwrap().ack.delivered();
    assert!(poll(source.append(batch(&["x"]), 2)).is_none(), "b still holds it");
    let mut injecting = world.stream.inject_source(Arc::default());
    append(&mut injecting, &["y"], 1);
    b.try_next().unwrap().ack.delivered();
    append(&mut source, &["x"], 2);
}

#[test]
fn a_closed_consumer_hands_out_what_it_has_and_refuses_more() {
    let world = World::new(1 << 20, &[("TRUE", options("out"))]);
    let mut source = world.source();
    let consumer = &world.consumers[0];
    append(&mut source, &["before"], 1);
    consumer.close();
    append(&mut source, &["after"], 2);
    assert_eq!(payloads(&poll(consumer.next()).unwrap().unwrap()), ["before"]);
    assert_eq!(consumer.counts().dropped(DropReason::Stopped), 1);
    assert_eq!(consumer.give_up(DropReason::Stopped, false), 1);
    assert!(poll(consumer.next()).unwrap().is_none());
    assert_eq!(source.settled().position(), 0, "what was given up at the end is read again");
    consumer.counts().balance().unwrap();
}

#[test]
fn only_messages_with_the_verified_signer_reach_a_consumer_that_wants_one() {
    let mut signed = options("signed");
    signed.signer = Some(b"ops"[..].into());
    let world = World::new(1 << 20, &[("TRUE", signed)]);
    let envelope = Arc::new(Envelope::new("test"));
    let mut builder = BatchBuilder::new(Arc::new(Names::default()), envelope, Buffer::empty(), 1);
    for signer in ["ops", "", "other"] {
        let mut record = builder.record();
        record.payload(signer);
        if !signer.is_empty() {
            record.signer(signer);
        }
        record.commit().unwrap();
    }
    let mut source = world.source();
    assert_eq!(poll(source.append(builder.finish(), 1)), Some(Ok(())));
    assert_eq!(payloads(&world.consumers[0].try_next().unwrap()), ["ops"]);
    assert_eq!(world.counts.filtered(), 2);
}

#[test]
fn positions_must_not_go_backwards() {
    let world = World::new(1 << 20, &[]);
    let mut source = world.source();
    append(&mut source, &["x"], 5);
    let error = AppendError::Backwards { end: 4, previous: 5 };
    assert_eq!(poll(source.append(batch(&["x"]), 4)), Some(Err(error)));
}
