//! Runs a kernel compiled for the instruction set of this processor.

#[cfg(has_portable)]
use crate::Portable;
use crate::dot::SimdInt8;
use crate::isa::{Bf16Isa, Int8Isa, Isa};
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
use crate::isa::{Int8Kind, IsaKind};
use crate::simd::{Outlined, Simd, SimdBf16};

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
    /// Whether it multiplies matrices, and takes their operands in pairs ([`SimdInt8::PAIRS`]).
    const MATRICES: bool = false;
    /// Computes with the vectors of `s`.
    fn run<S: SimdInt8>(self, s: S) -> Self::Output;
}

/// Runs `$kernel` with `$token` in a separate function. The caller has detected the token's features.
macro_rules! run {
    ($Trait:ident, $Simd:ident, $token:expr, $kernel:expr) => {{
        struct Run<S, K>(S, K);
        impl<S: $Simd, K: $Trait> Outlined for Run<S, K> {
            type Output = K::Output;
            #[inline(always)]
            fn run(self) -> K::Output {
                self.1.run(self.0)
            }
        }
        $token.outlined(Run($token, $kernel))
    }};
}

/// Runs a kernel with the vectors of `isa`.
#[inline]
pub fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.kind() {
        #[cfg(has_avx512)]
        IsaKind::Avx512 => run!(Kernel, Simd, crate::x86::Avx512(()), kernel),
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx2 => run!(Kernel, Simd, crate::x86::Avx2(()), kernel),
        #[cfg(target_arch = "aarch64")]
        IsaKind::Neon => run!(Kernel, Simd, crate::neon::Neon(()), kernel),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        IsaKind::Simd128 => run!(Kernel, Simd, crate::wasm::Simd128(()), kernel),
        #[cfg(picodet_simd128_only)]
        _ => run!(Kernel, Simd, crate::wasm::Simd128(()), kernel),
        // All processors of Android's 64-bit ARM have NEON.
        #[cfg(all(target_arch = "aarch64", not(has_portable)))]
        _ => run!(Kernel, Simd, crate::neon::Neon(()), kernel),
        #[cfg(has_portable)]
        _ => run!(Kernel, Simd, Portable, kernel),
    }
}

/// Runs a kernel with the bf16 products of `isa`.
#[inline]
#[cfg(not(has_bf16))]
pub fn dispatch_bf16<K: KernelBf16>(isa: Bf16Isa, _: K) -> K::Output {
    match isa.absent {}
}

/// Runs a kernel with the bf16 products of `isa`.
#[inline]
#[cfg(has_bf16)]
pub fn dispatch_bf16<K: KernelBf16>(isa: Bf16Isa, kernel: K) -> K::Output {
    match isa.isa().kind() {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512 => run!(KernelBf16, SimdBf16, crate::x86::Avx512Bf16(()), kernel),
        _ => run!(KernelBf16, SimdBf16, Portable, kernel),
    }
}

/// Runs a kernel with the byte products of `isa`.
#[inline]
pub fn dispatch_int8<K: KernelInt8>(isa: Int8Isa, kernel: K) -> K::Output {
    match isa.kind() {
        #[cfg(has_avx512)]
        Int8Kind::Avx512Vnni => run!(KernelInt8, SimdInt8, crate::x86::Avx512Vnni(()), kernel),
        #[cfg(has_avx512)]
        Int8Kind::AvxVnni => run!(KernelInt8, SimdInt8, crate::x86::AvxVnni(()), kernel),
        #[cfg(target_arch = "x86_64")]
        Int8Kind::Avx2 => run!(KernelInt8, SimdInt8, crate::x86::Avx2(()), kernel),
        #[cfg(target_arch = "aarch64")]
        Int8Kind::NeonMatrix if K::MATRICES => {
            run!(KernelInt8, SimdInt8, crate::neon_matrix::NeonMatrix(()), kernel)
        }
        #[cfg(target_arch = "aarch64")]
        Int8Kind::NeonDotProd | Int8Kind::NeonMatrix => {
            run!(KernelInt8, SimdInt8, crate::neon_int8::NeonDotProd(()), kernel)
        }
        #[cfg(target_arch = "aarch64")]
        Int8Kind::Neon => run!(KernelInt8, SimdInt8, crate::neon::Neon(()), kernel),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Int8Kind::Simd128 => run!(KernelInt8, SimdInt8, crate::wasm::Simd128(()), kernel),
        #[cfg(picodet_simd128_only)]
        _ => run!(KernelInt8, SimdInt8, crate::wasm::Simd128(()), kernel),
        #[cfg(all(target_arch = "aarch64", not(has_portable)))]
        _ => run!(KernelInt8, SimdInt8, crate::neon::Neon(()), kernel),
        #[cfg(has_portable)]
        _ => run!(KernelInt8, SimdInt8, Portable, kernel),
    }
}
