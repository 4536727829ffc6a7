//! Depthwise convolution of 3×3 and 5×5, stride 1 and 2, channels last: forward and both gradients.
//!
//! Forward and the gradient of the input are one kernel, [`lines`]: a row of results, each the sum of taps over rows
//! of a source. Results are made five at a time (every map of a 320 px image is a multiple of five wide), one vector
//! of channels at a time; cells beside the source are read from a row of zeros, so that no tile is special.
#![allow(unsafe_code)]

use super::lanes::{Lanes, Moves};
use super::{Map, dispatch, vectors};

/// Results made at once.
const TILE: usize = 5;
/// Largest kernel.
const TAPS: usize = 5;
/// Source columns that a tile reads at most: `(TILE - 1) · 2 + TAPS`.
const COLUMNS: usize = 13;

/// Rows of results.
pub(crate) struct Lines {
    /// The convolved map: the input, or the gradient of the result.
    pub(crate) source: Map,
    /// What is made: the result, or the gradient of the input.
    pub(crate) target: Map,
    /// Weights, `[kernel · kernel][channels]`.
    pub(crate) weights: *const f32,
    /// Side of the window: 3 or 5.
    pub(crate) kernel: usize,
    /// 1 or 2.
    pub(crate) stride: usize,
    /// Whether the gradient of the input is made instead of the result.
    pub(crate) backward: bool,
    /// Whether it is added to what is there.
    pub(crate) accumulate: bool,
    /// A cell of zeros.
    pub(crate) zeros: *const f32,
    /// The image.
    pub(crate) image: usize,
    /// First row of the target, and the row after the last.
    pub(crate) rows: (usize, usize),
}

dispatch!(
    /// Makes rows of a depthwise convolution or of its transpose.
    lines, lines_lanes, Lines
);

/// Some results of one row.
struct Line {
    /// Source rows (null beyond `count_rows`) and the weights of the first tap of each.
    rows: [(*const f32, *const f32); TAPS],
    count_rows: usize,
    /// Source column of the first tap of the first result.
    first: isize,
    /// Numbers from the weights of one tap to those of the next.
    tap_step: isize,
    /// First result, numbers to the next, and how many there are.
    out: *mut f32,
    out_step: usize,
    count: usize,
}

