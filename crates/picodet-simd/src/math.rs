//! Transcendental functions of vectors.

use crate::vector::Vector;

/// Returns `e^x` per lane, to about two units in the last place; `x` is clamped to ±87 so that the result is
/// a normal number. NaN stays NaN.
#[inline(always)]
pub fn exp<V: Vector>(x: V) -> V {
    // `max` and `min` return their second operand where either is NaN.
    let x = x.splat(87.0).min(x.splat(-87.0).max(x));
    // Adding and subtracting 1.5 · 2^23 rounds to an integer.
    let magic = x.splat(12_582_912.0);
    let whole = x.mul_add(x.splat(std::f32::consts::LOG2_E), magic) - magic;
    // ln 2 in two parts, the first short enough for its product with `whole` to be exact.
    let rest = whole.mul_add(x.splat(-0.693_359_4), x);
    let rest = whole.mul_add(x.splat(2.121_944_4e-4), rest);
    let mut sum = x.splat(1.0 / 720.0);
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum.mul_add(rest, x.splat(coefficient));
    }
    sum * whole.power_of_two()
}

/// Returns `1 / (1 + e^-x)` per lane. NaN stays NaN.
#[inline(always)]
pub fn sigmoid<V: Vector>(x: V) -> V {
    let one = x.splat(1.0);
    one / (one + exp(x.splat(0.0) - x))
}
