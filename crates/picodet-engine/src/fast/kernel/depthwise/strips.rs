//! Depthwise convolution at step 1 with long vectors and many registers.
//!
//! One vector of channels at a time, and of these a strip of columns: what a strip reads is copied to a small scratch memory,
//! zeros beside the map, where it stays for all rows that need it. There a tile, some columns of two rows of the result, is
//! summed up; rows above and below the map are left out.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ops::Range;

use picodet_graph::Activation;

use super::{Depthwise, tile_width};
use crate::fast::kernel::activate::activate;
use crate::fast::kernel::lanes::Lanes;
use crate::fast::kernel::prefetch;

/// The narrowest result.
const LEAST: usize = 5;

/// Whether [`strips`] does such a convolution. At step 2 there is so little to do for each cell of the source that a copy of it
/// costs more than it saves.
pub(super) fn fits(kernel: usize, stride: usize, out_width: usize) -> bool {
    (kernel == 3 || kernel == 5) && stride == 1 && out_width >= LEAST
}

/// Convolves where it [`fits`].
///
/// # Safety
/// As [`super::depthwise`].
#[inline(always)]
pub(super) unsafe fn strips<V: Lanes>(args: &Depthwise<'_>) {
    // SAFETY: the caller's promise, handed on.
    unsafe {
        match args.kernel {
            3 => channels::<V, 3, 4>(args),
            _ => channels::<V, 5, 6>(args),
        }
    }
}

/// Numbers of a strip's source: half of a level-1 cache.
const SCRATCH: usize = 6144;

/// What a strip reads, for one vector of channels.
#[repr(align(64))]
struct Scratch {
    /// Some rows of cells; source row `y` lies at `y % rows`.
    cells: [MaybeUninit<f32>; SCRATCH],
    /// A vector for each cell of the window.
    weights: [MaybeUninit<f32>; 25 * 16],
    bias: [MaybeUninit<f32>; 16],
}

impl Scratch {
    /// Nothing yet: to clear it would take as long as some tiles.
    fn new() -> Self {
        Self {
            cells: [const { MaybeUninit::uninit() }; SCRATCH],
            weights: [const { MaybeUninit::uninit() }; 25 * 16],
            bias: [const { MaybeUninit::uninit() }; 16],
        }
    }
}

/// One strip.
struct Strip {
    /// First channel in a source cell, and of the weights and the result.
    channels: (usize, usize),
    /// Number of channels, a vector at most.
    count: usize,
    /// Columns of the result.
    columns: Range<usize>,
    /// Columns in a tile.
    cells: usize,
}

/// All channels and columns; `ROWS` is the number of source rows below two rows: `K + 1`.
///
/// # Safety
/// As [`super::depthwise`].
#[inline(always)]
unsafe fn channels<V: Lanes, const K: usize, const ROWS: usize>(args: &Depthwise<'_>) {
    let width = args.out_width;
    let cells = tile_width(&[10, 9, 7, 5], width).unwrap_or(LEAST);
    // Whole tiles, as many as there is scratch memory for.
    let most = (SCRATCH / (ROWS * V::LEN) - K + 1) / cells * cells;
    let mut scratch = Scratch::new();
    for run in args.runs {
        for done in (0..run.len).step_by(V::LEN) {
            let channels = (run.source + done, run.destination + done);
            let count = (run.len - done).min(V::LEN);
            // SAFETY: the caller's promise; runs lie inside the weights.
            unsafe {
                for cell in 0..K * K {
                    let weight = args.weights.as_ptr().add(cell * args.bias.len() + channels.1);
                    V::load_part(weight, count)
                        .store(scratch.weights.as_mut_ptr().cast::<f32>().add(cell * V::LEN));
                }
                let bias = args.bias.as_ptr().add(channels.1);
                V::load_part(bias, count).store(scratch.bias.as_mut_ptr().cast());
            }
            for first in (0..width).step_by(most) {
                let last = (first + most).min(width);
                // The last tile reaches back over columns that are done already; they get the same values again.
                let columns = first.min(last - cells)..last;
                let strip = Strip { channels, count, columns, cells };
                // SAFETY: the caller's promise; the columns fit into the scratch memory.
                unsafe { pairs_of_rows::<V, K, ROWS>(args, &strip, &mut scratch) };
            }
        }
    }
}

/// # Safety
/// As [`super::depthwise`]; the strip lies inside the map, and its source rows fit into the scratch memory.
#[inline(always)]
unsafe fn pairs_of_rows<V: Lanes, const K: usize, const ROWS: usize>(
    args: &Depthwise<'_>,
    strip: &Strip,
    scratch: &mut Scratch,
) {
    let (pad, height) = (K / 2, args.size.0);
    let (first, end) = (args.rows.start, args.rows.end);
    let row_len = SCRATCH / ROWS / V::LEN * V::LEN;
    let mut copied = first.saturating_sub(pad);
    for y in (first..end).step_by(2) {
        // The last pair reaches back as the last tile does.
        let y = y.min(end.saturating_sub(2).max(first));
        let both = y + 1 < end;
        let window = pad.saturating_sub(y)..(height + pad - y).min(if both { ROWS } else { K });
        // SAFETY: the caller's promise.
        unsafe {
            while copied + pad < y + window.end {
                let to = scratch.cells.as_mut_ptr().cast::<f32>().add(copied % ROWS * row_len);
                copy_row::<V, K>(args, strip, copied, to);
                copied += 1;
            }
            let mut rows = [std::ptr::null(); ROWS];
            for row in window.clone() {
                rows[row] = scratch.cells.as_ptr().cast::<f32>().add((y + row - pad) % ROWS * row_len);
            }
            for x in strip.columns.clone().step_by(strip.cells) {
                let x = x.min(strip.columns.end - strip.cells);
                let column = (x - strip.columns.start) * V::LEN;
                let tile = Tile { rows: &rows, window: window.clone(), column, cell: (y, x), both };
                match strip.cells {
                    10 => tile.run::<V, K, 10>(args, strip, scratch),
                    9 => tile.run::<V, K, 9>(args, strip, scratch),
                    7 => tile.run::<V, K, 7>(args, strip, scratch),
                    _ => tile.run::<V, K, 5>(args, strip, scratch),
                }
            }
        }
    }
}

