//! Matrix products of bf16, summed in f32.
//!
//! Left rows that are bf16 are read in place where possible. Others are rounded and packed, some at a time,
//! which also allows a factor per column to be multiplied in; then all panels of weights are applied to them.

use picodet_graph::DType;
use picodet_simd::{Bf16Isa, DotBf16, KernelBf16, SimdBf16, dispatch_bf16, prefetch};

use super::epilogue::Activate;
use super::tile::{Lhs, block};

/// Rows between one that is packed and the one that is prefetched meanwhile.
const AHEAD: usize = 6;

/// Bytes of packed rows that all panels are applied to: a part of a level-1 cache.
const BLOCK_BYTES: usize = 20 << 10;

/// Arguments of [`gemm_bf16`].
#[derive(Clone, Copy, Debug)]
pub struct GemmBf16<'a> {
    /// First row of the left-hand matrix, of type `a_dtype`.
    pub a: *const f32,
    /// Elements from one left row to the next.
    pub a_stride: usize,
    /// The type of the left-hand matrix.
    pub a_dtype: DType,
    /// The columns of a left row that take part: first and number, in the order of the packed rows.
    pub ranges: &'a [(usize, usize)],
    /// Rows of the left-hand matrix and of the result.
    pub rows: usize,
    /// Packed by [`super::pack_bf16`].
    pub b: &'a [u32],
    /// One factor per column of the left-hand matrix, in the order of the packed rows; null for none.
    pub factors: *const f32,
    /// The use of the sums.
    pub epilogue: Activate<'a>,
    /// [`scratch_len`] elements.
    pub scratch: *mut f32,
}

/// Rows that are packed together.
fn block_rows(k: usize) -> usize {
    (BLOCK_BYTES / (2 * k.next_multiple_of(2)).max(1)).max(12) / 12 * 12
}

/// Returns the length of the scratch memory of a product with rows of `k`, in f32.
#[must_use]
pub fn scratch_len(k: usize) -> usize {
    // Whole vectors are written at the end of a row, also of the last one.
    (block_rows(k) * k.next_multiple_of(2) / 2 + 16).next_multiple_of(16)
}

/// Multiplies bf16 matrices.
///
/// # Safety
/// * `a` is valid for reads of the ranges of `rows` rows, `factors`, unless null, for one value per column of
///   the ranges,
/// * `epilogue.out` is valid for writes, and `epilogue.residual`, unless null, for reads of
///   `epilogue.columns` elements in each of `rows` rows,
/// * `scratch` is valid for reads and writes of [`scratch_len`] values,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights or bias are not packed in whole vectors.
pub unsafe fn gemm_bf16(isa: Bf16Isa, args: &GemmBf16<'_>) {
    let k: usize = args.ranges.iter().map(|range| range.1).sum();
    let padded = args.epilogue.columns.next_multiple_of(isa.isa().lanes());
    let complete = args.b.len() >= k.div_ceil(2) * padded && args.epilogue.bias.len() >= padded;
    assert!(complete, "weights are packed in whole vectors");
    dispatch_bf16(isa, args);
}

impl KernelBf16 for &GemmBf16<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdBf16>(self, s: S) {
        let k: usize = self.ranges.iter().map(|range| range.1).sum();
        // A single range of whole pairs is multiplied in place, a few rows at a time so that they stay in the
        // cache.
        let direct = match self.ranges {
            &[(first, len)] if self.a_dtype == DType::Bf16 && self.factors.is_null() => {
                [first, len, self.a_stride].iter().all(|value| value.is_multiple_of(2)).then_some(first)
            }
            _ => None,
        };
        let ranges = [(0, k.div_ceil(2))];
        let count = block_rows(k);
        for start in (0..self.rows).step_by(count) {
            let rows = count.min(self.rows - start);
            // SAFETY: rows `start..start + rows` are below `self.rows`, for which the caller of `gemm_bf16`
            // vouches; the scratch memory holds `count` packed rows; `gemm_bf16` has checked the lengths of
            // weights and bias.
            unsafe {
                let (left, stride) = if let Some(first) = direct {
                    let row = self.a.cast::<u16>().add(start * self.a_stride + first);
                    (row.cast(), self.a_stride / 2)
                } else {
                    self.pack_rows(s, k, start, rows);
                    (self.scratch.cast::<u32>().cast_const(), k.div_ceil(2))
                };
                let lhs = Lhs { start: left, stride, ranges: &ranges, prefetched: direct.is_some() };
                block(DotBf16(s), lhs, self.b, self.epilogue.columns, (start, rows), &self.epilogue);
            }
        }
    }
}

