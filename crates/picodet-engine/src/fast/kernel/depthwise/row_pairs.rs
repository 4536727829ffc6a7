//! Depthwise convolution of 16-bit numbers (bf16), summed in f32.
//!
//! The processor multiplies two numbers a lane and adds both products at once: here a number of the map and the one below it.
//! As in [`super::strips`] a strip of columns is done at a time, here of two vectors of channels, which are a cache line of the
//! map. What it reads is copied to a small scratch memory, rows 0 and 1 of the window in one row of pairs, rows 2 and 3 in
//! the next, zeros beside the map. The same pairs serve two rows of the result: at step 1 the lower one has weights that are
//! one row further down, at step 2 it begins one pair further down. A weight without a partner is paired with zero, so that a
//! NaN or an infinity can also reach the row beside those that its window touches.
#![allow(unsafe_code)]

mod tile;

use std::mem::MaybeUninit;
use std::ops::Range;

use picodet_graph::DType;

use super::{Depthwise, tile_width};
use crate::fast::Isa;
use crate::fast::kernel::lanes::pairs::{Pairs, to_bf16};
use crate::fast::kernel::{Run, dispatch_pairs, prefetch};
use tile::Tile;

/// The narrowest result.
const LEAST: usize = 5;

/// Widths of tiles.
fn widths<V: Pairs, const S: usize>() -> &'static [usize] {
    match (V::COMPACT, S) {
        (true, _) => &[LEAST],
        (_, 1) => &[10, 9, 7, LEAST],
        _ => &[10, 7, LEAST],
    }
}

/// What [`row_pairs`] convolves.
pub(crate) struct RowPairs<'a> {
    /// The convolution without its weights, which it does not look at.
    pub(crate) convolution: Depthwise<'a>,
    /// Packed by [`pack_row_pairs`].
    pub(crate) pairs: &'a [u32],
    /// Type of the elements of `convolution.source`, which `source_stride` counts; f32 is rounded to bf16.
    pub(crate) source_dtype: DType,
    /// Type of the elements of `convolution.out`, which `out_stride` counts.
    pub(crate) out_dtype: DType,
}

dispatch_pairs!(
    /// Convolves where it [`fits`].
    row_pairs, convolve, RowPairs<'_>
);

/// Whether [`row_pairs`] does such a convolution.
pub(crate) fn fits(isa: Isa, kernel: usize, stride: usize, out_width: usize) -> bool {
    isa.has_bf16() && (kernel == 3 || kernel == 5) && (stride == 1 || stride == 2) && out_width >= LEAST
}

