//! Runs the steps of a schedule, one worker's rows of each.
#![allow(unsafe_code)]

use std::ops::Range;

use super::kernel::depthwise::row_pairs::{RowPairs, row_pairs};
use super::kernel::depthwise::{Depthwise, depthwise};
use super::kernel::gemm::{Gemm, gemm};
use super::kernel::gemm_bf16::{GemmBf16, gemm_bf16, scratch_len};
use super::kernel::pixelwise::{Kind, Pixelwise, SumCells, pixelwise, sum_cells};
use super::kernel::round::{Round, round};
use super::kernel::stem::{Stem, stem};
use super::kernel::taps::{SumTaps, sum_taps};
use super::kernel::{Run, transpose};
use super::schedule::{BufferId, DenseKind, DenseSource, Elementwise, Operation, Schedule, Step, Weights};

/// The memory of one inference.
#[derive(Clone)]
pub(crate) struct Memory {
    /// `Schedule::arena` numbers.
    pub(crate) arena: *mut f32,
    /// `[3, h, w]`.
    pub(crate) image: *const f32,
    /// One `[c, h, w]` an output.
    pub(crate) outputs: Vec<*mut f32>,
}

// SAFETY: workers share the memory under the rule of `run_step`: within a step they write to different rows.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// The rows of `height` that `worker` of `workers` makes.
fn band(height: usize, worker: usize, workers: usize) -> Range<usize> {
    height * worker / workers..height * (worker + 1) / workers
}

/// Runs one step's rows of one worker.
///
/// # Safety
/// `memory` is what its fields say for `schedule`, the processor has `schedule.isa`, each `worker <
/// schedule.workers` (whoever runs its band) is run once a step, and no step begins before the last is done. The
/// planner has made sure that every run of columns lies inside its buffer's stride and every size inside its cells.
pub(crate) unsafe fn run_step(schedule: &Schedule, step: &Step, memory: &Memory, worker: usize) {
    let all = band(step.out_size.0, worker, schedule.workers);
    if let Operation::Separable { depthwise, pointwise, rows } = &step.operation {
        let between = Some(worker * rows * step.out_size.1);
        // From an even row on: depthwise convolutions make two at a time.
        for first in (all.start / 2 * 2..all.end).step_by(*rows) {
            let part = first.max(all.start)..(first + rows).min(all.end);
            // SAFETY: the caller's promise, handed on; the buffer between the two has `rows` rows for this worker.
            unsafe {
                run_rows(schedule, depthwise, memory, worker, part.clone(), between);
                run_rows(schedule, pointwise, memory, worker, part, between);
            }
        }
        return;
    }
    // SAFETY: as above.
    unsafe { run_rows(schedule, step, memory, worker, all, None) }
}

