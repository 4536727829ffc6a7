//! Matrix products of u8 by s8, summed in i32 and requantised.

use picodet_simd::{DotInt8, Int8Isa, KernelInt8, SimdInt8, dispatch_int8};

use super::epilogue::Requantise;
use super::tile::{Lhs, block};

/// Bytes of left rows that all panels are applied to: a part of a level-1 cache.
const BLOCK_BYTES: usize = 20 << 10;

/// Arguments of [`gemm_int8`].
#[derive(Clone, Copy, Debug)]
pub struct GemmInt8<'a> {
    /// First row of the left-hand matrix.
    pub a: *const u8,
    /// Bytes from one left row to the next.
    pub a_stride: usize,
    /// The columns of a left row that take part: first and number, in the order of the packed rows.
    pub ranges: &'a [(usize, usize)],
    /// Rows of the left-hand matrix and of the result.
    pub rows: usize,
    /// Packed by [`super::pack_int8`].
    pub b: &'a [u32],
    /// The use of the sums.
    pub epilogue: Requantise<'a>,
    /// [`int8_scratch_len`] values.
    pub scratch: *mut u32,
}

/// Rows that are packed together.
fn block_rows(k: usize) -> usize {
    (BLOCK_BYTES / k.next_multiple_of(4).max(1)).max(12) / 12 * 12
}

/// Returns the length of the scratch memory of a product with rows of `k` bytes, in u32.
#[must_use]
pub fn int8_scratch_len(k: usize) -> usize {
    block_rows(k) * k.div_ceil(4)
}

/// Multiplies matrices of bytes.
///
/// # Safety
/// * `a` is valid for reads of the ranges of `rows` rows,
/// * `epilogue.out` is valid for writes of `epilogue.columns` bytes in each of `rows` rows,
/// * `scratch` is valid for reads and writes of [`int8_scratch_len`] values,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights, bias or scale are not packed in whole vectors.
// Inlined, so that only its users compile it: no network has int8 weights yet.
#[inline]
pub unsafe fn gemm_int8(isa: Int8Isa, args: &GemmInt8<'_>) {
    let k: usize = args.ranges.iter().map(|range| range.1).sum();
    let padded = args.epilogue.columns.next_multiple_of(isa.isa().lanes());
    let complete = args.b.len() >= k.div_ceil(4) * padded
        && args.epilogue.bias.len() >= padded
        && args.epilogue.scale.len() >= padded;
    assert!(complete, "weights are packed in whole vectors");
    dispatch_int8(isa, args);
}

impl KernelInt8 for &GemmInt8<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdInt8>(self, s: S) {
        let k: usize = self.ranges.iter().map(|range| range.1).sum();
        let quads = k.div_ceil(4);
        // A single range of whole quads is multiplied in place.
        let direct = match self.ranges {
            &[(first, len)] if (len % 4, self.a_stride % 4) == (0, 0) => Some(first),
            _ => None,
        };
        let ranges = [(0, quads)];
        let count = block_rows(k);
        for start in (0..self.rows).step_by(count) {
            let rows = count.min(self.rows - start);
            // SAFETY: rows `start..start + rows` are below `self.rows`, for which the caller of `gemm_int8`
            // vouches; the scratch memory holds `count` packed rows; `gemm_int8` has checked the lengths of
            // weights, bias and scale.
            unsafe {
                let (left, stride) = if let Some(first) = direct {
                    (self.a.add(start * self.a_stride + first).cast::<u32>(), self.a_stride / 4)
                } else {
                    self.pack_rows(quads, start, rows);
                    (self.scratch.cast_const(), quads)
                };
                let lhs = Lhs { start: left, stride, ranges: &ranges, prefetched: direct.is_some() };
                block(DotInt8(s), lhs, self.b, self.epilogue.columns, (start, rows), &self.epilogue);
            }
        }
    }
}

impl GemmInt8<'_> {
    /// Copies rows `start..start + rows` of the left-hand matrix into the scratch memory, zeros up to whole
    /// quads.
    ///
    /// # Safety
    /// As [`gemm_int8`]; the rows exist and are at most [`block_rows`].
    #[inline(always)]
    unsafe fn pack_rows(&self, quads: usize, start: usize, rows: usize) {
        for row in 0..rows {
            // SAFETY: `row` is below `block_rows`, for which there is scratch memory, and the ranges are inside
            // left rows.
            unsafe {
                let packed = self.scratch.add(row * quads);
                packed.add(quads.saturating_sub(1)).write(0);
                let mut to = packed.cast::<u8>();
                for &(column, len) in self.ranges {
                    let from = self.a.add((start + row) * self.a_stride + column);
                    std::ptr::copy_nonoverlapping(from, to, len);
                    to = to.add(len);
                }
            }
        }
    }
}