#[inline(always)]
unsafe fn lines_lanes<V: Lanes>(args: &Lines) {
    let [_, height, width] = args.target.size;
    let source_height = args.source.size[1];
    let (k, c) = (args.kernel, args.target.channels);
    let pad = k / 2;
    for y in args.rows.0..args.rows.1 {
        let mut rows = [(std::ptr::null(), std::ptr::null()); TAPS];
        let mut count_rows = 0;
        for ky in 0..k {
            let source = if !args.backward {
                (y * args.stride + ky).checked_sub(pad)
            } else {
                let at = y + pad;
                // Of a transposed stride, only every other row meets a tap.
                if at < ky || !(at - ky).is_multiple_of(args.stride) {
                    None
                } else {
                    Some((at - ky) / args.stride)
                }
            };
            if let Some(source) = source.filter(|&source| source < source_height) {
                let cell = (args.image * source_height + source) * args.source.size[2];
                rows[count_rows] = (args.source.at(cell).cast_const(), args.weights.wrapping_add(ky * k * c));
                count_rows += 1;
            }
        }
        let out = args.target.at((args.image * height + y) * width);
        // SAFETY: the caller's promise; the rows are rows of the source.
        unsafe {
            if !args.backward {
                let line = Line {
                    rows,
                    count_rows,
                    first: -(pad as isize),
                    tap_step: c as isize,
                    out,
                    out_step: args.target.stride,
                    count: width,
                };
                match (k, args.stride) {
                    (3, 1) => line_of::<V, 3, 1>(args, &line),
                    (3, _) => line_of::<V, 3, 2>(args, &line),
                    (_, 1) => line_of::<V, 5, 1>(args, &line),
                    _ => line_of::<V, 5, 2>(args, &line),
                }
                continue;
            }
            for phase in 0..args.stride.min(width) {
                // The taps that this phase of columns meets, by rising source column: kx falls from `last`.
                let last = k - 1 - (k - 1 + phase + pad) % args.stride;
                let taps = last / args.stride + 1;
                let line = Line {
                    rows: rows.map(|(row, weights)| (row, weights.wrapping_add(last * c))),
                    count_rows,
                    first: (phase as isize + pad as isize - last as isize) / args.stride as isize,
                    tap_step: -((args.stride * c) as isize),
                    out: out.wrapping_add(phase * args.target.stride),
                    out_step: args.stride * args.target.stride,
                    count: (width - phase).div_ceil(args.stride),
                };
                match taps {
                    1 => line_of::<V, 1, 1>(args, &line),
                    2 => line_of::<V, 2, 1>(args, &line),
                    3 => line_of::<V, 3, 1>(args, &line),
                    _ => line_of::<V, 5, 1>(args, &line),
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn line_of<V: Lanes, const K: usize, const S: usize>(args: &Lines, line: &Line) {
    let width = args.source.size[2] as isize;
    let columns = (TILE - 1) * S + K;
    for tile in (0..line.count).step_by(TILE) {
        let count = TILE.min(line.count - tile);
        let mut table = [[args.zeros; COLUMNS]; TAPS];
        for (entries, (row, _)) in table.iter_mut().zip(&line.rows[..line.count_rows]) {
            for (column, entry) in entries.iter_mut().enumerate().take(columns) {
                let at = line.first + (tile * S + column) as isize;
                if at >= 0 && at < width {
                    *entry = row.wrapping_add(at as usize * args.source.stride);
                }
            }
        }
        let out = line.out.wrapping_add(tile * line.out_step);
        // SAFETY: the caller's promise; every entry of the table is a cell of the source or the cell of zeros.
        unsafe {
            vectors!(V, args.target.channels, |c, n| {
                let mut sums = [V::splat(0.0); TILE];
                if args.accumulate {
                    for (i, sum) in sums.iter_mut().enumerate().take(count) {
                        *sum = n.load(out.add(i * line.out_step + c));
                    }
                }
                for (entries, (_, weights)) in table.iter().zip(&line.rows[..line.count_rows]) {
                    let mut taps = [V::splat(0.0); K];
                    for (tap, value) in taps.iter_mut().enumerate() {
                        *value = n.load(weights.wrapping_offset(tap as isize * line.tap_step).add(c));
                    }
                    let mut cells = [V::splat(0.0); COLUMNS];
                    for column in 0..columns {
                        cells[column] = n.load(entries[column].add(c));
                    }
                    for tap in 0..K {
                        for i in 0..TILE {
                            sums[i] = cells[i * S + tap].mul_add(taps[tap], sums[i]);
                        }
                    }
                }
                for (i, sum) in sums.into_iter().enumerate() {
                    if i < count {
                        n.store(sum, out.add(i * line.out_step + c));
                    }
                }
            });
        }
    }
}

/// What [`weight_gradient`] sums over.
pub(crate) struct WeightGradient {
    /// The input.
    pub(crate) x: Map,
    /// The gradient of the result.
    pub(crate) dy: Map,
    /// Side of the window: 3 or 5.
    pub(crate) kernel: usize,
    /// 1 or 2.
    pub(crate) stride: usize,
    /// The image.
    pub(crate) image: usize,
    /// First row of the result, and the row after the last.
    pub(crate) rows: (usize, usize),
    /// Sums, `[kernel · kernel][channels]`, that the rows are added to.
    pub(crate) out: *mut f32,
}

dispatch!(
    /// Adds the gradient of the weights that comes from some rows.
    weight_gradient, weight_gradient_lanes, WeightGradient
);

#[inline(always)]
unsafe fn weight_gradient_lanes<V: Lanes>(args: &WeightGradient) {
    // SAFETY: the caller's promise.
    unsafe {
        match (args.kernel, args.stride) {
            (3, 1) => weight_gradient_of::<V, 3, 1>(args),
            (3, _) => weight_gradient_of::<V, 3, 2>(args),
            (_, 1) => weight_gradient_of::<V, 5, 1>(args),
            _ => weight_gradient_of::<V, 5, 2>(args),
        }
    }
}

/// Results whose products are summed at once.
const PAIRS: usize = 4;

#[inline(always)]
unsafe fn weight_gradient_of<V: Lanes, const K: usize, const S: usize>(args: &WeightGradient) {
    let [_, source_height, source_width] = args.x.size;
    let [_, height, width] = args.dy.size;
    let (pad, channels) = (K / 2, args.x.channels);
    // Columns whose whole window lies inside the map.
    let inner_from = pad.div_ceil(S).min(width);
    let inner_to = ((source_width + pad).saturating_sub(K) / S + 1).clamp(inner_from, width);
    // SAFETY: the caller's promise; every column is checked or lies between `inner_from` and `inner_to`.
    unsafe {
        vectors!(V, channels, |c, n| {
            for ky in 0..K {
                let mut sums = [[V::splat(0.0); K]; 2];
                for y in args.rows.0..args.rows.1 {
                    let at = y * S + ky;
                    if at < pad || at - pad >= source_height {
                        continue;
                    }
                    let row = args.x.at((args.image * source_height + at - pad) * source_width).add(c);
                    let dy = args.dy.at((args.image * height + y) * width).add(c);
                    let edges = (0..inner_from).chain(inner_to..width);
                    for x in edges {
                        let gradient: V = n.load(dy.add(x * args.dy.stride));
                        for tap in 0..K {
                            let at = x * S + tap;
                            if at >= pad && at - pad < source_width {
                                let value: V = n.load(row.add((at - pad) * args.x.stride));
                                sums[0][tap] = value.mul_add(gradient, sums[0][tap]);
                            }
                        }
                    }
                    let mut x = inner_from;
                    while x + PAIRS <= inner_to {
                        let first = row.add((x * S - pad) * args.x.stride);
                        let mut gradients = [V::splat(0.0); PAIRS];
                        for (i, gradient) in gradients.iter_mut().enumerate() {
                            *gradient = n.load(dy.add((x + i) * args.dy.stride));
                        }
                        let mut cells = [V::splat(0.0); COLUMNS];
                        for column in 0..(PAIRS - 1) * S + K {
                            cells[column] = n.load(first.add(column * args.x.stride));
                        }
                        for i in 0..PAIRS {
                            for tap in 0..K {
                                sums[i % 2][tap] = cells[i * S + tap].mul_add(gradients[i], sums[i % 2][tap]);
                            }
                        }
                        x += PAIRS;
                    }
                    while x < inner_to {
                        let gradient: V = n.load(dy.add(x * args.dy.stride));
                        let first = row.add((x * S - pad) * args.x.stride);
                        for tap in 0..K {
                            let value: V = n.load(first.add(tap * args.x.stride));
                            sums[0][tap] = value.mul_add(gradient, sums[0][tap]);
                        }
                        x += 1;
                    }
                }
                for tap in 0..K {
                    let out = args.out.add((ky * K + tap) * channels + c);
                    n.store(sums[0][tap].add(sums[1][tap]).add(n.load(out)), out);
                }
            }
        });
    }
}
