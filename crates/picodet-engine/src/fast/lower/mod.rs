//! From a graph to a schedule.
//!
//! Values that a concat, a slice or a channel shuffle connects share one buffer, so that those operations only
//! rearrange lists of columns and no step is made for them. A convolution takes up the sum and the activation that
//! alone read it; squeeze-excite factors are multiplied into the weights of the convolution that alone reads the
//! scaled map.

mod convolution;
mod elementwise;
#[cfg(test)]
mod tests;

use picodet_graph::{Activation, Convolution, Graph, NodeId, Op, Tensor};

use super::kernel::Run;
use super::schedule::{Buffer, BufferId, Operation, Schedule, Step, View, place};
use super::{Isa, Precision, dtype, fuse};

/// A convolution with what it takes up.
#[derive(Clone, Copy)]
struct Fused {
    convolution: usize,
    residual: Option<NodeId>,
    act: Option<Activation>,
    /// Whether a max pool follows.
    pool: bool,
}

struct Lowering<'a> {
    graph: &'a Graph,
    weights: &'a picodet_graph::Weights,
    input_size: (usize, usize),
    isa: Isa,
    workers: usize,
    precision: Precision,
    /// For the last node of a fused convolution.
    fused: Vec<Option<Fused>>,
    /// Nodes that a later one makes on the way.
    inner: Vec<bool>,
    /// Scales that live in the weights of their reader.
    folded_scale: Vec<bool>,
    /// The buffer of each node that is not inner.
    class: Vec<BufferId>,
    values: Vec<Option<View>>,
    buffers: Vec<Buffer>,
    steps: Vec<Step>,
}

/// Makes the schedule of a sound graph and its weights (the batch norms folded as far as they can be).
pub(crate) fn lower(
    graph: &Graph,
    weights: &picodet_graph::Weights,
    input_size: (usize, usize),
    isa: Isa,
    workers: usize,
    precision: Precision,
) -> Schedule {
    let count = graph.nodes.len();
    let mut lowering = Lowering {
        graph,
        weights,
        input_size,
        isa,
        workers,
        precision,
        fused: vec![None; count],
        inner: vec![false; count],
        folded_scale: vec![false; count],
        class: Vec::new(),
        values: vec![None; count],
        buffers: Vec::new(),
        steps: Vec::new(),
    };
    lowering.find_fusions();
    lowering.find_classes();
    for index in 0..count {
        lowering.lower_node(index);
    }
    let Lowering { mut buffers, mut steps, .. } = lowering;
    dtype::assign_dtypes(&mut buffers, &mut steps);
    buffers.iter_mut().for_each(Buffer::avoid_cache_conflicts);
    let steps = fuse::separable(&mut buffers, steps, workers);
    let zeros = place(&mut buffers, &steps);
    // Cells beside a map are read from here, up to the last column that a depthwise convolution reads.
    let row = steps.iter().map(|step| match &step.operation {
        Operation::Depthwise { from, .. } => buffers[*from].words_per_pixel(),
        Operation::Separable { depthwise, .. } => match depthwise.operation {
            Operation::Depthwise { from, .. } => buffers[from].words_per_pixel(),
            _ => 0,
        },
        _ => 0,
    });
    let row = row.max().unwrap_or(0);
    let outputs = graph.outputs.iter();
    let outputs =
        outputs.map(|out| (out.name.clone(), graph.node(out.node).shape.resolve(input_size))).collect();
    Schedule { isa, workers, buffers, steps, outputs, zeros, arena: zeros + row.max(16) }
}

fn is_depthwise(op: &Convolution, in_channels: usize) -> bool {
    op.groups > 1 && op.groups == in_channels && op.out_channels == in_channels
}

fn is_pointwise(op: &Convolution) -> bool {
    op.kernel == 1 && op.stride == 1 && op.groups == 1
}

