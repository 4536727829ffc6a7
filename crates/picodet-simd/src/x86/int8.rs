//! Products of bytes: VPDPBUSD, or 16-bit products where the processor has not got it.

use std::arch::x86_64::*;

use super::avx512::first16;
use super::{Avx2, F32x8, F32x16, I32x8, I32x16};
use crate::dot::{DotInt8, DotInt16, SimdInt8, SimdInt16, widen};
use crate::simd::Simd;
use crate::vector::{IntVector, Sealed};

/// The token of [`super::Avx512`] with AVX512-VNNI.
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
    ($Token:ty, $Product:ident $(with $copy:path, $units:path)?, $Int:ident, $splat:ident, $load:ident, $rows:path, $bytes:path, $pairs:path, |$sum:ident, $lhs:ident, $rhs:ident| $dot:expr) => {
        // SAFETY of the blocks without memory accesses: the token is proof of the instruction set.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl SimdInt8 for $Token {
            type Quads = $Int;
            type Product = $Product<Self>;
            $(
                const COPIES: bool = true;
                #[inline(always)]
                unsafe fn copy_units(self, from: *const u32, quads: usize, to: *mut u32) {
                    // SAFETY: the caller vouches for the same accesses.
                    unsafe { $copy(from.cast(), 4 * quads, to.cast()) }
                }
            )?
            #[inline(always)]
            fn product(self) -> $Product<Self> {
                $Product(self)
            }
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
            unsafe fn store_quads(self, quads: $Int, to: *mut u32) {
                // SAFETY: `to` is valid for a vector of values.
                unsafe { quads.store(to.cast()) }
            }
            $(
                #[inline(always)]
                unsafe fn store_units(self, quads: $Int, to: *mut u32) {
                    // SAFETY: the token is proof of the instruction set, and `to` is valid for two vectors.
                    unsafe { $units(quads, to) }
                }
            )?
            #[inline(always)]
            unsafe fn interleave_rows(self, rows: [*const u8; 4], count: usize) -> $Int {
                // SAFETY: the token is proof of the instruction set, and the rows are valid for `count` bytes.
                $Int(unsafe { $rows(rows, count) })
            }
            #[inline(always)]
            unsafe fn store_bytes(self, values: [<Self as Simd>::F32; 4], to: [*mut u8; 4]) {
                // SAFETY: the token is proof of the instruction set, and each address is valid for a vector.
                unsafe { $bytes(values, to) }
            }
            #[inline(always)]
            unsafe fn store_byte_pairs(self, values: [[<Self as Simd>::F32; 2]; 2], to: [*mut u8; 2]) {
                // SAFETY: the token is proof of the instruction set, and each address is valid for two vectors.
                unsafe { $pairs(values, to) }
            }
            #[inline(always)]
            fn dot4(self, sum: $Int, lhs: $Int, rhs: $Int) -> $Int {
                let ($sum, $lhs, $rhs) = (sum.0, lhs.0, rhs.0);
                #[allow(unused_braces, reason = "not every expression is a block")]
                $Int(unsafe { $dot })
            }
        }
    };
}

int8!(
    Avx512Vnni,
    DotInt8,
    I32x16,
    _mm512_set1_epi32,
    _mm512_loadu_si512,
    rows16,
    bytes16,
    pairs16,
    |sum, lhs, rhs| { _mm512_dpbusd_epi32(sum, lhs, rhs) }
);
int8!(
    AvxVnni,
    DotInt8,
    I32x8,
    _mm256_set1_epi32,
    _mm256_loadu_si256,
    rows8,
    bytes8,
    pairs8,
    |sum, lhs, rhs| { _mm256_dpbusd_avx_epi32(sum, lhs, rhs) }
);
// VPMADDUBSW would saturate: 2 · 255 · 127 does not fit 16 bits. Even and odd bytes, widened to 16 bits, give
// exact products and, added in pairs, exact 32-bit sums.
int8!(
    Avx2,
    DotInt16 with widen, pairs_of_quads,
    I32x8,
    _mm256_set1_epi32,
    _mm256_loadu_si256,
    rows8,
    bytes8,
    pairs8,
    |sum, lhs, rhs| {
        let even = _mm256_madd_epi16(
            _mm256_and_si256(lhs, _mm256_set1_epi16(0xff)),
            _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(rhs)),
        );
        let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(lhs), _mm256_srai_epi16::<8>(rhs));
        _mm256_add_epi32(sum, _mm256_add_epi32(even, odd))
    }
);

