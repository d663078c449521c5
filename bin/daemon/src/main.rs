//! hekad.
fn main() {}
