//! Runs a kernel of f16 compiled for the instruction set of this processor.

use crate::f16::{F16Isa, SimdF16};
#[cfg(any(has_f16, test))]
use crate::simd::{Outlined, Simd};

/// A [`crate::Kernel`] that computes in f16.
pub trait KernelF16 {
    /// The result.
    type Output;
    /// Computes with the vectors of `s`.
    fn run<S: SimdF16>(self, s: S) -> Self::Output;
}

/// A kernel and its token.
#[cfg(any(has_f16, test))]
pub(crate) struct Run<S, K>(pub(crate) S, pub(crate) K);

#[cfg(any(has_f16, test))]
impl<S: SimdF16, K: KernelF16> Outlined for Run<S, K> {
    type Output = K::Output;
    #[inline(always)]
    fn run(self) -> K::Output {
        self.1.run(self.0)
    }
}

/// Runs a kernel with the f16 arithmetic of `isa`.
#[inline]
pub fn dispatch_f16<K: KernelF16>(isa: F16Isa, kernel: K) -> K::Output {
    #[cfg(not(any(has_f16, test)))]
    {
        let _ = kernel;
        match isa.absent {}
    }
    #[cfg(any(has_f16, test))]
    match isa.isa().kind() {
        #[cfg(target_arch = "aarch64")]
        crate::isa::IsaKind::Neon => {
            let token = crate::neon_f16::NeonF16(());
            token.outlined(Run(token, kernel))
        }
        _ => {
            let token = crate::portable::Portable;
            token.outlined(Run(token, kernel))
        }
    }
}
