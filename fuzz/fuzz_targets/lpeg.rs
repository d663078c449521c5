//! LPeg patterns: any bytes make a pattern and a subject; the engine gives what the plain model gives, within limits.

#![no_main]

use heka_lpeg::{Budget, Limits};
use libfuzzer_sys::fuzz_target;
use model::random::Choices;

#[allow(dead_code, reason = "shared with the tests")]
#[path = "../../crates/lpeg/tests/it/model"]
mod model {
    pub(crate) mod expr;
    pub(crate) mod host;
    pub(crate) mod naive;
    pub(crate) mod random;
    pub(crate) mod value;
}

/// Steps of the model.
const STEPS: u32 = 20_000;

/// Steps that compiling may take.
const COMPILE_STEPS: u64 = 1_000_000;

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let subject = choices.subject();
    let start = choices.below(3).min(subject.len());
    let expr = choices.expr();
    let pattern = match expr.pattern() {
        Ok(pattern) => pattern,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    if pattern.compile(&mut Budget::new(COMPILE_STEPS), usize::MAX, &model::expr::describe).is_err() {
        return;
    }
    // LPeg's own limit first: whatever comes out, it ends.
    drop(model::host::outcome(&expr, &subject, start, Limits::default()));
    let limits = Limits { stack: 10_000, ..Limits::default() };
    let found = model::host::outcome(&expr, &subject, start, limits);
    if let Some(wanted) = model::naive::outcome(&expr, &subject, start, STEPS) {
        assert_eq!(found, wanted, "{expr} on {} from {start}", subject.escape_ascii());
    }
});
