//! WebAssembly's 128-bit vectors. A module either uses them or not, so this is decided at compile time:
//! `-C target-feature=+simd128`, and `+relaxed-simd` for fused multiply-add.

use std::arch::wasm32::*;

use crate::dot::{DotInt16, SimdInt8, SimdInt16, widen};
use crate::isa::IsaKind;
use crate::simd::Simd;
use crate::vector::{IntVector, Sealed, Vector, operators, read_four, write_four};

/// The token of WebAssembly's SIMD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Simd128(pub(crate) ());

/// Four f32.
#[derive(Clone, Copy, Debug)]
pub struct F32x4(v128);

/// Four i32.
#[derive(Clone, Copy, Debug)]
pub struct I32x4(v128);

impl Sealed for Simd128 {}
impl Sealed for F32x4 {}
impl Sealed for I32x4 {}

operators!(F32x4: f32x4_add f32x4_sub f32x4_mul f32x4_div);
operators!(I32x4 Add add i32x4_add);

impl Vector for F32x4 {
    type Mask = v128;
    type I32 = I32x4;
    const LEN: usize = 4;
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(f32x4_splat(value))
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(f32x4_relaxed_madd(self.0, factor.0, addend.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        Self(f32x4_add(f32x4_mul(self.0, factor.0), addend.0))
    }
    #[inline(always)]
    fn fused_mul_add(self, factor: Self, addend: Self) -> Self {
        let (low, doubtful_low) = fused_pair(self.0, factor.0, addend.0);
        let (high, doubtful_high) = fused_pair(high(self.0), high(factor.0), high(addend.0));
        let result = i64x2_shuffle::<0, 2>(low, high);
        let small = f32x4_lt(f32x4_abs(result), f32x4_splat(f32::MIN_POSITIVE));
        let subnormal = v128_and(small, f32x4_ne(result, f32x4_splat(0.0)));
        if v128_any_true(v128_or(subnormal, v128_or(doubtful_low, doubtful_high))) {
            return Self(fused_lanes(self.0, factor.0, addend.0));
        }
        Self(result)
    }
    #[inline(always)]
    fn round(self) -> I32x4 {
        I32x4(i32x4_trunc_sat_f32x4(f32x4_nearest(self.0)))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // With relaxed SIMD the compiler would use a relaxed instruction for pmax, which may lose NaN.
        #[cfg(target_feature = "relaxed-simd")]
        return Self(v128_bitselect(self.0, other.0, f32x4_gt(self.0, other.0)));
        // pmax(a, b) is `if a < b { b } else { a }`.
        #[cfg(not(target_feature = "relaxed-simd"))]
        Self(f32x4_pmax(other.0, self.0))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(v128_bitselect(self.0, other.0, f32x4_lt(self.0, other.0)));
        // pmin(a, b) is `if b < a { b } else { a }`.
        #[cfg(not(target_feature = "relaxed-simd"))]
        Self(f32x4_pmin(other.0, self.0))
    }
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn clamp_number(self, low: Self, high: Self) -> Self {
        Self(f32x4_relaxed_min(f32x4_relaxed_max(self.0, low.0), high.0))
    }
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn max_number(self, other: Self) -> Self {
        Self(f32x4_relaxed_max(self.0, other.0))
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        Self(f32x4_max(self.0, other.0))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(f32x4_sqrt(self.0))
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // After adding 1.5 · 2^23 the integer is in the low bits; the shift leaves it and the exponent's bias
        // only. Conversion to integers would cost several instructions, because it has to clamp.
        Self(i32x4_shl(f32x4_add(self.0, f32x4_splat(12_582_912.0 + 127.0)), 23))
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        Self(f32x4_convert_i32x4(i32x4_sub(u32x4_shr(self.0, 23), i32x4_splat(127))))
    }
    #[inline(always)]
    fn greater(self, other: Self) -> v128 {
        f32x4_gt(self.0, other.0)
    }
    #[inline(always)]
    fn select(mask: v128, yes: Self, no: Self) -> Self {
        Self(v128_bitselect(yes.0, no.0, mask))
    }
    #[inline(always)]
    fn map(self, function: impl Fn(f32) -> f32) -> Self {
        let mut lanes = [0.0f32; 4];
        // SAFETY: the array has four values.
        unsafe {
            v128_store(lanes.as_mut_ptr().cast(), self.0);
            lanes = lanes.map(function);
            Self(v128_load(lanes.as_ptr().cast()))
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: `to` is valid for four values.
        unsafe { v128_store(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: `to` is valid for `count` values, and each case stores that many.
        unsafe {
            match count {
                0 => {}
                1 => v128_store32_lane::<0>(self.0, to.cast()),
                2 => v128_store64_lane::<0>(self.0, to.cast()),
                3 => {
                    v128_store64_lane::<0>(self.0, to.cast());
                    v128_store32_lane::<2>(self.0, to.add(2).cast());
                }
                _ => v128_store(to.cast(), self.0),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_u8_part(self, to: *mut u8, count: usize) {
        // Conversions and narrowing saturate; NaN gives 0.
        let whole = i32x4_trunc_sat_f32x4(f32x4_nearest(self.0));
        let words = i16x8_narrow_i32x4(whole, whole);
        let bytes = i32x4_extract_lane::<0>(u8x16_narrow_i16x8(words, words)).to_le_bytes();
        // SAFETY: `to` is valid for `count <= 4` bytes.
        unsafe { write_four(bytes, to, count) }
    }
}

/// The last two lanes, as the first.
#[inline(always)]
fn high(vector: v128) -> v128 {
    i64x2_shuffle::<1, 1>(vector, vector)
}

/// Returns `a · b + c` of the first two lanes, and where the rounding of the sum to f64 may have led to another f32: halfway
/// between two of them. Products of f32 are exact in f64. Where the result is subnormal, it may be wrong without a sign.
#[inline(always)]
fn fused_pair(a: v128, b: v128, c: v128) -> (v128, v128) {
    /// The bits that an f64 has more than an f32.
    const EXCESS: i64 = (1 << 29) - 1;
    let product = f64x2_mul(f64x2_promote_low_f32x4(a), f64x2_promote_low_f32x4(b));
    let sum = f64x2_add(product, f64x2_promote_low_f32x4(c));
    let halfway = i64x2_eq(v128_and(sum, i64x2_splat(EXCESS)), i64x2_splat(1 << 28));
    (f32x4_demote_f64x2_zero(sum), halfway)
}

/// Returns `a · b + c` of each lane, rounded once.
#[cold]
fn fused_lanes(a: v128, b: v128, c: v128) -> v128 {
    let lanes = [a, b, c].map(|vector| {
        let mut lanes = [0.0f32; 4];
        // SAFETY: the array has four values.
        unsafe { v128_store(lanes.as_mut_ptr().cast(), vector) }
        lanes
    });
    let lane = |i: usize| lanes[0][i].mul_add(lanes[1][i], lanes[2][i]);
    f32x4(lane(0), lane(1), lane(2), lane(3))
}

/// Rounds two vectors and clamps them to bytes, in the lower half; NaN gives 0.
#[inline(always)]
fn bytes([first, second]: [F32x4; 2]) -> v128 {
    let words = i16x8_narrow_i32x4(first.round().0, second.round().0);
    u8x16_narrow_i16x8(words, words)
}

impl IntVector for I32x4 {
    type F32 = F32x4;
    #[inline(always)]
    fn to_f32(self) -> F32x4 {
        F32x4(f32x4_convert_i32x4(self.0))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: `to` is valid for four values.
        unsafe { v128_store(to.cast(), self.0) }
    }
}

impl Simd for Simd128 {
    type F32 = F32x4;
    type I32 = I32x4;
    type Bytes16 = v128;
    type Half = Self;
    const KIND: IsaKind = IsaKind::Simd128;
    // Engines compile for processors of 16 registers (x86) as well as of 32; larger tiles would spill on the
    // former.
    const REGISTERS: usize = 16;
    // A relaxed multiply-add may round twice.
    const FUSED: bool = false;
    crate::simd::outlined!();
    #[inline(always)]
    fn half(self) -> Self {
        self
    }
    #[inline(always)]
    fn splat(self, value: f32) -> F32x4 {
        F32x4(f32x4_splat(value))
    }
    #[inline(always)]
    fn splat_i32(self, value: i32) -> I32x4 {
        I32x4(i32x4_splat(value))
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> F32x4 {
        // SAFETY: `from` is valid for four values.
        F32x4(unsafe { v128_load(from.cast()) })
    }
    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> F32x4 {
        // SAFETY: `from` is valid for `count` values, and each case loads that many.
        F32x4(unsafe {
            match count {
                0 => f32x4_splat(0.0),
                1 => v128_load32_zero(from.cast()),
                2 => v128_load64_zero(from.cast()),
                3 => v128_load32_lane::<2>(v128_load64_zero(from.cast()), from.add(2).cast()),
                _ => v128_load(from.cast()),
            }
        })
    }
    #[inline(always)]
    unsafe fn load_i32(self, from: *const i32) -> I32x4 {
        // SAFETY: `from` is valid for four values.
        I32x4(unsafe { v128_load(from.cast()) })
    }
    #[inline(always)]
    unsafe fn load_bytes16(self, from: *const u8) -> v128 {
        // SAFETY: `from` is valid for sixteen bytes.
        unsafe { v128_load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_bytes16(self, bytes: v128, to: *mut u8) {
        // SAFETY: `to` is valid for sixteen bytes.
        unsafe { v128_store(to.cast(), bytes) }
    }
    #[inline(always)]
    fn max_bytes16(self, first: v128, second: v128) -> v128 {
        u8x16_max(first, second)
    }
    #[inline(always)]
    unsafe fn load_u8_part(self, from: *const u8, count: usize) -> F32x4 {
        // SAFETY: `from` is valid for `count <= 4` bytes.
        let four = unsafe { read_four(from, count) };
        let words = u16x8_extend_low_u8x16(i32x4_splat(i32::from_le_bytes(four)));
        F32x4(f32x4_convert_i32x4(u32x4_extend_low_u16x8(words)))
    }
}

impl SimdInt16 for Simd128 {
    #[inline(always)]
    fn dot2(self, sum: I32x4, lhs: I32x4, rhs: I32x4) -> I32x4 {
        I32x4(i32x4_add(sum.0, i32x4_dot_i16x8(lhs.0, rhs.0)))
    }
}

// Products of i16, as of AVX2: the relaxed product of bytes takes 7-bit values only.
impl SimdInt8 for Simd128 {
    type Quads = I32x4;
    type Product = DotInt16<Self>;
    const COPIES: bool = true;
    #[inline(always)]
    unsafe fn copy_units(self, from: *const u32, quads: usize, to: *mut u32) {
        // SAFETY: the caller vouches for the same accesses.
        unsafe { widen(from.cast(), 4 * quads, to.cast()) }
    }
    #[inline(always)]
    fn product(self) -> DotInt16<Self> {
        DotInt16(self)
    }
    #[inline(always)]
    fn splat_quad(self, quad: u32) -> I32x4 {
        self.splat_i32(quad.cast_signed())
    }
    #[inline(always)]
    unsafe fn load_quads(self, from: *const u32) -> I32x4 {
        // SAFETY: `from` is valid for four values.
        unsafe { self.load_i32(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_quads(self, quads: I32x4, to: *mut u32) {
        // SAFETY: `to` is valid for four values.
        unsafe { quads.store(to.cast()) }
    }
    #[inline(always)]
    unsafe fn store_units(self, quads: I32x4, to: *mut u32) {
        // SAFETY: `to` is valid for two vectors.
        unsafe {
            v128_store(to.cast(), v128_and(quads.0, i16x8_splat(0xff)));
            v128_store(to.add(4).cast(), u16x8_shr(quads.0, 8));
        }
    }
    #[inline(always)]
    unsafe fn interleave_rows(self, rows: [*const u8; 4], count: usize) -> I32x4 {
        // SAFETY: each row is valid for `count <= 4` bytes.
        let [a, b, c, d] = rows.map(|row| i32::from_le_bytes(unsafe { read_four(row, count) }));
        let rows = i32x4(a, b, c, d);
        I32x4(u8x16_shuffle::<0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15>(rows, rows))
    }
    #[inline(always)]
    unsafe fn store_byte_pairs(self, [first, second]: [[F32x4; 2]; 2], to: [*mut u8; 2]) {
        // SAFETY: each address is valid for eight bytes.
        unsafe {
            to[0].cast::<[u8; 8]>().write(i64x2_extract_lane::<0>(bytes(first)).to_le_bytes());
            to[1].cast::<[u8; 8]>().write(i64x2_extract_lane::<0>(bytes(second)).to_le_bytes());
        }
    }
    #[inline(always)]
    fn dot4(self, sum: I32x4, lhs: I32x4, rhs: I32x4) -> I32x4 {
        // Even and odd bytes, widened to 16 bits.
        let even = i32x4_dot_i16x8(v128_and(lhs.0, i16x8_splat(0xff)), i16x8_shr(i16x8_shl(rhs.0, 8), 8));
        let odd = i32x4_dot_i16x8(u16x8_shr(lhs.0, 8), i16x8_shr(rhs.0, 8));
        I32x4(i32x4_add(sum.0, i32x4_add(even, odd)))
    }
}
