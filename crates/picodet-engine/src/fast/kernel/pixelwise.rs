//! Operations that go over cells one after another, a vector of channels at a time: elementwise functions, pools and
//! resizing.
#![allow(unsafe_code)]

use std::ops::Range;

use picodet_graph::{Activation, DType};

use super::activate::activate;
use super::lanes::Lanes;
use super::{Run, dispatch};

/// What is done to each vector.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    /// `act(x)`.
    Activate(Option<Activation>),
    /// `act(x + other)`.
    Add(Option<Activation>),
    /// `x · factor[c] + addend[c]`, numbers by destination column.
    Affine {
        /// One factor a channel.
        factor: *const f32,
        /// One addend a channel; null for zeros.
        addend: *const f32,
    },
    /// `sqrt(x · other[0] + epsilon)`, `other` one number a cell.
    GeometricMean {
        /// Column of the number.
        column: usize,
        /// Added under the root.
        epsilon: f32,
    },
    /// The largest of 3×3 cells around twice the position.
    MaxPool,
    /// The cell at half the position.
    Upsample,
    /// Two by two cells of the source, weighted: tables of (first, second, share of the second) by row and column.
    Blend {
        /// One entry a row of the result.
        rows: &'a [(usize, usize, f32)],
        /// One entry a column of the result.
        columns: &'a [(usize, usize, f32)],
    },
}

/// What [`pixelwise`] goes over.
pub(crate) struct Pixelwise<'a> {
    /// What is done.
    pub(crate) kind: Kind<'a>,
    /// First cell of the source, `size` cells of `source_stride` numbers; the kinds that change the size need only the
    /// rows below `rows`.
    pub(crate) source: *const f32,
    /// Numbers from one source cell to the next.
    pub(crate) source_stride: usize,
    /// Height and width of the source.
    pub(crate) size: (usize, usize),
    /// First cell of the second source, of the size of the result; null if there is none.
    pub(crate) other: *const f32,
    /// Numbers from one cell of the second source to the next.
    pub(crate) other_stride: usize,
    /// First cell of the result.
    pub(crate) out: *mut f32,
    /// Numbers from one result cell to the next.
    pub(crate) out_stride: usize,
    /// Width of the result.
    pub(crate) out_width: usize,
    /// Rows of the result to make.
    pub(crate) rows: Range<usize>,
    /// The channels.
    pub(crate) runs: &'a [Run],
}

dispatch!(
    /// Goes over the cells.
    pixelwise, pixelwise_lanes, Pixelwise<'_>
);

/// # Safety
/// As [`pixelwise`].
#[inline(always)]
unsafe fn pixelwise_lanes<V: Lanes>(args: &Pixelwise<'_>) {
    let width = args.size.1;
    if matches!(args.kind, Kind::MaxPool) {
        // SAFETY: the caller's promise, handed on.
        args.rows.clone().for_each(|y| unsafe { pool_row::<V>(args, y) });
        return;
    }
    for y in args.rows.clone() {
        for x in 0..args.out_width {
            let cell = y * args.out_width + x;
            // SAFETY: the caller's promise: `cell` is a cell of the result, of `other`, and, for the kinds that keep
            // the size, of the source; the other kinds clip their positions to the source. Runs lie inside cells.
            unsafe {
                // The source may begin before its memory does when only some of its rows are there.
                let at = |row: usize, column: usize| {
                    args.source.wrapping_add((row * width + column) * args.source_stride)
                };
                let out = args.out.wrapping_add(cell * args.out_stride);
                let other = args.other.wrapping_add(cell * args.other_stride);
                match args.kind {
                    Kind::Activate(act) => {
                        let from = args.source.add(cell * args.source_stride);
                        each::<V>(args.runs, out, |run, done, n| {
                            activate(V::load_part(from.add(run.source + done), n), act)
                        });
                    }
                    Kind::Add(act) => {
                        let from = args.source.add(cell * args.source_stride);
                        each::<V>(args.runs, out, |run, done, n| {
                            let a = V::load_part(from.add(run.source + done), n);
                            activate(a.add(V::load_part(other.add(run.other + done), n)), act)
                        });
                    }
                    Kind::Affine { factor, addend } => {
                        let from = args.source.add(cell * args.source_stride);
                        each::<V>(args.runs, out, |run, done, n| {
                            let value = V::load_part(from.add(run.source + done), n);
                            let value = value.mul(V::load_part(factor.add(run.other + done), n));
                            if addend.is_null() {
                                value
                            } else {
                                value.add(V::load_part(addend.add(run.other + done), n))
                            }
                        });
                    }
                    Kind::GeometricMean { column, epsilon } => {
                        let from = args.source.add(cell * args.source_stride);
                        let alignment = V::splat(*other.add(column));
                        each::<V>(args.runs, out, |run, done, n| {
                            V::load_part(from.add(run.source + done), n)
                                .mul_add(alignment, V::splat(epsilon))
                                .sqrt()
                        });
                    }
                    // By whole rows, below.
                    Kind::MaxPool => {}
                    Kind::Upsample => {
                        let from = at(y / 2, x / 2);
                        each::<V>(args.runs, out, |run, done, n| {
                            V::load_part(from.add(run.source + done), n)
                        });
                    }
                    Kind::Blend { rows, columns } => {
                        let ((y0, y1, fy), (x0, x1, fx)) = (rows[y], columns[x]);
                        let (fx0, fx1, fy0, fy1) =
                            (V::splat(1.0 - fx), V::splat(fx), V::splat(1.0 - fy), V::splat(fy));
                        each::<V>(args.runs, out, |run, done, n| {
                            let load = |row, column| V::load_part(at(row, column).add(run.source + done), n);
                            let top = load(y0, x0).mul(fx0).add(load(y0, x1).mul(fx1));
                            let bottom = load(y1, x0).mul(fx0).add(load(y1, x1).mul(fx1));
                            top.mul(fy0).add(bottom.mul(fy1))
                        });
                    }
                }
            }
        }
    }
}

