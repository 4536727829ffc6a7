//! The product of a matrix of bytes by one column: a panel would be nearly empty.

use picodet_simd::{Int8Isa, IntVector, KernelInt8, SimdInt8, dispatch_int8};

use super::GemmInt8;
use super::epilogue::MOST;
use super::requantise::Finish;

/// Rows that are multiplied together.
const ROWS: usize = 4;

/// Multiplies left rows by the only column of a matrix that [`super::pack_column_int8`] has packed.
///
/// # Safety
/// As [`super::gemm_int8`]; `a` is also valid for reads of the ranges rounded up to whole vectors.
///
/// # Panics
/// If there is another number of columns, or weights or constants are not packed in whole vectors.
pub unsafe fn gemm_column_int8(isa: Int8Isa, args: &GemmInt8<'_>) {
    let lanes = isa.lanes();
    let packed: usize = args.ranges.iter().map(|range| range.1.next_multiple_of(lanes)).sum();
    let complete = args.b.len() >= packed && args.epilogue.is_packed(lanes);
    assert!(complete && args.epilogue.columns == 1, "a column packed in whole vectors");
    dispatch_int8(isa, Column(args));
}

/// The product; [`gemm_column_int8`] has checked it.
struct Column<'a>(&'a GemmInt8<'a>);

impl KernelInt8 for Column<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdInt8>(self, s: S) {
        let args = self.0;
        let mut row = 0;
        while row < args.rows {
            let count = if args.rows - row >= ROWS { ROWS } else { 1 };
            let mut sums = [0i32; MOST];
            // SAFETY: rows `row..row + count` are below `args.rows`, for which the caller of `gemm_column_int8` vouches.
            unsafe {
                if count == ROWS {
                    self.rows::<S, ROWS>(s, row, &mut sums);
                } else {
                    self.rows::<S, 1>(s, row, &mut sums);
                }
            }
            s.outlined(Finish { to: &args.epilogue, s, rows: (row, count), columns: (0, 1), sums: &sums });
            row += count;
        }
    }
}

impl Column<'_> {
    /// Stores the sums of `R` rows in the first lanes of `R` vectors.
    ///
    /// # Safety
    /// As [`gemm_column_int8`]; the rows exist.
    #[inline(always)]
    unsafe fn rows<S: SimdInt8, const R: usize>(&self, s: S, row: usize, to: &mut [i32; MOST]) {
        let args = self.0;
        // The first constant of the only column is the value that its sums start with.
        let start = args.epilogue.constants[0].cast_signed();
        let mut sums = [s.splat_i32(0); R];
        // SAFETY: left rows and weights have whole vectors of each range; no vector has more than sixteen lanes.
        unsafe {
            let mut weights = args.b.as_ptr();
            for &(first, quads) in args.ranges {
                let from = args.a.add(row * args.a_stride + first);
                for quad in (0..quads).step_by(S::LEN) {
                    let weight = s.load_quads(weights);
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let source = s.load_quads(from.add(i * args.a_stride + quad));
                        *sum = s.dot4(*sum, source, weight);
                    }
                    weights = weights.add(S::LEN);
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let mut lanes = [0i32; 16];
                sum.store(lanes.as_mut_ptr());
                to[i * S::LEN] = lanes.into_iter().fold(start, i32::wrapping_add);
            }
        }
    }
}
