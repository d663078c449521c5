//! What does a match cost through Lua, beside C LPeg?
//!
//! Prints nanoseconds per line of a combined access log, the best of some rounds, for the patterns of `lpeg.lua`; beside
//! them what the same script takes with Debian's lua5.1 and lua-lpeg, where they are installed. The log is that of
//! `HEKA_ACCESS_LOG`; without one nothing is measured.

use std::io::{self, Write};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use heka_sandbox::{
    ConfigValue, Exchange, Injected, Kind, Limits, Refusal, Sandbox, Script, Settings,
};

/// Rounds over all lines; the best counts.
const ROUNDS: usize = 30;
/// Instructions that a round may take: the hook runs as it does for decoders.
const INSTRUCTIONS: u64 = 1 << 40;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/lpeg.lua");
const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lua/lua_modules");

struct Nothing;

impl Exchange for Nothing {
    fn inject(&mut self, _: Injected<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Ok(log) = std::env::var("HEKA_ACCESS_LOG") else {
        return writeln!(out, "skipped: HEKA_ACCESS_LOG names no access log");
    };
    let (mut sandbox, names, lines) = start(&log)?;
    let theirs = c_lpeg(&log);
    if theirs.is_empty() {
        writeln!(out, "without C LPeg: lua5.1 and lua-lpeg are not installed")?;
    }
    for (index, name) in names.iter().enumerate() {
        let ours = measure(&mut sandbox, index + 1)? / lines as f64;
        let their = theirs.iter().find(|(it, _)| it == name).map(|(_, ns)| *ns);
        let their = their.map_or(String::new(), |ns| format!("{ns:>9.1} ns  x{:.2}", ns / ours));
        writeln!(out, "{name:<24} {ours:>9.1} ns {their}")?;
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// The sandbox, the names of its cases, the number of lines.
fn start(log: &str) -> io::Result<(Sandbox, Vec<String>, usize)> {
    let source: Arc<[u8]> = std::fs::read(SCRIPT)?.into();
    let script = Script { name: "lpeg.lua".to_owned(), source };
    let settings = Settings {
        config: vec![(b"log"[..].into(), ConfigValue::Text(log.as_bytes().into()))],
        limits: Limits { memory: 64 << 20, instructions: INSTRUCTIONS, output: 0 },
        keep_printed: true,
        ..Settings::new(Kind::Input, "bench")
    };
    let mut sandbox = Sandbox::start(&settings, &script, None, &mut Nothing).map_err(failed)?;
    let mut names = sandbox.take_printed();
    let lines = names.pop().and_then(|lines| lines.parse().ok());
    Ok((sandbox, names, lines.ok_or_else(|| failed("the script did not say how many lines"))?))
}

/// Nanoseconds of the best round of a case.
fn measure(sandbox: &mut Sandbox, case: usize) -> io::Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let case = [ConfigValue::Number(case as f64)];
        let outcome = sandbox.process_message_with(&case, None, &mut Nothing);
        best = best.min(begun.elapsed().as_secs_f64());
        outcome.map_err(|ended| failed(ended.text()))?;
    }
    Ok(best * 1e9)
}

/// Nanoseconds per line of all cases with C LPeg; none if it is not there.
fn c_lpeg(log: &str) -> Vec<(String, f64)> {
    let output = Command::new("lua5.1").args([SCRIPT, log, MODULES]).output();
    let text =
        output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
    let case = |line: &str| {
        let (name, ns) = line.split_once('\t')?;
        Some((name.to_owned(), ns.parse().ok()?))
    };
    text.lines().filter_map(case).collect()
}
