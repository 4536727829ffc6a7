//! AVX-512: 16 lanes, masked memory accesses, products of bf16 pairs.

use std::arch::x86_64::*;

use crate::simd::SimdBf16;
use crate::vector::{IntVector, Sealed, Vector, operators};

/// The token of AVX-512 F, VL, BW and DQ; it includes AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Avx512(pub(crate) ());

/// The token of [`Avx512`] with AVX512-BF16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Avx512Bf16(pub(crate) ());

/// Sixteen f32.
#[derive(Clone, Copy, Debug)]
pub struct F32x16(pub(crate) __m512);

/// Sixteen i32.
#[derive(Clone, Copy, Debug)]
pub struct I32x16(pub(crate) __m512i);

impl Sealed for Avx512 {}
impl Sealed for Avx512Bf16 {}
impl Sealed for F32x16 {}
impl Sealed for I32x16 {}

/// The mask of the first `count` of sixteen lanes.
#[inline(always)]
pub(super) fn first16(count: usize) -> __mmask16 {
    (0xffff_u32 >> (16 - count.min(16) as u32)) as __mmask16
}

operators!(F32x16: _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps);
operators!(I32x16 Add add _mm512_add_epi32);

// SAFETY of the blocks without memory accesses: a value of this type is proof of AVX-512 F, VL, BW and DQ.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Vector for F32x16 {
    type Mask = __mmask16;
    type I32 = I32x16;
    const LEN: usize = 16;
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    fn fused_mul_add(self, factor: Self, addend: Self) -> Self {
        self.mul_add(factor, addend)
    }
    #[inline(always)]
    fn round(self) -> I32x16 {
        I32x16(unsafe { _mm512_cvtps_epi32(self.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn clamp_magnitude(self, most: f32) -> Self {
        // The smaller magnitude, with the sign of the lane.
        Self(unsafe { _mm512_range_ps::<2>(self.0, _mm512_set1_ps(most)) })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        unsafe {
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            Self(_mm512_mask_mov_ps(_mm512_max_ps(self.0, other.0), nan, self.0))
        }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm512_sqrt_ps(self.0) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        Self(unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), self.0) })
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        Self(unsafe { _mm512_getexp_ps(self.0) })
    }
    #[inline(always)]
    fn greater(self, other: Self) -> __mmask16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: __mmask16, yes: Self, no: Self) -> Self {
        Self(unsafe { _mm512_mask_mov_ps(no.0, mask, yes.0) })
    }
    #[inline(always)]
    fn map(self, function: impl Fn(f32) -> f32) -> Self {
        let mut lanes = [0.0f32; 16];
        // SAFETY: the array has sixteen values.
        unsafe {
            _mm512_storeu_ps(lanes.as_mut_ptr(), self.0);
            lanes = lanes.map(function);
            Self(_mm512_loadu_ps(lanes.as_ptr()))
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: `to` is valid for sixteen values.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: `to` is valid for `count` values; a masked store does not touch the others.
        unsafe { _mm512_mask_storeu_ps(to, first16(count), self.0) }
    }
    #[inline(always)]
    unsafe fn store_bf16_part(self, to: *mut u16, count: usize) {
        // SAFETY: `to` is valid for `count` values; a masked store does not touch the others.
        unsafe {
            // As `to_bf16`, without AVX512-BF16, which not every processor with this set has.
            let bits = _mm512_castps_si512(self.0);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            let sum = _mm512_mask_or_epi32(sum, nan, bits, _mm512_set1_epi32(0x40_0000));
            let half = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(sum));
            _mm256_mask_storeu_epi16(to.cast(), first16(count), half);
        }
    }
    #[inline(always)]
    unsafe fn store_u8_part(self, to: *mut u8, count: usize) {
        // SAFETY: `to` is valid for `count` values; a masked store does not touch the others.
        unsafe {
            // `max` returns its second operand for NaN, and clamping first keeps the conversion in range.
            let clamped = _mm512_min_ps(_mm512_max_ps(self.0, _mm512_setzero_ps()), _mm512_set1_ps(255.0));
            let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(clamped));
            // Masked stores of bytes are slow.
            if count >= 16 {
                _mm_storeu_si128(to.cast(), bytes);
            } else {
                _mm_mask_storeu_epi8(to.cast(), first16(count), bytes);
            }
        }
    }
}

