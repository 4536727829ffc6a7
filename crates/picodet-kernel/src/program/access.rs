//! The memory accesses of each operation, as far as their extents are not checked by the kernels themselves.

use std::ops::Range;

use picodet_graph::DType;

use super::operation::{Buffer, BufferId, DenseKind, DenseSource, Elementwise, Operation, Step, Weights};
use super::schedule::Schedule;
use crate::gemm::{f16_scratch_len, scratch_len};
use crate::map::ChannelRange;

/// The pixels that a band accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pixels {
    /// Those of the band's rows.
    Own,
    /// Any.
    All,
    /// A part of the buffer that no other band accesses.
    Part,
}

/// Columns of some pixels of a buffer, read or written.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) buffer: BufferId,
    /// Bytes of each pixel.
    pub(super) bytes: Range<usize>,
    /// Number of pixels, from the first one on.
    pub(super) count: usize,
    pub(super) pixels: Pixels,
    pub(super) writes: bool,
}

/// Collects the accesses of a step.
pub(super) struct Accesses<'a> {
    schedule: &'a Schedule,
    input_size: (usize, usize),
    pub(super) list: Vec<Access>,
    /// The first condition that does not hold.
    pub(super) fault: Option<&'static str>,
}

impl<'a> Accesses<'a> {
    pub(super) fn new(schedule: &'a Schedule, input_size: (usize, usize)) -> Self {
        Self { schedule, input_size, list: Vec::new(), fault: None }
    }

    /// The size of the image.
    pub(super) fn input_size(&self) -> (usize, usize) {
        self.input_size
    }

    /// The number of workers.
    pub(super) fn workers(&self) -> usize {
        self.schedule.workers
    }

    /// Notes a condition.
    pub(super) fn require(&mut self, holds: bool, fault: &'static str) {
        if !holds {
            self.fault.get_or_insert(fault);
        }
    }

    pub(super) fn buffer(&mut self, id: BufferId) -> Buffer {
        let buffer = self.schedule.buffers.get(id).cloned();
        self.require(buffer.is_some(), "a buffer that does not exist");
        buffer.unwrap_or_default()
    }

    /// Columns, in elements of the buffer's type, of `count` pixels.
    pub(super) fn columns(
        &mut self,
        id: BufferId,
        columns: Range<usize>,
        count: usize,
        pixels: Pixels,
        writes: bool,
    ) {
        let size = self.buffer(id).dtype.size();
        let bytes = columns.start.saturating_mul(size)..columns.end.saturating_mul(size);
        self.list.push(Access { buffer: id, bytes, count, pixels, writes });
    }

    /// As [`Accesses::columns`], of a buffer that must be f32.
    pub(super) fn floats(
        &mut self,
        id: BufferId,
        columns: Range<usize>,
        count: usize,
        pixels: Pixels,
        writes: bool,
    ) {
        let dtype = self.buffer(id).dtype;
        self.require(dtype == DType::F32, "a buffer that should be f32");
        self.columns(id, columns, count, pixels, writes);
    }

    /// The first `len` words of a buffer without regard to pixels.
    pub(super) fn words(&mut self, id: BufferId, len: usize, pixels: Pixels, writes: bool) {
        let buffer = self.buffer(id);
        self.require(len <= buffer.words(), "more elements than a buffer has");
        let bytes = 0..buffer.bytes_per_pixel();
        self.list.push(Access { buffer: id, bytes, count: buffer.cells, pixels, writes });
    }

    /// Runs of channels.
    fn ranges(&mut self, id: BufferId, ranges: &[ChannelRange], count: usize, pixels: Pixels) {
        for range in ranges {
            self.columns(id, range.source..range.source.saturating_add(range.len), count, pixels, false);
        }
    }

