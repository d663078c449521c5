//! `heka-sbmgr`: loads a filter into a running daemon, or unloads one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{self, Action};
use crate::control::{Control, Framer};
use crate::filter_file::FilterFile;
use crate::send::{Connection, hostname};
use crate::settings::Settings;
use crate::{Failure, finish};

const PROGRAM: &str = "heka-sbmgr";

const AFTER_HELP: &str = "\
The settings file says where the daemon listens and who signs:

  ip_address = \"127.0.0.1:5565\"    # its TcpInput, with a HekaFramingSplitter and a ProtobufDecoder
  [signer]
  name = \"ops\"                     # message_signer of the SandboxManagerFilter
  version = 0
  hmac_hash = \"sha1\"               # or md5
  hmac_key = \"...\"                 # that of [NAME.signer.ops_0] of the splitter
  # max_message_size = \"64KiB\"     # as in the daemon's own section, before [signer]

The daemon does not answer. What became of the filter stands in its log, and in messages of the types
heka.sandbox-terminated (it could not be loaded, or has ended) and heka.terminated (it was unloaded). Its clock and the
one here must not be five seconds apart.

Examples:
  heka-sbmgr -action=load -config=ops.toml -script=counter.lua -scriptconfig=counter.toml
  heka-sbmgr -action=unload -config=ops.toml -filtername=Counter

Flags may be written with one dash or two. Exit code: 0 sent, 1 not sent, 2 wrong command line.";

/// Loads a sandbox filter into a running hekad, or unloads one: sends a signed control message to its
/// SandboxManagerFilter.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = AFTER_HELP)]
struct Arguments {
    /// Settings file: where the daemon listens, and who signs.
    #[arg(long, value_name = "PATH", default_value = "sbmgr.toml")]
    config: PathBuf,
    /// What to do.
    #[arg(long, value_enum, default_value = "load")]
    action: Action,
    /// Lua source of the filter to load.
    #[arg(long, value_name = "PATH", default_value = "xyz.lua")]
    script: PathBuf,
    /// TOML file with the section of the filter to load, one section of the type SandboxFilter. It needs no filename: the
    /// script comes with it.
    #[arg(long = "scriptconfig", value_name = "PATH", default_value = "xyz.toml")]
    script_config: PathBuf,
    /// Name of the section of the filter to unload.
    #[arg(long = "filtername", value_name = "NAME", default_value = "filter")]
    filter_name: String,
}

/// Runs `heka-sbmgr` with its arguments, without its own name.
#[must_use]
pub fn manage(arguments: Vec<String>) -> ExitCode {
    finish(PROGRAM, run(arguments))
}

fn run(arguments: Vec<String>) -> Result<String, Failure> {
    let arguments: Arguments = args::parse(PROGRAM, arguments)?;
    Ok(send(&arguments)?)
}

fn send(arguments: &Arguments) -> anyhow::Result<String> {
    let settings = Settings::read(&arguments.config)?;
    let message_bytes_max = settings.message_bytes_max();
    let framer = Framer { signer: settings.signer(), message_bytes_max, hostname: hostname()? };
    let filter = match arguments.action {
        Action::Load => {
            let (script, config) = (&arguments.script, &arguments.script_config);
            Some(FilterFile::read(script, config, message_bytes_max)?)
        }
        Action::Unload => None,
    };
    let (control, what) = match &filter {
        Some(FilterFile { name, config, script }) => {
            (Control::Load { script, config }, format!("load {name}"))
        }
        None => {
            let name = &arguments.filter_name;
            (Control::Unload { name }, format!("unload {name}"))
        }
    };
    // Too long a message is told before anybody is called.
    let frame = framer.frame(&control)?;
    let mut connection = Connection::open(&settings.ip_address)?;
    connection.send(&frame)?;
    connection.close()?;
    Ok(format!("sent to {}: {what}\n", settings.ip_address))
}
