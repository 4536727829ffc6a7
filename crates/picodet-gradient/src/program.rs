//! A graph as a list of steps on buffers: joins and slices of channels become addresses.

use picodet_graph::{Activation, Convolution, Graph, NodeId, Op, ResizeFactor, Shape};

use crate::parameters::{is_depthwise, is_pointwise};

/// Some channels of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) buffer: usize,
    pub(crate) first: usize,
    pub(crate) channels: usize,
}

/// Memory for a map.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    /// Its shape; the channels are all that are side by side in it.
    pub(crate) shape: Shape,
    /// The buffer whose gradient's memory serves this one's gradient too; itself if none.
    pub(crate) gradient: usize,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Import,
    Pointwise,
    Depthwise(Convolution),
    Dense(Convolution),
    /// Batch norm with the activation that alone reads it.
    Norm(Option<Activation>),
    Activate(Activation),
    MaxPool,
    AveragePool,
    GlobalAveragePool,
    Add,
    Scale,
    /// An input of a join that could not be made in place.
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
    /// What the profile calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Pointwise => "pointwise",
            Self::Depthwise(op) if op.kernel == 3 => "depthwise 3x3",
            Self::Depthwise(_) => "depthwise 5x5",
            Self::Dense(_) => "dense",
            Self::Norm(_) => "batch norm",
            Self::Activate(_) => "activation",
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
    pub(crate) inputs: Vec<Place>,
    pub(crate) output: Place,
    /// Indices of the graph's parameters.
    pub(crate) params: Vec<usize>,
    /// Which parameters' gradients are asked for.
    pub(crate) learns: Vec<bool>,
    /// Whose gradients something below needs.
    pub(crate) needs: Vec<bool>,
    /// The node of the graph that it makes.
    pub(crate) node: usize,
}

impl Step {
    /// Whether backward has anything to do here.
    pub(crate) fn differentiates(&self) -> bool {
        self.learns.contains(&true) || self.needs.contains(&true)
    }

