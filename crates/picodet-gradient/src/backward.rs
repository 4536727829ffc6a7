//! Backward: the steps in reverse, each adding to the gradients of what it reads.
#![allow(unsafe_code)]

use picodet_graph::Convolution;

use crate::context::{Context, chance, with_columns};
use crate::forward::{Scratch, Statistics, each_number, rows_per_task, sums, window_rows, windows};
use crate::kernel::cellwise::{Interleave, Kind as CellKind, split};
use crate::kernel::dense::scatter;
use crate::kernel::depthwise::{Lines, lines};
use crate::kernel::matrix::{Matrix, Sums, multiply};
use crate::kernel::normalise::{self, Block, apply_backward};
use crate::kernel::resample::{
    Resample, average_shares, bilinear_shares, blend, max_pool_backward, upsample_backward,
};
use crate::kernel::{Map, Shared};
use crate::parameter_sums::{bias, dense_weights, depthwise_weights, pieces, sum_pieces};
use crate::parameters::Parameters;
use crate::program::{Kind, Place, Program, Step};

/// Which channels of the gradients have been written.
pub(crate) struct Written(Vec<Vec<bool>>);

impl Written {
    pub(crate) fn new(program: &Program) -> Self {
        Self(program.buffers.iter().map(|buffer| vec![false; buffer.shape.channels]).collect())
    }

    /// Says that a place is written now, and returns whether that must add to what is there.
    pub(crate) fn claim(&mut self, ctx: &Context<'_>, place: Place) -> bool {
        let channels = &mut self.0[place.buffer][place.first..][..place.channels];
        let accumulates = channels.contains(&true);
        if accumulates {
            clear(ctx, place, channels);
        }
        channels.fill(true);
        accumulates
    }

    /// Whether a place has any gradient; channels that have none become zeros then.
    pub(crate) fn complete(&mut self, ctx: &Context<'_>, place: Place) -> bool {
        let channels = &mut self.0[place.buffer][place.first..][..place.channels];
        let reached = channels.contains(&true);
        if reached {
            clear(ctx, place, channels);
            channels.fill(true);
        }
        reached
    }
}

/// Zeros where nothing is written.
fn clear(ctx: &Context<'_>, place: Place, written: &[bool]) {
    let mut first = 0;
    for run in written.chunk_by(|a, b| a == b) {
        if !run[0] {
            let part = Place { first: place.first + first, channels: run.len(), ..place };
            let zeros =
                Map { data: ctx.zeros.as_ptr().cast_mut(), stride: 0, channels: run.len(), size: [1, 1, 1] };
            ctx.each(CellKind::Spread, [None, None], Some(zeros), ctx.gradient(part), false);
        }
        first += run.len();
    }
}

/// What the steps of a backward change.
pub(crate) struct State<'a> {
    pub(crate) written: Written,
    pub(crate) parameters: &'a mut Parameters,
    pub(crate) scratch: &'a mut Scratch,
}

