//! Depthwise convolution that reads the map in place.
//!
//! A tile is up to eight pixels of one row of the result by one vector of channels. Pixels outside the map are
//! read from a row of zeros, so that no tile is special; rows above and below it are skipped.

use std::ops::Range;

use picodet_graph::Activation;
use picodet_simd::{Outlined, Simd, Vector};

use super::arguments::{Depthwise, tile_width};
use crate::activation::activate;
use crate::tuning;

/// Numbers in the largest tile.
const MOST: usize = 8 * 16;

/// Convolves with a window of side `K`; `IN` is the number of source columns below eight pixels: `7 · STRIDE
/// + K`.
///
/// # Safety
/// As [`super::depthwise`]; `K` and `STRIDE` are those of `args`, whose lengths agree.
#[inline(always)]
pub(super) unsafe fn rows<S: Simd, const K: usize, const STRIDE: usize, const IN: usize>(
    s: S,
    args: &Depthwise<'_>,
) {
    let width = args.out_width;
    let widths = tuning::depthwise_widths::<S>();
    let pixels = tile_width(widths, width).unwrap_or(1);
    for y in args.rows.clone() {
        for x in (0..width).step_by(pixels) {
            // The last tile reaches back over pixels that are done already; they get the same values again.
            let x = x.min(width - pixels);
            match pixels {
                8 if const { tuning::has_width::<S>(8) } => {
                    s.outlined(Tile::<_, K, STRIDE, 8, IN> { s, args, y, x })
                }
                7 if const { tuning::has_width::<S>(7) } => {
                    s.outlined(Tile::<_, K, STRIDE, 7, IN> { s, args, y, x })
                }
                5 if const { tuning::has_width::<S>(5) } => {
                    s.outlined(Tile::<_, K, STRIDE, 5, IN> { s, args, y, x })
                }
                _ => s.outlined(Tile::<_, K, STRIDE, 1, IN> { s, args, y, x }),
            }
        }
    }
}

/// Computes pixels `x..x + P` of row `y`; [`rows`] vouches for `args` and for the pixels.
struct Tile<'a, S, const K: usize, const STRIDE: usize, const P: usize, const IN: usize> {
    s: S,
    args: &'a Depthwise<'a>,
    y: usize,
    x: usize,
}

impl<S: Simd, const K: usize, const STRIDE: usize, const P: usize, const IN: usize> Outlined
    for Tile<'_, S, K, STRIDE, P, IN>
{
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { s, args, y, x } = self;
        let (height, width) = args.size;
        let (pad, stride) = (K / 2, args.source_stride);
        let above = pad.saturating_sub(y * STRIDE);
        let below = (height + pad - y * STRIDE).min(K);
        let inside = x * STRIDE >= pad && x * STRIDE + (P - 1) * STRIDE + K <= width + pad;
        // SAFETY: window rows `above..below` are rows of the map. Source pointers are pixels of the map or the
        // row of zeros, each valid for `source_stride` elements.
        unsafe {
            let out = args.out.wrapping_add((y * args.out_width + x) * args.out_stride);
            if inside && !(tuning::compact::<S>() || (P == 1 && tuning::rolls::<S>())) {
                let first = args
                    .source
                    .add((y * STRIDE + above - pad) * width * stride + (x * STRIDE - pad) * stride);
                let at = |ky: usize, j: usize| first.add((ky - above) * width * stride + j * stride);
                channels::<S, K, STRIDE, P>(s, args, above..below, out, at);
                return;
            }
            let mut pixels = [[args.zeros; IN]; K];
            for ky in above..below {
                let row = args.source.add((y * STRIDE + ky - pad) * width * stride);
                for (j, pixel) in pixels[ky].iter_mut().enumerate().take((P - 1) * STRIDE + K) {
                    let column = x * STRIDE + j;
                    if column >= pad && column < width + pad {
                        *pixel = row.add((column - pad) * stride);
                    }
                }
            }
            channels::<S, K, STRIDE, P>(s, args, above..below, out, |ky, j| pixels[ky][j]);
        }
    }
}

