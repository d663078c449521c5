//! What does a match cost through Lua, beside C LPeg?
//!
//! Prints nanoseconds per line of a combined access log for the patterns of `lpeg.lua`, which measures itself; beside them
//! what the same script says with Debian's lua5.1 and lua-lpeg, where they are installed. Both take turns, so that a busy
//! machine harms both. The log is that of `HEKA_ACCESS_LOG`; without one nothing is measured.

use std::io::{self, Write};
use std::process::Command;
use std::sync::Arc;

use heka_sandbox::{
    ConfigValue, Exchange, Injected, Kind, Limits, Refusal, Sandbox, Script, Settings,
};

/// How often both measure each case.
const TURNS: usize = 6;
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
    let (mut sandbox, names) = start(&log)?;
    for (index, name) in names.iter().enumerate() {
        let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
        for _ in 0..TURNS {
            ours = ours.min(measure(&mut sandbox, index + 1)?);
            theirs = theirs.min(c_lpeg(&log, index + 1).unwrap_or(f64::MAX));
        }
        let theirs = match theirs {
            f64::MAX => "lua5.1 and lua-lpeg are not installed".to_owned(),
            ns => format!("{ns:>9.1} ns  x{:.2}", ns / ours),
        };
        writeln!(out, "{name:<24} {ours:>9.1} ns {theirs}")?;
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// The sandbox, and the names of its cases.
fn start(log: &str) -> io::Result<(Sandbox, Vec<String>)> {
    let source: Arc<[u8]> = std::fs::read(SCRIPT)?.into();
    let script = Script { name: "lpeg.lua".to_owned(), source };
    let settings = Settings {
        config: vec![(b"log"[..].into(), ConfigValue::Text(log.as_bytes().into()))],
        limits: Limits { memory: 64 << 20, instructions: INSTRUCTIONS, output: 0 },
        keep_printed: true,
        ..Settings::new(Kind::Input, "bench")
    };
    let mut sandbox = Sandbox::start(&settings, &script, None, &mut Nothing).map_err(failed)?;
    let names = sandbox.take_printed();
    Ok((sandbox, names))
}

/// Nanoseconds per line of a case.
fn measure(sandbox: &mut Sandbox, case: usize) -> io::Result<f64> {
    let case = [ConfigValue::Number(case as f64)];
    let outcome = sandbox.process_message_with(&case, None, &mut Nothing);
    outcome.map_err(|ended| failed(ended.text()))?;
    sandbox.take_printed().concat().parse().map_err(failed)
}

/// Nanoseconds per line of a case with C LPeg, if it is there.
fn c_lpeg(log: &str, case: usize) -> Option<f64> {
    let output = Command::new("lua5.1").args([SCRIPT, log, MODULES, &case.to_string()]).output();
    String::from_utf8_lossy(&output.ok()?.stdout).trim().parse().ok()
}
