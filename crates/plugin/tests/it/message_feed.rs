//! Messages that an input makes itself.

use heka_message::{Envelope, Variables};
use heka_plugin::{DecodeError, MessageFeed};

use crate::feed::{LIMIT, World, now, settings};

fn feed(world: &World) -> MessageFeed {
    world.maker.messages(Envelope::new("in").message_type("test"))
}

fn add(feed: &mut MessageFeed, payload: &[u8]) -> Result<(), DecodeError> {
    feed.message(payload.len(), |record| {
        record.payload(payload);
        Ok(())
    })
}

#[test]
fn messages_go_out_together_and_their_position_is_settled_with_them() {
    let world = World::new(settings(), false);
    let mut feed = feed(&world);
    add(&mut feed, b"one").unwrap();
    add(&mut feed, b"two").unwrap();
    assert!(world.texts().is_empty() && feed.bytes() > 0);
    now(feed.publish(7)).unwrap();
    assert_eq!((feed.settled().position(), feed.bytes()), (0, 0));
    assert_eq!(world.texts(), ["one", "two"]);
    assert_eq!((feed.settled().position(), feed.position()), (7, 7));
    now(feed.publish(9)).unwrap();
    add(&mut feed, b"three").unwrap();
    now(feed.publish(8)).unwrap();
    assert_eq!(world.texts(), ["three"]);
    assert_eq!(feed.settled().position(), 9, "a position never goes back");
}

#[test]
fn a_message_is_the_input_s_own_or_its_envelope_s() {
    let world = World::new(settings(), false);
    let mut feed = feed(&world);
    feed.message(1, |record| {
        record.detach().uuid(&[7; 16]).timestamp(5).payload("whole");
        Ok(())
    })
    .unwrap();
    add(&mut feed, b"headed").unwrap();
    now(feed.publish(1)).unwrap();
    let delivery = world.consumer.try_next().unwrap();
    let records: Vec<_> = delivery.records().collect();
    assert_eq!((records[0].message_type(), records[0].timestamp()), (&b""[..], 5));
    assert!(!records[0].is_set(Variables::LOGGER));
    assert_eq!((records[1].message_type(), records[1].timestamp()), (&b"test"[..], 7));
}

#[test]
fn a_refused_message_leaves_nothing_and_is_counted() {
    let world = World::new(settings(), false);
    let mut feed = feed(&world);
    let refused = feed.message(3, |record| {
        record.payload("half");
        Err(DecodeError::new("no"))
    });
    assert_eq!(refused.unwrap_err().to_string(), "no");
    let long = add(&mut feed, &[b'x'; LIMIT + 1]).unwrap_err().to_string();
    assert_eq!(long, "the message has 101 bytes, and max_message_size allows 100");
    add(&mut feed, &[b'x'; LIMIT]).unwrap();
    now(feed.publish(1)).unwrap();
    assert_eq!(world.taken(), [[b'x'; LIMIT]]);
    let counts = &world.maker.counts;
    assert_eq!(
        (counts.records.get(), counts.decode_failed.get(), counts.oversize_dropped.get()),
        (3, 1, 1)
    );
}

#[test]
fn an_input_that_never_publishes_takes_no_more_memory() {
    let world = World::new(settings(), false);
    let mut feed = feed(&world);
    let (mut count, mut full_at) = (0_u64, None);
    while add(&mut feed, &[b'x'; LIMIT]).is_ok() {
        count += 1;
        if feed.is_full() {
            full_at.get_or_insert(feed.bytes());
        }
    }
    assert!((256 << 10..512 << 10).contains(&full_at.unwrap()), "{full_at:?}");
    assert!((4 << 20..8 << 20).contains(&feed.bytes()), "{}", feed.bytes());
    now(feed.publish(count)).unwrap();
    assert_eq!(world.taken().len() as u64, count);
    assert_eq!(feed.settled().position(), count);
    add(&mut feed, b"again").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_that_may_block_publishes_too() {
    let world = World::new(settings(), false);
    let mut feed = feed(&world);
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::spawn(move || {
        add(&mut feed, b"from a thread").unwrap();
        feed.publish_blocking(3, &runtime).unwrap();
        feed
    });
    let feed = thread.join().unwrap();
    assert_eq!(world.texts(), ["from a thread"]);
    assert_eq!(feed.settled().position(), 3);
}