/// Copies what a strip reads of a source row.
///
/// # Safety
/// As [`pairs_of_rows`]; there is room for the strip's columns.
#[inline(always)]
unsafe fn copy_row<V: Lanes, const K: usize>(args: &Depthwise<'_>, strip: &Strip, row: usize, to: *mut f32) {
    let (pad, width) = (K / 2, args.size.1);
    let first = strip.columns.start;
    let columns = strip.columns.len() - 1 + K;
    let (left, right) = (pad.saturating_sub(first), (width + pad - first).min(columns));
    let (stride, whole) = (args.source_stride, strip.count == V::LEN);
    let at = (row * width + first + left - pad) * stride + strip.channels.0;
    // SAFETY: the caller's promise; columns beside the map are not read.
    unsafe {
        for column in (0..left).chain(right..columns) {
            V::splat(0.0).store(to.add(column * V::LEN));
        }
        // The next rows come into the cache while the sums of this one are made.
        let ahead = 2 * width * stride;
        let mut from = args.source.wrapping_add(at);
        for column in left..right {
            let value = if whole { V::load(from) } else { V::load_part(from, strip.count) };
            value.store(to.add(column * V::LEN));
            prefetch(from.wrapping_add(ahead));
            from = from.wrapping_add(stride);
        }
    }
}

/// Some columns of two rows of the result, one vector of channels.
struct Tile<'a> {
    /// Source rows in the scratch memory, from the top of the window.
    rows: &'a [*const f32],
    /// Those that lie in the map.
    window: Range<usize>,
    /// Where the window begins in a row of the scratch memory.
    column: usize,
    /// Row and column in the result.
    cell: (usize, usize),
    /// Whether there is the lower row.
    both: bool,
}

impl Tile<'_> {
    /// # Safety
    /// As [`pairs_of_rows`]; the tile lies inside the strip.
    #[inline(always)]
    unsafe fn run<V: Lanes, const K: usize, const P: usize>(
        &self,
        args: &Depthwise<'_>,
        strip: &Strip,
        scratch: &Scratch,
    ) {
        let (start, end) = (self.window.start, self.window.end);
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [[V::load(scratch.bias.as_ptr().cast()); P]; 2];
            // Weights of a row for the upper cells; those for the lower ones are a row behind.
            let weights = |row: usize| scratch.weights.as_ptr().cast::<f32>().wrapping_add(row * K * V::LEN);
            macro_rules! lines {
                ($rows:expr, $upper:literal, $lower:literal) => {
                    for row in $rows {
                        let source = self.rows[row].add(self.column);
                        let (upper, lower) = (weights(row), weights(row).wrapping_sub(K * V::LEN));
                        for column in 0..K {
                            let zero = V::splat(0.0);
                            let above = if $upper { V::load(upper.add(column * V::LEN)) } else { zero };
                            let below = if $lower { V::load(lower.add(column * V::LEN)) } else { zero };
                            for p in 0..P {
                                let value = V::load(source.add((p + column) * V::LEN));
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
            let (y, x) = self.cell;
            finish(args, &sums[0], (y, x), strip.channels.1, strip.count);
            if self.both {
                finish(args, &sums[1], (y + 1, x), strip.channels.1, strip.count);
            }
        }
    }
}

/// Activates the sums of the cells from column `x` of row `y` on and puts them to column `to` and those behind it.
///
/// # Safety
/// As [`super::depthwise`]; there are that many cells and columns.
#[inline(always)]
unsafe fn finish<V: Lanes, const P: usize>(
    args: &Depthwise<'_>,
    sums: &[V; P],
    (y, x): (usize, usize),
    to: usize,
    count: usize,
) {
    let cell = |p: usize| args.out.wrapping_add((y * args.out_width + x + p) * args.out_stride + to);
    let whole = count == V::LEN;
    // SAFETY: the caller's promise.
    unsafe {
        // What is usual does not leave the registers.
        match args.act {
            None if whole => {
                for p in 0..P {
                    sums[p].store(cell(p));
                }
            }
            Some(Activation::HardSwish) if whole => {
                for p in 0..P {
                    activate(sums[p], Some(Activation::HardSwish)).store(cell(p));
                }
            }
            act => {
                let mut memory = [0.0f32; 10 * 16];
                for (p, sum) in sums.iter().enumerate() {
                    sum.store(memory.as_mut_ptr().add(p * V::LEN));
                }
                for p in 0..P {
                    let value = activate(V::load(memory.as_ptr().add(p * V::LEN)), act);
                    value.store_part(cell(p), count);
                }
            }
        }
    }
}