// SAFETY of the block without memory accesses: a value of this type is proof of AVX-512F.
#[allow(clippy::undocumented_unsafe_blocks)]
impl IntVector for I32x16 {
    type F32 = F32x16;
    #[inline(always)]
    fn to_f32(self) -> F32x16 {
        F32x16(unsafe { _mm512_cvtepi32_ps(self.0) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: `to` is valid for sixteen values.
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
}

/// Implements [`Simd`] for a token that includes AVX-512 F, VL, BW and DQ.
macro_rules! simd512 {
    ($Token:ty, $features:literal) => {
        // SAFETY of the blocks without memory accesses: the token is proof of AVX-512 F, VL, BW and DQ.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl $crate::simd::Simd for $Token {
            type F32 = $crate::x86::F32x16;
            type I32 = $crate::x86::I32x16;
            type Bytes16 = __m128i;
            type Half = $crate::x86::Avx2;
            const KIND: $crate::isa::IsaKind = $crate::isa::IsaKind::Avx512;
            const REGISTERS: usize = 32;
            const FUSED: bool = true;
            const SQUARE: usize = 8;
            $crate::simd::outlined!($features);
            #[inline(always)]
            fn half(self) -> Self::Half {
                $crate::x86::Avx2(())
            }
            #[inline(always)]
            fn splat(self, value: f32) -> Self::F32 {
                $crate::x86::F32x16(unsafe { _mm512_set1_ps(value) })
            }
            #[inline(always)]
            fn splat_i32(self, value: i32) -> Self::I32 {
                $crate::x86::I32x16(unsafe { _mm512_set1_epi32(value) })
            }
            #[inline(always)]
            unsafe fn load(self, from: *const f32) -> Self::F32 {
                // SAFETY: `from` is valid for sixteen values.
                $crate::x86::F32x16(unsafe { _mm512_loadu_ps(from) })
            }
            #[inline(always)]
            unsafe fn load_part(self, from: *const f32, count: usize) -> Self::F32 {
                // SAFETY: `from` is valid for `count` values; a masked load does not touch the others.
                $crate::x86::F32x16(unsafe {
                    _mm512_maskz_loadu_ps($crate::x86::avx512::first16(count), from)
                })
            }
            #[inline(always)]
            unsafe fn load_bf16_part(self, from: *const u16, count: usize) -> Self::F32 {
                // SAFETY: `from` is valid for `count` values; a masked load does not touch the others.
                unsafe {
                    let half = _mm256_maskz_loadu_epi16($crate::x86::avx512::first16(count), from.cast());
                    let bits = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half));
                    $crate::x86::F32x16(_mm512_castsi512_ps(bits))
                }
            }
            #[inline(always)]
            unsafe fn load_u8_part(self, from: *const u8, count: usize) -> Self::F32 {
                // SAFETY: `from` is valid for `count` bytes; a masked load does not touch the others.
                unsafe {
                    let bytes = _mm_maskz_loadu_epi8($crate::x86::avx512::first16(count), from.cast());
                    $crate::x86::F32x16(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)))
                }
            }
            #[inline(always)]
            unsafe fn load_i32(self, from: *const i32) -> Self::I32 {
                // SAFETY: `from` is valid for sixteen values.
                $crate::x86::I32x16(unsafe { _mm512_loadu_si512(from.cast()) })
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
                // SAFETY: `from` and `to` are valid for the same accesses.
                unsafe {
                    $crate::simd::Simd::transpose($crate::x86::Avx2(()), from, from_stride, to, to_stride)
                }
            }
        }
    };
}
pub(super) use simd512;

simd512!(Avx512, "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma");
simd512!(Avx512Bf16, "avx512bf16,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma");

/// Interleaves both halves of a vector of 32 values: values 0, 16, 1, 17 and so on.
///
/// # Safety
/// The processor has AVX-512BW.
#[inline(always)]
unsafe fn interleave_halves(halves: __m512i) -> __m512i {
    // SAFETY: the processor has AVX-512BW.
    unsafe {
        let even = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let odd = _mm512_slli_epi32::<16>(_mm512_add_epi32(even, _mm512_set1_epi32(16)));
        _mm512_permutexvar_epi16(_mm512_or_si512(even, odd), halves)
    }
}

/// Sixteen pairs of bf16.
#[derive(Clone, Copy, Debug)]
pub struct Pairs16(__m512i);

// SAFETY of the blocks without memory accesses: the token is proof of AVX-512BW and AVX512-BF16. The vector
// types that are transmuted have the same size and no invalid values.
#[allow(clippy::undocumented_unsafe_blocks)]
impl SimdBf16 for Avx512Bf16 {
    type Pairs = Pairs16;
    #[inline(always)]
    fn splat_pair(self, pair: u32) -> Pairs16 {
        Pairs16(unsafe { _mm512_set1_epi32(pair.cast_signed()) })
    }
    #[inline(always)]
    unsafe fn load_pairs(self, from: *const u32) -> Pairs16 {
        // SAFETY: `from` is valid for sixteen values.
        Pairs16(unsafe { _mm512_loadu_si512(from.cast()) })
    }
    #[inline(always)]
    unsafe fn store_pairs(self, pairs: Pairs16, to: *mut u32) {
        // SAFETY: `to` is valid for sixteen values.
        unsafe { _mm512_storeu_si512(to.cast(), pairs.0) }
    }
    #[inline(always)]
    fn dot2(self, sum: F32x16, lhs: Pairs16, rhs: Pairs16) -> F32x16 {
        unsafe {
            let lhs = std::mem::transmute::<__m512i, __m512bh>(lhs.0);
            let rhs = std::mem::transmute::<__m512i, __m512bh>(rhs.0);
            F32x16(_mm512_dpbf16_ps(sum.0, lhs, rhs))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, values: F32x16, to: *mut u16) {
        // SAFETY: `to` is valid for sixteen values.
        unsafe {
            let half = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values.0));
            _mm256_storeu_si256(to.cast(), half);
        }
    }
    #[inline(always)]
    unsafe fn copy_bf16(self, from: *const u16, to: *mut u16) {
        // SAFETY: `from` and `to` are valid for sixteen values.
        unsafe { _mm256_storeu_si256(to.cast(), _mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn interleave(self, first: *const u16, second: *const u16, counts: (usize, usize)) -> Pairs16 {
        // SAFETY: `first` and `second` are valid for `counts` values; masked loads do not touch the others.
        unsafe {
            let first = _mm256_maskz_loadu_epi16(first16(counts.0), first.cast());
            let second = _mm256_maskz_loadu_epi16(first16(counts.1), second.cast());
            Pairs16(interleave_halves(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)))
        }
    }
    #[inline(always)]
    fn round_pairs(self, first: F32x16, second: F32x16) -> Pairs16 {
        unsafe {
            let halves = _mm512_cvtne2ps_pbh(second.0, first.0);
            Pairs16(interleave_halves(std::mem::transmute::<__m512bh, __m512i>(halves)))
        }
    }
}
