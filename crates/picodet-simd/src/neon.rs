//! NEON, which every 64-bit ARM processor that Rust's targets allow has.

use std::arch::aarch64::*;

use crate::dot::{Dot, SimdInt8};
use crate::isa::IsaKind;
use crate::simd::Simd;
use crate::vector::{IntVector, Sealed, Vector, operators};

/// The token of NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Neon(pub(crate) ());

/// The token of [`Neon`] with the dot product instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NeonDotProd(pub(crate) ());

/// Four f32.
#[derive(Clone, Copy, Debug)]
pub struct F32x4(pub(crate) float32x4_t);

/// Four i32.
#[derive(Clone, Copy, Debug)]
pub struct I32x4(pub(crate) int32x4_t);

impl Sealed for Neon {}
impl Sealed for NeonDotProd {}
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
        // SAFETY: the array has four bytes, and `to` has room for `count <= 4`.
        unsafe {
            let four = vget_lane_u32::<0>(vreinterpret_u32_u8(bytes([self, self])));
            if count == 4 {
                to.cast::<u32>().write_unaligned(four);
            } else {
                std::ptr::copy_nonoverlapping(four.to_le_bytes().as_ptr(), to, count);
            }
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
                // SAFETY: `from` is valid for `count <= 4` bytes, and the array has four.
                F32x4(unsafe {
                    let mut four = [0u8; 4];
                    if count == 4 {
                        four = from.cast::<[u8; 4]>().read();
                    } else {
                        std::ptr::copy_nonoverlapping(from, four.as_mut_ptr(), count);
                    }
                    let words = vmovl_u8(vcreate_u8(u64::from(u32::from_le_bytes(four))));
                    vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)))
                })
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
simd_neon!(NeonDotProd, "dotprod");

/// Rounds two vectors and clamps them to bytes; NaN gives 0.
#[inline(always)]
fn bytes([first, second]: [F32x4; 2]) -> uint8x8_t {
    // SAFETY: a value of this type is proof of NEON. Conversions and narrowing saturate.
    #[allow(unused_unsafe, reason = "NEON is part of the target")]
    unsafe {
        let first = vqmovn_u32(vcvtnq_u32_f32(first.0));
        vqmovn_u16(vcombine_u16(first, vqmovn_u32(vcvtnq_u32_f32(second.0))))
    }
}

/// As [`SimdInt8::interleave_rows`].
///
/// # Safety
/// Each of `rows` is valid for reads of `count <= 4` bytes.
#[inline(always)]
unsafe fn interleaved(rows: [*const u8; 4], count: usize) -> I32x4 {
    let mut bytes = [[0u8; 4]; 4];
    for (row, bytes) in rows.iter().zip(&mut bytes) {
        // SAFETY: the row is valid for `count` bytes, and there is room for four.
        unsafe {
            if count == 4 {
                *bytes = row.cast::<[u8; 4]>().read();
            } else {
                std::ptr::copy_nonoverlapping(*row, bytes.as_mut_ptr(), count);
            }
        }
    }
    // SAFETY: every aarch64 processor has NEON.
    #[allow(unused_unsafe, reason = "NEON is part of the target")]
    unsafe {
        let [a, b, c, d] = bytes.map(|row| vcreate_u8(u64::from(u32::from_le_bytes(row))));
        let even = vzip1_u8(a, c);
        let odd = vzip1_u8(b, d);
        I32x4(vreinterpretq_s32_u8(vcombine_u8(vzip1_u8(even, odd), vzip2_u8(even, odd))))
    }
}

