//! Matrix products on strided rows.
//!
//! With AVX-512 a kernel of our own, that packs nothing: the left matrix is broadcast number by number from where it
//! is, the right one is small enough for the second cache or read along its rows. Elsewhere, and for orders of memory
//! that it does not take, the `gemm` crate.
#![allow(unsafe_code)]

use gemm::Parallelism;

use super::dispatch;
use super::lanes::{Isa, Lanes};

/// A matrix in memory.
#[derive(Clone, Copy)]
pub(crate) struct Matrix {
    /// The element of row 0, column 0.
    pub(crate) data: *mut f32,
    /// Numbers from one row to the next.
    pub(crate) row: usize,
    /// Numbers from one column to the next.
    pub(crate) column: usize,
}

// SAFETY: a pointer and its steps; whoever reads or writes through it promises that no other thread writes there.
unsafe impl Send for Matrix {}
// SAFETY: as for Send.
unsafe impl Sync for Matrix {}

impl Matrix {
    /// Rows of contiguous numbers.
    pub(crate) fn rows(data: *const f32, row: usize) -> Self {
        Self { data: data.cast_mut(), row, column: 1 }
    }

    /// The rows become columns.
    pub(crate) fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }

    /// Itself, whole: what a closure that calls it catches.
    pub(crate) fn get(self) -> Self {
        self
    }
}

/// What is done with the sums of a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sums {
    /// They are the result.
    Store,
    /// They are added to what is there.
    Add,
}

/// `out (+)= left · right` where `left` is `[m, k]` and `right` `[k, n]`.
///
/// # Safety
/// The processor has `isa`; the matrices are valid for those extents; nobody else writes to them or reads `out`, which
/// overlaps neither.
pub(crate) unsafe fn multiply(
    isa: Isa,
    [m, n, k]: [usize; 3],
    out: Matrix,
    left: Matrix,
    right: Matrix,
    sums: Sums,
) {
    let along_rows = (out.column, right.column) == (1, 1) && (left.row == 1 || left.column == 1);
    if isa.is_wide() && along_rows {
        let step = if left.column == 1 { k.max(1) } else { DEPTH };
        for from in (0..k.max(1)).step_by(step) {
            let args = Product {
                extents: [m, n, step.min(k - from)],
                out,
                left: Matrix { data: left.data.wrapping_add(from * left.column), ..left },
                right: Matrix { data: right.data.wrapping_add(from * right.row), ..right },
                sums: if from > 0 { Sums::Add } else { sums },
            };
            // SAFETY: the caller's promise.
            unsafe { product(isa, &args) }
        }
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.data,
            out.column as isize,
            out.row as isize,
            sums == Sums::Add,
            left.data.cast_const(),
            left.column as isize,
            left.row as isize,
            right.data.cast_const(),
            right.column as isize,
            right.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Rows of the right matrix that are summed at once where the left one is read across its rows: what both touch
/// stays in the second cache.
const DEPTH: usize = 256;

/// One product for the kernel.
pub(crate) struct Product {
    extents: [usize; 3],
    out: Matrix,
    left: Matrix,
    right: Matrix,
    sums: Sums,
}

dispatch!(
    /// The product, tile by tile.
    product, product_lanes, Product
);

#[inline(always)]
unsafe fn product_lanes<V: Lanes>(args: &Product) {
    // SAFETY: the caller's promise.
    unsafe {
        if args.left.column == 1 {
            product_of::<V, true>(args);
        } else {
            product_of::<V, false>(args);
        }
    }
}

#[inline(always)]
unsafe fn product_of<V: Lanes, const ALONG: bool>(args: &Product) {
    let [rows, columns, _] = args.extents;
    // Twenty-four sums in registers whatever the width: 8 rows of 3 vectors, 12 of 2 or 1.
    let block = if columns > 2 * V::LEN { 8 } else { 12 };
    for row in (0..rows).step_by(block) {
        let count = block.min(rows - row);
        let mut column = 0;
        while column < columns {
            let vectors = (columns - column).div_ceil(V::LEN);
            // Four vectors are better cut in two and two than in three and one.
            let width = if vectors == 4 || vectors == 2 { 2 } else { vectors.min(3) };
            // SAFETY: the caller's promise; rows and columns lie inside.
            unsafe {
                match (width, count) {
                    (3, _) => strip::<V, ALONG, 8, 3>(args, row, count, column),
                    (2, 9..) => strip::<V, ALONG, 12, 2>(args, row, count, column),
                    (2, _) => strip::<V, ALONG, 8, 2>(args, row, count, column),
                    (_, 9..) => strip::<V, ALONG, 12, 1>(args, row, count, column),
                    _ => strip::<V, ALONG, 8, 1>(args, row, count, column),
                }
            }
            column += width * V::LEN;
        }
    }
}

/// `count` rows, `M` at once where there are so many.
#[inline(always)]
unsafe fn strip<V: Lanes, const ALONG: bool, const M: usize, const N: usize>(
    args: &Product,
    row: usize,
    count: usize,
    column: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if count >= M {
            tile::<V, ALONG, M, N>(args, row, column);
            return;
        }
        let mut done = 0;
        while done + 4 <= count {
            tile::<V, ALONG, 4, N>(args, row + done, column);
            done += 4;
        }
        while done < count {
            tile::<V, ALONG, 1, N>(args, row + done, column);
            done += 1;
        }
    }
}

#[inline(always)]
unsafe fn tile<V: Lanes, const ALONG: bool, const M: usize, const N: usize>(
    args: &Product,
    row: usize,
    column: usize,
) {
    let [_, columns, depth] = args.extents;
    let rest = (columns - column - (N - 1) * V::LEN).min(V::LEN);
    let (along, across) = if ALONG { (1, args.left.row) } else { (args.left.column, 1) };
    // SAFETY: the caller's promise; of the last vector only the columns that are there are moved.
    unsafe {
        let right = args.right.data.add(column);
        let left = args.left.data.add(row * across);
        let mut sums = [[V::splat(0.0); N]; M];
        for k in 0..depth {
            let from = right.add(k * args.right.row);
            let mut values = [V::splat(0.0); N];
            for (i, value) in values.iter_mut().enumerate() {
                let from = from.add(i * V::LEN);
                *value = if i + 1 < N { V::load(from) } else { V::load_part(from, rest) };
            }
            let left = left.add(k * along);
            for (i, sums) in sums.iter_mut().enumerate() {
                let factor = V::splat(*left.add(i * across));
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = value.mul_add(factor, *sum);
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let to = args.out.data.add((row + i) * args.out.row + column);
            for (j, mut sum) in sums.into_iter().enumerate() {
                let (to, count) = (to.add(j * V::LEN), if j + 1 < N { V::LEN } else { rest });
                if args.sums == Sums::Add {
                    sum = sum.add(V::load_part(to, count));
                }
                sum.store_part(to, count);
            }
        }
    }
}
