//! Pooling and resizing, forward and backward.
#![allow(unsafe_code)]

use std::ops::Range;

use picodet_simd::{Kernel, Simd, Vector, dispatch};

use super::elementwise::{Elementwise, elementwise};
use super::map::{Band, Map, MapMut};
use super::split::band_rows;
use super::{Executor, Lanes, for_each_vector};

/// Cuts a map into bands and calls `task` with each.
fn for_each_band(executor: &Executor, map: MapMut<'_>, task: impl Fn(Band<'_>) + Sync + Send) {
    let ([_, height, width], channels) = (map.size(), map.channels());
    executor.pool.for_each(map.bands(band_rows(width, channels).min(height.max(1))), task);
}

/// Maximum of 3×3 with stride 2. `argmax`, if given, gets the window position of every maximum, the first of equal
/// ones, a byte per element of `out`.
///
/// # Panics
/// If the extents do not agree.
pub fn max_pool(executor: &Executor, x: Map<'_>, out: MapMut<'_>, argmax: Option<&mut [u8]>) {
    let ([_, height, width], channels) = (out.size(), out.channels());
    assert_eq!((x.size()[0], x.channels()), (out.size()[0], channels), "maps of another size");
    assert!(argmax.as_ref().is_none_or(|argmax| argmax.len() >= out.pixels() * channels), "argmax too short");
    let mut bands = Vec::new();
    let mut rest = argmax;
    for band in out.bands(band_rows(width, channels).min(height.max(1))) {
        let part = rest.map(|bytes| bytes.split_at_mut(band.map.pixels() * channels));
        let (part, others) = part.unzip();
        rest = others;
        bands.push((band, part));
    }
    executor.pool.for_each(bands, |(band, argmax)| {
        let x = x.image(band.image);
        dispatch(executor.isa, MaxPool { x, rows: band.rows, out: band.map, argmax });
    });
}

/// Rows of [`max_pool`] from one image.
struct MaxPool<'a, 'o> {
    x: Map<'a>,
    rows: Range<usize>,
    out: MapMut<'o>,
    argmax: Option<&'o mut [u8]>,
}

impl Kernel for MaxPool<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, rows, out, mut argmax } = self;
        let ([_, height, width], out_width) = (x.size(), out.size()[2]);
        let channels = x.channels();
        for (index, y) in rows.enumerate() {
            for column in 0..out_width {
                let pixel = index * out_width + column;
                // The pixels of the window, the last first, so that the first of equal values remains.
                let mut window = [(0.0, std::ptr::null()); 9];
                let mut count = 0;
                for position in (0..9).rev() {
                    let (row, column) = (2 * y + position / 3, 2 * column + position % 3);
                    if row > 0 && row <= height && column > 0 && column <= width {
                        window[count] = (position as f32, x.at((row - 1) * width + column - 1));
                        count += 1;
                    }
                }
                let (window, out) = (&window[..count], out.at(pixel));
                let positions =
                    argmax.as_mut().map(|argmax| argmax[pixel * channels..][..channels].as_mut_ptr());
                for_each_vector!(S, channels, |c, n| {
                    // SAFETY: the window holds pixels of `x`, `out` is a pixel of the result, and there is one
                    // position per channel; `c` and the lanes from it are channels of all of them.
                    unsafe {
                        let lowest = s.splat(f32::NEG_INFINITY);
                        let (mut largest, mut at, mut any_nan) = (lowest, s.splat(0.0), lowest);
                        for &(position, pixel) in window {
                            let value = n.load(s, pixel.add(c));
                            let keep = largest.greater(value);
                            largest = Vector::select(keep, largest, value);
                            at = Vector::select(keep, at, s.splat(position));
                            any_nan = any_nan.maximum(value);
                        }
                        // A comparison with a NaN is false.
                        let number = any_nan.select_greater(lowest, largest, any_nan);
                        n.store(number, out.add(c));
                        if let Some(positions) = positions {
                            at.store_u8_part(positions.add(c), n.count::<S>());
                        }
                    }
                });
            }
        }
    }
}

/// The gradient of [`max_pool`], added to `dx` if `accumulate`.
///
/// # Panics
/// If the extents do not agree.
pub fn max_pool_gradient(executor: &Executor, dy: Map<'_>, argmax: &[u8], dx: MapMut<'_>, accumulate: bool) {
    assert_eq!((dy.size()[0], dy.channels()), (dx.size()[0], dx.channels()), "maps of another size");
    let len = dy.plane() * dy.channels();
    for_each_band(executor, dx, |band| {
        let argmax = &argmax[band.image * len..][..len];
        let dy = dy.image(band.image);
        dispatch(executor.isa, MaxPoolGradient { dy, argmax, rows: band.rows, dx: band.map, accumulate });
    });
}

