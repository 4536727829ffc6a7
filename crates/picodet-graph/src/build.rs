//! Appending to a graph: the vocabulary in which the zoo writes the paper's blocks.

use crate::infer::infer;
use crate::{
    Activation, Convolution, Graph, InitRule, Initialiser, Node, NodeId, Op, Output, Param, ParamId,
};
use crate::{ResizeFactor, Role, Shape};

/// What training needs to know of the parameters that are appended next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// How convolution weights start.
    pub init: InitRule,
    /// Whether weight decay applies to convolution weights and biases.
    pub weights_decay: bool,
    /// Whether weight decay applies to batch-norm gamma and beta.
    pub norms_decay: bool,
}

/// Appends nodes to a graph, keeping the scope path.
///
/// A wrong network is a mistake of the zoo, not of a user: appenders panic with the scope path when shapes do
/// not fit, and every variant is built in the tests.
#[derive(Debug)]
pub struct Builder {
    graph: Graph,
    scope: Vec<String>,
    defaults: Defaults,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        let defaults = Defaults { init: InitRule::KaimingNormal, weights_decay: true, norms_decay: false };
        Self { graph: Graph::default(), scope: Vec::new(), defaults }
    }

    /// The finished graph.
    pub fn finish(self) -> Graph {
        self.graph
    }

    /// The shape of an appended node.
    pub fn shape(&self, node: NodeId) -> Shape {
        self.graph.node(node).shape
    }

    /// The channels of an appended node.
    pub fn channels(&self, node: NodeId) -> usize {
        self.shape(node).channels
    }

    /// Appends what `block` appends, under one more step of the scope path.
    pub fn scope<R>(&mut self, name: impl ToString, block: impl FnOnce(&mut Self) -> R) -> R {
        self.scope.push(name.to_string());
        let result = block(self);
        self.scope.pop();
        result
    }

    /// Appends what `block` appends, with other [`Defaults`].
    pub fn with<R>(&mut self, defaults: Defaults, block: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.defaults, defaults);
        let result = block(self);
        self.defaults = before;
        result
    }

    /// As [`Builder::with`], changing only how convolution weights start.
    pub fn with_init<R>(&mut self, init: InitRule, block: impl FnOnce(&mut Self) -> R) -> R {
        self.with(Defaults { init, ..self.defaults }, block)
    }

    /// As [`Builder::with`], changing only whether batch norms decay.
    pub fn with_norms_decay<R>(&mut self, norms_decay: bool, block: impl FnOnce(&mut Self) -> R) -> R {
        self.with(Defaults { norms_decay, ..self.defaults }, block)
    }

    /// Names a result.
    pub fn output(&mut self, name: impl ToString, node: NodeId) {
        self.graph.outputs.push(Output { name: name.to_string(), node });
    }

    /// The image, `[n, 3, h, w]`.
    pub fn input(&mut self) -> NodeId {
        self.scope("image", |g| g.append(Op::Input, &[], Vec::new()))
    }

    /// A convolution without bias: scope `conv`.
    pub fn convolution(
        &mut self,
        x: NodeId,
        out_channels: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> NodeId {
        let op = Convolution { out_channels, kernel, stride, groups, bias: false };
        self.scope("conv", |g| g.append_convolution(x, op, 0.0))
    }

    /// A depthwise convolution without bias: scope `conv`.
    pub fn depthwise(&mut self, x: NodeId, kernel: usize, stride: usize) -> NodeId {
        let channels = self.channels(x);
        self.convolution(x, channels, kernel, stride, channels)
    }

    /// A pointwise convolution with a bias that starts at `bias`; the parameters sit in the scope itself.
    pub fn pointwise_with_bias(&mut self, x: NodeId, out_channels: usize, bias: f32) -> NodeId {
        let op = Convolution { out_channels, kernel: 1, stride: 1, groups: 1, bias: true };
        self.append_convolution(x, op, bias)
    }

    fn append_convolution(&mut self, x: NodeId, op: Convolution, bias: f32) -> NodeId {
        let in_channels = self.channels(x);
        let shape = vec![op.out_channels, in_channels / op.groups, op.kernel, op.kernel];
        let initialiser = self.defaults.init.for_convolution(in_channels, op.groups, op.kernel);
        let decays = self.defaults.weights_decay;
        let mut params = vec![self.param("weight", shape, Role::Weight, initialiser, decays)];
        if op.bias {
            let initialiser = Initialiser::Constant(bias);
            params.push(self.param("bias", vec![op.out_channels], Role::Bias, initialiser, decays));
        }
        self.append(Op::Convolution(op), &[x], params)
    }

    /// Batch norm: scope `norm`.
    pub fn batch_norm(&mut self, x: NodeId) -> NodeId {
        let shape = || vec![self.channels(x)];
        let shapes = [shape(), shape(), shape(), shape()];
        let decays = self.defaults.norms_decay;
        self.scope("norm", |g| {
            let [gamma, beta, mean, variance] = shapes;
            let params = vec![
                g.param("gamma", gamma, Role::Gamma, Initialiser::Constant(1.0), decays),
                g.param("beta", beta, Role::Beta, Initialiser::Constant(0.0), decays),
                g.param("mean", mean, Role::RunningMean, Initialiser::Constant(0.0), false),
                g.param("variance", variance, Role::RunningVariance, Initialiser::Constant(1.0), false),
            ];
            g.append(Op::BatchNorm, &[x], params)
        })
    }

    /// An activation: scope `act`.
    pub fn activation(&mut self, x: NodeId, activation: Activation) -> NodeId {
        self.scope("act", |g| g.append(Op::Activation(activation), &[x], Vec::new()))
    }

    /// 3×3 maximum, stride 2.
    pub fn max_pool(&mut self, x: NodeId) -> NodeId {
        self.scope("pool", |g| g.append(Op::MaxPool, &[x], Vec::new()))
    }

    /// 2×2 mean, stride 2.
    pub fn average_pool(&mut self, x: NodeId) -> NodeId {
        self.scope("pool", |g| g.append(Op::AveragePool, &[x], Vec::new()))
    }

    /// Mean over the whole map.
    pub fn global_average_pool(&mut self, x: NodeId) -> NodeId {
        self.scope("pool", |g| g.append(Op::GlobalAveragePool, &[x], Vec::new()))
    }

    /// Sum of two maps.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.scope("add", |g| g.append(Op::Add, &[a, b], Vec::new()))
    }

    /// A map times one factor a channel.
    pub fn scale(&mut self, x: NodeId, factors: NodeId) -> NodeId {
        self.scope("scale", |g| g.append(Op::Scale, &[x, factors], Vec::new()))
    }

    /// Maps joined along the channels, in this order.
    pub fn concat(&mut self, inputs: &[NodeId]) -> NodeId {
        self.scope("concat", |g| g.append(Op::Concat, inputs, Vec::new()))
    }

    /// Channels `start .. start + len`.
    pub fn slice(&mut self, x: NodeId, start: usize, len: usize) -> NodeId {
        self.scope("slice", |g| g.append(Op::Slice { start, len }, &[x], Vec::new()))
    }

    /// The two halves of the channels.
    pub fn halves(&mut self, x: NodeId) -> (NodeId, NodeId) {
        let half = self.channels(x) / 2;
        let first = self.scope("first", |g| g.slice(x, 0, half));
        let second = self.scope("second", |g| g.slice(x, half, half));
        (first, second)
    }

    /// The two halves of the channels interleaved.
    pub fn channel_shuffle(&mut self, x: NodeId) -> NodeId {
        self.scope("shuffle", |g| g.append(Op::ChannelShuffle, &[x], Vec::new()))
    }

    /// Every cell repeated 2×2.
    pub fn upsample(&mut self, x: NodeId) -> NodeId {
        self.scope("upsample", |g| g.append(Op::UpsampleNearest, &[x], Vec::new()))
    }

    /// Bilinear resize by two, up or down.
    pub fn resize_bilinear(&mut self, x: NodeId, factor: ResizeFactor) -> NodeId {
        self.scope("resize", |g| g.append(Op::ResizeBilinear(factor), &[x], Vec::new()))
    }

    /// A fully connected layer with bias; the parameters sit in the scope itself.
    pub fn linear(&mut self, x: NodeId, out_features: usize) -> NodeId {
        let in_features = self.channels(x);
        let limit = (6.0 / (in_features + out_features) as f32).sqrt();
        let decays = self.defaults.weights_decay;
        let params = vec![
            self.param(
                "weight",
                vec![in_features, out_features],
                Role::Weight,
                Initialiser::Uniform { limit },
                decays,
            ),
            self.param("bias", vec![out_features], Role::Bias, Initialiser::Constant(0.0), decays),
        ];
        self.append(Op::Linear { out_features }, &[x], params)
    }

    /// Dropout.
    pub fn dropout(&mut self, x: NodeId, rate: f32) -> NodeId {
        self.scope("dropout", |g| g.append(Op::Dropout { rate }, &[x], Vec::new()))
    }

    /// `sqrt(a · b + 1e-9)`: class probabilities and their alignment.
    pub fn geometric_mean(&mut self, probabilities: NodeId, alignment: NodeId) -> NodeId {
        let op = Op::GeometricMean { epsilon: 1e-9 };
        self.scope("score", |g| g.append(op, &[probabilities, alignment], Vec::new()))
    }

    fn param(
        &mut self,
        leaf: &str,
        shape: Vec<usize>,
        role: Role,
        initialiser: Initialiser,
        decays: bool,
    ) -> ParamId {
        let name = format!("{}.{leaf}", self.scope.join("."));
        self.graph.params.push(Param { name, shape, role, initialiser, decays });
        ParamId(self.graph.params.len() - 1)
    }

    fn append(&mut self, op: Op, inputs: &[NodeId], params: Vec<ParamId>) -> NodeId {
        let scope = self.scope.join(".");
        let shapes: Vec<Shape> = inputs.iter().map(|&input| self.shape(input)).collect();
        let shape = match infer(&op, &shapes) {
            Ok(shape) => shape,
            Err(problem) => panic!("{scope}: {problem}"),
        };
        self.graph.nodes.push(Node { op, inputs: inputs.to_vec(), params, scope, shape });
        NodeId(self.graph.nodes.len() - 1)
    }
}
