//! Activations of whole vectors (SPEC §0).
#![allow(unsafe_code)]

use picodet_graph::Activation;

use super::lanes::Lanes;

/// `act(x)`, or `x` where there is no activation. NaN stays NaN.
///
/// # Safety
/// The processor has the instruction set of `V`.
#[inline(always)]
pub(crate) unsafe fn activate<V: Lanes>(x: V, act: Option<Activation>) -> V {
    // SAFETY: arithmetic only. `max` and `min` return their second operand where either is NaN, so x stands second.
    unsafe {
        match act {
            None => x,
            Some(Activation::HardSwish) => {
                let gate = x.mul_add(V::splat(1.0 / 6.0), V::splat(0.5));
                x.mul(V::splat(1.0).min(V::splat(0.0).max(gate)))
            }
            Some(Activation::Relu) => V::splat(0.0).max(x),
            Some(Activation::Relu6) => V::splat(6.0).min(V::splat(0.0).max(x)),
            Some(Activation::LeakyRelu { slope }) => {
                V::splat(0.0).min(x).mul_add(V::splat(slope), V::splat(0.0).max(x))
            }
            Some(Activation::HardSigmoid { slope }) => {
                let line = x.mul_add(V::splat(slope), V::splat(0.5));
                V::splat(1.0).min(V::splat(0.0).max(line))
            }
            Some(Activation::Sigmoid) => {
                let one = V::splat(1.0);
                one.div(one.add(exp(V::splat(0.0).sub(x))))
            }
        }
    }
}

/// `e^x`, to about two units in the last place; `x` is clipped to ±87 so that the result is a normal number.
///
/// # Safety
/// The processor has the instruction set of `V`.
#[inline(always)]
unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: arithmetic only.
    unsafe {
        let x = V::splat(87.0).min(V::splat(-87.0).max(x));
        // Adding and subtracting 1.5 · 2^23 rounds to a whole number.
        let magic = V::splat(12_582_912.0);
        let whole = x.mul_add(V::splat(std::f32::consts::LOG2_E), magic).sub(magic);
        // ln 2 in two parts, the first short enough for its product with `whole` to be exact.
        let rest = whole.mul_add(V::splat(-0.693_359_4), x);
        let rest = whole.mul_add(V::splat(2.121_944_4e-4), rest);
        let mut sum = V::splat(1.0 / 720.0);
        for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            sum = sum.mul_add(rest, V::splat(coefficient));
        }
        sum.mul(whole.power_of_two())
    }
}
