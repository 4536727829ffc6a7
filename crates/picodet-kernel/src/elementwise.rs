//! Operations on one pixel after the other, a vector of channels at a time: elementwise functions, upsampling
//! and interpolation.

use std::ops::Range;

use picodet_graph::Activation;
use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch};

use crate::activation::activate;
use crate::map::ChannelRange;
use crate::tuning;

/// The computation on each vector.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// `act(x)`.
    Activate(Option<Activation>),
    /// `act(x + other)`.
    Add(Option<Activation>),
    /// `x · factor[c] + addend[c]`, by the range's `other` column.
    Affine {
        /// One factor per channel.
        factor: *const f32,
        /// One addend per channel; null for zeros.
        addend: *const f32,
    },
    /// `sqrt(x · other[0] + epsilon)`, where `other` is one value per pixel.
    GeometricMean {
        /// Column of the value.
        column: usize,
        /// Added before the square root.
        epsilon: f32,
    },
    /// The maximum of 3×3 pixels around twice the position.
    MaxPool,
    /// The pixel at half the position.
    Upsample,
    /// Bilinear interpolation of two by two pixels: tables of (first, second, weight of the second) by row
    /// and column.
    Blend {
        /// One entry per row of the result.
        rows: &'a [(usize, usize, f32)],
        /// One entry per column of the result.
        columns: &'a [(usize, usize, f32)],
    },
}

/// Arguments of [`elementwise`].
#[derive(Clone, Debug)]
pub struct Elementwise<'a> {
    /// The computation.
    pub kind: Kind<'a>,
    /// First pixel of the source; kinds that change the size access only the rows that contribute to `rows`.
    pub source: *const f32,
    /// Elements from one source pixel to the next.
    pub source_stride: usize,
    /// Height and width of the source.
    pub size: (usize, usize),
    /// First pixel of the second source, of the size of the result; null if there is none.
    pub other: *const f32,
    /// Elements from one pixel of the second source to the next.
    pub other_stride: usize,
    /// First pixel of the result.
    pub out: *mut f32,
    /// Elements from one result pixel to the next.
    pub out_stride: usize,
    /// Width of the result.
    pub out_width: usize,
    /// Rows of the result to compute.
    pub rows: Range<usize>,
    /// The channels.
    pub ranges: &'a [ChannelRange],
}

/// Computes an elementwise function, a max pool or a resize.
///
/// # Safety
/// * `source` is valid for reads of the ranges in the pixels that contribute to `rows`: those of the result for
///   kinds that keep the size, else the pixels that the kind names, all of which are in the map,
/// * `other`, `factor` and `addend`, where the kind has them, are valid for reads of the ranges' `other`
///   columns, of `GeometricMean` for the one column,
/// * `out` is valid for writes of the ranges in `rows`,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn elementwise(isa: Isa, args: &Elementwise<'_>) {
    dispatch(isa, args);
}

impl Kernel for &Elementwise<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for y in self.rows.clone() {
            if matches!(self.kind, Kind::MaxPool) {
                // SAFETY: `y` is a row of the result.
                unsafe { max_pool_row(s, self, y) };
                continue;
            }
            for x in 0..self.out_width {
                // SAFETY: the pixel is one of the result.
                unsafe { self.pixel(s, y, x) };
            }
        }
    }
}

impl Elementwise<'_> {
    /// Computes one pixel.
    ///
    /// # Safety
    /// As [`elementwise`]; the pixel is one of `rows`.
    #[inline(always)]
    unsafe fn pixel<S: Simd>(&self, s: S, y: usize, x: usize) {
        let (pixel, ranges) = (y * self.out_width + x, self.ranges);
        // The source may start before its memory does when only some of its rows exist.
        let at = |row: usize, column: usize| {
            self.source.wrapping_add((row * self.size.1 + column) * self.source_stride)
        };
        let from = self.source.wrapping_add(pixel * self.source_stride);
        let out = self.out.wrapping_add(pixel * self.out_stride);
        let other = self.other.wrapping_add(pixel * self.other_stride);
        // SAFETY: `from`, `out` and `other` are the pixel in the maps that the kind accesses, and runs are
        // inside pixels.
        unsafe {
            match self.kind {
                Kind::Activate(act) => each(s, ranges, out, |range, done, n| {
                    activate(s.load_part(from.add(range.source + done), n), act)
                }),
                Kind::Add(act) => each(s, ranges, out, |range, done, n| {
                    let a = s.load_part(from.add(range.source + done), n);
                    activate(a + s.load_part(other.add(range.other + done), n), act)
                }),
                Kind::Affine { factor, addend } => each(s, ranges, out, |range, done, n| {
                    let value = s.load_part(from.add(range.source + done), n);
                    let value = value * s.load_part(factor.add(range.other + done), n);
                    if addend.is_null() {
                        value
                    } else {
                        value + s.load_part(addend.add(range.other + done), n)
                    }
                }),
                Kind::GeometricMean { column, epsilon } => {
                    let alignment = s.splat(*other.add(column));
                    each(s, ranges, out, |range, done, n| {
                        let value = s.load_part(from.add(range.source + done), n);
                        value.mul_add(alignment, s.splat(epsilon)).sqrt()
                    });
                }
                // By whole rows, see `max_pool_row`.
                Kind::MaxPool => {}
                Kind::Upsample => {
                    let from = at(y / 2, x / 2);
                    each(s, ranges, out, |range, done, n| s.load_part(from.add(range.source + done), n));
                }
                Kind::Blend { rows, columns } => {
                    let ((y0, y1, fy), (x0, x1, fx)) = (rows[y], columns[x]);
                    let (fx0, fx1, fy0, fy1) =
                        (s.splat(1.0 - fx), s.splat(fx), s.splat(1.0 - fy), s.splat(fy));
                    each(s, ranges, out, |range, done, n| {
                        let load = |row, column| s.load_part(at(row, column).add(range.source + done), n);
                        let top = load(y0, x0) * fx0 + load(y0, x1) * fx1;
                        let bottom = load(y1, x0) * fx0 + load(y1, x1) * fx1;
                        top * fy0 + bottom * fy1
                    });
                }
            }
        }
    }
}

