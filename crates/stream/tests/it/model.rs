//! Random histories against a model: nothing is lost, doubled or reordered, and the ledger always balances.

use std::collections::VecDeque;

use heka_stream::{Delivery, DropReason, FullAction};
use proptest::prelude::*;

use crate::{World, append, options, payloads};

#[derive(Debug, Clone)]
enum Step {
    /// Appends messages of these classes (a, b or neither).
    Append(Vec<u8>),
    /// A consumer takes a delivery.
    Take(usize),
    /// A consumer acknowledges the oldest (or newest) delivery in its hands.
    Ack(usize, bool),
    /// A consumer drops what it has in its hands.
    Fail(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::vec(0..3_u8, 0..5).prop_map(Step::Append),
        4 => (0..3_usize).prop_map(Step::Take),
        4 => (0..3_usize, any::<bool>()).prop_map(|(consumer, oldest)| Step::Ack(consumer, oldest)),
        1 => (0..3_usize).prop_map(Step::Fail),
    ];
    prop::collection::vec(step, 0..120)
}

const CLASSES: [&str; 3] = ["a", "b", "-"];

proptest! {
    #[test]
    fn no_history_loses_doubles_or_reorders_a_message(steps in steps()) {
        let mut dropping = options("drops");
        dropping.full_action = FullAction::Drop;
        dropping.window_bytes = 2_000;
        let routes =
            [("Payload =~ /^a/", options("a")), ("TRUE", options("all")), ("Payload =~ /b/", dropping)];
        let world = World::new(1 << 30, &routes);
        let mut source = world.source();
        let mut hands: [VecDeque<Delivery>; 3] = Default::default();
        let mut acked: [Vec<String>; 3] = Default::default();
        let mut appended = Vec::new();
        for step in steps {
            match step {
                Step::Append(classes) => {
                    let texts: Vec<String> = classes
                        .iter()
                        .map(|&class| {
                            let text = format!("{}{:05}", CLASSES[class as usize], appended.len());
                            appended.push(text.clone());
                            text
                        })
                        .collect();
                    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                    append(&mut source, &texts, appended.len() as u64);
                }
                Step::Take(consumer) => hands[consumer].extend(world.consumers[consumer].try_next()),
                Step::Ack(consumer, oldest) => {
                    let hand = &mut hands[consumer];
                    let delivery = if oldest { hand.pop_front() } else { hand.pop_back() };
                    if let Some(delivery) = delivery {
                        acked[consumer].extend(payloads(&delivery));
                        delivery.ack.delivered();
                    }
                }
                Step::Fail(consumer) => hands[consumer].clear(),
            }
            for consumer in &world.consumers {
                consumer.counts().balance().map_err(|error| TestCaseError::fail(error.to_string()))?;
            }
            let settled = source.settled().position() as usize;
            for text in &appended[..settled] {
                prop_assert!(!text.starts_with('a') || acked[0].contains(text));
                prop_assert!(acked[1].contains(text));
            }
        }
        for (number, consumer) in world.consumers.iter().enumerate() {
            hands[number].clear();
            let mut rest = Vec::new();
            while let Some(delivery) = consumer.try_next() {
                rest.extend(payloads(&delivery));
                delivery.ack.delivered();
            }
            prop_assert!(rest.is_sorted_by_key(|text| text[1..].to_owned()), "order kept");
            acked[number].extend(rest);
            acked[number].sort();
            let mut wanted: Vec<String> = match number {
                0 => appended.iter().filter(|text| text.starts_with('a')).cloned().collect(),
                1 => appended.clone(),
                _ => appended.iter().filter(|text| text.starts_with('b')).cloned().collect(),
            };
            wanted.sort();
            if number == 2 {
                let dropped = consumer.counts().dropped(DropReason::Full) as usize;
                prop_assert_eq!(acked[2].len() + dropped, wanted.len());
            } else {
                prop_assert_eq!(&acked[number], &wanted);
            }
        }
        prop_assert_eq!(source.settled().position(), appended.len() as u64);
        prop_assert_eq!(world.counts.received(), appended.len() as u64);
        prop_assert_eq!(world.counts.filtered(), 0);
    }
}
