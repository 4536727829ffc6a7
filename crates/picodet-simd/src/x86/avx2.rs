//! AVX2 with FMA: 8 lanes.

use std::arch::x86_64::*;

use crate::vector::{IntVector, Sealed, Vector, operators};

/// The token of AVX2 with FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Avx2(pub(crate) ());

/// Eight f32.
#[derive(Clone, Copy, Debug)]
pub struct F32x8(pub(crate) __m256);

/// Eight i32.
#[derive(Clone, Copy, Debug)]
pub struct I32x8(pub(crate) __m256i);

impl Sealed for Avx2 {}
impl Sealed for F32x8 {}
impl Sealed for I32x8 {}

/// The mask of the first `count` of eight lanes.
///
/// # Safety
/// The processor has AVX.
#[inline(always)]
pub(super) unsafe fn first8(count: usize) -> __m256i {
    static ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: the offset is 0 to 8, so that eight of the sixteen values follow it.
    unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - count.min(8)).cast()) }
}

operators!(F32x8: _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps);
operators!(I32x8 Add add _mm256_add_epi32);

// SAFETY of the blocks without memory accesses: a value of this type is proof of AVX2 and FMA.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Vector for F32x8 {
    type Mask = __m256;
    type I32 = I32x8;
    const LEN: usize = 8;
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    fn fused_mul_add(self, factor: Self, addend: Self) -> Self {
        self.mul_add(factor, addend)
    }
    #[inline(always)]
    fn round(self) -> I32x8 {
        I32x8(unsafe { _mm256_cvtps_epi32(self.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { _mm256_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(unsafe { _mm256_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        unsafe {
            let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0);
            Self(_mm256_blendv_ps(_mm256_max_ps(self.0, other.0), self.0, nan))
        }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm256_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        unsafe {
            let biased = _mm256_srli_epi32::<23>(_mm256_castps_si256(self.0));
            Self(_mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127))))
        }
    }
    #[inline(always)]
    fn greater(self, other: Self) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: __m256, yes: Self, no: Self) -> Self {
        Self(unsafe { _mm256_blendv_ps(no.0, yes.0, mask) })
    }
    #[inline(always)]
    fn map(self, function: impl Fn(f32) -> f32) -> Self {
        let mut lanes = [0.0f32; 8];
        // SAFETY: the array has eight values.
        unsafe {
            _mm256_storeu_ps(lanes.as_mut_ptr(), self.0);
            lanes = lanes.map(function);
            Self(_mm256_loadu_ps(lanes.as_ptr()))
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: `to` is valid for eight values.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: `to` is valid for `count` values; a masked store does not touch the others.
        unsafe { _mm256_maskstore_ps(to, first8(count), self.0) }
    }
    #[inline(always)]
    unsafe fn store_u8_part(self, to: *mut u8, count: usize) {
        // SAFETY: the array has room for eight bytes, and `to` for `count`.
        unsafe {
            // `max` returns its second operand for NaN, and clamping first keeps the conversion in range.
            let clamped = _mm256_min_ps(_mm256_max_ps(self.0, _mm256_setzero_ps()), _mm256_set1_ps(255.0));
            let whole = _mm256_cvtps_epi32(clamped);
            let (low, high) = (_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
            let words = _mm_packs_epi32(low, high);
            let bytes = _mm_packus_epi16(words, words);
            if count >= 8 {
                _mm_storel_epi64(to.cast(), bytes);
            } else {
                let mut lanes = [0u8; 8];
                _mm_storel_epi64(lanes.as_mut_ptr().cast(), bytes);
                std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
            }
        }
    }
}

// SAFETY of the block without memory accesses: a value of this type is proof of AVX2.
#[allow(clippy::undocumented_unsafe_blocks)]
impl IntVector for I32x8 {
    type F32 = F32x8;
    #[inline(always)]
    fn to_f32(self) -> F32x8 {
        F32x8(unsafe { _mm256_cvtepi32_ps(self.0) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: `to` is valid for eight values.
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }
}

/// Implements [`Simd`] for a token that includes AVX2 and FMA.
macro_rules! simd256 {
    ($Token:ty, $features:literal) => {
        // SAFETY of the blocks without memory accesses: the token is proof of AVX2 and FMA.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl $crate::simd::Simd for $Token {
            type F32 = $crate::x86::F32x8;
            type I32 = $crate::x86::I32x8;
            type Bytes16 = __m128i;
            type Half = Self;
            const KIND: $crate::isa::IsaKind = $crate::isa::IsaKind::Avx2;
            const REGISTERS: usize = 16;
            const FUSED: bool = true;
            const SQUARE: usize = 8;
            $crate::simd::outlined!($features);
            #[inline(always)]
            fn half(self) -> Self {
                self
            }
            #[inline(always)]
            fn splat(self, value: f32) -> Self::F32 {
                $crate::x86::F32x8(unsafe { _mm256_set1_ps(value) })
            }
            #[inline(always)]
            fn splat_i32(self, value: i32) -> Self::I32 {
                $crate::x86::I32x8(unsafe { _mm256_set1_epi32(value) })
            }
            #[inline(always)]
            unsafe fn load(self, from: *const f32) -> Self::F32 {
                // SAFETY: `from` is valid for eight values.
                $crate::x86::F32x8(unsafe { _mm256_loadu_ps(from) })
            }
            #[inline(always)]
            unsafe fn load_part(self, from: *const f32, count: usize) -> Self::F32 {
                // SAFETY: `from` is valid for `count` values; a masked load does not touch the others.
                $crate::x86::F32x8(unsafe { _mm256_maskload_ps(from, $crate::x86::avx2::first8(count)) })
            }
            #[inline(always)]
            unsafe fn load_u8_part(self, from: *const u8, count: usize) -> Self::F32 {
                let mut bytes = [0u8; 8];
                let whole = if count >= 8 { from } else { bytes.as_mut_ptr().cast_const() };
                // SAFETY: `from` is valid for `count` bytes; fewer than eight go through the array.
                unsafe {
                    if count < 8 {
                        std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), count);
                    }
                    let whole = _mm256_cvtepu8_epi32(_mm_loadl_epi64(whole.cast()));
                    $crate::x86::F32x8(_mm256_cvtepi32_ps(whole))
                }
            }
            #[inline(always)]
            unsafe fn load_i32(self, from: *const i32) -> Self::I32 {
                // SAFETY: `from` is valid for eight values.
                $crate::x86::I32x8(unsafe { _mm256_loadu_si256(from.cast()) })
            }
            #[inline(always)]
            unsafe fn load_bytes16(self, from: *const u8) -> __m128i {
                // SAFETY: `from` is valid for sixteen bytes.
                unsafe { _mm_loadu_si128(from.cast()) }
            }
            #[inline(always)]
            unsafe fn store_bytes16(self, bytes: __m128i, to: *mut u8) {
                // SAFETY: `to` is valid for sixteen bytes.
                unsafe { _mm_storeu_si128(to.cast(), bytes) }
            }
            #[inline(always)]
            fn max_bytes16(self, first: __m128i, second: __m128i) -> __m128i {
                unsafe { _mm_max_epu8(first, second) }
            }
            #[inline(always)]
            unsafe fn transpose(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
                // SAFETY: `from` and `to` are valid for eight values at each of eight multiples of their
                // strides.
                unsafe { $crate::x86::avx2::transpose8(from, from_stride, to, to_stride) }
            }
        }
    };
}
pub(super) use simd256;

simd256!(Avx2, "avx2,fma");

/// Transposes eight rows of eight values.
///
/// # Safety
/// The processor has AVX; `from` and `to` are valid for eight values at each of eight multiples of their
/// strides.
#[inline(always)]
pub(super) unsafe fn transpose8(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    // SAFETY: rows `i` and `i + 4` are below 8, and each half has four of the eight columns.
    unsafe {
        // Rows 0 and 4, 1 and 5, ... share a register, so that the rest stays within halves. Loops, not
        // closures, which would not be compiled for the instruction set.
        for half in 0..2 {
            let from = from.add(4 * half);
            let mut rows = [_mm256_setzero_ps(); 4];
            for (i, row) in rows.iter_mut().enumerate() {
                let low = _mm256_castps128_ps256(_mm_loadu_ps(from.add(i * from_stride)));
                *row = _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.add((i + 4) * from_stride)));
            }
            let to = to.add(4 * half * to_stride);
            let [a, b, c, d] = rows;
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            _mm256_storeu_ps(to, _mm256_shuffle_ps::<0x44>(ab, cd));
            _mm256_storeu_ps(to.add(to_stride), _mm256_shuffle_ps::<0xee>(ab, cd));
            let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            _mm256_storeu_ps(to.add(2 * to_stride), _mm256_shuffle_ps::<0x44>(ab, cd));
            _mm256_storeu_ps(to.add(3 * to_stride), _mm256_shuffle_ps::<0xee>(ab, cd));
        }
    }
}
