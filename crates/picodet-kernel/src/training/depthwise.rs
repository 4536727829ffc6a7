//! Depthwise convolutions of 3×3 and 5×5, stride 1 and 2, channels last: forward and both gradients.
//!
//! Forward and the gradient of the input are one kernel, `Rows`: each element of a row is the sum of kernel positions
//! over rows of a source. Five pixels are computed at once (every map of a 320 px image is a multiple of five wide), one
//! vector of channels at a time; pixels in the padding are read from a pixel of zeros, so that no tile is special.
//!
//! The strips of the inference kernel are not used here: bias and activation are separate operations in training, and
//! the gradient with stride 2 has no counterpart there.
#![allow(unsafe_code)]

use std::ops::Range;

use picodet_graph::Convolution;
use picodet_simd::{Kernel, Outlined, Simd, Vector, dispatch};

use super::elementwise::{Elementwise, elementwise};
use super::map::{Band, Map, MapMut};
use super::reduce::sum_partial;
use super::split::{band_rows, partial_sums};
use super::{Executor, Lanes, Scratch, for_each_vector};

/// Pixels computed at once.
const TILE: usize = 5;
/// Side of the largest window.
const WINDOW: usize = 5;
/// Source columns that a tile reads at most: `(TILE - 1) · 2 + WINDOW`.
const COLUMNS: usize = 13;

/// Whether the kernels of this module compute a convolution of `in_channels` channels.
#[must_use]
pub fn is_supported(op: &Convolution, in_channels: usize) -> bool {
    op.is_depthwise(in_channels) && matches!(op.kernel, 3 | 5) && matches!(op.stride, 1 | 2)
}

/// `out = x * weights + bias`, with `weights` `[kernel²][channels]`.
///
/// # Panics
/// If the extents do not agree or the convolution is not supported.
pub fn forward(
    executor: &Executor,
    op: &Convolution,
    x: Map<'_>,
    weights: &[f32],
    bias: Option<&[f32]>,
    mut out: MapMut<'_>,
) {
    if let Some(bias) = bias {
        elementwise(executor, &Elementwise::Broadcast(bias.into()), out.reborrow(), false);
    }
    convolve(executor, op, x, weights, out, false, bias.is_some());
}

/// The gradient of the input of [`forward`] from that of the result, `dy`; added to `dx` if `accumulate`.
///
/// # Panics
/// If the extents do not agree or the convolution is not supported.
pub fn input_gradient(
    executor: &Executor,
    op: &Convolution,
    weights: &[f32],
    dy: Map<'_>,
    dx: MapMut<'_>,
    accumulate: bool,
) {
    convolve(executor, op, dy, weights, dx, true, accumulate);
}

fn convolve(
    executor: &Executor,
    op: &Convolution,
    source: Map<'_>,
    weights: &[f32],
    target: MapMut<'_>,
    backward: bool,
    accumulate: bool,
) {
    let channels = target.channels();
    assert!(is_supported(op, channels), "unsupported {op:?}");
    assert_eq!((source.channels(), source.size()[0]), (channels, target.size()[0]), "maps of another size");
    assert_eq!(weights.len(), op.kernel * op.kernel * channels, "elements of the weights");
    let zeros = vec![0.0; channels];
    let (height, rows) = (target.size()[1], band_rows(target.size()[2], channels));
    executor.pool.for_each(target.bands(rows.min(height.max(1))), |band| {
        let Band { image, rows, map } = band;
        let source = source.image(image);
        let rows = Rows { op, source, target: map, rows, weights, zeros: &zeros, backward, accumulate };
        dispatch(executor.isa, rows);
    });
}

/// Rows of a depthwise convolution or of its transpose. `source`, `target`, `weights` and `zeros` have the same
/// channels, of which `weights` holds `kernel²`.
struct Rows<'a, 'o> {
    op: &'a Convolution,
    /// One image: the input, or the gradient of the result.
    source: Map<'a>,
    /// The rows of the result, or of the gradient of the input.
    target: MapMut<'o>,
    rows: Range<usize>,
    weights: &'a [f32],
    /// A pixel of zeros.
    zeros: &'a [f32],
    backward: bool,
    accumulate: bool,
}

/// Some pixels of one row.
struct Line {
    /// Source rows (null beyond `count_rows`) and the weights of the first position of each.
    rows: [(*const f32, *const f32); WINDOW],
    count_rows: usize,
    /// Source column of the first position of the first pixel.
    first: isize,
    /// Elements between the weights of consecutive positions.
    step: isize,
    /// First pixel, elements to the next, and their number.
    out: *mut f32,
    out_step: usize,
    count: usize,
}

