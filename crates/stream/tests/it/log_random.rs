//! Random histories of a log: power cuts, kills, full disks, failing writes and syncs.

use heka_stream::SimOperation;

use crate::log_model::{World, for_seeds};

/// What else may happen than writing, reading and restarts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Faults {
    None,
    Full,
    Writes,
    Syncs,
    All,
}

const STEPS: usize = 60;

fn inject(world: &mut World, faults: Faults) {
    let kind = match faults {
        Faults::None => return,
        Faults::Full => 0,
        Faults::Writes => 1,
        Faults::Syncs => 2,
        Faults::All => world.random.below(5),
    };
    let nth = 1 + world.random.below(3) as u64;
    let operation = match kind {
        0 => {
            let room = world.random.below(3000) as u64;
            world.script.push(format!("room {room}"));
            world.failures = true;
            return world.storage.set_room(Some(room));
        }
        1 => SimOperation::Write,
        2 => SimOperation::Sync,
        3 => SimOperation::Truncate,
        _ => SimOperation::Remove,
    };
    world.script.push(format!("{operation:?} fails, number {nth} from now"));
    world.failures = true;
    world.storage.fail(operation, nth);
}

fn step(world: &mut World, faults: Faults) {
    match world.random.below(40) {
        0..8 => world.take(),
        8..12 => world.change(),
        12..20 => {
            if !world.write() && world.random.once_in(3) {
                world.give_up();
            }
        }
        20..27 => drop(world.write() && world.sync()),
        27 => drop(world.sync()),
        28 => world.end_segment(),
        29..31 => world.remove_oldest(),
        31..33 => {
            let seed = world.random.word();
            world.crash(seed);
        }
        // After a failed sync whose remains could not be cut off, a process that finds them has to believe them.
        33 if faults != Faults::All => world.kill(),
        34..36 => inject(world, faults),
        36..38 => {
            world.storage.heal();
            world.script.push("healed".to_owned());
        }
        _ => world.check_reading(),
    }
}

fn history(seed: u64, faults: Faults) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        step(&mut world, faults);
    }
    world.storage.heal();
    // A failure that was still to come takes one attempt, and what it left another.
    let done = (0..3).any(|_| world.write() && world.sync());
    assert!(done, "the log stays unusable:\n{}", world.script.join("\n"));
    world.check_reading();
    world.crash(seed);
    world.take();
    assert!(world.write() && world.sync());
    world.kill();
}

/// A caller that gives up what failed at once, and uses the numbers for what comes next.
fn forgetful_history(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        match world.random.below(12) {
            0..2 => inject(&mut world, Faults::All),
            2 => world.storage.heal(),
            3 => {
                let seed = world.random.word();
                world.crash(seed);
            }
            4 => world.check_reading(),
            5 => world.remove_oldest(),
            _ => {
                for _ in 0..1 + world.random.below(3) {
                    world.take();
                }
                if !(world.write() && world.sync()) {
                    world.give_up();
                }
            }
        }
    }
    world.check_reading();
    world.crash(seed);
}

#[test]
fn numbers_of_what_failed_can_be_used_again_for_something_else() {
    for_seeds(200, forgetful_history);
}

#[test]
fn restarts_lose_nothing_that_was_safe_and_make_nothing_up() {
    for_seeds(200, |seed| history(seed, Faults::None));
}

#[test]
fn a_full_disk_delays_and_loses_nothing() {
    for_seeds(150, |seed| history(seed, Faults::Full));
}

#[test]
fn a_write_that_fails_is_made_again() {
    for_seeds(150, |seed| history(seed, Faults::Writes));
}

#[test]
fn what_a_failed_sync_lost_is_written_again() {
    for_seeds(200, |seed| history(seed, Faults::Syncs));
}

#[test]
fn failures_of_all_kinds_together_lose_nothing() {
    for_seeds(200, |seed| history(seed, Faults::All));
}
