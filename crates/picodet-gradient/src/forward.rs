//! Forward: the steps in order.
#![allow(unsafe_code)]

use picodet_graph::{BATCH_NORM_EPSILON, Convolution};

use crate::context::{Context, TASK, chance, with_columns};
use crate::kernel::cellwise::{Interleave, Kind as CellKind, join};
use crate::kernel::dense::{Windows, gather};
use crate::kernel::depthwise::{Lines, lines};
use crate::kernel::matrix::{Matrix, Sums, multiply};
use crate::kernel::normalise::{Block, Moments, apply, moments};
use crate::kernel::resample::{Resample, average_shares, bilinear_shares, blend, max_pool, upsample};
use crate::kernel::{Map, Shared};
use crate::parameters::Parameters;
use crate::program::{Kind, Step};
use crate::share::whole_moments;

/// What a batch norm measured, by channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    /// Cells that were measured: those of the whole batch.
    pub(crate) cells: f64,
    pub(crate) mean: Vec<f32>,
    /// Biased.
    pub(crate) variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub(crate) inverse: Vec<f32>,
    /// `gamma · inverse`.
    pub(crate) factor: Vec<f32>,
    /// `beta - factor · mean`.
    pub(crate) addend: Vec<f32>,
}

/// Memory between tasks of one step; grows to what the largest step needs.
#[derive(Default)]
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// Room for `len` numbers of any value.
    pub(crate) fn lend(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len {
            self.0.resize(len, 0.0);
        }
        &mut self.0[..len]
    }
}

/// Rows of a matrix that one task multiplies.
pub(crate) fn rows_per_task(rows: usize) -> usize {
    rows.div_ceil(16).next_multiple_of(64).max(256)
}

/// Windows of a band of `rows` of a convolution's result, for one group.
pub(crate) fn windows(
    op: &Convolution,
    x: Map,
    out: &Map,
    group: usize,
    image: usize,
    rows: (usize, usize),
) -> Windows {
    let channels = x.channels / op.groups;
    Windows {
        x: x.channels(group * channels, channels),
        kernel: op.kernel,
        stride: op.stride,
        out_width: out.size[2],
        image,
        rows,
    }
}

/// Rows of the result whose windows are gathered at once.
pub(crate) fn window_rows(op: &Convolution, x: &Map, out: &Map) -> usize {
    (4 * TASK / (op.kernel * op.kernel * x.channels / op.groups * out.size[2]).max(1)).max(1)
}

