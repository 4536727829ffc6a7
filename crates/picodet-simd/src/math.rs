//! Transcendental functions of vectors.

use crate::vector::Vector;

/// Returns `e^x` per lane, to about two units in the last place; `x` is clamped to ±87 so that the result is
/// a normal number. NaN stays NaN.
#[inline(always)]
pub fn exp<V: Vector>(x: V) -> V {
    exp_of::<V, true>(x)
}

/// Returns `factor · x + addend`; if not `FUSED`, the product is rounded on every instruction set.
#[inline(always)]
fn multiply_add<V: Vector, const FUSED: bool>(x: V, factor: V, addend: V) -> V {
    if FUSED { x.mul_add(factor, addend) } else { x * factor + addend }
}

/// As [`exp`]; if not `FUSED`, all products are rounded.
#[inline(always)]
fn exp_of<V: Vector, const FUSED: bool>(x: V) -> V {
    // `max` and `min` return their second operand where either is NaN.
    let x = x.splat(87.0).min(x.splat(-87.0).max(x));
    // Adding and subtracting 1.5 · 2^23 rounds to an integer.
    let magic = x.splat(12_582_912.0);
    let whole = multiply_add::<V, FUSED>(x, x.splat(std::f32::consts::LOG2_E), magic) - magic;
    // ln 2 in two parts, the first short enough for its product with `whole` to be exact.
    let rest = multiply_add::<V, FUSED>(whole, x.splat(-0.693_359_4), x);
    let rest = multiply_add::<V, FUSED>(whole, x.splat(2.121_944_4e-4), rest);
    let mut sum = x.splat(1.0 / 720.0);
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = multiply_add::<V, FUSED>(sum, rest, x.splat(coefficient));
    }
    sum * whole.power_of_two()
}

/// Returns `1 / (1 + e^-x)` per lane. NaN stays NaN.
#[inline(always)]
pub fn sigmoid<V: Vector>(x: V) -> V {
    let one = x.splat(1.0);
    one / (one + exp(x.splat(0.0) - x))
}

/// Returns [`sigmoid`] with all products rounded: the same bits on every instruction set, those of [`crate::Portable`].
#[inline(always)]
pub fn sigmoid_unfused<V: Vector>(x: V) -> V {
    let one = x.splat(1.0);
    one / (one + exp_of::<V, false>(x.splat(0.0) - x))
}