/// Rows of [`max_pool_gradient`] of one image.
struct MaxPoolGradient<'a, 'o> {
    dy: Map<'a>,
    argmax: &'a [u8],
    rows: Range<usize>,
    dx: MapMut<'o>,
    accumulate: bool,
}

impl Kernel for MaxPoolGradient<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { dy, argmax, rows, dx, accumulate } = self;
        let ([_, out_height, out_width], channels) = (dy.size(), dy.channels());
        let width = dx.size()[2];
        for (index, y) in rows.enumerate() {
            for x in 0..width {
                let to = dx.at(index * width + x);
                // The windows that this pixel is in, and its position there.
                let mut windows = [(0.0, std::ptr::null(), std::ptr::null()); 4];
                let mut count = 0;
                for position in 0..9usize {
                    // 2 · row + position's row - 1 = y.
                    let row = (y + 1).checked_sub(position / 3).filter(|row| row.is_multiple_of(2));
                    let column = (x + 1).checked_sub(position % 3).filter(|column| column.is_multiple_of(2));
                    let (Some(row), Some(column)) = (row, column) else { continue };
                    if row / 2 < out_height && column / 2 < out_width {
                        let pixel = row / 2 * out_width + column / 2;
                        let positions = argmax[pixel * channels..][..channels].as_ptr();
                        windows[count] = (position as f32, dy.at(pixel), positions);
                        count += 1;
                    }
                }
                let windows = &windows[..count];
                for_each_vector!(S, channels, |c, n| {
                    // SAFETY: `to` is a pixel of `dx`, the windows are pixels of `dy`, and there is one position
                    // per channel; `c` and the lanes from it are channels of all of them.
                    unsafe {
                        let zero = s.splat(0.0);
                        let mut sum = if accumulate { n.load(s, to.add(c)) } else { zero };
                        for &(position, dy, positions) in windows {
                            let at = s.load_u8_part(positions.add(c), n.count::<S>());
                            let gradient = n.load(s, dy.add(c));
                            let gradient = at.select_greater(s.splat(position - 0.5), gradient, zero);
                            sum = sum + at.select_greater(s.splat(position + 0.5), zero, gradient);
                        }
                        n.store(sum, to.add(c));
                    }
                });
            }
        }
    }
}

fn assert_doubled(small: ([usize; 3], usize), large: ([usize; 3], usize)) {
    let ([n, h, w], channels) = small;
    assert_eq!(([n, 2 * h, 2 * w], channels), large, "the large map is not twice as large");
}

/// Every pixel repeated 2×2.
///
/// # Panics
/// If `out` is not twice as large.
pub fn upsample(executor: &Executor, x: Map<'_>, out: MapMut<'_>) {
    assert_doubled((x.size(), x.channels()), (out.size(), out.channels()));
    for_each_band(executor, out, |band| {
        let (image, mut out) = (x.image(band.image), band.map);
        let (width, out_width) = (image.size()[2], out.size()[2]);
        for (index, y) in band.rows.enumerate() {
            for x in 0..out_width {
                out.pixel(index * out_width + x).copy_from_slice(image.pixel(y / 2 * width + x / 2));
            }
        }
    });
}

/// The gradient of [`upsample`], added to `dx` if `accumulate`.
///
/// # Panics
/// If `dy` is not twice as large.
pub fn upsample_gradient(executor: &Executor, dy: Map<'_>, dx: MapMut<'_>, accumulate: bool) {
    assert_doubled((dx.size(), dx.channels()), (dy.size(), dy.channels()));
    for_each_band(executor, dx, |band| {
        let dy = dy.image(band.image);
        dispatch(executor.isa, UpsampleGradient { dy, rows: band.rows, dx: band.map, accumulate });
    });
}

/// Rows of [`upsample_gradient`] of one image, whose sides are half of those of `dy`.
struct UpsampleGradient<'a, 'o> {
    dy: Map<'a>,
    rows: Range<usize>,
    dx: MapMut<'o>,
    accumulate: bool,
}

