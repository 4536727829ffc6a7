//! Runs the steps of a schedule, one worker's rows of each.
#![allow(unsafe_code)]

mod dense;

use std::ops::Range;

use picodet_graph::DType;

use super::schedule::{BufferId, Elementwise, Operation, Schedule, Step, Weights};
use picodet_kernel::col2im::{Col2Im, col2im};
use picodet_kernel::depthwise::bf16::{DepthwiseBf16, depthwise_bf16};
use picodet_kernel::depthwise::{Depthwise, depthwise};
use picodet_kernel::elementwise::{self, Kind, elementwise};
use picodet_kernel::gemm::{Activate, Gemm, GemmBf16, gemm, gemm_bf16, scratch_len};
use picodet_kernel::pool::{SumPixels, sum_pixels};
use picodet_kernel::transpose;

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

/// Where the buffers of a schedule lie.
struct Maps<'a> {
    schedule: &'a Schedule,
    memory: &'a Memory,
}

impl Maps<'_> {
    /// The first cell.
    fn at(&self, buffer: BufferId) -> *mut f32 {
        self.memory.arena.wrapping_add(self.schedule.buffers[buffer].offset)
    }

    /// Words of the arena from one pixel to the next.
    fn words(&self, buffer: BufferId) -> usize {
        self.schedule.buffers[buffer].words_per_pixel()
    }

    /// Elements of the buffer's type from one pixel to the next.
    fn stride(&self, buffer: BufferId) -> usize {
        self.schedule.buffers[buffer].stride
    }

    fn dtype(&self, buffer: BufferId) -> DType {
        self.schedule.buffers[buffer].dtype
    }

    /// A column, in elements of the buffer's type, of a pixel.
    fn column(&self, buffer: BufferId, pixel: *mut f32, column: usize) -> *mut f32 {
        pixel.wrapping_byte_add(column * self.dtype(buffer).size())
    }
}

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
    let maps = Maps { schedule, memory };
    let at = |buffer: BufferId| maps.at(buffer);
    let words = |buffer: BufferId| maps.words(buffer);
    let stride = |buffer: BufferId| maps.stride(buffer);
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
                let (source, out) = (memory.image.add(first), at(*to).add(first * words(*to)));
                transpose::from_planes(source, height * width, columns, rows.len() * width, out, words(*to));
            }
            Operation::Pointwise { from, runs, weights, bias, columns, residual, act, to, column } => {
                let first = rows.start * width;
                let (pointer, len) = packed(weights);
                let (residual, residual_stride) =
                    residual.map_or((std::ptr::null(), 0), |(buffer, column)| {
                        (at(buffer).add(first * words(buffer) + column).cast_const(), words(buffer))
                    });
                let b = if pointer.is_null() { &[] } else { std::slice::from_raw_parts(pointer, len) };
                let a = at(*from).add(between.unwrap_or(first) * words(*from)).cast_const();
                let (a_stride, rows) = (stride(*from), rows.len() * width);
                let epilogue = Activate {
                    columns: *columns,
                    bias,
                    residual,
                    residual_stride,
                    act: *act,
                    out: maps.column(*to, at(*to).add(first * words(*to)), *column),
                    out_stride: stride(*to),
                    out_dtype: maps.dtype(*to),
                };
                let Weights::Pairs { packed: pairs, factors, scratch } = weights else {
                    gemm(isa, &Gemm { a, a_stride, runs, rows, b, epilogue });
                    return;
                };
                let k = runs.iter().map(|run| run.1).sum();
                let scratch = at(*scratch).add(worker * scratch_len(k));
                let factors = factors.map_or(std::ptr::null(), |buffer| at(buffer).cast_const());
                let a_dtype = maps.dtype(*from);
                let Some(bf16) = isa.bf16() else { return };
                let b = pairs;
                gemm_bf16(
                    bf16,
                    &GemmBf16 { a, a_stride, a_dtype, runs, rows, b, factors, epilogue, scratch },
                );
            }
            Operation::Dense { .. } => dense::dense(&maps, step, worker, rows),
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
                let first = rows.start * out_width * words(*to);
                let out = match between {
                    Some(cell) => at(*to).add(cell * words(*to)).wrapping_sub(first),
                    None => at(*to),
                };
                let taps = if pointer.is_null() { &[] } else { std::slice::from_raw_parts(pointer, len) };
                let convolution = Depthwise {
                    source: at(*from),
                    source_stride: stride(*from),
                    size: step.size,
                    out: maps.column(*to, out, *column),
                    out_stride: stride(*to),
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
                let [source_dtype, out_dtype] = [*from, *to].map(|buffer| maps.dtype(buffer));
                let Some(bf16) = isa.bf16() else { return };
                let args = DepthwiseBf16 { convolution, weights: pairs, source_dtype, out_dtype };
                depthwise_bf16(bf16, &args);
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
                elementwise(
                    isa,
                    &elementwise::Elementwise {
                        kind,
                        source: at(*from),
                        source_stride: words(*from),
                        size: step.size,
                        other: other.map_or(std::ptr::null(), |other| at(other).cast_const()),
                        other_stride: other.map_or(0, words),
                        out: at(*to),
                        out_stride: words(*to),
                        out_width,
                        rows,
                        runs,
                    },
                );
            }
            Operation::SumTaps { from, kernel, bias, act, to, column } => {
                col2im(
                    isa,
                    &Col2Im {
                        source: at(*from),
                        source_stride: words(*from),
                        size: step.size,
                        kernel: *kernel,
                        bias: *bias,
                        out: at(*to).add(*column),
                        out_stride: words(*to),
                        rows,
                        act: *act,
                    },
                );
            }
            Operation::SumCells { from, runs, to } => {
                let first = rows.start * width;
                let channels: usize = runs.iter().map(|run| run.len).sum();
                sum_pixels(
                    isa,
                    &SumPixels {
                        source: at(*from).add(first * words(*from)),
                        source_stride: stride(*from),
                        dtype: maps.dtype(*from),
                        pixels: rows.len() * width,
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
                        source: at(*from).add(first * words(*from)),
                        stride: words(*from),
                        columns,
                        pixels: cells,
                        out,
                        plane,
                        act: *act,
                    },
                );
            }
        }
    }
}
