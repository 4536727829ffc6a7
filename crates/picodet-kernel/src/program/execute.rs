//! Executes the rows of one band of a step.

use std::ops::Range;

use picodet_graph::DType;

use super::access::row_of;
use super::band::{Band, Memory};
use super::dense;
use super::operation::{BufferId, Elementwise, Operation, Step, Weights};
use super::schedule::Schedule;
use crate::col2im::{Col2Im, col2im};
use crate::depthwise::bf16::depthwise_bf16;
use crate::depthwise::f16::depthwise_f16;
use crate::depthwise::{Depthwise, DepthwiseBf16, DepthwiseF16, depthwise};
use crate::elementwise::{self, Kind, elementwise};
use crate::gemm::{
    Activate, Gemm, GemmBf16, GemmF16, f16_scratch_len, gemm, gemm_bf16, gemm_f16, scratch_len,
};
use crate::half::sum_pixels_f16;
use crate::map::ChannelRange;
use crate::pool::{SumPixels, sum_pixels};
use crate::transpose::{ToPlanes, from_planes, to_planes};

/// The rows of `height` in the band of `worker` of `workers`.
pub(super) fn band(height: usize, worker: usize, workers: usize) -> Range<usize> {
    height * worker / workers..height * (worker + 1) / workers
}

/// Executes one band of a step.
///
/// # Safety
/// * `schedule` has been checked by `verify`,
/// * `memory` is valid for the lengths that its fields name: `arena` for reads and writes, and `outputs` for
///   writes,
/// * `worker < workers`; during a step each band is executed at most once at a time,
/// * no step is executed on this memory while another one is.
pub(super) unsafe fn run_band(schedule: &Schedule, step: &Step, memory: &Memory, worker: usize) {
    let all = band(step.out_size.0, worker, schedule.workers);
    let band = Band { schedule, memory, worker };
    if let Operation::Separable { depthwise, pointwise, rows } = &step.operation {
        let between = Some(worker * rows * step.out_size.1);
        // Parts start at even rows: depthwise convolutions compute two at a time.
        for first in (all.start / 2 * 2..all.end).step_by(*rows) {
            let part = first.max(all.start)..(first + rows).min(all.end);
            // The buffer between the two has `rows` rows for this worker.
            band.run(depthwise, part.clone(), between);
            band.run(pointwise, part, between);
        }
        return;
    }
    band.run(step, all, None);
}

