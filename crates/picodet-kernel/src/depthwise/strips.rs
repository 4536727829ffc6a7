//! Depthwise convolution at stride 1 for long vectors and many registers.
//!
//! One vector of channels at a time, and of these a strip of columns: the source of a strip is copied to a
//! small scratch memory, zeros outside the map, where it stays for all rows that need it. There a tile, some
//! columns of two rows of the result, is summed; rows above and below the map are skipped.

use std::mem::MaybeUninit;
use std::ops::Range;

use picodet_graph::Activation;
use picodet_simd::{Outlined, Simd, Vector, prefetch};

use super::arguments::{Depthwise, tile_width};
use crate::activation::activate;

/// The narrowest result.
const LEAST: usize = 5;

/// Whether [`strips`] supports such a convolution. At stride 2 there is so little to compute for each pixel
/// of the source that copying it costs more than it saves.
pub(super) fn fits(kernel: usize, stride: usize, out_width: usize) -> bool {
    (kernel == 3 || kernel == 5) && stride == 1 && out_width >= LEAST
}

/// Convolves if it [`fits`].
///
/// # Safety
/// As [`super::depthwise`].
#[inline(always)]
pub(super) unsafe fn strips<S: Simd>(s: S, args: &Depthwise<'_>) {
    // SAFETY: the window is that of `args`, and `fits` demands a width of `LEAST`.
    unsafe {
        match args.kernel {
            3 => channels::<S, 3, 4>(s, args),
            _ => channels::<S, 5, 6>(s, args),
        }
    }
}

/// Elements of a strip's source: half of a level-1 cache.
const SCRATCH: usize = 6144;

/// The source of a strip, for one vector of channels.
#[repr(align(64))]
struct Scratch {
    /// Some rows of pixels; source row `y` is at `y % rows`.
    pixels: [MaybeUninit<f32>; SCRATCH],
    /// A vector for each position of the window.
    weights: [MaybeUninit<f32>; 25 * 16],
    bias: [MaybeUninit<f32>; 16],
}

impl Scratch {
    /// Uninitialised memory: clearing it would take as long as some tiles.
    fn new() -> Self {
        Self {
            pixels: [const { MaybeUninit::uninit() }; SCRATCH],
            weights: [const { MaybeUninit::uninit() }; 25 * 16],
            bias: [const { MaybeUninit::uninit() }; 16],
        }
    }
}

/// One strip.
struct Strip {
    /// First channel in a source pixel, and of the weights and the result.
    channels: (usize, usize),
    /// Number of channels, a vector at most.
    count: usize,
    /// Columns of the result.
    columns: Range<usize>,
}

/// Computes all channels and columns; `ROWS` is the number of source rows below two rows: `K + 1`.
///
/// # Safety
/// As [`super::depthwise`]; the window has side `K`, and the result [`LEAST`] columns.
#[inline(always)]
unsafe fn channels<S: Simd, const K: usize, const ROWS: usize>(s: S, args: &Depthwise<'_>) {
    let width = args.out_width;
    let tile = tile_width(&[10, 9, 7, 5], width).unwrap_or(LEAST);
    // The largest number of whole tiles that fits into the scratch memory.
    let most = (SCRATCH / (ROWS * S::LEN) - K + 1) / tile * tile;
    let mut scratch = Scratch::new();
    for range in args.ranges {
        for done in (0..range.len).step_by(S::LEN) {
            let channels = (range.source + done, range.destination + done);
            let count = (range.len - done).min(S::LEN);
            // SAFETY: `count` channels from `channels.1` on are inside weights and bias; the scratch memory
            // has 25 vectors of weights and one of bias.
            unsafe {
                for position in 0..K * K {
                    let weight = args.weights.as_ptr().add(position * args.bias.len() + channels.1);
                    s.load_part(weight, count)
                        .store(scratch.weights.as_mut_ptr().cast::<f32>().add(position * S::LEN));
                }
                let bias = args.bias.as_ptr().add(channels.1);
                s.load_part(bias, count).store(scratch.bias.as_mut_ptr().cast());
            }
            for first in (0..width).step_by(most) {
                let last = (first + most).min(width);
                // The last tile reaches back over columns that are done already; they get the same values
                // again.
                let columns = first.min(last - tile)..last;
                let strip = Strip { channels, count, columns };
                let scratch = &mut scratch;
                // At most `most` columns, whose source fits into the scratch memory.
                match tile {
                    10 => s.outlined(Rows::<_, K, ROWS, 10> { s, args, strip, scratch }),
                    9 => s.outlined(Rows::<_, K, ROWS, 9> { s, args, strip, scratch }),
                    7 => s.outlined(Rows::<_, K, ROWS, 7> { s, args, strip, scratch }),
                    _ => s.outlined(Rows::<_, K, ROWS, LEAST> { s, args, strip, scratch }),
                }
            }
        }
    }
}

