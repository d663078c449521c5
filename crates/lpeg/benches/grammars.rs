//! What does a match cost, beside C LPeg?
//!
//! Prints nanoseconds per match, the best of some rounds, for the patterns and subjects of `testdata/bench.tsv`. The
//! same table for C LPeg: `lua5.1 benches/grammars.lua testdata/bench.tsv`. The host here keeps texts as ranges and
//! tables as lists in one arena: what it costs is little more than what the engine itself costs.

use std::hint::black_box;
use std::io::{self, Write};
use std::ops::Range;
use std::time::Instant;

use heka_lpeg::{Budget, Host, Limits, Matcher, Program, Verdict};
use model::parse::{parse, unescape};
use model::value::{Function, Key};

#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
#[path = "../tests/it/model"]
mod model {
    pub(crate) mod expr;
    pub(crate) mod parse;
    pub(crate) mod value;
}

/// Rounds; the best counts.
const ROUNDS: usize = 300;
/// Bytes matched in a round.
const BYTES: usize = 100_000;

/// A value that owns nothing.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "values are made as a host would make them, and few are read")]
enum Cell {
    /// A constant or name, known by its place in memory.
    Key(usize),
    Function(Function),
    Range(usize, usize),
    Number(f64),
    Table(usize),
}

/// A host that allocates nothing once it is warm.
struct Lean<'a> {
    subject: &'a [u8],
    stack: Vec<Cell>,
    /// Fields of all tables: the table's number, key, value.
    fields: Vec<(usize, Cell, Cell)>,
    tables: usize,
    /// Texts that are no part of the subject; their ranges lie behind its end.
    texts: Vec<u8>,
    budget: Budget,
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/bench.tsv");
    for line in std::fs::read_to_string(path)?.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[name, expr, subject] = columns.as_slice() else { continue };
        let subject = unescape(subject.as_bytes());
        measure(&mut out, name, expr, &subject)?;
    }
    Ok(())
}

fn measure(out: &mut impl Write, name: &str, expr: &str, subject: &[u8]) -> io::Result<()> {
    let invalid = |error: heka_lpeg::Error| io::Error::other(error.to_string());
    let pattern = parse(expr).pattern().map_err(invalid)?;
    let mut budget = Budget::new(1 << 40);
    let program =
        pattern.compile(&mut budget, usize::MAX, &model::expr::describe).map_err(invalid)?;
    let mut matcher = Matcher::new();
    let mut host = Lean {
        subject,
        stack: Vec::new(),
        fields: Vec::new(),
        tables: 0,
        texts: Vec::new(),
        budget: Budget::new(0),
    };
    let times = (BYTES / subject.len()).max(1);
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..times {
            let matched = once(&mut matcher, &program, black_box(subject), &mut host);
            assert!(black_box(matched), "{name}: no match");
        }
        best = best.min(begun.elapsed().as_secs_f64() / times as f64);
    }
    writeln!(out, "{name:<32} {:>9.1} ns {:>6} B", best * 1e9, subject.len())
}

fn once(
    matcher: &mut Matcher,
    program: &Program<Key>,
    subject: &[u8],
    host: &mut Lean<'_>,
) -> bool {
    host.stack.clear();
    host.fields.clear();
    host.texts.clear();
    host.tables = 0;
    host.budget = Budget::new(1 << 40);
    matches!(matcher.run(program, subject, 0, Limits::default(), host), Ok(Some(_)))
}

impl Lean<'_> {
    fn bytes(&self, cell: Cell) -> &[u8] {
        match cell {
            Cell::Range(start, end) if start >= self.subject.len() => {
                &self.texts[start - self.subject.len()..end - self.subject.len()]
            }
            Cell::Range(start, end) => &self.subject[start..end],
            _ => &[],
        }
    }

    fn take(&mut self) -> Cell {
        self.stack.pop().unwrap_or(Cell::Number(0.0))
    }

    fn table_below(&self, count: usize) -> usize {
        match self.stack[self.stack.len() - 1 - count] {
            Cell::Table(number) => number,
            _ => 0,
        }
    }
}

