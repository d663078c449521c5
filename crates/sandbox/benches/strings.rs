//! What does a call of the libraries `string` and `table` cost through Lua, beside Lua 5.1's own?
//!
//! Prints nanoseconds per call, the best of some rounds, for the cases of `strings.lua`, the loop around it included;
//! beside them what the same script takes with Debian's lua5.1, where it is installed, and how many times as fast we are.

use std::io::{self, Write};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use heka_sandbox::{
    ConfigValue, Exchange, Injected, Kind, Limits, Outcome, Refusal, Sandbox, Script, Settings,
};

/// Rounds; the best counts.
const ROUNDS: usize = 60;
/// Instructions that a round may take: the hook runs as it does for decoders.
const INSTRUCTIONS: u64 = 1 << 40;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/strings.lua");

struct Nothing;

impl Exchange for Nothing {
    fn inject(&mut self, _: Injected<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut sandbox = start()?;
    let theirs = lua();
    if theirs.is_empty() {
        writeln!(out, "without Lua: lua5.1 is not installed")?;
    }
    let mut number = 1;
    while let Some((name, ns)) = measure(&mut sandbox, number)? {
        let their = theirs.iter().find(|(it, _)| *it == name).map(|(_, ns)| *ns);
        let their =
            their.map_or(String::new(), |their| format!("{their:>10.1} ns  x{:.2}", their / ns));
        writeln!(out, "{name:<28} {ns:>10.1} ns {their}")?;
        number += 1;
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn start() -> io::Result<Sandbox> {
    let source: Arc<[u8]> = std::fs::read(SCRIPT)?.into();
    let script = Script { name: "strings.lua".to_owned(), source };
    let settings = Settings {
        limits: Limits { memory: 64 << 20, instructions: INSTRUCTIONS, output: 0 },
        ..Settings::new(Kind::Filter, "bench")
    };
    Sandbox::start(&settings, &script, None, &mut Nothing).map_err(failed)
}

/// Name of a case and nanoseconds of a call in the best round; none behind the last case.
fn measure(sandbox: &mut Sandbox, case: usize) -> io::Result<Option<(String, f64)>> {
    let mut best: Option<(String, f64)> = None;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let case = [ConfigValue::Number(case as f64)];
        let outcome = sandbox.process_message_with(&case, None, &mut Nothing);
        let taken_ns = begun.elapsed().as_secs_f64() * 1e9;
        let text = match outcome.map_err(|ended| failed(ended.text()))? {
            Outcome::Refused { text, .. } => text,
            Outcome::Done => return Ok(None),
        };
        let Some((name, calls)) = text.split_once('=') else { return Ok(None) };
        let ns = taken_ns / calls.parse::<f64>().map_err(failed)?;
        if best.as_ref().is_none_or(|(_, best)| ns < *best) {
            best = Some((name.to_owned(), ns));
        }
    }
    Ok(best)
}

/// Nanoseconds of a call of all cases with Lua; none if it is not there.
fn lua() -> Vec<(String, f64)> {
    let output = Command::new("lua5.1").args([SCRIPT, &ROUNDS.to_string()]).output();
    let text =
        output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
    let case = |line: &str| {
        let (name, ns) = line.split_once('\t')?;
        Some((name.to_owned(), ns.parse().ok()?))
    };
    text.lines().filter_map(case).collect()
}
