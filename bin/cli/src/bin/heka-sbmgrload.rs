//! `heka-sbmgrload`.

use std::process::ExitCode;

fn main() -> ExitCode {
    heka_cli::load(std::env::args().skip(1).collect())
}
