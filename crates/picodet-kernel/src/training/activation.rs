//! Derivatives of activations on vectors (SPEC §0).

use picodet_graph::Activation;
use picodet_simd::Vector;

use crate::activation::activate;

/// A function of one variable with its derivative.
pub(super) trait Function: Copy {
    /// The function.
    fn value<V: Vector>(self, z: V) -> V;
    /// Its derivative at `z`.
    fn slope<V: Vector>(self, z: V) -> V;
}

/// No activation.
#[derive(Clone, Copy)]
pub(super) struct Identity;
/// Hard-swish; slope 0 up to -3, 1 from 3 on.
#[derive(Clone, Copy)]
pub(super) struct HardSwish;
/// ReLU; slope 0 at 0.
#[derive(Clone, Copy)]
pub(super) struct Relu;
/// ReLU6; slope 0 at both ends.
#[derive(Clone, Copy)]
pub(super) struct Relu6;
/// Leaky ReLU with its slope below 0.
#[derive(Clone, Copy)]
pub(super) struct LeakyRelu(pub(super) f32);
/// Hard sigmoid with its slope.
#[derive(Clone, Copy)]
pub(super) struct HardSigmoid(pub(super) f32);
/// Sigmoid.
#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Function for Identity {
    #[inline(always)]
    fn value<V: Vector>(self, z: V) -> V {
        z
    }
    #[inline(always)]
    fn slope<V: Vector>(self, z: V) -> V {
        z.splat(1.0)
    }
}

impl Function for HardSwish {
    #[inline(always)]
    fn value<V: Vector>(self, z: V) -> V {
        activate(z, Some(Activation::HardSwish))
    }
    #[inline(always)]
    fn slope<V: Vector>(self, z: V) -> V {
        let three = z.splat(3.0);
        let inside = z.mul_add(z.splat(1.0 / 3.0), z.splat(0.5));
        let upper = three.select_greater(z, inside, z.splat(1.0));
        z.select_greater(z.splat(-3.0), upper, z.splat(0.0))
    }
}

impl Function for Relu {
    #[inline(always)]
    fn value<V: Vector>(self, z: V) -> V {
        activate(z, Some(Activation::Relu))
    }
    #[inline(always)]
    fn slope<V: Vector>(self, z: V) -> V {
        z.select_greater(z.splat(0.0), z.splat(1.0), z.splat(0.0))
    }
}

impl Function for Relu6 {
    #[inline(always)]
    fn value<V: Vector>(self, z: V) -> V {
        activate(z, Some(Activation::Relu6))
    }
    #[inline(always)]
    fn slope<V: Vector>(self, z: V) -> V {
        let below = z.splat(6.0).select_greater(z, z.splat(1.0), z.splat(0.0));
        z.select_greater(z.splat(0.0), below, z.splat(0.0))
    }
}

impl Function for LeakyRelu {
    #[inline(always)]
    fn value<V: Vector>(self, z: V) -> V {
        activate(z, Some(Activation::LeakyRelu { slope: self.0 }))
    }
    #[inline(always)]
    fn slope<V: Vector>(self, z: V) -> V {
        z.select_greater(z.splat(0.0), z.splat(1.0), z.splat(self.0))
    }
}

impl Function for HardSigmoid {
    #[inline(always)]
    fn value<V: Vector>(self, z: V) -> V {
        activate(z, Some(Activation::HardSigmoid { slope: self.0 }))
    }
    #[inline(always)]
    fn slope<V: Vector>(self, z: V) -> V {
        let line = z.mul_add(z.splat(self.0), z.splat(0.5));
        let below = z.splat(1.0).select_greater(line, z.splat(self.0), z.splat(0.0));
        line.select_greater(z.splat(0.0), below, z.splat(0.0))
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn value<V: Vector>(self, z: V) -> V {
        activate(z, Some(Activation::Sigmoid))
    }
    #[inline(always)]
    fn slope<V: Vector>(self, z: V) -> V {
        let value = self.value(z);
        value * (z.splat(1.0) - value)
    }
}

/// Evaluates the expression with `$f` bound to the [`Function`] of an optional [`picodet_graph::Activation`].
macro_rules! with_function {
    ($activation:expr, |$f:ident| $body:expr) => {{
        use picodet_graph::Activation;
        use $crate::training::activation as functions;
        match $activation {
            None => {
                let $f = functions::Identity;
                $body
            }
            Some(Activation::HardSwish) => {
                let $f = functions::HardSwish;
                $body
            }
            Some(Activation::Relu) => {
                let $f = functions::Relu;
                $body
            }
            Some(Activation::Relu6) => {
                let $f = functions::Relu6;
                $body
            }
            Some(Activation::LeakyRelu { slope }) => {
                let $f = functions::LeakyRelu(slope);
                $body
            }
            Some(Activation::HardSigmoid { slope }) => {
                let $f = functions::HardSigmoid(slope);
                $body
            }
            Some(Activation::Sigmoid) => {
                let $f = functions::Sigmoid;
                $body
            }
        }
    }};
}
pub(super) use with_function;
