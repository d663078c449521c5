//! The command line: Heka's flags in Heka's spelling, and subcommands.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::demo::DemoOptions;
use crate::dlq_command::DlqCommand;
use crate::lua_command::LuaCommand;
use crate::store::Whence;
use crate::stream_command::StreamCommand;

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print the version.
    Version,
    /// Run a configuration.
    Run {
        /// File or directory.
        config: PathBuf,
    },
    /// Check a configuration.
    Check {
        /// File or directory.
        config: PathBuf,
        /// Print JSON.
        json: bool,
    },
    /// Show what the daemon does with generated traffic.
    Demo(DemoOptions),
    /// List the plugins, or describe one.
    Plugins {
        /// Print JSON.
        json: bool,
        /// Type name of the one to describe.
        describe: Option<String>,
    },
    /// Look at the log on disk, or set a consumer back.
    Stream(Whence, StreamCommand),
    /// Look at dead letters, or try them again.
    Dlq(Whence, DlqCommand),
    /// Have scripts loaded anew.
    Reload(Whence),
    /// Try out scripts; with what --config was given.
    Lua(Vec<PathBuf>, LuaCommand),
}

/// A command line that is not to be run: help, or an error.
#[derive(Debug)]
pub(crate) struct Usage {
    /// What to print.
    pub(crate) text: Option<String>,
    /// Exit code.
    pub(crate) code: u8,
}

/// Where the configuration lies if nothing is said.
pub(crate) const CONFIG: &str = "/etc/hekad.toml";