impl Host for Lean<'_> {
    type Key = Key;
    type Error = ();

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn describe(&mut self, key: &Key) -> String {
        model::expr::describe(key)
    }

    fn push_substring(&mut self, range: Range<usize>) -> Result<(), ()> {
        self.stack.push(Cell::Range(range.start, range.end));
        Ok(())
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let start = self.subject.len() + self.texts.len();
        self.texts.extend_from_slice(bytes);
        self.stack.push(Cell::Range(start, start + bytes.len()));
        Ok(())
    }

    fn push_position(&mut self, position: usize) -> Result<(), ()> {
        self.stack.push(Cell::Number(position as f64));
        Ok(())
    }

    fn push_subject(&mut self) -> Result<(), ()> {
        self.push_substring(0..self.subject.len())
    }

    fn push_key(&mut self, key: &Key) -> Result<(), ()> {
        self.stack.push(match key {
            Key::Function(function) => Cell::Function(*function),
            other => Cell::Key(std::ptr::from_ref(other) as usize),
        });
        Ok(())
    }

    fn push_argument(&mut self, _: u32) -> Result<bool, ()> {
        Ok(false)
    }

    fn push_copy(&mut self, index: usize) -> Result<(), ()> {
        self.stack.push(self.stack[index]);
        Ok(())
    }

    fn push_table(&mut self, _: usize, _: usize) -> Result<(), ()> {
        self.stack.push(Cell::Table(self.tables));
        self.tables += 1;
        Ok(())
    }

    fn set_field(&mut self) -> Result<(), ()> {
        let table = self.table_below(2);
        let value = self.take();
        let key = self.take();
        self.fields.push((table, key, value));
        Ok(())
    }

    fn set_items(&mut self, first: usize, count: usize) -> Result<(), ()> {
        let table = self.table_below(count);
        let start = self.stack.len() - count;
        for (index, value) in self.stack.drain(start..).enumerate() {
            self.fields.push((table, Cell::Number((first + index) as f64), value));
        }
        Ok(())
    }

    fn call(&mut self, arguments: usize) -> Result<usize, ()> {
        let first = self.stack.len() - arguments;
        match self.stack[first - 1] {
            Cell::Function(Function::Number) => {
                let text = std::str::from_utf8(self.bytes(self.stack[first])).unwrap_or_default();
                let number = text.parse().unwrap_or(f64::NAN);
                self.stack.truncate(first - 1);
                self.stack.push(Cell::Number(number));
                Ok(1)
            }
            // Goes on, keeps the captures.
            _ => {
                self.stack.drain(first - 1..first + 1);
                self.stack[first - 1] = Cell::Number(-1.0);
                Ok(arguments - 1)
            }
        }
    }

    fn fold(&mut self, _: &Key, arguments: usize) -> Result<(), ()> {
        self.stack.truncate(self.stack.len() + 1 - arguments);
        Ok(())
    }

    fn query(&mut self, _: &Key) -> Result<bool, ()> {
        self.stack.pop();
        Ok(false)
    }

    fn take_verdict(&mut self, results: usize) -> Result<Verdict, ()> {
        let first = self.stack.len() - results;
        self.stack.remove(first);
        Ok(Verdict::Stay)
    }

    fn pop_text(&mut self, out: &mut Vec<u8>) -> Result<Option<&'static str>, ()> {
        let cell = self.take();
        out.extend_from_slice(self.bytes(cell));
        Ok(None)
    }

    fn ask_text(&mut self, _: usize) -> Result<(), ()> {
        Ok(())
    }

    fn pop(&mut self, count: usize) {
        self.stack.truncate(self.stack.len() - count);
    }

    fn keep(&mut self, count: usize, index: usize) {
        let first = self.stack.len() - count;
        self.stack[first] = self.stack[first + index];
        self.stack.truncate(first + 1);
    }

    fn remove(&mut self, index: usize, count: usize) {
        self.stack.drain(index..index + count);
    }
}
