//! NEON with arithmetic in f16 (FEAT_FP16).
#![allow(unknown_lints, reason = "the next one is new")]
#![allow(
    inline_always_mismatching_target_features,
    reason = "the instructions are inlined where `Simd::outlined` enables them"
)]

use std::arch::aarch64::*;
use std::ops::{Add, Mul};

use crate::f16::{HalfVector, SimdF16};
use crate::isa::IsaKind;
use crate::neon::{F32x4, I32x4, simd_neon};
use crate::simd::Simd;
use crate::vector::Sealed;

/// The token of NEON with FEAT_FP16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NeonF16(pub(crate) ());

/// Eight f16.
#[derive(Clone, Copy, Debug)]
pub struct F16x8(pub(crate) float16x8_t);

impl Sealed for NeonF16 {}
impl Sealed for F16x8 {}

simd_neon!(NeonF16, "fp16");

impl Add for F16x8 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: a value of this type is proof of FEAT_FP16.
        Self(unsafe { vaddq_f16(self.0, other.0) })
    }
}

impl Mul for F16x8 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: a value of this type is proof of FEAT_FP16.
        Self(unsafe { vmulq_f16(self.0, other.0) })
    }
}

// SAFETY of the blocks without memory accesses: a value of this type is proof of FEAT_FP16.
#[allow(clippy::undocumented_unsafe_blocks)]
impl HalfVector for F16x8 {
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self(unsafe { vdupq_lane_f16::<0>(vcvt_f16_f32(vdupq_n_f32(value))) })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { vfmaq_f16(addend.0, self.0, factor.0) })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        Self(unsafe { vmaxq_f16(self.0, other.0) })
    }
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        Self(unsafe { vminq_f16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u16) {
        // SAFETY: `to` is valid for eight values.
        unsafe { vst1q_u16(to, vreinterpretq_u16_f16(self.0)) }
    }
}

// SAFETY of the blocks without memory accesses: the token is proof of FEAT_FP16.
#[allow(clippy::undocumented_unsafe_blocks)]
impl SimdF16 for NeonF16 {
    type F16 = F16x8;
    #[inline(always)]
    fn splat_bits(self, bits: u16) -> F16x8 {
        F16x8(unsafe { vreinterpretq_f16_u16(vdupq_n_u16(bits)) })
    }
    #[inline(always)]
    unsafe fn load_half(self, from: *const u16) -> F16x8 {
        // SAFETY: `from` is valid for eight values.
        F16x8(unsafe { vreinterpretq_f16_u16(vld1q_u16(from)) })
    }
    #[inline(always)]
    fn widen(self, half: F16x8) -> [F32x4; 2] {
        unsafe {
            let (low, high) = (vget_low_f16(half.0), vget_high_f16(half.0));
            [F32x4(vcvt_f32_f16(low)), F32x4(vcvt_f32_f16(high))]
        }
    }
    #[inline(always)]
    fn narrow(self, [low, high]: [F32x4; 2]) -> F16x8 {
        F16x8(unsafe { vcombine_f16(vcvt_f16_f32(low.0), vcvt_f16_f32(high.0)) })
    }
    #[inline(always)]
    unsafe fn tile_f16<const ROWS: usize, const VECTORS: usize>(
        self,
        sums: &mut [[F16x8; VECTORS]; ROWS],
        lhs: *const u16,
        stride: usize,
        rhs: *const u16,
        units: usize,
    ) -> bool {
        // SAFETY: the caller vouches for the same accesses, and the token is proof of FEAT_FP16.
        unsafe { crate::neon_tile::half::tile(sums, lhs, stride, rhs, units) }
    }
}
