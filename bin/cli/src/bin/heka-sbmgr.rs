//! `heka-sbmgr`.

use std::process::ExitCode;

fn main() -> ExitCode {
    heka_cli::manage(std::env::args().skip(1).collect())
}
