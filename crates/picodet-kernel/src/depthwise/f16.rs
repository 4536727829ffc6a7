//! Depthwise convolution of f16, summed in f16, that reads the map in place.
//!
//! As in `direct`, a tile is some pixels of one row of the result by one vector of channels, pixels outside the map are
//! read from a row of zeros, and rows above and below it are skipped. The last vector of a range reaches back over
//! channels that are done already.

use std::ops::Range;

use picodet_graph::DType;
use picodet_simd::{F16Isa, HalfVector, Isa, KernelF16, Outlined, SimdF16, dispatch_f16, to_f16};

use super::arguments::{DepthwiseF16, tile_width};
use crate::activation::activate_f16;
use crate::half::{load_wide, store_wide};
use crate::map::ChannelRange;

/// Lanes of a vector.
const LANES: usize = 8;

/// Widths of tiles, in pixels; one pixel where none fits.
const WIDTHS: [usize; 2] = [8, 5];

/// Returns whether [`depthwise_f16`] supports a convolution on this instruction set.
#[inline]
#[must_use]
pub fn fits(isa: Isa, kernel: usize, stride: usize) -> bool {
    isa.f16().is_some() && is_supported(kernel, stride)
}

/// Whether there is code for these extents.
fn is_supported(kernel: usize, stride: usize) -> bool {
    (kernel == 3 || kernel == 5) && (stride == 1 || stride == 2)
}

/// The first channel of each vector of a range, and the number of channels.
fn vectors(len: usize) -> impl Iterator<Item = (usize, usize)> {
    let last = len.saturating_sub(LANES);
    (0..len).step_by(LANES).map(move |first| (first.min(last), len.min(LANES)))
}

/// Returns the length of the packed weights of these ranges.
#[must_use]
pub fn packed_len(ranges: &[ChannelRange], kernel: usize) -> usize {
    ranges.iter().map(|range| vectors(range.len).count()).sum::<usize>() * (kernel * kernel + 1) * LANES
}

/// Packs weights `[kernel²][channels]` and a bias per channel: for each vector of channels of each range the bias and
/// the window.
#[must_use]
pub fn pack_depthwise_f16(ranges: &[ChannelRange], kernel: usize, weights: &[f32], bias: &[f32]) -> Vec<u16> {
    let mut packed = Vec::with_capacity(packed_len(ranges, kernel));
    for range in ranges {
        for (first, count) in vectors(range.len) {
            for line in std::iter::once(bias).chain(weights.chunks(bias.len()).take(kernel * kernel)) {
                let channel = |lane: usize| line[range.destination + first + lane];
                packed.extend((0..LANES).map(|lane| if lane < count { to_f16(channel(lane)) } else { 0 }));
            }
        }
    }
    packed
}

/// Convolves each channel of a map in f16.
///
/// # Safety
/// * `convolution.source` is valid for reads of the ranges in all pixels of the map, `zeros` for reads of
///   `source_stride` zeros,
/// * `convolution.out` is valid for writes of the ranges in `rows` of the result,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If the convolution does not [`fits`], or weights, bias or sizes do not agree.
#[inline]
pub unsafe fn depthwise_f16(isa: F16Isa, args: &DepthwiseF16<'_>) {
    let convolution = &args.convolution;
    let len = packed_len(convolution.ranges, convolution.kernel);
    assert!(
        convolution.is_consistent(false) && args.weights.len() >= len,
        "weights, bias, runs and sizes agree"
    );
    assert!(is_supported(convolution.kernel, convolution.stride), "windows of 3 or 5 at stride 1 or 2");
    dispatch_f16(isa, args);
}

impl KernelF16 for &DepthwiseF16<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdF16>(self, s: S) {
        match (self.convolution.kernel, self.convolution.stride) {
            (3, 1) => rows::<S, 3, 1, 10>(s, self),
            (3, _) => rows::<S, 3, 2, 17>(s, self),
            (_, 1) => rows::<S, 5, 1, 12>(s, self),
            (_, _) => rows::<S, 5, 2, 19>(s, self),
        }
    }
}

/// Computes all rows; `IN` is the number of source columns below eight pixels: `7 · STRIDE + K`. [`depthwise_f16`]
/// vouches for the arguments.
#[inline(always)]
fn rows<S: SimdF16, const K: usize, const STRIDE: usize, const IN: usize>(s: S, args: &DepthwiseF16<'_>) {
    let width = args.convolution.out_width;
    let wide = args.source_dtype != DType::F16;
    let pixels = tile_width(&WIDTHS, width).filter(|_| !wide).unwrap_or(1);
    for y in args.convolution.rows.clone() {
        for x in (0..width).step_by(pixels) {
            // The last tile reaches back over pixels that are done already; they get the same values again.
            let x = x.min(width - pixels);
            match pixels {
                8 => s.outlined(Tile::<_, K, STRIDE, 8, IN, false> { s, args, y, x }),
                5 => s.outlined(Tile::<_, K, STRIDE, 5, IN, false> { s, args, y, x }),
                _ if wide => s.outlined(Tile::<_, K, STRIDE, 1, IN, true> { s, args, y, x }),
                _ => s.outlined(Tile::<_, K, STRIDE, 1, IN, false> { s, args, y, x }),
            }
        }
    }
}

/// Computes pixels `x..x + P` of row `y`, from an f32 map if `WIDE`; [`rows`] vouches for `args` and for the pixels.
struct Tile<'a, S, const K: usize, const STRIDE: usize, const P: usize, const IN: usize, const WIDE: bool> {
    s: S,
    args: &'a DepthwiseF16<'a>,
    y: usize,
    x: usize,
}

