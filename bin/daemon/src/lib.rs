//! The daemon as a library: its plugin list, command line and reference, for the binary and for `xtask`.
//!
//! Here: the command line, the only list of plugins, signals, the log, the pid file. Not here: what plugins or
//! the engine do.

mod args;
mod check;
mod demo;
mod describe;
mod dlq_command;
mod log;
mod lua_command;
mod moment;
mod pid;
mod plugins;
mod printer;
mod run;
mod store;
mod stream_command;

pub use describe::reference_page;
pub use plugins::PLUGINS;

use std::process::ExitCode;

use args::{Command, Usage};

/// Runs the program with its arguments, without its own name.
#[must_use]
pub fn main(arguments: Vec<String>) -> ExitCode {
    let command = match args::parse(arguments) {
        Ok(command) => command,
        // Help that was asked for is a result, not an error.
        Err(Usage { text: Some(text), code: 0 }) => {
            let said = say(&text);
            return finish(said.err().map(|error| (format!("hekad: {error:#}\n"), 1)));
        }
        Err(Usage { text, code }) => {
            return finish(text.map(|text| (text, code)));
        }
    };
    let result = match command {
        Command::Version => say(&format!("{VERSION}\n")).map(|()| 0),
        Command::Run { config } => run::run(&config),
        Command::Check { config, json } => check::check(&config, json),
        Command::Demo(options) => demo::demo(options),
        Command::Stream(whence, command) => stream_command::run(&whence, &command),
        Command::Dlq(whence, command) => dlq_command::run(&whence, &command),
        Command::Lua(configs, command) => lua_command::run(&configs, &command),
        Command::Reload(whence) => store::reload(&whence),
        Command::Plugins { json, describe } => describe::plugins(json, describe.as_deref()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => finish(Some((format!("hekad: {error:#}\n"), 1))),
    }
}

/// Version that `-version` prints.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

fn finish(text: Option<(String, u8)>) -> ExitCode {
    let Some((text, code)) = text else { return ExitCode::SUCCESS };
    tell(&text);
    ExitCode::from(code)
}

/// Writes to standard error; where that is gone nobody can be told anything.
pub fn tell(text: &str) {
    use std::io::Write;
    if let Err(error) = std::io::stderr().write_all(text.as_bytes()) {
        tracing::debug!(%error, "standard error is gone");
    }
}

/// Writes to standard output; a reader that went away is no error.
pub(crate) fn say(text: &str) -> anyhow::Result<()> {
    put_out(text.as_bytes()).map(|_there| ())
}

/// Writes to standard output; false if the reader went away.
pub(crate) fn put_out(bytes: &[u8]) -> anyhow::Result<bool> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}
