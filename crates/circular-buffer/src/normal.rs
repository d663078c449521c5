//! The normal distribution.

use std::f64::consts::PI;

/// From here on the continued fraction is the better way.
const TAIL: f64 = 3.0;
/// Terms of the continued fraction; at [`TAIL`] they give all digits of a double.
const FRACTION_TERMS: u32 = 120;
/// Terms of the series; the last ones at [`TAIL`] are below the last digit.
const SERIES_TERMS: u32 = 80;

/// Probability of a value below `-size`, which is not negative, under the standard normal distribution.
///
/// Marsaglia's series (Evaluating the Normal Distribution, 2004) near 0, Laplace's continued fraction beyond.
pub(crate) fn lower_tail(size: f64) -> f64 {
    let density = (-0.5 * size * size).exp() / (2.0 * PI).sqrt();
    if density == 0.0 {
        return 0.0;
    }
    if size < TAIL {
        let mut term = size;
        let mut sum = size;
        for index in 1..SERIES_TERMS {
            term *= size * size / f64::from(2 * index + 1);
            sum += term;
        }
        0.5 - density * sum
    } else {
        let fraction =
            (1..=FRACTION_TERMS).rev().fold(size, |below, k| size + f64::from(k) / below);
        density / fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_probabilities() {
        let cases = [
            (0.0, 0.5),
            (0.5, 0.308_537_538_725_986_9),
            (1.0, 0.158_655_253_931_457_07),
            (1.96, 0.024_997_895_148_220_435),
            (2.999, 0.001_354_336_533_727_106_6),
            (3.0, 0.001_349_898_031_630_095_7),
            (5.0, 2.866_515_718_791_946e-07),
            (10.0, 7.619_853_024_160_593e-24),
        ];
        for (size, probability) in cases {
            let found = lower_tail(size);
            assert!((found / probability - 1.0_f64).abs() < 1e-11, "{size}: {found}");
        }
        assert_eq!(lower_tail(f64::INFINITY), 0.0);
        assert_eq!(lower_tail(100.0), 0.0);
    }
}
