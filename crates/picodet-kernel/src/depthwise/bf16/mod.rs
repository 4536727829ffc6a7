//! Depthwise convolution of bf16, summed in f32.
//!
//! The processor multiplies two values per lane and adds both products: here a value of the map and the one
//! below it. As in `strips`, a strip of columns is computed at a time, here of two vectors of channels, which
//! are a cache line of the map. Its source is copied to a small scratch memory, rows 0 and 1 of the window in
//! one row of pairs, rows 2 and 3 in the next, zeros outside the map. The same pairs serve two rows of the
//! result: at stride 1 the lower one has weights that are one row further down, at stride 2 its window starts
//! one pair further down. A weight without a partner is paired with zero, so that a NaN or an infinity can
//! also reach the row next to those that its window covers.

mod tile;

use std::mem::MaybeUninit;
use std::ops::Range;

use picodet_graph::DType;
use picodet_simd::{Bf16Isa, Isa, KernelBf16, Outlined, SimdBf16, Vector, dispatch_bf16, prefetch, to_bf16};

use super::arguments::{DepthwiseBf16, tile_width};
use crate::map::ChannelRange;
use crate::tuning;
use tile::Tile;

/// The narrowest result.
const LEAST: usize = 5;

/// Widths of tiles.
fn widths<S: SimdBf16, const STRIDE: usize>() -> &'static [usize] {
    match (tuning::compact::<S>(), STRIDE) {
        (true, _) => &[LEAST],
        (_, 1) => &[10, 9, 7, LEAST],
        _ => &[10, 7, LEAST],
    }
}

/// Returns whether [`depthwise_bf16`] supports a convolution on this instruction set.
#[must_use]
pub fn fits(isa: Isa, kernel: usize, stride: usize, out_width: usize) -> bool {
    isa.bf16().is_some() && is_supported(kernel, stride, out_width)
}

/// Whether there is code for these extents.
fn is_supported(kernel: usize, stride: usize, out_width: usize) -> bool {
    (kernel == 3 || kernel == 5) && (stride == 1 || stride == 2) && out_width >= LEAST
}

/// Returns the length of the packed weights of these ranges.
#[must_use]
pub fn packed_len(ranges: &[ChannelRange], kernel: usize, stride: usize, lanes: usize) -> usize {
    let vectors: usize = ranges.iter().map(|range| range.len.div_ceil(lanes)).sum();
    let rows = if stride == 1 { 2 } else { 1 };
    vectors * rows * kernel.div_ceil(2) * kernel * lanes
}

/// Convolves each channel of a map in bf16.
///
/// # Safety
/// * `convolution.source` is valid for reads of the ranges in all pixels of the map,
/// * `convolution.out` is valid for writes of the ranges in `rows` of the result,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If the convolution does not [`fits`], or weights, bias or sizes do not agree.
pub unsafe fn depthwise_bf16(isa: Bf16Isa, args: &DepthwiseBf16<'_>) {
    let convolution = &args.convolution;
    let (kernel, stride) = (convolution.kernel, convolution.stride);
    let len = packed_len(convolution.ranges, kernel, stride, isa.isa().lanes());
    assert!(
        convolution.is_consistent(false) && args.weights.len() >= len,
        "weights, bias, runs and sizes agree"
    );
    assert!(is_supported(kernel, stride, convolution.out_width), "windows of 3 or 5 at stride 1 or 2");
    dispatch_bf16(isa, args);
}

/// Packs weights `[kernel²][channels]`: for each vector of channels of each range the pairs of the window, and
/// at stride 1 those of the row below as well.
#[must_use]
pub fn pack_depthwise_bf16(
    ranges: &[ChannelRange],
    kernel: usize,
    stride: usize,
    weights: &[f32],
    lanes: usize,
) -> Vec<u32> {
    let channels = weights.len() / (kernel * kernel);
    let half = |row: Option<usize>, column: usize, channel: Option<usize>| match (row, channel) {
        (Some(row), Some(channel)) if row < kernel => {
            u32::from(to_bf16(weights[(row * kernel + column) * channels + channel]))
        }
        _ => 0,
    };
    let mut packed = Vec::new();
    for range in ranges {
        for first in (0..range.len).step_by(lanes) {
            for below in 0..if stride == 1 { 2usize } else { 1 } {
                for (pair, column) in (0..kernel.div_ceil(2)).flat_map(|p| (0..kernel).map(move |c| (p, c))) {
                    for lane in first..first + lanes {
                        let channel = (lane < range.len).then_some(range.destination + lane);
                        let upper = half((2 * pair).checked_sub(below), column, channel);
                        packed.push(upper | half((2 * pair + 1).checked_sub(below), column, channel) << 16);
                    }
                }
            }
        }
    }
    packed
}