/// Computes the rows of a strip, two at a time, in tiles of `P` columns.
///
/// [`channels`] vouches for `args`, for weights and bias in the scratch memory and for its room for the source rows of
/// the strip, which is inside the map and at least `P` columns wide.
struct Rows<'a, S, const K: usize, const ROWS: usize, const P: usize> {
    s: S,
    args: &'a Depthwise<'a>,
    strip: Strip,
    scratch: &'a mut Scratch,
}

impl<S: Simd, const K: usize, const ROWS: usize, const P: usize> Outlined for Rows<'_, S, K, ROWS, P> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { s, args, strip, scratch } = self;
        let (pad, height) = (K / 2, args.size.0);
        let (first, end) = (args.rows.start, args.rows.end);
        let row_len = SCRATCH / ROWS / S::LEN * S::LEN;
        let mut copied = first.saturating_sub(pad);
        for y in (first..end).step_by(2) {
            // The last pair reaches back as the last tile does.
            let y = y.min(end.saturating_sub(2).max(first));
            let both = y + 1 < end;
            let window = pad.saturating_sub(y)..(height + pad - y).min(if both { ROWS } else { K });
            // SAFETY: rows `copied` are below `y + window.end - pad`, which is at most the height; `ROWS` rows of
            // the scratch memory hold all rows of a window, and tiles end inside the strip.
            unsafe {
                while copied + pad < y + window.end {
                    let to = scratch.pixels.as_mut_ptr().cast::<f32>().add(copied % ROWS * row_len);
                    copy_row::<S, K>(s, args, &strip, copied, to);
                    copied += 1;
                }
                let mut rows = [std::ptr::null(); ROWS];
                for row in window.clone() {
                    rows[row] = scratch.pixels.as_ptr().cast::<f32>().add((y + row - pad) % ROWS * row_len);
                }
                for x in strip.columns.clone().step_by(P) {
                    let x = x.min(strip.columns.end - P);
                    let column = (x - strip.columns.start) * S::LEN;
                    let tile = Tile { rows: &rows, window: window.clone(), column, pixel: (y, x), both };
                    tile.run::<S, K, P>(s, args, &strip, scratch);
                }
            }
        }
    }
}

/// Copies the part of a source row that a strip reads.
///
/// # Safety
/// As [`Rows`]; `row` is a row of the map, and `to` has room for the strip's columns.
#[inline(always)]
unsafe fn copy_row<S: Simd, const K: usize>(
    s: S,
    args: &Depthwise<'_>,
    strip: &Strip,
    row: usize,
    to: *mut f32,
) {
    let (pad, width) = (K / 2, args.size.1);
    let first = strip.columns.start;
    let columns = strip.columns.len() - 1 + K;
    let (left, right) = (pad.saturating_sub(first), (width + pad - first).min(columns));
    let (stride, whole) = (args.source_stride, strip.count == S::LEN);
    let at = (row * width + first + left - pad) * stride + strip.channels.0;
    // SAFETY: columns `left..right` are inside the map; those outside it are not read.
    unsafe {
        for column in (0..left).chain(right..columns) {
            s.splat(0.0).store(to.add(column * S::LEN));
        }
        // The next rows are prefetched while this one is summed.
        let ahead = 2 * width * stride;
        let mut from = args.source.wrapping_add(at);
        for column in left..right {
            let value = if whole { s.load(from) } else { s.load_part(from, strip.count) };
            value.store(to.add(column * S::LEN));
            prefetch(from.wrapping_add(ahead));
            from = from.wrapping_add(stride);
        }
    }
}

