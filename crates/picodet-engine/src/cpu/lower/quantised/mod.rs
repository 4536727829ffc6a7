//! Lowers the byte maps of a quantised network: the same steps as in f32, on bytes.

mod convolution;
mod elementwise;

use picodet_graph::{MapQuantisation, NodeId, Op, QuantisedConvolution};
use picodet_kernel::program::int8::ByteMap;

use super::Lowering;
use crate::cpu::dtype;
use crate::cpu::schedule::{BufferId, View};

/// The zero points as f32.
fn zeros_of(map: &MapQuantisation) -> impl Iterator<Item = f32> {
    map.zero.iter().map(|&zero| f32::from(zero))
}

/// The values of the channels in this order, zeros up to a multiple of sixteen.
fn ordered(values: &[f32], order: &[usize]) -> Vec<f32> {
    let mut ordered: Vec<f32> = order.iter().map(|&channel| values[channel]).collect();
    ordered.resize(ordered.len().next_multiple_of(16), 0.0);
    ordered
}

impl<'a> Lowering<'a> {
    /// The integers of a convolution.
    fn quantised(&self, convolution: usize) -> Option<&'a QuantisedConvolution> {
        let integers = self.integers.as_ref()?;
        integers.quantisation.convolutions.get(&self.graph.nodes[convolution].scope)
    }

    /// The scales of a byte node.
    fn map_of(&self, id: NodeId) -> Option<MapQuantisation> {
        self.integers.as_ref()?.map(id).cloned()
    }

    /// Notes a node that no kernel computes, and returns a value in its place.
    fn unsupported(&mut self, index: usize) -> View {
        let scope = self.graph.nodes[index].scope.clone();
        if let Some(integers) = &mut self.integers {
            integers.unsupported.get_or_insert(scope);
        }
        let [channels, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
        let first = self.append_columns(index, channels);
        View { buffer: self.buffer_of[index], columns: (first..first + channels).collect(), height, width }
    }

    /// Lowers a node of a quantised network; `None` if it is computed as in f32.
    pub(super) fn lower_quantised(&mut self, index: usize) -> Option<View> {
        let integers = self.integers.as_ref()?;
        let node = &self.graph.nodes[index];
        let reads_bytes = node.inputs.first().is_some_and(|input| integers.is_bytes(input.0));
        let is_bytes = integers.is_bytes(index);
        if node.op == Op::Input {
            self.import_bytes(index);
            return None;
        }
        if let Some(block) = self.block(index)
            && let Some(convolution) = block.convolution
        {
            if let Some(quantised) = self.quantised(convolution.0) {
                return Some(self.quantised_convolution(index, &block, quantised));
            }
            if is_bytes {
                return Some(self.quantised_floats(index));
            }
            // A convolution of one pixel may read bytes as well.
            self.dequantise_inputs(index);
            if let Some(gate) = self.gate(index, &block) {
                return Some(gate);
            }
        } else if self.channel_sources(NodeId(index)).is_some() {
            // Only selects and orders bytes.
            return None;
        } else if is_bytes {
            return Some(self.byte_elementwise(index));
        } else if node.op == Op::GlobalAveragePool && reads_bytes {
            return Some(self.byte_mean(index));
        }
        self.dequantise_inputs(index);
        None
    }

    /// The columns of a byte node, with the constants of its channels in this order.
    fn byte_map(&self, id: NodeId, order: &[usize], column: usize) -> ByteMap {
        let map = self.map_of(id).unwrap_or_default();
        let zeros: Vec<f32> = zeros_of(&map).collect();
        let buffer = self.values[id.0].as_ref().map_or(0, |view| view.buffer);
        ByteMap { buffer, column, scale: ordered(&map.scale, order), zero: ordered(&zeros, order) }
    }

    /// Converts the inputs of an f32 node, or of its block, to f32.
    fn dequantise_inputs(&mut self, index: usize) {
        let mut inputs = self.graph.nodes[index].inputs.clone();
        if let Some(block) = self.block(index) {
            inputs.extend(block.convolution.map(|convolution| self.graph.node(convolution).inputs[0]));
            inputs.extend(block.sum.map(|sum| sum.addend));
        }
        inputs.into_iter().for_each(|input| self.dequantise(input));
    }

    /// Creates a buffer of a byte node.
    fn byte_buffer(&mut self, stride: usize, cells: usize) -> BufferId {
        let buffer = self.map(stride, cells);
        dtype::make_bytes(&mut self.buffers[buffer]);
        buffer
    }
}
