//! A stop at every operation of one run, before, in and after it.

use heka_stream::SimStop;

use crate::log_model::{World, rounds};

/// Operations of the run, at least.
const OPERATIONS_MIN: u64 = 200;

/// A run that meets everything: several segments, changes, removals, big and small groups. Ends early if the machine
/// stops.
fn run(world: &mut World) {
    for round in 0..70 {
        for _ in 0..1 + round % 3 {
            world.take();
        }
        if round % 2 == 0 {
            world.change();
        }
        world.write();
        if round % 5 != 3 {
            world.sync();
        }
        if round % 9 == 8 {
            world.remove_oldest();
        }
        if round % 20 == 19 {
            world.end_segment();
        }
        if world.storage.stopped() {
            return;
        }
    }
}

fn go_on(world: &mut World) {
    for _ in 0..3 {
        world.take();
        world.change();
        assert!(world.write());
    }
    world.check_reading();
    assert!(world.sync());
}

#[test]
fn a_stop_at_any_operation_loses_nothing_that_was_safe() {
    let mut whole = World::new(1);
    run(&mut whole);
    let operations = whole.storage.operations();
    assert!(operations >= OPERATIONS_MIN, "{operations}");
    assert!(whole.writer.segments().len() > 2);
    for operation in 1..=operations {
        for stop in [SimStop::Before, SimStop::Middle, SimStop::After] {
            for fate in 0..1 + 2 * rounds() {
                // The log is made by the first two operations.
                let mut world = World::new(1);
                if operation <= world.storage.operations() {
                    continue;
                }
                world.storage.stop_at(operation, stop);
                run(&mut world);
                assert!(world.storage.stopped());
                world.script.push(format!("stopped {stop:?} operation {operation}"));
                match fate {
                    0 => world.kill(),
                    seed => world.crash(seed),
                }
                go_on(&mut world);
                world.crash(operation);
                go_on(&mut world);
            }
        }
    }
}
