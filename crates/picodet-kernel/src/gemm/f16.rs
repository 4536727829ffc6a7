//! Matrix products of f16, summed in f16 over parts of the depth and in f32 over the parts.

use picodet_graph::{Activation, DType};
use picodet_simd::{Dot, DotF16, F16Isa, HalfVector, KernelF16, SimdF16, Vector, dispatch_f16};

use super::epilogue::{Activate, Epilogue, MOST, unrolled};
use super::pack::panels;
use super::tile::{Lhs, panel};
use crate::activation::{activate, activate_f16};
use crate::half::{load_wide, store_wide};

/// Bytes of left rows that all panels are applied to: a part of a level-1 cache.
const BLOCK_BYTES: usize = 24 << 10;

/// Products that are summed in f16 before the sum is added to one in f32.
const PART: usize = 128;

/// Arguments of [`gemm_f16`].
#[derive(Clone, Copy, Debug)]
pub struct GemmF16<'a> {
    /// First row of the left-hand matrix, of type `a_dtype`.
    pub a: *const f32,
    /// Elements from one left row to the next.
    pub a_stride: usize,
    /// The type of the left-hand matrix, f16 or f32.
    pub a_dtype: DType,
    /// The columns of a left row that take part: first and number, in the order of the packed rows.
    pub ranges: &'a [(usize, usize)],
    /// Rows of the left-hand matrix and of the result.
    pub rows: usize,
    /// Packed by [`super::pack_f16`].
    pub b: &'a [u16],
    /// One factor per column of the left-hand matrix, in the order of the packed rows; null for none.
    pub factors: *const f32,
    /// The use of the sums; its result is f16 or f32.
    pub epilogue: Activate<'a>,
    /// [`f16_scratch_len`] elements.
    pub scratch: *mut f32,
}

/// Rows that are computed before the next ones.
fn block_rows(k: usize) -> usize {
    (BLOCK_BYTES / (2 * k).max(1)).max(12) / 12 * 12
}

/// Returns the length of the scratch memory of a product with rows of `k`, in f32.
#[must_use]
pub fn f16_scratch_len(k: usize) -> usize {
    (block_rows(k) * k).div_ceil(2).next_multiple_of(16)
}

/// Multiplies f16 matrices.
///
/// # Safety
/// * `a` is valid for reads of the ranges of `rows` rows, `factors`, unless null, for one value per column of
///   the ranges,
/// * `epilogue.out` is valid for writes, and `epilogue.residual`, unless null, for reads of
///   `epilogue.columns` f32 in each of `rows` rows,
/// * `scratch` is valid for reads and writes of [`f16_scratch_len`] values,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights or bias are not packed in whole vectors.
#[inline]
pub unsafe fn gemm_f16(isa: F16Isa, args: &GemmF16<'_>) {
    let k: usize = args.ranges.iter().map(|range| range.1).sum();
    let padded = args.epilogue.columns.next_multiple_of(2 * isa.isa().lanes());
    assert!(
        args.b.len() >= k * padded && args.epilogue.bias.len() >= padded,
        "weights are packed in whole vectors"
    );
    dispatch_f16(isa, args);
}

impl KernelF16 for &GemmF16<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdF16>(self, s: S) {
        let k: usize = self.ranges.iter().map(|range| range.1).sum();
        let direct = self.a_dtype == DType::F16 && self.factors.is_null();
        let packed = [(0, k)];
        let count = block_rows(k);
        for start in (0..self.rows).step_by(count) {
            let rows = count.min(self.rows - start);
            // SAFETY: rows `start..start + rows` are below `self.rows`, for which the caller of `gemm_f16` vouches; the
            // scratch memory holds `count` packed rows; `gemm_f16` has checked the lengths of weights and bias.
            unsafe {
                let (left, stride, ranges) = if direct {
                    let row = self.a.cast::<u16>().add(start * self.a_stride);
                    (row, self.a_stride, self.ranges)
                } else {
                    self.pack_rows(s, k, start, rows);
                    (self.scratch.cast::<u16>().cast_const(), k, &packed[..])
                };
                let lhs = Lhs { start: left, stride, ranges, prefetched: false };
                for (first, vectors) in panels(self.epilogue.columns, S::HALF_LEN) {
                    let rhs = self.b.as_ptr().add(first * k);
                    match vectors {
                        1 => self.parts::<S, 1>(s, lhs, rhs, first, (start, rows)),
                        2 => self.parts::<S, 2>(s, lhs, rhs, first, (start, rows)),
                        _ => self.parts::<S, 3>(s, lhs, rhs, first, (start, rows)),
                    }
                }
            }
        }
    }
}

