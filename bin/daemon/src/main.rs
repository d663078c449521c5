//! `hekad`.

use std::process::ExitCode;

/// Short-lived buffers and batches cross threads all the time; this allocator is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hekad::main(std::env::args().skip(1).collect())
}