/// Implements [`SimdInt8`] for a token by its exact products u8 · s8, and [`Dot`] for [`DotSigned`] by the products s8 · s8.
macro_rules! int8_neon {
    ($Token:ty, |$sum:ident, $lhs:ident, $rhs:ident| $exact:expr, $signed:expr $(, $tile:path)?) => {
        // SAFETY of the blocks without memory accesses: the token is proof of the instructions.
        #[allow(clippy::undocumented_unsafe_blocks)]
        #[allow(unused_unsafe, reason = "NEON is part of the target")]
        impl SimdInt8 for $Token {
            type Quads = I32x4;
            type Product = DotSigned<Self>;
            const COPIES: bool = true;
            #[inline(always)]
            unsafe fn copy_units(self, from: *const u32, quads: usize, to: *mut u32) {
                // SAFETY: both are valid for `quads` quads.
                unsafe {
                    let whole = quads / 4 * 4;
                    for quad in (0..whole).step_by(4) {
                        signed(self.load_i32(from.add(quad).cast())).store(to.add(quad).cast());
                    }
                    for quad in whole..quads {
                        to.add(quad).write(from.add(quad).read_unaligned() ^ 0x8080_8080);
                    }
                }
            }
            #[inline(always)]
            fn product(self) -> DotSigned<Self> {
                DotSigned(self)
            }
            #[inline(always)]
            unsafe fn store_units(self, quads: I32x4, to: *mut u32) {
                // SAFETY: `to` is valid for a vector.
                unsafe { signed(quads).store(to.cast()) }
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
            unsafe fn interleave_rows(self, rows: [*const u8; 4], count: usize) -> I32x4 {
                // SAFETY: the caller vouches for the same accesses.
                unsafe { interleaved(rows, count) }
            }
            const TOGETHER: usize = 4;
            #[inline(always)]
            unsafe fn store_interleaved(self, rows: [*const u8; 4], to: *mut u32, apart: usize) {
                // SAFETY: the rows are valid for sixteen bytes, and each destination for a vector.
                unsafe {
                    let [a, b, c, d] =
                        [vld1q_u8(rows[0]), vld1q_u8(rows[1]), vld1q_u8(rows[2]), vld1q_u8(rows[3])];
                    let first = (vzip1q_u8(a, c), vzip1q_u8(b, d));
                    let last = (vzip2q_u8(a, c), vzip2q_u8(b, d));
                    let quads = [
                        vzip1q_u8(first.0, first.1),
                        vzip2q_u8(first.0, first.1),
                        vzip1q_u8(last.0, last.1),
                        vzip2q_u8(last.0, last.1),
                    ];
                    self.store_units(I32x4(vreinterpretq_s32_u8(quads[0])), to);
                    self.store_units(I32x4(vreinterpretq_s32_u8(quads[1])), to.add(apart));
                    self.store_units(I32x4(vreinterpretq_s32_u8(quads[2])), to.add(2 * apart));
                    self.store_units(I32x4(vreinterpretq_s32_u8(quads[3])), to.add(3 * apart));
                }
            }
            #[inline(always)]
            unsafe fn store_bytes(self, [a, b, c, d]: [F32x4; 4], to: [*mut u8; 4]) {
                // SAFETY: each address is valid for four bytes.
                unsafe {
                    let first = vreinterpret_u32_u8(bytes([a, b]));
                    let last = vreinterpret_u32_u8(bytes([c, d]));
                    to[0].cast::<u32>().write_unaligned(vget_lane_u32::<0>(first));
                    to[1].cast::<u32>().write_unaligned(vget_lane_u32::<1>(first));
                    to[2].cast::<u32>().write_unaligned(vget_lane_u32::<0>(last));
                    to[3].cast::<u32>().write_unaligned(vget_lane_u32::<1>(last));
                }
            }
            #[inline(always)]
            unsafe fn store_byte_pairs(self, [first, second]: [[F32x4; 2]; 2], to: [*mut u8; 2]) {
                // SAFETY: each address is valid for eight bytes.
                unsafe {
                    vst1_u8(to[0], bytes(first));
                    vst1_u8(to[1], bytes(second));
                }
            }
            #[inline(always)]
            fn dot4(self, $sum: I32x4, $lhs: I32x4, $rhs: I32x4) -> I32x4 {
                unsafe { $exact }
            }
        }

        // SAFETY of the blocks without memory accesses: the token is proof of the instructions.
        #[allow(clippy::undocumented_unsafe_blocks)]
        #[allow(unused_unsafe, reason = "NEON is part of the target")]
        impl Dot for DotSigned<$Token> {
            type Simd = $Token;
            type Unit = u32;
            type Units = I32x4;
            type Sum = I32x4;
            const DEPTH: usize = 4;
            const HAS_OFFSETS: bool = true;
            #[inline(always)]
            fn simd(self) -> $Token {
                self.0
            }
            #[inline(always)]
            fn splat(self, unit: u32) -> I32x4 {
                self.0.splat_i32(unit.cast_signed())
            }
            #[inline(always)]
            fn zero_units(self) -> I32x4 {
                self.0.splat_i32(0)
            }
            #[inline(always)]
            fn zero(self) -> I32x4 {
                self.0.splat_i32(0)
            }
            #[inline(always)]
            unsafe fn load_units(self, from: *const u32) -> I32x4 {
                // SAFETY: `from` is valid for a vector.
                unsafe { self.0.load_i32(from.cast()) }
            }
            #[inline(always)]
            unsafe fn load_sum(self, from: *const u32) -> I32x4 {
                // SAFETY: `from` is valid for a vector of i32.
                unsafe { self.0.load_i32(from.cast()) }
            }
            #[inline(always)]
            unsafe fn offset(self, sum: I32x4, from: *const u32) -> I32x4 {
                // SAFETY: `from` is valid for a vector of i32.
                unsafe { sum + self.0.load_i32(from.cast()) }
            }
            #[inline(always)]
            fn dot(self, $sum: I32x4, $lhs: I32x4, $rhs: I32x4) -> I32x4 {
                unsafe { $signed }
            }
            $(
                #[inline(always)]
                unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
                    self,
                    sums: &mut [[I32x4; VECTORS]; ROWS],
                    lhs: *const u32,
                    stride: usize,
                    rhs: *const u32,
                    units: usize,
                ) -> bool {
                    // SAFETY: the caller vouches for the same accesses; the token is proof of the instructions.
                    unsafe { $tile(sums, lhs, stride, rhs, units) }
                }
            )?
        }
    };
}

