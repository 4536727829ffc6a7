//! Vectors of one instruction set: detection, safe arithmetic, dot products, dispatch.
//!
//! # Guide
//!
//! An instruction set is a value. [`Isa::available`] detects the sets of this processor; [`dispatch`]
//! compiles a [`Kernel`] for each of them, chooses one at run time and passes the kernel a *token*
//! ([`Simd`]): a zero-sized value that exists only where the processor has the instructions. Vectors come
//! from a token, so that a vector is itself proof of its instruction set and arithmetic on it is safe.
//! `unsafe` is left to loads and stores through raw pointers; slices have safe ones.
//!
//! ```
//! use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch};
//!
//! /// Computes `y += factor · x`.
//! struct Axpy<'a> {
//!     factor: f32,
//!     x: &'a [f32],
//!     y: &'a mut [f32],
//! }
//!
//! impl Kernel for Axpy<'_> {
//!     type Output = ();
//!     #[inline(always)]
//!     fn run<S: Simd>(self, s: S) {
//!         let factor = s.splat(self.factor);
//!         for (x, y) in self.x.chunks(S::LEN).zip(self.y.chunks_mut(S::LEN)) {
//!             s.load_slice(x).mul_add(factor, s.load_slice(y)).store_slice(y);
//!         }
//!     }
//! }
//!
//! let mut y = [1.0; 5];
//! dispatch(Isa::best(), Axpy { factor: 2.0, x: &[0.0, 1.0, 2.0, 3.0, 4.0], y: &mut y });
//! assert_eq!(y, [1.0, 3.0, 5.0, 7.0, 9.0]);
//! ```
//!
//! Rules for kernels:
//!
//! * Mark `run` and every function that uses vectors `#[inline(always)]`. The instructions are enabled only
//!   in the function that [`dispatch`] compiles for the set; code that is not inlined into it calls each
//!   instruction as a function.
//! * Keep vectors out of closures that are passed to functions that are not inlined (`Iterator::for_each` and
//!   the like).
//! * Keep sums in arrays of constant size, indexed by constants after unrolling; an index known only at run
//!   time moves the array to memory. [`Simd::REGISTERS`] is the number of vectors that fit.
//! * Branch on [`Simd::KIND`], [`Simd::LEN`] and other constants freely; the compiler removes the other
//!   branch.
//!
//! Products of bf16 pairs ([`SimdBf16`], [`dispatch_bf16`]), of f16 ([`SimdF16`], [`dispatch_f16`]) and of bytes ([`SimdInt8`], [`dispatch_int8`])
//! have their own tokens, because not every processor with the vectors has those products. [`Dot`] is
//! their common interface for matrix products: f32, bf16 and u8 · s8 differ in the number of products per
//! lane only.
#![allow(unsafe_code)]

mod bf16;
mod dispatch;
mod dispatch_f16;
mod dot;
mod f16;
mod isa;
mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_f16;
#[cfg(target_arch = "aarch64")]
mod neon_int8;
#[cfg(target_arch = "aarch64")]
mod neon_matrix;
#[cfg(target_arch = "aarch64")]
mod neon_tile;
mod portable;
#[cfg(any(has_f16, test))]
mod portable_f16;
mod simd;
#[cfg(test)]
mod tests;
mod vector;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use bf16::{from_bf16, round_bf16, to_bf16};
pub use dispatch::{Kernel, KernelBf16, KernelInt8, dispatch, dispatch_bf16, dispatch_int8};
pub use dispatch_f16::{KernelF16, dispatch_f16};
pub use dot::{Dot, DotBf16, DotF32, DotInt8, DotInt16, SimdInt8, SimdInt16};
pub use f16::{DotF16, F16Isa, HalfVector, SimdF16, from_f16, to_f16};
pub use isa::{Bf16Isa, Int8Isa, Int8Kind, Isa, IsaKind};
pub use math::{exp, sigmoid, sigmoid_unfused};
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
#[cfg(target_arch = "aarch64")]
pub use neon_f16::{F16x8, NeonF16};
#[cfg(target_arch = "aarch64")]
pub use neon_int8::NeonDotProd;
#[cfg(target_arch = "aarch64")]
pub use neon_matrix::NeonMatrix;
pub use portable::Portable;
pub use simd::{Outlined, Simd, SimdBf16};
pub use vector::{IntVector, Vector};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm::Simd128;
#[cfg(target_arch = "x86_64")]
pub use x86::{
    Avx2, Avx512, Avx512Bf16, Avx512Vbmi, Avx512Vnni, AvxVnni, F32x8, F32x16, I32x8, I32x16, KernelVbmi,
    Table256,
};

/// Prefetches the cache line at `address`, which need not be valid, into the first-level cache.
#[inline(always)]
pub fn prefetch<T>(address: *const T) {
    // SAFETY: SSE is part of every x86-64 processor, and a prefetch has no effect but on caches, whatever the
    // address.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}