impl GemmF16<'_> {
    /// Multiplies rows by one panel, at most a dozen rows at a time if there are several parts of the depth.
    ///
    /// # Safety
    /// As [`panel`].
    #[inline(always)]
    unsafe fn parts<S: SimdF16, const NV: usize>(
        &self,
        s: S,
        lhs: Lhs<'_, u16>,
        rhs: *const u16,
        first: usize,
        (row, rows): (usize, usize),
    ) {
        let k: usize = lhs.ranges.iter().map(|range| range.1).sum();
        let mut sums = [0.0f32; 2 * MOST];
        let height = if k <= PART { rows } else { 12 };
        for done in (0..rows).step_by(height.max(1)) {
            let count = height.min(rows - done);
            let start = lhs.start.wrapping_add(done * lhs.stride);
            let mut rhs = rhs;
            let mut summed = 0;
            let mut part = |ranges: &[(usize, usize)], len: usize| {
                let (began, ended) = (summed > 0, summed + len == k);
                summed += len;
                let epilogue = Part {
                    activate: &self.epilogue,
                    sums: sums.as_mut_ptr(),
                    from: row + done,
                    began,
                    ended,
                };
                // SAFETY: the caller vouches for the rows and the panel, of which `len` rows are read here; the sums
                // hold twelve rows of three vectors, and at most twelve rows are computed when they are used.
                unsafe {
                    let lhs = Lhs { start, ranges, ..lhs };
                    panel::<_, _, NV>(DotF16(s), lhs, rhs, first, (row + done, count), &epilogue);
                    rhs = rhs.add(len * NV * S::HALF_LEN);
                }
            };
            each_part(lhs.ranges, &mut part);
            if k == 0 {
                part(&[], 0);
            }
        }
    }

    /// Copies rows `start..start + rows` of the left-hand matrix as f16 into the scratch memory, times factors unless
    /// null.
    ///
    /// # Safety
    /// As [`gemm_f16`]; the rows exist and are at most [`block_rows`].
    #[inline(always)]
    unsafe fn pack_rows<S: SimdF16>(&self, s: S, k: usize, start: usize, rows: usize) {
        for row in 0..rows {
            let mut to = self.scratch.cast::<u16>().wrapping_add(row * k);
            let mut factor = self.factors;
            for &(column, len) in self.ranges {
                let at = (start + row) * self.a_stride + column;
                for done in (0..len).step_by(S::HALF_LEN) {
                    let count = (len - done).min(S::HALF_LEN);
                    // SAFETY: `row` is below `block_rows`, for which there is scratch memory; `count` columns of the range
                    // and `count` factors remain.
                    unsafe {
                        let [low, high] = if self.a_dtype == DType::F16 {
                            let from = self.a.cast::<u16>().add(at + done);
                            s.widen(s.load_half_part(from, count))
                        } else {
                            load_wide(s, self.a.add(at + done), count)
                        };
                        let value = if factor.is_null() {
                            [low, high]
                        } else {
                            let [first, second] = load_wide(s, factor.add(done), count);
                            [low * first, high * second]
                        };
                        s.narrow(value).store_part(to.add(done), count);
                    }
                }
                to = to.wrapping_add(len);
                if !factor.is_null() {
                    factor = factor.wrapping_add(len);
                }
            }
        }
    }
}

/// Calls `part(ranges, columns in them)` for parts of at most [`PART`] columns.
#[inline(always)]
fn each_part(ranges: &[(usize, usize)], part: &mut impl FnMut(&[(usize, usize)], usize)) {
    let mut next = 0;
    while next < ranges.len() {
        let (mut end, mut len) = (next, 0);
        while end < ranges.len() && len + ranges[end].1 <= PART {
            len += ranges[end].1;
            end += 1;
        }
        if end > next {
            part(&ranges[next..end], len);
            next = end;
            continue;
        }
        // A range that is longer than a part.
        let (first, len) = ranges[next];
        let pieces = len.div_ceil(PART);
        let mut done = 0;
        for piece in 0..pieces {
            let count = (len - done).div_ceil(pieces - piece);
            part(&[(first + done, count)], count);
            done += count;
        }
        next += 1;
    }
}

/// The end of a part of the depth: the sums are kept in f32, or finished after the last part.
struct Part<'a> {
    activate: &'a Activate<'a>,
    /// f32 sums of rows `from..from + 12`, three vectors each.
    sums: *mut f32,
    from: usize,
    /// Whether there is an earlier part.
    began: bool,
    /// Whether this is the last part.
    ended: bool,
}

