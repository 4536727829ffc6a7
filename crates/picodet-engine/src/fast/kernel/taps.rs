//! The second half of a convolution to one channel: what each cell gives to the windows around it, added up per window.
//!
//! The first half is a matrix product with a column for each cell of the window. No cell is copied, and the product has many
//! columns where the convolution has one.
#![allow(unsafe_code)]

use std::ops::Range;

use picodet_graph::Activation;

use super::activate::activate;
use super::dispatch;
use super::lanes::Lanes;

/// What [`sum_taps`] adds up.
pub(crate) struct SumTaps {
    /// First cell of a map, `height · width` cells of `source_stride` numbers, of which the first `kernel²` count.
    pub(crate) source: *const f32,
    /// Numbers from one cell to the next.
    pub(crate) source_stride: usize,
    /// Height and width of the map and of the result.
    pub(crate) size: (usize, usize),
    /// Side of the window.
    pub(crate) kernel: usize,
    /// Added to each sum.
    pub(crate) bias: f32,
    /// First cell of the result.
    pub(crate) out: *mut f32,
    /// Numbers from one result to the next.
    pub(crate) out_stride: usize,
    /// Rows of the result to make.
    pub(crate) rows: Range<usize>,
    /// Applied last.
    pub(crate) act: Option<Activation>,
}

dispatch!(
    /// Adds up.
    sum_taps, sum_taps_lanes, SumTaps
);

/// # Safety
/// As [`sum_taps`].
#[inline(always)]
unsafe fn sum_taps_lanes<V: Lanes>(args: &SumTaps) {
    let width = args.size.1;
    for y in args.rows.clone() {
        for first in (0..width).step_by(V::LEN) {
            let count = (width - first).min(V::LEN);
            let mut sums = [args.bias; 16];
            // SAFETY: the caller's promise; cells outside the map are not read.
            unsafe {
                for (i, sum) in sums.iter_mut().enumerate().take(count) {
                    *sum += window(args, y, first + i);
                }
                let out = args.out.add((y * width + first) * args.out_stride);
                activate(V::load(sums.as_ptr()), args.act).store(sums.as_mut_ptr());
                for (i, sum) in sums.iter().enumerate().take(count) {
                    *out.add(i * args.out_stride) = *sum;
                }
            }
        }
    }
}

/// The sum of one window.
///
/// # Safety
/// As [`sum_taps`]; the cell lies in the map.
#[inline(always)]
unsafe fn window(args: &SumTaps, y: usize, x: usize) -> f32 {
    let (pad, (height, width)) = (args.kernel / 2, args.size);
    let columns = pad.saturating_sub(x)..(width + pad - x).min(args.kernel);
    let mut sum = 0.0f32;
    for row in pad.saturating_sub(y)..(height + pad - y).min(args.kernel) {
        for column in columns.clone() {
            let cell = (y + row - pad) * width + x + column - pad;
            // SAFETY: the caller's promise; rows and columns are those of the window that lie in the map.
            sum += unsafe { *args.source.add(cell * args.source_stride + row * args.kernel + column) };
        }
    }
    sum
}