    /// The accesses of a step; `between` if it is a part of a separable one and its depthwise result or
    /// pointwise source is the worker's part of a buffer.
    pub(super) fn step(&mut self, step: &Step, between: bool) {
        let source = step.size.0.saturating_mul(step.size.1);
        let result = step.out_size.0.saturating_mul(step.out_size.1);
        match &step.operation {
            Operation::Import { to, columns } => {
                self.require(
                    step.size == self.input_size && step.out_size == step.size,
                    "another image size",
                );
                self.require(columns.len() <= 3, "more planes than an image has");
                for &column in columns {
                    self.floats(*to, column..column.saturating_add(1), result, Pixels::Own, true);
                }
            }
            Operation::Export { from, columns, output, .. } => {
                let shape = [columns.len(), step.size.0, step.size.1];
                let fits = self.schedule.outputs.get(*output).is_some_and(|(_, output)| *output == shape);
                self.require(fits && step.out_size == step.size, "an output of another shape");
                for &column in columns {
                    self.floats(*from, column..column.saturating_add(1), source, Pixels::Own, false);
                }
            }
            Operation::Pointwise { from, ranges, weights, columns, residual, to, column, .. } => {
                self.require(step.size == step.out_size, "a pointwise convolution that changes the size");
                let pixels = if between { Pixels::Part } else { Pixels::Own };
                let count = if between { 0 } else { source };
                for &(first, len) in ranges {
                    self.columns(*from, first..first.saturating_add(len), count, pixels, false);
                }
                let k = ranges.iter().map(|range| range.1).sum();
                self.weights(weights, k, &[*from, *to]);
                self.columns(*to, *column..column.saturating_add(*columns), result, Pixels::Own, true);
                if let &Some((buffer, first)) = residual {
                    self.floats(buffer, first..first.saturating_add(*columns), result, Pixels::Own, false);
                }
            }
            Operation::Dense { .. } => self.dense(step),
            Operation::Depthwise { from, ranges, weights, stride, bias, to, column, .. } => {
                let [height, width] =
                    [step.size.0, step.size.1].map(|extent| extent.div_ceil((*stride).max(1)));
                self.require(
                    *stride > 0 && step.out_size == (height, width),
                    "a depthwise convolution of another size",
                );
                self.ranges(*from, ranges, source, Pixels::All);
                let row = self.buffer(*from).words_per_pixel();
                self.require(row <= self.schedule.arena.saturating_sub(self.schedule.zeros), "too few zeros");
                self.weights(weights, bias.len(), &[*from, *to]);
                let pixels = if between { Pixels::Part } else { Pixels::Own };
                let count = if between { 0 } else { result };
                self.columns(*to, *column..column.saturating_add(bias.len()), count, pixels, true);
            }
            Operation::Separable { depthwise, pointwise, rows } => {
                self.separable(step, depthwise, pointwise, *rows);
            }
            Operation::Int8(int8) => self.int8(step, int8, between),
            Operation::ScaleWeights { factors, weights, groups, to } => {
                self.require(step.out_size.0 <= 1, "scaled weights in several rows");
                for &(column, _) in groups {
                    self.floats(*factors, column..column.saturating_add(1), 1, Pixels::All, false);
                }
                let len = groups.iter().fold(0usize, |sum, group| sum.saturating_add(group.1));
                self.require(len <= weights.len(), "fewer weights than factors");
                self.words(*to, len, Pixels::All, true);
            }
            Operation::Gather { from, columns, to } => {
                self.require(step.out_size.0 <= 1, "gathered elements in several rows");
                for &column in columns {
                    self.floats(*from, column..column.saturating_add(1), 1, Pixels::All, false);
                }
                self.words(*to, columns.len(), Pixels::All, true);
            }
            Operation::Elementwise { kind, from, other, to, ranges } => {
                self.elementwise(step, kind, *from, *other, *to, ranges);
            }
            Operation::SumTaps { from, kernel, to, column, .. } => {
                self.require(step.size == step.out_size, "sums of another size");
                self.floats(*from, 0..kernel.saturating_mul(*kernel), source, Pixels::All, false);
                self.floats(*to, *column..column.saturating_add(1), result, Pixels::Own, true);
            }
            Operation::SumCells { from, ranges, to } => {
                self.require(step.out_size == step.size, "sums over rows of another size");
                let dtype = self.buffer(*from).dtype;
                self.require(dtype != DType::U8, "sums of bytes as floats");
                self.ranges(*from, ranges, source, Pixels::Own);
                let channels: usize = ranges.iter().map(|range| range.len).sum();
                let inside =
                    ranges.iter().all(|range| range.destination.saturating_add(range.len) <= channels);
                self.require(inside, "a sum outside of its row");
                self.words(*to, self.schedule.workers.saturating_mul(row_of(channels)), Pixels::Part, true);
            }
            Operation::Mean { sums, channels, to, column, .. } => {
                self.require(step.out_size.0 <= 1, "a mean in several rows");
                self.words(
                    *sums,
                    self.schedule.workers.saturating_mul(row_of(*channels)),
                    Pixels::All,
                    false,
                );
                self.floats(*to, *column..column.saturating_add(*channels), 1, Pixels::All, true);
            }
        }
    }

