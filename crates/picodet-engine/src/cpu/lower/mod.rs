//! Lowers a graph to a schedule of steps on buffers.
//!
//! Each block that [`pass::fuse()`] finds becomes one step. Values that a concat, a slice or a channel shuffle connects
//! share one buffer, so that those operations only select columns of it and need no step. Squeeze-excite factors are
//! multiplied into the weights of the convolution that reads the scaled map, if no other step reads that map.

mod convolution;
mod elementwise;
mod integers;
mod quantised;
#[cfg(test)]
mod tests;

use picodet_graph::pass::{self, Block, ChannelSource, Fusion, reads_image};
use picodet_graph::{Activation, Graph, NodeId, Op, Quantisation, Tensor};
use picodet_kernel::ChannelRange;
use picodet_simd::Int8Isa;

use super::schedule::{Buffer, BufferId, Operation, Schedule, Step, View, place};
use super::{Isa, Precision, dtype, separable};
use crate::PlanError;
use integers::Integers;

struct Lowering<'a> {
    graph: &'a Graph,
    weights: &'a picodet_graph::Weights,
    input_size: (usize, usize),
    isa: Isa,
    workers: usize,
    precision: Precision,
    /// Blocks and aliases of the graph.
    fusion: Fusion,
    /// The buffer of each node.
    buffer_of: Vec<BufferId>,
    values: Vec<Option<View>>,
    buffers: Vec<Buffer>,
    steps: Vec<Step>,
    /// The integers of a quantised network.
    integers: Option<Integers<'a>>,
}

/// Lowers a sound graph, whose batch norms [`pass::fold_batch_norm`] has folded, and its weights, in f32 or bf16.
pub(crate) fn lower(
    graph: &Graph,
    weights: &picodet_graph::Weights,
    input_size: (usize, usize),
    isa: Isa,
    workers: usize,
    precision: Precision,
) -> Schedule {
    let settings = Settings { isa, int8: isa.int8(), workers, precision };
    // Only quantised networks can have nodes that are not supported.
    lower_with(graph, weights, None, input_size, settings).0
}

/// How a graph is lowered.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) isa: Isa,
    pub(crate) int8: Int8Isa,
    pub(crate) workers: usize,
    pub(crate) precision: Precision,
}

/// Lowers a sound graph as [`lower`], with bytes where `quantisation`, which fits the graph, has scales.
///
/// # Errors
/// [`PlanError::NotQuantisable`] names a node that no kernel of bytes computes.
pub(crate) fn lower_quantised(
    graph: &Graph,
    weights: &picodet_graph::Weights,
    quantisation: &Quantisation,
    input_size: (usize, usize),
    settings: Settings,
) -> Result<Schedule, PlanError> {
    let (schedule, result) = lower_with(graph, weights, Some(quantisation), input_size, settings);
    result.map(|()| schedule)
}

fn lower_with(
    graph: &Graph,
    weights: &picodet_graph::Weights,
    quantisation: Option<&Quantisation>,
    input_size: (usize, usize),
    Settings { isa, int8, workers, precision }: Settings,
) -> (Schedule, Result<(), PlanError>) {
    let count = graph.nodes.len();
    let fusion = pass::fuse(graph);
    let integers = quantisation.map(|quantisation| Integers::new(graph, &fusion, quantisation, int8));
    let mut lowering = Lowering {
        graph,
        weights,
        input_size,
        isa,
        workers,
        precision,
        fusion,
        buffer_of: Vec::new(),
        values: vec![None; count],
        buffers: Vec::new(),
        steps: Vec::new(),
        integers,
    };
    lowering.assign_buffers();
    for index in 0..count {
        lowering.lower_node(index);
    }
    let Lowering { mut buffers, mut steps, integers, .. } = lowering;
    let result = integers.map_or(Ok(()), Integers::result);
    dtype::assign_dtypes(&mut buffers, &mut steps);
    buffers.iter_mut().for_each(Buffer::avoid_cache_conflicts);
    let steps = separable::join(&mut buffers, steps, workers);
    let zeros = place(&mut buffers, &steps);
    // The row of zeros, read for pixels outside of a map, is as long as the longest pixel of a depthwise source.
    let sources = steps.iter().filter_map(|step| step.operation.depthwise_source());
    let row = sources.map(|from| buffers[from].words_per_pixel()).max().unwrap_or(0);
    let outputs = graph.outputs.iter();
    let outputs =
        outputs.map(|out| (out.name.clone(), graph.node(out.node).shape.resolve(input_size))).collect();
    (Schedule { isa, int8, workers, buffers, steps, outputs, zeros, arena: zeros + row.max(16) }, result)
}