    /// The inputs whose values backward reads.
    pub(crate) fn kept_inputs(&self) -> impl Iterator<Item = Place> + '_ {
        let keeps = match self.kind {
            Kind::Pointwise | Kind::Depthwise(_) | Kind::Dense(_) | Kind::Linear => self.learns[0],
            Kind::Norm(_) | Kind::Activate(_) | Kind::Scale | Kind::GeometricMean(_) => true,
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
    /// The named outputs, and whether a gradient of theirs leads anywhere.
    pub(crate) outputs: Vec<(String, Place, bool)>,
}

impl Program {
    /// Lowers a checked graph; `learns` says of each parameter whether its gradient is asked for.
    pub(crate) fn new(graph: &Graph, learns: &[bool]) -> Self {
        Lowering::new(graph, learns).run()
    }
}

struct Lowering<'a> {
    graph: &'a Graph,
    learns: &'a [bool],
    readers: Vec<usize>,
    named: Vec<bool>,
    /// Nodes that are part of the step of their reader.
    absorbed: Vec<bool>,
    places: Vec<Option<Place>>,
    buffers: Vec<Buffer>,
    /// Inputs of joins that must be copied: join, input, where to.
    copies: Vec<(usize, NodeId, Place)>,
    needs: Vec<bool>,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, learns: &'a [bool]) -> Self {
        let count = graph.nodes.len();
        let mut named = vec![false; count];
        graph.outputs.iter().for_each(|output| named[output.node.0] = true);
        let mut needs = vec![false; count];
        for (index, node) in graph.nodes.iter().enumerate() {
            needs[index] = node.params.iter().any(|param| learns[param.0])
                || node.inputs.iter().any(|input| needs[input.0]);
        }
        Self {
            graph,
            learns,
            readers: graph.readers().iter().map(Vec::len).collect(),
            named,
            absorbed: vec![false; count],
            places: vec![None; count],
            buffers: Vec::new(),
            copies: Vec::new(),
            needs,
        }
    }

    fn is_private(&self, node: NodeId) -> bool {
        self.readers[node.0] == 1 && !self.named[node.0]
    }

    fn buffer(&mut self, shape: Shape) -> Place {
        self.buffers.push(Buffer { shape, gradient: self.buffers.len() });
        Place { buffer: self.buffers.len() - 1, first: 0, channels: shape.channels }
    }

    fn run(mut self) -> Program {
        let graph = self.graph;
        for node in &graph.nodes {
            let absorbs = |input: NodeId| match (&node.op, &graph.node(input).op) {
                (Op::Activation(_), Op::BatchNorm) => self.is_private(input),
                (Op::ChannelShuffle, Op::Concat) => {
                    let halves = &graph.node(input).inputs;
                    let half = node.shape.channels / 2;
                    let alike = halves.iter().all(|&input| graph.node(input).shape.channels == half);
                    self.is_private(input) && halves.len() == 2 && alike
                }
                _ => false,
            };
            if let Some(&input) = node.inputs.first().filter(|&&input| absorbs(input)) {
                self.absorbed[input.0] = true;
            }
        }
        self.place_joins();
        let mut steps = Vec::new();
        for index in 0..graph.nodes.len() {
            if !self.absorbed[index] {
                self.lower(index, &mut steps);
            }
        }
        self.share_gradients(&steps);
        let output = |output: &picodet_graph::Output| {
            let place = self.places[output.node.0]?;
            Some((output.name.clone(), place, self.needs[output.node.0]))
        };
        let outputs = graph.outputs.iter().filter_map(output).collect();
        Program { steps, outputs, buffers: self.buffers }
    }

    /// Gives every join a buffer and its inputs their channels of it, the last join first: a join may be part of one.
    fn place_joins(&mut self) {
        for index in (0..self.graph.nodes.len()).rev() {
            let node = &self.graph.nodes[index];
            if node.op != Op::Concat || self.absorbed[index] {
                continue;
            }
            let whole = match self.places[index] {
                Some(place) => place,
                None => self.buffer(node.shape),
            };
            self.places[index] = Some(whole);
            let mut first = whole.first;
            for &input in &node.inputs {
                let channels = self.graph.node(input).shape.channels;
                let part = Place { first, channels, ..whole };
                first += channels;
                let is_made = !matches!(self.graph.node(input).op, Op::Slice { .. } | Op::Input);
                if is_made && self.places[input.0].is_none() && !self.absorbed[input.0] {
                    self.places[input.0] = Some(part);
                } else {
                    self.copies.push((index, input, part));
                }
            }
        }
    }

    fn lower(&mut self, index: usize, steps: &mut Vec<Step>) {
        let graph = self.graph;
        let node = &graph.nodes[index];
        let mut sources = node.inputs.clone();
        let mut params = node.params.clone();
        let kind = match node.op {
            Op::Input => Kind::Import,
            Op::Convolution(op) if is_pointwise(&op) => Kind::Pointwise,
            Op::Convolution(op) if is_depthwise(&op, graph.node(sources[0]).shape.channels) => {
                Kind::Depthwise(op)
            }
            Op::Convolution(op) => Kind::Dense(op),
            Op::BatchNorm => Kind::Norm(None),
            Op::Activation(activation) if self.absorbed[sources[0].0] => {
                let norm = graph.node(sources[0]);
                (sources, params) = (norm.inputs.clone(), norm.params.clone());
                Kind::Norm(Some(activation))
            }
            Op::Activation(activation) => Kind::Activate(activation),
            Op::MaxPool => Kind::MaxPool,
            Op::AveragePool => Kind::AveragePool,
            Op::GlobalAveragePool => Kind::GlobalAveragePool,
            Op::Add => Kind::Add,
            Op::Scale => Kind::Scale,
            Op::ChannelShuffle => Kind::Interleave,
            Op::UpsampleNearest => Kind::Upsample,
            Op::ResizeBilinear(ResizeFactor::Double | ResizeFactor::Half) => Kind::Bilinear,
            Op::Linear { .. } => Kind::Linear,
            Op::Dropout { rate } => Kind::Dropout(rate),
            Op::GeometricMean { epsilon } => Kind::GeometricMean(epsilon),
            Op::Slice { start, len } => {
                let whole = self.places[sources[0].0];
                self.places[index] =
                    whole.map(|whole| Place { first: whole.first + start, channels: len, ..whole });
                return;
            }
            Op::Concat => {
                let copies: Vec<_> = self.copies.iter().filter(|copy| copy.0 == index).copied().collect();
                for (_, input, part) in copies {
                    if let Some(place) = self.places[input.0] {
                        let needs = vec![self.needs[input.0]];
                        steps.push(Step {
                            kind: Kind::Copy,
                            inputs: vec![place],
                            output: part,
                            params: Vec::new(),
                            learns: Vec::new(),
                            needs,
                            node: index,
                        });
                    }
                }
                return;
            }
        };
        let mut inputs: Vec<Place> = Vec::new();
        let mut needs: Vec<bool> = Vec::new();
        if kind == Kind::Interleave {
            if self.absorbed[sources[0].0] {
                sources = graph.node(sources[0]).inputs.clone();
            } else if let Some(whole) = self.places[sources[0].0] {
                let half = Place { channels: whole.channels / 2, ..whole };
                inputs = vec![half, Place { first: half.first + half.channels, ..half }];
                needs = vec![self.needs[sources[0].0]; 2];
            }
        }
        if inputs.is_empty() {
            inputs = sources.iter().filter_map(|source| self.places[source.0]).collect();
            needs = sources.iter().map(|source| self.needs[source.0]).collect();
        }
        let output = match self.places[index] {
            Some(place) => place,
            None => self.buffer(node.shape),
        };
        self.places[index] = Some(output);
        let learns = params.iter().map(|param| self.learns[param.0]).collect();
        let params = params.iter().map(|param| param.0).collect();
        steps.push(Step { kind, inputs, output, params, learns, needs, node: index });
    }

    /// Lets the gradient of what a batch norm reads take the place of the gradient of what it makes: backward goes
    /// over both once, number by number.
    fn share_gradients(&mut self, steps: &[Step]) {
        for step in steps.iter().rev() {
            let Kind::Norm(_) = step.kind else { continue };
            let (from, to) = (step.inputs[0], step.output);
            let is_whole = |place: Place| self.buffers[place.buffer].shape.channels == place.channels;
            let readers =
                steps.iter().flat_map(|step| &step.inputs).filter(|input| input.buffer == from.buffer);
            let is_named =
                self.graph.outputs.iter().any(|output| {
                    self.places[output.node.0].is_some_and(|place| place.buffer == from.buffer)
                });
            if is_whole(from) && is_whole(to) && readers.count() == 1 && !is_named {
                self.buffers[from.buffer].gradient = self.buffers[to.buffer].gradient;
            }
        }
    }
}
