//! Matrix products on maps: a pixel is a row, a channel a column.
//!
//! Nothing is packed, as the gemm of inference does it for weights that stay: here either matrix changes with every
//! step. The left one is broadcast element by element from where it is, the right one is read along its rows.
#![allow(unsafe_code)]

use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch};

use super::memory::{Map, MapMut};

/// The left matrix of a product.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left<'a> {
    /// Its rows are the pixels of the map.
    Rows(Map<'a>),
    /// Its columns are the pixels of the map.
    Transposed(Map<'a>),
}

/// Rows of the right matrix that are summed at once where the left one is read across its rows: what both touch stays
/// in the second-level cache.
const DEPTH: usize = 256;

/// `out = left · right`, added to `out` if `accumulate`.
///
/// # Panics
/// If the extents do not agree.
pub(super) fn multiply(isa: Isa, left: Left<'_>, right: Map<'_>, mut out: MapMut<'_>, accumulate: bool) {
    let depth = right.pixels();
    let (rows, columns) = match left {
        Left::Rows(map) => (map.pixels(), map.channels()),
        Left::Transposed(map) => (map.channels(), map.pixels()),
    };
    assert_eq!((rows, columns), (out.pixels(), depth), "rows and columns of the left matrix");
    assert_eq!(right.channels(), out.channels(), "columns of the right matrix");
    match left {
        Left::Rows(map) => {
            let (data, stride) = (map.at(0), map.stride());
            dispatch(isa, Product::<true> { left: data, stride, right, out: out.reborrow(), accumulate });
        }
        Left::Transposed(map) => {
            // At least once, so that an empty sum is stored.
            for from in (0..depth.max(1)).step_by(DEPTH) {
                let right = right.part(from, [1, 1, DEPTH.min(depth - from)]);
                let (data, stride) = (map.at(from), map.stride());
                let accumulate = accumulate || from > 0;
                dispatch(
                    isa,
                    Product::<false> { left: data, stride, right, out: out.reborrow(), accumulate },
                );
            }
        }
    }
}

/// One product. The left matrix is at `left[row · stride + k]` if `ROWS`, else at `left[k · stride + row]`, for as many
/// rows as `out` has pixels and as many `k` as `right` has; `out` and `right` have the same channels.
struct Product<'a, 'o, const ROWS: bool> {
    left: *const f32,
    stride: usize,
    right: Map<'a>,
    out: MapMut<'o>,
    accumulate: bool,
}

impl<const ROWS: bool> Kernel for Product<'_, '_, ROWS> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (rows, columns) = (self.out.pixels(), self.out.channels());
        // Sums fill the registers whatever the width: of 32, 24 in 8 rows of 3 vectors or 12 of 2; of 16, 12.
        let block = match (S::REGISTERS >= 32, columns > 2 * S::LEN) {
            (true, true) => 8,
            (true, false) => 12,
            (false, true) => 4,
            (false, false) => 6,
        };
        for row in (0..rows).step_by(block) {
            let count = block.min(rows - row);
            let mut column = 0;
            while column < columns {
                let vectors = (columns - column).div_ceil(S::LEN);
                // Four vectors are better cut in two and two than in three and one.
                let width = if vectors == 4 || vectors == 2 { 2 } else { vectors.min(3) };
                if S::REGISTERS >= 32 {
                    match (width, count) {
                        (3, _) => self.strip::<S, 8, 3>(s, row, count, column),
                        (2, 9..) => self.strip::<S, 12, 2>(s, row, count, column),
                        (2, _) => self.strip::<S, 8, 2>(s, row, count, column),
                        (_, 9..) => self.strip::<S, 12, 1>(s, row, count, column),
                        _ => self.strip::<S, 8, 1>(s, row, count, column),
                    }
                } else {
                    match width {
                        3 => self.strip::<S, 4, 3>(s, row, count, column),
                        2 => self.strip::<S, 6, 2>(s, row, count, column),
                        _ => self.strip::<S, 6, 1>(s, row, count, column),
                    }
                }
                column += width * S::LEN;
            }
        }
    }
}

impl<const ROWS: bool> Product<'_, '_, ROWS> {
    /// `count` rows, `M` at once where there are as many.
    #[inline(always)]
    fn strip<S: Simd, const M: usize, const N: usize>(&self, s: S, row: usize, count: usize, column: usize) {
        if count >= M {
            self.tile::<S, M, N>(s, row, column);
            return;
        }
        let mut done = 0;
        while done + 4 <= count {
            self.tile::<S, 4, N>(s, row + done, column);
            done += 4;
        }
        while done < count {
            self.tile::<S, 1, N>(s, row + done, column);
            done += 1;
        }
    }

    /// `M` rows by `N` vectors, the last of which may end beyond the last column.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(&self, s: S, row: usize, column: usize) {
        let depth = self.right.pixels();
        let rest = (self.out.channels() - column - (N - 1) * S::LEN).min(S::LEN);
        let (along, across) = if ROWS { (1, self.stride) } else { (self.stride, 1) };
        // SAFETY: rows `row..row + M` are rows of `out` and of the left matrix, which has `depth` columns, and
        // `column..column + (N - 1) · LEN + rest` are columns of `out` and `right`, which has `depth` rows.
        unsafe {
            let right = self.right.at(0).wrapping_add(column);
            let left = self.left.wrapping_add(row * across);
            let mut sums = [[s.splat(0.0); N]; M];
            for k in 0..depth {
                let from = right.add(k * self.right.stride());
                let mut values = [s.splat(0.0); N];
                for (i, value) in values.iter_mut().enumerate() {
                    let from = from.add(i * S::LEN);
                    *value = if i + 1 < N { s.load(from) } else { s.load_part(from, rest) };
                }
                let left = left.add(k * along);
                for (i, sums) in sums.iter_mut().enumerate() {
                    let factor = s.splat(*left.add(i * across));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = value.mul_add(factor, *sum);
                    }
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                let to = self.out.at(row + i).add(column);
                for (j, mut sum) in sums.into_iter().enumerate() {
                    let (to, count) = (to.add(j * S::LEN), if j + 1 < N { S::LEN } else { rest });
                    if self.accumulate {
                        sum = sum + s.load_part(to, count);
                    }
                    sum.store_part(to, count);
                }
            }
        }
    }
}