/// Computes one row of a max pool: a vector of channels moves along the row and keeps the maximum of each
/// column of three.
///
/// # Safety
/// As [`elementwise`] of [`Kind::MaxPool`]; `y` is a row of the
/// result.
#[inline(always)]
unsafe fn max_pool_row<S: Simd>(s: S, args: &Elementwise<'_>, y: usize) {
    let (height, width) = args.size;
    // Rows and columns outside the map are replaced by the nearest inside, which is in the window as well.
    let above = (2 * y).saturating_sub(1);
    let below = (2 * y + 1).min(height - 1);
    for range in args.ranges {
        for done in (0..range.len).step_by(S::LEN) {
            let n = (range.len - done).min(S::LEN);
            let row =
                |row: usize| args.source.wrapping_add(row * width * args.source_stride + range.source + done);
            let (top, middle, bottom) = (row(above), row(2 * y), row(below));
            let out = args.out.wrapping_add(y * args.out_width * args.out_stride + range.destination + done);
            // SAFETY: the rows and, limited to `width - 1`, the columns are in the map; `n` columns of the
            // run remain.
            unsafe {
                if n == S::LEN {
                    if tuning::prefers_numbers::<S>() && max_pool_numbers(s, args, [top, middle, bottom], out)
                    {
                        continue;
                    }
                    let column = |x: usize| {
                        let x = x * args.source_stride;
                        s.load(middle.add(x)).maximum(s.load(top.add(x))).maximum(s.load(bottom.add(x)))
                    };
                    let mut last = column(0);
                    for x in 0..args.out_width {
                        let next = column((2 * x + 1).min(width - 1));
                        last.maximum(column(2 * x)).maximum(next).store(out.add(x * args.out_stride));
                        last = next;
                    }
                } else {
                    let column = |x: usize| {
                        let x = x * args.source_stride;
                        let load = |row: *const f32| s.load_part(row.add(x), n);
                        load(middle).maximum(load(top)).maximum(load(bottom))
                    };
                    let mut last = column(0);
                    for x in 0..args.out_width {
                        let next = column((2 * x + 1).min(width - 1));
                        last.maximum(column(2 * x)).maximum(next).store_part(out.add(x * args.out_stride), n);
                        last = next;
                    }
                }
            }
        }
    }
}

/// Computes a vector of channels of one row of a max pool from rows without NaN; returns false, and leaves a wrong result, where
/// they may have some.
///
/// # Safety
/// The rows are valid for a vector in each of the source's columns, `out` in each of the result's.
#[inline(always)]
unsafe fn max_pool_numbers<S: Simd>(
    s: S,
    args: &Elementwise<'_>,
    [top, middle, bottom]: [*const f32; 3],
    out: *mut f32,
) -> bool {
    let width = args.size.1;
    // SAFETY: columns are at most `width - 1`; the array holds a vector.
    unsafe {
        // The largest values of a column, and their sum, which is NaN if one of them is.
        let column = |x: usize| {
            let x = x * args.source_stride;
            let [a, b, c] = [top, middle, bottom].map(|row| s.load(row.add(x)));
            (a.max_number(b).max_number(c), a + b + c)
        };
        let mut last = column(0).0;
        let mut sums = s.splat(0.0);
        for x in 0..args.out_width {
            let ((this, sum), (next, next_sum)) = (column(2 * x), column((2 * x + 1).min(width - 1)));
            last.max_number(this).max_number(next).store(out.add(x * args.out_stride));
            last = next;
            sums = sums + (sum + next_sum);
        }
        let mut lanes = [0.0f32; 16];
        sums.store(lanes.as_mut_ptr());
        !lanes.iter().any(|sum| sum.is_nan())
    }
}

/// Stores `value(range, columns done, count)` for every vector of every range.
///
/// # Safety
/// `out` is valid for writes of the destinations of the ranges.
#[inline(always)]
pub(crate) unsafe fn each<S: Simd>(
    _: S,
    ranges: &[ChannelRange],
    out: *mut f32,
    value: impl Fn(&ChannelRange, usize, usize) -> S::F32,
) {
    for range in ranges {
        let mut done = 0;
        while done < range.len {
            let count = (range.len - done).min(S::LEN);
            // SAFETY: `count` columns of the range remain after `done`.
            unsafe { value(range, done, count).store_part(out.add(range.destination + done), count) };
            done += count;
        }
    }
}
