//! The graph builder, with which the zoo writes the blocks of the paper.

use crate::infer::infer;
use crate::{
    Activation, Convolution, Graph, InitRule, Initialiser, Node, NodeId, Op, Output, Param, ParamId,
};
use crate::{ResizeFactor, Role, Shape};

/// Initialisation and weight decay of the parameters that are appended next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// Initialisation of convolution weights.
    pub init: InitRule,
    /// Whether weight decay applies to convolution weights and biases.
    pub weights_decay: bool,
    /// Whether weight decay applies to batch-norm gamma and beta.
    pub norms_decay: bool,
}

/// Appends nodes to a graph, keeping the scope path.
///
/// A wrong network is an error in the source of the zoo, not of a user: appenders panic with the scope path when shapes
/// do not match, and every variant is built in the tests.
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
    /// Returns a builder of an empty graph.
    #[must_use]
    pub fn new() -> Self {
        let defaults = Defaults { init: InitRule::KaimingNormal, weights_decay: true, norms_decay: false };
        Self { graph: Graph::default(), scope: Vec::new(), defaults }
    }

    /// Returns the finished graph.
    #[must_use]
    pub fn finish(self) -> Graph {
        self.graph
    }

    /// Returns the shape of an appended node.
    #[must_use]
    pub fn shape(&self, node: NodeId) -> Shape {
        self.graph.node(node).shape
    }

    /// Returns the number of channels of an appended node.
    #[must_use]
    pub fn channels(&self, node: NodeId) -> usize {
        self.shape(node).channels
    }

    /// Runs `block` with one more name at the end of the scope path.
    pub fn scope<R>(&mut self, name: impl ToString, block: impl FnOnce(&mut Self) -> R) -> R {
        self.scope.push(name.to_string());
        let result = block(self);
        self.scope.pop();
        result
    }

    /// Runs `block` with other [`Defaults`].
    pub fn with<R>(&mut self, defaults: Defaults, block: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.defaults, defaults);
        let result = block(self);
        self.defaults = before;
        result
    }

    /// Runs `block` with another initialisation of convolution weights.
    pub fn with_init<R>(&mut self, init: InitRule, block: impl FnOnce(&mut Self) -> R) -> R {
        self.with(Defaults { init, ..self.defaults }, block)
    }

    /// Runs `block` with or without weight decay of batch norms.
    pub fn with_norms_decay<R>(&mut self, norms_decay: bool, block: impl FnOnce(&mut Self) -> R) -> R {
        self.with(Defaults { norms_decay, ..self.defaults }, block)
    }

    /// Names `node` as an output of the graph.
    pub fn output(&mut self, name: impl ToString, node: NodeId) {
        self.graph.outputs.push(Output { name: name.to_string(), node });
    }

    /// Appends the image, `[n, 3, h, w]`.
    pub fn input(&mut self) -> NodeId {
        self.scope("image", |g| g.append(Op::Input, &[], Vec::new()))
    }

    /// Appends a convolution without bias: scope `conv`.
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

    /// Appends a depthwise convolution without bias: scope `conv`.
    pub fn depthwise(&mut self, x: NodeId, kernel: usize, stride: usize) -> NodeId {
        let channels = self.channels(x);
        self.convolution(x, channels, kernel, stride, channels)
    }

    /// Appends a pointwise convolution with a bias that is initialised to `bias`; its parameters have the current scope.
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

    /// Appends a batch norm: scope `norm`.
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

    /// Appends an activation: scope `act`.
    pub fn activation(&mut self, x: NodeId, activation: Activation) -> NodeId {
        self.scope("act", |g| g.append(Op::Activation(activation), &[x], Vec::new()))
    }

    /// Appends a 3×3 max pool of stride 2: scope `pool`.
    pub fn max_pool(&mut self, x: NodeId) -> NodeId {
        self.scope("pool", |g| g.append(Op::MaxPool, &[x], Vec::new()))
    }

    /// Appends a 2×2 average pool of stride 2: scope `pool`.
    pub fn average_pool(&mut self, x: NodeId) -> NodeId {
        self.scope("pool", |g| g.append(Op::AveragePool, &[x], Vec::new()))
    }

    /// Appends the mean over the whole map: scope `pool`.
    pub fn global_average_pool(&mut self, x: NodeId) -> NodeId {
        self.scope("pool", |g| g.append(Op::GlobalAveragePool, &[x], Vec::new()))
    }

    /// Appends the sum of two maps: scope `add`.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.scope("add", |g| g.append(Op::Add, &[a, b], Vec::new()))
    }

    /// Appends the product of a map and one factor per channel: scope `scale`.
    pub fn scale(&mut self, x: NodeId, factors: NodeId) -> NodeId {
        self.scope("scale", |g| g.append(Op::Scale, &[x, factors], Vec::new()))
    }

    /// Appends the concatenation of maps along the channels: scope `concat`.
    pub fn concat(&mut self, inputs: &[NodeId]) -> NodeId {
        self.scope("concat", |g| g.append(Op::Concat, inputs, Vec::new()))
    }

    /// Appends the channels `start .. start + len` of a map: scope `slice`.
    pub fn slice(&mut self, x: NodeId, start: usize, len: usize) -> NodeId {
        self.scope("slice", |g| g.append(Op::Slice { start, len }, &[x], Vec::new()))
    }

    /// Appends the two halves of the channels: scopes `first` and `second`.
    pub fn halves(&mut self, x: NodeId) -> (NodeId, NodeId) {
        let half = self.channels(x) / 2;
        let first = self.scope("first", |g| g.slice(x, 0, half));
        let second = self.scope("second", |g| g.slice(x, half, half));
        (first, second)
    }

    /// Appends the two halves of the channels, interleaved: scope `shuffle`.
    pub fn channel_shuffle(&mut self, x: NodeId) -> NodeId {
        self.scope("shuffle", |g| g.append(Op::ChannelShuffle, &[x], Vec::new()))
    }

    /// Appends every pixel repeated 2×2: scope `upsample`.
    pub fn upsample(&mut self, x: NodeId) -> NodeId {
        self.scope("upsample", |g| g.append(Op::UpsampleNearest, &[x], Vec::new()))
    }

    /// Appends a bilinear resize by a factor of two: scope `resize`.
    pub fn resize_bilinear(&mut self, x: NodeId, factor: ResizeFactor) -> NodeId {
        self.scope("resize", |g| g.append(Op::ResizeBilinear(factor), &[x], Vec::new()))
    }

    /// Appends a fully connected layer with bias; its parameters have the current scope.
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

    /// Appends dropout: scope `dropout`.
    pub fn dropout(&mut self, x: NodeId, rate: f32) -> NodeId {
        self.scope("dropout", |g| g.append(Op::Dropout { rate }, &[x], Vec::new()))
    }

    /// Appends `sqrt(probability · alignment + 1e-9)` (SPEC §3.3): scope `score`.
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
