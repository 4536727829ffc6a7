//! Lowers blocks of convolutions: one step per kernel, with packed weights.

use picodet_graph::pass::{Block, reads_image};
use picodet_graph::{Activation, Convolution, NodeId, Op};

use super::{Lowering, channel_ranges};
use crate::cpu::Precision;
use crate::cpu::schedule::{
    BufferId, DenseKind, DenseSource, Elementwise, Operation, Residual, View, Weights,
};
use picodet_kernel::{depthwise, gemm, stem};

fn column_ranges(order: &[usize], columns: &[usize]) -> Vec<(usize, usize)> {
    channel_ranges(order, columns, None, 0).into_iter().map(|range| (range.source, range.len)).collect()
}

fn padded(bias: impl Iterator<Item = f32>, lanes: usize) -> Vec<f32> {
    let mut bias: Vec<f32> = bias.collect();
    bias.resize(bias.len().next_multiple_of(lanes), 0.0);
    bias
}
impl Lowering<'_> {
    /// Lowers a block; `index` is its last node.
    pub(super) fn convolution(&mut self, index: usize, block: &Block) -> View {
        let Some(NodeId(convolution)) = block.convolution else { return self.elementwise(index) };
        let node = &self.graph.nodes[convolution];
        let Op::Convolution(op) = node.op else { return self.elementwise(index) };
        let (act, pool) = (block.function(self.graph), block.pool.is_some());
        let input = node.inputs[0];
        let [in_channels, in_height, in_width] = self.graph.node(input).shape.resolve(self.input_size);
        let [channels, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
        let weight = self.data(convolution, 0);
        let mut bias = self.data(convolution, 1);
        bias.resize(channels, 0.0);
        let scale = self.folds_scale(input).then(|| self.value(self.graph.node(input).inputs[1]));
        let planar = reads_image(self.graph, NodeId(convolution));
        let from = if planar {
            let columns = (0..in_channels).collect();
            View { buffer: 0, columns, height: in_height, width: in_width }
        } else {
            self.value(input)
        };
        let first = self.append_columns(index, channels);
        let buffer = self.buffer_of[index];
        let mut columns: Vec<usize> = (first..first + channels).collect();
        if op.is_depthwise(in_channels) {
            let order = from.by_column();
            self.depthwise(index, &from, &op, scale, &order, &weight, &bias, act, first);
            for (i, &channel) in order.iter().enumerate() {
                columns[channel] = first + i;
            }
            return View { buffer, columns, height, width };
        }
        let addend = block.sum.map(|sum| self.value(sum.addend));
        let contiguous = addend.as_ref().and_then(|view| Some((view.buffer, view.contiguous()?)));
        // A residual of scattered columns, or of a grouped convolution, is added by a separate step.
        let fits = op.groups == 1 && (addend.is_none() || contiguous.is_some());
        let (with, then) =
            if fits { (contiguous, act) } else { (None, addend.as_ref().map_or(act, |_| None)) };
        if op.is_pointwise() {
            let at = |k: usize, n: usize| weight[n * in_channels + k];
            self.pointwise(index, &from, scale, channels, &at, &bias, with, then, first);
        } else {
            let (in_group, out_group) = (in_channels / op.groups, channels / op.groups);
            for group in 0..op.groups {
                let part = View {
                    columns: from.columns[group * in_group..(group + 1) * in_group].to_vec(),
                    ..from.clone()
                };
                let rows = out_group * in_group * op.kernel * op.kernel;
                let weight = &weight[group * rows..(group + 1) * rows];
                let bias = &bias[group * out_group..(group + 1) * out_group];
                let column = first + group * out_group;
                self.dense(index, planar, &part, &op, weight, bias, with, then, pool, column);
            }
        }
        let result = View { buffer, columns, height, width };
        if let (false, Some(addend)) = (fits, addend) {
            let order: Vec<usize> = (0..channels).collect();
            let ranges = channel_ranges(&order, &result.columns, Some(&addend.columns), first);
            let kind = Elementwise::Add(act);
            let operation =
                Operation::Elementwise { kind, from: buffer, other: Some(addend.buffer), to: buffer, ranges };
            self.push(index, operation, (height, width), (height, width), 0);
        }
        result
    }

    /// Lowers a matrix product per pixel. `index` is the last node of the step; `at(k, n)` is the weight from input
    /// channel `k` to output channel `n`.
    pub(super) fn pointwise(
        &mut self,
        index: usize,
        from: &View,
        scale: Option<View>,
        columns: usize,
        at: &dyn Fn(usize, usize) -> f32,
        bias: &[f32],
        residual: Residual,
        act: Option<Activation>,
        column: usize,
    ) {
        let isa = self.isa;
        let lanes = isa.lanes();
        let order = from.by_column();
        let k = order.len();
        let size = (from.height, from.width);
        // For a single pixel, as in squeeze-excite, 16 bits are not faster.
        let weights = if self.precision == Precision::F32 || size == (1, 1) {
            let packed = gemm::pack(k, columns, lanes, |row, n| at(order[row], n));
            self.packed(index, &order, scale, columns, packed)
        } else {
            self.short(index, &order, scale, columns, |row, n| at(order[row], n))
        };
        let macs = (size.0 * size.1 * k * columns) as u64;
        let operation = Operation::Pointwise {
            from: from.buffer,
            ranges: column_ranges(&order, &from.columns),
            weights,
            bias: padded(bias.iter().copied(), 2 * lanes),
            columns,
            residual,
            act,
            to: self.buffer_of[index],
            column,
        };
        self.push(index, operation, size, size, macs);
    }

    /// Packed weights, multiplied by the squeeze-excite factors of the image if `scale` is given.
    fn packed(
        &mut self,
        index: usize,
        order: &[usize],
        scale: Option<View>,
        columns: usize,
        packed: Vec<f32>,
    ) -> Weights {
        let Some(factors) = scale else { return Weights::Constant(packed) };
        let lanes = self.isa.lanes();
        let rows = gemm::panels(columns, lanes).flat_map(|(_, vectors)| {
            let factors = &factors;
            order.iter().map(move |&channel| (factors.columns[channel], vectors * lanes))
        });
        let groups = rows.collect();
        self.scale_weights(index, factors.buffer, packed, groups)
    }

    /// Packed bf16 or f16 weights; squeeze-excite factors are multiplied into the source while it is rounded.
    fn short(
        &mut self,
        index: usize,
        order: &[usize],
        scale: Option<View>,
        columns: usize,
        at: impl Fn(usize, usize) -> f32,
    ) -> Weights {
        let factors = scale.map(|factors| {
            let columns = order.iter().map(|&channel| factors.columns[channel]).collect();
            let to = self.scratch(order.len());
            self.push(index, Operation::Gather { from: factors.buffer, columns, to }, (1, 1), (1, 1), 0);
            to
        });
        let (k, lanes) = (order.len(), self.isa.lanes());
        // Known when compiling where no processor has it.
        if self.precision == Precision::F16 && self.isa.f16().is_some() {
            let scratch = self.scratch(self.workers * gemm::f16_scratch_len(k));
            return Weights::Halves { packed: gemm::pack_f16(k, columns, 2 * lanes, at), factors, scratch };
        }
        let scratch = self.scratch(self.workers * gemm::scratch_len(k));
        Weights::Pairs { packed: gemm::pack_bf16(k, columns, lanes, at), factors, scratch }
    }

    fn scale_weights(
        &mut self,
        index: usize,
        factors: BufferId,
        weights: Vec<f32>,
        groups: Vec<(usize, usize)>,
    ) -> Weights {
        let len = weights.len();
        let to = self.scratch(len);
        // One row, so that one worker runs the step.
        self.push(index, Operation::ScaleWeights { factors, weights, groups, to }, (1, 1), (1, 1), 0);
        Weights::Scaled(to, len)
    }

    fn depthwise(
        &mut self,
        index: usize,
        from: &View,
        op: &Convolution,
        scale: Option<View>,
        order: &[usize],
        weight: &[f32],
        bias: &[f32],
        act: Option<Activation>,
        column: usize,
    ) {
        let positions = op.kernel * op.kernel;
        let values: Vec<f32> = (0..positions)
            .flat_map(|position| order.iter().map(move |&channel| weight[channel * positions + position]))
            .collect();
        let size = (from.height, from.width);
        let out_size = (size.0.div_ceil(op.stride), size.1.div_ceil(op.stride));
        let ranges = channel_ranges(order, &from.columns, None, 0);
        let is_bf16 = self.precision == Precision::Bf16
            && depthwise::bf16::fits(self.isa, op.kernel, op.stride, out_size.1);
        let is_f16 = self.precision == Precision::F16 && depthwise::f16::fits(self.isa, op.kernel, op.stride);
        let bias: Vec<f32> = order.iter().map(|&channel| bias[channel]).collect();
        let weights = match scale {
            None if is_f16 => {
                Weights::Taps(depthwise::f16::pack_depthwise_f16(&ranges, op.kernel, &values, &bias))
            }
            None if is_bf16 => {
                let lanes = self.isa.lanes();
                Weights::RowPairs(depthwise::bf16::pack_depthwise_bf16(
                    &ranges, op.kernel, op.stride, &values, lanes,
                ))
            }
            None => Weights::Constant(values),
            Some(factors) => {
                let groups =
                    (0..positions).flat_map(|_| order.iter().map(|&channel| (factors.columns[channel], 1)));
                let groups = groups.collect();
                self.scale_weights(index, factors.buffer, values, groups)
            }
        };
        let macs = (out_size.0 * out_size.1 * positions * order.len()) as u64;
        let operation = Operation::Depthwise {
            from: from.buffer,
            ranges,
            kernel: op.kernel,
            stride: op.stride,
            weights,
            bias,
            act,
            to: self.buffer_of[index],
            column,
        };
        self.push(index, operation, size, out_size, macs);
    }

    fn dense(
        &mut self,
        index: usize,
        planar: bool,
        from: &View,
        op: &Convolution,
        weight: &[f32],
        bias: &[f32],
        residual: Residual,
        act: Option<Activation>,
        pool: bool,
        column: usize,
    ) {
        let (kernel, channels, columns) = (op.kernel, from.columns.len(), bias.len());
        let order = from.by_column();
        let size = (from.height, from.width);
        let out_size = (size.0.div_ceil(op.stride), size.1.div_ceil(op.stride));
        let padded_width = size.1 + kernel - 1;
        let k = kernel * kernel * channels;
        let at = |row: usize, n: usize| {
            // Rows of A are (channel, kernel row, kernel column) for the image, else (kernel row, kernel column, channel).
            let (channel, position) = if planar {
                (row / (kernel * kernel), row % (kernel * kernel))
            } else {
                (order[row % channels], row / channels)
            };
            weight[(n * channels + channel) * kernel * kernel + position]
        };
        if columns == 1 && op.stride == 1 && !planar && residual.is_none() {
            self.column_to_image(index, from, op, weight, bias[0], act, column);
            return;
        }
        let kind = if planar && residual.is_none() && (kernel, op.stride) == (stem::KERNEL, stem::STRIDE) {
            DenseKind::Stem { half: stem::half(self.isa, columns) }
        } else {
            DenseKind::Product
        };
        let lanes = match kind {
            DenseKind::Stem { half } => stem::lanes(self.isa, half),
            _ => self.isa.lanes(),
        };
        let weights = gemm::pack(k, columns, lanes, at);
        let (source, ranges) = if planar {
            (DenseSource::Image, (0..channels * kernel).map(|row| (row * padded_width, kernel)).collect())
        } else {
            let ranges = (0..kernel).map(|row| (row * padded_width * channels, kernel * channels)).collect();
            (DenseSource::Buffer(from.buffer, channel_ranges(&order, &from.columns, None, 0)), ranges)
        };
        let rows = (kernel * padded_width * channels).next_multiple_of(16);
        let row = out_size.1 * columns.next_multiple_of(16);
        let strip = if pool { 3 * row } else { 0 };
        let unrounded = if self.precision == Precision::F32 { 0 } else { row };
        let scratch = self.scratch(self.workers * (rows + strip + unrounded));
        let macs = (out_size.0 * out_size.1 * k * columns) as u64;
        let operation = Operation::Dense {
            kind,
            source,
            channels,
            kernel,
            stride: op.stride,
            ranges,
            weights,
            bias: padded(bias.iter().copied(), lanes),
            columns,
            residual,
            act,
            pool,
            to: self.buffer_of[index],
            column,
            scratch,
        };
        let out_size = if pool { (out_size.0.div_ceil(2), out_size.1.div_ceil(2)) } else { out_size };
        self.push(index, operation, size, out_size, macs);
    }

    /// Lowers a convolution to one channel: a product with one column per kernel position, and the sum of these.
    fn column_to_image(
        &mut self,
        index: usize,
        from: &View,
        op: &Convolution,
        weight: &[f32],
        bias: f32,
        act: Option<Activation>,
        column: usize,
    ) {
        let lanes = self.isa.lanes();
        let (order, positions, size) = (from.by_column(), op.kernel * op.kernel, (from.height, from.width));
        let at = |row: usize, position: usize| weight[order[row] * positions + position];
        let weights = if self.precision == Precision::F32 {
            Weights::Constant(gemm::pack(order.len(), positions, lanes, at))
        } else {
            self.short(index, &order, None, positions, at)
        };
        let between = self.map(positions.next_multiple_of(16), size.0 * size.1);
        let operation = Operation::Pointwise {
            from: from.buffer,
            ranges: column_ranges(&order, &from.columns),
            weights,
            bias: padded(std::iter::repeat_n(0.0, positions), 2 * lanes),
            columns: positions,
            residual: None,
            act: None,
            to: between,
            column: 0,
        };
        self.push(index, operation, size, size, (size.0 * size.1 * order.len() * positions) as u64);
        let to = self.buffer_of[index];
        let operation = Operation::SumTaps { from: between, kernel: op.kernel, bias, act, to, column };
        self.push(index, operation, size, size, 0);
    }
}