/// Runs one step.
pub(crate) fn run(
    ctx: &Context<'_>,
    index: usize,
    step: &Step,
    parameters: &Parameters,
    statistics: &mut Statistics,
    scratch: &mut Scratch,
) {
    let input = |number: usize| ctx.value(step.inputs[number]);
    let out = ctx.value(step.output);
    let parameter = |number: usize| parameters.value(step.params[number]);
    let bias = || step.params.get(1).map(|&index| parameters.value(index));
    match step.kind {
        Kind::Import => {}
        Kind::Pointwise => {
            let x = input(0);
            pointwise(ctx, x, parameters.turned(step.params[0]), bias(), out);
        }
        Kind::Linear => {
            let x = input(0);
            pointwise(ctx, x, parameter(0), bias(), out);
        }
        Kind::Depthwise(op) => {
            let weights = parameter(0);
            start_with_bias(ctx, bias(), out);
            let x = input(0);
            ctx.bands(out.size, out.channels, |image, rows| {
                let args = Lines {
                    source: x,
                    target: out,
                    weights: weights.as_ptr(),
                    kernel: op.kernel,
                    stride: op.stride,
                    backward: false,
                    accumulate: op.bias,
                    zeros: ctx.zeros.as_ptr(),
                    image,
                    rows,
                };
                // SAFETY: the layout gives every live map its own memory; rows belong to one task.
                unsafe { lines(ctx.isa, &args) }
            });
        }
        Kind::Dense(op) => dense(ctx, &op, input(0), parameter(0), bias(), out),
        Kind::Norm(activation) => {
            let x = input(0);
            measure(ctx, x, [parameter(0), parameter(1)], statistics, scratch);
            let statistics = &*statistics;
            ctx.blocks(x.cells(), x.channels, |from, cells| {
                let args = Block {
                    x: x.at(from),
                    x_stride: x.stride,
                    y: out.at(from),
                    y_stride: out.stride,
                    dx: std::ptr::null_mut(),
                    dx_stride: 0,
                    channels: x.channels,
                    cells,
                    factor: statistics.factor.as_ptr(),
                    addend: statistics.addend.as_ptr(),
                    third: std::ptr::null(),
                    fourth: std::ptr::null(),
                    sum: std::ptr::null_mut(),
                    product: std::ptr::null_mut(),
                    activation,
                    accumulate: false,
                };
                // SAFETY: as above, for cells.
                unsafe { apply(ctx.isa, &args) }
            });
        }
        Kind::Activate(activation) => {
            ctx.each(CellKind::Activate(activation), [Some(input(0)), None], None, out, false);
        }
        Kind::Add => ctx.each(CellKind::Add, [Some(input(0)), Some(input(1))], None, out, false),
        Kind::Scale => ctx.each(CellKind::Scale, [Some(input(0)), None], Some(input(1)), out, false),
        Kind::Copy => ctx.each(CellKind::Copy, [Some(input(0)), None], None, out, false),
        Kind::GlobalAveragePool => {
            let x = input(0);
            ctx.sum_images(x, None, 1.0 / x.plane() as f32, out);
        }
        Kind::Interleave => {
            let (even, odd) = (input(0), input(1));
            ctx.blocks(out.cells(), out.channels, |from, cells| {
                let args = Interleave {
                    even: even.at(from),
                    even_stride: even.stride,
                    odd: odd.at(from),
                    odd_stride: odd.stride,
                    both: out.at(from),
                    both_stride: out.stride,
                    channels: even.channels,
                    cells,
                    accumulate: [false; 2],
                };
                // SAFETY: as above.
                unsafe { join(ctx.isa, &args) }
            });
        }
        Kind::MaxPool | Kind::Upsample | Kind::AveragePool | Kind::Bilinear => {
            let (x, saved) = (input(0), ctx.saved(index));
            ctx.bands(out.size, out.channels, |image, rows| {
                let saved: Shared = saved;
                let args = Resample {
                    input: x,
                    output: out,
                    taps: saved.0.cast(),
                    image,
                    rows,
                    accumulate: step.differentiates(),
                };
                // SAFETY: as above; the layout has a byte for every number of the result, and where nobody
                // differentiates it has none, and the taps are not written.
                unsafe {
                    match step.kind {
                        Kind::MaxPool => max_pool(ctx.isa, &args),
                        Kind::Upsample => upsample(ctx.isa, &args),
                        Kind::AveragePool => blend(&args, average_shares, false),
                        _ => blend(&args, bilinear_shares, false),
                    }
                }
            });
        }
        Kind::Dropout(rate) => {
            let x = input(0);
            let first = ctx.first_cell(&x);
            ctx.blocks(x.cells(), x.channels, |from, cells| {
                each_number(from, cells, x.channels, |cell, channel| {
                    let keeps = chance(ctx.seed, step.node, (first + cell) * x.channels + channel) >= rate;
                    // SAFETY: as above.
                    unsafe { *out.at(cell).add(channel) = if keeps { *x.at(cell).add(channel) } else { 0.0 } }
                });
            });
        }
        Kind::GeometricMean(epsilon) => {
            let (x, y) = (input(0), input(1));
            ctx.blocks(x.cells(), x.channels, |from, cells| {
                each_number(from, cells, x.channels, |cell, channel| {
                    // SAFETY: as above.
                    unsafe {
                        *out.at(cell).add(channel) =
                            (*x.at(cell).add(channel) * *y.at(cell) + epsilon).sqrt();
                    }
                });
            });
        }
    }
}

/// Calls `visit(cell, channel)` for the numbers of some cells.
pub(crate) fn each_number(from: usize, cells: usize, channels: usize, visit: impl Fn(usize, usize)) {
    (from..from + cells).for_each(|cell| (0..channels).for_each(|channel| visit(cell, channel)));
}

/// Fills the result with the bias, if there is one.
fn start_with_bias(ctx: &Context<'_>, bias: Option<&[f32]>, out: Map) {
    let Some(bias) = bias else { return };
    // One image whose factors are the bias: a stride of 0 serves every image.
    let factors = Map { data: bias.as_ptr().cast_mut(), stride: 0, channels: bias.len(), size: [1, 1, 1] };
    ctx.each(CellKind::Spread, [None, None], Some(factors), out, false);
}

