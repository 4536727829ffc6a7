//! Activations and their slopes on vectors (SPEC §0).
#![allow(unsafe_code)]

use picodet_graph::Activation;

use super::lanes::Lanes;

/// A function of one number with its derivative.
///
/// # Safety
/// As [`Lanes`].
pub(crate) trait Function: Copy {
    /// The function.
    unsafe fn value<V: Lanes>(self, z: V) -> V;
    /// Its derivative at `z`.
    unsafe fn slope<V: Lanes>(self, z: V) -> V;
}

/// No activation.
#[derive(Clone, Copy)]
pub(crate) struct Identity;
/// Hard-swish; slope 0 at -3 and below, 1 at 3 and above.
#[derive(Clone, Copy)]
pub(crate) struct HardSwish;
/// ReLU, slope 0 at 0.
#[derive(Clone, Copy)]
pub(crate) struct Relu;
/// ReLU6, slope 0 at both ends.
#[derive(Clone, Copy)]
pub(crate) struct Relu6;
/// Leaky ReLU.
#[derive(Clone, Copy)]
pub(crate) struct LeakyRelu(pub(crate) f32);
/// Hard sigmoid.
#[derive(Clone, Copy)]
pub(crate) struct HardSigmoid(pub(crate) f32);
/// Sigmoid.
#[derive(Clone, Copy)]
pub(crate) struct Sigmoid;

// The bodies below are arithmetic on registers only: their safety is the promise of the trait.
#[allow(clippy::undocumented_unsafe_blocks)]
mod functions {
    use super::*;

    impl Function for Identity {
        #[inline(always)]
        unsafe fn value<V: Lanes>(self, z: V) -> V {
            z
        }
        #[inline(always)]
        unsafe fn slope<V: Lanes>(self, _: V) -> V {
            unsafe { V::splat(1.0) }
        }
    }

    impl Function for HardSwish {
        #[inline(always)]
        unsafe fn value<V: Lanes>(self, z: V) -> V {
            unsafe {
                let gate = z.add(V::splat(3.0)).max(V::splat(0.0)).min(V::splat(6.0));
                z.mul(gate).mul(V::splat(1.0 / 6.0))
            }
        }
        #[inline(always)]
        unsafe fn slope<V: Lanes>(self, z: V) -> V {
            unsafe {
                let three = V::splat(3.0);
                let inside = z.mul_add(V::splat(1.0 / 3.0), V::splat(0.5));
                let upper = three.where_above(z, inside, V::splat(1.0));
                z.where_above(V::splat(-3.0), upper, V::splat(0.0))
            }
        }
    }

    impl Function for Relu {
        #[inline(always)]
        unsafe fn value<V: Lanes>(self, z: V) -> V {
            unsafe { V::splat(0.0).max(z) }
        }
        #[inline(always)]
        unsafe fn slope<V: Lanes>(self, z: V) -> V {
            unsafe { z.where_above(V::splat(0.0), V::splat(1.0), V::splat(0.0)) }
        }
    }

    impl Function for Relu6 {
        #[inline(always)]
        unsafe fn value<V: Lanes>(self, z: V) -> V {
            unsafe { V::splat(6.0).min(V::splat(0.0).max(z)) }
        }
        #[inline(always)]
        unsafe fn slope<V: Lanes>(self, z: V) -> V {
            unsafe {
                let below = V::splat(6.0).where_above(z, V::splat(1.0), V::splat(0.0));
                z.where_above(V::splat(0.0), below, V::splat(0.0))
            }
        }
    }

    impl Function for LeakyRelu {
        #[inline(always)]
        unsafe fn value<V: Lanes>(self, z: V) -> V {
            unsafe { z.where_above(V::splat(0.0), z, z.mul(V::splat(self.0))) }
        }
        #[inline(always)]
        unsafe fn slope<V: Lanes>(self, z: V) -> V {
            unsafe { z.where_above(V::splat(0.0), V::splat(1.0), V::splat(self.0)) }
        }
    }

    impl Function for HardSigmoid {
        #[inline(always)]
        unsafe fn value<V: Lanes>(self, z: V) -> V {
            unsafe {
                let line = z.mul_add(V::splat(self.0), V::splat(0.5));
                V::splat(1.0).min(V::splat(0.0).max(line))
            }
        }
        #[inline(always)]
        unsafe fn slope<V: Lanes>(self, z: V) -> V {
            unsafe {
                let line = z.mul_add(V::splat(self.0), V::splat(0.5));
                let below = V::splat(1.0).where_above(line, V::splat(self.0), V::splat(0.0));
                line.where_above(V::splat(0.0), below, V::splat(0.0))
            }
        }
    }

    impl Function for Sigmoid {
        #[inline(always)]
        unsafe fn value<V: Lanes>(self, z: V) -> V {
            unsafe { z.each(|z| 1.0 / (1.0 + (-z).exp())) }
        }
        #[inline(always)]
        unsafe fn slope<V: Lanes>(self, z: V) -> V {
            unsafe {
                let value = self.value(z);
                value.mul(V::splat(1.0).sub(value))
            }
        }
    }
}

/// Runs the expression with `f` bound to the [`Function`] of an optional [`Activation`].
macro_rules! with_function {
    ($activation:expr, |$f:ident| $body:expr) => {{
        use picodet_graph::Activation;
        use $crate::kernel::activate as functions;
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
pub(crate) use with_function;

/// What stands for an optional activation in the arguments of a kernel.
pub(crate) type MaybeActivation = Option<Activation>;
