//! Lowers a graph to a list of steps on buffers.
//!
//! Concats and slices become channels of shared buffers. Of the blocks that [`pass::fuse()`] finds, a batch norm and the
//! activation after it are one step; each other part is one step, since each has a gradient.

use picodet_graph::pass::{self, Block, Fusion};
use picodet_graph::{Activation, Convolution, Graph, NodeId, Op, ParamId, ResizeFactor, Shape};
use picodet_kernel::training::depthwise;

/// Consecutive channels of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelSlot {
    pub(crate) buffer: usize,
    pub(crate) first: usize,
    pub(crate) channels: usize,
}

/// Memory of a map.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    /// Its shape, with all channels of a pixel.
    pub(crate) shape: Shape,
    /// The buffer whose gradient's memory serves this one's gradient too; itself if none.
    pub(crate) gradient: usize,
}

/// The operation of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Import,
    Pointwise,
    Depthwise(Convolution),
    Dense(Convolution),
    /// Batch norm with the activation of its block.
    Norm(Option<Activation>),
    Activate(Activation),
    /// Rounding to bytes and back, after an activation.
    Quantise(Option<Activation>),
    MaxPool,
    AveragePool,
    GlobalAveragePool,
    Add,
    Scale,
    /// An input of a concat that could not be computed in place.
    Copy,
    /// Two inputs whose channels alternate.
    Interleave,
    Upsample,
    Bilinear,
    Linear,
    Dropout(f32),
    GeometricMean(f32),
}

impl Kind {
    /// The name in the profile.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Pointwise => "pointwise",
            Self::Depthwise(op) if op.kernel == 3 => "depthwise 3x3",
            Self::Depthwise(_) => "depthwise 5x5",
            Self::Dense(_) => "dense",
            Self::Norm(_) => "batch norm",
            Self::Activate(_) => "activation",
            Self::Quantise(_) => "fake quantisation",
            Self::MaxPool => "max pool",
            Self::AveragePool => "average pool",
            Self::GlobalAveragePool => "global average pool",
            Self::Add => "add",
            Self::Scale => "scale",
            Self::Copy => "copy",
            Self::Interleave => "shuffle",
            Self::Upsample => "upsample",
            Self::Bilinear => "bilinear",
            Self::Linear => "linear",
            Self::Dropout(_) => "dropout",
            Self::GeometricMean(_) => "geometric mean",
        }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) inputs: Vec<ChannelSlot>,
    pub(crate) output: ChannelSlot,
    /// Indices of the graph's parameters.
    pub(crate) params: Vec<usize>,
    /// Whether the gradient of each parameter is computed.
    pub(crate) learns: Vec<bool>,
    /// Whether the gradient of each input is computed.
    pub(crate) needs: Vec<bool>,
    /// The node of the graph that the step computes.
    pub(crate) node: usize,
}

impl Step {
    /// Whether backward has any gradient to compute here.
    pub(crate) fn differentiates(&self) -> bool {
        self.learns.contains(&true) || self.needs.contains(&true)
    }

    /// The inputs whose values the backward pass reads.
    pub(crate) fn kept_inputs(&self) -> impl Iterator<Item = ChannelSlot> + '_ {
        let keeps = match self.kind {
            Kind::Pointwise | Kind::Depthwise(_) | Kind::Dense(_) | Kind::Linear => self.learns[0],
            Kind::Norm(_) | Kind::Activate(_) | Kind::Quantise(_) => true,
            Kind::Scale | Kind::GeometricMean(_) => true,
            _ => false,
        };
        self.inputs.iter().copied().filter(move |_| keeps && self.differentiates())
    }
}

/// The steps of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    pub(crate) buffers: Vec<Buffer>,
    /// The named outputs, and whether anything needs their gradients.
    pub(crate) outputs: Vec<(String, ChannelSlot, bool)>,
}