/// Packs weights `[kernel²][channels]`: for each vector of channels of each run the pairs of the window, and at step 1 those of
/// the row below as well.
pub(crate) fn pack_row_pairs(
    runs: &[Run],
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
    for run in runs {
        for first in (0..run.len).step_by(lanes) {
            for below in 0..if stride == 1 { 2usize } else { 1 } {
                for (pair, column) in (0..kernel.div_ceil(2)).flat_map(|p| (0..kernel).map(move |c| (p, c))) {
                    for lane in first..first + lanes {
                        let channel = (lane < run.len).then_some(run.destination + lane);
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

/// What a strip reads.
#[repr(align(64))]
struct Scratch {
    /// For each vector of channels some rows of pairs; pair `p` lies at `p % PAIRS`.
    cells: [MaybeUninit<u32>; SCRATCH],
    weights: [MaybeUninit<u32>; 2 * WEIGHTS],
    bias: [MaybeUninit<f32>; 2 * 16],
}

impl Scratch {
    /// Nothing yet: to clear it would take as long as some tiles.
    fn new() -> Self {
        Self {
            cells: [const { MaybeUninit::uninit() }; SCRATCH],
            weights: [const { MaybeUninit::uninit() }; 2 * WEIGHTS],
            bias: [const { MaybeUninit::uninit() }; 2 * 16],
        }
    }
}

/// One strip.
struct Strip {
    /// First channel in a source cell, and of the result.
    channels: (usize, usize),
    /// Number of channels, two vectors at most.
    count: usize,
    /// Columns of the result.
    columns: Range<usize>,
    /// Columns in a tile.
    cells: usize,
}

impl Strip {
    /// Numbers of channels in its vectors.
    fn vectors<V: Pairs>(&self) -> impl Iterator<Item = (usize, usize)> {
        let count = self.count;
        (0..count.div_ceil(V::LEN)).map(move |vector| (vector, (count - vector * V::LEN).min(V::LEN)))
    }
}

/// # Safety
/// As [`row_pairs`].
#[inline(always)]
unsafe fn convolve<V: Pairs>(args: &RowPairs<'_>) {
    // SAFETY: the caller's promise, handed on.
    unsafe {
        match (args.convolution.kernel, args.convolution.stride) {
            (3, 1) => channels::<V, 3, 1, 2>(args),
            (3, _) => channels::<V, 3, 2, 3>(args),
            (_, 1) => channels::<V, 5, 1, 3>(args),
            _ => channels::<V, 5, 2, 4>(args),
        }
    }
}

/// All channels and columns; `S` is the step of the window and `PAIRS` the number of pairs of source rows below two rows.
///
/// # Safety
/// As [`row_pairs`].
#[inline(always)]
unsafe fn channels<V: Pairs, const K: usize, const S: usize, const PAIRS: usize>(args: &RowPairs<'_>) {
    let convolution = &args.convolution;
    let width = convolution.out_width;
    let cells = tile_width(widths::<V, S>(), width).unwrap_or(LEAST);
    // Whole tiles, as many as there is scratch memory for.
    let most = ((SCRATCH / (2 * PAIRS * V::LEN) - K) / S + 1) / cells * cells;
    let taps = (3 - S) * K.div_ceil(2) * K * V::LEN;
    let mut scratch = Scratch::new();
    let mut packed = args.pairs.as_ptr();
    for run in convolution.runs {
        for done in (0..run.len).step_by(2 * V::LEN) {
            let channels = (run.source + done, run.destination + done);
            let mut strip = Strip { channels, count: (run.len - done).min(2 * V::LEN), columns: 0..0, cells };
            // SAFETY: the caller's promise; runs lie inside the bias, and there are weights for each vector of them.
            unsafe {
                for (vector, count) in strip.vectors::<V>() {
                    let weights = scratch.weights.as_mut_ptr().cast::<u32>().add(vector * WEIGHTS);
                    for tap in (0..taps).step_by(V::LEN) {
                        V::store_pairs(V::load_pairs(packed.add(tap)), weights.add(tap));
                    }
                    packed = packed.add(taps);
                    let bias = convolution.bias.as_ptr().add(channels.1 + vector * V::LEN);
                    V::load_part(bias, count)
                        .store(scratch.bias.as_mut_ptr().cast::<f32>().add(vector * V::LEN));
                }
                for first in (0..width).step_by(most) {
                    let last = (first + most).min(width);
                    // The last tile reaches back over columns that are done already; they get the same values again.
                    strip.columns = first.min(last - cells)..last;
                    rows::<V, K, S, PAIRS>(args, &strip, &mut scratch);
                }
            }
        }
    }
}

/// # Safety
/// As [`row_pairs`]; the strip lies inside the map, and its source rows fit into the scratch memory.
#[inline(always)]
unsafe fn rows<V: Pairs, const K: usize, const S: usize, const PAIRS: usize>(
    args: &RowPairs<'_>,
    strip: &Strip,
    scratch: &mut Scratch,
) {
    let Range { start, end } = args.convolution.rows;
    // Source rows, with those above the map, that lie below its last row.
    let below = args.convolution.size.0 + K / 2;
    let row_len = SCRATCH / (2 * PAIRS) / V::LEN * V::LEN;
    let mut copied = 0;
    // Pairs begin at even rows, so that sums do not depend on where a band begins.
    for y in (start / 2 * 2..end).step_by(2) {
        let made = [y >= start, y + 1 < end];
        // Pairs in the window that lie in the map at least by half, counted from the top of the padded map.
        let first = y * S / 2;
        let window = (K / 2 / 2).saturating_sub(first)..(below.div_ceil(2) - first).min(PAIRS);
        // SAFETY: the caller's promise.
        unsafe {
            copied = copied.max(first + window.start);
            while copied < first + window.end {
                let to = scratch.cells.as_mut_ptr().cast::<u32>().add(copied % PAIRS * row_len);
                copy_pair::<V, K, S>(args, strip, copied, to, PAIRS * row_len);
                copied += 1;
            }
            for (vector, count) in strip.vectors::<V>() {
                let mut rows = [std::ptr::null(); PAIRS];
                for pair in window.clone() {
                    let row = vector * PAIRS + (first + pair) % PAIRS;
                    rows[pair] = scratch.cells.as_ptr().cast::<u32>().add(row * row_len);
                }
                for x in strip.columns.clone().step_by(strip.cells) {
                    let x = x.min(strip.columns.end - strip.cells);
                    let tile = Tile {
                        rows: &rows,
                        window: window.clone(),
                        column: (x - strip.columns.start) * S * V::LEN,
                        weights: scratch.weights.as_ptr().cast::<u32>().add(vector * WEIGHTS),
                        bias: scratch.bias.as_ptr().cast::<f32>().add(vector * V::LEN),
                        cell: (y, x),
                        made,
                        channels: (strip.channels.1 + vector * V::LEN, count),
                    };
                    match strip.cells {
                        10 if !V::COMPACT => tile.run::<V, K, S, 10>(args),
                        9 if !V::COMPACT && S == 1 => tile.run::<V, K, S, 9>(args),
                        7 if !V::COMPACT => tile.run::<V, K, S, 7>(args),
                        _ => tile.run::<V, K, S, 5>(args),
                    }
                }
            }
        }
    }
}

/// Copies what a strip reads of source rows `2 · pair - K / 2` and the one below, its two vectors `apart`.
///
/// # Safety
/// As [`rows`]; there is room for the strip's columns.
#[inline(always)]
unsafe fn copy_pair<V: Pairs, const K: usize, const S: usize>(
    args: &RowPairs<'_>,
    strip: &Strip,
    pair: usize,
    to: *mut u32,
    apart: usize,
) {
    let convolution = &args.convolution;
    let (pad, (height, width)) = (K / 2, convolution.size);
    let first = strip.columns.start * S;
    let columns = (strip.columns.len() - 1) * S + K;
    let (left, right) = (pad.saturating_sub(first), (width + pad - first).min(columns));
    let stride = convolution.source_stride;
    // Of a row outside nothing is read; its pointer is one into the map all the same.
    let [(at, count), (at_lower, count_lower)] = [2 * pair, 2 * pair + 1].map(|row| {
        let inside = row >= pad && row < height + pad;
        let row = row.saturating_sub(pad).min(height - 1);
        let cell = row * width + first + left - pad;
        (cell * stride + strip.channels.0, if inside { strip.count } else { 0 })
    });
    let vectors = || strip.vectors::<V>().map(|(vector, _)| vector);
    // SAFETY: the caller's promise; columns beside the map are not read.
    unsafe {
        for (column, vector) in (0..left).chain(right..columns).flat_map(|c| vectors().map(move |v| (c, v))) {
            V::store_pairs(V::splat_pair(0), to.add(vector * apart + column * V::LEN));
        }
        // The next rows come into the cache while the sums of these are made.
        let ahead = 2 * width * stride;
        let counts = |vector: usize| {
            [count, count_lower].map(|count| count.saturating_sub(vector * V::LEN).min(V::LEN))
        };
        let [[count, count_lower], [second, second_lower]] = [counts(0), counts(1)];
        let both = strip.count > V::LEN;
        if args.source_dtype == DType::Bf16 {
            let source = convolution.source.cast::<u16>();
            let (mut upper, mut lower) = (source.wrapping_add(at), source.wrapping_add(at_lower));
            for column in left..right {
                let to = to.add(column * V::LEN);
                V::store_pairs(V::interleave(upper, lower, (count, count_lower)), to);
                if both {
                    let (upper, lower) = (upper.wrapping_add(V::LEN), lower.wrapping_add(V::LEN));
                    V::store_pairs(V::interleave(upper, lower, (second, second_lower)), to.add(apart));
                }
                prefetch(upper.wrapping_add(ahead).cast());
                prefetch(lower.wrapping_add(ahead).cast());
                (upper, lower) = (upper.wrapping_add(stride), lower.wrapping_add(stride));
            }
            return;
        }
        let source = convolution.source;
        let (mut upper, mut lower) = (source.wrapping_add(at), source.wrapping_add(at_lower));
        for column in left..right {
            let to = to.add(column * V::LEN);
            V::store_pairs(V::round_pairs(V::load_part(upper, count), V::load_part(lower, count_lower)), to);
            prefetch(upper.wrapping_add(ahead));
            prefetch(lower.wrapping_add(ahead));
            if both {
                let (upper, lower) = (upper.wrapping_add(V::LEN), lower.wrapping_add(V::LEN));
                let (first, other) = (V::load_part(upper, second), V::load_part(lower, second_lower));
                V::store_pairs(V::round_pairs(first, other), to.add(apart));
                prefetch(upper.wrapping_add(ahead));
                prefetch(lower.wrapping_add(ahead));
            }
            (upper, lower) = (upper.wrapping_add(stride), lower.wrapping_add(stride));
        }
    }
}
