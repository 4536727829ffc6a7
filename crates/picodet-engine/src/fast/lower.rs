//! From a graph to a schedule.
//!
//! Values that a concat, a slice or a channel shuffle connects share one buffer, so that those operations only
//! rearrange lists of columns and no step is made for them. A convolution takes up the sum and the activation that
//! alone read it; squeeze-excite factors are multiplied into the weights of the convolution that alone reads the
//! scaled map.

use picodet_graph::{Activation, Convolution, Graph, NodeId, Op, ResizeFactor, Tensor};

use super::kernel::{Run, gemm, gemm_bf16, stem};
use super::schedule::{
    Buffer, BufferId, DenseKind, DenseSource, Elementwise, Operation, Residual, Schedule, Step, View,
    Weights, place,
};
use super::{Isa, Precision, fuse};

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
    /// Convolutions with none between them and an output: what they round, nobody evens out.
    predicts: Vec<bool>,
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
        predicts: predictions(graph),
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
    let Lowering { mut buffers, steps, .. } = lowering;
    for buffer in &mut buffers {
        // Strides of whole KiB would send all rows of a tile to the same sets of the cache.
        if buffer.cells > 1 && buffer.stride.is_multiple_of(256) {
            buffer.stride += 16;
        }
    }
    let steps = fuse::separable(&mut buffers, steps, workers);
    let zeros = place(&mut buffers, &steps);
    // Cells beside a map are read from here, up to the last column that a depthwise convolution reads.
    let row = steps.iter().map(|step| match &step.operation {
        Operation::Depthwise { from, .. } => buffers[*from].stride,
        Operation::Separable { depthwise, .. } => match depthwise.operation {
            Operation::Depthwise { from, .. } => buffers[from].stride,
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

/// For each node, whether it is a convolution that an output shows without another one between.
fn predictions(graph: &Graph) -> Vec<bool> {
    let mut predicts = vec![false; graph.nodes.len()];
    let mut seen = vec![false; graph.nodes.len()];
    let mut open: Vec<usize> = graph.outputs.iter().map(|output| output.node.0).collect();
    while let Some(index) = open.pop() {
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        let node = &graph.nodes[index];
        predicts[index] = matches!(node.op, Op::Convolution(_));
        if !predicts[index] {
            open.extend(node.inputs.iter().map(|input| input.0));
        }
    }
    predicts
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

fn column_runs(order: &[usize], columns: &[usize]) -> Vec<(usize, usize)> {
    zip_runs(order, columns, None, 0).into_iter().map(|run| (run.source, run.len)).collect()
}

fn padded(bias: impl Iterator<Item = f32>, lanes: usize) -> Vec<f32> {
    let mut bias: Vec<f32> = bias.collect();
    bias.resize(bias.len().next_multiple_of(lanes), 0.0);
    bias
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
                buffers.push(Buffer { stride: 0, cells: height * width, offset: 0 });
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
        self.buffers.push(Buffer { stride: len, cells: 1, offset: 0 });
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
                self.pointwise(index, index, &from, None, out_features, &at, &bias, None, None, first);
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

    fn convolution(&mut self, index: usize) -> View {
        let Some(Fused { convolution, residual, act, pool }) = self.fused[index] else {
            return self.elementwise(index);
        };
        let node = &self.graph.nodes[convolution];
        let Op::Convolution(op) = node.op else { return self.elementwise(index) };
        let input = node.inputs[0];
        let [in_channels, in_height, in_width] = self.graph.node(input).shape.resolve(self.input_size);
        let [channels, height, width] = self.graph.nodes[index].shape.resolve(self.input_size);
        let weight = self.data(convolution, 0);
        let mut bias = self.data(convolution, 1);
        bias.resize(channels, 0.0);
        let scale = self.folded_scale[input.0].then(|| self.value(self.graph.node(input).inputs[1]));
        let planar = self.reads_planar(convolution);
        let from = if planar {
            let columns = (0..in_channels).collect();
            View { buffer: 0, columns, height: in_height, width: in_width }
        } else {
            self.value(input)
        };
        let first = self.take(index, channels);
        let buffer = self.class[index];
        let mut columns: Vec<usize> = (first..first + channels).collect();
        if is_depthwise(&op, in_channels) {
            let order = from.by_column();
            self.depthwise(index, &from, &op, scale, &order, &weight, &bias, act, first);
            for (i, &channel) in order.iter().enumerate() {
                columns[channel] = first + i;
            }
            return View { buffer, columns, height, width };
        }
        let addend = residual.map(|id| self.value(id));
        let contiguous = addend.as_ref().and_then(|view| Some((view.buffer, view.contiguous()?)));
        // A residual that lies scattered, or a grouped convolution, is added by a step of its own.
        let fits = op.groups == 1 && (addend.is_none() || contiguous.is_some());
        let (with, then) =
            if fits { (contiguous, act) } else { (None, addend.as_ref().map_or(act, |_| None)) };
        if is_pointwise(&op) {
            let at = |k: usize, n: usize| weight[n * in_channels + k];
            self.pointwise(index, convolution, &from, scale, channels, &at, &bias, with, then, first);
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
            let runs = zip_runs(&order, &result.columns, Some(&addend.columns), first);
            let kind = Elementwise::Add(act);
            let operation =
                Operation::Elementwise { kind, from: buffer, other: Some(addend.buffer), to: buffer, runs };
            self.push(index, operation, (height, width), (height, width), 0);
        }
        result
    }

    /// `index` is the last node that the step makes, `convolution` the first one; `at(k, n)` is the weight from input channel `k` to output channel `n`.
    #[allow(clippy::too_many_arguments)]
    fn pointwise(
        &mut self,
        index: usize,
        convolution: usize,
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
        // A single cell, as in squeeze-excite, is no work that 16 bits would make shorter.
        let narrow = self.precision == Precision::Bf16 && size != (1, 1) && !self.predicts[convolution];
        let weights = if narrow {
            self.pairs(
                index,
                &order,
                scale,
                gemm_bf16::pack_pairs(k, columns, lanes, |row, n| at(order[row], n)),
            )
        } else {
            let packed = gemm::pack(k, columns, lanes, |row, n| at(order[row], n));
            self.packed(index, &order, scale, columns, packed)
        };
        let macs = (size.0 * size.1 * k * columns) as u64;
        let operation = Operation::Pointwise {
            from: from.buffer,
            runs: column_runs(&order, &from.columns),
            weights,
            bias: padded(bias.iter().copied(), lanes),
            columns,
            residual,
            act,
            to: self.class[index],
            column,
        };
        self.push(index, operation, size, size, macs);
    }

    /// Packed weights, multiplied by the factors of an image where there are any.
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

    /// Weights of 16 bits; factors are multiplied into what is read, while it is rounded.
    fn pairs(&mut self, index: usize, order: &[usize], scale: Option<View>, packed: Vec<u32>) -> Weights {
        let factors = scale.map(|factors| {
            let columns = order.iter().map(|&channel| factors.columns[channel]).collect();
            let to = self.scratch(order.len());
            self.push(index, Operation::Gather { from: factors.buffer, columns, to }, (1, 1), (1, 1), 0);
            to
        });
        let scratch = self.scratch(self.workers * gemm_bf16::scratch_len(order.len()));
        Weights::Pairs { packed, factors, scratch }
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
        // One row, so that one worker does it.
        self.push(index, Operation::ScaleWeights { factors, weights, groups, to }, (1, 1), (1, 1), 0);
        Weights::Scaled(to, len)
    }

    #[allow(clippy::too_many_arguments)]
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
        let cells = op.kernel * op.kernel;
        let taps: Vec<f32> = (0..cells)
            .flat_map(|cell| order.iter().map(move |&channel| weight[channel * cells + cell]))
            .collect();
        let weights = match scale {
            None => Weights::Constant(taps),
            Some(factors) => {
                let groups =
                    (0..cells).flat_map(|_| order.iter().map(|&channel| (factors.columns[channel], 1)));
                let groups = groups.collect();
                self.scale_weights(index, factors.buffer, taps, groups)
            }
        };
        let size = (from.height, from.width);
        let out_size = (size.0.div_ceil(op.stride), size.1.div_ceil(op.stride));
        let macs = (out_size.0 * out_size.1 * cells * order.len()) as u64;
        let operation = Operation::Depthwise {
            from: from.buffer,
            runs: zip_runs(order, &from.columns, None, 0),
            kernel: op.kernel,
            stride: op.stride,
            weights,
            bias: order.iter().map(|&channel| bias[channel]).collect(),
            act,
            to: self.class[index],
            column,
        };
        self.push(index, operation, size, out_size, macs);
    }

    #[allow(clippy::too_many_arguments)]
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
            // Planar rows come channel, row, column; compact cells row, column, channel.
            let (channel, cell) = if planar {
                (row / (kernel * kernel), row % (kernel * kernel))
            } else {
                (order[row % channels], row / channels)
            };
            weight[(n * channels + channel) * kernel * kernel + cell]
        };
        let kind = if planar && residual.is_none() && (kernel, op.stride) == (stem::KERNEL, stem::STRIDE) {
            DenseKind::Stem { half: stem::half(self.isa, columns) }
        } else if columns == 1 && residual.is_none() {
            DenseKind::Dot
        } else {
            DenseKind::Product
        };
        let lanes = match kind {
            DenseKind::Stem { half } => stem::lanes(self.isa, half),
            _ => self.isa.lanes(),
        };
        let weights = if kind == DenseKind::Dot {
            (0..k).map(|row| at(row, 0)).collect()
        } else {
            gemm::pack(k, columns, lanes, at)
        };
        let (source, runs) = if planar {
            (DenseSource::Image, (0..channels * kernel).map(|row| (row * padded_width, kernel)).collect())
        } else {
            let runs = (0..kernel).map(|row| (row * padded_width * channels, kernel * channels)).collect();
            (DenseSource::Buffer(from.buffer, zip_runs(&order, &from.columns, None, 0)), runs)
        };
        let rows = (kernel * padded_width * channels).next_multiple_of(16);
        let strip = if pool { 3 * out_size.1 * columns.next_multiple_of(16) } else { 0 };
        let scratch = self.scratch(self.workers * (rows + strip));
        let macs = (out_size.0 * out_size.1 * k * columns) as u64;
        let operation = Operation::Dense {
            kind,
            source,
            channels,
            kernel,
            stride: op.stride,
            runs,
            weights,
            bias: padded(bias.iter().copied(), lanes),
            columns,
            residual,
            act,
            pool,
            to: self.class[index],
            column,
            scratch,
        };
        let out_size = if pool { (out_size.0.div_ceil(2), out_size.1.div_ceil(2)) } else { out_size };
        self.push(index, operation, size, out_size, macs);
    }

    fn global_average_pool(&mut self, index: usize) -> View {
        let from = self.value(self.graph.nodes[index].inputs[0]);
        let order = from.by_column();
        let channels = order.len();
        let sums = self.scratch(self.workers * channels.next_multiple_of(16));
        let size = (from.height, from.width);
        let runs = zip_runs(&order, &from.columns, None, 0);
        self.push(index, Operation::SumCells { from: from.buffer, runs, to: sums }, size, size, 0);
        let column = self.take(index, channels);
        let to = self.class[index];
        let cells = size.0 * size.1;
        self.push(index, Operation::Mean { sums, channels, cells, to, column }, size, (1, 1), 0);
        let mut columns = vec![0; channels];
        order.iter().enumerate().for_each(|(i, &channel)| columns[channel] = column + i);
        View { buffer: to, columns, height: 1, width: 1 }
    }

    /// The operations that keep channels apart and have no kernel of their own.
    fn elementwise(&mut self, index: usize) -> View {
        let node = &self.graph.nodes[index];
        let [channels, height, width] = node.shape.resolve(self.input_size);
        let from = self.value(node.inputs[0]);
        let second = node.inputs.get(1).map(|&id| self.value(id));
        let order = from.by_column();
        let identity: Vec<usize> = (0..channels).collect();
        let mut with: Option<Vec<usize>> = None;
        let kind = match node.op {
            Op::Activation(act) => Elementwise::Activate(Some(act)),
            Op::Add => {
                with = second.as_ref().map(|view| view.columns.clone());
                Elementwise::Add(None)
            }
            Op::Scale => {
                with = second.as_ref().map(|view| view.columns.clone());
                Elementwise::Scale
            }
            Op::GeometricMean { epsilon } => {
                let column = second.as_ref().map_or(0, |view| view.columns[0]);
                Elementwise::GeometricMean { column, epsilon }
            }
            Op::Dropout { rate } => {
                with = Some(identity);
                let factor = (1.0 - f64::from(rate)) as f32;
                Elementwise::Affine(vec![factor; channels], vec![0.0; channels])
            }
            Op::BatchNorm => {
                with = Some(identity);
                let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|param| self.data(index, param));
                let epsilon = picodet_graph::BATCH_NORM_EPSILON;
                let factor: Vec<f64> = (0..channels)
                    .map(|c| f64::from(gamma[c]) / (f64::from(variance[c]) + epsilon).sqrt())
                    .collect();
                let addend = |c: usize| (f64::from(beta[c]) - f64::from(mean[c]) * factor[c]) as f32;
                let addend = (0..channels).map(addend).collect();
                Elementwise::Affine(factor.iter().map(|&factor| factor as f32).collect(), addend)
            }
            Op::MaxPool => Elementwise::MaxPool,
            Op::UpsampleNearest => Elementwise::Upsample,
            Op::AveragePool => {
                // A window that leaves the map reads its last row or column twice, which is the mean of the rest.
                let table = |extent: usize, out: usize| {
                    (0..out).map(|i| (2 * i, (2 * i + 1).min(extent - 1), 0.5)).collect()
                };
                Elementwise::Blend { rows: table(from.height, height), columns: table(from.width, width) }
            }
            Op::ResizeBilinear(ResizeFactor::Double | ResizeFactor::Half) => Elementwise::Blend {
                rows: bilinear(from.height, height),
                columns: bilinear(from.width, width),
            },
            _ => Elementwise::Activate(None),
        };
        let first = self.take(index, channels);
        let runs = zip_runs(&order, &from.columns, with.as_deref(), first);
        let to = self.class[index];
        let other = second.map(|view| view.buffer);
        let operation = Operation::Elementwise { kind, from: from.buffer, other, to, runs };
        self.push(index, operation, (from.height, from.width), (height, width), 0);
        let mut columns = vec![0; channels];
        order.iter().enumerate().for_each(|(i, &channel)| columns[channel] = first + i);
        View { buffer: to, columns, height, width }
    }
}

/// For each cell of the result, the two cells between which it lies and the share of the second.
fn bilinear(extent: usize, out: usize) -> Vec<(usize, usize, f32)> {
    let at = |i: usize| {
        let position = ((i as f64 + 0.5) * extent as f64 / out as f64 - 0.5).max(0.0);
        let first = (position as usize).min(extent - 1);
        (first, (first + 1).min(extent - 1), (position - first as f64) as f32)
    };
    (0..out).map(at).collect()
}
