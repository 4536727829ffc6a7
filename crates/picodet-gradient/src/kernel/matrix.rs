//! Matrix products on strided rows.
#![allow(unsafe_code)]

use gemm::Parallelism;

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

impl Matrix {
    /// Rows of contiguous numbers.
    pub(crate) fn rows(data: *const f32, row: usize) -> Self {
        Self { data: data.cast_mut(), row, column: 1 }
    }

    /// The rows become columns.
    pub(crate) fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

/// `out (+)= left · right` where `left` is `[m, k]` and `right` `[k, n]`.
///
/// # Safety
/// The matrices are valid for those extents; nobody else writes to them or reads `out`, which overlaps neither.
pub(crate) unsafe fn multiply(
    [m, n, k]: [usize; 3],
    out: Matrix,
    left: Matrix,
    right: Matrix,
    accumulate: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.data,
            out.column as isize,
            out.row as isize,
            accumulate,
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
