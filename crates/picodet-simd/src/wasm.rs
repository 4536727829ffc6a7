//! WebAssembly's 128-bit vectors. A module either uses them or not, so this is decided at compile time:
//! `-C target-feature=+simd128`, and `+relaxed-simd` for fused multiply-add.

use std::arch::wasm32::*;

use crate::dot::{DotInt8, SimdInt8};
use crate::isa::IsaKind;
use crate::simd::Simd;
use crate::vector::{IntVector, Sealed, Vector, operators};

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
        let ([mut a, mut b, mut c], lanes) = ([[0.0f32; 4]; 3], [self, factor, addend]);
        for (array, vector) in [&mut a, &mut b, &mut c].into_iter().zip(lanes) {
            // SAFETY: the array has four values.
            unsafe { v128_store(array.as_mut_ptr().cast(), vector.0) }
        }
        let lane = |i: usize| a[i].mul_add(b[i], c[i]);
        Self(f32x4(lane(0), lane(1), lane(2), lane(3)))
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
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, count) }
    }
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
}

impl SimdInt8 for Simd128 {
    type Quads = I32x4;
    type Product = DotInt8<Self>;
    #[inline(always)]
    fn product(self) -> DotInt8<Self> {
        DotInt8(self)
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
    fn dot4(self, sum: I32x4, lhs: I32x4, rhs: I32x4) -> I32x4 {
        // Even and odd bytes, widened to 16 bits. The relaxed dot product takes 7-bit values only.
        let even = i32x4_dot_i16x8(v128_and(lhs.0, i16x8_splat(0xff)), i16x8_shr(i16x8_shl(rhs.0, 8), 8));
        let odd = i32x4_dot_i16x8(u16x8_shr(lhs.0, 8), i16x8_shr(rhs.0, 8));
        I32x4(i32x4_add(sum.0, i32x4_add(even, odd)))
    }
}
