//! Lowers operations on bytes that are not convolutions, and the borders between bytes and f32.

use picodet_graph::pass::{Block, reads_image};
use picodet_graph::quantised::ByteStore;
use picodet_graph::{NodeId, Op};
use picodet_kernel::ChannelRange;
use picodet_kernel::program::int8::{ByteMap, Elementwise, ElementwiseKind, Int8};

use super::super::{Lowering, channel_ranges};
use super::{ordered, zeros_of};
use crate::cpu::schedule::{Operation, View};

impl Lowering<'_> {
    /// Converts the image to bytes if a quantised convolution reads it.
    pub(super) fn import_bytes(&mut self, index: usize) {
        let reads = |id: NodeId| {
            let reads = self.graph.node(id).inputs.contains(&NodeId(index));
            reads && reads_image(self.graph, id) && self.quantised(id.0).is_some()
        };
        if !(0..self.graph.nodes.len()).map(NodeId).any(reads) {
            return;
        }
        let size = self.input_size;
        let to = self.byte_buffer(4, (size.0 + 1) * (size.1 + 1));
        if let Some(integers) = &mut self.integers {
            integers.image = Some(to);
            let (mean, std) = (integers.quantisation.mean, integers.quantisation.std);
            let levels = std::array::from_fn(|c| (255.0 * std[c], 255.0 * mean[c]));
            self.push(index, Operation::Int8(Int8::Import { to, levels }), size, size, 0);
        }
    }

    /// Lowers a scale, a sum, a pool or an upsampling of bytes.
    pub(super) fn byte_elementwise(&mut self, index: usize) -> View {
        let node = &self.graph.nodes[index];
        let input = node.inputs[0];
        let [channels, height, width] = node.shape.resolve(self.input_size);
        let (Some(from), Some(out)) = (self.values[input.0].clone(), self.map_of(NodeId(index))) else {
            return self.unsupported(index);
        };
        let is_float = |id: NodeId| self.map_of(id).is_none();
        let second = node.inputs.get(1).copied();
        if is_float(input) || node.op == Op::Add && second.is_some_and(is_float) {
            return self.quantised_floats(index);
        }
        let Some(map) = self.map_of(input) else { return self.unsupported(index) };
        let order = from.by_column();
        let to = self.buffer_of[index];
        let size = (from.height, from.width);
        let zeros: Vec<f32> = zeros_of(&out).collect();
        let mut source = self.byte_map(input, &order, 0);
        let with = second.and_then(|second| self.values[second.0].clone());
        let kind = match (node.op, second, &with) {
            (Op::MaxPool | Op::UpsampleNearest, ..) => {
                let first = self.append_columns(index, channels);
                let ranges = channel_ranges(&order, &from.columns, None, first);
                let pool = node.op == Op::MaxPool;
                let operation = Int8::Resample { pool, from: from.buffer, to, ranges };
                self.push(index, Operation::Int8(operation), size, (height, width), 0);
                return self.in_order(index, &order, first);
            }
            (Op::Scale, Some(_), Some(factors)) => {
                let ratio: Vec<f32> = (0..channels).map(|c| map.scale[c] / out.scale[c]).collect();
                source.scale = ordered(&ratio, &order);
                ElementwiseKind::Scale { factors: factors.buffer }
            }
            (Op::Add, Some(second), Some(_)) if self.map_of(second).is_some() => {
                let factors: Vec<f32> = out.stores(None).iter().map(ByteStore::factor).collect();
                let other = self.byte_map(second, &order, 0);
                ElementwiseKind::Add { other, act: None, factor: ordered(&factors, &order) }
            }
            _ => return self.unsupported(index),
        };
        let first = self.append_columns(index, channels);
        let ranges = channel_ranges(&order, &from.columns, with.as_ref().map(|view| &view.columns[..]), 0);
        let elementwise =
            Elementwise { kind, from: source, ranges, out_zero: ordered(&zeros, &order), to, column: first };
        let operation = Operation::Int8(Int8::Elementwise(Box::new(elementwise)));
        self.push(index, operation, size, (height, width), 0);
        self.in_order(index, &order, first)
    }

    /// Computes a node in f32 and stores the result as bytes.
    pub(super) fn quantised_floats(&mut self, index: usize) -> View {
        let Some(map) = self.map_of(NodeId(index)) else { return self.unsupported(index) };
        self.dequantise_inputs(index);
        let [channels, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
        let bytes = self.buffer_of[index];
        self.buffer_of[index] = self.map(0, height * width);
        let from = match self.block(index) {
            Some(block) => self.convolution(index, &block),
            None => self.elementwise(index),
        };
        self.buffer_of[index] = bytes;
        let order = from.by_column();
        let first = self.append_columns(index, channels);
        let factors: Vec<f32> = map.stores(None).iter().map(ByteStore::factor).collect();
        let zeros: Vec<f32> = zeros_of(&map).collect();
        let elementwise = Elementwise {
            kind: ElementwiseKind::Quantise,
            from: ByteMap {
                buffer: from.buffer,
                column: 0,
                scale: ordered(&factors, &order),
                zero: ordered(&zeros, &order),
            },
            ranges: channel_ranges(&order, &from.columns, None, 0),
            out_zero: ordered(&zeros, &order),
            to: bytes,
            column: first,
        };
        let operation = Operation::Int8(Int8::Elementwise(Box::new(elementwise)));
        self.push(index, operation, (height, width), (height, width), 0);
        self.in_order(index, &order, first)
    }

    /// The value of a node whose channels are stored in this order from column `first` on.
    fn in_order(&self, index: usize, order: &[usize], first: usize) -> View {
        let [channels, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
        let mut columns = vec![0; channels];
        order.iter().enumerate().for_each(|(i, &channel)| columns[channel] = first + i);
        View { buffer: self.buffer_of[index], columns, height, width }
    }

    /// Lowers the mean over a byte map, whose channels are stored in their own order.
    pub(super) fn byte_mean(&mut self, index: usize) -> View {
        let input = self.graph.nodes[index].inputs[0];
        let (Some(from), Some(map)) = (self.values[input.0].clone(), self.map_of(input)) else {
            return self.unsupported(index);
        };
        let channels = from.columns.len();
        let sums = self.scratch(self.workers * channels.next_multiple_of(16));
        let size = (from.height, from.width);
        let cells = size.0 * size.1;
        let ranges = from.columns.iter().enumerate().fold(Vec::new(), |mut ranges, (channel, &column)| {
            match ranges.last_mut() {
                Some(ChannelRange { source, len, .. }) if *source + *len == column => *len += 1,
                _ => ranges.push(ChannelRange { source: column, other: 0, destination: channel, len: 1 }),
            }
            ranges
        });
        let operation = Int8::Sum { from: from.buffer, ranges, to: sums };
        self.push(index, Operation::Int8(operation), size, size, 0);
        let levels = map.zero.iter().zip(&map.scale);
        let levels =
            levels.map(|(&zero, scale)| (cells as i64 * i64::from(zero), scale / cells as f32)).collect();
        let column = self.append_columns(index, channels);
        let to = self.buffer_of[index];
        self.push(index, Operation::Int8(Int8::Mean { sums, levels, to, column }), size, (1, 1), 0);
        View { buffer: to, columns: (column..column + channels).collect(), height: 1, width: 1 }
    }

    /// Lowers an f32 convolution of one pixel; `None` if the block is another.
    pub(super) fn gate(&mut self, index: usize, block: &Block) -> Option<View> {
        let convolution = block.convolution?;
        let node = self.graph.node(convolution);
        let Op::Convolution(op) = node.op else { return None };
        let input = node.inputs[0];
        let floats = self.integers.as_ref().and_then(|integers| integers.float(input));
        let from = floats.or(self.values[input.0].as_ref())?.clone();
        let is_plain = op.is_pointwise() && block.sum.is_none() && block.pool.is_none();
        let first = from.contiguous().filter(|_| is_plain && (from.height, from.width) == (1, 1))?;
        let (inputs, columns) = (from.columns.len(), op.out_channels);
        let padded = columns.next_multiple_of(16);
        let (weight, mut bias) = (self.data(convolution.0, 0), self.data(convolution.0, 1));
        bias.resize(padded, 0.0);
        let mut weights = vec![0.0; inputs * padded];
        for (k, row) in weights.chunks_exact_mut(padded).enumerate() {
            row.iter_mut().take(columns).enumerate().for_each(|(n, value)| *value = weight[n * inputs + k]);
        }
        let column = self.append_columns(index, columns);
        let to = self.buffer_of[index];
        let act = block.function(self.graph);
        let gate = Int8::Gate { from: from.buffer, first, weights, bias, columns, act, to, column };
        self.push(index, Operation::Int8(gate), (1, 1), (1, 1), (inputs * columns) as u64);
        Some(View { buffer: to, columns: (column..column + columns).collect(), height: 1, width: 1 })
    }

    /// Converts a byte node to f32, once.
    pub(in crate::cpu::lower) fn dequantise(&mut self, id: NodeId) {
        let Some(integers) = &self.integers else { return };
        let Some(from) = self.values[id.0].clone() else { return };
        if !integers.is_bytes(id.0) || integers.float(id).is_some() {
            return;
        }
        let order = from.by_column();
        let channels = order.len();
        let size = (from.height, from.width);
        let to = self.map(channels.next_multiple_of(16), size.0 * size.1);
        let elementwise = Elementwise {
            kind: ElementwiseKind::Dequantise,
            from: self.byte_map(id, &order, 0),
            ranges: channel_ranges(&order, &from.columns, None, 0),
            out_zero: Vec::new(),
            to,
            column: 0,
        };
        let operation = Operation::Int8(Int8::Elementwise(Box::new(elementwise)));
        self.push(id.0, operation, size, size, 0);
        let mut columns = vec![0; channels];
        order.iter().enumerate().for_each(|(i, &channel)| columns[channel] = i);
        if let Some(integers) = &mut self.integers {
            integers.floats[id.0] = Some(View { buffer: to, columns, height: size.0, width: size.1 });
        }
    }
}
