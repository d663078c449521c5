//! Random patterns against the plain model.

use heka_lpeg::Limits;
use proptest::prelude::*;

use crate::model::host::outcome;
use crate::model::naive;
use crate::model::random::Choices;

/// Steps of the model.
const STEPS: u32 = 20_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_matches_as_the_model_does(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut choices = Choices::new(&bytes);
        let subject = choices.subject();
        let start = choices.below(3).min(subject.len());
        let expr = choices.expr();
        if expr.pattern().and_then(|pattern| {
            pattern.compile(&mut heka_lpeg::Budget::new(1_000_000), usize::MAX, &crate::model::expr::describe)
        }).is_ok() {
            let limits = Limits { stack: 10_000, ..Limits::default() };
            let found = outcome(&expr, &subject, start, limits);
            if let Some(wanted) = naive::outcome(&expr, &subject, start, STEPS) {
                prop_assert_eq!(found, wanted, "{} on {} from {}", expr, subject.escape_ascii(), start);
            }
        }
    }
}