    /// Weights in the arena, and whether `maps` have the type that a kernel with such weights needs.
    fn weights(&mut self, weights: &Weights, k: usize, maps: &[BufferId]) {
        let isa = self.schedule.isa;
        let (dtype, supported) = match weights {
            Weights::Constant(_) | Weights::Scaled(..) => (DType::F32, true),
            Weights::Pairs { .. } | Weights::RowPairs(_) => (DType::Bf16, isa.bf16().is_some()),
            Weights::Halves { .. } | Weights::Taps(_) => (DType::F16, isa.f16().is_some()),
        };
        for &map in maps {
            let found = self.buffer(map).dtype;
            self.require(found == DType::F32 || found == dtype, "a map of another type than the weights");
        }
        self.require(supported, "weights of a type without products of it");
        let mut scratched = |factors: &Option<BufferId>, scratch: BufferId, len: usize| {
            if let Some(factors) = *factors {
                self.words(factors, k, Pixels::All, false);
            }
            self.words(scratch, self.schedule.workers.saturating_mul(len), Pixels::Part, true);
        };
        match weights {
            Weights::Constant(_) | Weights::RowPairs(_) | Weights::Taps(_) => {}
            Weights::Scaled(buffer, len) => self.words(*buffer, *len, Pixels::All, false),
            Weights::Pairs { factors, scratch, .. } => scratched(factors, *scratch, scratch_len(k)),
            Weights::Halves { factors, scratch, .. } => scratched(factors, *scratch, f16_scratch_len(k)),
        }
    }

    /// Both halves of a separable step: the buffer between them has `rows` rows per worker.
    fn separable(&mut self, step: &Step, depthwise: &Step, pointwise: &Step, rows: usize) {
        let buffers = depthwise.operation.depthwise_result().zip(pointwise.operation.pointwise_buffers());
        let Some((to, (from, _))) = buffers else {
            return self.require(false, "a separable step that is none");
        };
        let same_size = [depthwise.out_size, pointwise.size, pointwise.out_size] == [step.out_size; 3];
        self.require(to == from && same_size && rows > 0, "two steps that do not belong together");
        let count = self.schedule.workers.saturating_mul(rows).saturating_mul(step.out_size.1);
        let between = self.buffer(to);
        self.require(count <= between.cells, "more rows than the buffer between two steps has");
        self.step(depthwise, true);
        self.step(pointwise, true);
        // The pixels of all workers' parts.
        for access in self.list.iter_mut().filter(|access| access.buffer == to) {
            access.count = access.count.max(count);
        }
    }

    fn elementwise(
        &mut self,
        step: &Step,
        kind: &Elementwise,
        from: BufferId,
        other: Option<BufferId>,
        to: BufferId,
        ranges: &[ChannelRange],
    ) {
        let (size, out) = (step.size, step.out_size);
        let (source, result) = (size.0.saturating_mul(size.1), out.0.saturating_mul(out.1));
        let words = |buffer: &Buffer| buffer.words_per_pixel();
        let (from_words, to_words) = (words(&self.buffer(from)), words(&self.buffer(to)));
        let others = ranges.iter().map(|range| range.other.saturating_add(range.len)).max().unwrap_or(0);
        let (fits, pixels) = match kind {
            Elementwise::Activate(_) | Elementwise::Add(_) | Elementwise::Scale => (size == out, Pixels::Own),
            Elementwise::GeometricMean { .. } => (size == out, Pixels::Own),
            Elementwise::Affine(factor, addend) => {
                (size == out && others <= factor.len() && others <= addend.len(), Pixels::Own)
            }
            Elementwise::MaxPool => (out.0 <= size.0.div_ceil(2) && out.1 <= size.1.div_ceil(2), Pixels::All),
            Elementwise::Upsample => {
                (out.0.div_ceil(2) <= size.0 && out.1.div_ceil(2) <= size.1, Pixels::All)
            }
            Elementwise::Blend { rows, columns } => {
                let inside = |table: &[(usize, usize, f32)], len: usize, extent: usize| {
                    table.len() >= len && table[..len].iter().all(|entry| entry.0.max(entry.1) < extent)
                };
                (inside(rows, out.0, size.0) && inside(columns, out.1, size.1), Pixels::All)
            }
        };
        self.require(fits, "an elementwise step of another size");
        // Runs count words, whatever the type.
        for range in ranges {
            let (read, written) =
                (range.source.saturating_add(range.len), range.destination.saturating_add(range.len));
            self.require(read <= from_words && written <= to_words, "channels outside of a map");
            let bytes =
                |first: usize| first.saturating_mul(4)..first.saturating_add(range.len).saturating_mul(4);
            let (read, written) = (bytes(range.source), bytes(range.destination));
            self.list.push(Access { buffer: from, bytes: read, count: source, pixels, writes: false });
            self.list.push(Access {
                buffer: to,
                bytes: written,
                count: result,
                pixels: Pixels::Own,
                writes: true,
            });
        }
        match (kind, other) {
            (Elementwise::Add(_), Some(other)) => self.floats(other, 0..others, result, Pixels::Own, false),
            (Elementwise::GeometricMean { column, .. }, Some(other)) => {
                self.floats(other, *column..column.saturating_add(1), result, Pixels::Own, false);
            }
            (Elementwise::Scale, Some(other)) => self.words(other, others, Pixels::All, false),
            (Elementwise::Add(_) | Elementwise::GeometricMean { .. } | Elementwise::Scale, None) => {
                self.require(false, "a second source that is missing");
            }
            _ => {}
        }
        let types = (self.buffer(from).dtype, self.buffer(to).dtype);
        let copies = matches!(kind, Elementwise::Upsample) && types.0 == types.1;
        self.require(copies || types == (DType::F32, DType::F32), "maps that should be f32");
    }

