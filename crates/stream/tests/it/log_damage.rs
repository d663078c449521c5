//! Bits that flip and parts that cannot be read: what lies elsewhere stays, and a restart makes it no worse.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heka_stream::{Damage, LogReader, LogSettings, LogWriter, SimOperation, Storage};

use crate::log_model::{Bodies, DIRECTORY, SEGMENT_BYTES, World, for_seeds, read};

/// Bytes of a record's header.
const HEADER_BYTES: u64 = 40;

/// Where a batch lies.
#[derive(Debug)]
struct Place {
    sequence: u64,
    path: PathBuf,
    bytes: Range<u64>,
}

fn world(seed: u64) -> World {
    let mut world = World::new(seed);
    for round in 0..12 {
        for _ in 0..1 + round % 4 {
            world.take();
        }
        world.change();
        assert!(world.write() && world.sync());
    }
    world
}

fn places(world: &World) -> Vec<Place> {
    let storage: Arc<dyn Storage> = Arc::new(world.storage.clone());
    let mut reader = LogReader::new(Arc::clone(&storage), Path::new(DIRECTORY), 0);
    let paths = world.writer.segments().map(|segment| Path::new(DIRECTORY).join(segment.name()));
    let mut paths = paths.map(|path| (storage.read(&path).unwrap().unwrap(), path)).peekable();
    let mut places: Vec<Place> = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let body_at = (record.offset + HEADER_BYTES) as usize;
        while !paths.peek().unwrap().0.get(body_at..).is_some_and(|at| at.starts_with(&record.body))
        {
            paths.next();
        }
        let path = paths.peek().unwrap().1.clone();
        let bytes = record.offset..record.offset + HEADER_BYTES + record.body.len() as u64;
        places.push(Place { sequence: record.header.sequence, path, bytes });
    }
    places
}

fn overlap(left: &Range<u64>, right: &Range<u64>) -> bool {
    left.start < right.end && right.start < left.end
}

/// All but what overlaps the damaged bytes is read, and what is missing is told with its place.
fn check(world: &World, places: &[Place], bad: &[(PathBuf, Range<u64>)], told: &[Damage]) {
    let found = read(&world.storage, 0);
    for place in places {
        let hit = |(path, bytes): &&(PathBuf, Range<u64>)| {
            *path == place.path && overlap(bytes, &place.bytes)
        };
        let hits: Vec<_> = bad.iter().filter(hit).collect();
        let is_told = |bytes: &Range<u64>| {
            told.iter().any(|told| told.path == place.path && overlap(&(told.from..told.to), bytes))
        };
        match found.get(&place.sequence) {
            Some(body) => assert_eq!(body, &world.confirmed[&place.sequence]),
            None => {
                assert!(!hits.is_empty(), "{place:?} is lost: {bad:?} {told:?}");
                let is_told = hits.iter().any(|(_, bytes)| is_told(bytes));
                assert!(is_told, "{place:?} is lost and not told: {bad:?} {told:?}");
            }
        }
        if hits.is_empty() {
            assert!(!is_told(&place.bytes), "{place:?} is whole: {told:?}");
        }
    }
    assert!(found.keys().all(|sequence| world.confirmed.contains_key(sequence)));
}

fn damage(world: &World) -> Vec<Damage> {
    let storage: Arc<dyn Storage> = Arc::new(world.storage.clone());
    let mut reader = LogReader::new(storage, Path::new(DIRECTORY), 0);
    while reader.next().unwrap().is_some() {}
    reader.take_damage()
}

/// Restarts, writes more, and returns what is read then.
fn go_on(world: &mut World) -> (Bodies, Bodies) {
    let settings = LogSettings { directory: DIRECTORY.into(), segment_bytes: SEGMENT_BYTES };
    let (writer, recovered) = LogWriter::open(Arc::new(world.storage.clone()), settings).unwrap();
    let before = std::mem::take(&mut world.confirmed);
    world.restart(writer, recovered.state);
    for _ in 0..3 {
        world.take();
        assert!(world.write() && world.sync());
    }
    (before, std::mem::take(&mut world.confirmed))
}

fn random_range(world: &mut World, longest: usize) -> (PathBuf, Range<u64>) {
    let segments: Vec<_> = world.writer.segments().copied().collect();
    let segment = segments[world.random.below(segments.len())];
    let from = world.random.below(segment.bytes as usize) as u64;
    let to = (from + 1 + world.random.below(longest) as u64).min(segment.bytes);
    (Path::new(DIRECTORY).join(segment.name()), from..to)
}