/// The reverse of one step, if a gradient has come to it.
pub(crate) fn run(
    ctx: &Context<'_>,
    index: usize,
    step: &Step,
    statistics: &Statistics,
    state: &mut State<'_>,
) {
    if !step.differentiates() || !state.written.complete(ctx, step.output) {
        return;
    }
    let dy = ctx.gradient(step.output);
    let value = |number: usize| ctx.value(step.inputs[number]);
    match step.kind {
        Kind::Import => {}
        Kind::Pointwise => matrix(ctx, step, state, dy, false),
        Kind::Linear => matrix(ctx, step, state, dy, true),
        Kind::Depthwise(op) => {
            if step.learns[0] {
                depthwise_weights(ctx, &op, value(0), dy, state, step.params[0]);
            }
            bias(ctx, step, dy, state);
            if let Some((dx, accumulate)) = target(ctx, step, 0, state) {
                ctx.bands(dx.size, dx.channels, |image, rows| {
                    let args = Lines {
                        source: dy,
                        target: dx,
                        weights: state.parameters.value(step.params[0]).as_ptr(),
                        kernel: op.kernel,
                        stride: op.stride,
                        backward: true,
                        accumulate,
                        zeros: ctx.zeros.as_ptr(),
                        image,
                        rows,
                    };
                    // SAFETY: the layout gives every live map its own memory; rows belong to one task.
                    unsafe { lines(ctx.isa, &args) }
                });
            }
        }
        Kind::Dense(op) => {
            if step.learns[0] {
                dense_weights(ctx, &op, value(0), dy, state, step.params[0]);
            }
            bias(ctx, step, dy, state);
            if let Some((dx, accumulate)) = target(ctx, step, 0, state) {
                dense_input(ctx, &op, dx, dy, state.parameters.value(step.params[0]), accumulate);
            }
        }
        Kind::Norm(_) => norm(ctx, step, statistics, dy, state),
        Kind::Activate(activation) => {
            if let Some((dx, accumulate)) = target(ctx, step, 0, state) {
                let kind = CellKind::ActivateBackward(activation);
                ctx.each(kind, [Some(value(0)), Some(dy)], None, dx, accumulate);
            }
        }
        Kind::Add | Kind::Copy => {
            for number in 0..step.inputs.len() {
                if let Some((dx, accumulate)) = target(ctx, step, number, state) {
                    ctx.each(CellKind::Copy, [Some(dy), None], None, dx, accumulate);
                }
            }
        }
        Kind::Scale => {
            if let Some((dx, accumulate)) = target(ctx, step, 0, state) {
                ctx.each(CellKind::Scale, [Some(dy), None], Some(value(1)), dx, accumulate);
            }
            if let Some((factors, accumulate)) = target(ctx, step, 1, state) {
                let sums = state.scratch.lend(factors.cells() * factors.channels);
                let to = Map { data: sums.as_mut_ptr(), stride: factors.channels, ..factors };
                ctx.sum_images(dy, Some(value(0)), 1.0, to);
                ctx.each(CellKind::Copy, [Some(to), None], None, factors, accumulate);
            }
        }
        Kind::GlobalAveragePool => {
            if let Some((dx, accumulate)) = target(ctx, step, 0, state) {
                let factors = state.scratch.lend(dy.cells() * dy.channels);
                for (image, factors) in factors.chunks_mut(dy.channels).enumerate() {
                    for (channel, factor) in factors.iter_mut().enumerate() {
                        // SAFETY: the gradient of the result is whole, and nobody writes to it.
                        *factor = unsafe { *dy.at(image).add(channel) } / dx.plane() as f32;
                    }
                }
                let factors = Map { data: factors.as_mut_ptr(), stride: dy.channels, ..dy };
                ctx.each(CellKind::Spread, [None, None], Some(factors), dx, accumulate);
            }
        }
        Kind::Interleave => {
            // Where only one side needs its gradient the other gets one that nobody reads.
            let halves = [0, 1].map(|number| (target(ctx, step, number, state), number));
            let scratch_map = |len: usize, state: &mut State<'_>| state.scratch.lend(len).as_mut_ptr();
            let spare = scratch_map(dy.cells() * dy.channels / 2, state);
            let [even, odd] = halves.map(|(half, _)| {
                half.unwrap_or((
                    Map { data: spare, stride: dy.channels / 2, channels: dy.channels / 2, ..dy },
                    false,
                ))
            });
            ctx.blocks(dy.cells(), dy.channels, |from, cells| {
                let args = Interleave {
                    even: even.0.at(from),
                    even_stride: even.0.stride,
                    odd: odd.0.at(from),
                    odd_stride: odd.0.stride,
                    both: dy.at(from),
                    both_stride: dy.stride,
                    channels: dy.channels / 2,
                    cells,
                    accumulate: [even.1, odd.1],
                };
                // SAFETY: the layout gives every live map its own memory; cells belong to one task.
                unsafe { split(ctx.isa, &args) }
            });
        }
        Kind::MaxPool | Kind::Upsample => {
            let Some((dx, accumulate)) = target(ctx, step, 0, state) else { return };
            let saved = ctx.saved(index);
            ctx.bands(dx.size, dx.channels, |image, rows| {
                let saved: Shared = saved;
                let args = Resample { input: dx, output: dy, taps: saved.0.cast(), image, rows, accumulate };
                // SAFETY: as above, for rows of the input's gradient.
                unsafe {
                    match step.kind {
                        Kind::MaxPool => max_pool_backward(ctx.isa, &args),
                        _ => upsample_backward(ctx.isa, &args),
                    }
                }
            });
        }
        Kind::AveragePool | Kind::Bilinear => {
            let Some((dx, accumulate)) = target(ctx, step, 0, state) else { return };
            if !accumulate {
                clear(ctx, step.inputs[0], &vec![false; dx.channels]);
            }
            // Cells of several rows add to one cell: an image is one task.
            ctx.team.each(dx.size[0], |image| {
                let rows = (0, dy.size[1]);
                let args = Resample {
                    input: dx,
                    output: dy,
                    taps: std::ptr::null_mut(),
                    image,
                    rows,
                    accumulate: true,
                };
                // SAFETY: as above, for images.
                unsafe {
                    match step.kind {
                        Kind::AveragePool => blend(&args, average_shares, true),
                        _ => blend(&args, bilinear_shares, true),
                    }
                }
            });
        }
        Kind::Dropout(rate) => {
            let Some((dx, accumulate)) = target(ctx, step, 0, state) else { return };
            let first = ctx.first_cell(&dx);
            ctx.blocks(dx.cells(), dx.channels, |from, cells| {
                each_number(from, cells, dx.channels, |cell, channel| {
                    let keeps = chance(ctx.seed, step.node, (first + cell) * dx.channels + channel) >= rate;
                    // SAFETY: as above.
                    unsafe {
                        let to = dx.at(cell).add(channel);
                        let before = if accumulate { *to } else { 0.0 };
                        *to = before + if keeps { *dy.at(cell).add(channel) } else { 0.0 };
                    }
                });
            });
        }
        Kind::GeometricMean(epsilon) => {
            let (x, y) = (value(0), value(1));
            let (dx, dalign) = (target(ctx, step, 0, state), target(ctx, step, 1, state));
            ctx.blocks(x.cells(), x.channels, |from, cells| {
                for cell in from..from + cells {
                    let mut sum = 0.0;
                    for channel in 0..x.channels {
                        // SAFETY: as above.
                        unsafe {
                            let (a, b) = (*x.at(cell).add(channel), *y.at(cell));
                            let half = 0.5 * *dy.at(cell).add(channel) / (a * b + epsilon).sqrt();
                            sum += half * a;
                            if let Some((dx, accumulate)) = dx {
                                let to = dx.at(cell).add(channel);
                                *to = half * b + if accumulate { *to } else { 0.0 };
                            }
                        }
                    }
                    if let Some((dalign, accumulate)) = dalign {
                        // SAFETY: as above.
                        unsafe {
                            let to = dalign.at(cell);
                            *to = sum + if accumulate { *to } else { 0.0 };
                        }
                    }
                }
            });
        }
    }
}

