//! Matrix products on maps: a pixel is a row, and a channel is a column.
#![allow(unsafe_code)]

use picodet_simd::Isa;

use super::map::{Map, MapMut};
use crate::gemm::{self, Matrix, Sums};

/// The left-hand matrix of a product.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left<'a> {
    /// Its rows are the pixels of the map.
    Rows(Map<'a>),
    /// Its columns are the pixels of the map.
    Transposed(Map<'a>),
}

/// Computes `out = left · right`, added to `out` if `accumulate`.
///
/// # Panics
/// If the extents do not agree.
pub(super) fn multiply(isa: Isa, left: Left<'_>, right: Map<'_>, out: MapMut<'_>, accumulate: bool) {
    let [m, n, k] = [out.pixels(), out.channels(), right.pixels()];
    let (lhs, extents) = match left {
        Left::Rows(map) => (Matrix::rows(map.at(0), map.stride()), [map.pixels(), map.channels()]),
        Left::Transposed(map) => {
            (Matrix::rows(map.at(0), map.stride()).transposed(), [map.channels(), map.pixels()])
        }
    };
    assert_eq!(extents, [m, k], "rows and columns of the left-hand matrix");
    assert_eq!(right.channels(), n, "columns of the right-hand matrix");
    let (rhs, to) = (Matrix::rows(right.at(0), right.stride()), Matrix::rows(out.at(0), out.stride()));
    let sums = if accumulate { Sums::Add } else { Sums::Store };
    // SAFETY: the maps are readable, `out` belongs to this handle and overlaps no map, and all have these extents.
    unsafe { gemm::multiply(isa, [m, n, k], to, lhs, rhs, sums) }
}
