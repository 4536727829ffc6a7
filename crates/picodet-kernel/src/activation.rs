//! Activations of whole vectors (SPEC §0).

use picodet_graph::Activation;
use picodet_simd::{HalfVector, SimdF16, Vector, sigmoid};

/// Returns `act(x)`, or `x` if there is no activation. NaN stays NaN.
#[inline(always)]
pub fn activate<V: Vector>(x: V, act: Option<Activation>) -> V {
    // `max` and `min` return their second operand where either is NaN, so x is the second.
    let zero = x.splat(0.0);
    match act {
        None => x,
        Some(Activation::HardSwish) => {
            let gate = x.mul_add(x.splat(1.0 / 6.0), x.splat(0.5));
            // Where the gate is NaN, x is as well.
            x * gate.clamp_number(zero, x.splat(1.0))
        }
        Some(Activation::Relu) => zero.max(x),
        Some(Activation::Relu6) => x.splat(6.0).min(zero.max(x)),
        Some(Activation::LeakyRelu { slope }) => zero.min(x).mul_add(x.splat(slope), zero.max(x)),
        Some(Activation::HardSigmoid { slope }) => {
            let line = x.mul_add(x.splat(slope), x.splat(0.5));
            x.splat(1.0).min(zero.max(line))
        }
        Some(Activation::Sigmoid) => sigmoid(x),
    }
}

/// Returns `act(x)` of f16, or `x` if there is no activation. NaN stays NaN.
#[inline(always)]
pub fn activate_f16<S: SimdF16>(s: S, x: S::F16, act: Option<Activation>) -> S::F16 {
    match act {
        None => x,
        Some(Activation::HardSwish) => {
            let gate = x.mul_add(x.splat(1.0 / 6.0), x.splat(0.5));
            x * x.splat(1.0).minimum(x.splat(0.0).maximum(gate))
        }
        act => {
            let [low, high] = s.widen(x);
            s.narrow([activate(low, act), activate(high, act)])
        }
    }
}