/// Pairs of a strip's source: half of a level-1 cache.
const SCRATCH: usize = 6144;

/// Weights of a vector of channels: two rows of five by three pairs.
const WEIGHTS: usize = 30 * 16;

/// The source of a strip.
#[repr(align(64))]
struct Scratch {
    /// For each vector of channels some rows of pairs; pair `p` is at `p % PAIRS`.
    pixels: [MaybeUninit<u32>; SCRATCH],
    weights: [MaybeUninit<u32>; 2 * WEIGHTS],
    bias: [MaybeUninit<f32>; 2 * 16],
}

impl Scratch {
    /// Uninitialised memory: clearing it would take as long as some tiles.
    fn new() -> Self {
        Self {
            pixels: [const { MaybeUninit::uninit() }; SCRATCH],
            weights: [const { MaybeUninit::uninit() }; 2 * WEIGHTS],
            bias: [const { MaybeUninit::uninit() }; 2 * 16],
        }
    }
}

/// One strip.
struct Strip {
    /// First channel in a source pixel, and of the result.
    channels: (usize, usize),
    /// Number of channels, two vectors at most.
    count: usize,
    /// Columns of the result.
    columns: Range<usize>,
}

impl Strip {
    /// Returns its vectors: index and number of channels.
    fn vectors<S: SimdBf16>(&self) -> impl Iterator<Item = (usize, usize)> {
        let count = self.count;
        (0..count.div_ceil(S::LEN)).map(move |vector| (vector, (count - vector * S::LEN).min(S::LEN)))
    }
}

impl KernelBf16 for &DepthwiseBf16<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdBf16>(self, s: S) {
        // SAFETY: the caller of `depthwise_bf16` vouches for the pointers; it has checked window, stride and
        // lengths.
        unsafe {
            match (self.convolution.kernel, self.convolution.stride) {
                (3, 1) => channels::<S, 3, 1, 2>(s, self),
                (3, _) => channels::<S, 3, 2, 3>(s, self),
                (_, 1) => channels::<S, 5, 1, 3>(s, self),
                _ => channels::<S, 5, 2, 4>(s, self),
            }
        }
    }
}