/// Runs rows of one step. With `between`, the result of a depthwise and the source of a pointwise step have only these
/// rows, from this cell of their buffer on.
///
/// # Safety
/// As [`run_step`].
unsafe fn run_rows(
    schedule: &Schedule,
    step: &Step,
    memory: &Memory,
    worker: usize,
    rows: Range<usize>,
    between: Option<usize>,
) {
    let (isa, workers) = (schedule.isa, schedule.workers);
    let at = |buffer: BufferId| memory.arena.wrapping_add(schedule.buffers[buffer].offset);
    let stride = |buffer: BufferId| schedule.buffers[buffer].stride;
    // In a buffer's own numbers, of 32 or 16 bits.
    let numbers = |buffer: BufferId| stride(buffer) << u32::from(schedule.buffers[buffer].narrow);
    let column_of = |buffer: BufferId, cell: *mut f32, column: usize| {
        if schedule.buffers[buffer].narrow {
            cell.cast::<u16>().wrapping_add(column).cast()
        } else {
            cell.wrapping_add(column)
        }
    };
    let (height, width) = step.size;
    let out_width = step.out_size.1;
    if rows.is_empty() {
        return;
    }
    let packed = |weights: &'_ Weights| match weights {
        Weights::Constant(values) => (values.as_ptr(), values.len()),
        Weights::Scaled(buffer, len) => (at(*buffer).cast_const(), *len),
        // Read by the step itself.
        Weights::Pairs { .. } | Weights::RowPairs(_) => (std::ptr::null(), 0),
    };
    // SAFETY: the caller's promise covers every pointer made here: buffers lie inside the arena, cells inside buffers.
    unsafe {
        match &step.operation {
            Operation::Import { to, columns } => {
                let first = rows.start * width;
                let (source, out) = (memory.image.add(first), at(*to).add(first * stride(*to)));
                transpose::from_planes(source, height * width, columns, rows.len() * width, out, stride(*to));
            }
            Operation::Pointwise { from, runs, weights, bias, columns, residual, act, to, column } => {
                let first = rows.start * width;
                let (pointer, len) = packed(weights);
                let (residual, residual_stride) =
                    residual.map_or((std::ptr::null(), 0), |(buffer, column)| {
                        (at(buffer).add(first * stride(buffer) + column).cast_const(), stride(buffer))
                    });
                let b = if pointer.is_null() { &[] } else { std::slice::from_raw_parts(pointer, len) };
                let product = Gemm {
                    a: at(*from).add(between.unwrap_or(first) * stride(*from)),
                    a_stride: numbers(*from),
                    runs,
                    rows: rows.len() * width,
                    b,
                    columns: *columns,
                    bias,
                    out: column_of(*to, at(*to).add(first * stride(*to)), *column),
                    out_stride: numbers(*to),
                    residual,
                    residual_stride,
                    act: *act,
                };
                let Weights::Pairs { packed: pairs, factors, scratch } = weights else {
                    gemm(isa, &product);
                    return;
                };
                let k = runs.iter().map(|run| run.1).sum();
                let scratch = at(*scratch).add(worker * scratch_len(k));
                let factors = factors.map_or(std::ptr::null(), |buffer| at(buffer).cast_const());
                let [narrow, narrow_out] = [*from, *to].map(|buffer| schedule.buffers[buffer].narrow);
                gemm_bf16(isa, &GemmBf16 { product, pairs, factors, narrow, narrow_out, scratch });
            }
            Operation::Dense {
                kind,
                source,
                channels,
                kernel,
                stride: step_size,
                runs,
                weights,
                bias,
                columns,
                residual,
                act,
                pool,
                to,
                column,
                scratch,
            } => {
                let full = (height.div_ceil(*step_size), width.div_ceil(*step_size));
                let padded = (kernel * (width + kernel - 1) * channels).next_multiple_of(16);
                // Rows of the strip that the pool reads.
                let strip_stride = columns.next_multiple_of(16);
                let strip_row = full.1 * strip_stride;
                let scratch = at(*scratch).add(worker * (stride(*scratch) / workers));
                let strip = scratch.wrapping_add(padded);
                let planar = matches!(source, DenseSource::Image);
                let a_stride = if planar { *step_size } else { step_size * channels };
                let make_row = |y: usize, out: *mut f32, out_stride: usize| {
                    if let DenseKind::Stem { half } = *kind {
                        stem(
                            isa,
                            &Stem {
                                image: memory.image,
                                size: (height, width),
                                row: y,
                                half,
                                weights,
                                // A strip has room for whole vectors, as the weights have.
                                columns: if *pool { bias.len() } else { *columns },
                                bias,
                                out,
                                out_stride,
                                act: *act,
                            },
                        );
                        return;
                    }
                    let first = (y * step_size) as isize - (kernel / 2) as isize;
                    match source {
                        DenseSource::Image => {
                            pad_planar(memory.image, *channels, (height, width), *kernel, first, scratch);
                        }
                        DenseSource::Buffer(from, copied) => {
                            let source = (at(*from).cast_const(), stride(*from));
                            pad_cells(source, copied, *channels, (height, width), *kernel, first, scratch);
                        }
                    }
                    let (residual, residual_stride) =
                        residual.map_or((std::ptr::null(), 0), |(buffer, column)| {
                            let cell = at(buffer).add(y * full.1 * stride(buffer));
                            (cell.add(column).cast_const(), stride(buffer))
                        });
                    gemm(
                        isa,
                        &Gemm {
                            a: scratch,
                            a_stride,
                            runs,
                            rows: full.1,
                            b: weights,
                            columns: *columns,
                            bias,
                            out,
                            out_stride,
                            residual,
                            residual_stride,
                            act: *act,
                        },
                    );
                };
                // A row of the result goes to the map or, where that has 16 bits, to the end of the scratch memory first.
                let unrounded = strip.wrapping_add(if *pool { 3 * strip_row } else { 0 });
                let narrow = schedule.buffers[*to].narrow;
                let put = |y: usize, make: &dyn Fn(*mut f32, usize)| {
                    let cell = column_of(*to, at(*to).add(y * out_width * stride(*to)), *column);
                    if !narrow {
                        make(cell, stride(*to));
                        return;
                    }
                    make(unrounded, strip_stride);
                    let (cells, columns) = (out_width, *columns);
                    let (source_stride, out_stride) = (strip_stride, numbers(*to));
                    round(
                        isa,
                        &Round {
                            source: unrounded,
                            source_stride,
                            cells,
                            columns,
                            out: cell.cast(),
                            out_stride,
                        },
                    );
                };
                if !pool {
                    rows.for_each(|y| put(y, &|out, out_stride| make_row(y, out, out_stride)));
                    return;
                }
                // Three rows at a time stay in the cache, each where the one three above it was: their order does not
                // matter. In place of a row outside there is its neighbour once more.
                let copied = [Run { source: 0, other: 0, destination: 0, len: *columns }];
                for (done, y) in rows.enumerate() {
                    for below in if done == 0 { 0 } else { 1 }..3 {
                        let row = (2 * y + below).saturating_sub(1).min(full.0 - 1);
                        make_row(row, strip.add((2 * y + below) % 3 * strip_row), strip_stride);
                    }
                    put(y, &|out, out_stride| {
                        pixelwise(
                            isa,
                            &Pixelwise {
                                kind: Kind::MaxPool,
                                // Row 1 of a pool reads rows 1 to 3.
                                source: strip.wrapping_sub(strip_row),
                                source_stride: strip_stride,
                                size: (4, full.1),
                                other: std::ptr::null(),
                                other_stride: 0,
                                out: out.wrapping_sub(out_width * out_stride),
                                out_stride,
                                out_width,
                                rows: 1..2,
                                runs: &copied,
                            },
                        );
                    });
                }
            }
            Operation::Depthwise {
                from,
                runs,
                kernel,
                stride: step_size,
                weights,
                bias,
                act,
                to,
                column,
            } => {
                let (pointer, len) = packed(weights);
                let first = rows.start * out_width * stride(*to);
                let out = match between {
                    Some(cell) => at(*to).add(cell * stride(*to)).wrapping_sub(first),
                    None => at(*to),
                };
                let taps = if pointer.is_null() { &[] } else { std::slice::from_raw_parts(pointer, len) };
                let convolution = Depthwise {
                    source: at(*from),
                    source_stride: numbers(*from),
                    size: step.size,
                    out: column_of(*to, out, *column),
                    out_stride: numbers(*to),
                    out_width,
                    rows,
                    zeros: memory.arena.add(schedule.zeros),
                    kernel: *kernel,
                    stride: *step_size,
                    runs,
                    weights: taps,
                    bias,
                    act: *act,
                };
                let Weights::RowPairs(pairs) = weights else {
                    depthwise(isa, &convolution);
                    return;
                };
                let [narrow, narrow_out] = [*from, *to].map(|buffer| schedule.buffers[buffer].narrow);
                row_pairs(isa, &RowPairs { convolution, pairs, narrow, narrow_out });
            }
            // Its parts come here one by one.
            Operation::Separable { .. } => {}
            Operation::ScaleWeights { factors, weights, groups, to } => {
                let (factors, out) = (at(*factors), at(*to));
                let mut done = 0;
                for &(column, len) in groups {
                    let factor = *factors.add(column);
                    for (i, weight) in weights[done..done + len].iter().enumerate() {
                        *out.add(done + i) = weight * factor;
                    }
                    done += len;
                }
            }
            Operation::Gather { from, columns, to } => {
                for (i, &column) in columns.iter().enumerate() {
                    *at(*to).add(i) = *at(*from).add(column);
                }
            }
            Operation::Elementwise { kind, from, other, to, runs } => {
                let kind = match kind {
                    Elementwise::Activate(act) => Kind::Activate(*act),
                    Elementwise::Add(act) => Kind::Add(*act),
                    Elementwise::Affine(factor, addend) => {
                        Kind::Affine { factor: factor.as_ptr(), addend: addend.as_ptr() }
                    }
                    Elementwise::Scale => {
                        let factor = other.map_or(std::ptr::null(), |other| at(other).cast_const());
                        Kind::Affine { factor, addend: std::ptr::null() }
                    }
                    Elementwise::GeometricMean { column, epsilon } => {
                        Kind::GeometricMean { column: *column, epsilon: *epsilon }
                    }
                    Elementwise::MaxPool => Kind::MaxPool,
                    Elementwise::Upsample => Kind::Upsample,
                    Elementwise::Blend { rows, columns } => Kind::Blend { rows, columns },
                };
                pixelwise(
                    isa,
                    &Pixelwise {
                        kind,
                        source: at(*from),
                        source_stride: stride(*from),
                        size: step.size,
                        other: other.map_or(std::ptr::null(), |other| at(other).cast_const()),
                        other_stride: other.map_or(0, stride),
                        out: at(*to),
                        out_stride: stride(*to),
                        out_width,
                        rows,
                        runs,
                    },
                );
            }
            Operation::SumTaps { from, kernel, bias, act, to, column } => {
                sum_taps(
                    isa,
                    &SumTaps {
                        source: at(*from),
                        source_stride: stride(*from),
                        size: step.size,
                        kernel: *kernel,
                        bias: *bias,
                        out: at(*to).add(*column),
                        out_stride: stride(*to),
                        rows,
                        act: *act,
                    },
                );
            }
            Operation::SumCells { from, runs, to } => {
                let first = rows.start * width;
                let channels: usize = runs.iter().map(|run| run.len).sum();
                sum_cells(
                    isa,
                    &SumCells {
                        source: at(*from).add(first * stride(*from)),
                        source_stride: numbers(*from),
                        narrow: schedule.buffers[*from].narrow,
                        cells: rows.len() * width,
                        runs,
                        out: at(*to).add(worker * channels.next_multiple_of(16)),
                    },
                );
            }
            Operation::Mean { sums, channels, cells, to, column } => {
                let (sums, out) = (at(*sums), at(*to).add(*column));
                for c in 0..*channels {
                    // Workers without rows have written no sums.
                    let sum: f32 = (0..workers)
                        .filter(|&worker| !band(height, worker, workers).is_empty())
                        .map(|worker| *sums.add(worker * channels.next_multiple_of(16) + c))
                        .sum();
                    *out.add(c) = sum / *cells as f32;
                }
            }
            Operation::Export { from, columns, output, act } => {
                let first = rows.start * width;
                let (cells, plane) = (rows.len() * width, height * width);
                let out = memory.outputs[*output].add(first);
                transpose::to_planes(
                    isa,
                    &transpose::ToPlanes {
                        source: at(*from).add(first * stride(*from)),
                        stride: stride(*from),
                        columns,
                        cells,
                        out,
                        plane,
                        act: *act,
                    },
                );
            }
        }
    }
}