    fn dense(&mut self, step: &Step) {
        let Operation::Dense {
            kind,
            source,
            channels,
            kernel,
            stride,
            ranges,
            bias,
            columns,
            residual,
            pool,
            to,
            column,
            scratch,
            ..
        } = &step.operation
        else {
            return;
        };
        let (kernel, channels, stride) = (*kernel, *channels, (*stride).max(1));
        let full = (step.size.0.div_ceil(stride), step.size.1.div_ceil(stride));
        let out = if *pool { (full.0.div_ceil(2), full.1.div_ceil(2)) } else { full };
        self.require(step.out_size == out && kernel > 0, "a dense convolution of another size");
        let result = out.0.saturating_mul(out.1);
        match source {
            DenseSource::Image => {
                self.require(step.size == self.input_size && channels <= 3, "another image size");
            }
            DenseSource::Buffer(from, copied) => {
                for range in copied {
                    let end = range.source.saturating_add(range.len);
                    let count = step.size.0.saturating_mul(step.size.1);
                    self.floats(*from, range.source..end, count, Pixels::All, false);
                    let inside = range.destination.saturating_add(range.len) <= channels;
                    self.require(inside, "channels outside of a compact pixel");
                }
            }
        }
        let isa = self.schedule.isa;
        let (rounded, supported) = match self.buffer(*to).dtype {
            DType::F32 => (false, true),
            DType::Bf16 => (true, isa.bf16().is_some()),
            DType::F16 => (true, isa.f16().is_some()),
            // Quantised convolutions have their own steps.
            DType::U8 => (false, false),
        };
        self.require(supported, "a map of a type without products of it");
        let layout = ScratchLayout::new(step.size.1, full.1, kernel, channels, *columns);
        let need = layout.words(*pool, rounded).saturating_mul(self.schedule.workers);
        let one_pixel = self.buffer(*scratch).cells == 1;
        self.require(one_pixel, "scratch memory in several pixels");
        self.words(*scratch, need, Pixels::Part, true);
        match kind {
            DenseKind::Stem { .. } => {
                let image = matches!(source, DenseSource::Image) && residual.is_none();
                let window = (kernel, stride) == (crate::stem::KERNEL, crate::stem::STRIDE) && channels == 3;
                self.require(
                    image && window && bias.len() <= columns.next_multiple_of(16),
                    "a stem that is none",
                );
            }
            DenseKind::Product => {
                let a_stride = if matches!(source, DenseSource::Image) { stride } else { stride * channels };
                let last = full.1.saturating_sub(1).saturating_mul(a_stride);
                let inside = ranges
                    .iter()
                    .all(|range| last.saturating_add(range.0).saturating_add(range.1) <= layout.padded);
                self.require(inside, "a window outside of the padded rows");
            }
        }
        self.columns(*to, *column..column.saturating_add(*columns), result, Pixels::Own, true);
        if let &Some((buffer, first)) = residual {
            let pixels = if *pool { Pixels::All } else { Pixels::Own };
            let count = full.0.saturating_mul(full.1);
            self.floats(buffer, first..first.saturating_add(*columns), count, pixels, false);
        }
    }
}

/// Words of a row of sums.
pub(super) fn row_of(channels: usize) -> usize {
    channels.next_multiple_of(16)
}

/// The parts of a worker's scratch memory of a dense convolution.
pub(super) struct ScratchLayout {
    /// Words of the padded rows below a row of the result.
    pub(super) padded: usize,
    /// Words of a pixel of an f32 row of the result.
    pub(super) stride: usize,
    /// Words of such a row.
    pub(super) row: usize,
}

impl ScratchLayout {
    pub(super) fn new(
        width: usize,
        full_width: usize,
        kernel: usize,
        channels: usize,
        columns: usize,
    ) -> Self {
        let padded = kernel.saturating_mul(width.saturating_add(kernel) - 1).saturating_mul(channels);
        let stride = columns.next_multiple_of(16);
        Self { padded: padded.next_multiple_of(16), stride, row: full_width.saturating_mul(stride) }
    }

    /// Words in all.
    fn words(&self, pool: bool, rounded: bool) -> usize {
        let rows = if pool { 3 } else { 0 } + usize::from(rounded);
        self.row.saturating_mul(rows).saturating_add(self.padded)
    }
}
