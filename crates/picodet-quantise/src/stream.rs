//! Maps of one image and the operations of the network on them.

use picodet_graph::{Activation, Convolution, Graph, Node, Op};
use picodet_kernel::training::resample::{self, Interpolation};
use picodet_kernel::training::{
    Elementwise, Executor, Factors, Map, MapMut, dense, depthwise, elementwise, pointwise, sum_images,
};

/// The map of one image, channels last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    pub(crate) data: Vec<f32>,
    pub(crate) channels: usize,
    /// Height and width.
    pub(crate) size: [usize; 2],
}

impl Values {
    pub(crate) fn zeros(channels: usize, size: [usize; 2]) -> Self {
        Self { data: vec![0.0; channels * size[0] * size[1]], channels, size }
    }

    pub(crate) fn map(&self) -> Map<'_> {
        Map::new(&self.data, self.channels, [1, self.size[0], self.size[1]])
    }

    fn map_mut(&mut self) -> MapMut<'_> {
        MapMut::new(&mut self.data, self.channels, [1, self.size[0], self.size[1]])
    }

    pub(crate) fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Applies a function of channel and value.
    pub(crate) fn map_channels(mut self, function: impl Fn(usize, f32) -> f32) -> Self {
        for pixel in self.data.chunks_exact_mut(self.channels) {
            pixel.iter_mut().enumerate().for_each(|(c, value)| *value = function(c, *value));
        }
        self
    }
}

/// Weights of a convolution in the order of the kernels.
#[derive(Clone, Debug)]
pub(crate) struct Packed(Vec<f32>);

impl Packed {
    /// Packs weights `[out, in / groups, k, k]` of a convolution of `in_channels` channels.
    pub(crate) fn new(op: &Convolution, in_channels: usize, weight: &[f32]) -> Self {
        let window = op.kernel * op.kernel;
        let (inputs, outputs) = (in_channels / op.groups, op.out_channels / op.groups);
        let mut packed = vec![0.0; weight.len()];
        for (index, &value) in weight.iter().enumerate() {
            let (o, rest) = (index / (inputs * window), index % (inputs * window));
            let (i, tap) = (rest / window, rest % window);
            // `[groups][window][inputs][outputs]`; for a depthwise convolution `[window][channels]`.
            let to = if depthwise::is_supported(op, in_channels) {
                tap * op.out_channels + o
            } else {
                let (group, o) = (o / outputs, o % outputs);
                ((group * window + tap) * inputs + i) * outputs + o
            };
            packed[to] = value;
        }
        Self(packed)
    }
}

/// A convolution.
pub(crate) fn convolve(
    executor: &Executor,
    op: &Convolution,
    x: &Values,
    weights: &Packed,
    bias: Option<&[f32]>,
) -> Values {
    let size = x.size.map(|extent| extent.div_ceil(op.stride));
    let mut out = Values::zeros(op.out_channels, size);
    if op.is_pointwise() {
        pointwise::forward(executor, x.map(), &weights.0, bias, out.map_mut());
    } else if depthwise::is_supported(op, x.channels) {
        depthwise::forward(executor, op, x.map(), &weights.0, bias, out.map_mut());
    } else {
        dense::forward(executor, op, x.map(), &weights.0, bias, out.map_mut());
    }
    out
}

pub(crate) fn activate(executor: &Executor, x: Values, function: Option<Activation>) -> Values {
    let Some(function) = function else { return x };
    let mut out = Values::zeros(x.channels, x.size);
    elementwise(executor, &Elementwise::Activate(function, x.map()), out.map_mut(), false);
    out
}

pub(crate) fn add(executor: &Executor, a: &Values, b: &Values) -> Values {
    let mut out = Values::zeros(a.channels, a.size);
    elementwise(executor, &Elementwise::Add(a.map(), b.map()), out.map_mut(), false);
    out
}

pub(crate) fn max_pool(executor: &Executor, x: &Values) -> Values {
    let mut out = Values::zeros(x.channels, x.size.map(|extent| extent.div_ceil(2)));
    resample::max_pool(executor, x.map(), out.map_mut(), None);
    out
}

/// Copies channels, given as input and channel.
fn gather(inputs: &[&Values], channels: &[(usize, usize)]) -> Values {
    let mut out = Values::zeros(channels.len(), inputs[0].size);
    let runs: Vec<&[(usize, usize)]> = channels.chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1).collect();
    for (pixel, mut to) in out.data.chunks_exact_mut(channels.len()).enumerate() {
        for run in &runs {
            let (input, first) = (inputs[run[0].0], run[0].1);
            let (part, rest) = to.split_at_mut(run.len());
            part.copy_from_slice(&input.data[pixel * input.channels + first..][..run.len()]);
            to = rest;
        }
    }
    out
}

/// Computes a node; `packed` are the weights of a convolution. `None` for operations that quantised networks do not have.
pub(crate) fn compute(
    executor: &Executor,
    graph: &Graph,
    node: &Node,
    inputs: &[&Values],
    packed: Option<(&Packed, Option<&[f32]>)>,
) -> Option<Values> {
    let x = inputs[0];
    let first = |count: usize| (0..count).map(|channel| (0, channel));
    Some(match node.op {
        Op::Convolution(op) => {
            let (weights, bias) = packed?;
            convolve(executor, &op, x, weights, bias)
        }
        Op::Activation(function) => activate(executor, x.clone(), Some(function)),
        Op::MaxPool => max_pool(executor, x),
        Op::AveragePool => {
            let mut out = Values::zeros(x.channels, x.size.map(|extent| extent.div_ceil(2)));
            resample::interpolate(executor, Interpolation::Average, x.map(), out.map_mut());
            out
        }
        Op::GlobalAveragePool => {
            let mut out = Values::zeros(x.channels, [1, 1]);
            sum_images(executor, x.map(), None, 1.0 / x.pixels() as f32, out.map_mut());
            out
        }
        Op::Add => add(executor, x, inputs[1]),
        Op::Scale => {
            let mut out = Values::zeros(x.channels, x.size);
            let factors = Factors::PerImage(inputs[1].map());
            elementwise(executor, &Elementwise::Scale(x.map(), factors), out.map_mut(), false);
            out
        }
        Op::Concat => {
            let of_input = |(index, &input): (usize, &picodet_graph::NodeId)| {
                (0..graph.node(input).shape.channels).map(move |channel| (index, channel))
            };
            gather(inputs, &node.inputs.iter().enumerate().flat_map(of_input).collect::<Vec<_>>())
        }
        Op::Slice { start, len } => gather(inputs, &first(start + len).skip(start).collect::<Vec<_>>()),
        Op::ChannelShuffle => {
            let half = x.channels / 2;
            gather(inputs, &(0..half).flat_map(|c| [(0, c), (0, half + c)]).collect::<Vec<_>>())
        }
        Op::UpsampleNearest => {
            let mut out = Values::zeros(x.channels, x.size.map(|extent| 2 * extent));
            resample::upsample(executor, x.map(), out.map_mut());
            out
        }
        _ => return None,
    })
}
