//! Products of matrices that are not packed, stored or added to the result: gradients of dense layers.
//!
//! The left-hand matrix is broadcast value by value in place, along its rows or across them; the right-hand
//! one is small enough for the second-level cache or read along its rows.

use picodet_simd::{DotF32, Isa, Kernel, Simd, dispatch};

use super::epilogue::Accumulate;
use super::tile::{Layout, Lhs, Operands, tile};
use crate::tuning;

/// A matrix in memory: a pointer and two strides.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// The element of row 0, column 0.
    pub data: *mut f32,
    /// Elements from one row to the next.
    pub row: usize,
    /// Elements from one column to the next.
    pub column: usize,
}

// SAFETY: a pointer and its strides; every access through it is unsafe and requires that no other thread
// writes there.
unsafe impl Send for Matrix {}
// SAFETY: as for Send.
unsafe impl Sync for Matrix {}

impl Matrix {
    /// Returns a matrix of contiguous rows at distance `row`.
    #[must_use]
    pub fn rows(data: *const f32, row: usize) -> Self {
        Self { data: data.cast_mut(), row, column: 1 }
    }

    /// Returns the transposed matrix.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

/// The use of the sums of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// They replace the result.
    Store,
    /// They are added to it.
    Add,
}

/// Rows of the right-hand matrix that are summed at once where the left-hand one is read across its rows: the
/// part of both that is accessed stays in the second-level cache.
const DEPTH: usize = 256;

/// Computes `out (+)= lhs · rhs` where `lhs` is `[m, k]` and `rhs` `[k, n]`.
///
/// # Safety
/// * The matrices are valid for those extents, `out` for writes, and `out` overlaps neither of the others,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If `out` or `rhs` has rows that are not contiguous, or `lhs` has neither contiguous rows nor contiguous
/// columns.
#[inline]
pub unsafe fn multiply(isa: Isa, [m, n, k]: [usize; 3], out: Matrix, lhs: Matrix, rhs: Matrix, sums: Sums) {
    assert!(
        (out.column, rhs.column) == (1, 1),
        "rows of the result and of the right-hand matrix are contiguous"
    );
    assert!(lhs.row == 1 || lhs.column == 1, "rows or columns of the left-hand matrix are contiguous");
    let step = if lhs.column == 1 { k.max(1) } else { DEPTH };
    for from in (0..k.max(1)).step_by(step) {
        let product = Product {
            extents: [m, n, step.min(k - from)],
            out,
            lhs: Matrix { data: lhs.data.wrapping_add(from * lhs.column), ..lhs },
            rhs: Matrix { data: rhs.data.wrapping_add(from * rhs.row), ..rhs },
            add: from > 0 || sums == Sums::Add,
        };
        dispatch(isa, &product);
    }
}

/// A part of the depth of a product; extents, pointers and strides are those of [`multiply`].
struct Product {
    extents: [usize; 3],
    out: Matrix,
    lhs: Matrix,
    rhs: Matrix,
    add: bool,
}

impl Kernel for &Product {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.lhs.column == 1 {
            self.strips::<S, true>(s);
        } else {
            self.strips::<S, false>(s);
        }
    }
}

/// Strided operands; `ALONG` if left rows are contiguous, else left columns are.
#[derive(Clone, Copy)]
struct Strided<const ALONG: bool> {
    lhs_column: usize,
    rhs_row: usize,
    last: usize,
}

impl<const ALONG: bool> Layout for Strided<ALONG> {
    const PACKED: bool = false;
    #[inline(always)]
    fn lhs_along(self) -> usize {
        if ALONG { 1 } else { self.lhs_column }
    }
    #[inline(always)]
    fn lhs_across(self, stride: usize) -> usize {
        if ALONG { stride } else { 1 }
    }
    #[inline(always)]
    fn rhs_row(self) -> usize {
        self.rhs_row
    }
    #[inline(always)]
    fn last(self) -> usize {
        self.last
    }
}

impl Product {
    /// All rows and columns, in strips with the number of rows of a tile.
    #[inline(always)]
    fn strips<S: Simd, const ALONG: bool>(&self, s: S) {
        let [rows, columns, _] = self.extents;
        let [_, two, three] = tuning::tile_rows::<S>();
        let block = if columns > 2 * S::LEN { three } else { two };
        for row in (0..rows).step_by(block) {
            let count = block.min(rows - row);
            let mut column = 0;
            while column < columns {
                let vectors = (columns - column).div_ceil(S::LEN);
                // Four vectors are better cut in two and two than in three and one.
                let width = if vectors == 4 || vectors == 2 { 2 } else { vectors.min(3) };
                match width {
                    3 => self.strip::<S, ALONG, 3>(s, row, count, column),
                    2 => self.strip::<S, ALONG, 2>(s, row, count, column),
                    _ => self.strip::<S, ALONG, 1>(s, row, count, column),
                }
                column += width * S::LEN;
            }
        }
    }

    /// `count` rows of one panel, 12, 8, 4 or 1 at a time.
    #[inline(always)]
    fn strip<S: Simd, const ALONG: bool, const NV: usize>(
        &self,
        s: S,
        row: usize,
        count: usize,
        column: usize,
    ) {
        let mut done = 0;
        while done < count {
            let left = count - done;
            done += match left {
                12.. if const { tuning::tile_rows::<S>()[NV - 1] >= 12 } => {
                    self.tile::<S, ALONG, 12, NV>(s, row + done, column)
                }
                8.. if const { tuning::tile_rows::<S>()[NV - 1] >= 8 } => {
                    self.tile::<S, ALONG, 8, NV>(s, row + done, column)
                }
                4.. if const { tuning::tile_rows::<S>()[NV - 1] >= 4 } => {
                    self.tile::<S, ALONG, 4, NV>(s, row + done, column)
                }
                3.. if const { tuning::tile_rows::<S>()[NV - 1] == 3 } => {
                    self.tile::<S, ALONG, 3, NV>(s, row + done, column)
                }
                _ => self.tile::<S, ALONG, 1, NV>(s, row + done, column),
            };
        }
    }

    /// `MR` rows by `NV` vectors; returns `MR`.
    #[inline(always)]
    fn tile<S: Simd, const ALONG: bool, const MR: usize, const NV: usize>(
        &self,
        s: S,
        row: usize,
        column: usize,
    ) -> usize {
        let [_, columns, depth] = self.extents;
        let last = (columns - column - (NV - 1) * S::LEN).min(S::LEN);
        let layout = Strided::<ALONG> { lhs_column: self.lhs.column, rhs_row: self.rhs.row, last };
        let epilogue = Accumulate { out: self.out.data, out_stride: self.out.row, last, add: self.add };
        let ranges = [(0, depth)];
        let across = layout.lhs_across(self.lhs.row);
        // SAFETY: rows `row..row + MR` and `(NV - 1) · LEN + last` columns from `column` on are inside the
        // extents, for which the caller of `multiply` vouches.
        unsafe {
            let start = self.lhs.data.cast_const().add(row * across);
            let lhs = Lhs { start, stride: self.lhs.row, ranges: &ranges, prefetched: false };
            let rhs = self.rhs.data.cast_const().add(column);
            let at = (row, column);
            let operands = Operands { dot: DotF32(s), layout, lhs, rhs, at, tiles: 1, epilogue: &epilogue };
            tile::<_, _, _, MR, NV>(&operands);
        }
        MR
    }
}