impl Kernel for UpsampleGradient<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.dx.size()[2];
        for (index, y) in self.rows.clone().enumerate() {
            for x in 0..width {
                let to = self.dx.at(index * width + x);
                let from = |row: usize, column: usize| self.dy.at((2 * y + row) * 2 * width + 2 * x + column);
                let [a, b, d, e] = [from(0, 0), from(0, 1), from(1, 0), from(1, 1)];
                for_each_vector!(S, self.dx.channels(), |c, n| {
                    // SAFETY: `dy` has twice the rows and columns; `c` and the lanes from it are channels.
                    unsafe {
                        let top = n.load(s, a.add(c)) + n.load(s, b.add(c));
                        let mut sum = top + (n.load(s, d.add(c)) + n.load(s, e.add(c)));
                        if self.accumulate {
                            sum = sum + n.load(s, to.add(c));
                        }
                        n.store(sum, to.add(c));
                    }
                });
            }
        }
    }
}

/// A pixel of a result as a weighted sum of pixels of the input: `(row, column, weight)`, and their number.
type Samples = ([(usize, usize, f32); 4], usize);

/// A resampling whose pixels are weighted sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interpolation {
    /// Bilinear between pixel centres, the border repeated.
    Bilinear,
    /// Mean of 2×2 with stride 2; of the pixels inside the map only.
    Average,
}

impl Interpolation {
    fn samples(self, y: usize, x: usize, [_, height, width]: [usize; 3], out: [usize; 3]) -> Samples {
        match self {
            Self::Bilinear => {
                let sample = |to: usize, extent: usize, out_extent: usize| {
                    let position = ((to as f64 + 0.5) * extent as f64 / out_extent as f64 - 0.5).max(0.0);
                    let first = (position as usize).min(extent - 1);
                    (first, (first + 1).min(extent - 1), (position - first as f64) as f32)
                };
                let (y0, y1, fy) = sample(y, height, out[1]);
                let (x0, x1, fx) = sample(x, width, out[2]);
                let samples = [
                    (y0, x0, (1.0 - fy) * (1.0 - fx)),
                    (y0, x1, (1.0 - fy) * fx),
                    (y1, x0, fy * (1.0 - fx)),
                    (y1, x1, fy * fx),
                ];
                (samples, 4)
            }
            Self::Average => {
                let mut samples = [(0, 0, 0.0); 4];
                let mut count = 0;
                for position in 0..4 {
                    let (row, column) = (2 * y + position / 2, 2 * x + position % 2);
                    if row < height && column < width {
                        samples[count] = (row, column, 0.0);
                        count += 1;
                    }
                }
                samples.iter_mut().for_each(|sample| sample.2 = 1.0 / count as f32);
                (samples, count)
            }
        }
    }
}

/// Resamples `x` to the size of `out`.
///
/// # Panics
/// If the extents do not agree.
pub fn interpolate(executor: &Executor, interpolation: Interpolation, x: Map<'_>, out: MapMut<'_>) {
    assert_eq!((x.size()[0], x.channels()), (out.size()[0], out.channels()), "maps of another size");
    let out_size = out.size();
    for_each_band(executor, out, |band| {
        let (image, mut out) = (x.image(band.image), band.map);
        for (index, y) in band.rows.enumerate() {
            for x in 0..out_size[2] {
                let (samples, count) = interpolation.samples(y, x, image.size(), out_size);
                let out = out.pixel(index * out_size[2] + x);
                out.fill(0.0);
                for &(row, column, weight) in &samples[..count] {
                    let from = image.pixel(row * image.size()[2] + column);
                    out.iter_mut().zip(from).for_each(|(out, from)| *out += weight * from);
                }
            }
        }
    });
}

/// The gradient of [`interpolate`], added to `dx` if `accumulate`.
///
/// # Panics
/// If the extents do not agree.
pub fn interpolate_gradient(
    executor: &Executor,
    interpolation: Interpolation,
    dy: Map<'_>,
    mut dx: MapMut<'_>,
    accumulate: bool,
) {
    assert_eq!((dy.size()[0], dy.channels()), (dx.size()[0], dx.channels()), "maps of another size");
    if !accumulate {
        elementwise(executor, &Elementwise::Zero, dx.reborrow(), false);
    }
    // Pixels of several rows add to one pixel: an image is one task.
    let images: Vec<_> = dx.images().into_iter().enumerate().collect();
    executor.pool.for_each(images, |(image, mut dx)| {
        let (dy, size) = (dy.image(image), dx.size());
        let [_, height, width] = dy.size();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let (samples, count) = interpolation.samples(y, x, size, dy.size());
            let from = dy.pixel(y * width + x);
            for &(row, column, weight) in &samples[..count] {
                let to = dx.pixel(row * size[2] + column);
                to.iter_mut().zip(from).for_each(|(to, from)| *to += weight * from);
            }
        }
    });
}