impl SimdInt16 for Avx2 {
    #[inline(always)]
    fn dot2(self, sum: I32x8, lhs: I32x8, rhs: I32x8) -> I32x8 {
        // SAFETY: the token is proof of AVX2.
        sum + I32x8(unsafe { _mm256_madd_epi16(lhs.0, rhs.0) })
    }
}

/// Stores the pairs of the even bytes of quads, and those of the odd ones.
///
/// # Safety
/// The processor has AVX2; `to` is valid for writes of two vectors.
#[inline(always)]
unsafe fn pairs_of_quads(quads: I32x8, to: *mut u32) {
    // SAFETY: `to` is valid for two vectors.
    unsafe {
        I32x8(_mm256_and_si256(quads.0, _mm256_set1_epi16(0xff))).store(to.cast());
        I32x8(_mm256_srli_epi16::<8>(quads.0)).store(to.add(8).cast());
    }
}

/// The order of the values of a transposed matrix of four by four.
#[repr(align(64))]
struct Order([i32; 16]);

static TRANSPOSED: Order = Order([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]);

/// Interleaves four rows of up to sixteen bytes.
///
/// # Safety
/// The processor has AVX-512 F, VL and BW; the rows are valid for `count` bytes, `count <= 16`.
#[inline(always)]
unsafe fn rows16(rows: [*const u8; 4], count: usize) -> __m512i {
    // SAFETY: a masked load does not touch the bytes after the first `count`.
    unsafe {
        let [a, b, c, d] = if count == 16 {
            [
                _mm_loadu_si128(rows[0].cast()),
                _mm_loadu_si128(rows[1].cast()),
                _mm_loadu_si128(rows[2].cast()),
                _mm_loadu_si128(rows[3].cast()),
            ]
        } else {
            let mask = first16(count);
            [
                _mm_maskz_loadu_epi8(mask, rows[0].cast()),
                _mm_maskz_loadu_epi8(mask, rows[1].cast()),
                _mm_maskz_loadu_epi8(mask, rows[2].cast()),
                _mm_maskz_loadu_epi8(mask, rows[3].cast()),
            ]
        };
        let quads = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
        let quads = _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(quads, c), d);
        // Part `i` gets channels 4i to 4i + 3 of each row, which a shuffle inside of it interleaves. Two shuffles of a known
        // order would be merged to a sequence twice as long.
        let order = std::ptr::from_ref(&TRANSPOSED.0).cast::<__m512i>().read_volatile();
        let parts = _mm512_permutexvar_epi32(order, quads);
        let bytes = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_shuffle_epi8(parts, _mm512_broadcast_i32x4(bytes))
    }
}

/// Interleaves four rows of up to eight bytes.
///
/// # Safety
/// The processor has AVX2; the rows are valid for `count` bytes, `count <= 8`.
#[inline(always)]
unsafe fn rows8(mut rows: [*const u8; 4], count: usize) -> __m256i {
    let mut copies = [[0u8; 8]; 4];
    if count < 8 {
        for (row, copy) in rows.iter_mut().zip(&mut copies) {
            // SAFETY: the row is valid for `count` bytes, and the copy has room for eight.
            unsafe { std::ptr::copy_nonoverlapping(*row, copy.as_mut_ptr(), count) };
            *row = copy.as_ptr();
        }
    }
    // SAFETY: the rows are valid for eight bytes.
    unsafe {
        let upper = _mm_unpacklo_epi8(_mm_loadl_epi64(rows[0].cast()), _mm_loadl_epi64(rows[1].cast()));
        let lower = _mm_unpacklo_epi8(_mm_loadl_epi64(rows[2].cast()), _mm_loadl_epi64(rows[3].cast()));
        let (first, last) = (_mm_unpacklo_epi16(upper, lower), _mm_unpackhi_epi16(upper, lower));
        _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(first), last)
    }
}

/// 255 as the bits of an f32: as integers, values above it are larger and negative values smaller.
const MOST: i32 = 255.0f32.to_bits().cast_signed();