/// Computes all channels and columns; `PAIRS` is the number of pairs of source rows below two rows.
///
/// # Safety
/// As [`depthwise_bf16`]; `K` and `STRIDE` are those of the convolution.
#[inline(always)]
unsafe fn channels<S: SimdBf16, const K: usize, const STRIDE: usize, const PAIRS: usize>(
    s: S,
    args: &DepthwiseBf16<'_>,
) {
    let convolution = &args.convolution;
    let width = convolution.out_width;
    let tile = tile_width(widths::<S, STRIDE>(), width).unwrap_or(LEAST);
    // The largest number of whole tiles that fits into the scratch memory.
    let most = ((SCRATCH / (2 * PAIRS * S::LEN) - K) / STRIDE + 1) / tile * tile;
    let len = (3 - STRIDE) * K.div_ceil(2) * K * S::LEN;
    let mut scratch = Scratch::new();
    let mut packed = args.weights.as_ptr();
    for range in convolution.ranges {
        for done in (0..range.len).step_by(2 * S::LEN) {
            let channels = (range.source + done, range.destination + done);
            let mut strip = Strip { channels, count: (range.len - done).min(2 * S::LEN), columns: 0..0 };
            // SAFETY: ranges are inside the bias, and `packed_len` counts `len` weights for each vector of
            // them; the scratch memory has room for two vectors, and for the source of `most` columns.
            unsafe {
                for (vector, count) in strip.vectors::<S>() {
                    let weights = scratch.weights.as_mut_ptr().cast::<u32>().add(vector * WEIGHTS);
                    for at in (0..len).step_by(S::LEN) {
                        s.store_pairs(s.load_pairs(packed.add(at)), weights.add(at));
                    }
                    packed = packed.add(len);
                    let bias = convolution.bias.as_ptr().add(channels.1 + vector * S::LEN);
                    s.load_part(bias, count)
                        .store(scratch.bias.as_mut_ptr().cast::<f32>().add(vector * S::LEN));
                }
                for first in (0..width).step_by(most) {
                    let last = (first + most).min(width);
                    // The last tile reaches back over columns that are done already; they get the same values
                    // again.
                    strip.columns = first.min(last - tile)..last;
                    let (strip, scratch) = (&strip, &mut scratch);
                    match tile {
                        10 if const { !tuning::compact::<S>() } => {
                            s.outlined(Rows::<_, K, STRIDE, PAIRS, 10> { s, args, strip, scratch });
                        }
                        9 if const { !tuning::compact::<S>() && STRIDE == 1 } => {
                            s.outlined(Rows::<_, K, STRIDE, PAIRS, 9> { s, args, strip, scratch });
                        }
                        7 if const { !tuning::compact::<S>() } => {
                            s.outlined(Rows::<_, K, STRIDE, PAIRS, 7> { s, args, strip, scratch });
                        }
                        _ => s.outlined(Rows::<_, K, STRIDE, PAIRS, LEAST> { s, args, strip, scratch }),
                    }
                }
            }
        }
    }
}

/// Computes the rows of a strip, two at a time, in tiles of `P` columns.
///
/// [`channels`] vouches for `args`, for weights and bias in the scratch memory and for its room for the source rows of
/// the strip, which is inside the map and at least `P` columns wide.
struct Rows<'a, S, const K: usize, const STRIDE: usize, const PAIRS: usize, const P: usize> {
    s: S,
    args: &'a DepthwiseBf16<'a>,
    strip: &'a Strip,
    scratch: &'a mut Scratch,
}

impl<S: SimdBf16, const K: usize, const STRIDE: usize, const PAIRS: usize, const P: usize> Outlined
    for Rows<'_, S, K, STRIDE, PAIRS, P>
{
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { s, args, strip, scratch } = self;
        let Range { start, end } = args.convolution.rows;
        // Rows of the padded map down to its last source row.
        let below = args.convolution.size.0 + K / 2;
        let row_len = SCRATCH / (2 * PAIRS) / S::LEN * S::LEN;
        let mut copied = 0;
        // Pairs start at even rows, so that sums do not depend on where a band starts.
        for y in (start / 2 * 2..end).step_by(2) {
            let computed = [y >= start, y + 1 < end];
            // Pairs in the window of which at least one row is in the map, counted from the top of the padded
            // map.
            let first = y * STRIDE / 2;
            let window = (K / 2 / 2).saturating_sub(first)..(below.div_ceil(2) - first).min(PAIRS);
            // SAFETY: `PAIRS` rows of the scratch memory hold all pairs of a window, for both vectors; tiles end
            // inside the strip.
            unsafe {
                copied = copied.max(first + window.start);
                while copied < first + window.end {
                    let to = scratch.pixels.as_mut_ptr().cast::<u32>().add(copied % PAIRS * row_len);
                    copy_pair::<S, K, STRIDE>(s, args, strip, copied, to, PAIRS * row_len);
                    copied += 1;
                }
                for (vector, count) in strip.vectors::<S>() {
                    let mut rows = [std::ptr::null(); PAIRS];
                    for pair in window.clone() {
                        let row = vector * PAIRS + (first + pair) % PAIRS;
                        rows[pair] = scratch.pixels.as_ptr().cast::<u32>().add(row * row_len);
                    }
                    for x in strip.columns.clone().step_by(P) {
                        let x = x.min(strip.columns.end - P);
                        let tile = Tile {
                            rows: &rows,
                            window: window.clone(),
                            column: (x - strip.columns.start) * STRIDE * S::LEN,
                            weights: scratch.weights.as_ptr().cast::<u32>().add(vector * WEIGHTS),
                            bias: scratch.bias.as_ptr().cast::<f32>().add(vector * S::LEN),
                            pixel: (y, x),
                            computed,
                            channels: (strip.channels.1 + vector * S::LEN, count),
                        };
                        tile.run::<S, K, STRIDE, P>(s, args);
                    }
                }
            }
        }
    }
}

