//! Runs a kernel compiled for the instruction set of this processor.

use crate::Portable;
use crate::isa::{Bf16Isa, Int8Isa, Int8Kind, Isa, IsaKind};
use crate::simd::{Simd, SimdBf16, SimdInt8};

/// A computation written once for all instruction sets.
///
/// Mark `run` and everything it calls that uses vectors `#[inline(always)]`: instructions are available only
/// in the function that [`dispatch`] compiles for the instruction set, and in the code inlined into it.
pub trait Kernel {
    /// The result.
    type Output;
    /// Computes with the vectors of `s`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// A [`Kernel`] that multiplies bf16 pairs.
pub trait KernelBf16 {
    /// The result.
    type Output;
    /// Computes with the vectors of `s`.
    fn run<S: SimdBf16>(self, s: S) -> Self::Output;
}

/// A [`Kernel`] that multiplies quads of bytes.
pub trait KernelInt8 {
    /// The result.
    type Output;
    /// Computes with the vectors of `s`.
    fn run<S: SimdInt8>(self, s: S) -> Self::Output;
}

/// Calls `$kernel.run($token)` in a function compiled with target features. The caller has detected them.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! with_features {
    ($features:literal, $Trait:ident, $Token:ty, $token:expr, $kernel:expr) => {{
        #[target_feature(enable = $features)]
        fn run<K: $Trait>(token: $Token, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the value that is matched on exists only where detection found these features.
        unsafe { run($token, $kernel) }
    }};
}

/// Runs a kernel with the vectors of `isa`.
#[inline]
pub fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 => with_features!(
            "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma",
            Kernel,
            crate::Avx512,
            crate::x86::Avx512(()),
            kernel
        ),
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx2 => {
            with_features!("avx2,fma", Kernel, crate::Avx2, crate::x86::Avx2(()), kernel)
        }
        #[cfg(target_arch = "aarch64")]
        IsaKind::Neon => kernel.run(crate::neon::Neon(())),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        IsaKind::Simd128 => kernel.run(crate::wasm::Simd128(())),
        _ => kernel.run(Portable),
    }
}

/// Runs a kernel with the bf16 products of `isa`.
#[inline]
pub fn dispatch_bf16<K: KernelBf16>(isa: Bf16Isa, kernel: K) -> K::Output {
    match isa.isa().kind() {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 => with_features!(
            "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma",
            KernelBf16,
            crate::Avx512Bf16,
            crate::x86::Avx512Bf16(()),
            kernel
        ),
        _ => kernel.run(Portable),
    }
}

/// Runs a kernel with the byte products of `isa`.
#[inline]
pub fn dispatch_int8<K: KernelInt8>(isa: Int8Isa, kernel: K) -> K::Output {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Int8Kind::Avx512Vnni => with_features!(
            "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma",
            KernelInt8,
            crate::Avx512Vnni,
            crate::x86::Avx512Vnni(()),
            kernel
        ),
        #[cfg(target_arch = "x86_64")]
        Int8Kind::Avx512 => with_features!(
            "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma",
            KernelInt8,
            crate::Avx512,
            crate::x86::Avx512(()),
            kernel
        ),
        #[cfg(target_arch = "x86_64")]
        Int8Kind::AvxVnni => {
            with_features!("avxvnni,avx2,fma", KernelInt8, crate::AvxVnni, crate::x86::AvxVnni(()), kernel)
        }
        #[cfg(target_arch = "x86_64")]
        Int8Kind::Avx2 => {
            with_features!("avx2,fma", KernelInt8, crate::Avx2, crate::x86::Avx2(()), kernel)
        }
        #[cfg(target_arch = "aarch64")]
        Int8Kind::NeonDotProd => {
            with_features!("dotprod", KernelInt8, crate::NeonDotProd, crate::neon::NeonDotProd(()), kernel)
        }
        #[cfg(target_arch = "aarch64")]
        Int8Kind::Neon => kernel.run(crate::neon::Neon(())),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Int8Kind::Simd128 => kernel.run(crate::wasm::Simd128(())),
        _ => kernel.run(Portable),
    }
}