int8_neon!(
    Neon,
    |sum, lhs, rhs| {
        let lhs = vreinterpretq_u8_s32(lhs.0);
        let rhs = vreinterpretq_s8_s32(rhs.0);
        // u8 · s8 fits 16 bits: 255 · -128 = -32640.
        let wide = |bytes: uint8x8_t| vreinterpretq_s16_u16(vmovl_u8(bytes));
        let low = vmulq_s16(wide(vget_low_u8(lhs)), vmovl_s8(vget_low_s8(rhs)));
        let high = vmulq_s16(wide(vget_high_u8(lhs)), vmovl_s8(vget_high_s8(rhs)));
        I32x4(vaddq_s32(sum.0, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high))))
    },
    {
        let (lhs, rhs) = (vreinterpretq_s8_s32(lhs.0), vreinterpretq_s8_s32(rhs.0));
        // The sum of two products fits 16 bits, as no weight is -128: 2 · -128 · ±127 = ∓32512.
        let pairs = vpaddq_s16(vmull_s8(vget_low_s8(lhs), vget_low_s8(rhs)), vmull_high_s8(lhs, rhs));
        I32x4(vpadalq_s16(sum.0, pairs))
    },
    rows_of_four
);

int8_neon!(
    NeonDotProd,
    |sum, lhs, rhs| {
        let half = I32x4(vreinterpretq_s32_s8(vdupq_n_s8(64)));
        sdot(sdot(sdot(sum, signed(lhs), rhs), half, rhs), half, rhs)
    },
    sdot(sum, lhs, rhs),
    crate::neon_tile::bytes::tile
);

/// As [`Dot::tile`], four rows at a time: the products of more need more registers than there are.
///
/// # Safety
/// As [`Dot::tile`].
#[inline(always)]
unsafe fn rows_of_four<const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[I32x4; VECTORS]; ROWS],
    lhs: *const u32,
    stride: usize,
    rhs: *const u32,
    units: usize,
) -> bool {
    let dot = DotSigned(Neon(()));
    let (fours, rest) = sums.as_chunks_mut::<4>();
    // SAFETY: the rows of the chunks are those of the tile.
    unsafe {
        for (i, four) in fours.iter_mut().enumerate() {
            add_products(dot, four, lhs.add(4 * i * stride), stride, rhs, units);
        }
        for (i, row) in rest.iter_mut().enumerate() {
            let lhs = lhs.add((4 * fours.len() + i) * stride);
            add_products(dot, std::array::from_mut(row), lhs, stride, rhs, units);
        }
    }
    true
}

/// Adds the products of all rows, whose sums registers hold, and of a panel.
///
/// # Safety
/// As [`Dot::tile`].
#[inline(always)]
unsafe fn add_products<D: Dot, const ROWS: usize, const VECTORS: usize>(
    dot: D,
    sums: &mut [[D::Sum; VECTORS]; ROWS],
    lhs: *const D::Unit,
    stride: usize,
    rhs: *const D::Unit,
    units: usize,
) {
    let mut kept = *sums;
    for unit in 0..units {
        // SAFETY: `unit` is below `units`, for which rows and panel are valid.
        unsafe {
            let mut right = [dot.zero_units(); VECTORS];
            for (vector, right) in right.iter_mut().enumerate() {
                *right = dot.load_units(rhs.add((unit * VECTORS + vector) * D::LEN));
            }
            for (row, kept) in kept.iter_mut().enumerate() {
                let left = dot.splat(dot.load_unit(lhs.add(row * stride + unit)));
                for (kept, &right) in kept.iter_mut().zip(&right) {
                    *kept = dot.dot(*kept, left, right);
                }
            }
        }
    }
    *sums = kept;
}

/// Subtracts 128 from each byte.
#[inline(always)]
fn signed(quads: I32x4) -> I32x4 {
    // SAFETY: a value of this type is proof of NEON.
    #[allow(unused_unsafe, reason = "NEON is part of the target")]
    unsafe {
        I32x4(veorq_s32(quads.0, vreinterpretq_s32_u8(vdupq_n_u8(0x80))))
    }
}

/// s8 · s8: four products per lane, summed in i32: u · s = (u - 128) · s + 128 · s. The units of left rows are the bytes of maps
/// minus 128; the offsets are 128 times the sums of weights, none of which is -128.
#[derive(Clone, Copy, Debug)]
pub struct DotSigned<S>(pub S);

/// SDOT, whose intrinsic is not stable yet.
///
/// # Safety
/// The processor has FEAT_DotProd.
#[inline(always)]
unsafe fn sdot(mut sum: I32x4, lhs: I32x4, rhs: I32x4) -> I32x4 {
    // SAFETY: the instruction changes no register but `sum`, and the processor has it.
    unsafe {
        std::arch::asm!(
            ".arch_extension dotprod",
            "sdot {sum:v}.4s, {lhs:v}.16b, {rhs:v}.16b",
            sum = inout(vreg) sum.0,
            lhs = in(vreg) lhs.0,
            rhs = in(vreg) rhs.0,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