fn rot(seed: u64) {
    let mut world = world(seed);
    let places = places(&world);
    let mut bad = Vec::new();
    for _ in 0..1 + world.random.below(3) {
        let longest = [1, 40, 600][world.random.below(3)];
        let (path, bytes) = random_range(&mut world, longest);
        // Each byte becomes another one.
        for at in bytes.clone() {
            let bit = at * 8 + world.random.below(8) as u64;
            world.storage.flip(&path, bit);
        }
        bad.push((path, bytes));
    }
    check(&world, &places, &bad, &damage(&world));
    let missing_before = damage(&world);
    let (before, after) = go_on(&mut world);
    let found = read(&world.storage, 0);
    assert!(after.iter().all(|(sequence, body)| found.get(sequence) == Some(body)));
    world.confirmed = before;
    for place in &places {
        let is_hit =
            bad.iter().any(|(path, bytes)| *path == place.path && overlap(bytes, &place.bytes));
        let is_there = found.get(&place.sequence) == Some(&world.confirmed[&place.sequence]);
        assert!(is_hit || is_there, "{place:?} is lost by the restart: {missing_before:?}");
    }
}

fn unreadable(seed: u64) {
    let mut world = world(seed);
    let places = places(&world);
    let mut bad = Vec::new();
    for _ in 0..1 + world.random.below(2) {
        let (path, bytes) = random_range(&mut world, 900);
        world.storage.spoil(&path, bytes.start as usize..bytes.end as usize);
        // A disk does not read less than a block.
        let blocks = bytes.start / 4096 * 4096..bytes.end.next_multiple_of(4096);
        bad.push((path, blocks));
    }
    let found = read(&world.storage, 0);
    for place in &places {
        let is_hit =
            bad.iter().any(|(path, bytes)| *path == place.path && overlap(bytes, &place.bytes));
        assert!(is_hit || found.contains_key(&place.sequence), "{place:?} is lost: {bad:?}");
    }
    let (before, after) = go_on(&mut world);
    world.storage.heal();
    let found = read(&world.storage, 0);
    for (sequence, body) in before.iter().chain(&after) {
        assert!(found.get(sequence) == Some(body), "{sequence} is lost though it can be read");
    }
}

fn transient(seed: u64) {
    let mut world = world(seed);
    let nth = 1 + world.random.below(60) as u64;
    world.storage.fail(SimOperation::Read, nth);
    let settings = LogSettings { directory: DIRECTORY.into(), segment_bytes: SEGMENT_BYTES };
    let storage: Arc<dyn Storage> = Arc::new(world.storage.clone());
    let opened = LogWriter::open(Arc::clone(&storage), settings.clone());
    let (writer, recovered) = match opened {
        Ok(opened) => opened,
        Err(_) => LogWriter::open(storage, settings).unwrap(),
    };
    world.storage.heal();
    let before = std::mem::take(&mut world.confirmed);
    world.restart(writer, recovered.state);
    world.take();
    assert!(world.write() && world.sync());
    let found = read(&world.storage, 0);
    for (sequence, body) in before.iter().chain(&world.confirmed) {
        assert!(found.get(sequence) == Some(body), "{sequence} is lost");
    }
}

#[test]
fn flipped_bits_cost_what_lies_on_them_and_are_told() {
    for_seeds(200, rot);
}

#[test]
fn what_cannot_be_read_today_is_there_when_it_can_be_read_again() {
    for_seeds(200, unreadable);
}

#[test]
fn a_read_that_fails_once_costs_nothing() {
    for_seeds(200, transient);
}

#[test]
fn a_damaged_id_costs_nothing() {
    let mut world = world(1);
    let id = Path::new(DIRECTORY).join("id");
    for bit in 0..128 {
        assert!(world.storage.flip(&id, bit));
    }
    let (before, after) = go_on(&mut world);
    let first = world.writer.segments().next().unwrap().name();
    for bit in 0..64 {
        assert!(world.storage.flip(&Path::new(DIRECTORY).join(&first), bit));
    }
    let found = read(&world.storage, 0);
    assert!(found.iter().eq(before.iter().chain(&after)), "{:?}", found.keys());
}
