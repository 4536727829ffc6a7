//! Vectors of pairs of 16-bit floats (bf16: an f32 without its lower half) and their products, summed in f32.
#![allow(unsafe_code)]

use super::{Lanes, Portable};

/// Lanes that multiply pairs of bf16.
///
/// # Safety
/// As [`Lanes`].
pub(crate) unsafe trait Pairs: Lanes {
    /// A pair a lane.
    type Vector: Copy;
    /// [`Lanes::LEN`] pairs from `from`.
    unsafe fn load_pairs(from: *const u32) -> Self::Vector;
    /// All lanes `pair`, the lower half first.
    unsafe fn splat_pair(pair: u32) -> Self::Vector;
    /// `self` plus both products of each lane.
    unsafe fn add_products(self, left: Self::Vector, right: Self::Vector) -> Self;
    /// [`Lanes::LEN`] numbers, rounded to the nearest, to `to`.
    unsafe fn store_bf16(self, to: *mut u16);
    /// [`Lanes::LEN`] pairs to `to`.
    unsafe fn store_pairs(pairs: Self::Vector, to: *mut u32);
    /// Copies [`Lanes::LEN`] numbers.
    unsafe fn copy_halves(from: *const u16, to: *mut u16);
    /// The first `counts` numbers from `first` and `second`, zeros beyond them, a lane's two in a pair; memory beyond them
    /// is not touched.
    unsafe fn interleave(first: *const u16, second: *const u16, counts: (usize, usize)) -> Self::Vector;
    /// Both numbers of a lane, rounded to the nearest, in a pair.
    unsafe fn round_pairs(first: Self, second: Self) -> Self::Vector;
}

/// The nearest bf16, of two equally near ones the even one; NaN stays NaN.
pub(crate) fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// The number that a bf16 stands for.
pub(crate) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

// SAFETY: plain Rust; pointers are used for exactly the numbers that the trait promises.
unsafe impl Pairs for Portable {
    type Vector = [u32; 4];
    #[inline(always)]
    unsafe fn load_pairs(from: *const u32) -> [u32; 4] {
        // SAFETY: the caller's promise; an array of u32 is as aligned as a u32.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn splat_pair(pair: u32) -> [u32; 4] {
        [pair; 4]
    }
    #[inline(always)]
    unsafe fn add_products(self, left: [u32; 4], right: [u32; 4]) -> Self {
        let halves = |pair: u32| (from_bf16(pair as u16), from_bf16((pair >> 16) as u16));
        Self(std::array::from_fn(|i| {
            let ((a, b), (c, d)) = (halves(left[i]), halves(right[i]));
            self.0[i] + a * c + b * d
        }))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        for (i, lane) in self.0.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = to_bf16(lane) }
        }
    }
    #[inline(always)]
    unsafe fn store_pairs(pairs: [u32; 4], to: *mut u32) {
        // SAFETY: the caller's promise; an array of u32 is as aligned as a u32.
        unsafe { *to.cast() = pairs }
    }
    #[inline(always)]
    unsafe fn copy_halves(from: *const u16, to: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from, to, 4) }
    }
    #[inline(always)]
    unsafe fn interleave(first: *const u16, second: *const u16, counts: (usize, usize)) -> [u32; 4] {
        std::array::from_fn(|i| {
            // SAFETY: the caller's promise.
            let at = |from: *const u16, count| if i < count { u32::from(unsafe { *from.add(i) }) } else { 0 };
            at(first, counts.0) | at(second, counts.1) << 16
        })
    }
    #[inline(always)]
    unsafe fn round_pairs(first: Self, second: Self) -> [u32; 4] {
        std::array::from_fn(|i| u32::from(to_bf16(first.0[i])) | u32::from(to_bf16(second.0[i])) << 16)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Pairs;
    use crate::fast::kernel::lanes::{Avx512, mask16};

    /// Numbers 0, 16, 1, 17 and so on.
    #[inline(always)]
    unsafe fn alternate(halves: __m512i) -> __m512i {
        // SAFETY: the caller has AVX-512BW.
        unsafe {
            let even = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
            let odd = _mm512_slli_epi32::<16>(_mm512_add_epi32(even, _mm512_set1_epi32(16)));
            _mm512_permutexvar_epi16(_mm512_or_si512(even, odd), halves)
        }
    }

    // SAFETY: every method is one instruction of AVX-512F or AVX512-BF16; the trait's promise gives instruction set and
    // memory. The vector types that are exchanged have the same size and no invalid values.
    #[allow(clippy::undocumented_unsafe_blocks)]
    unsafe impl Pairs for Avx512 {
        type Vector = __m512i;
        #[inline(always)]
        unsafe fn load_pairs(from: *const u32) -> __m512i {
            unsafe { _mm512_loadu_si512(from.cast()) }
        }
        #[inline(always)]
        unsafe fn splat_pair(pair: u32) -> __m512i {
            unsafe { _mm512_set1_epi32(pair.cast_signed()) }
        }
        #[inline(always)]
        unsafe fn add_products(self, left: __m512i, right: __m512i) -> Self {
            unsafe {
                let left = std::mem::transmute::<__m512i, __m512bh>(left);
                let right = std::mem::transmute::<__m512i, __m512bh>(right);
                Self(_mm512_dpbf16_ps(self.0, left, right))
            }
        }
        #[inline(always)]
        unsafe fn store_bf16(self, to: *mut u16) {
            unsafe {
                let half = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(self.0));
                _mm256_storeu_si256(to.cast(), half);
            }
        }
        #[inline(always)]
        unsafe fn store_pairs(pairs: __m512i, to: *mut u32) {
            unsafe { _mm512_storeu_si512(to.cast(), pairs) }
        }
        #[inline(always)]
        unsafe fn copy_halves(from: *const u16, to: *mut u16) {
            unsafe { _mm256_storeu_si256(to.cast(), _mm256_loadu_si256(from.cast())) }
        }
        #[inline(always)]
        unsafe fn interleave(first: *const u16, second: *const u16, counts: (usize, usize)) -> __m512i {
            unsafe {
                let first = _mm256_maskz_loadu_epi16(mask16(counts.0), first.cast());
                let second = _mm256_maskz_loadu_epi16(mask16(counts.1), second.cast());
                alternate(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second))
            }
        }
        #[inline(always)]
        unsafe fn round_pairs(first: Self, second: Self) -> __m512i {
            unsafe {
                let halves = _mm512_cvtne2ps_pbh(second.0, first.0);
                alternate(std::mem::transmute::<__m512bh, __m512i>(halves))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        let cases = [
            (1.0, 1.0),
            (-2.5, -2.5),
            (0.0, 0.0),
            (-0.0, -0.0),
            (1.0 + 1.0 / 256.0, 1.0), // half way between 1 and 1 + 2^-7: the even one
            (1.0 + 3.0 / 256.0, 1.015_625),
            (1.004, 1.007_812_5),
            (f32::MAX, f32::INFINITY),
            (f32::INFINITY, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ];
        for (value, expected) in cases {
            assert_eq!(from_bf16(to_bf16(value)).to_bits(), f32::to_bits(expected), "{value}");
        }
        assert!(from_bf16(to_bf16(f32::NAN)).is_nan());
        assert!(from_bf16(to_bf16(f32::from_bits(0x7f80_0001))).is_nan());
    }
}
