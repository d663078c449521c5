//! `hekad lua`: scripts tried out without a daemon.
//!
//! Here: the options. Not here: which script with which settings (`subject`), where its messages come from (`messages`), the
//! run (`trial`), how it is told (`tell`).

mod messages;
mod subject;
mod tell;
mod trial;

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use heka_sandbox::Kind;

use crate::moment::Moment;

/// What to do with a script.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum LuaCommand {
    /// Runs one script alone, over recorded messages, and shows what it makes, what it costs, and where it fails. Exits with
    /// 1 if the script fails.
    ///
    /// What the script reads with `read_config` is given with --config, as often as needed: as 'key = value', or as a TOML
    /// file that has the values in a table [config], or at its top. With --section it is instead the daemon's own
    /// configuration, of which that section is tried out with all it says.
    #[command(verbatim_doc_comment)]
    Test(Box<TestOptions>),
}

/// How a script is tried out.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct TestOptions {
    /// The script: a file, or the name of one that ships with the daemon, such as lua_filters/http_status.lua. With --section
    /// the section's own, if none is given.
    #[arg(required_unless_present = "section")]
    pub(crate) script: Option<PathBuf>,
    /// What kind of plugin it is; by default what its path and the functions that it calls say.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<KindName>,
    /// Section of the configuration whose kind, limits, values and matcher are taken.
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Option<String>,
    /// Messages to give it: a stream of framed messages, as FileOutput with ProtobufEncoder and `hekad stream cat --format
    /// protobuf` write it, or lines, of which each becomes a payload; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) messages: Option<PathBuf>,
    /// As --messages, but every line becomes a payload, whatever the file begins with.
    #[arg(long, value_name = "FILE", conflicts_with = "messages")]
    pub(crate) payloads: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) headers: Headers,
    /// Only messages that match; by default what the section says.
    #[arg(long, value_name = "MATCHER")]
    pub(crate) matcher: Option<String>,
    /// Calls timer_event so often after the messages; of an input, process_message.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) ticks: u64,
    /// Calls timer_event after every N messages as well.
    #[arg(long, value_name = "N")]
    pub(crate) ticker_every: Option<NonZeroU64>,
    /// Time that timer_event is told, and of lines: 2026-01-31T09:30:00Z, or -15m for so long ago.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) now: Option<Moment>,
    /// Ends an input's script after so many seconds.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Shows how much time each line took, which slows the script down.
    #[arg(long)]
    pub(crate) profile: bool,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
    /// Folders where `require` looks, separated by `;`; by default lua_modules beside the script's folder.
    #[arg(long, value_name = "DIRS")]
    pub(crate) module_directory: Option<String>,
    /// Shows at most so much of what the script makes and says.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) show: u64,
    /// Shows at most so many lines of each.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) lines: usize,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Headers of messages that are made of lines.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Headers {
    /// Type of messages that are made of lines.
    #[arg(long = "type", value_name = "TEXT", default_value = "logfile")]
    pub(crate) message_type: String,
    /// Their logger.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) logger: String,
    /// Their host name; by default the machine's.
    #[arg(long, value_name = "TEXT")]
    pub(crate) hostname: Option<String>,
}

/// Limits other than the usual ones, or those of the section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub(crate) struct LimitOptions {
    /// Most memory of the script, in bytes; 0 is no limit.
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_limit: Option<u64>,
    /// Most instructions of one call; 0 is no limit.
    #[arg(long, value_name = "N")]
    pub(crate) instruction_limit: Option<u64>,
    /// Most bytes of the output buffer; 0 is no limit.
    #[arg(long, value_name = "BYTES")]
    pub(crate) output_limit: Option<u64>,
}

/// A kind of plugin on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    /// Turns a record into messages.
    Decoder,
    /// Looks at messages and makes others.
    Filter,
    /// Turns a message into bytes.
    Encoder,
    /// Delivers messages.
    Output,
    /// Makes messages of anything.
    Input,
}

impl KindName {
    /// The kind.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Decoder => Kind::Decoder,
            Self::Filter => Kind::Filter,
            Self::Encoder => Kind::Encoder,
            Self::Output => Kind::Output,
            Self::Input => Kind::Input,
        }
    }

    /// Type name of its plugin.
    pub(crate) fn plugin(self) -> &'static str {
        match self {
            Self::Decoder => "SandboxDecoder",
            Self::Filter => "SandboxFilter",
            Self::Encoder => "SandboxEncoder",
            Self::Output => "SandboxOutput",
            Self::Input => "SandboxInput",
        }
    }
}

/// Runs; the result is the exit code. `configs` are the values of --config.
pub(crate) fn run(configs: &[PathBuf], command: &LuaCommand) -> anyhow::Result<u8> {
    let LuaCommand::Test(options) = command;
    trial::run(configs, options)
}
