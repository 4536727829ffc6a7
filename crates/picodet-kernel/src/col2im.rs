//! The second half of a convolution to one channel: sums, per window, the contributions of its pixels.
//!
//! The first half is a matrix product with one column per position of the kernel window. No pixel is copied,
//! and the product has many columns where the convolution has one.

use std::ops::Range;

use picodet_graph::Activation;
use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch};

use crate::activation::activate;

/// Arguments of [`col2im`].
#[derive(Clone, Debug)]
pub struct Col2Im {
    /// First pixel of a map, `height · width` pixels of `source_stride` elements, of which the first
    /// `kernel²` count.
    pub source: *const f32,
    /// Elements from one pixel to the next.
    pub source_stride: usize,
    /// Height and width of the map and of the result.
    pub size: (usize, usize),
    /// Side of the kernel window.
    pub kernel: usize,
    /// Added to each sum.
    pub bias: f32,
    /// First pixel of the result.
    pub out: *mut f32,
    /// Elements from one result to the next.
    pub out_stride: usize,
    /// Rows of the result to compute.
    pub rows: Range<usize>,
    /// Applied last.
    pub act: Option<Activation>,
}

/// Sums the products of each window.
///
/// # Safety
/// * `source` is valid for reads of `kernel²` elements of all pixels, `out` for writes of one element of each
///   pixel in `rows`, which are rows of the map,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn col2im(isa: Isa, args: &Col2Im) {
    dispatch(isa, args);
}

impl Kernel for &Col2Im {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.size.1;
        for y in self.rows.clone() {
            for first in (0..width).step_by(S::LEN) {
                let count = (width - first).min(S::LEN);
                let mut sums = [self.bias; 16];
                for (i, sum) in sums.iter_mut().enumerate().take(count) {
                    // SAFETY: column `first + i` is below the width.
                    *sum += unsafe { self.window(y, first + i) };
                }
                activate(s.load_slice(&sums), self.act).store_slice(&mut sums);
                // SAFETY: `count` columns remain in the row.
                unsafe {
                    let out = self.out.add((y * width + first) * self.out_stride);
                    for (i, sum) in sums.iter().enumerate().take(count) {
                        *out.add(i * self.out_stride) = *sum;
                    }
                }
            }
        }
    }
}

impl Col2Im {
    /// Returns the sum of one window.
    ///
    /// # Safety
    /// As [`col2im`]; the pixel is in the map.
    #[inline(always)]
    unsafe fn window(&self, y: usize, x: usize) -> f32 {
        let (pad, (height, width)) = (self.kernel / 2, self.size);
        let columns = pad.saturating_sub(x)..(width + pad - x).min(self.kernel);
        let mut sum = 0.0f32;
        for row in pad.saturating_sub(y)..(height + pad - y).min(self.kernel) {
            for column in columns.clone() {
                let pixel = (y + row - pad) * width + x + column - pad;
                // SAFETY: rows and columns are those of the window that are in the map.
                sum += unsafe { *self.source.add(pixel * self.source_stride + row * self.kernel + column) };
            }
        }
        sum
    }
}
