//! Operations that change the size of a map, forward and backward, one image at a time.
#![allow(unsafe_code)]

use super::lanes::{Lanes, Moves};
use super::{Map, dispatch, vectors};

/// A small map and a large one, of one image.
pub(crate) struct Resample {
    /// The input, or its gradient.
    pub(crate) input: Map,
    /// The result, or its gradient.
    pub(crate) output: Map,
    /// The tap of each maximum, one byte for every number of the result; of the pool only.
    pub(crate) taps: *mut u8,
    /// The image.
    pub(crate) image: usize,
    /// First row and the row after the last: of the result in [`max_pool`], [`upsample`] and [`average_pool`], of the
    /// input in their gradients.
    pub(crate) rows: (usize, usize),
    /// Whether the gradient of the input is added to what is there; in [`max_pool`], whether taps are written.
    pub(crate) accumulate: bool,
}

impl Resample {
    #[inline(always)]
    fn input_cell(&self, y: usize, x: usize) -> *mut f32 {
        let [_, height, width] = self.input.size;
        self.input.at((self.image * height + y) * width + x)
    }

    #[inline(always)]
    fn output_index(&self, y: usize, x: usize) -> usize {
        let [_, height, width] = self.output.size;
        (self.image * height + y) * width + x
    }
}

dispatch!(
    /// 3×3 maximum of stride 2; the first of equal numbers is the one that gets the gradient.
    max_pool, max_pool_lanes, Resample
);

#[inline(always)]
unsafe fn max_pool_lanes<V: Lanes>(args: &Resample) {
    let [_, height, width] = args.input.size;
    let channels = args.input.channels;
    for y in args.rows.0..args.rows.1 {
        for x in 0..args.output.size[2] {
            let index = args.output_index(y, x);
            // SAFETY: the caller's promise; the taps are as many as the numbers of the result, if they are written.
            let (out, taps): (&mut [f32], &mut [u8]) = unsafe {
                let out = std::slice::from_raw_parts_mut(args.output.at(index), channels);
                if args.accumulate {
                    (out, std::slice::from_raw_parts_mut(args.taps.add(index * channels), channels))
                } else {
                    (out, &mut [])
                }
            };
            let mut first = true;
            for tap in 0..9 {
                let (row, column) = (2 * y + tap / 3, 2 * x + tap % 3);
                if row == 0 || row > height || column == 0 || column > width {
                    continue;
                }
                // SAFETY: the cell lies inside the map.
                let cell = unsafe {
                    std::slice::from_raw_parts(args.input_cell(row - 1, column - 1).cast_const(), channels)
                };
                if std::mem::take(&mut first) {
                    out.copy_from_slice(cell);
                    taps.fill(tap as u8);
                    continue;
                }
                if !args.accumulate {
                    for (out, &value) in out.iter_mut().zip(cell) {
                        *out = if value > *out || value.is_nan() { value } else { *out };
                    }
                    continue;
                }
                for ((out, at), &value) in out.iter_mut().zip(taps.iter_mut()).zip(cell) {
                    let larger = value > *out || value.is_nan();
                    *out = if larger { value } else { *out };
                    *at = if larger { tap as u8 } else { *at };
                }
            }
        }
    }
    let _ = V::LEN;
}

dispatch!(
    /// The gradient of [`max_pool`] for rows of the input.
    max_pool_backward, max_pool_backward_lanes, Resample
);

#[inline(always)]
unsafe fn max_pool_backward_lanes<V: Lanes>(args: &Resample) {
    let [_, out_height, out_width] = args.output.size;
    let channels = args.input.channels;
    for y in args.rows.0..args.rows.1 {
        for x in 0..args.input.size[2] {
            // SAFETY: the caller's promise.
            let to = unsafe { std::slice::from_raw_parts_mut(args.input_cell(y, x), channels) };
            if !args.accumulate {
                to.fill(0.0);
            }
            for tap in 0..9usize {
                // The window of which this cell is the tap: 2 · row + tap row - 1 = y.
                let (row, column) = ((y + 1).checked_sub(tap / 3), (x + 1).checked_sub(tap % 3));
                let (Some(row), Some(column)) = (row, column) else { continue };
                if row % 2 == 1 || column % 2 == 1 || row / 2 >= out_height || column / 2 >= out_width {
                    continue;
                }
                let index = args.output_index(row / 2, column / 2);
                // SAFETY: the cell lies inside the result.
                let (dy, taps) = unsafe {
                    (
                        std::slice::from_raw_parts(args.output.at(index).cast_const(), channels),
                        std::slice::from_raw_parts(args.taps.add(index * channels).cast_const(), channels),
                    )
                };
                for ((to, &dy), &at) in to.iter_mut().zip(dy).zip(taps) {
                    *to += if usize::from(at) == tap { dy } else { 0.0 };
                }
            }
        }
    }
    let _ = V::LEN;
}