/// The gradient of an input that something needs, and whether it is added to.
fn target(ctx: &Context<'_>, step: &Step, number: usize, state: &mut State<'_>) -> Option<(Map, bool)> {
    let place = step.inputs[number];
    step.needs[number].then(|| (ctx.gradient(place), state.written.claim(ctx, place)))
}

/// A product with a matrix, `[outputs][inputs]`, or `[inputs][outputs]` if it `is_turned`.
fn matrix(ctx: &Context<'_>, step: &Step, state: &mut State<'_>, dy: Map, is_turned: bool) {
    let rows = dy.cells();
    if step.learns[0] {
        let x = ctx.value(step.inputs[0]);
        let count = pieces(rows);
        let (left, right) = if is_turned { (x, dy) } else { (dy, x) };
        sum_pieces(ctx, count, state, step.params[0], |piece, out| {
            let (from, to) = (rows * piece / count, rows * (piece + 1) / count);
            let extents = [left.channels, right.channels, to - from];
            let out = Matrix::rows(out.0, right.channels);
            let left = Matrix::rows(left.at(from), left.stride).transposed();
            let right = Matrix::rows(right.at(from), right.stride);
            // SAFETY: the maps are whole, and each piece has its own room.
            unsafe { multiply(ctx.isa, extents, out, left, right, Sums::Store) }
        });
    }
    bias(ctx, step, dy, state);
    if let Some((dx, accumulate)) = target(ctx, step, 0, state) {
        let index = step.params[0];
        let weights = if is_turned { state.parameters.turned(index) } else { state.parameters.value(index) };
        let right = Matrix::rows(weights.as_ptr(), dx.channels);
        let per_task = rows_per_task(rows);
        ctx.team.each(rows.div_ceil(per_task), |task| {
            let from = task * per_task;
            let extents = [per_task.min(rows - from), dx.channels, dy.channels];
            let (left, to) = (Matrix::rows(dy.at(from), dy.stride), Matrix::rows(dx.at(from), dx.stride));
            // SAFETY: the layout gives every live map its own memory; rows belong to one task.
            unsafe { multiply(ctx.isa, extents, to, left, right.get(), sums(accumulate)) }
        });
    }
}

