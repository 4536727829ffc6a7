//! Products of matrices of bytes on NEON (FEAT_I8MM): an instruction multiplies two rows of eight u8 by two columns of eight s8.
//!
//! Left rows are copied in pairs: the first two units of both rows, then the next two. Columns are packed likewise, two units of
//! each before the next two. A sum of two rows and two columns is a vector.

use std::arch::aarch64::*;

use crate::dot::{Dot, SimdInt8};
use crate::isa::IsaKind;
use crate::neon::{F32x4, I32x4, bytes, simd_neon};
use crate::neon_int8::{dot_neon, int8_neon, interleaved, product_of_bytes};
use crate::simd::Simd;
use crate::vector::{IntVector, Sealed};

/// The token of [`crate::Neon`] with the instructions for products of matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NeonMatrix(pub(crate) ());

impl Sealed for NeonMatrix {}

simd_neon!(NeonMatrix, "i8mm");

/// u8 · s8: four products per lane, in tiles of pairs of rows only ([`SimdInt8::PAIRS`]).
#[derive(Clone, Copy, Debug)]
pub struct DotMatrix<S>(pub S);

int8_neon!(NeonMatrix, DotMatrix, |sum, lhs, rhs| usdot(sum, lhs, rhs), {
    const PAIRS: bool = true;
});
dot_neon!(DotMatrix<NeonMatrix>, offsets: false, |sum, lhs, rhs| usdot(sum, lhs, rhs), tile);

/// As [`Dot::tile`], for operands in pairs.
///
/// # Safety
/// As [`Dot::tile`]; rows are copied and columns packed in pairs, `units` is even, the first row is the first of a pair, and
/// the processor has FEAT_I8MM.
#[inline(always)]
unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[I32x4; VECTORS]; ROWS],
    lhs: *const u32,
    stride: usize,
    rhs: *const u32,
    units: usize,
) -> bool {
    let mut row = 0;
    // SAFETY: the rows are those of the tile; only the last pair may have one row, whose copy has two.
    unsafe {
        if VECTORS < 3 {
            while ROWS - row >= 8 {
                pairs::<4, VECTORS>(&mut sums[row..row + 8], lhs.add(row * stride), stride, rhs, units);
                row += 8;
            }
        }
        while ROWS - row >= 4 {
            pairs::<2, VECTORS>(&mut sums[row..row + 4], lhs.add(row * stride), stride, rhs, units);
            row += 4;
        }
        while ROWS > row {
            let end = ROWS.min(row + 2);
            pairs::<1, VECTORS>(&mut sums[row..end], lhs.add(row * stride), stride, rhs, units);
            row = end;
        }
    }
    true
}

/// Adds the products of `PAIRS` pairs of rows; the last one may have one row.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn pairs<const PAIRS: usize, const VECTORS: usize>(
    sums: &mut [[I32x4; VECTORS]],
    lhs: *const u32,
    stride: usize,
    rhs: *const u32,
    units: usize,
) {
    // SAFETY: the caller vouches for the operands and for FEAT_I8MM.
    unsafe {
        let zero = I32x4(vdupq_n_s32(0));
        let mut squares = [[[zero; 2]; VECTORS]; PAIRS];
        for (pair, squares) in squares.iter_mut().enumerate() {
            for (vector, squares) in squares.iter_mut().enumerate() {
                let first = sums[2 * pair][vector];
                let second = sums.get(2 * pair + 1).map_or(first, |row| row[vector]);
                *squares = halves(first, second);
            }
        }
        for step in 0..units / 2 {
            let mut columns = [[zero; 2]; VECTORS];
            for (vector, columns) in columns.iter_mut().enumerate() {
                let from = rhs.add((step * VECTORS + vector) * 8).cast::<i32>();
                *columns = [I32x4(vld1q_s32(from)), I32x4(vld1q_s32(from.add(4)))];
            }
            for (pair, squares) in squares.iter_mut().enumerate() {
                let rows = I32x4(vld1q_s32(lhs.add(2 * pair * stride + 4 * step).cast()));
                for (squares, columns) in squares.iter_mut().zip(&columns) {
                    squares[0] = usmmla(squares[0], rows, columns[0]);
                    squares[1] = usmmla(squares[1], rows, columns[1]);
                }
            }
        }
        for (pair, squares) in squares.iter().enumerate() {
            for (vector, squares) in squares.iter().enumerate() {
                let [first, second] = halves(squares[0], squares[1]);
                sums[2 * pair][vector] = first;
                if let Some(row) = sums.get_mut(2 * pair + 1) {
                    row[vector] = second;
                }
            }
        }
    }
}

/// The first halves of two vectors, and the second ones: from rows to squares and back.
#[inline(always)]
fn halves(first: I32x4, second: I32x4) -> [I32x4; 2] {
    // SAFETY: every aarch64 processor has NEON.
    #[allow(unused_unsafe, reason = "NEON is part of the target")]
    unsafe {
        let (first, second) = (vreinterpretq_s64_s32(first.0), vreinterpretq_s64_s32(second.0));
        [vzip1q_s64(first, second), vzip2q_s64(first, second)].map(|half| I32x4(vreinterpretq_s32_s64(half)))
    }
}

product_of_bytes!(usmmla, "usmmla", "i8mm", "FEAT_I8MM");
product_of_bytes!(usdot, "usdot", "i8mm", "FEAT_I8MM");