impl Program {
    /// Lowers a checked graph; `learns` is whether the gradient of each parameter is computed, `rounds` whether the value
    /// of a node is rounded to bytes.
    pub(crate) fn new(graph: &Graph, learns: &[bool], rounds: impl Fn(usize) -> bool) -> Self {
        let rounds = (0..graph.nodes.len()).map(rounds).collect();
        Lowering::new(graph, learns, rounds).lower()
    }
}

struct Lowering<'a> {
    graph: &'a Graph,
    learns: &'a [bool],
    /// Whether the value of each node is rounded to bytes.
    rounds: Vec<bool>,
    fusion: Fusion,
    slots: Vec<Option<ChannelSlot>>,
    buffers: Vec<Buffer>,
    /// Inputs of concats that must be copied: concat, input, destination.
    copies: Vec<(usize, NodeId, ChannelSlot)>,
    /// Whether the gradient of each node is computed.
    needs: Vec<bool>,
    steps: Vec<Step>,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, learns: &'a [bool], rounds: Vec<bool>) -> Self {
        let count = graph.nodes.len();
        let mut needs = vec![false; count];
        for (index, node) in graph.nodes.iter().enumerate() {
            needs[index] = node.params.iter().any(|param| learns[param.0])
                || node.inputs.iter().any(|input| needs[input.0]);
        }
        Self {
            graph,
            learns,
            rounds,
            fusion: pass::fuse(graph),
            slots: vec![None; count],
            buffers: Vec::new(),
            copies: Vec::new(),
            needs,
            steps: Vec::new(),
        }
    }

    fn lower(mut self) -> Program {
        let graph = self.graph;
        self.assign_concats();
        for index in 0..graph.nodes.len() {
            if !self.is_absorbed(NodeId(index)) {
                self.lower_node(index);
            }
        }
        self.alias_gradients();
        let output = |output: &picodet_graph::Output| {
            let slot = self.slots[output.node.0]?;
            Some((output.name.clone(), slot, self.needs[output.node.0]))
        };
        let outputs = graph.outputs.iter().filter_map(output).collect();
        Program { steps: self.steps, outputs, buffers: self.buffers }
    }

    fn buffer(&mut self, shape: Shape) -> ChannelSlot {
        self.buffers.push(Buffer { shape, gradient: self.buffers.len() });
        ChannelSlot { buffer: self.buffers.len() - 1, first: 0, channels: shape.channels }
    }

    /// The block of a batch norm whose activation reads the batch norm directly.
    fn norm_block(&self, id: NodeId) -> Option<&Block> {
        let block = self.fusion.block(id)?;
        (block.norm.is_some() && block.sum.is_none() && block.activation.is_some()).then_some(block)
    }

    /// Whether a node is part of the step of its reader.
    fn is_absorbed(&self, id: NodeId) -> bool {
        let is_norm = |block: &Block| block.norm == Some(id);
        self.fusion.is_shuffled_concat(id) || self.norm_block(id).is_some_and(is_norm)
    }

    /// Gives every concat a buffer and its inputs channels of it; the last concat first, since one may be an input of
    /// another.
    fn assign_concats(&mut self) {
        for index in (0..self.graph.nodes.len()).rev() {
            let node = &self.graph.nodes[index];
            if node.op != Op::Concat || self.is_absorbed(NodeId(index)) {
                continue;
            }
            let whole = match self.slots[index] {
                Some(slot) => slot,
                None => self.buffer(node.shape),
            };
            self.slots[index] = Some(whole);
            let mut first = whole.first;
            for &input in &node.inputs {
                let channels = self.graph.node(input).shape.channels;
                let part = ChannelSlot { first, channels, ..whole };
                first += channels;
                let is_computed = !matches!(self.graph.node(input).op, Op::Slice { .. } | Op::Input);
                if is_computed && self.slots[input.0].is_none() && !self.is_absorbed(input) {
                    self.slots[input.0] = Some(part);
                } else {
                    self.copies.push((index, input, part));
                }
            }
        }
    }

    fn lower_node(&mut self, index: usize) {
        let node = &self.graph.nodes[index];
        match node.op {
            Op::Slice { start, len } => {
                let whole = self.slots[node.inputs[0].0];
                self.slots[index] =
                    whole.map(|whole| ChannelSlot { first: whole.first + start, channels: len, ..whole });
            }
            Op::Concat => self.copy_inputs(index),
            Op::ChannelShuffle => {
                let (inputs, needs) = self.shuffled_halves(node.inputs[0]);
                self.push(index, Kind::Interleave, inputs, needs, &[]);
            }
            Op::Activation(activation) if self.norm_block(NodeId(index)).is_some() => {
                let norm = self.graph.node(node.inputs[0]);
                self.push_node(index, Kind::Norm(Some(activation)), &norm.inputs, &norm.params);
            }
            op => self.push_node(index, self.kind(index, op), &node.inputs, &node.params),
        }
    }

    /// The kind of step of a node that is not part of another step.
    fn kind(&self, index: usize, op: Op) -> Kind {
        let input_channels = || self.graph.node(self.graph.nodes[index].inputs[0]).shape.channels;
        match op {
            Op::Input => Kind::Import,
            Op::Convolution(op) if op.is_pointwise() => Kind::Pointwise,
            Op::Convolution(op) if depthwise::is_supported(&op, input_channels()) => Kind::Depthwise(op),
            Op::Convolution(op) => Kind::Dense(op),
            Op::BatchNorm => Kind::Norm(None),
            Op::Activation(activation) => Kind::Activate(activation),
            Op::MaxPool => Kind::MaxPool,
            Op::AveragePool => Kind::AveragePool,
            Op::GlobalAveragePool => Kind::GlobalAveragePool,
            Op::Add => Kind::Add,
            Op::Scale => Kind::Scale,
            Op::UpsampleNearest => Kind::Upsample,
            Op::ResizeBilinear(ResizeFactor::Double | ResizeFactor::Half) => Kind::Bilinear,
            Op::Linear { .. } => Kind::Linear,
            Op::Dropout { rate } => Kind::Dropout(rate),
            Op::GeometricMean { epsilon } => Kind::GeometricMean(epsilon),
            Op::ChannelShuffle => Kind::Interleave,
            // Lowered before.
            Op::Slice { .. } | Op::Concat => Kind::Copy,
        }
    }

    /// Copies the inputs of a concat that could not be computed in place.
    fn copy_inputs(&mut self, index: usize) {
        for copy in 0..self.copies.len() {
            let (concat, input, output) = self.copies[copy];
            if let (true, Some(slot)) = (concat == index, self.slots[input.0]) {
                self.steps.push(Step {
                    kind: Kind::Copy,
                    inputs: vec![slot],
                    output,
                    params: Vec::new(),
                    learns: Vec::new(),
                    needs: vec![self.needs[input.0]],
                    node: index,
                });
            }
        }
    }

    /// The two maps whose channels a shuffle of `input` interleaves, and whether their gradients are computed.
    fn shuffled_halves(&self, input: NodeId) -> (Vec<ChannelSlot>, Vec<bool>) {
        if self.fusion.is_shuffled_concat(input) {
            let halves = &self.graph.node(input).inputs;
            let slots = halves.iter().filter_map(|half| self.slots[half.0]).collect();
            return (slots, halves.iter().map(|half| self.needs[half.0]).collect());
        }
        let halves = self.slots[input.0].map(|whole| {
            let half = ChannelSlot { channels: whole.channels / 2, ..whole };
            [half, ChannelSlot { first: half.first + half.channels, ..half }]
        });
        (halves.into_iter().flatten().collect(), vec![self.needs[input.0]; 2])
    }

    fn push_node(&mut self, index: usize, kind: Kind, sources: &[NodeId], params: &[ParamId]) {
        let inputs = sources.iter().filter_map(|source| self.slots[source.0]).collect();
        let needs = sources.iter().map(|source| self.needs[source.0]).collect();
        self.push(index, kind, inputs, needs, params);
    }

    fn push(
        &mut self,
        index: usize,
        kind: Kind,
        inputs: Vec<ChannelSlot>,
        needs: Vec<bool>,
        params: &[ParamId],
    ) {
        let output = match self.slots[index] {
            Some(slot) => slot,
            None => self.buffer(self.graph.nodes[index].shape),
        };
        self.slots[index] = Some(output);
        let learns = params.iter().map(|param| self.learns[param.0]).collect();
        let params = params.iter().map(|param| param.0).collect();
        let step = Step { kind, inputs, output, params, learns, needs, node: index };
        match (self.rounds[index], kind) {
            (false, _) => self.steps.push(step),
            (true, Kind::Activate(function)) => {
                self.steps.push(Step { kind: Kind::Quantise(Some(function)), ..step });
            }
            (true, _) => {
                let exact = self.buffer(self.graph.nodes[index].shape);
                self.steps.push(Step { output: exact, ..step });
                self.steps.push(Step {
                    kind: Kind::Quantise(None),
                    inputs: vec![exact],
                    output,
                    params: Vec::new(),
                    learns: Vec::new(),
                    needs: vec![self.needs[index]],
                    node: index,
                });
            }
        }
    }

    /// Lets the gradient of the input of a batch norm share the memory of the gradient of its result where it can:
    /// the backward pass reads and writes both once, element by element.
    fn alias_gradients(&mut self) {
        for step in self.steps.iter().rev() {
            let Kind::Norm(_) = step.kind else { continue };
            let (from, to) = (step.inputs[0], step.output);
            let is_whole = |slot: ChannelSlot| self.buffers[slot.buffer].shape.channels == slot.channels;
            let inputs = self.steps.iter().flat_map(|step| &step.inputs);
            let readers = inputs.filter(|input| input.buffer == from.buffer);
            let is_output = self
                .graph
                .outputs
                .iter()
                .any(|output| self.slots[output.node.0].is_some_and(|slot| slot.buffer == from.buffer));
            if is_whole(from) && is_whole(to) && readers.count() == 1 && !is_output {
                self.buffers[from.buffer].gradient = self.buffers[to.buffer].gradient;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds of steps that a block is lowered to.
    fn expected(graph: &Graph, block: &Block) -> Vec<&'static str> {
        let activation = block.function(graph);
        let name = |kind: Kind| kind.name();
        let norm_activation = activation.filter(|_| block.sum.is_none());
        let norm = block.norm.map(|_| name(Kind::Norm(norm_activation)));
        let sum = block.sum.map(|_| name(Kind::Add));
        let is_separate = block.norm.is_none() || block.sum.is_some();
        let activation = activation.filter(|_| is_separate).map(|act| name(Kind::Activate(act)));
        let pool = block.pool.map(|_| name(Kind::MaxPool));
        [norm, sum, activation, pool].into_iter().flatten().collect()
    }

    #[test]
    fn every_block_of_every_network_is_lowered_to_its_parts() {
        for variant in picodet_zoo::variants() {
            let graph = variant.architecture.graph(variant.classes.len());
            let program = Program::new(&graph, &vec![true; graph.params.len()], |_| false);
            for block in pass::fuse(&graph).blocks() {
                let nodes: Vec<usize> = block.nodes().map(|id| id.0).collect();
                let steps = program.steps.iter().filter(|step| nodes.contains(&step.node));
                let mut kinds: Vec<&str> = steps.map(|step| step.kind.name()).collect();
                // The convolution itself.
                kinds.drain(..usize::from(block.convolution.is_some()));
                assert_eq!(kinds, expected(&graph, block), "{}: {block:?}", variant.name);
            }
        }
    }
}
