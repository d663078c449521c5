//! What does a call of the string library cost, beside Lua 5.1's own?
//!
//! Prints nanoseconds per call, the best of some rounds, for the cases of `testdata/bench.tsv`. The same table for
//! Lua: `lua5.1 benches/texts.lua testdata/bench.tsv`. What a host adds, its arguments and results, is not in here.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use heka_luatext::{
    Cache, Directives, Error, Kind, Matcher, Piece, Substitution, heka_number, lua_number,
};

/// Rounds; the best counts.
const ROUNDS: usize = 40;
/// Calls in a round.
const CALLS: usize = 20_000;

/// What a host keeps for all calls.
#[derive(Default)]
struct Host {
    cache: Cache,
    matcher: Matcher,
    out: Vec<u8>,
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/bench.tsv");
    for line in std::fs::read_to_string(path)?.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[name, kind, pattern, replacement, text] = columns.as_slice() else { continue };
        let time = measure(kind, pattern.as_bytes(), replacement.as_bytes(), text);
        writeln!(out, "{name:<28} {kind:<9} {:8.1} ns", time * 1e9)?;
        if kind == "tostring" {
            let time = measure("heka", b"", b"", text);
            writeln!(out, "{name:<28} payload   {:8.1} ns", time * 1e9)?;
        }
    }
    Ok(())
}

/// Seconds per call.
fn measure(kind: &str, pattern: &[u8], replacement: &[u8], text: &str) -> f64 {
    let mut host = Host::default();
    let number = text.parse::<f64>();
    let text = text.as_bytes();
    match kind {
        "match" => best(|| host.find(black_box(text), pattern, Kind::Match)),
        "find" => best(|| host.find(black_box(text), pattern, Kind::Find)),
        "gmatch" => best(|| host.each(black_box(text), pattern)),
        "gsub" => best(|| host.gsub(black_box(text), pattern, replacement)),
        "format" => best(|| host.format(pattern, black_box(text), number.as_ref().ok().copied())),
        kind => {
            let number = number.unwrap_or_default();
            best(|| {
                host.out.clear();
                if kind == "heka" {
                    heka_number(black_box(number), &mut host.out);
                } else {
                    lua_number(black_box(number), &mut host.out);
                }
                Ok(host.out.len())
            })
        }
    }
}

fn best(mut run: impl FnMut() -> Result<usize, Error>) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(run()).expect("the budget is large");
        }
        best = best.min(begun.elapsed().as_secs_f64() / CALLS as f64);
    }
    best
}

impl Host {
    fn find(&mut self, text: &[u8], pattern: &[u8], kind: Kind) -> Result<usize, Error> {
        let mut budget = 1_000_000;
        let pattern = self.cache.get(pattern, kind, &mut budget)?;
        let Some(found) = self.matcher.find(pattern, text, 0, &mut budget)? else { return Ok(0) };
        for index in 0..found.values() {
            black_box(found.capture(index)?);
        }
        Ok(found.end)
    }

    fn each(&mut self, text: &[u8], pattern: &[u8]) -> Result<usize, Error> {
        let mut budget = 1_000_000;
        let (mut next, mut count) = (0, 0);
        loop {
            let pattern = self.cache.get(pattern, Kind::Each, &mut budget)?;
            let found = self.matcher.each(pattern, text, &mut next, &mut budget)?;
            let Some(found) = found else { return Ok(count) };
            for index in 0..found.values() {
                black_box(found.capture(index)?);
            }
            count += 1;
        }
    }

    fn gsub(&mut self, text: &[u8], pattern: &[u8], with: &[u8]) -> Result<usize, Error> {
        let mut budget = 1_000_000;
        let compiled = self.cache.take(pattern, Kind::Match, &mut budget)?;
        self.out.clear();
        let mut substitution = Substitution::new(u64::MAX);
        while let Some(found) =
            substitution.next(&mut self.matcher, &compiled, text, &mut self.out, &mut budget)?
        {
            found.expand(with, text, &mut self.out, 1 << 20, &mut budget)?;
        }
        self.cache.put(pattern, compiled);
        substitution.finish(text, &mut self.out);
        Ok(self.out.len())
    }

    fn format(&mut self, form: &[u8], text: &[u8], number: Option<f64>) -> Result<usize, Error> {
        self.out.clear();
        let mut directives = Directives::new(form);
        while let Some(piece) = directives.next(true)? {
            match (piece, number) {
                (Piece::Literal(literal), _) => self.out.extend_from_slice(literal),
                (Piece::Directive(directive), Some(number)) => {
                    directive.write_number(number, &mut self.out);
                }
                (Piece::Directive(directive), None) => directive.write_text(text, &mut self.out),
            }
        }
        Ok(self.out.len())
    }
}
