//! Random rotations against a model: each line once and in order, but for those destroyed before they could be read.
//!
//! The model knows generations: what was written to `app.log` between two rotations. It says what must come out of each
//! look, and so which bytes are allowed to be lost: those whose last copy was deleted, or truncated away, before a look.

use fastrand::Rng;

use crate::world::World;

const SEEDS: u64 = 300;
const STEPS: usize = 60;
const FILES_MAX: usize = 5;

/// What was written to the log between two rotations.
#[derive(Debug, Default)]
struct Generation {
    content: String,
    /// Bytes delivered, and bytes that were part of records.
    delivered: usize,
    consumed: usize,
    /// The file that holds it, if any.
    file: Option<String>,
    /// The inode that it was written to, by our own count.
    inode: usize,
    /// That inode was cut to make room for the next generation.
    is_cut: bool,
}

struct Model {
    world: World,
    rng: Rng,
    generations: Vec<Generation>,
    /// The generation that the reader is in.
    reading: Option<usize>,
    /// The generation that the reader could read on in though its last name were deleted.
    held: Option<usize>,
    /// The inode that the reader may have open, though what it read of it was cut, or nothing was in it.
    perhaps_open: Option<usize>,
    is_running: bool,
    /// Lines, and whether they may be missing.
    expected: Vec<(String, bool)>,
    got: Vec<String>,
    lines: u32,
    history: Vec<String>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut world = World::numbered();
        let mut rng = Rng::with_seed(seed);
        world.buffer_bytes = rng.usize(1..200);
        world.start();
        Self {
            world,
            rng,
            generations: vec![Generation::default()],
            reading: None,
            held: None,
            perhaps_open: None,
            is_running: true,
            expected: Vec::new(),
            got: Vec::new(),
            lines: 0,
            history: Vec::new(),
        }
    }

    fn step(&mut self) {
        match self.rng.u8(0..20) {
            0..=6 => self.append(),
            7..=8 => self.rotate(),
            9..=10 => self.copy_truncate(),
            11 => self.compress(),
            12 => self.delete_oldest(),
            13..=14 => self.restart(),
            _ => self.look(),
        }
    }

    fn note(&mut self, what: impl Into<String>) {
        self.history.push(what.into());
    }

    fn append(&mut self) {
        let mut text = String::new();
        for _ in 0..self.rng.usize(1..6) {
            self.lines += 1;
            let padding = "x".repeat(self.rng.usize(0..150));
            // Few bytes must tell a line: a file that is rewritten with the same start cannot be told from before.
            let key = self.rng.u32(..);
            text.push_str(&format!("{key:08x} line {} {padding}\n", self.lines));
        }
        if self.rng.u8(0..4) == 0 {
            text.truncate(text.len() - self.rng.usize(1..6));
        }
        self.note(format!("append {} bytes", text.len()));
        self.world.append("app.log", &text);
        let newest = self.generations.last_mut().unwrap();
        newest.content.push_str(&text);
        newest.file = Some("app.log".to_owned());
    }

    /// Makes room for `app.log.1`.
    fn shift(&mut self) {
        for index in (1..FILES_MAX + 1).rev() {
            for end in ["", ".gz"] {
                let from = format!("app.log.{index}{end}");
                if !self.world.path(&from).exists() {
                    continue;
                }
                let holder =
                    self.generations.iter_mut().find(|one| one.file.as_deref() == Some(&from));
                if index == FILES_MAX {
                    self.world.remove(&from);
                    holder.unwrap().file = None;
                } else {
                    let to = format!("app.log.{}{end}", index + 1);
                    self.world.rename(&from, &to);
                    holder.unwrap().file = Some(to);
                }
            }
        }
    }

    fn rotate(&mut self) {
        if !self.world.path("app.log").exists() {
            return;
        }
        self.note("rotate");
        self.shift();
        self.world.rename("app.log", "app.log.1");
        self.generations.last_mut().unwrap().file = Some("app.log.1".to_owned());
        let inode = self.generations.len();
        self.generations.push(Generation { inode, ..Generation::default() });
        if self.rng.bool() {
            self.world.write("app.log", "");
            self.generations.last_mut().unwrap().file = Some("app.log".to_owned());
        }
    }

    fn copy_truncate(&mut self) {
        let newest = self.generations.last().unwrap();
        if newest.content.is_empty() || newest.file.is_none() {
            return;
        }
        self.note("copytruncate");
        self.shift();
        self.world.copy_truncate("app.log", "app.log.1");
        let newest = self.generations.last_mut().unwrap();
        newest.file = Some("app.log.1".to_owned());
        newest.is_cut = true;
        let inode = newest.inode;
        if self.held == Some(self.generations.len() - 1) {
            self.held = None;
        }
        let file = Some("app.log".to_owned());
        self.generations.push(Generation { file, inode, ..Generation::default() });
    }

    fn rotated(&self) -> Vec<usize> {
        let is_rotated = |file: &String| file != "app.log" && !file.ends_with(".gz");
        let all = 0..self.generations.len();
        all.filter(|index| self.generations[*index].file.as_ref().is_some_and(is_rotated)).collect()
    }

    fn compress(&mut self) {
        let Some(index) = self.rng.choice(self.rotated()) else { return };
        // An empty file is empty however it is written.
        if self.generations[index].content.is_empty() {
            return;
        }
        let file = self.generations[index].file.clone().unwrap();
        self.note(format!("gzip {file}"));
        self.world.gzip(&file);
        self.generations[index].file = Some(format!("{file}.gz"));
    }

    fn delete_oldest(&mut self) {
        let newest = self.generations.len() - 1;
        let oldest = self.generations[..newest].iter_mut().find(|one| one.file.is_some());
        let Some(oldest) = oldest else { return };
        let file = oldest.file.take().unwrap();
        self.world.remove(&file);
        self.note(format!("delete {file}"));
    }

    fn restart(&mut self) {
        self.note(if self.is_running { "stop" } else { "start" });
        self.is_running = !self.is_running;
        if self.is_running {
            self.world.start();
            return;
        }
        self.world.stop();
        self.held = None;
        self.perhaps_open = None;
        for generation in &mut self.generations {
            generation.delivered = generation.consumed;
        }
    }

    fn look(&mut self) {
        if !self.is_running {
            self.restart();
        }
        self.note("look");
        self.world.rescan();
        let lines = self.world.poll();
        self.got.extend(lines);
        self.read();
        if let Err(line) = self.check() {
            let expected = self.expected.iter().map(|(line, _)| start(line).to_owned());
            let expected: Vec<String> = expected.collect();
            let got: Vec<String> = self.got.iter().map(|line| start(line).to_owned()).collect();
            let problems = self.world.problems();
            panic!("{line}\n{problems:?}\n{:#?}\n{got:?}\n{:?}", self.history, expected);
        }
    }

    /// All lines that must be there, in order, and no others.
    fn check(&self) -> Result<(), String> {
        let mut got = self.got.iter().peekable();
        for (line, may_miss) in &self.expected {
            if got.next_if_eq(&line).is_none() && !may_miss {
                return Err(format!("missing {}", start(line)));
            }
        }
        got.next().map_or(Ok(()), |line| Err(format!("too much {}", start(line))))
    }

    /// What a look must do: reads on in all generations whose content can still be reached.
    fn read(&mut self) {
        let from = self.reading.unwrap_or(0);
        let count = self.generations.len();
        for index in from..count {
            let has_later = self.generations[index + 1..]
                .iter()
                .any(|later| later.file.is_some() && !later.content.is_empty());
            let generation = &mut self.generations[index];
            let is_reachable = generation.file.is_some() || self.held == Some(index);
            let may_miss =
                !is_reachable && !generation.is_cut && self.perhaps_open == Some(generation.inode);
            if is_reachable || may_miss {
                generation.delivered = generation.content.len();
            }
            let delivered = &generation.content[generation.consumed..generation.delivered];
            // The rest without an end becomes a record when the file is left.
            let is_left = has_later || (generation.is_cut && !is_reachable);
            let end = if is_left {
                delivered.len()
            } else {
                delivered.rfind('\n').map_or(0, |end| end + 1)
            };
            let lines = delivered[..end].lines().map(|line| (line.to_owned(), may_miss));
            self.expected.extend(lines);
            generation.consumed += end;
            if is_reachable && !generation.content.is_empty() {
                self.reading = Some(index);
                self.held = Some(index);
            }
        }
        let held = self.held.map(|index| &self.generations[index]);
        let newest = self.generations.last().filter(|newest| newest.file.is_some());
        self.perhaps_open = held.or(newest).map(|one| one.inode);
    }
}

/// Enough of a line to know it.
fn start(line: &str) -> &str {
    line.get(..18).unwrap_or(line)
}

#[test]
fn random_rotations_lose_and_repeat_nothing_that_could_be_read() {
    for seed in 0..SEEDS {
        let mut model = Model::new(seed);
        model.note(format!("seed {seed}"));
        for _ in 0..STEPS {
            model.step();
        }
        model.append();
        model.look();
        assert!(!model.expected.is_empty());
    }
}