/// Rounds four vectors and clamps them to bytes, one vector in each quarter of the result.
///
/// # Safety
/// The processor has AVX-512 F and BW.
#[inline(always)]
unsafe fn narrow16(values: [F32x16; 4]) -> __m512i {
    // SAFETY: the processor has the instructions.
    unsafe {
        // Not a closure: it would not be compiled for the instruction set.
        macro_rules! round {
            ($value:expr) => {{
                // Without the limit values of 2^31 and more would become the smallest integer. Integers are compared on
                // other ports than those that multiply.
                let limited = _mm512_min_epi32(_mm512_castps_si512($value.0), _mm512_set1_epi32(MOST));
                _mm512_cvtps_epi32(_mm512_castsi512_ps(limited))
            }};
        }
        let [a, b, c, d] = values;
        // The narrowing saturates.
        let first = _mm512_packs_epi32(round!(a), round!(b));
        let last = _mm512_packs_epi32(round!(c), round!(d));
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, last))
    }
}

/// Rounds and stores four vectors of sixteen bytes.
///
/// # Safety
/// The processor has AVX-512 F, VL and BW; each address is valid for sixteen bytes.
#[inline(always)]
unsafe fn bytes16(values: [F32x16; 4], to: [*mut u8; 4]) {
    // SAFETY: each address is valid for sixteen bytes.
    unsafe {
        let bytes = narrow16(values);
        _mm_storeu_si128(to[0].cast(), _mm512_castsi512_si128(bytes));
        _mm_storeu_si128(to[1].cast(), _mm512_extracti32x4_epi32::<1>(bytes));
        _mm_storeu_si128(to[2].cast(), _mm512_extracti32x4_epi32::<2>(bytes));
        _mm_storeu_si128(to[3].cast(), _mm512_extracti32x4_epi32::<3>(bytes));
    }
}

/// Rounds and stores two times two vectors of sixteen bytes.
///
/// # Safety
/// The processor has AVX-512 F, VL and BW; each address is valid for 32 bytes.
#[inline(always)]
unsafe fn pairs16([[a, b], [c, d]]: [[F32x16; 2]; 2], to: [*mut u8; 2]) {
    // SAFETY: each address is valid for 32 bytes.
    unsafe {
        let bytes = narrow16([a, b, c, d]);
        _mm256_storeu_si256(to[0].cast(), _mm512_castsi512_si256(bytes));
        _mm256_storeu_si256(to[1].cast(), _mm512_extracti64x4_epi64::<1>(bytes));
    }
}

/// Rounds four vectors and clamps them to bytes, one vector in each quarter of the result.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn narrow8(values: [F32x8; 4]) -> __m256i {
    // SAFETY: the processor has the instructions.
    unsafe {
        // Not a closure: it would not be compiled for the instruction set.
        macro_rules! round {
            ($value:expr) => {{
                // As in `narrow16`.
                let limited = _mm256_min_epi32(_mm256_castps_si256($value.0), _mm256_set1_epi32(MOST));
                _mm256_cvtps_epi32(_mm256_castsi256_ps(limited))
            }};
        }
        let [a, b, c, d] = values;
        let first = _mm256_packs_epi32(round!(a), round!(b));
        let last = _mm256_packs_epi32(round!(c), round!(d));
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, last), order)
    }
}

/// Rounds and stores four vectors of eight bytes.
///
/// # Safety
/// The processor has AVX2; each address is valid for eight bytes.
#[inline(always)]
unsafe fn bytes8(values: [F32x8; 4], to: [*mut u8; 4]) {
    // SAFETY: each address is valid for eight bytes.
    unsafe {
        let bytes = narrow8(values);
        let (low, high) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
        _mm_storel_epi64(to[0].cast(), low);
        _mm_storeh_pd(to[1].cast(), _mm_castsi128_pd(low));
        _mm_storel_epi64(to[2].cast(), high);
        _mm_storeh_pd(to[3].cast(), _mm_castsi128_pd(high));
    }
}

/// Rounds and stores two times two vectors of eight bytes.
///
/// # Safety
/// The processor has AVX2; each address is valid for sixteen bytes.
#[inline(always)]
unsafe fn pairs8([[a, b], [c, d]]: [[F32x8; 2]; 2], to: [*mut u8; 2]) {
    // SAFETY: each address is valid for sixteen bytes.
    unsafe {
        let bytes = narrow8([a, b, c, d]);
        _mm_storeu_si128(to[0].cast(), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128(to[1].cast(), _mm256_extracti128_si256::<1>(bytes));
    }
}
