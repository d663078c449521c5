//! `heka-sbmgrload`: loads many filters into a running daemon, to see what it carries.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use heka_matcher::Matcher;

use crate::args::{self, Action};
use crate::control::{Control, Framer};
use crate::send::{Connection, hostname};
use crate::settings::Settings;
use crate::{Failure, finish};

const PROGRAM: &str = "heka-sbmgrload";

/// What the filters do.
const SCRIPT: &str = include_str!("counter.lua");

const AFTER_HELP: &str = "\
The filters are called CounterSandbox0, CounterSandbox1, ..; each counts the messages that it gets, and puts the count out
every second. The settings file is that of heka-sbmgr; max_filters of the SandboxManagerFilter bounds how many run.

Examples:
  heka-sbmgrload -config=ops.toml -num=100
  heka-sbmgrload -config=ops.toml -num=100 -action=unload

Flags may be written with one dash or two. Exit code: 0 sent, 1 not sent, 2 wrong command line.";

/// Loads many sandbox filters into a running hekad, or unloads them, to see what it carries.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = AFTER_HELP)]
struct Arguments {
    /// Settings file: where the daemon listens, and who signs.
    #[arg(long, value_name = "PATH", default_value = "sbmgrload.toml")]
    config: PathBuf,
    /// What to do.
    #[arg(long, value_enum, default_value = "load")]
    action: Action,
    /// Number of filters.
    #[arg(long, value_name = "N", default_value_t = 1)]
    num: u32,
    /// Which messages they count.
    #[arg(long, value_name = "EXPR", default_value = "Type == 'hekabench'")]
    matcher: String,
}

/// Runs `heka-sbmgrload` with its arguments, without its own name.
#[must_use]
pub fn load(arguments: Vec<String>) -> ExitCode {
    finish(PROGRAM, run(arguments))
}

fn run(arguments: Vec<String>) -> Result<String, Failure> {
    let arguments: Arguments = args::parse(PROGRAM, arguments)?;
    Ok(send(&arguments)?)
}

fn send(arguments: &Arguments) -> anyhow::Result<String> {
    let settings = Settings::read(&arguments.config)?;
    Matcher::parse(&arguments.matcher).context("cannot read --matcher")?;
    let message_bytes_max = settings.message_bytes_max();
    let framer = Framer { signer: settings.signer(), message_bytes_max, hostname: hostname()? };
    let mut connection = Connection::open(&settings.ip_address)?;
    for number in 0..arguments.num {
        let name = format!("CounterSandbox{number}");
        let config = section(&name, &arguments.matcher);
        let control = match arguments.action {
            Action::Load => Control::Load { script: SCRIPT.as_bytes(), config: &config },
            Action::Unload => Control::Unload { name: &name },
        };
        connection.send(&framer.frame(&control)?)?;
    }
    connection.close()?;
    let (count, word) = (
        arguments.num,
        match arguments.action {
            Action::Load => "load",
            Action::Unload => "unload",
        },
    );
    Ok(format!("sent to {}: {word} {count} filters\n", settings.ip_address))
}

/// The section of one filter.
fn section(name: &str, matcher: &str) -> String {
    // What a basic string of TOML must not hold as it is.
    let matcher = matcher.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "[{name}]\ntype = \"SandboxFilter\"\nticker_interval = 1\nmessage_matcher = \"{matcher}\"\n"
    )
}