/// Some columns of two rows of the result, one vector of channels.
struct Tile<'a> {
    /// Source rows in the scratch memory, from the top of the window.
    rows: &'a [*const f32],
    /// The rows of the window that are in the map.
    window: Range<usize>,
    /// First element of the window in a row of the scratch memory.
    column: usize,
    /// Row and column in the result.
    pixel: (usize, usize),
    /// Whether the lower row exists.
    both: bool,
}

impl Tile<'_> {
    /// Sums, activates and stores.
    ///
    /// # Safety
    /// As [`Rows`]; the tile is inside the strip, and its window's rows are in the scratch memory.
    #[inline(always)]
    unsafe fn run<S: Simd, const K: usize, const P: usize>(
        &self,
        s: S,
        args: &Depthwise<'_>,
        strip: &Strip,
        scratch: &Scratch,
    ) {
        let (start, end) = (self.window.start, self.window.end);
        // SAFETY: `self.rows` are valid for the strip's columns in the rows of the window; weights and bias
        // have been copied for `K²` positions.
        unsafe {
            let mut sums = [[s.load(scratch.bias.as_ptr().cast()); P]; 2];
            // Weights of a row for the upper pixels; those for the lower ones are a row behind.
            let weights = |row: usize| scratch.weights.as_ptr().cast::<f32>().wrapping_add(row * K * S::LEN);
            macro_rules! lines {
                ($rows:expr, $upper:literal, $lower:literal) => {
                    for row in $rows {
                        let source = self.rows[row].add(self.column);
                        let (upper, lower) = (weights(row), weights(row).wrapping_sub(K * S::LEN));
                        for column in 0..K {
                            let zero = s.splat(0.0);
                            let above = if $upper { s.load(upper.add(column * S::LEN)) } else { zero };
                            let below = if $lower { s.load(lower.add(column * S::LEN)) } else { zero };
                            for p in 0..P {
                                let value = s.load(source.add((p + column) * S::LEN));
                                if $upper {
                                    sums[0][p] = value.mul_add(above, sums[0][p]);
                                }
                                if $lower {
                                    sums[1][p] = value.mul_add(below, sums[1][p]);
                                }
                            }
                        }
                    }
                };
            }
            lines!(start..end.min(1), true, false);
            lines!(start.max(1)..end.min(K), true, true);
            lines!(start.max(K)..end, false, true);
            let (y, x) = self.pixel;
            finish(s, args, &sums[0], (y, x), strip.channels.1, strip.count);
            if self.both {
                finish(s, args, &sums[1], (y + 1, x), strip.channels.1, strip.count);
            }
        }
    }
}

/// Activates the sums of the pixels from column `x` of row `y` on and stores them to `count` channels from
/// `to` on.
///
/// # Safety
/// As [`super::depthwise`]; the pixels and channels exist.
#[inline(always)]
unsafe fn finish<S: Simd, const P: usize>(
    s: S,
    args: &Depthwise<'_>,
    sums: &[S::F32; P],
    (y, x): (usize, usize),
    to: usize,
    count: usize,
) {
    let pixel = |p: usize| args.out.wrapping_add((y * args.out_width + x + p) * args.out_stride + to);
    let whole = count == S::LEN;
    // SAFETY: `count` channels of the pixels exist; the array holds the sums of ten pixels.
    unsafe {
        // The usual cases do not leave the registers.
        match args.act {
            None if whole => {
                for p in 0..P {
                    sums[p].store(pixel(p));
                }
            }
            Some(Activation::HardSwish) if whole => {
                for p in 0..P {
                    activate(sums[p], Some(Activation::HardSwish)).store(pixel(p));
                }
            }
            act => {
                let mut memory = [0.0f32; 10 * 16];
                for (p, sum) in sums.iter().enumerate() {
                    sum.store(memory.as_mut_ptr().add(p * S::LEN));
                }
                for p in 0..P {
                    let value = activate(s.load(memory.as_ptr().add(p * S::LEN)), act);
                    value.store_part(pixel(p), count);
                }
            }
        }
    }
}
