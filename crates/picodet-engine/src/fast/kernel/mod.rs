//! The kernels: each written once over [`lanes::Lanes`] and compiled for every instruction set.
//!
//! A kernel takes its arguments in one struct of raw pointers. What the pointers must be valid for is said there;
//! `run.rs` fills them from a schedule whose extents the planner has checked.

pub(crate) mod activate;
pub(crate) mod depthwise;
pub(crate) mod gemm;
pub(crate) mod gemm_bf16;
pub(crate) mod lanes;
pub(crate) mod peak;
pub(crate) mod pixelwise;
pub(crate) mod round;
pub(crate) mod stem;
pub(crate) mod taps;
#[cfg(test)]
mod tests;
pub(crate) mod transpose;

/// Channels that lie side by side in the source and in the destination of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// First column in the source.
    pub(crate) source: usize,
    /// First column in the second source, where there is one.
    pub(crate) other: usize,
    /// First column in the destination.
    pub(crate) destination: usize,
    /// Number of columns.
    pub(crate) len: usize,
}

/// The first letters of the processor's vendor, and its signature.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[allow(unsafe_code, unused_unsafe)]
pub(crate) fn cpuid() -> [u32; 2] {
    use std::arch::x86_64::__cpuid;
    // SAFETY: every x86-64 processor has the instruction and these two leaves.
    unsafe { [__cpuid(0).ebx, __cpuid(1).eax] }
}

/// Asks for the cache line at `address`, which need not be valid.
#[inline(always)]
pub(crate) fn prefetch(address: *const f32) {
    // SAFETY: SSE is part of every x86-64 processor, and a prefetch of any address does nothing but fill a cache.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[allow(unsafe_code)]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// Defines `$name(isa, args)`, which runs `$generic::<V>(args)` compiled for `isa`.
macro_rules! dispatch {
    ($(#[$doc:meta])* $name:ident, $generic:ident, $args:ty) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// `isa` is one of [`crate::fast::Isa::available`], and the pointers in `args` are valid for what the fields say.
        pub(crate) unsafe fn $name(isa: crate::fast::Isa, args: &$args) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            fn avx512(args: &$args) {
                // SAFETY: the caller's promise, handed on.
                unsafe { $generic::<crate::fast::kernel::lanes::Avx512>(args) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2(args: &$args) {
                // SAFETY: the caller's promise, handed on.
                unsafe { $generic::<crate::fast::kernel::lanes::Avx2>(args) }
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the instruction set, the caller says.
                crate::fast::Isa::Avx512 => unsafe { avx512(args) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                crate::fast::Isa::Avx2 => unsafe { avx2(args) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: every aarch64 processor has NEON.
                crate::fast::Isa::Neon => unsafe { $generic::<crate::fast::kernel::lanes::Neon>(args) },
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                // SAFETY: the whole module is compiled for the instructions.
                crate::fast::Isa::Simd128 => unsafe { $generic::<crate::fast::kernel::lanes::Simd128>(args) },
                // SAFETY: plain Rust; the pointers are the caller's promise.
                _ => unsafe { $generic::<crate::fast::kernel::lanes::Portable>(args) },
            }
        }
    };
}
pub(crate) use dispatch;

/// As [`dispatch!`], for kernels over [`lanes::pairs::Pairs`].
macro_rules! dispatch_pairs {
    ($(#[$doc:meta])* $name:ident, $generic:ident, $args:ty) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// `isa` is one for which [`crate::fast::Isa::has_bf16`] holds, and the pointers in `args` are valid for what the
        /// fields say.
        pub(crate) unsafe fn $name(isa: crate::fast::Isa, args: &$args) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma")]
            fn avx512(args: &$args) {
                // SAFETY: the caller's promise, handed on.
                unsafe { $generic::<crate::fast::kernel::lanes::Avx512>(args) }
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the instruction set, the caller says.
                crate::fast::Isa::Avx512 => unsafe { avx512(args) },
                // SAFETY: plain Rust; the pointers are the caller's promise.
                _ => unsafe { $generic::<crate::fast::kernel::lanes::Portable>(args) },
            }
        }
    };
}
pub(crate) use dispatch_pairs;
