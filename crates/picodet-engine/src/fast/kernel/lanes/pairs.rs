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
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Pairs;
    use crate::fast::kernel::lanes::Avx512;

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