/// Runs of channels that are neighbours in all of `sources`; destinations count up from `first`.
fn zip_runs(order: &[usize], source: &[usize], other: Option<&[usize]>, first: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, &channel) in order.iter().enumerate() {
        let (from, with) = (source[channel], other.map_or(0, |other| other[channel]));
        match runs.last_mut() {
            Some(run) if run.source + run.len == from && (other.is_none() || run.other + run.len == with) => {
                run.len += 1;
            }
            _ => runs.push(Run { source: from, other: with, destination: first + i, len: 1 }),
        }
    }
    runs
}
impl Lowering<'_> {
    fn find_fusions(&mut self) {
        let readers = self.graph.readers();
        let alone = |index: usize| {
            let named = self.graph.outputs.iter().any(|output| output.node.0 == index);
            (!named && readers[index].len() == 1).then(|| readers[index][0].0)
        };
        for (index, node) in self.graph.nodes.iter().enumerate() {
            match node.op {
                Op::Convolution(op) => {
                    let in_channels = self.graph.node(node.inputs[0]).shape.channels;
                    let mut fused = Fused { convolution: index, residual: None, act: None, pool: false };
                    let mut last = index;
                    if let Some(reader) = alone(last)
                        && self.graph.nodes[reader].op == Op::Add
                        && !is_depthwise(&op, in_channels)
                        && self.fused[reader].is_none()
                    {
                        let inputs = &self.graph.nodes[reader].inputs;
                        fused.residual = inputs.iter().copied().find(|input| input.0 != index);
                        if fused.residual.is_some() {
                            self.inner[last] = true;
                            last = reader;
                        }
                    }
                    if let Some(reader) = alone(last)
                        && let Op::Activation(act) = self.graph.nodes[reader].op
                    {
                        fused.act = Some(act);
                        self.inner[last] = true;
                        last = reader;
                    }
                    if let Some(reader) = alone(last)
                        && self.graph.nodes[reader].op == Op::MaxPool
                        && self.reads_planar(index)
                    {
                        fused.pool = true;
                        self.inner[last] = true;
                        last = reader;
                    }
                    // The sum is marked too, so that no second convolution takes it.
                    if let Some(reader) = readers[index].first()
                        && fused.residual.is_some()
                    {
                        self.fused[reader.0] = Some(fused);
                    }
                    self.fused[last] = Some(fused);
                }
                Op::Scale => {
                    let Some(reader) = alone(index) else { continue };
                    if let Op::Convolution(op) = self.graph.nodes[reader].op {
                        self.folded_scale[index] =
                            is_pointwise(&op) || is_depthwise(&op, node.shape.channels);
                    }
                }
                _ => {}
            }
        }
    }

    fn is_alias(&self, index: usize) -> bool {
        match self.graph.nodes[index].op {
            Op::Concat | Op::Slice { .. } | Op::ChannelShuffle => true,
            Op::Scale => self.folded_scale[index],
            _ => false,
        }
    }

    /// Gives each node a buffer, the same one to nodes that an alias connects.
    fn find_classes(&mut self) {
        let count = self.graph.nodes.len();
        let mut parent: Vec<usize> = (0..count).collect();
        fn root(parent: &mut [usize], mut index: usize) -> usize {
            while parent[index] != index {
                parent[index] = parent[parent[index]];
                index = parent[index];
            }
            index
        }
        for (index, node) in self.graph.nodes.iter().enumerate() {
            if !self.is_alias(index) {
                continue;
            }
            let inputs = if node.op == Op::Scale { &node.inputs[..1] } else { &node.inputs[..] };
            for input in inputs {
                let (a, b) = (root(&mut parent, index), root(&mut parent, input.0));
                parent[a.max(b)] = a.min(b);
            }
        }
        let mut buffer_of = vec![None; count];
        for index in 0..count {
            let [_, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
            let root = root(&mut parent, index);
            let buffers = &mut self.buffers;
            let buffer = *buffer_of[root].get_or_insert_with(|| {
                buffers.push(Buffer::new(0, height * width));
                buffers.len() - 1
            });
            self.class.push(buffer);
        }
    }

    /// Takes `channels` new columns, on a cache line, in the buffer of a node.
    fn take(&mut self, index: usize, channels: usize) -> usize {
        let buffer = &mut self.buffers[self.class[index]];
        let first = buffer.stride;
        buffer.stride += channels.next_multiple_of(16);
        first
    }

    /// Memory that is no map.
    fn scratch(&mut self, len: usize) -> BufferId {
        self.map(len, 1)
    }

    /// A map that no node stands for.
    fn map(&mut self, stride: usize, cells: usize) -> BufferId {
        self.buffers.push(Buffer::new(stride, cells));
        self.buffers.len() - 1
    }

    fn value(&self, id: NodeId) -> View {
        // Nodes are in topological order and inner nodes have no readers but their last node.
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
        if self.inner[index] {
            return;
        }
        if self.exports_activated(index) {
            return;
        }
        let [channels, height, width] = node.shape.resolve(self.input_size);
        let buffer = self.class[index];
        let view = |columns: Vec<usize>| View { buffer, columns, height, width };
        let value = match node.op {
            Op::Input => {
                if !self.needs_import(index) {
                    return;
                }
                let first = self.take(index, channels);
                let columns: Vec<usize> = (first..first + channels).collect();
                let operation = Operation::Import { to: buffer, columns: columns.clone() };
                self.push(index, operation, (height, width), (height, width), 0);
                view(columns)
            }
            Op::Concat => view(node.inputs.iter().flat_map(|&input| self.value(input).columns).collect()),
            Op::Slice { start, len } => view(self.value(node.inputs[0]).columns[start..start + len].to_vec()),
            Op::ChannelShuffle => {
                let from = self.value(node.inputs[0]).columns;
                let half = channels / 2;
                view((0..half).flat_map(|i| [from[i], from[half + i]]).collect())
            }
            Op::Scale if self.folded_scale[index] => self.value(node.inputs[0]),
            Op::Linear { out_features } => {
                let (weight, bias) = (self.data(index, 0), self.data(index, 1));
                let from = self.value(node.inputs[0]);
                let at = |k: usize, n: usize| weight[k * out_features + n];
                let first = self.take(index, out_features);
                self.pointwise(index, &from, None, out_features, &at, &bias, None, None, first);
                view((first..first + out_features).collect())
            }
            Op::Convolution(_) | Op::Add | Op::Activation(_) | Op::MaxPool if self.fused[index].is_some() => {
                self.convolution(index)
            }
            Op::GlobalAveragePool => self.global_average_pool(index),
            _ => self.elementwise(index),
        };
        self.values[index] = Some(value);
        self.export(index, index, None);
    }

    /// Copies node `from` to every output that names node `index`.
    fn export(&mut self, index: usize, from: usize, act: Option<Activation>) {
        for output in 0..self.graph.outputs.len() {
            if self.graph.outputs[output].node.0 != index {
                continue;
            }
            let View { buffer, columns, height, width } = self.value(NodeId(from));
            let operation = Operation::Export { from: buffer, columns, output, act };
            self.push(index, operation, (height, width), (height, width), 0);
        }
    }

    /// An activation that only the caller reads is applied while its input is copied out.
    fn exports_activated(&mut self, index: usize) -> bool {
        let node = &self.graph.nodes[index];
        let read = self.graph.nodes.iter().any(|reader| reader.inputs.contains(&NodeId(index)));
        let Op::Activation(act) = node.op else { return false };
        if self.fused[index].is_some() || read || self.values[node.inputs[0].0].is_none() {
            return false;
        }
        let from = node.inputs[0].0;
        self.export(index, from, Some(act));
        true
    }

    /// Whether the image is read by anything but convolutions that take it planar.
    fn needs_import(&self, index: usize) -> bool {
        let named = self.graph.outputs.iter().any(|output| output.node.0 == index);
        let reads_planar = |op: &Op| matches!(op, Op::Convolution(c) if c.groups == 1 && !is_pointwise(c));
        let mut readers = self.graph.nodes.iter().filter(|node| node.inputs.contains(&NodeId(index)));
        named || readers.any(|node| !reads_planar(&node.op))
    }

    /// Whether a node is a convolution that takes the image as it comes.
    fn reads_planar(&self, index: usize) -> bool {
        let node = &self.graph.nodes[index];
        let planar = |op: &Convolution| op.groups == 1 && !is_pointwise(op);
        matches!(&node.op, Op::Convolution(op) if planar(op))
            && matches!(self.graph.node(node.inputs[0]).op, Op::Input)
    }
}
