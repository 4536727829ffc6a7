//! Matrix products of u8 by s8, summed in i32 and requantised.

use std::mem::MaybeUninit;

use picodet_simd::{Dot, Int8Isa, KernelInt8, SimdInt8, dispatch_int8};

use super::requantise::Requantise;
use super::tile::{Lhs, block};

/// Bytes of left rows that all panels are applied to: a part of a level-1 cache.
const BLOCK_BYTES: usize = 20 << 10;

/// Arguments of [`gemm_int8`].
#[derive(Clone, Copy, Debug)]
pub struct GemmInt8<'a> {
    /// First row of the left-hand matrix, in quads of bytes.
    pub a: *const u32,
    /// Quads from one left row to the next.
    pub a_stride: usize,
    /// The quads of a left row that take part: first and number, in the order of the packed rows.
    pub ranges: &'a [(usize, usize)],
    /// Rows of the left-hand matrix and of the result.
    pub rows: usize,
    /// Packed by [`super::pack_int8`].
    pub b: &'a [u32],
    /// The use of the sums.
    pub epilogue: Requantise<'a>,
}

impl GemmInt8<'_> {
    /// The number of quads that take part.
    fn quads(&self) -> usize {
        self.ranges.iter().map(|range| range.1).sum()
    }

    /// Multiplies copies of the left rows, in the units of the products.
    #[inline(always)]
    fn copied<S: SimdInt8>(&self, s: S) {
        /// A multiple of the heights of tiles.
        const ROWS: usize = 24;
        let together = if S::PAIRS { 2 } else { 1 };
        let units = (4 / S::Product::DEPTH * self.quads()).next_multiple_of(together);
        let mut near = [const { MaybeUninit::<u32>::uninit() }; BLOCK_BYTES / 4];
        let count = near.len() / units.max(1) / together * together;
        let count = if count >= ROWS { count / ROWS * ROWS } else { count };
        let mut far = Vec::new();
        let copies = if count > 0 {
            near.as_mut_ptr().cast()
        } else {
            // Rows that are longer than the memory for them.
            far.resize(together * units, 0);
            far.as_mut_ptr()
        };
        let count = count.max(together);
        let ranges = [(0, units)];
        for start in (0..self.rows).step_by(count) {
            let rows = count.min(self.rows - start);
            // SAFETY: the copies have room for the units of all quads of `count` rows, which is a multiple of those together;
            // the rest is as in `run`.
            unsafe {
                if S::PAIRS {
                    self.copy_pairs((start, rows), units, copies);
                } else {
                    self.copy_rows(s, (start, rows), units, copies);
                }
                let lhs =
                    Lhs { start: copies.cast_const(), stride: units, ranges: &ranges, prefetched: false };
                block(s.product(), lhs, self.b, self.epilogue.columns, (start, rows), &self.epilogue);
            }
        }
    }

    /// Copies rows of `units` units.
    ///
    /// # Safety
    /// The rows exist, and `to` has room for them.
    #[inline(always)]
    unsafe fn copy_rows<S: SimdInt8>(&self, s: S, (start, rows): (usize, usize), units: usize, to: *mut u32) {
        for row in 0..rows {
            let mut done = row * units;
            for &(first, quads) in self.ranges {
                // SAFETY: the ranges are inside the row, and have `units` units together.
                unsafe {
                    let from = self.a.add((start + row) * self.a_stride + first);
                    s.copy_units(from, quads, to.add(done));
                }
                done += 4 / S::Product::DEPTH * quads;
            }
        }
    }

    /// Copies pairs of rows, see [`SimdInt8::PAIRS`].
    ///
    /// # Safety
    /// The rows exist, and `to` has room for them and for the second row of the last pair; `units` is even.
    #[inline(always)]
    unsafe fn copy_pairs(&self, (start, rows): (usize, usize), units: usize, to: *mut u32) {
        for row in 0..rows.next_multiple_of(2) {
            // SAFETY: the ranges are inside the row, and have at most `units` units together.
            unsafe {
                let to = to.add(row / 2 * 2 * units + row % 2 * 2);
                let mut done = 0;
                if row < rows {
                    for &(first, quads) in self.ranges {
                        let from = self.a.add((start + row) * self.a_stride + first);
                        let mut quad = 0;
                        while quad < quads {
                            let to = to.add(done / 2 * 4 + done % 2);
                            let two = done % 2 == 0 && quads - quad >= 2;
                            if two {
                                to.cast::<u64>()
                                    .write_unaligned(from.add(quad).cast::<u64>().read_unaligned());
                            } else {
                                to.write(from.add(quad).read_unaligned());
                            }
                            quad += 1 + usize::from(two);
                            done += 1 + usize::from(two);
                        }
                    }
                }
                for rest in done..units {
                    to.add(rest / 2 * 4 + rest % 2).write(0);
                }
            }
        }
    }
}

/// Multiplies matrices of bytes.
///
/// # Safety
/// * `a` is valid for reads of the ranges of `rows` rows,
/// * `epilogue.out` is valid for writes, and `epilogue.residual` for reads, of `epilogue.columns` elements in each
///   of `rows` rows,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights or constants are not packed in whole vectors.
pub unsafe fn gemm_int8(isa: Int8Isa, args: &GemmInt8<'_>) {
    let lanes = isa.lanes();
    let units = if isa.pairs() {
        args.quads().next_multiple_of(2)
    } else {
        args.quads() * (4 / isa.depth()) + usize::from(isa.subtracted().is_some())
    };
    let complete = args.b.len() >= units * args.epilogue.columns.next_multiple_of(lanes);
    assert!(complete && args.epilogue.is_packed(lanes), "weights are packed in whole vectors");
    dispatch_int8(isa, args);
}

impl KernelInt8 for &GemmInt8<'_> {
    type Output = ();
    const MATRICES: bool = true;
    #[inline(always)]
    fn run<S: SimdInt8>(self, s: S) {
        if S::COPIES {
            return self.copied(s);
        }
        let count = (BLOCK_BYTES / (4 * self.quads().max(1))).max(12) / 12 * 12;
        for start in (0..self.rows).step_by(count) {
            let rows = count.min(self.rows - start);
            // SAFETY: rows `start..start + rows` are below `self.rows`, for which the caller of `gemm_int8`
            // vouches; `gemm_int8` has checked the lengths of weights and constants.
            unsafe {
                let first = self.a.add(start * self.a_stride);
                let lhs = Lhs { start: first, stride: self.a_stride, ranges: self.ranges, prefetched: true };
                block(s.product(), lhs, self.b, self.epilogue.columns, (start, rows), &self.epilogue);
            }
        }
    }
}
