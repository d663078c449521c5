//! Who is looked at when: inotify, the slow round, rescans.

use std::time::Duration;

use heka_logstream::StreamId;

use crate::world::World;

fn watched(count: usize) -> World {
    let mut world = World::new(r"(?P<N>\w+)\.log", &[], &["N"]);
    world.settings.use_inotify = true;
    (0..count).for_each(|index| world.write(&format!("n{index:03}.log"), "1\n"));
    world.start();
    assert_eq!(ready(&mut world).len(), count);
    assert_eq!(world.poll().len(), count);
    // Events of the files' making.
    ready(&mut world);
    world
}

fn ready(world: &mut World) -> Vec<usize> {
    let (mut ready, now) = (Vec::new(), world.now);
    world.streams().poll(now, &mut ready);
    ready.into_iter().map(StreamId::index).collect()
}

fn is_readable(world: &mut World) -> bool {
    world.streams().wait(Duration::ZERO, None).unwrap()
}

#[test]
fn a_change_wakes_its_stream_and_no_other() {
    let mut world = watched(100);
    assert!(ready(&mut world).is_empty() && !is_readable(&mut world));
    world.append("n042.log", "2\n");
    assert!(is_readable(&mut world));
    assert_eq!(ready(&mut world), [42]);
    assert_eq!(world.poll(), ["2"]);
    world.append("n042.log", "3\n");
    assert_eq!(ready(&mut world), [42], "it is watched again");
}

#[test]
fn a_new_file_in_a_new_directory_is_found_soon() {
    let mut world = World::new(r"(?P<N>[\w/]+)\.log", &[], &["N"]);
    world.settings.use_inotify = true;
    world.start();
    ready(&mut world);
    world.write("sub/deep/a.log", "1\n");
    assert!(is_readable(&mut world));
    world.tick(Duration::from_secs(1));
    assert_eq!((ready(&mut world), world.poll()), (vec![0], vec!["1".to_owned()]));
    world.write("sub/deep/b.log", "2\n");
    world.write("sub/deep/unrelated", "2\n");
    world.tick(Duration::from_secs(1));
    assert!(ready(&mut world).contains(&1));
}

#[test]
fn an_unrelated_file_causes_no_scan() {
    let mut world = watched(1);
    world.tick(Duration::from_secs(1));
    ready(&mut world);
    let now = world.now;
    let before = world.streams().sleep_time(now).unwrap();
    world.write("unrelated.txt", "x");
    assert!(ready(&mut world).is_empty());
    assert_eq!(world.streams().sleep_time(now).unwrap(), before);
}

#[test]
fn data_in_an_empty_successor_wakes_the_stream() {
    let mut world = World::numbered();
    world.settings.use_inotify = true;
    world.write("app.log", "1\n");
    world.start();
    world.poll();
    world.rename("app.log", "app.log.1");
    world.write("app.log", "");
    world.tick(Duration::from_secs(1));
    assert_eq!(ready(&mut world), [0]);
    assert!(world.poll().is_empty());
    world.append("app.log", "2\n");
    assert_eq!((ready(&mut world), world.poll()), (vec![0], vec!["2".to_owned()]));
}

#[test]
fn without_inotify_each_stream_has_its_turn_once_a_round() {
    let mut world = World::new(r"(?P<N>\w+)\.log", &[], &["N"]);
    (0..100).for_each(|index| world.write(&format!("n{index:03}.log"), "1\n"));
    world.start();
    assert_eq!(ready(&mut world).len(), 100);
    world.poll();
    let mut turns = [0; 100];
    for _ in 0..16 {
        world.tick(Duration::from_micros(15_625));
        let ready = ready(&mut world);
        assert!(ready.len() <= 7, "a round is spread");
        ready.into_iter().for_each(|index| turns[index] += 1);
    }
    assert!(turns.iter().sum::<usize>() >= 96, "{turns:?}");
    assert!(turns.iter().all(|turns| *turns <= 2));
}

#[test]
fn with_inotify_the_round_is_slow() {
    let mut world = watched(10);
    world.tick(Duration::from_millis(400));
    assert!(ready(&mut world).is_empty());
    world.tick(Duration::from_secs(5));
    assert_eq!(ready(&mut world).len(), 10);
}

#[test]
fn a_rescan_is_due_by_its_interval_or_never() {
    let mut world = World::new(r"(?P<N>\w+)\.log", &[], &["N"]);
    world.start();
    world.write("a.log", "1\n");
    world.tick(Duration::from_secs(59));
    assert!(ready(&mut world).is_empty());
    world.tick(Duration::from_secs(1));
    assert_eq!(ready(&mut world), [0]);
    world.stop();
    world.settings.rescan_interval = None;
    world.start();
    world.write("b.log", "1\n");
    world.tick(Duration::from_secs(3600));
    assert!(!ready(&mut world).contains(&1));
}

#[test]
fn without_a_check_interval_each_stream_is_read_once() {
    let mut world = World::new(r"(?P<N>\w+)\.log", &[], &["N"]);
    world.settings.check_data_interval = None;
    world.settings.use_inotify = true;
    world.write("a.log", "1\n");
    world.start();
    assert_eq!((ready(&mut world), world.poll()), (vec![0], vec!["1".to_owned()]));
    world.append("a.log", "2\n");
    world.tick(Duration::from_secs(3600));
    assert!(ready(&mut world).is_empty());
}