/// `[channels][kernel][width + kernel - 1]` from rows `first..first + kernel` of an image, zeros beside it.
///
/// # Safety
/// `image` is `[channels, height, width]`; `out` is valid for the result.
unsafe fn pad_planar(
    image: *const f32,
    channels: usize,
    (height, width): (usize, usize),
    kernel: usize,
    first: isize,
    out: *mut f32,
) {
    let (pad, padded) = (kernel / 2, width + kernel - 1);
    for c in 0..channels {
        for ky in 0..kernel {
            let y = first + ky as isize;
            // SAFETY: the caller's promise; rows outside the image are not read.
            unsafe {
                let row = std::slice::from_raw_parts_mut(out.add((c * kernel + ky) * padded), padded);
                if y < 0 || y >= height as isize {
                    row.fill(0.0);
                } else {
                    row[..pad].fill(0.0);
                    row[pad + width..].fill(0.0);
                    let from =
                        std::slice::from_raw_parts(image.add((c * height + y as usize) * width), width);
                    row[pad..pad + width].copy_from_slice(from);
                }
            }
        }
    }
}

/// `[kernel][width + kernel - 1][channels]` from rows `first..first + kernel` of a map, zeros beside it.
///
/// # Safety
/// `source` is the first cell of `height · width` and the numbers between cells; `runs` lie inside cells; `out` is
/// valid for the result.
unsafe fn pad_cells(
    source: (*const f32, usize),
    runs: &[Run],
    channels: usize,
    (height, width): (usize, usize),
    kernel: usize,
    first: isize,
    out: *mut f32,
) {
    let (pad, padded) = (kernel / 2, width + kernel - 1);
    for ky in 0..kernel {
        let y = first + ky as isize;
        // SAFETY: the caller's promise; rows outside the map are not read.
        unsafe {
            let row = out.add(ky * padded * channels);
            if y < 0 || y >= height as isize {
                std::slice::from_raw_parts_mut(row, padded * channels).fill(0.0);
                continue;
            }
            std::slice::from_raw_parts_mut(row, pad * channels).fill(0.0);
            std::slice::from_raw_parts_mut(
                row.add((pad + width) * channels),
                (padded - pad - width) * channels,
            )
            .fill(0.0);
            for x in 0..width {
                let cell = source.0.add((y as usize * width + x) * source.1);
                let to = row.add((pad + x) * channels);
                for run in runs {
                    std::ptr::copy_nonoverlapping(cell.add(run.source), to.add(run.destination), run.len);
                }
            }
        }
    }
}