impl<S: SimdF16> Epilogue<DotF16<S>> for Part<'_> {
    #[inline(always)]
    unsafe fn start(&self, dot: DotF16<S>, column: usize) -> S::F16 {
        if self.began {
            return dot.zero();
        }
        debug_assert!(column + S::HALF_LEN <= self.activate.bias.len());
        let (s, bias) = (dot.simd(), self.activate.bias.as_ptr().wrapping_add(column));
        // SAFETY: the bias is padded to whole vectors.
        unsafe { s.narrow([s.load(bias), s.load(bias.add(S::LEN))]) }
    }

    #[inline(always)]
    fn prefetch(&self, _: usize, _: usize, _: (usize, usize)) {}

    #[inline(always)]
    unsafe fn store<const MR: usize, const NV: usize>(
        &self,
        dot: DotF16<S>,
        (row, first): (usize, usize),
        sums: &[[S::F16; NV]; MR],
    ) {
        let (s, to) = (dot.simd(), self.activate);
        let single = self.ended && !self.began;
        let plain = single && to.residual.is_null() && to.columns - first >= NV * S::HALF_LEN;
        // SAFETY: the tile's rows exist and, in the first two cases, all of its columns.
        unsafe {
            let at = |i: usize, j: usize| (row + i) * to.out_stride + first + j * S::HALF_LEN;
            if plain && to.out_dtype == DType::F16 && to.act == Some(Activation::HardSwish) {
                unrolled!(i < MR, {
                    for j in 0..NV {
                        let value = activate_f16(s, sums[i][j], Some(Activation::HardSwish));
                        value.store(to.out.cast::<u16>().add(at(i, j)));
                    }
                });
                return;
            }
            if plain && to.out_dtype == DType::F16 && to.act.is_none() {
                unrolled!(i < MR, {
                    for j in 0..NV {
                        sums[i][j].store(to.out.cast::<u16>().add(at(i, j)));
                    }
                });
                return;
            }
            // The sums leave the registers here, all at once, as in `Activate`.
            let mut stored = [0u16; MOST];
            unrolled!(i < MR, {
                for j in 0..NV {
                    sums[i][j].store(stored.as_mut_ptr().add((i * NV + j) * S::HALF_LEN));
                }
            });
            self.finish(s, (row, MR), (first, NV), &stored);
        }
    }
}

impl Part<'_> {
    /// Adds the sums of a tile of (first row, rows) by (first column, vectors) to those in f32 or, after the last part,
    /// completes and stores them.
    ///
    /// # Safety
    /// The rows and the first column exist in the result and in the residual.
    #[inline(always)]
    unsafe fn finish<S: SimdF16>(
        &self,
        s: S,
        (row, rows): (usize, usize),
        (first, vectors): (usize, usize),
        stored: &[u16; MOST],
    ) {
        let to = self.activate;
        for (i, j) in (0..rows).flat_map(|i| (0..vectors).map(move |j| (i, j))) {
            let column = first + j * S::HALF_LEN;
            let count = to.columns.saturating_sub(column).min(S::HALF_LEN);
            let line = if self.began || !self.ended { row + i - self.from } else { 0 };
            // SAFETY: the caller vouches for rows and columns, of which `count` remain in this vector; `stored` and the
            // f32 sums hold the tile.
            unsafe {
                let kept = self.sums.add((line * 3 + j) * S::HALF_LEN);
                let mut value = s.widen(s.load_half(stored.as_ptr().add((i * vectors + j) * S::HALF_LEN)));
                if self.began {
                    value = [value[0] + s.load(kept), value[1] + s.load(kept.add(S::LEN))];
                }
                if !self.ended {
                    value[0].store(kept);
                    value[1].store(kept.add(S::LEN));
                    continue;
                }
                if !to.residual.is_null() {
                    let from = to.residual.wrapping_add((row + i) * to.residual_stride + column);
                    let [low, high] = load_wide(s, from, count);
                    value = [value[0] + low, value[1] + high];
                }
                let value = [activate(value[0], to.act), activate(value[1], to.act)];
                let at = (row + i) * to.out_stride + column;
                if to.out_dtype == DType::F16 {
                    s.narrow(value).store_part(to.out.cast::<u16>().wrapping_add(at), count);
                } else {
                    store_wide(s, value, to.out.wrapping_add(at), count);
                }
            }
        }
    }
}