impl GemmBf16<'_> {
    /// Rounds rows `start..start + rows` of the left-hand matrix into the scratch memory.
    ///
    /// # Safety
    /// As [`gemm_bf16`]; the rows exist and are at most [`block_rows`].
    #[inline(always)]
    unsafe fn pack_rows<S: SimdBf16>(&self, s: S, k: usize, start: usize, rows: usize) {
        let length = k.next_multiple_of(2);
        let scratch = self.scratch.cast::<u16>();
        for row in 0..rows {
            // SAFETY: `row` is below `block_rows`, for which there is scratch memory, and the ranges are inside
            // left rows. A store reaches past its range by less than a vector; those elements are written
            // later, or are the spare ones after the last row.
            unsafe {
                let mut to = scratch.add(row * length);
                let mut factor = self.factors;
                for &(column, len) in self.ranges {
                    let at = (start + row) * self.a_stride + column;
                    if self.a_dtype == DType::Bf16 {
                        // Runs are too short for the processor to foresee the next row.
                        let ahead = self.a.cast::<u16>().wrapping_add(at + AHEAD * self.a_stride);
                        for line in (0..len).step_by(32) {
                            prefetch(ahead.wrapping_add(line));
                        }
                        copy_run(s, self.a.cast::<u16>().add(at), factor, len, to);
                    } else {
                        round_run(s, self.a.add(at), factor, len, to);
                    }
                    to = to.add(len);
                    if !factor.is_null() {
                        factor = factor.add(len);
                    }
                }
                if length > k {
                    *to = 0;
                }
            }
        }
    }
}

/// Rounds `len` values, times factors unless null.
///
/// # Safety
/// `from` and `factors`, unless null, are valid for reads of `len` values, and `to` for writes of `len`
/// rounded up to whole vectors.
#[inline(always)]
unsafe fn round_run<S: SimdBf16>(s: S, from: *const f32, factors: *const f32, len: usize, to: *mut u16) {
    for done in (0..len).step_by(S::LEN) {
        let count = (len - done).min(S::LEN);
        // SAFETY: `count` values remain after `done`.
        unsafe {
            let whole = count == S::LEN;
            let mut value = if whole { s.load(from.add(done)) } else { s.load_part(from.add(done), count) };
            if !factors.is_null() {
                let factor =
                    if whole { s.load(factors.add(done)) } else { s.load_part(factors.add(done), count) };
                value = value * factor;
            }
            s.store_bf16(value, to.add(done));
        }
    }
}

/// Copies `len` bf16 values, times factors unless null.
///
/// # Safety
/// As [`round_run`].
#[inline(always)]
unsafe fn copy_run<S: SimdBf16>(s: S, from: *const u16, factors: *const f32, len: usize, to: *mut u16) {
    // SAFETY: `done` plus the values moved is at most `len` rounded up to whole vectors, of those read at
    // most `len`.
    unsafe {
        if factors.is_null() {
            // Vectors, fours or single values; the last step reaches back over values that are copied
            // already.
            let step = [S::LEN, 4, 1].into_iter().find(|&step| step <= len).unwrap_or(1);
            for done in (0..len).step_by(step) {
                let done = done.min(len - step);
                let (from, to) = (from.add(done), to.add(done));
                match step {
                    1 => *to = *from,
                    4 => to.cast::<u64>().write_unaligned(from.cast::<u64>().read_unaligned()),
                    _ => s.copy_bf16(from, to),
                }
            }
            return;
        }
        for done in (0..len).step_by(S::LEN) {
            let count = (len - done).min(S::LEN);
            let value = s.load_bf16_part(from.add(done), count) * s.load_part(factors.add(done), count);
            s.store_bf16(value, to.add(done));
        }
    }
}
