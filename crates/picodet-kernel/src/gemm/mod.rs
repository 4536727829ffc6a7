//! Matrix products of feature rows by packed weights: pointwise convolutions, dense convolutions over a
//! padded copy of their rows, linear layers, and the products of the trainer.
//!
//! `out[p][n] = epilogue(bias[n] + Σ_k a[p][k] · b[k][n])`. The left-hand matrix is read in place, row by
//! row, in ranges of columns; the right-hand one is packed in panels of one to three vectors ([`pack()`]). One
//! loop (`tile`) serves f32, bf16, f16 and bytes, through [`picodet_simd::Dot`].

mod accumulate;
mod bf16;
mod epilogue;
mod f16;
mod int8;
mod int8_column;
mod pack;
mod requantise;
mod tile;

use std::mem::MaybeUninit;

use picodet_simd::{DotF32, Isa, Kernel, Simd, Vector, dispatch};

pub use accumulate::{Matrix, Sums, multiply};
pub use bf16::{GemmBf16, gemm_bf16, scratch_len};
pub use epilogue::Activate;
pub(crate) use epilogue::{MOST, unrolled};
pub use f16::{GemmF16, f16_scratch_len, gemm_f16};
pub use int8::{GemmInt8, gemm_int8};
pub use int8_column::gemm_column_int8;
pub use pack::{pack, pack_bf16, pack_column_int8, pack_f16, pack_int8, panels};
pub use requantise::Requantise;
use tile::{Lhs, block};

use crate::tuning;

/// Bytes of the left-hand matrix that all panels are applied to before the next rows are read: a part of a
/// level-2 cache.
const BLOCK_BYTES: usize = 192 << 10;

/// Bytes of copies of left rows: a part of a level-1 cache.
const COPIED_BYTES: usize = 20 << 10;

/// Arguments of [`gemm`].
#[derive(Clone, Copy, Debug)]
pub struct Gemm<'a> {
    /// First row of the left-hand matrix.
    pub a: *const f32,
    /// Elements from one left row to the next.
    pub a_stride: usize,
    /// The columns of a left row that take part: first and number, in the order of the packed rows.
    pub ranges: &'a [(usize, usize)],
    /// Rows of the left-hand matrix and of the result.
    pub rows: usize,
    /// Packed by [`pack()`].
    pub b: &'a [f32],
    /// The use of the sums.
    pub epilogue: Activate<'a>,
}

/// Multiplies f32 matrices.
///
/// # Safety
/// * `a` is valid for reads of the ranges of `rows` rows,
/// * `epilogue.out` is valid for writes, and `epilogue.residual`, unless null, for reads of
///   `epilogue.columns` elements in each of `rows` rows,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights or bias are not packed in whole vectors.
pub unsafe fn gemm(isa: Isa, args: &Gemm<'_>) {
    let k: usize = args.ranges.iter().map(|range| range.1).sum();
    let padded = args.epilogue.columns.next_multiple_of(isa.lanes());
    assert!(
        args.b.len() >= k * padded && args.epilogue.bias.len() >= padded,
        "weights are packed in whole vectors"
    );
    dispatch(isa, args);
}

impl Gemm<'_> {
    /// Multiplies copies of the left rows, whose `k` columns are neighbours there.
    #[inline(always)]
    fn copied<S: Simd>(&self, s: S, k: usize) {
        let mut copies = [const { MaybeUninit::<f32>::uninit() }; COPIED_BYTES / 4];
        let copies: *mut f32 = copies.as_mut_ptr().cast();
        let count = COPIED_BYTES / 4 / k / 24 * 24;
        for start in (0..self.rows).step_by(count) {
            let rows = count.min(self.rows - start);
            // SAFETY: rows `start..start + rows` are below `self.rows`, for which `gemm`'s caller vouches, and the copies have
            // room for them; `gemm` has checked the lengths of weights and bias.
            unsafe {
                for row in 0..rows {
                    let mut to = copies.add(row * k);
                    for &(first, len) in self.ranges {
                        let from = self.a.add((start + row) * self.a_stride + first);
                        let whole = len / S::LEN * S::LEN;
                        for i in (0..whole).step_by(S::LEN) {
                            s.load(from.add(i)).store(to.add(i));
                        }
                        for i in whole..len {
                            *to.add(i) = *from.add(i);
                        }
                        to = to.add(len);
                    }
                }
                let ranges = [(0, k)];
                let lhs = Lhs { start: copies.cast_const(), stride: k, ranges: &ranges, prefetched: false };
                block(DotF32(s), lhs, self.b, self.epilogue.columns, (start, rows), &self.epilogue);
            }
        }
    }
}

impl Kernel for &Gemm<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let k: usize = self.ranges.iter().map(|range| range.1).sum();
        if tuning::copies_rows::<S>() && self.ranges.len() > 1 && (1..=COPIED_BYTES / 4 / 24).contains(&k) {
            return self.copied(s, k);
        }
        let rows = (BLOCK_BYTES / 4 / k.max(1)).max(24) / 24 * 24;
        let mut start = 0;
        while start < self.rows {
            let count = rows.min(self.rows - start);
            // SAFETY: rows `start..start + count` are below `self.rows`, for which `gemm`'s caller vouches;
            // `gemm` has checked the lengths of weights and bias.
            unsafe {
                let first = self.a.add(start * self.a_stride);
                let lhs = Lhs { start: first, stride: self.a_stride, ranges: self.ranges, prefetched: true };
                block(DotF32(s), lhs, self.b, self.epilogue.columns, (start, count), &self.epilogue);
            }
            start += count;
        }
    }
}