dispatch!(
    /// Every cell repeated 2×2.
    upsample, upsample_lanes, Resample
);

#[inline(always)]
unsafe fn upsample_lanes<V: Lanes>(args: &Resample) {
    for y in args.rows.0..args.rows.1 {
        for x in 0..args.output.size[2] {
            // SAFETY: the caller's promise; the result is twice as large.
            unsafe {
                let from = args.input_cell(y / 2, x / 2);
                let to = args.output.at(args.output_index(y, x));
                vectors!(V, args.input.channels, |c, n| {
                    n.store(n.load::<V>(from.add(c)), to.add(c));
                });
            }
        }
    }
}

dispatch!(
    /// The gradient of [`upsample`] for rows of the input.
    upsample_backward, upsample_backward_lanes, Resample
);

#[inline(always)]
unsafe fn upsample_backward_lanes<V: Lanes>(args: &Resample) {
    for y in args.rows.0..args.rows.1 {
        for x in 0..args.input.size[2] {
            // SAFETY: the caller's promise; the result is twice as large.
            unsafe {
                let to = args.input_cell(y, x);
                let at = |row: usize, column: usize| args.output.at(args.output_index(row, column));
                let cells =
                    [at(2 * y, 2 * x), at(2 * y, 2 * x + 1), at(2 * y + 1, 2 * x), at(2 * y + 1, 2 * x + 1)];
                vectors!(V, args.input.channels, |c, n| {
                    let [a, b, d, e] = cells.map(|cell| cell.add(c));
                    let mut sum = n.load::<V>(a).add(n.load(b)).add(n.load::<V>(d).add(n.load(e)));
                    if args.accumulate {
                        sum = sum.add(n.load(to.add(c)));
                    }
                    n.store(sum, to.add(c));
                });
            }
        }
    }
}

/// A cell of the result as a sum of cells of the input: `(row, column, share)`.
pub(crate) type Shares = [(usize, usize, f32); 4];

/// The cells under a bilinear sample between cell centres, the border repeated.
pub(crate) fn bilinear_shares(args: &Resample, y: usize, x: usize) -> (Shares, usize) {
    let sample = |out: usize, extent: usize, out_extent: usize| {
        let position = ((out as f64 + 0.5) * extent as f64 / out_extent as f64 - 0.5).max(0.0);
        let first = (position as usize).min(extent - 1);
        (first, (first + 1).min(extent - 1), (position - first as f64) as f32)
    };
    let (y0, y1, fy) = sample(y, args.input.size[1], args.output.size[1]);
    let (x0, x1, fx) = sample(x, args.input.size[2], args.output.size[2]);
    let shares = [
        (y0, x0, (1.0 - fy) * (1.0 - fx)),
        (y0, x1, (1.0 - fy) * fx),
        (y1, x0, fy * (1.0 - fx)),
        (y1, x1, fy * fx),
    ];
    (shares, 4)
}

/// The cells of a 2×2 window of stride 2 that lie inside the map, in equal shares.
pub(crate) fn average_shares(args: &Resample, y: usize, x: usize) -> (Shares, usize) {
    let [_, height, width] = args.input.size;
    let mut shares = [(0, 0, 0.0); 4];
    let mut count = 0;
    for tap in 0..4 {
        let (row, column) = (2 * y + tap / 2, 2 * x + tap % 2);
        if row < height && column < width {
            shares[count] = (row, column, 0.0);
            count += 1;
        }
    }
    shares.iter_mut().for_each(|share| share.2 = 1.0 / count as f32);
    (shares, count)
}

/// Makes rows of a result whose cells are shares of cells of the input.
///
/// # Safety
/// The maps are valid; nobody else writes the input or the rows.
pub(crate) unsafe fn blend(
    args: &Resample,
    shares: impl Fn(&Resample, usize, usize) -> (Shares, usize),
    backward: bool,
) {
    let channels = args.input.channels;
    for y in args.rows.0..args.rows.1 {
        for x in 0..args.output.size[2] {
            let (shares, count) = shares(args, y, x);
            let out = args.output.at(args.output_index(y, x));
            if !backward {
                // SAFETY: the caller's promise.
                unsafe { std::slice::from_raw_parts_mut(out, channels) }.fill(0.0);
            }
            for &(row, column, share) in &shares[..count] {
                let cell = args.input_cell(row, column);
                let (to, from) = if backward { (cell, out) } else { (out, cell) };
                // SAFETY: the caller's promise; the two maps do not overlap.
                let (to, from) = unsafe {
                    (
                        std::slice::from_raw_parts_mut(to, channels),
                        std::slice::from_raw_parts(from.cast_const(), channels),
                    )
                };
                to.iter_mut().zip(from).for_each(|(to, from)| *to += share * from);
            }
        }
    }
}
