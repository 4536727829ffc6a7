//! Products of bytes: VPDPBUSD, or 16-bit products where the processor has not got it.

use std::arch::x86_64::*;

use super::{Avx2, Avx512, I32x8, I32x16};
use crate::simd::SimdInt8;
use crate::vector::Sealed;

/// The token of [`Avx512`] with AVX512-VNNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Avx512Vnni(pub(crate) ());

/// The token of [`Avx2`] with AVX-VNNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AvxVnni(pub(crate) ());

impl Sealed for Avx512Vnni {}
impl Sealed for AvxVnni {}

super::avx512::simd512!(Avx512Vnni, "avx512vnni,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma");
super::avx2::simd256!(AvxVnni, "avxvnni,avx2,fma");

/// Implements [`SimdInt8`] by a vector type and an expression for the sum of products.
macro_rules! int8 {
    ($Token:ty, $Int:ident, $splat:ident, $load:ident, |$sum:ident, $lhs:ident, $rhs:ident| $dot:expr) => {
        // SAFETY of the blocks without memory accesses: the token is proof of the instruction set.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl SimdInt8 for $Token {
            type Quads = $Int;
            #[inline(always)]
            fn splat_quad(self, quad: u32) -> $Int {
                $Int(unsafe { $splat(quad.cast_signed()) })
            }
            #[inline(always)]
            unsafe fn load_quads(self, from: *const u32) -> $Int {
                // SAFETY: `from` is valid for a vector of values.
                $Int(unsafe { $load(from.cast()) })
            }
            #[inline(always)]
            fn dot4(self, sum: $Int, lhs: $Int, rhs: $Int) -> $Int {
                let ($sum, $lhs, $rhs) = (sum.0, lhs.0, rhs.0);
                $Int(unsafe { $dot })
            }
        }
    };
}

int8!(Avx512Vnni, I32x16, _mm512_set1_epi32, _mm512_loadu_si512, |sum, lhs, rhs| {
    _mm512_dpbusd_epi32(sum, lhs, rhs)
});
int8!(AvxVnni, I32x8, _mm256_set1_epi32, _mm256_loadu_si256, |sum, lhs, rhs| {
    _mm256_dpbusd_avx_epi32(sum, lhs, rhs)
});
// VPMADDUBSW would saturate: 2 · 255 · 127 does not fit 16 bits. Even and odd bytes, widened to 16 bits, give
// exact products and, added in pairs, exact 32-bit sums.
int8!(Avx512, I32x16, _mm512_set1_epi32, _mm512_loadu_si512, |sum, lhs, rhs| {
    let even = _mm512_madd_epi16(
        _mm512_and_si512(lhs, _mm512_set1_epi16(0xff)),
        _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(rhs)),
    );
    let odd = _mm512_madd_epi16(_mm512_srli_epi16::<8>(lhs), _mm512_srai_epi16::<8>(rhs));
    _mm512_add_epi32(sum, _mm512_add_epi32(even, odd))
});
int8!(Avx2, I32x8, _mm256_set1_epi32, _mm256_loadu_si256, |sum, lhs, rhs| {
    let even = _mm256_madd_epi16(
        _mm256_and_si256(lhs, _mm256_set1_epi16(0xff)),
        _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(rhs)),
    );
    let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(lhs), _mm256_srai_epi16::<8>(rhs));
    _mm256_add_epi32(sum, _mm256_add_epi32(even, odd))
});
