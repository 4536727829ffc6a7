//! Lowers convolutions of bytes.

use picodet_graph::pass::{Block, reads_image};
use picodet_graph::quantised::ByteStore;
use picodet_graph::{Activation, Convolution, MapQuantisation, NodeId, Op, QuantisedConvolution};
use picodet_kernel::program::int8::{Depthwise, Int8, Product, Window, windows_len};
use picodet_kernel::quantised::{Column, pack_columns};
use picodet_kernel::{depthwise, gemm};
use picodet_simd::{Int8Isa, Isa};

use super::super::{Lowering, channel_ranges};
use crate::cpu::schedule::{Operation, View};

/// The kernel window of a stem, and its stride.
const STEM: (usize, usize) = (3, 2);
/// Bytes of a quad.
const QUAD: usize = 4;

/// The constants of output channel `n`; `start` is minus the weights times the zero points of the source.
fn column(
    quantised: &QuantisedConvolution,
    n: usize,
    start: i32,
    out: Option<&MapQuantisation>,
    act: Option<Activation>,
) -> Column {
    Column {
        start,
        scale: quantised.scale[n],
        bias: quantised.bias[n],
        factor: out.map_or(0.0, |out| ByteStore::new(act, out.scale[n], out.zero[n]).factor()),
        zero: out.map_or(0.0, |out| f32::from(out.zero[n])),
    }
}

/// The runs of quads that the columns are in: first and number, and for each of their bytes the channel.
fn quads_of(view: &View) -> (Vec<(usize, usize)>, Vec<Option<usize>>) {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut channels = Vec::new();
    for channel in view.by_column() {
        let quad = view.columns[channel] / QUAD;
        match ranges.last_mut() {
            Some((first, len)) if *first + *len > quad => {}
            Some((first, len)) if *first + *len == quad => *len += 1,
            _ => ranges.push((quad, 1)),
        }
        let quads: usize = ranges.iter().map(|range| range.1).sum();
        channels.resize(QUAD * quads, None);
        channels[QUAD * (quads - 1) + view.columns[channel] % QUAD] = Some(channel);
    }
    (ranges, channels)
}