/// One row of a max pool: a vector of channels goes along the row and keeps the largest of each column of three.
///
/// # Safety
/// As [`pixelwise`].
#[inline(always)]
unsafe fn pool_row<V: Lanes>(args: &Pixelwise<'_>, y: usize) {
    let (height, width) = args.size;
    let above = (2 * y).saturating_sub(1);
    let below = (2 * y + 1).min(height - 1);
    for run in args.runs {
        for done in (0..run.len).step_by(V::LEN) {
            let n = (run.len - done).min(V::LEN);
            // SAFETY: the caller's promise; rows and columns beside the map are replaced by the nearest inside, which
            // is in the window as well.
            unsafe {
                let row = |row: usize| {
                    args.source.wrapping_add(row * width * args.source_stride + run.source + done)
                };
                let (top, middle, bottom) = (row(above), row(2 * y), row(below));
                let out =
                    args.out.wrapping_add(y * args.out_width * args.out_stride + run.destination + done);
                if n == V::LEN {
                    let column = |x: usize| {
                        let x = x * args.source_stride;
                        V::load(middle.add(x)).larger(V::load(top.add(x))).larger(V::load(bottom.add(x)))
                    };
                    let mut last = column(0);
                    for x in 0..args.out_width {
                        let next = column((2 * x + 1).min(width - 1));
                        last.larger(column(2 * x)).larger(next).store(out.add(x * args.out_stride));
                        last = next;
                    }
                } else {
                    let column = |x: usize| {
                        let x = x * args.source_stride;
                        let load = |row: *const f32| V::load_part(row.add(x), n);
                        load(middle).larger(load(top)).larger(load(bottom))
                    };
                    let mut last = column(0);
                    for x in 0..args.out_width {
                        let next = column((2 * x + 1).min(width - 1));
                        last.larger(column(2 * x)).larger(next).store_part(out.add(x * args.out_stride), n);
                        last = next;
                    }
                }
            }
        }
    }
}

/// Stores `value(run, columns done, count)` for every vector of every run.
///
/// # Safety
/// `out` is valid for the destinations of the runs.
#[inline(always)]
unsafe fn each<V: Lanes>(runs: &[Run], out: *mut f32, value: impl Fn(&Run, usize, usize) -> V) {
    for run in runs {
        let mut done = 0;
        while done < run.len {
            let count = (run.len - done).min(V::LEN);
            // SAFETY: the caller's promise.
            unsafe { value(run, done, count).store_part(out.add(run.destination + done), count) };
            done += count;
        }
    }
}

/// What [`sum_cells`] adds up.
pub(crate) struct SumCells<'a> {
    /// First cell, `cells` of them.
    pub(crate) source: *const f32,
    /// Numbers from one cell to the next.
    pub(crate) source_stride: usize,
    /// Type of the elements of the source, which `source_stride` counts.
    pub(crate) dtype: DType,
    /// Number of cells.
    pub(crate) cells: usize,
    /// Channels to be summed.
    pub(crate) runs: &'a [Run],
    /// Sums by the runs' destination.
    pub(crate) out: *mut f32,
}

dispatch!(
    /// The sum of each channel over all cells.
    sum_cells, sum_cells_lanes, SumCells<'_>
);

/// # Safety
/// As [`sum_cells`].
#[inline(always)]
unsafe fn sum_cells_lanes<V: Lanes>(args: &SumCells<'_>) {
    // SAFETY: the caller's promise.
    unsafe {
        each::<V>(args.runs, args.out, |run, done, n| {
            // Four sums at once hide the latency of the addition.
            let mut sums = [V::splat(0.0); 4];
            let at = |cell: usize| cell * args.source_stride + run.source + done;
            let load = |cell: usize| {
                if args.dtype == DType::Bf16 {
                    V::load_widened(args.source.cast::<u16>().add(at(cell)), n)
                } else {
                    V::load_part(args.source.add(at(cell)), n)
                }
            };
            let whole = args.cells / 4 * 4;
            for cell in (0..whole).step_by(4) {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(load(cell + i));
                }
            }
            for cell in whole..args.cells {
                sums[0] = sums[0].add(load(cell));
            }
            sums[0].add(sums[1]).add(sums[2].add(sums[3]))
        });
    }
}
