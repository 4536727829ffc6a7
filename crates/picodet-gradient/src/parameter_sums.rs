//! Gradients of parameters: sums over all cells of a batch, cut into pieces that do not depend on the number of threads and
//! added up in one order.
#![allow(unsafe_code)]

use picodet_graph::Convolution;

use crate::backward::State;
use crate::context::{Context, with_columns};
use crate::forward::{sums, window_rows, windows};
use crate::kernel::cellwise::{SumCells, sum_cells};
use crate::kernel::dense::gather;
use crate::kernel::depthwise::{WeightGradient, weight_gradient};
use crate::kernel::matrix::{Matrix, multiply};
use crate::kernel::{Map, Shared};
use crate::program::Step;

/// Pieces that a sum over `rows` is cut into.
pub(crate) fn pieces(rows: usize) -> usize {
    (rows / 1024).clamp(1, 8)
}

/// Adds the pieces `from[1..]`, each of the length of `out`, to `out`, in order.
fn add_pieces(out: &mut [f32], from: &[f32]) {
    for piece in from.chunks_exact(out.len()) {
        out.iter_mut().zip(piece).for_each(|(out, value)| *out += value);
    }
}

/// Runs `task(piece, room)` for pieces that each write a whole sum, and adds the sums up.
pub(crate) fn sum_pieces(
    ctx: &Context<'_>,
    count: usize,
    state: &mut State<'_>,
    parameter: usize,
    task: impl Fn(usize, Shared) + Sync + Send,
) {
    let out = state.parameters.gradient(parameter);
    let len = out.len();
    let rest = state.scratch.lend((count - 1) * len);
    let (first, others) = (Shared(out.as_mut_ptr()), Shared(rest.as_mut_ptr()));
    ctx.team.each(count, |piece| {
        task(piece, if piece == 0 { first } else { Shared(others.at((piece - 1) * len)) });
    });
    add_pieces(out, rest);
}

/// The gradient of the bias, if there is one and it is asked for.
pub(crate) fn bias(ctx: &Context<'_>, step: &Step, dy: Map, state: &mut State<'_>) {
    if step.learns.get(1) != Some(&true) {
        return;
    }
    let cells = dy.cells();
    let count = pieces(cells);
    sum_pieces(ctx, count, state, step.params[1], |piece, out| {
        let (from, to) = (cells * piece / count, cells * (piece + 1) / count);
        let args = SumCells {
            a: dy.at(from),
            a_stride: dy.stride,
            b: std::ptr::null(),
            b_stride: 0,
            channels: dy.channels,
            cells: to - from,
            scale: 1.0,
            out: out.0,
        };
        // SAFETY: the gradient is whole, and each piece has its own room.
        unsafe { sum_cells(ctx.isa, &args) }
    });
}

/// The gradient of the weights of a depthwise convolution.
pub(crate) fn depthwise_weights(
    ctx: &Context<'_>,
    op: &Convolution,
    x: Map,
    dy: Map,
    state: &mut State<'_>,
    parameter: usize,
) {
    let [images, height, width] = dy.size;
    let count = pieces(dy.cells()).min(images);
    let len = op.kernel * op.kernel * dy.channels;
    let band = Context::band(width, dy.channels);
    sum_pieces(ctx, count, state, parameter, |piece, out| {
        // SAFETY: each piece has its own room, as long as the weights.
        unsafe { std::ptr::write_bytes(out.0, 0, len) };
        for image in images * piece / count..images * (piece + 1) / count {
            for from in (0..height).step_by(band) {
                let args = WeightGradient {
                    x,
                    dy,
                    kernel: op.kernel,
                    stride: op.stride,
                    image,
                    rows: (from, (from + band).min(height)),
                    out: out.0,
                };
                // SAFETY: as above; the maps are whole.
                unsafe { weight_gradient(ctx.isa, &args) }
            }
        }
    });
}

/// The gradient of the weights of any other convolution with windows.
pub(crate) fn dense_weights(
    ctx: &Context<'_>,
    op: &Convolution,
    x: Map,
    dy: Map,
    state: &mut State<'_>,
    parameter: usize,
) {
    let [images, height, width] = dy.size;
    let outputs = op.out_channels / op.groups;
    let band = window_rows(op, &x, &dy);
    let count = pieces(dy.cells()).min(images);
    sum_pieces(ctx, count, state, parameter, |piece, out| {
        for group in 0..op.groups {
            let mut accumulate = false;
            for image in images * piece / count..images * (piece + 1) / count {
                for from in (0..height).step_by(band) {
                    let rows = (from, (from + band).min(height));
                    let windows = windows(op, x, &dy, group, image, rows);
                    let (len, cells) = (windows.len(), (rows.1 - rows.0) * width);
                    let first = (image * height + from) * width;
                    with_columns(cells * len, |columns| {
                        let right = dy.at(first).wrapping_add(group * outputs);
                        let to = Matrix::rows(out.at(group * len * outputs), outputs);
                        // SAFETY: the maps are whole; each piece has its own room.
                        unsafe {
                            gather(&windows, columns.as_mut_ptr());
                            let left = Matrix::rows(columns.as_ptr(), len).transposed();
                            let right = Matrix::rows(right, dy.stride);
                            multiply(ctx.isa, [len, outputs, cells], to, left, right, sums(accumulate));
                        }
                    });
                    accumulate = true;
                }
            }
        }
    });
}
