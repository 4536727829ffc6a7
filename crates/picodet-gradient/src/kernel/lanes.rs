//! Vectors of f32 of one instruction set, so that every kernel is written once.
//!
//! Kernels are generic over [`Lanes`] and inlined into functions that enable the instruction set (see `dispatch!`).
#![allow(unsafe_code)]

/// The instruction sets that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512 F, VL, BW and DQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Plain Rust for every target; the compiler makes vector instructions of it where it can.
    Portable,
}

impl Isa {
    /// The sets that this processor has, fastest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            if avx2 && avx512 {
                sets.push(Self::Avx512);
            }
            if avx2 {
                sets.push(Self::Avx2);
            }
        }
        sets.push(Self::Portable);
        sets
    }

    /// Whether there are 32 registers of 16 numbers.
    pub(crate) fn is_wide(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Self::Avx512;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}

/// A vector of [`Lanes::LEN`] numbers.
///
/// # Safety
/// Whoever calls the methods of a type runs on a processor that has its instruction set; pointers are valid for as
/// many numbers as the method moves, `count` of them at most [`Lanes::LEN`].
pub(crate) unsafe trait Lanes: Copy {
    /// Numbers in a vector.
    const LEN: usize;
    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self;
    /// [`Lanes::LEN`] numbers, aligned or not.
    unsafe fn load(from: *const f32) -> Self;
    /// The first `count` numbers, zeros beyond them; memory beyond them is not touched.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;
    /// All lanes.
    unsafe fn store(self, to: *mut f32);
    /// The first `count` lanes; memory beyond them is not touched.
    unsafe fn store_part(self, to: *mut f32, count: usize);
    /// Sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Product.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self · factor + addend`.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger number; `other` where either is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller number; `other` where either is NaN.
    unsafe fn min(self, other: Self) -> Self;
    /// `yes` in the lanes where `self > limit`, else `no`.
    unsafe fn where_above(self, limit: Self, yes: Self, no: Self) -> Self;
    /// Each lane through a function of one number.
    unsafe fn each(self, function: impl Fn(f32) -> f32) -> Self;
}

/// How many numbers a step over the channels moves: a whole vector or the rest of a row.
pub(crate) trait Moves: Copy {
    /// # Safety
    /// As [`Lanes`].
    unsafe fn load<V: Lanes>(self, from: *const f32) -> V;
    /// # Safety
    /// As [`Lanes`].
    unsafe fn store<V: Lanes>(self, value: V, to: *mut f32);
}

/// A whole vector.
#[derive(Clone, Copy)]
pub(crate) struct Whole;

/// The first numbers of a vector.
#[derive(Clone, Copy)]
pub(crate) struct Part(pub(crate) usize);

impl Moves for Whole {
    #[inline(always)]
    unsafe fn load<V: Lanes>(self, from: *const f32) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Lanes>(self, value: V, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { value.store(to) }
    }
}

impl Moves for Part {
    #[inline(always)]
    unsafe fn load<V: Lanes>(self, from: *const f32) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load_part(from, self.0) }
    }
    #[inline(always)]
    unsafe fn store<V: Lanes>(self, value: V, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { value.store_part(to, self.0) }
    }
}

/// Numbers of a [`Portable`] vector. On x86-64, plain Rust has 16 registers of four numbers, which kernels fill with one
/// vector each; with two each they spill and take twice the code.
const PORTABLE: usize = if cfg!(target_arch = "x86_64") { 4 } else { 8 };

/// Some numbers in plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; PORTABLE]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY: no instruction set is assumed; pointers are used for exactly the numbers that the trait promises.
unsafe impl Lanes for Portable {
    const LEN: usize = PORTABLE;
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; PORTABLE])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; an array of f32 is as aligned as an f32.
        Self(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; PORTABLE];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller's promise.
            *lane = unsafe { *from.add(i) };
        }
        Self(lanes)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *to.cast() = self.0 }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = lane }
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Not `f32::mul_add`: without the instruction it is a slow function call.
        self.zip(factor, |a, b| a * b).zip(addend, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn where_above(self, limit: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] > limit.0[i] { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    unsafe fn each(self, function: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(function))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Lanes;

    /// Sixteen numbers.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    #[inline(always)]
    fn mask16(count: usize) -> __mmask16 {
        (0xffff_u32 >> (16 - count.min(16) as u32)) as __mmask16
    }

    // SAFETY: every method is one AVX-512F instruction or two; the trait's promise gives instruction set and memory,
    // and masked moves do not touch what the mask leaves out.
    #[allow(clippy::undocumented_unsafe_blocks)]
    unsafe impl Lanes for Avx512 {
        const LEN: usize = 16;
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, count: usize) -> Self {
            Self(unsafe { _mm512_maskz_loadu_ps(mask16(count), from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, count: usize) {
            unsafe { _mm512_mask_storeu_ps(to, mask16(count), self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            Self(unsafe { _mm512_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn min(self, other: Self) -> Self {
            Self(unsafe { _mm512_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn where_above(self, limit: Self, yes: Self, no: Self) -> Self {
            Self(unsafe {
                _mm512_mask_mov_ps(no.0, _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, limit.0), yes.0)
            })
        }
        #[inline(always)]
        unsafe fn each(self, function: impl Fn(f32) -> f32) -> Self {
            let mut lanes = [0.0f32; 16];
            unsafe {
                _mm512_storeu_ps(lanes.as_mut_ptr(), self.0);
                lanes = lanes.map(function);
                Self(_mm512_loadu_ps(lanes.as_ptr()))
            }
        }
    }

    /// Eight numbers, with fused multiply-add.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256);

    #[inline(always)]
    unsafe fn mask8(count: usize) -> __m256i {
        static ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: the offset is 0 to 8, so that eight of the sixteen numbers follow it.
        unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - count.min(8)).cast()) }
    }

    // SAFETY: as for AVX-512; AVX2 and FMA.
    #[allow(clippy::undocumented_unsafe_blocks)]
    unsafe impl Lanes for Avx2 {
        const LEN: usize = 8;
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self(unsafe { _mm256_set1_ps(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { _mm256_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, count: usize) -> Self {
            Self(unsafe { _mm256_maskload_ps(from, mask8(count)) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, count: usize) {
            unsafe { _mm256_maskstore_ps(to, mask8(count), self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(unsafe { _mm256_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            Self(unsafe { _mm256_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn min(self, other: Self) -> Self {
            Self(unsafe { _mm256_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn where_above(self, limit: Self, yes: Self, no: Self) -> Self {
            Self(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, limit.0)) })
        }
        #[inline(always)]
        unsafe fn each(self, function: impl Fn(f32) -> f32) -> Self {
            let mut lanes = [0.0f32; 8];
            unsafe {
                _mm256_storeu_ps(lanes.as_mut_ptr(), self.0);
                lanes = lanes.map(function);
                Self(_mm256_loadu_ps(lanes.as_ptr()))
            }
        }
    }
}
