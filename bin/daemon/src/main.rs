//! `hekad`.

use std::process::ExitCode;

/// Short-lived buffers and batches cross threads all the time; this allocator is made for that.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let code = hekad::main(std::env::args().skip(1).collect());
    #[cfg(feature = "count-allocations")]
    hekad::tell(&format!("allocations={}\n", ALLOCATOR.stats().allocations));
    code
}