/// Copies the part of source row `2 · pair - K / 2` and of the one below that a strip reads, its two vectors
/// at distance `apart`.
///
/// # Safety
/// As [`Rows`]; `to` has room for the strip's columns.
#[inline(always)]
unsafe fn copy_pair<S: SimdBf16, const K: usize, const STRIDE: usize>(
    s: S,
    args: &DepthwiseBf16<'_>,
    strip: &Strip,
    pair: usize,
    to: *mut u32,
    apart: usize,
) {
    let convolution = &args.convolution;
    let (pad, (height, width)) = (K / 2, convolution.size);
    let first = strip.columns.start * STRIDE;
    let columns = (strip.columns.len() - 1) * STRIDE + K;
    let (left, right) = (pad.saturating_sub(first), (width + pad - first).min(columns));
    let stride = convolution.source_stride;
    // No element of a row outside the map is read; its pointer is one into the map all the same.
    let [(at, count), (at_lower, count_lower)] = [2 * pair, 2 * pair + 1].map(|row| {
        let inside = row >= pad && row < height + pad;
        let row = row.saturating_sub(pad).min(height - 1);
        let pixel = row * width + first + left - pad;
        (pixel * stride + strip.channels.0, if inside { strip.count } else { 0 })
    });
    let vectors = || strip.vectors::<S>().map(|(vector, _)| vector);
    // SAFETY: columns `left..right` are inside the map, and so are the counted channels of both rows.
    unsafe {
        for (column, vector) in (0..left).chain(right..columns).flat_map(|c| vectors().map(move |v| (c, v))) {
            s.store_pairs(s.splat_pair(0), to.add(vector * apart + column * S::LEN));
        }
        // The next rows are prefetched while these are summed.
        let ahead = 2 * width * stride;
        let counts = |vector: usize| {
            [count, count_lower].map(|count| count.saturating_sub(vector * S::LEN).min(S::LEN))
        };
        let [[count, count_lower], [second, second_lower]] = [counts(0), counts(1)];
        let both = strip.count > S::LEN;
        if args.source_dtype == DType::Bf16 {
            let source = convolution.source.cast::<u16>();
            let (mut upper, mut lower) = (source.wrapping_add(at), source.wrapping_add(at_lower));
            for column in left..right {
                let to = to.add(column * S::LEN);
                s.store_pairs(s.interleave(upper, lower, (count, count_lower)), to);
                if both {
                    let (upper, lower) = (upper.wrapping_add(S::LEN), lower.wrapping_add(S::LEN));
                    s.store_pairs(s.interleave(upper, lower, (second, second_lower)), to.add(apart));
                }
                prefetch(upper.wrapping_add(ahead));
                prefetch(lower.wrapping_add(ahead));
                (upper, lower) = (upper.wrapping_add(stride), lower.wrapping_add(stride));
            }
            return;
        }
        let source = convolution.source;
        let (mut upper, mut lower) = (source.wrapping_add(at), source.wrapping_add(at_lower));
        for column in left..right {
            let to = to.add(column * S::LEN);
            s.store_pairs(s.round_pairs(s.load_part(upper, count), s.load_part(lower, count_lower)), to);
            prefetch(upper.wrapping_add(ahead));
            prefetch(lower.wrapping_add(ahead));
            if both {
                let (upper, lower) = (upper.wrapping_add(S::LEN), lower.wrapping_add(S::LEN));
                let (first, other) = (s.load_part(upper, second), s.load_part(lower, second_lower));
                s.store_pairs(s.round_pairs(first, other), to.add(apart));
                prefetch(upper.wrapping_add(ahead));
                prefetch(lower.wrapping_add(ahead));
            }
            (upper, lower) = (upper.wrapping_add(stride), lower.wrapping_add(stride));
        }
    }
}