/// Every cell times a matrix `[inputs][outputs]`.
fn pointwise(ctx: &Context<'_>, x: Map, weights: &[f32], bias: Option<&[f32]>, out: Map) {
    start_with_bias(ctx, bias, out);
    let right = Matrix::rows(weights.as_ptr(), out.channels);
    let (rows, per_task) = (x.cells(), rows_per_task(x.cells()));
    ctx.team.each(rows.div_ceil(per_task), |task| {
        let from = task * per_task;
        let count = per_task.min(rows - from);
        let (left, to) = (Matrix::rows(x.at(from), x.stride), Matrix::rows(out.at(from), out.stride));
        // SAFETY: the layout gives every live map its own memory; rows belong to one task.
        unsafe {
            multiply(ctx.isa, [count, out.channels, x.channels], to, left, right.get(), sums(bias.is_some()))
        }
    });
}

/// What a product does with its sums.
pub(crate) fn sums(accumulate: bool) -> Sums {
    if accumulate { Sums::Add } else { Sums::Store }
}

fn dense(ctx: &Context<'_>, op: &Convolution, x: Map, weights: &[f32], bias: Option<&[f32]>, out: Map) {
    start_with_bias(ctx, bias, out);
    let outputs = op.out_channels / op.groups;
    let band = window_rows(op, &x, &out);
    let bands = out.size[1].div_ceil(band);
    ctx.team.each(out.size[0] * bands, |task| {
        let (image, from) = (task / bands, task % bands * band);
        let rows = (from, (from + band).min(out.size[1]));
        let count = (rows.1 - rows.0) * out.size[2];
        let first = (image * out.size[1] + from) * out.size[2];
        for group in 0..op.groups {
            let windows = windows(op, x, &out, group, image, rows);
            let len = windows.len();
            with_columns(count * len, |columns| {
                let weights = &weights[group * len * outputs..][..len * outputs];
                let to = Matrix::rows(out.at(first).wrapping_add(group * outputs), out.stride);
                // SAFETY: the layout gives every live map its own memory; rows belong to one task.
                unsafe {
                    gather(&windows, columns.as_mut_ptr());
                    let left = Matrix::rows(columns.as_ptr(), len);
                    let right = Matrix::rows(weights.as_ptr(), outputs);
                    multiply(ctx.isa, [count, outputs, len], to, left, right, sums(bias.is_some()));
                }
            });
        }
    });
}

/// Mean and biased variance of each channel, and what follows from them: blocks alone, then joined in f64,
/// then over all that work on the batch.
fn measure(
    ctx: &Context<'_>,
    x: Map,
    [gamma, beta]: [&[f32]; 2],
    statistics: &mut Statistics,
    scratch: &mut Scratch,
) {
    let (cells, channels) = (x.cells(), x.channels);
    let block = Context::block(channels);
    let blocks = cells.div_ceil(block);
    let partial = Shared(scratch.lend(2 * blocks * channels).as_mut_ptr());
    ctx.blocks(cells, channels, |from, count| {
        let at = from / block * 2 * channels;
        let args = Moments {
            x: x.at(from),
            stride: x.stride,
            channels,
            cells: count,
            mean: partial.at(at),
            squares: partial.at(at + channels),
        };
        // SAFETY: the layout gives every live map its own memory; each block has its own room.
        unsafe { moments(ctx.isa, &args) }
    });
    let partial = scratch.lend(2 * blocks * channels);
    let share = |index: usize| block.min(cells - index * block) as f64;
    for list in [
        &mut statistics.mean,
        &mut statistics.variance,
        &mut statistics.inverse,
        &mut statistics.factor,
        &mut statistics.addend,
    ] {
        list.resize(channels, 0.0);
    }
    let mut whole = [vec![0.0f64; channels], vec![0.0f64; channels]];
    let [means, variances] = &mut whole;
    for c in 0..channels {
        let parts = || partial.chunks(2 * channels).map(|part| f64::from(part[c])).enumerate();
        let mean = parts().map(|(index, mean)| mean * share(index)).sum::<f64>() / cells as f64;
        let between = parts().map(|(index, part)| share(index) * (part - mean) * (part - mean)).sum::<f64>();
        let within = partial.chunks(2 * channels).map(|part| f64::from(part[channels + c])).sum::<f64>();
        means[c] = mean;
        variances[c] = (between + within) / cells as f64;
    }
    statistics.cells = match ctx.share {
        Some(share) => whole_moments(share, cells, means, variances),
        None => cells as f64,
    };
    for c in 0..channels {
        let (mean, variance) = (means[c], variances[c]);
        let inverse = 1.0 / (variance + BATCH_NORM_EPSILON).sqrt();
        let factor = f64::from(gamma[c]) * inverse;
        statistics.mean[c] = mean as f32;
        statistics.variance[c] = variance as f32;
        statistics.inverse[c] = inverse as f32;
        statistics.factor[c] = factor as f32;
        statistics.addend[c] = (f64::from(beta[c]) - factor * mean) as f32;
    }
}
