//! Depthwise convolution with bias and activation, channels last.
//!
//! A tile is up to eight output cells of one row by one vector of channels. Cells beside the map are read from a row
//! of zeros, so that no tile is special; rows above and below are left out. Where vectors are long and registers many,
//! [`strips`] does it instead; numbers of 16 bits are for [`row_pairs`].
#![allow(unsafe_code)]

pub(crate) mod row_pairs;
mod strips;

use picodet_graph::Activation;

use super::activate::activate;
use super::lanes::Lanes;
use super::{Run, dispatch};

/// What [`depthwise`] convolves.
pub(crate) struct Depthwise<'a> {
    /// First cell of the source map, `height · width` cells of `source_stride` numbers.
    pub(crate) source: *const f32,
    /// Numbers from one source cell to the next.
    pub(crate) source_stride: usize,
    /// Height and width of the source.
    pub(crate) size: (usize, usize),
    /// Where the first cell of the result would be; only `rows` need be there.
    pub(crate) out: *mut f32,
    /// Numbers from one result cell to the next.
    pub(crate) out_stride: usize,
    /// Width of the result.
    pub(crate) out_width: usize,
    /// Rows of the result to make.
    pub(crate) rows: std::ops::Range<usize>,
    /// At least `source_stride` zeros.
    pub(crate) zeros: *const f32,
    /// Side of the window: any odd number; 3 and 5 are fast.
    pub(crate) kernel: usize,
    /// Step of the window: 1, 2 or more.
    pub(crate) stride: usize,
    /// The channels; `destination` counts from the first channel of `weights` as well as of `out`.
    pub(crate) runs: &'a [Run],
    /// `[kernel²][channels]`.
    pub(crate) weights: &'a [f32],
    /// One number a channel.
    pub(crate) bias: &'a [f32],
    /// Applied last.
    pub(crate) act: Option<Activation>,
}

dispatch!(
    /// Convolves.
    depthwise, depthwise_lanes, Depthwise<'_>
);

/// # Safety
/// As [`depthwise`].
#[inline(always)]
unsafe fn depthwise_lanes<V: Lanes>(args: &Depthwise<'_>) {
    // SAFETY: the caller's promise, handed on.
    unsafe {
        if V::STRIPS && strips::fits(args.kernel, args.stride, args.out_width) {
            strips::strips::<V>(args);
            return;
        }
        match (args.kernel, args.stride) {
            (3, 1) if !V::STRIPS => rows::<V, 3, 1, 10>(args),
            (3, 2) => rows::<V, 3, 2, 17>(args),
            (5, 1) if !V::STRIPS => rows::<V, 5, 1, 12>(args),
            (5, 2) => rows::<V, 5, 2, 19>(args),
            _ => any_window::<V>(args),
        }
    }
}

/// The size of `sizes` whose tiles, the last one reaching back, make as little as possible of `width` twice.
fn tile_width(sizes: &[usize], width: usize) -> Option<usize> {
    let fitting = sizes.iter().copied().filter(|&cells| cells <= width);
    fitting.min_by_key(|cells| width.next_multiple_of(*cells))
}

/// `IN` is the number of source columns below eight cells: `7 · stride + kernel`.
///
/// # Safety
/// As [`depthwise`].
#[inline(always)]
unsafe fn rows<V: Lanes, const K: usize, const S: usize, const IN: usize>(args: &Depthwise<'_>) {
    let width = args.out_width;
    let cells = tile_width(V::CELLS, width).unwrap_or(1);
    for y in args.rows.clone() {
        for x in (0..width).step_by(cells) {
            // The last tile reaches back over cells that are done already; they get the same values again.
            let x = x.min(width - cells);
            // SAFETY: the caller's promise; every tile lies inside the row.
            unsafe {
                match cells {
                    8 if V::CELLS.contains(&8) => tile::<V, K, S, 8, IN>(args, y, x),
                    7 if V::CELLS.contains(&7) => tile::<V, K, S, 7, IN>(args, y, x),
                    5 => tile::<V, K, S, 5, IN>(args, y, x),
                    _ => tile::<V, K, S, 1, IN>(args, y, x),
                }
            }
        }
    }
}

/// # Safety
/// As [`depthwise`]; cells `x..x + P` of row `y` exist.
#[inline(always)]
unsafe fn tile<V: Lanes, const K: usize, const S: usize, const P: usize, const IN: usize>(
    args: &Depthwise<'_>,
    y: usize,
    x: usize,
) {
    let (height, width) = args.size;
    let (pad, stride) = (K / 2, args.source_stride);
    let above = pad.saturating_sub(y * S);
    let below = (height + pad - y * S).min(K);
    let inside = x * S >= pad && x * S + (P - 1) * S + K <= width + pad;
    // SAFETY: the caller's promise. Source pointers are cells of the map or the row of zeros, each valid for
    // `source_stride` numbers.
    unsafe {
        let out = args.out.wrapping_add((y * args.out_width + x) * args.out_stride);
        if inside && !V::COMPACT {
            let first = args.source.add((y * S + above - pad) * width * stride + (x * S - pad) * stride);
            let at = |ky: usize, j: usize| first.add((ky - above) * width * stride + j * stride);
            channels::<V, K, S, P>(args, above..below, out, at);
            return;
        }
        let mut cells = [[args.zeros; IN]; K];
        for ky in above..below {
            let row = args.source.add((y * S + ky - pad) * width * stride);
            for (j, cell) in cells[ky].iter_mut().enumerate().take((P - 1) * S + K) {
                let column = x * S + j;
                if column >= pad && column < width + pad {
                    *cell = row.add((column - pad) * stride);
                }
            }
        }
        channels::<V, K, S, P>(args, above..below, out, |ky, j| cells[ky][j]);
    }
}