fn norm(ctx: &Context<'_>, step: &Step, statistics: &Statistics, dy: Map, state: &mut State<'_>) {
    let Kind::Norm(activation) = step.kind else { return };
    let x = ctx.value(step.inputs[0]);
    let (cells, channels) = (x.cells(), x.channels);
    let dx = target(ctx, step, 0, state);
    let block = Context::block(channels);
    let blocks = cells.div_ceil(block);
    let scratch = state.scratch.lend((2 * blocks + 2) * channels);
    let partial = Shared(scratch.as_mut_ptr());
    let args = |from: usize, cells: usize| Block {
        x: x.at(from),
        x_stride: x.stride,
        y: dy.at(from),
        y_stride: dy.stride,
        dx: std::ptr::null_mut(),
        dx_stride: 0,
        channels,
        cells,
        factor: statistics.factor.as_ptr(),
        addend: statistics.addend.as_ptr(),
        third: statistics.mean.as_ptr(),
        fourth: std::ptr::null(),
        sum: std::ptr::null_mut(),
        product: std::ptr::null_mut(),
        activation,
        accumulate: false,
    };
    ctx.blocks(cells, channels, |from, count| {
        let at = from / block * 2 * channels;
        let args = Block { sum: partial.at(at), product: partial.at(at + channels), ..args(from, count) };
        // SAFETY: the maps are whole; each block has its own room.
        unsafe { normalise::sums(ctx.isa, &args) }
    });
    let (partial, constants) = scratch.split_at_mut(2 * blocks * channels);
    let (p, q) = constants.split_at_mut(channels);
    let mut affine = [vec![0.0f32; channels], vec![0.0f32; channels]];
    let mut totals = vec![0.0f64; 2 * channels];
    for c in 0..channels {
        let total =
            |offset: usize| partial.chunks(2 * channels).map(|part| f64::from(part[offset + c])).sum::<f64>();
        let (sum, product) = (total(0), total(channels));
        (totals[c], totals[channels + c]) = (sum, product);
        affine[0][c] = (product * f64::from(statistics.inverse[c])) as f32;
        affine[1][c] = sum as f32;
    }
    // Parameters get the share's own gradients, which are added up over the group with all others; the input's needs
    // the sums now.
    if let (Some(share), Some(_)) = (ctx.share, dx) {
        (share.sum)(&mut totals);
    }
    for c in 0..channels {
        let (sum, product) = (totals[c], totals[channels + c]);
        let (inverse, factor) = (f64::from(statistics.inverse[c]), f64::from(statistics.factor[c]));
        let slope = -factor * inverse * inverse * product / statistics.cells;
        p[c] = slope as f32;
        q[c] = (-factor * sum / statistics.cells - slope * f64::from(statistics.mean[c])) as f32;
    }
    if let Some((dx, accumulate)) = dx {
        let (p, q) = (Shared(p.as_mut_ptr()), Shared(q.as_mut_ptr()));
        ctx.blocks(cells, channels, |from, count| {
            let args = Block {
                dx: dx.at(from),
                dx_stride: dx.stride,
                third: p.at(0),
                fourth: q.at(0),
                accumulate,
                ..args(from, count)
            };
            // SAFETY: cells belong to one task; `dx` may be `dy`, number for number.
            unsafe { apply_backward(ctx.isa, &args) }
        });
    }
    for (number, values) in affine.iter().enumerate() {
        if step.learns[number] {
            state.parameters.gradient(step.params[number]).copy_from_slice(values);
        }
    }
}

fn dense_input(ctx: &Context<'_>, op: &Convolution, dx: Map, dy: Map, weights: &[f32], accumulate: bool) {
    let [images, height, width] = dy.size;
    let outputs = op.out_channels / op.groups;
    if !accumulate {
        let zeros =
            Map { data: ctx.zeros.as_ptr().cast_mut(), stride: 0, channels: dx.channels, size: [1; 3] };
        ctx.each(CellKind::Spread, [None, None], Some(zeros), dx, false);
    }
    let band = window_rows(op, &dx, &dy);
    // Windows of neighbouring rows meet in one cell: an image is one task.
    ctx.team.each(images, |image| {
        for group in 0..op.groups {
            for from in (0..height).step_by(band) {
                let rows = (from, (from + band).min(height));
                let windows = windows(op, dx, &dy, group, image, rows);
                let (len, cells) = (windows.len(), (rows.1 - rows.0) * width);
                let first = (image * height + from) * width;
                with_columns(cells * len, |columns| {
                    let weights = &weights[group * len * outputs..][..len * outputs];
                    let left = Matrix::rows(dy.at(first).wrapping_add(group * outputs), dy.stride);
                    let right = Matrix::rows(weights.as_ptr(), outputs).transposed();
                    let to = Matrix::rows(columns.as_mut_ptr(), len);
                    // SAFETY: the gradient of the result is whole; an image belongs to one task.
                    unsafe {
                        multiply(ctx.isa, [cells, len, outputs], to, left, right, Sums::Store);
                        scatter(&windows, columns.as_ptr());
                    }
                });
            }
        }
    });
}