#[derive(Debug, Parser)]
#[command(
    name = "hekad",
    about = "Collects logs, metrics and events, and delivers them.",
    after_help = "Flags may be written with one dash, as Heka did: -config=PATH."
)]
struct Arguments {
    /// Configuration file, or directory whose *.toml files are read in the order of their names; /etc/hekad.toml if nothing
    /// is said.
    #[arg(long, value_name = "PATH", global = true)]
    config: Vec<PathBuf>,
    /// Prints the version.
    #[arg(long)]
    version: bool,
    #[command(subcommand)]
    command: Option<Subcommands>,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Checks a configuration and shows all its problems.
    Check {
        /// Configuration; instead of --config.
        path: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Generates web traffic, runs it through the real pipeline and shows what happens.
    Demo {
        /// Lines per second in the mean; 0: as fast as possible.
        #[arg(long, value_name = "N")]
        rate: Option<u32>,
        /// Ends after so many seconds.
        #[arg(long, value_name = "N")]
        seconds: Option<u32>,
        /// As fast as possible.
        #[arg(long)]
        max: bool,
        /// Writes the configuration that the demo runs into this directory, instead of running it.
        #[arg(long, value_name = "DIR")]
        write_config: Option<PathBuf>,
        /// Lets --write-config overwrite.
        #[arg(long)]
        force: bool,
    },
    /// Lists all plugins, or describes one.
    Plugins {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Prints the page and the options of one plugin.
        #[arg(long, value_name = "TYPE")]
        describe: Option<String>,
    },
    /// Shows what the log on disk holds, and sets consumers back in it. Harmless beside a running daemon.
    Stream {
        #[command(flatten)]
        base_dir: BaseDir,
        #[command(subcommand)]
        command: StreamCommand,
    },
    /// Shows dead letters, messages that were given up for good, and has them tried again. Harmless beside a running
    /// daemon.
    Dlq {
        #[command(flatten)]
        base_dir: BaseDir,
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Has a running daemon load those scripts of its plugins anew that changed. The configuration itself is not read again.
    /// SIGHUP does the same, and has outputs open their files anew.
    Reload {
        #[command(flatten)]
        base_dir: BaseDir,
    },
    /// Tries out Lua scripts without a daemon.
    Lua {
        #[command(subcommand)]
        command: LuaCommand,
    },
}

/// Where the daemon keeps its files, for commands that need no configuration.
#[derive(Debug, clap::Args)]
struct BaseDir {
    /// The daemon's base_dir; instead of --config, where the configuration cannot be read.
    #[arg(long, value_name = "DIR", global = true)]
    base_dir: Option<PathBuf>,
}

impl BaseDir {
    fn or_config(self, config: PathBuf) -> Whence {
        self.base_dir.map_or(Whence::Config(config), Whence::BaseDir)
    }
}

/// Reads the arguments.
///
/// # Errors
/// If help was asked for, or they cannot be understood.
pub(crate) fn parse(arguments: Vec<String>) -> Result<Command, Usage> {
    let arguments = arguments.into_iter().map(two_dashes);
    let program = std::iter::once("hekad".to_owned());
    let parsed = Arguments::try_parse_from(program.chain(arguments)).map_err(|error| {
        let code = u8::from(error.use_stderr()) * 2;
        Usage { text: Some(error.render().to_string()), code }
    })?;
    if parsed.version {
        return Ok(Command::Version);
    }
    let configs = parsed.config;
    // Of several the last one counts, as Go has it.
    let config = configs.last().cloned().unwrap_or_else(|| CONFIG.into());
    Ok(match parsed.command {
        None => Command::Run { config },
        Some(Subcommands::Check { path, json }) => {
            Command::Check { config: path.unwrap_or(config), json }
        }
        Some(Subcommands::Demo { rate, seconds, max, write_config, force }) => {
            Command::Demo(DemoOptions { rate, seconds, max, write_config, force })
        }
        Some(Subcommands::Plugins { json, describe }) => Command::Plugins { json, describe },
        Some(Subcommands::Stream { base_dir, command }) => {
            Command::Stream(base_dir.or_config(config), command)
        }
        Some(Subcommands::Dlq { base_dir, command }) => {
            Command::Dlq(base_dir.or_config(config), command)
        }
        Some(Subcommands::Reload { base_dir }) => Command::Reload(base_dir.or_config(config)),
        Some(Subcommands::Lua { command }) => Command::Lua(configs, command),
    })
}

/// Go's flags take one dash as well as two.
fn two_dashes(argument: String) -> String {
    let long = argument.strip_prefix('-').is_some_and(|rest| {
        rest.len() > 1 && rest.starts_with(|first: char| first.is_ascii_lowercase())
    });
    if long { format!("-{argument}") } else { argument }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Command {
        parse(line.split_whitespace().map(str::to_owned).collect()).unwrap()
    }

    #[test]
    fn flags_are_read_in_all_of_go_s_spellings() {
        for line in ["-config a.toml", "-config=a.toml", "--config a.toml", "--config=a.toml"] {
            assert_eq!(parsed(line), Command::Run { config: "a.toml".into() });
        }
        assert_eq!(parsed("-version"), Command::Version);
        assert_eq!(parsed(""), Command::Run { config: CONFIG.into() });
    }

    #[test]
    fn subcommands_take_the_configuration_in_either_place() {
        let check = Command::Check { config: "a.toml".into(), json: true };
        assert_eq!(parsed("check a.toml --json"), check);
        assert_eq!(parsed("-config=a.toml check -json"), check);
        let describe = Some("TcpInput".to_owned());
        assert_eq!(
            parsed("plugins --describe TcpInput"),
            Command::Plugins { json: false, describe }
        );
    }

    #[test]
    fn a_daemon_s_files_are_found_by_its_configuration_or_its_base_dir() {
        let list = DlqCommand::List { plugin: None, limit: None, json: true };
        let config = Whence::Config("a.toml".into());
        for line in ["dlq list -json -config a.toml", "-config=a.toml dlq list --json"] {
            assert_eq!(parsed(line), Command::Dlq(config.clone(), list.clone()), "{line}");
        }
        let ls = StreamCommand::Ls { json: false, quick: true };
        assert_eq!(parsed("reload -config a.toml"), Command::Reload(config));
        let base_dir = Whence::BaseDir("b".into());
        assert_eq!(parsed("stream ls --quick --base-dir b"), Command::Stream(base_dir, ls));
    }

    #[test]
    fn times_ago_are_no_flags() {
        for line in ["stream cat --from -15m --to -1h30m", "stream rewind out --to-time -2d"] {
            assert!(matches!(parsed(line), Command::Stream(..)), "{line}");
        }
    }

    #[test]
    fn what_changes_something_must_be_said() {
        for line in ["dlq requeue", "dlq requeue 1 --all", "stream rewind out", "dlq requeue x"] {
            let words = line.split(' ').map(str::to_owned).collect();
            assert_eq!(parse(words).unwrap_err().code, 2, "{line}");
        }
    }

    #[test]
    fn an_unknown_flag_is_a_usage_error() {
        let usage = parse(vec!["-confg=a".to_owned()]).unwrap_err();
        assert_eq!(usage.code, 2);
        assert!(usage.text.unwrap().contains("--config"));
    }
}