/// All channels of `P` cells from `out` on; `at(ky, j)` is the source cell of window row `ky` and of column `j`
/// below the first cell's window.
///
/// # Safety
/// As [`depthwise`]; the cells `at` are valid for `source_stride` numbers for the window rows in `window`.
#[inline(always)]
unsafe fn channels<V: Lanes, const K: usize, const S: usize, const P: usize>(
    args: &Depthwise<'_>,
    window: std::ops::Range<usize>,
    out: *mut f32,
    at: impl Fn(usize, usize) -> *const f32,
) {
    let channels = args.bias.len();
    for run in args.runs {
        let mut done = 0;
        while done < run.len {
            let count = (run.len - done).min(V::LEN);
            let (from, to) = (run.source + done, run.destination + done);
            // SAFETY: the caller's promise; runs lie inside cells, the result's cells and the weights.
            unsafe {
                let weight = args.weights.as_ptr().add(to);
                if count == V::LEN {
                    let mut acc = [V::load(args.bias.as_ptr().add(to)); P];
                    for ky in window.clone() {
                        for kx in 0..K {
                            let weight = V::load(weight.add((ky * K + kx) * channels));
                            for (p, acc) in acc.iter_mut().enumerate() {
                                *acc = V::load(at(ky, p * S + kx).add(from)).mul_add(weight, *acc);
                            }
                        }
                    }
                    for (p, &acc) in acc.iter().enumerate() {
                        activate(acc, args.act).store(out.add(p * args.out_stride + to));
                    }
                } else if V::LEN == 16 {
                    let mut acc = [V::load_part(args.bias.as_ptr().add(to), count); P];
                    for ky in window.clone() {
                        for kx in 0..K {
                            let weight = V::load_part(weight.add((ky * K + kx) * channels), count);
                            for (p, acc) in acc.iter_mut().enumerate() {
                                let value = V::load_part(at(ky, p * S + kx).add(from), count);
                                *acc = value.mul_add(weight, *acc);
                            }
                        }
                    }
                    // The activation stands here once, not once a cell.
                    let mut sums = [0.0f32; 8 * 16];
                    for (p, &acc) in acc.iter().enumerate() {
                        acc.store(sums.as_mut_ptr().add(p * V::LEN));
                    }
                    for p in 0..P {
                        let sum = V::load(sums.as_ptr().add(p * V::LEN));
                        activate(sum, args.act).store_part(out.add(p * args.out_stride + to), count);
                    }
                } else {
                    // Published networks have no such rest where vectors are short, so the code is to be as well.
                    for p in 0..std::hint::black_box(P) {
                        let mut acc = V::load_part(args.bias.as_ptr().add(to), count);
                        for ky in window.clone() {
                            for kx in 0..args.kernel {
                                let weight = V::load_part(weight.add((ky * K + kx) * channels), count);
                                acc = V::load_part(at(ky, p * S + kx).add(from), count).mul_add(weight, acc);
                            }
                        }
                        activate(acc, args.act).store_part(out.add(p * args.out_stride + to), count);
                    }
                }
            }
            done += count;
        }
    }
}

/// Any window and step, one cell at a time.
///
/// # Safety
/// As [`depthwise`].
#[inline(always)]
unsafe fn any_window<V: Lanes>(args: &Depthwise<'_>) {
    let (height, width) = args.size;
    let (pad, channels) = (args.kernel / 2, args.bias.len());
    // SAFETY: the caller's promise; window cells outside the map are left out.
    unsafe {
        for (y, x) in args.rows.clone().flat_map(|y| (0..args.out_width).map(move |x| (y, x))) {
            for run in args.runs {
                for done in (0..run.len).step_by(V::LEN) {
                    let count = (run.len - done).min(V::LEN);
                    let (from, to) = (run.source + done, run.destination + done);
                    let mut acc = V::load_part(args.bias.as_ptr().add(to), count);
                    for (ky, kx) in (0..args.kernel).flat_map(|ky| (0..args.kernel).map(move |kx| (ky, kx))) {
                        let (row, column) = (y * args.stride + ky, x * args.stride + kx);
                        if row < pad || column < pad || row >= height + pad || column >= width + pad {
                            continue;
                        }
                        let cell = ((row - pad) * width + column - pad) * args.source_stride;
                        let weight = args.weights.as_ptr().add((ky * args.kernel + kx) * channels + to);
                        let value = V::load_part(args.source.add(cell + from), count);
                        acc = value.mul_add(V::load_part(weight, count), acc);
                    }
                    let cell = (y * args.out_width + x) * args.out_stride;
                    activate(acc, args.act).store_part(args.out.wrapping_add(cell + to), count);
                }
            }
        }
    }
}