impl Lowering<'_> {
    /// Lowers a block whose convolution has 8-bit weights; `index` is its last node.
    pub(super) fn quantised_convolution(
        &mut self,
        index: usize,
        block: &Block,
        quantised: &QuantisedConvolution,
    ) -> View {
        let Some(NodeId(convolution)) = block.convolution else { return self.unsupported(index) };
        let node = &self.graph.nodes[convolution];
        let Op::Convolution(op) = node.op else { return self.unsupported(index) };
        let input = node.inputs[0];
        let act = block.function(self.graph);
        let [in_channels, ..] = self.graph.node(input).shape.resolve(self.input_size);
        if reads_image(self.graph, NodeId(convolution)) {
            return self.stem_int8(index, block, &op, quantised, act);
        }
        let (Some(map), Some(from)) = (self.map_of(input), self.values[input.0].clone()) else {
            return self.unsupported(index);
        };
        if op.is_depthwise(in_channels) {
            return self.depthwise_int8(index, &from, &map, &op, quantised, act);
        }
        let [channels, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
        let residual = block.sum.map(|sum| {
            let order: Vec<usize> = (0..channels).collect();
            let first = self.values[sum.addend.0].as_ref().and_then(View::contiguous);
            let is_bytes = self.map_of(sum.addend).is_some() && op.groups == 1;
            first.filter(|_| is_bytes).map(|first| self.byte_map(sum.addend, &order, first))
        });
        if matches!(residual, Some(None)) {
            return self.unsupported(index);
        }
        let residual = residual.flatten();
        let first = self.append_columns(index, channels);
        let out = self.map_of(NodeId(index));
        let (in_group, out_group) = (in_channels / op.groups, channels / op.groups);
        for group in 0..op.groups {
            let (inputs, outputs) = (group * in_group..(group + 1) * in_group, group * out_group);
            let part = View { columns: from.columns[inputs.clone()].to_vec(), ..from.clone() };
            let taps = in_group * op.kernel * op.kernel;
            let weight = |n: usize, tap: usize| quantised.weight[(outputs + n) * taps + tap];
            let zeros = &map.zero[inputs];
            let columns: Vec<Column> = (0..out_group)
                .map(|n| {
                    let zero = |tap: usize| i32::from(zeros[tap / (op.kernel * op.kernel)]);
                    let start: i32 = (0..taps).map(|tap| i32::from(weight(n, tap)) * zero(tap)).sum();
                    column(quantised, outputs + n, -start, out.as_ref(), act)
                })
                .collect();
            let (window, ranges, weights) = if op.is_pointwise() {
                let (ranges, bytes) = quads_of(&part);
                let at = |row: usize, n: usize| bytes[row].map_or(0, |channel: usize| weight(n, channel));
                let weights = gemm::pack_int8(self.int8(), bytes.len(), out_group, at);
                (Window::Pixel, ranges, weights)
            } else {
                self.windows(&part, zeros, &op, out_group, &weight)
            };
            // Columns between maps may be written, and whole vectors are faster.
            let single = out_group == 1 && !op.is_pointwise();
            let whole = op.groups == 1 && residual.is_none() && !single;
            let lanes = self.int8_lanes();
            let product = Product {
                from: part.buffer,
                window,
                ranges,
                weights,
                constants: pack_columns(&columns, lanes),
                columns: if whole { out_group.next_multiple_of(lanes) } else { out_group },
                residual: residual.clone(),
                act,
                to: self.buffer_of[index],
                column: first + outputs,
            };
            let macs = (height * width * taps * out_group) as u64;
            let operation = Operation::Int8(Int8::Product(Box::new(product)));
            self.push(index, operation, (part.height, part.width), (height, width), macs);
        }
        View { buffer: self.buffer_of[index], columns: (first..first + channels).collect(), height, width }
    }

    fn int8(&self) -> Int8Isa {
        self.integers.as_ref().map_or(Isa::PORTABLE.int8(), |integers| integers.isa)
    }

    fn int8_lanes(&self) -> usize {
        self.int8().lanes()
    }

    /// Windows of a dense convolution over a copy of the rows: the window, its ranges and the packed weights.
    fn windows(
        &mut self,
        from: &View,
        zeros: &[u8],
        op: &Convolution,
        columns: usize,
        weight: &dyn Fn(usize, usize) -> i8,
    ) -> (Window, Vec<(usize, usize)>, Vec<u32>) {
        let order = from.by_column();
        let padded = order.len().next_multiple_of(QUAD);
        let (kernel, row) = (op.kernel, (from.width + op.kernel - 1) * padded / QUAD);
        let at = |k: usize, n: usize| {
            let (position, i) = (k / padded, k % padded);
            order.get(i).map_or(0, |channel| weight(n, channel * kernel * kernel + position))
        };
        let ranges: Vec<(usize, usize)> = (0..kernel).map(|ky| (ky * row, kernel * padded / QUAD)).collect();
        let weights = if columns == 1 {
            gemm::pack_column_int8(self.int8(), &ranges, |k| at(k, 0))
        } else {
            gemm::pack_int8(self.int8(), kernel * kernel * padded, columns, at)
        };
        let mut zeros: Vec<u8> = order.iter().map(|&channel| zeros[channel]).collect();
        zeros.resize(padded, 0);
        let scratch = self.scratch(self.workers * windows_len(kernel * row));
        let channels = channel_ranges(&order, &from.columns, None, 0);
        (Window::Map { kernel, stride: op.stride, channels, zeros, scratch }, ranges, weights)
    }

    fn depthwise_int8(
        &mut self,
        index: usize,
        from: &View,
        map: &MapQuantisation,
        op: &Convolution,
        quantised: &QuantisedConvolution,
        act: Option<Activation>,
    ) -> View {
        let out = self.map_of(NodeId(index));
        if out.is_none() || !depthwise::int8::fits(op.kernel, op.stride) {
            return self.unsupported(index);
        }
        let [channels, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
        let first = self.append_columns(index, channels);
        let order = from.by_column();
        let taps = op.kernel * op.kernel;
        let weights: Vec<i8> = order
            .iter()
            .flat_map(|&channel| quantised.weight[channel * taps..(channel + 1) * taps].iter().copied())
            .collect();
        let constants: Vec<Column> = order
            .iter()
            .map(|&channel| {
                let row = &quantised.weight[channel * taps..(channel + 1) * taps];
                let sum: i32 = row.iter().map(|&weight| i32::from(weight)).sum();
                column(quantised, channel, -sum * i32::from(map.zero[channel]), out.as_ref(), act)
            })
            .collect();
        let ranges = channel_ranges(&order, &from.columns, None, 0);
        let int8 = self.int8();
        let step = Depthwise {
            from: from.buffer,
            kernel: op.kernel,
            stride: op.stride,
            weights: depthwise::int8::pack_depthwise_int8(int8, &ranges, op.kernel, op.stride, &weights),
            constants: depthwise::int8::pack_depthwise_columns(int8, &ranges, &constants),
            zeros: order.iter().map(|&channel| map.zero[channel]).collect(),
            ranges,
            act,
            to: self.buffer_of[index],
            column: first,
        };
        let macs = (height * width * taps * channels) as u64;
        let operation = Operation::Int8(Int8::Depthwise(Box::new(step)));
        self.push(index, operation, (from.height, from.width), (height, width), macs);
        let mut columns = vec![0; channels];
        order.iter().enumerate().for_each(|(i, &channel)| columns[channel] = first + i);
        View { buffer: self.buffer_of[index], columns, height, width }
    }

    /// Lowers the convolution of the image, whose zero points depend on the border: padding is a normalised zero, which is no
    /// byte.
    fn stem_int8(
        &mut self,
        index: usize,
        block: &Block,
        op: &Convolution,
        quantised: &QuantisedConvolution,
        act: Option<Activation>,
    ) -> View {
        let out = self.map_of(NodeId(index));
        let image = self.integers.as_ref().and_then(|integers| integers.image);
        let is_stem = (op.kernel, op.stride) == STEM && block.sum.is_none() && out.is_some();
        let Some(image) = image.filter(|_| is_stem) else { return self.unsupported(index) };
        let [channels, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
        let first = self.append_columns(index, channels);
        let (kernel, taps) = (op.kernel, 3 * op.kernel * op.kernel);
        let weight = |n: usize, c: usize, ky: usize, kx: usize| {
            quantised.weight[n * taps + (c * kernel + ky) * kernel + kx]
        };
        let mean = self.integers.as_ref().map_or([0.0; 3], |integers| integers.quantisation.mean);
        let lanes = self.int8_lanes();
        let mut constants = Vec::new();
        // The first row and column of the window that are inside the image: inside, left, top, corner.
        for (top, left) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let columns = (0..channels).map(|n| {
                let mut column = column(quantised, n, 0, out.as_ref(), act);
                let mut sum = 0.0f64;
                for (c, mean) in mean.iter().enumerate() {
                    for (ky, kx) in (top..kernel).flat_map(|ky| (left..kernel).map(move |kx| (ky, kx))) {
                        sum += f64::from(weight(n, c, ky, kx)) * (255.0 * f64::from(*mean));
                    }
                }
                column.bias = (f64::from(quantised.bias[n]) - f64::from(quantised.scale[n]) * sum) as f32;
                column
            });
            constants.extend(pack_columns(&columns.collect::<Vec<_>>(), lanes));
        }
        let at = |row: usize, n: usize| {
            let (position, c) = (row / QUAD, row % QUAD);
            if c < 3 { weight(n, c, position / kernel, position % kernel) } else { 0 }
        };
        let (full, pool) = (self.input_size.1 / 2, block.pool.is_some());
        let scratch = if pool {
            let row = full * channels.next_multiple_of(16);
            self.scratch(self.workers * (3 * row).div_ceil(QUAD))
        } else {
            0
        };
        let row = self.input_size.1 + 1;
        let product = Product {
            from: image,
            window: Window::Image { pool, scratch },
            ranges: (0..kernel).map(|ky| (ky * row, kernel)).collect(),
            weights: gemm::pack_int8(self.int8(), QUAD * kernel * kernel, channels, at),
            constants,
            // As for other products, columns after the last channel may be written.
            columns: channels.next_multiple_of(lanes),
            residual: None,
            act,
            to: self.buffer_of[index],
            column: first,
        };
        let macs = (self.input_size.0 / 2 * full * taps * channels) as u64;
        let operation = Operation::Int8(Int8::Product(Box::new(product)));
        self.push(index, operation, self.input_size, (height, width), macs);
        View { buffer: self.buffer_of[index], columns: (first..first + channels).collect(), height, width }
    }
}