impl Kernel for Rows<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [_, height, _] = self.source.size();
        let (k, stride, c) = (self.op.kernel, self.op.stride, self.target.channels());
        let (width, pad) = (self.target.size()[2], k / 2);
        for (index, y) in self.rows.clone().enumerate() {
            let mut rows = [(std::ptr::null(), std::ptr::null()); WINDOW];
            let mut count_rows = 0;
            for ky in 0..k {
                let source = if !self.backward {
                    (y * stride + ky).checked_sub(pad)
                } else {
                    // With a stride, only every other row meets a position.
                    let at = (y + pad).checked_sub(ky).filter(|at| at.is_multiple_of(stride));
                    at.map(|at| at / stride)
                };
                if let Some(source) = source.filter(|&source| source < height) {
                    let row = self.source.at(source * self.source.size()[2]);
                    rows[count_rows] = (row, self.weights.as_ptr().wrapping_add(ky * k * c));
                    count_rows += 1;
                }
            }
            let out = self.target.at(index * width);
            if !self.backward {
                let line = Line {
                    rows,
                    count_rows,
                    first: -(pad as isize),
                    step: c as isize,
                    out,
                    out_step: self.target.stride(),
                    count: width,
                };
                match (k, stride) {
                    (3, 1) => self.line::<S, 3, 1>(s, &line),
                    (3, _) => self.line::<S, 3, 2>(s, &line),
                    (_, 1) => self.line::<S, 5, 1>(s, &line),
                    _ => self.line::<S, 5, 2>(s, &line),
                }
                continue;
            }
            for phase in 0..stride.min(width) {
                // The positions that this phase of columns meets, by rising source column: kx falls from `last`.
                let last = k - 1 - (k - 1 + phase + pad) % stride;
                let line = Line {
                    rows: rows.map(|(row, weights)| (row, weights.wrapping_add(last * c))),
                    count_rows,
                    first: (phase as isize + pad as isize - last as isize) / stride as isize,
                    step: -((stride * c) as isize),
                    out: out.wrapping_add(phase * self.target.stride()),
                    out_step: stride * self.target.stride(),
                    count: (width - phase).div_ceil(stride),
                };
                match last / stride + 1 {
                    1 => self.line::<S, 1, 1>(s, &line),
                    2 => self.line::<S, 2, 1>(s, &line),
                    3 => self.line::<S, 3, 1>(s, &line),
                    _ => self.line::<S, 5, 1>(s, &line),
                }
            }
        }
    }
}

impl Rows<'_, '_> {
    /// `K` positions per source row, which begin `D` source columns after those of the pixel before.
    #[inline(always)]
    fn line<S: Simd, const K: usize, const D: usize>(&self, s: S, line: &Line) {
        s.outlined(Pixels::<_, K, D> { s, rows: self, line });
    }
}

/// The arguments of [`Rows::line`].
struct Pixels<'a, S, const K: usize, const D: usize> {
    s: S,
    rows: &'a Rows<'a, 'a>,
    line: &'a Line,
}

impl<S: Simd, const K: usize, const D: usize> Outlined for Pixels<'_, S, K, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { s, rows: Rows { source, target, zeros, accumulate, .. }, line } = self;
        let width = source.size()[2] as isize;
        let columns = (TILE - 1) * D + K;
        for tile in (0..line.count).step_by(TILE) {
            let count = TILE.min(line.count - tile);
            let mut table = [[zeros.as_ptr(); COLUMNS]; WINDOW];
            for (entries, (row, _)) in table.iter_mut().zip(&line.rows[..line.count_rows]) {
                for (column, entry) in entries.iter_mut().enumerate().take(columns) {
                    let at = line.first + (tile * D + column) as isize;
                    if at >= 0 && at < width {
                        *entry = row.wrapping_add(at as usize * source.stride());
                    }
                }
            }
            let out = line.out.wrapping_add(tile * line.out_step);
            for_each_vector!(S, target.channels(), |c, n| {
                // SAFETY: every entry of the table is a pixel of the source or the pixel of zeros; the `count` pixels
                // from `out` are pixels of the row; positions are below `kernel` in each row of the window; `c` and
                // the lanes from it are channels of all of them.
                unsafe {
                    let mut sums = [s.splat(0.0); TILE];
                    if *accumulate {
                        for (i, sum) in sums.iter_mut().enumerate().take(count) {
                            *sum = n.load(s, out.add(i * line.out_step + c));
                        }
                    }
                    for (entries, (_, weights)) in table.iter().zip(&line.rows[..line.count_rows]) {
                        let mut factors = [s.splat(0.0); K];
                        for (position, value) in factors.iter_mut().enumerate() {
                            *value = n.load(s, weights.wrapping_offset(position as isize * line.step).add(c));
                        }
                        let mut pixels = [s.splat(0.0); COLUMNS];
                        for column in 0..columns {
                            pixels[column] = n.load(s, entries[column].add(c));
                        }
                        for position in 0..K {
                            for i in 0..TILE {
                                sums[i] = pixels[i * D + position].mul_add(factors[position], sums[i]);
                            }
                        }
                    }
                    for (i, sum) in sums.into_iter().enumerate() {
                        if i < count {
                            n.store(sum, out.add(i * line.out_step + c));
                        }
                    }
                }
            });
        }
    }
}