/// Ranges of channels that are consecutive in `source` and `other`; destinations are consecutive from `first`.
fn channel_ranges(
    order: &[usize],
    source: &[usize],
    other: Option<&[usize]>,
    first: usize,
) -> Vec<ChannelRange> {
    let mut ranges: Vec<ChannelRange> = Vec::new();
    for (i, &channel) in order.iter().enumerate() {
        let (from, with) = (source[channel], other.map_or(0, |other| other[channel]));
        match ranges.last_mut() {
            Some(range)
                if range.source + range.len == from
                    && (other.is_none() || range.other + range.len == with) =>
            {
                range.len += 1;
            }
            _ => ranges.push(ChannelRange { source: from, other: with, destination: first + i, len: 1 }),
        }
    }
    ranges
}

impl Lowering<'_> {
    /// The block of a convolution that a node is part of.
    fn block(&self, index: usize) -> Option<Block> {
        self.fusion.block(NodeId(index)).copied().filter(|block| block.convolution.is_some())
    }

    /// Where the channels of a node come from if it is an alias; see [`Fusion::channel_sources`]. The scale of a quantised
    /// network has its own map.
    fn channel_sources(&self, id: NodeId) -> Option<Vec<ChannelSource>> {
        let is_alias = self.graph.node(id).op != Op::Scale || self.folds_scale(id);
        is_alias.then(|| self.fusion.channel_sources(self.graph, id))?
    }

    /// Whether the factors of a scale are multiplied into weights.
    fn folds_scale(&self, id: NodeId) -> bool {
        self.integers.is_none() && self.fusion.folds_scale(id)
    }

    /// Gives each node a buffer, the same one to nodes that an alias connects.
    fn assign_buffers(&mut self) {
        let count = self.graph.nodes.len();
        let mut parent: Vec<usize> = (0..count).collect();
        fn root(parent: &mut [usize], mut index: usize) -> usize {
            while parent[index] != index {
                parent[index] = parent[parent[index]];
                index = parent[index];
            }
            index
        }
        for index in 0..count {
            for source in self.channel_sources(NodeId(index)).into_iter().flatten() {
                let (a, b) = (root(&mut parent, index), root(&mut parent, source.node.0));
                parent[a.max(b)] = a.min(b);
            }
        }
        let mut buffer_of_root = vec![None; count];
        for index in 0..count {
            let [_, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
            let root = root(&mut parent, index);
            let buffers = &mut self.buffers;
            let buffer = *buffer_of_root[root].get_or_insert_with(|| {
                buffers.push(Buffer::new(0, height * width));
                buffers.len() - 1
            });
            if self.integers.as_ref().is_some_and(|integers| integers.is_bytes(index)) {
                dtype::make_bytes(&mut self.buffers[buffer]);
            }
            self.buffer_of.push(buffer);
        }
    }

    /// Appends `channels` columns, aligned to cache lines, to the buffer of a node, and returns the first.
    fn append_columns(&mut self, index: usize, channels: usize) -> usize {
        let buffer = &mut self.buffers[self.buffer_of[index]];
        let first = buffer.stride;
        buffer.stride += channels.next_multiple_of(16);
        first
    }

    /// Adds a buffer for temporary values.
    fn scratch(&mut self, len: usize) -> BufferId {
        self.map(len, 1)
    }

    /// Adds a buffer of a map that is not the value of a node.
    fn map(&mut self, stride: usize, cells: usize) -> BufferId {
        self.buffers.push(Buffer::new(stride, cells));
        self.buffers.len() - 1
    }

    fn value(&self, id: NodeId) -> View {
        if let Some(float) = self.integers.as_ref().and_then(|integers| integers.float(id)) {
            return float.clone();
        }
        // Inner nodes of blocks have no value, but also no readers outside of the block.
        self.values[id.0].clone().unwrap_or(View { buffer: 0, columns: Vec::new(), height: 0, width: 0 })
    }

    fn tensor(&self, index: usize, param: usize) -> Option<&Tensor> {
        let id = self.graph.nodes[index].params.get(param)?;
        self.weights.get(&self.graph.params[id.0].name)
    }

    fn data(&self, index: usize, param: usize) -> Vec<f32> {
        self.tensor(index, param).map(|tensor| tensor.data.clone()).unwrap_or_default()
    }

    fn push(
        &mut self,
        index: usize,
        operation: Operation,
        size: (usize, usize),
        out_size: (usize, usize),
        macs: u64,
    ) {
        let scope = self.graph.nodes[index].scope.clone();
        self.steps.push(Step { scope, operation, size, out_size, macs });
    }

    fn lower_node(&mut self, index: usize) {
        let node = &self.graph.nodes[index];
        let is_inner = self.block(index).is_some_and(|block| block.last.0 != index);
        if is_inner || self.exports_activated(index) {
            return;
        }
        if let Some(value) = self.lower_quantised(index) {
            self.values[index] = Some(value);
            self.export(index, index, None);
            return;
        }
        let [channels, height, width] = node.shape.resolve(self.input_size);
        let buffer = self.buffer_of[index];
        let view = |columns: Vec<usize>| View { buffer, columns, height, width };
        let value = match node.op {
            Op::Input => {
                if !self.needs_import(index) {
                    return;
                }
                let first = self.append_columns(index, channels);
                let columns: Vec<usize> = (first..first + channels).collect();
                let operation = Operation::Import { to: buffer, columns: columns.clone() };
                self.push(index, operation, (height, width), (height, width), 0);
                view(columns)
            }
            Op::Linear { out_features } => {
                let (weight, bias) = (self.data(index, 0), self.data(index, 1));
                let from = self.value(node.inputs[0]);
                let at = |k: usize, n: usize| weight[k * out_features + n];
                let first = self.append_columns(index, out_features);
                self.pointwise(index, &from, None, out_features, &at, &bias, None, None, first);
                view((first..first + out_features).collect())
            }
            Op::GlobalAveragePool => self.global_average_pool(index),
            _ => match (self.alias_columns(index), self.block(index)) {
                (Some(columns), _) => view(columns),
                (None, Some(block)) => self.convolution(index, &block),
                (None, None) => self.elementwise(index),
            },
        };
        self.values[index] = Some(value);
        self.export(index, index, None);
    }

    /// The columns of a node that only selects and orders channels of others.
    fn alias_columns(&self, index: usize) -> Option<Vec<usize>> {
        let sources = self.channel_sources(NodeId(index))?;
        let columns_of = |source: &ChannelSource| {
            let columns = self.values[source.node.0].as_ref().map_or(&[][..], |value| &value.columns);
            columns.get(source.first..source.first + source.len).unwrap_or_default()
        };
        Some(sources.iter().flat_map(columns_of).copied().collect())
    }

    /// Copies node `from` to every output that names node `index`.
    fn export(&mut self, index: usize, from: usize, act: Option<Activation>) {
        for output in 0..self.graph.outputs.len() {
            if self.graph.outputs[output].node.0 != index {
                continue;
            }
            self.dequantise(NodeId(from));
            let View { buffer, columns, height, width } = self.value(NodeId(from));
            let operation = Operation::Export { from: buffer, columns, output, act };
            self.push(index, operation, (height, width), (height, width), 0);
        }
    }

    /// Lowers an activation that is only an output: it is applied while its input is copied.
    fn exports_activated(&mut self, index: usize) -> bool {
        let node = &self.graph.nodes[index];
        let read = self.graph.nodes.iter().any(|reader| reader.inputs.contains(&NodeId(index)));
        let Op::Activation(act) = node.op else { return false };
        if self.block(index).is_some() || read || self.values[node.inputs[0].0].is_none() {
            return false;
        }
        let from = node.inputs[0].0;
        self.export(index, from, Some(act));
        true
    }

    /// Whether any node but convolutions that read the image's planes reads the image.
    fn needs_import(&self, index: usize) -> bool {
        let named = self.graph.outputs.iter().any(|output| output.node.0 == index);
        let reads = |id: &NodeId| self.graph.node(*id).inputs.contains(&NodeId(index));
        let mut readers = (0..self.graph.nodes.len()).map(NodeId).filter(reads);
        named || readers.any(|id| !reads_image(self.graph, id))
    }
}
