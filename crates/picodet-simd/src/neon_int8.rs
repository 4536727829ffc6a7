//! Products of bytes on NEON: of signed bytes, with and without the dot product instructions, and of matrices.

use std::arch::aarch64::*;

use crate::dot::{Dot, SimdInt8};
use crate::isa::IsaKind;
use crate::neon::{F32x4, I32x4, Neon, bytes, simd_neon};
use crate::simd::Simd;
use crate::vector::{IntVector, Sealed, read_four};

/// The token of [`Neon`] with the dot product instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NeonDotProd(pub(crate) ());

impl Sealed for NeonDotProd {}

simd_neon!(NeonDotProd, "dotprod");

/// As [`SimdInt8::interleave_rows`].
///
/// # Safety
/// Each of `rows` is valid for reads of `count <= 4` bytes.
#[inline(always)]
pub(crate) unsafe fn interleaved(rows: [*const u8; 4], count: usize) -> I32x4 {
    // SAFETY: each row is valid for `count` bytes.
    let bytes = rows.map(|row| u64::from(u32::from_le_bytes(unsafe { read_four(row, count) })));
    // SAFETY: every aarch64 processor has NEON.
    #[allow(unused_unsafe, reason = "NEON is part of the target")]
    unsafe {
        let [a, b, c, d] = bytes.map(|row| vcreate_u8(row));
        let even = vzip1_u8(a, c);
        let odd = vzip1_u8(b, d);
        I32x4(vreinterpretq_s32_u8(vcombine_u8(vzip1_u8(even, odd), vzip2_u8(even, odd))))
    }
}

/// Implements [`SimdInt8`] for a token by its exact products u8 · s8 and the copies that its other products read.
macro_rules! int8_neon {
    ($Token:ty, $Product:ident, |$sum:ident, $lhs:ident, $rhs:ident| $exact:expr, { $($copies:tt)* }) => {
        // SAFETY of the blocks without memory accesses: the token is proof of the instructions.
        #[allow(clippy::undocumented_unsafe_blocks)]
        #[allow(unused_unsafe, reason = "NEON is part of the target")]
        impl SimdInt8 for $Token {
            type Quads = I32x4;
            type Product = $Product<Self>;
            const COPIES: bool = true;
            #[inline(always)]
            fn product(self) -> $Product<Self> {
                $Product(self)
            }
            $($copies)*
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
    };
}
pub(crate) use int8_neon;

/// Implements [`Dot`] for the products of a token.
macro_rules! dot_neon {
    (
        $Product:ident<$Token:ty>,
        offsets: $offsets:literal,
        |$sum:ident, $lhs:ident, $rhs:ident| $dot:expr,
        $tile:path
    ) => {
        // SAFETY of the blocks without memory accesses: the token is proof of the instructions.
        #[allow(clippy::undocumented_unsafe_blocks)]
        #[allow(unused_unsafe, reason = "NEON is part of the target")]
        impl Dot for $Product<$Token> {
            type Simd = $Token;
            type Unit = u32;
            type Units = I32x4;
            type Sum = I32x4;
            const DEPTH: usize = 4;
            const HAS_OFFSETS: bool = $offsets;
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
                // SAFETY: `from` is valid for a vector of i32 if there are offsets.
                if $offsets { unsafe { sum + self.0.load_i32(from.cast()) } } else { sum }
            }
            #[inline(always)]
            fn dot(self, $sum: I32x4, $lhs: I32x4, $rhs: I32x4) -> I32x4 {
                unsafe { $dot }
            }
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
        }
    };
}
pub(crate) use dot_neon;

/// Implements [`SimdInt8`] and [`Dot`] for a token that multiplies signed bytes.
macro_rules! signed_neon {
    ($Token:ty, |$sum:ident, $lhs:ident, $rhs:ident| $exact:expr, $signed:expr, $tile:path) => {
        int8_neon!($Token, DotSigned, |$sum, $lhs, $rhs| $exact, {
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
            unsafe fn store_units(self, quads: I32x4, to: *mut u32) {
                // SAFETY: `to` is valid for a vector.
                unsafe { signed(quads).store(to.cast()) }
            }
        });
        dot_neon!(DotSigned<$Token>, offsets: true, |$sum, $lhs, $rhs| $signed, $tile);
    };
}

signed_neon!(
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

signed_neon!(
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

/// Defines a function for an instruction that adds products of bytes to four sums, and whose intrinsic is not stable yet.
macro_rules! product_of_bytes {
    ($name:ident, $instruction:literal, $extension:literal, $feature:literal) => {
        #[doc = concat!("`", $instruction, "`.")]
        ///
        /// # Safety
        #[doc = concat!("The processor has ", $feature, ".")]
        #[inline(always)]
        unsafe fn $name(mut sum: I32x4, lhs: I32x4, rhs: I32x4) -> I32x4 {
            // SAFETY: the instruction changes no register but `sum`, and the processor has it.
            unsafe {
                std::arch::asm!(
                    concat!(".arch_extension ", $extension),
                    concat!($instruction, " {sum:v}.4s, {lhs:v}.16b, {rhs:v}.16b"),
                    sum = inout(vreg) sum.0,
                    lhs = in(vreg) lhs.0,
                    rhs = in(vreg) rhs.0,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            sum
        }
    };
}
pub(crate) use product_of_bytes;

product_of_bytes!(sdot, "sdot", "dotprod", "FEAT_DotProd");