/// Each method executes `rows` of a step, a part of the band. With `between`, the result of a depthwise and
/// the source of a pointwise step have these rows only, from this pixel of their buffer on.
///
/// The extents of all pointers have been checked by `verify`: buffers are inside the arena, pixels and
/// columns inside buffers; and by the contract of [`run_band`], no other thread writes what the band reads,
/// or accesses what it writes.
impl Band<'_> {
    fn run(self, step: &Step, rows: Range<usize>, between: Option<usize>) {
        if rows.is_empty() {
            return;
        }
        match &step.operation {
            Operation::Import { to, columns } => self.import(step, rows, *to, columns),
            Operation::Export { .. } => self.export(step, rows),
            Operation::Pointwise { .. } => self.pointwise(step, rows, between),
            Operation::Dense { .. } => dense::dense(self, step, rows),
            Operation::Depthwise { .. } => self.depthwise(step, rows, between),
            // Its parts are executed one by one.
            Operation::Separable { .. } => {}
            Operation::ScaleWeights { factors, weights, groups, to } => {
                self.scale_weights(*factors, weights, groups, *to);
            }
            Operation::Gather { from, columns, to } => self.gather(*from, columns, *to),
            Operation::Elementwise { .. } => self.elementwise(step, rows),
            Operation::SumTaps { .. } => self.col2im(step, rows),
            Operation::SumCells { from, ranges, to } => self.sum_pixels(step, rows, *from, ranges, *to),
            Operation::Mean { .. } => self.mean(step),
            Operation::Int8(int8) => self.int8(step, int8, rows, between),
        }
    }

    fn gather(self, from: BufferId, columns: &[usize], to: BufferId) {
        for (i, &column) in columns.iter().enumerate() {
            // SAFETY: the source has this column, and the destination one word per gathered column.
            unsafe { *self.at(to).add(i) = *self.at(from).add(column) };
        }
    }

    fn import(self, step: &Step, rows: Range<usize>, to: BufferId, columns: &[usize]) {
        let (height, width) = step.size;
        let first = rows.start * width;
        let (out, stride) = (self.pixel(to, first), self.words(to));
        // SAFETY: the image has `columns` planes of this size, and the buffer these columns.
        unsafe {
            let source = self.memory.image.add(first);
            from_planes(source, height * width, columns, rows.len() * width, out, stride);
        }
    }

    fn export(self, step: &Step, rows: Range<usize>) {
        let Operation::Export { from, columns, output, act } = &step.operation else { return };
        let (height, width) = step.size;
        let first = rows.start * width;
        // SAFETY: the output has `columns` planes of this size, and the buffer these columns.
        unsafe {
            let args = ToPlanes {
                source: self.pixel(*from, first),
                stride: self.words(*from),
                columns,
                pixels: rows.len() * width,
                out: self.memory.outputs[*output].add(first),
                plane: height * width,
                act: *act,
            };
            to_planes(self.schedule.isa, &args);
        }
    }

    fn pointwise(self, step: &Step, rows: Range<usize>, between: Option<usize>) {
        let Operation::Pointwise { from, ranges, weights, bias, columns, residual, act, to, column } =
            &step.operation
        else {
            return;
        };
        let isa = self.schedule.isa;
        let first = rows.start * step.size.1;
        let (residual, residual_stride) = residual.map_or((std::ptr::null(), 0), |(buffer, column)| {
            (self.pixel(buffer, first).wrapping_add(column).cast_const(), self.words(buffer))
        });
        let a = self.pixel(*from, between.unwrap_or(first)).cast_const();
        let (a_stride, rows) = (self.stride(*from), rows.len() * step.size.1);
        let epilogue = Activate {
            columns: *columns,
            bias,
            residual,
            residual_stride,
            act: *act,
            out: self.column(*to, self.pixel(*to, first), *column),
            out_stride: self.stride(*to),
            out_dtype: self.dtype(*to),
        };
        let k = ranges.iter().map(|range| range.1).sum();
        let a_dtype = self.dtype(*from);
        let factors_at = |factors: &Option<BufferId>| {
            factors.map_or(std::ptr::null(), |buffer| self.at(buffer).cast_const())
        };
        let part_of = |scratch: BufferId, len: usize| self.at(scratch).wrapping_add(self.worker * len);
        // SAFETY: source, residual and result have these rows and columns; there are `k` factors, and the scratch
        // memory has the number of words per worker that the kernel requires.
        unsafe {
            match (weights, isa.bf16(), isa.f16()) {
                (Weights::Pairs { packed: b, factors, scratch }, Some(bf16), _) => {
                    let (factors, scratch) = (factors_at(factors), part_of(*scratch, scratch_len(k)));
                    let args = GemmBf16 { a, a_stride, a_dtype, ranges, rows, b, factors, epilogue, scratch };
                    gemm_bf16(bf16, &args);
                }
                (Weights::Halves { packed: b, factors, scratch }, _, Some(f16)) => {
                    let (factors, scratch) = (factors_at(factors), part_of(*scratch, f16_scratch_len(k)));
                    let args = GemmF16 { a, a_stride, a_dtype, ranges, rows, b, factors, epilogue, scratch };
                    gemm_f16(f16, &args);
                }
                _ => gemm(isa, &Gemm { a, a_stride, ranges, rows, b: self.floats(weights), epilogue }),
            }
        }
    }

    fn depthwise(self, step: &Step, rows: Range<usize>, between: Option<usize>) {
        let Operation::Depthwise { from, ranges, kernel, stride, weights, bias, act, to, column } =
            &step.operation
        else {
            return;
        };
        let out_width = step.out_size.1;
        let out = match between {
            // The pixel that would be the map's first one if the part in memory started at `rows.start`.
            Some(pixel) => self.pixel(*to, pixel).wrapping_sub(rows.start * out_width * self.words(*to)),
            None => self.at(*to),
        };
        // SAFETY: source and result have these pixels and ranges, and the row of zeros is as long as a pixel of
        // the source.
        unsafe {
            let convolution = Depthwise {
                source: self.at(*from),
                source_stride: self.stride(*from),
                size: step.size,
                out: self.column(*to, out, *column),
                out_stride: self.stride(*to),
                out_width,
                rows,
                zeros: self.memory.arena.add(self.schedule.zeros),
                kernel: *kernel,
                stride: *stride,
                ranges,
                weights: self.floats(weights),
                bias,
                act: *act,
            };
            let isa = self.schedule.isa;
            let [source_dtype, out_dtype] = [*from, *to].map(|buffer| self.dtype(buffer));
            match (weights, isa.bf16(), isa.f16()) {
                (Weights::RowPairs(weights), Some(bf16), _) => {
                    depthwise_bf16(bf16, &DepthwiseBf16 { convolution, weights, source_dtype, out_dtype });
                }
                (Weights::Taps(weights), _, Some(f16)) => {
                    depthwise_f16(f16, &DepthwiseF16 { convolution, weights, source_dtype, out_dtype });
                }
                _ => depthwise(isa, &convolution),
            }
        }
    }

    fn scale_weights(self, factors: BufferId, weights: &[f32], groups: &[(usize, usize)], to: BufferId) {
        let (factors, out) = (self.at(factors), self.at(to));
        let mut done = 0;
        for &(column, len) in groups {
            // SAFETY: the factors have this column, and the destination has one word per weight of the groups.
            unsafe {
                let factor = *factors.add(column);
                for (i, weight) in weights[done..done + len].iter().enumerate() {
                    *out.add(done + i) = weight * factor;
                }
            }
            done += len;
        }
    }

    fn elementwise(self, step: &Step, rows: Range<usize>) {
        let Operation::Elementwise { kind, from, other, to, ranges } = &step.operation else { return };
        let other_at = other.map_or(std::ptr::null(), |other| self.at(other).cast_const());
        let kind = match kind {
            Elementwise::Activate(act) => Kind::Activate(*act),
            Elementwise::Add(act) => Kind::Add(*act),
            Elementwise::Affine(factor, addend) => {
                Kind::Affine { factor: factor.as_ptr(), addend: addend.as_ptr() }
            }
            Elementwise::Scale => Kind::Affine { factor: other_at, addend: std::ptr::null() },
            Elementwise::GeometricMean { column, epsilon } => {
                Kind::GeometricMean { column: *column, epsilon: *epsilon }
            }
            Elementwise::MaxPool => Kind::MaxPool,
            Elementwise::Upsample => Kind::Upsample,
            Elementwise::Blend { rows, columns } => Kind::Blend { rows, columns },
        };
        let args = elementwise::Elementwise {
            kind,
            source: self.at(*from),
            source_stride: self.words(*from),
            size: step.size,
            other: other_at,
            other_stride: other.map_or(0, |other| self.words(other)),
            out: self.at(*to),
            out_stride: self.words(*to),
            out_width: step.out_size.1,
            rows,
            ranges,
        };
        // SAFETY: the maps have these pixels and ranges, tables stay inside the source, and factors and addends
        // have the ranges' columns.
        unsafe { elementwise(self.schedule.isa, &args) }
    }

    fn col2im(self, step: &Step, rows: Range<usize>) {
        let Operation::SumTaps { from, kernel, bias, act, to, column } = &step.operation else { return };
        let args = Col2Im {
            source: self.at(*from),
            source_stride: self.words(*from),
            size: step.size,
            kernel: *kernel,
            bias: *bias,
            out: self.at(*to).wrapping_add(*column),
            out_stride: self.words(*to),
            rows,
            act: *act,
        };
        // SAFETY: the source has `kernel²` columns, and the result this one, in all pixels.
        unsafe { col2im(self.schedule.isa, &args) }
    }

    fn sum_pixels(
        self,
        step: &Step,
        rows: Range<usize>,
        from: BufferId,
        ranges: &[ChannelRange],
        to: BufferId,
    ) {
        let channels: usize = ranges.iter().map(|range| range.len).sum();
        let args = SumPixels {
            source: self.pixel(from, rows.start * step.size.1),
            source_stride: self.stride(from),
            dtype: self.dtype(from),
            pixels: rows.len() * step.size.1,
            ranges,
            out: self.at(to).wrapping_add(self.worker * row_of(channels)),
        };
        // SAFETY: the source has these pixels and ranges, and the sums a row for each worker.
        unsafe {
            match self.schedule.isa.f16() {
                Some(f16) if args.dtype == DType::F16 => sum_pixels_f16(f16, &args),
                _ => sum_pixels(self.schedule.isa, &args),
            }
        }
    }

    fn mean(self, step: &Step) {
        let Operation::Mean { sums, channels, cells, to, column } = &step.operation else { return };
        let workers = self.schedule.workers;
        let (sums, out) = (self.at(*sums), self.at(*to).wrapping_add(*column));
        for c in 0..*channels {
            // Workers without rows have written no sums.
            let rows = (0..workers).filter(|&worker| !band(step.size.0, worker, workers).is_empty());
            // SAFETY: the sums have a row for each worker, and the result these columns.
            unsafe {
                let sum: f32 = rows.map(|worker| *sums.add(worker * row_of(*channels) + c)).sum();
                *out.add(c) = sum / *cells as f32;
            }
        }
    }
}
