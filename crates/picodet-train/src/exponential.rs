//! The sigmoid of a logit and its cross entropy, without calls and branches, so that the compiler computes several at once.
//!
//! A batch has a million class logits, of which nearly all are background: this is most of what judging costs.

/// `1 / (1 + e^-x)` and `ln(1 + e^x)`, the cross entropy of the logit against 0; each to some units of 1e-16 of itself.
/// NaN stays NaN.
#[inline(always)]
pub(crate) fn probability_and_entropy(x: f64) -> (f64, f64) {
    let small = exponential(-x.abs());
    let inverse = 1.0 / (1.0 + small);
    let probability = if x < 0.0 { small * inverse } else { inverse };
    let positive = if x < 0.0 { 0.0 } else { x };
    (probability, positive + logarithm_1p(small))
}

/// `e^x` for `x` up to 0; below -708, where it is next to nothing, that of -708.
#[inline(always)]
fn exponential(x: f64) -> f64 {
    // Adding 1.5 · 2^52 rounds to a whole number, whose bits are then the last ones.
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts, the first short enough for its product with `whole` to be exact.
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    // Not `max`, which would hide NaN.
    let x = if x < -708.0 { -708.0 } else { x };
    let shifted = x * std::f64::consts::LOG2_E + MAGIC;
    let whole = shifted - MAGIC;
    let rest = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let mut sum = 1.0 / 479_001_600.0;
    for factorial in
        [39_916_800.0, 3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0]
    {
        sum = sum * rest + 1.0 / factorial;
    }
    sum * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52))
}

/// `ln(1 + e)` for `e` from 0 to 1: twice the area tangent of `e / (2 + e)`, which is at most a third.
#[inline(always)]
fn logarithm_1p(e: f64) -> f64 {
    let s = e / (2.0 + e);
    let square = s * s;
    let mut sum = 1.0 / 31.0;
    for odd in [29.0, 27.0, 25.0, 23.0, 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum * square + 1.0 / odd;
    }
    2.0 * s * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_equal_the_standard_functions() {
        let mut worst = 0.0f64;
        let grid = (-80_000..=80_000).map(|i| f64::from(i) / 997.0);
        for x in grid.chain([0.0, -0.0, 1e-300, -1e-300, 700.0, -700.0]) {
            let (probability, entropy) = probability_and_entropy(x);
            let sigmoid = if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) };
            let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
            for (found, expected) in [(probability, sigmoid), (entropy, softplus)] {
                worst = worst.max((found - expected).abs() / expected);
            }
        }
        assert!(worst < 2e-15, "{worst:e}");
    }

    #[test]
    fn the_ends_are_finite_and_nan_stays() {
        let (probability, entropy) = probability_and_entropy(f64::NEG_INFINITY);
        assert!((0.0..1e-300).contains(&probability) && (0.0..1e-300).contains(&entropy));
        let (probability, entropy) = probability_and_entropy(f64::INFINITY);
        assert_eq!((probability, entropy), (1.0, f64::INFINITY));
        let (probability, entropy) = probability_and_entropy(f64::NAN);
        assert!(probability.is_nan() && entropy.is_nan());
    }
}