/// The gradient of the weights of [`forward`], in their order.
///
/// # Panics
/// If the extents do not agree or the convolution is not supported.
pub fn weight_gradient(
    executor: &Executor,
    op: &Convolution,
    x: Map<'_>,
    dy: Map<'_>,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let ([images, height, width], channels) = (dy.size(), dy.channels());
    assert!(is_supported(op, channels), "unsupported {op:?}");
    assert_eq!((x.channels(), x.size()[0]), (channels, images), "maps of another size");
    assert_eq!(out.len(), op.kernel * op.kernel * channels, "elements of the weights");
    let count = partial_sums(dy.pixels()).min(images);
    let band = band_rows(width, channels);
    sum_partial(executor, count, scratch, out, |piece, out| {
        out.fill(0.0);
        for image in images * piece / count..images * (piece + 1) / count {
            let (x, dy) = (x.image(image), dy.image(image));
            for from in (0..height).step_by(band) {
                let rows = from..(from + band).min(height);
                dispatch(executor.isa, WeightGradient { op, x, dy, rows, out });
            }
        }
    });
}

/// Pixels whose products are summed at once.
const PIXELS: usize = 4;

/// Adds the gradient of the weights that comes from some rows of one image of `dy`. `x`, `dy` and `out` have the same
/// channels, of which `out` holds `kernel²`.
struct WeightGradient<'a, 'o> {
    op: &'a Convolution,
    x: Map<'a>,
    dy: Map<'a>,
    rows: Range<usize>,
    out: &'o mut [f32],
}

impl Kernel for WeightGradient<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match (self.op.kernel, self.op.stride) {
            (3, 1) => s.outlined(Window::<_, 3, 1>(s, self)),
            (3, _) => s.outlined(Window::<_, 3, 2>(s, self)),
            (_, 1) => s.outlined(Window::<_, 5, 1>(s, self)),
            _ => s.outlined(Window::<_, 5, 2>(s, self)),
        }
    }
}

/// A [`WeightGradient`] of a window of side `K` and stride `D`.
struct Window<'a, 'o, S, const K: usize, const D: usize>(S, WeightGradient<'a, 'o>);

impl<S: Simd, const K: usize, const D: usize> Outlined for Window<'_, '_, S, K, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(s, WeightGradient { x, dy, rows, out, .. }) = self;
        let ([_, source_height, source_width], [_, _, width]) = (x.size(), dy.size());
        let (pad, channels) = (K / 2, x.channels());
        let out = out.as_mut_ptr();
        // Columns whose whole window lies inside the map.
        let inner_from = pad.div_ceil(D).min(width);
        let inner_to = ((source_width + pad).saturating_sub(K) / D + 1).clamp(inner_from, width);
        for_each_vector!(S, channels, |c, n| {
            for ky in 0..K {
                let mut sums = [[s.splat(0.0); K]; 2];
                // SAFETY: rows and columns of `x` are checked, or belong to windows inside it between `inner_from` and
                // `inner_to`; those of `dy` are below its extents; `c` and the lanes from it are channels.
                unsafe {
                    for y in rows.clone() {
                        let at = y * D + ky;
                        if at < pad || at - pad >= source_height {
                            continue;
                        }
                        let row = x.at((at - pad) * source_width).add(c);
                        let dy_row = dy.at(y * width).add(c);
                        for column in (0..inner_from).chain(inner_to..width) {
                            let gradient = n.load(s, dy_row.add(column * dy.stride()));
                            for position in 0..K {
                                let at = column * D + position;
                                if at >= pad && at - pad < source_width {
                                    let value = n.load(s, row.add((at - pad) * x.stride()));
                                    sums[0][position] = value.mul_add(gradient, sums[0][position]);
                                }
                            }
                        }
                        let mut column = inner_from;
                        while column + PIXELS <= inner_to {
                            let first = row.add((column * D - pad) * x.stride());
                            let mut gradients = [s.splat(0.0); PIXELS];
                            for (i, gradient) in gradients.iter_mut().enumerate() {
                                *gradient = n.load(s, dy_row.add((column + i) * dy.stride()));
                            }
                            let mut pixels = [s.splat(0.0); COLUMNS];
                            for at in 0..(PIXELS - 1) * D + K {
                                pixels[at] = n.load(s, first.add(at * x.stride()));
                            }
                            for i in 0..PIXELS {
                                for position in 0..K {
                                    let sum = &mut sums[i % 2][position];
                                    *sum = pixels[i * D + position].mul_add(gradients[i], *sum);
                                }
                            }
                            column += PIXELS;
                        }
                        while column < inner_to {
                            let gradient = n.load(s, dy_row.add(column * dy.stride()));
                            let first = row.add((column * D - pad) * x.stride());
                            for position in 0..K {
                                let value = n.load(s, first.add(position * x.stride()));
                                sums[0][position] = value.mul_add(gradient, sums[0][position]);
                            }
                            column += 1;
                        }
                    }
                    for position in 0..K {
                        let out = out.add((ky * K + position) * channels + c);
                        n.store((sums[0][position] + sums[1][position]) + n.load(s, out), out);
                    }
                }
            }
        });
    }
}
