//! tidy, reference, bench.
fn main() {}
