//! NEON, which every 64-bit ARM processor that Rust's targets allow has.

use std::arch::aarch64::*;

use crate::isa::IsaKind;
use crate::simd::Simd;
use crate::vector::{IntVector, Sealed, Vector, operators, write_four};

/// The token of NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Neon(pub(crate) ());

/// Four f32.
#[derive(Clone, Copy, Debug)]
pub struct F32x4(pub(crate) float32x4_t);

/// Four i32.
#[derive(Clone, Copy, Debug)]
pub struct I32x4(pub(crate) int32x4_t);

impl Sealed for Neon {}
impl Sealed for F32x4 {}
impl Sealed for I32x4 {}

operators!(F32x4: vaddq_f32 vsubq_f32 vmulq_f32 vdivq_f32);
operators!(I32x4 Add add vaddq_s32);

// SAFETY of the blocks without memory accesses: every aarch64 processor has NEON.
#[allow(clippy::undocumented_unsafe_blocks)]
#[allow(unused_unsafe, reason = "NEON is part of the target")]
impl Vector for F32x4 {
    type Mask = uint32x4_t;
    type I32 = I32x4;
    const LEN: usize = 4;
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(unsafe { vdupq_n_f32(value) })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { vfmaq_f32(addend.0, self.0, factor.0) })
    }
    #[inline(always)]
    fn fused_mul_add(self, factor: Self, addend: Self) -> Self {
        self.mul_add(factor, addend)
    }
    #[inline(always)]
    fn round(self) -> I32x4 {
        I32x4(unsafe { vcvtnq_s32_f32(self.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { vbslq_f32(vcgtq_f32(self.0, other.0), self.0, other.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(unsafe { vbslq_f32(vcltq_f32(self.0, other.0), self.0, other.0) })
    }
    #[inline(always)]
    fn clamp_magnitude(self, most: f32) -> Self {
        Self(unsafe { vminq_f32(vdupq_n_f32(most), vmaxq_f32(vdupq_n_f32(-most), self.0)) })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        Self(unsafe { vmaxq_f32(self.0, other.0) })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { vsqrtq_f32(self.0) })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        unsafe {
            let exponent = vaddq_s32(vcvtq_s32_f32(self.0), vdupq_n_s32(127));
            Self(vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        unsafe {
            let biased = vreinterpretq_s32_u32(vshrq_n_u32::<23>(vreinterpretq_u32_f32(self.0)));
            Self(vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127))))
        }
    }
    #[inline(always)]
    fn greater(self, other: Self) -> uint32x4_t {
        unsafe { vcgtq_f32(self.0, other.0) }
    }
    #[inline(always)]
    fn select(mask: uint32x4_t, yes: Self, no: Self) -> Self {
        Self(unsafe { vbslq_f32(mask, yes.0, no.0) })
    }
    #[inline(always)]
    fn map(self, function: impl Fn(f32) -> f32) -> Self {
        let mut lanes = [0.0f32; 4];
        // SAFETY: the array has four values.
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), self.0);
            lanes = lanes.map(function);
            Self(vld1q_f32(lanes.as_ptr()))
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: `to` is valid for four values.
        unsafe { vst1q_f32(to, self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: `to` is valid for `count` values, and each case stores that many.
        unsafe {
            match count {
                0 => {}
                1 => vst1q_lane_f32::<0>(to, self.0),
                2 => vst1_f32(to, vget_low_f32(self.0)),
                3 => {
                    vst1_f32(to, vget_low_f32(self.0));
                    vst1q_lane_f32::<2>(to.add(2), self.0);
                }
                _ => vst1q_f32(to, self.0),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_u8_part(self, to: *mut u8, count: usize) {
        // SAFETY: `to` has room for `count <= 4` bytes.
        unsafe {
            let four = vget_lane_u32::<0>(vreinterpret_u32_u8(bytes([self, self])));
            write_four(four.to_le_bytes(), to, count);
        }
    }
}

// SAFETY of the block without memory accesses: every aarch64 processor has NEON.
#[allow(clippy::undocumented_unsafe_blocks)]
#[allow(unused_unsafe, reason = "NEON is part of the target")]
impl IntVector for I32x4 {
    type F32 = F32x4;
    #[inline(always)]
    fn to_f32(self) -> F32x4 {
        F32x4(unsafe { vcvtq_f32_s32(self.0) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: `to` is valid for four values.
        unsafe { vst1q_s32(to, self.0) }
    }
}

/// Implements [`Simd`] for a token that includes NEON.
macro_rules! simd_neon {
    ($Token:ty $(, $features:literal)?) => {
        // SAFETY of the blocks without memory accesses: every aarch64 processor has NEON.
        #[allow(clippy::undocumented_unsafe_blocks)]
        #[allow(unused_unsafe, reason = "NEON is part of the target")]
        impl Simd for $Token {
            type F32 = F32x4;
            type I32 = I32x4;
            type Bytes16 = uint8x16_t;
            type Half = Self;
            const KIND: IsaKind = IsaKind::Neon;
            const REGISTERS: usize = 32;
            const FUSED: bool = true;
            $crate::simd::outlined!($($features)?);
            #[inline(always)]
            fn half(self) -> Self {
                self
            }
            #[inline(always)]
            fn splat(self, value: f32) -> F32x4 {
                F32x4(unsafe { vdupq_n_f32(value) })
            }
            #[inline(always)]
            fn splat_i32(self, value: i32) -> I32x4 {
                I32x4(unsafe { vdupq_n_s32(value) })
            }
            #[inline(always)]
            unsafe fn load(self, from: *const f32) -> F32x4 {
                // SAFETY: `from` is valid for four values.
                F32x4(unsafe { vld1q_f32(from) })
            }
            #[inline(always)]
            unsafe fn load_part(self, from: *const f32, count: usize) -> F32x4 {
                // SAFETY: `from` is valid for `count` values, and each case loads that many.
                F32x4(unsafe {
                    let zeros = vdupq_n_f32(0.0);
                    match count {
                        0 => zeros,
                        1 => vld1q_lane_f32::<0>(from, zeros),
                        2 => vcombine_f32(vld1_f32(from), vdup_n_f32(0.0)),
                        3 => {
                            let first = vcombine_f32(vld1_f32(from), vdup_n_f32(0.0));
                            vld1q_lane_f32::<2>(from.add(2), first)
                        }
                        _ => vld1q_f32(from),
                    }
                })
            }
            #[inline(always)]
            unsafe fn load_i32(self, from: *const i32) -> I32x4 {
                // SAFETY: `from` is valid for four values.
                I32x4(unsafe { vld1q_s32(from) })
            }
            #[inline(always)]
            unsafe fn load_u8_part(self, from: *const u8, count: usize) -> F32x4 {
                // SAFETY: `from` is valid for `count <= 4` bytes.
                F32x4(unsafe {
                    let four = $crate::vector::read_four(from, count);
                    let words = vmovl_u8(vcreate_u8(u64::from(u32::from_le_bytes(four))));
                    vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)))
                })
            }
            #[inline(always)]
            unsafe fn load_bytes16(self, from: *const u8) -> uint8x16_t {
                // SAFETY: `from` is valid for sixteen bytes.
                unsafe { vld1q_u8(from) }
            }
            #[inline(always)]
            unsafe fn store_bytes16(self, bytes: uint8x16_t, to: *mut u8) {
                // SAFETY: `to` is valid for sixteen bytes.
                unsafe { vst1q_u8(to, bytes) }
            }
            #[inline(always)]
            fn max_bytes16(self, first: uint8x16_t, second: uint8x16_t) -> uint8x16_t {
                unsafe { vmaxq_u8(first, second) }
            }
            #[inline(always)]
            unsafe fn tile_f32<const ROWS: usize, const VECTORS: usize>(
                self,
                sums: &mut [[F32x4; VECTORS]; ROWS],
                lhs: *const f32,
                stride: usize,
                rhs: *const f32,
                units: usize,
            ) -> bool {
                // SAFETY: the caller vouches for the same accesses.
                unsafe { $crate::neon_tile::float::tile(sums, lhs, stride, rhs, units) }
            }
        }
    };
}
pub(crate) use simd_neon;
simd_neon!(Neon);

/// Rounds two vectors and clamps them to bytes; NaN gives 0.
#[inline(always)]
pub(crate) fn bytes([first, second]: [F32x4; 2]) -> uint8x8_t {
    // SAFETY: a value of this type is proof of NEON. Conversions and narrowing saturate.
    #[allow(unused_unsafe, reason = "NEON is part of the target")]
    unsafe {
        let first = vqmovn_u32(vcvtnq_u32_f32(first.0));
        vqmovn_u16(vcombine_u16(first, vqmovn_u32(vcvtnq_u32_f32(second.0))))
    }
}