impl<S: SimdF16, const K: usize, const STRIDE: usize, const P: usize, const IN: usize, const WIDE: bool>
    Outlined for Tile<'_, S, K, STRIDE, P, IN, WIDE>
{
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { args, y, x, .. } = self;
        let convolution = &args.convolution;
        let (height, width) = convolution.size;
        let (pad, stride) = (K / 2, convolution.source_stride * Self::SIZE);
        let (source, zeros) = (convolution.source.cast::<u8>(), convolution.zeros.cast::<u8>());
        let above = pad.saturating_sub(y * STRIDE);
        let below = (height + pad - y * STRIDE).min(K);
        let inside = x * STRIDE >= pad && x * STRIDE + (P - 1) * STRIDE + K <= width + pad;
        // SAFETY: window rows `above..below` are rows of the map. Source pointers are pixels of the map or the
        // row of zeros, each valid for `source_stride` elements.
        unsafe {
            if inside {
                let first =
                    source.add((y * STRIDE + above - pad) * width * stride + (x * STRIDE - pad) * stride);
                let at = |ky: usize, j: usize| first.add((ky - above) * width * stride + j * stride);
                self.channels(above..below, at);
                return;
            }
            let mut pixels = [[zeros; IN]; K];
            for ky in above..below {
                let row = source.add((y * STRIDE + ky - pad) * width * stride);
                for (j, pixel) in pixels[ky].iter_mut().enumerate().take((P - 1) * STRIDE + K) {
                    let column = x * STRIDE + j;
                    if column >= pad && column < width + pad {
                        *pixel = row.add((column - pad) * stride);
                    }
                }
            }
            self.channels(above..below, |ky, j| pixels[ky][j]);
        }
    }
}

impl<S: SimdF16, const K: usize, const STRIDE: usize, const P: usize, const IN: usize, const WIDE: bool>
    Tile<'_, S, K, STRIDE, P, IN, WIDE>
{
    /// Bytes of an element of the source.
    const SIZE: usize = if WIDE { DType::F32.size() } else { DType::F16.size() };

    /// Loads `count` channels from the one at `from` on.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` channels of the source.
    #[inline(always)]
    unsafe fn load(&self, from: *const u8, count: usize) -> S::F16 {
        // SAFETY: the caller vouches for the channels.
        unsafe {
            if WIDE {
                self.s.narrow(load_wide(self.s, from.cast(), count))
            } else {
                self.s.load_half_part(from.cast(), count)
            }
        }
    }

    /// Computes all channels; `at(ky, j)` is the source pixel of window row `ky` and of column `j` below the first
    /// pixel's window.
    ///
    /// # Safety
    /// As [`depthwise_f16`]; the pixels `at` are valid for `source_stride` elements for the window rows in `window`.
    #[inline(always)]
    unsafe fn channels(&self, window: Range<usize>, at: impl Fn(usize, usize) -> *const u8) {
        let &Self { s, args, y, x, .. } = self;
        let mut packed = args.weights.as_ptr();
        for range in args.convolution.ranges {
            for (done, count) in vectors(range.len) {
                let from = (range.source + done) * Self::SIZE;
                // SAFETY: `packed_len` counts a bias and `K²` weights for each vector; `count` channels from
                // `from` on are inside the source's pixels. Rows of a window without all of its lanes are read as far as they
                // exist.
                unsafe {
                    let mut sums = [s.load_half(packed); P];
                    let weights = packed.add(LANES);
                    packed = weights.add(K * K * LANES);
                    if count == LANES {
                        for ky in window.clone() {
                            let weights = weights.add(ky * K * LANES);
                            for kx in 0..K {
                                let weight = s.load_half(weights.add(kx * LANES));
                                for (p, sum) in sums.iter_mut().enumerate() {
                                    let value = self.load(at(ky, p * STRIDE + kx).add(from), LANES);
                                    *sum = value.mul_add(weight, *sum);
                                }
                            }
                        }
                    } else {
                        for (ky, kx) in window.clone().flat_map(|ky| (0..K).map(move |kx| (ky, kx))) {
                            let weight = s.load_half(weights.add((ky * K + kx) * LANES));
                            for (p, sum) in sums.iter_mut().enumerate() {
                                let value = self.load(at(ky, p * STRIDE + kx).add(from), count);
                                *sum = value.mul_add(weight, *sum);
                            }
                        }
                    }
                    self.finish(&sums, (y, x), (range.destination + done, count));
                }
            }
        }
    }

    /// Activates the sums of the pixels from column `x` of row `y` on and stores them to `count` channels from `to` on.
    ///
    /// # Safety
    /// As [`depthwise_f16`]; the pixels and channels exist.
    #[inline(always)]
    unsafe fn finish(&self, sums: &[S::F16; P], (y, x): (usize, usize), (to, count): (usize, usize)) {
        let (s, convolution) = (self.s, &self.args.convolution);
        let act = convolution.act;
        for (p, &sum) in sums.iter().enumerate() {
            let at = (y * convolution.out_width + x + p) * convolution.out_stride + to;
            let value = activate_f16(s, sum, act);
            // SAFETY: the caller vouches for the pixel and its channels.
            unsafe {
                if self.args.out_dtype == DType::F16 {
                    value.store_part(convolution.out.cast::<u16>().wrapping_add(at), count);
                } else {
                    store_wide(s, s.widen(value), convolution.out.wrapping_add(at), count);
                }
            }
        }
    }
}
