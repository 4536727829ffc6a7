//! Vectors of f32 of one instruction set, so that every kernel is written once.
//!
//! Kernels are generic over [`Lanes`] and inlined into functions that enable the instruction set (see `dispatch!`),
//! so a method here becomes one instruction there.
#![allow(unsafe_code)]

/// A vector of [`Lanes::LEN`] numbers.
///
/// # Safety
/// Whoever calls the methods of a type runs on a processor that has its instruction set; pointers are valid for
/// as many numbers as the method moves. Methods that move `count` numbers demand `count <= LEN`.
pub(crate) unsafe trait Lanes: Copy {
    /// Numbers in a vector.
    const LEN: usize;
    /// Rows of a matrix tile that is one, two or three vectors wide: what the register file holds.
    const ROWS: [usize; 3];
    /// Whether depthwise convolutions go through strips of columns, which takes 32 registers and is worth it for long
    /// vectors.
    const STRIPS: bool;
    /// Whether these lanes are what is left when the processor has no better ones: code is to be short rather than fast.
    const COMPACT: bool = false;
    /// Cells in a row of a tile of a depthwise convolution.
    const CELLS: &'static [usize];
    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self;
    /// [`Lanes::LEN`] numbers from `from`, aligned or not.
    unsafe fn load(from: *const f32) -> Self;
    /// The first `count` numbers, zeros beyond them; memory beyond them is not touched.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;
    /// The first `count` numbers of 16 bits (bf16), zeros beyond them; memory beyond them is not touched.
    #[inline(always)]
    unsafe fn load_widened(from: *const u16, count: usize) -> Self {
        let mut lanes = [0.0f32; 16];
        // SAFETY: the caller's promise; no vector has more than sixteen lanes.
        unsafe {
            for (i, lane) in lanes.iter_mut().enumerate().take(count) {
                *lane = pairs::from_bf16(*from.add(i));
            }
            Self::load(lanes.as_ptr())
        }
    }
    /// All lanes to `to`.
    unsafe fn store(self, to: *mut f32);
    /// The first `count` lanes; memory beyond them is not touched.
    unsafe fn store_part(self, to: *mut f32, count: usize);
    /// The first `count` lanes, rounded to the nearest bf16, to `to`; memory beyond them is not touched.
    #[inline(always)]
    unsafe fn store_rounded(self, to: *mut u16, count: usize) {
        let mut lanes = [0.0f32; 16];
        // SAFETY: no vector has more than sixteen lanes; the caller's promise.
        unsafe {
            self.store(lanes.as_mut_ptr());
            for (i, &lane) in lanes.iter().enumerate().take(count) {
                *to.add(i) = pairs::to_bf16(lane);
            }
        }
    }
    /// Sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Product.
    unsafe fn mul(self, other: Self) -> Self;
    /// Quotient.
    unsafe fn div(self, other: Self) -> Self;
    /// `self · factor + addend`, rounded once where the instruction set has it.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger number; `other` where either is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller number; `other` where either is NaN.
    unsafe fn min(self, other: Self) -> Self;
    /// The larger number; NaN where either is NaN.
    unsafe fn larger(self, other: Self) -> Self;
    /// Square root.
    unsafe fn sqrt(self) -> Self;
    /// `2^self` for whole numbers from -126 to 127.
    unsafe fn power_of_two(self) -> Self;
}

/// Four numbers in plain Rust: what every target compiles, to vector instructions where it has them.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self([0, 1, 2, 3].map(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY: no instruction set is assumed; pointers are used for exactly the numbers that the trait promises.
unsafe impl Lanes for Portable {
    const LEN: usize = 4;
    const ROWS: [usize; 3] = [8, 4, 3];
    const STRIPS: bool = false;
    const COMPACT: bool = cfg!(target_arch = "x86_64");
    const CELLS: &'static [usize] = &[5];
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; an array of f32 is as aligned as an f32.
        Self(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 4];
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
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
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
    unsafe fn larger(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b || a.is_nan() { a } else { b })
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        Self(self.0.map(|exponent| f32::from_bits(((exponent as i32).wrapping_add(127) as u32) << 23)))
    }
}

pub(crate) mod pairs;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, mask16};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Lanes;

    /// Sixteen numbers.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(pub(super) __m512);

    /// The first `count` of sixteen.
    #[inline(always)]
    pub(crate) fn mask16(count: usize) -> __mmask16 {
        (0xffff_u32 >> (16 - count.min(16) as u32)) as __mmask16
    }

    // SAFETY: every method is one AVX-512F instruction or two; the trait's promise gives instruction set and memory,
    // and masked moves do not touch what the mask leaves out.
    #[allow(clippy::undocumented_unsafe_blocks)]
    unsafe impl Lanes for Avx512 {
        const LEN: usize = 16;
        const ROWS: [usize; 3] = [12, 12, 8];
        const STRIPS: bool = true;
        const CELLS: &'static [usize] = &[8, 5];
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
        unsafe fn load_widened(from: *const u16, count: usize) -> Self {
            unsafe {
                let half = _mm256_maskz_loadu_epi16(mask16(count), from.cast());
                Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half))))
            }
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
        unsafe fn store_rounded(self, to: *mut u16, count: usize) {
            unsafe {
                // As `to_bf16`, in plain instructions: not every processor with this set has the one that rounds.
                let bits = _mm512_castps_si512(self.0);
                let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
                let sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
                let sum = _mm512_mask_or_epi32(sum, nan, bits, _mm512_set1_epi32(0x40_0000));
                let half = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(sum));
                _mm256_mask_storeu_epi16(to.cast(), mask16(count), half);
            }
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
        unsafe fn div(self, other: Self) -> Self {
            Self(unsafe { _mm512_div_ps(self.0, other.0) })
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
        unsafe fn larger(self, other: Self) -> Self {
            unsafe {
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
                Self(_mm512_mask_mov_ps(_mm512_max_ps(self.0, other.0), nan, self.0))
            }
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            Self(unsafe { _mm512_sqrt_ps(self.0) })
        }
        #[inline(always)]
        unsafe fn power_of_two(self) -> Self {
            Self(unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), self.0) })
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
        const ROWS: [usize; 3] = [8, 6, 4];
        const STRIPS: bool = false;
        const CELLS: &'static [usize] = &[8, 7, 5];
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
        unsafe fn div(self, other: Self) -> Self {
            Self(unsafe { _mm256_div_ps(self.0, other.0) })
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
        unsafe fn larger(self, other: Self) -> Self {
            unsafe {
                let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0);
                Self(_mm256_blendv_ps(_mm256_max_ps(self.0, other.0), self.0, nan))
            }
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            Self(unsafe { _mm256_sqrt_ps(self.0) })
        }
        #[inline(always)]
        unsafe fn power_of_two(self) -> Self {
            unsafe {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
                Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm::Simd128;