/// Computes all channels of `P` pixels from `out` on; `at(ky, j)` is the source pixel of window row `ky` and
/// of column `j` below the first pixel's window.
///
/// # Safety
/// As [`rows`]; the pixels `at` are valid for `source_stride` elements for the window rows in `window`.
#[inline(always)]
unsafe fn channels<S: Simd, const K: usize, const STRIDE: usize, const P: usize>(
    s: S,
    args: &Depthwise<'_>,
    window: Range<usize>,
    out: *mut f32,
    at: impl Fn(usize, usize) -> *const f32,
) {
    let channels = args.bias.len();
    for range in args.ranges {
        let mut done = 0;
        while done < range.len {
            let count = (range.len - done).min(S::LEN);
            let (from, to) = (range.source + done, range.destination + done);
            // SAFETY: channels `to..to + count` are inside weights, bias and the result's pixels, `from..from
            // + count` inside the source's pixels; the array holds the sums of eight pixels.
            unsafe {
                let weight = args.weights.as_ptr().add(to);
                if count == S::LEN {
                    let mut acc = [s.load(args.bias.as_ptr().add(to)); P];
                    let side =
                        if tuning::rolls_columns::<S>() && K > 3 { std::hint::black_box(K) } else { K };
                    for ky in window.clone() {
                        for kx in 0..side {
                            let weight = s.load(weight.add((ky * K + kx) * channels));
                            for (p, acc) in acc.iter_mut().enumerate() {
                                *acc = s.load(at(ky, p * STRIDE + kx).add(from)).mul_add(weight, *acc);
                            }
                        }
                    }
                    const HARD_SWISH: Option<Activation> = Some(Activation::HardSwish);
                    match args.act {
                        None => {
                            for (p, acc) in acc.iter().enumerate() {
                                acc.store(out.add(p * args.out_stride + to));
                            }
                        }
                        HARD_SWISH => {
                            for (p, &acc) in acc.iter().enumerate() {
                                activate(acc, HARD_SWISH).store(out.add(p * args.out_stride + to));
                            }
                        }
                        act => {
                            let mut sums = [0.0f32; MOST];
                            for (p, acc) in acc.iter().enumerate() {
                                acc.store(sums.as_mut_ptr().add(p * S::LEN));
                            }
                            let to = (out.add(to), args.out_stride);
                            s.outlined(Finish { s, act, pixels: P, count, sums: &sums, to });
                        }
                    }
                } else if S::LEN == 16 {
                    let mut acc = [s.load_part(args.bias.as_ptr().add(to), count); P];
                    for ky in window.clone() {
                        for kx in 0..K {
                            let weight = s.load_part(weight.add((ky * K + kx) * channels), count);
                            for (p, acc) in acc.iter_mut().enumerate() {
                                let value = s.load_part(at(ky, p * STRIDE + kx).add(from), count);
                                *acc = value.mul_add(weight, *acc);
                            }
                        }
                    }
                    // The code of the activation is here once, not once per pixel.
                    let mut sums = [0.0f32; MOST];
                    for (p, &acc) in acc.iter().enumerate() {
                        acc.store(sums.as_mut_ptr().add(p * S::LEN));
                    }
                    for p in 0..P {
                        let sum = s.load(sums.as_ptr().add(p * S::LEN));
                        activate(sum, args.act).store_part(out.add(p * args.out_stride + to), count);
                    }
                } else {
                    // Published networks have no such rest where vectors are short, so this code should be
                    // short as well.
                    let mut sums = [0.0f32; MOST];
                    for p in 0..std::hint::black_box(P) {
                        let mut acc = s.load_part(args.bias.as_ptr().add(to), count);
                        for ky in window.clone() {
                            for kx in 0..args.kernel {
                                let weight = s.load_part(weight.add((ky * K + kx) * channels), count);
                                let value = s.load_part(at(ky, p * STRIDE + kx).add(from), count);
                                acc = value.mul_add(weight, acc);
                            }
                        }
                        acc.store(sums.as_mut_ptr().add(p * S::LEN));
                    }
                    let to = (out.add(to), args.out_stride);
                    s.outlined(Finish { s, act: args.act, pixels: P, count, sums: &sums, to });
                }
            }
            done += count;
        }
    }
}

/// Activates and stores the sums of a vector of channels of some pixels: one function for the activations and numbers of channels
/// that are rare.
struct Finish<'a, S> {
    s: S,
    act: Option<Activation>,
    pixels: usize,
    /// Number of channels.
    count: usize,
    sums: &'a [f32; MOST],
    /// The first pixel's channels, and elements to the next pixel.
    to: (*mut f32, usize),
}

impl<S: Simd> Outlined for Finish<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        // SAFETY: `sums` holds a vector for each pixel, and `count` channels of the pixels exist.
        unsafe {
            for p in 0..self.pixels {
                let sum = self.s.load(self.sums.as_ptr().add(p * S::LEN));
                activate(sum, self.act).store_part(self.to.0.wrapping_add(p * self.to.1), self.count);
            }
        }
    }
}

/// Convolves with any window and stride, one pixel at a time.
///
/// # Safety
/// As [`super::depthwise`].
#[inline(always)]
pub(super) unsafe fn any_window<S: Simd>(s: S, args: &Depthwise<'_>) {
    let (height, width) = args.size;
    let (pad, channels) = (args.kernel / 2, args.bias.len());
    // SAFETY: window pixels outside the map are skipped, so that `pixel` is inside it; ranges are inside
    // pixels, weights and bias.
    unsafe {
        for (y, x) in args.rows.clone().flat_map(|y| (0..args.out_width).map(move |x| (y, x))) {
            for range in args.ranges {
                for done in (0..range.len).step_by(S::LEN) {
                    let count = (range.len - done).min(S::LEN);
                    let (from, to) = (range.source + done, range.destination + done);
                    let mut acc = s.load_part(args.bias.as_ptr().add(to), count);
                    for (ky, kx) in (0..args.kernel).flat_map(|ky| (0..args.kernel).map(move |kx| (ky, kx))) {
                        let (row, column) = (y * args.stride + ky, x * args.stride + kx);
                        if row < pad || column < pad || row >= height + pad || column >= width + pad {
                            continue;
                        }
                        let pixel = ((row - pad) * width + column - pad) * args.source_stride;
                        let weight = args.weights.as_ptr().add((ky * args.kernel + kx) * channels + to);
                        let value = s.load_part(args.source.add(pixel + from), count);
                        acc = value.mul_add(s.load_part(weight, count), acc);
                    }
                    let pixel = (y * args.out_width + x) * args.out_stride;
                    activate(acc, args.act).store_part(args.out.wrapping_add(pixel + to), count);
                }
            }
        }
    }
}
