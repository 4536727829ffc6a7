//! The operations of a graph as those of a file.

use std::collections::BTreeMap;

use picodet_graph::{Activation, Graph, Node, Op, ResizeFactor, Tensor};

use crate::{
    ForeignActivation, ForeignConvolution, ForeignFlow, ForeignNetwork, ForeignNode, ForeignPool,
    ForeignPooling, ForeignRange, ForeignResize,
};

/// Returns how the channels of an operation's result follow from those of its inputs.
pub(super) fn flow(op: &Op) -> ForeignFlow {
    let resize = |mode, factor| ForeignFlow::Resize { mode: Some(mode), factors: Some([factor; 2]) };
    match *op {
        Op::Input => ForeignFlow::Image,
        Op::BatchNorm | Op::Activation(_) | Op::Dropout { .. } => ForeignFlow::SAME,
        Op::MaxPool => ForeignFlow::Pool(ForeignPool::Maximum),
        Op::AveragePool => ForeignFlow::Pool(ForeignPool::Mean),
        Op::GlobalAveragePool => ForeignFlow::Pool(ForeignPool::Whole),
        Op::Add => ForeignFlow::Sum,
        Op::Scale | Op::GeometricMean { .. } => ForeignFlow::Product,
        Op::Concat => ForeignFlow::Concat { axis: 1 },
        Op::Slice { start, len } => {
            let [start, end] = [start, start + len].map(|index| index as i64);
            ForeignFlow::Slice(vec![ForeignRange { axis: 1, start, end, step: 1 }])
        }
        Op::ChannelShuffle => ForeignFlow::Shuffle { groups: 2 },
        Op::UpsampleNearest => resize(ForeignResize::Nearest, 2.0),
        Op::ResizeBilinear(ResizeFactor::Double) => resize(ForeignResize::Linear, 2.0),
        Op::ResizeBilinear(ResizeFactor::Half) => resize(ForeignResize::Linear, 0.5),
        Op::Convolution(_) | Op::Linear { .. } => ForeignFlow::Unknown,
    }
}

impl ForeignNetwork {
    /// Returns the operations of a graph as a file has them, each in one node; every weight is `value`.
    ///
    /// Nodes have the names of their scopes, values the names `v0`, `v1`, … of their nodes' positions.
    #[must_use]
    pub fn of_graph(graph: &Graph, value: f32) -> Self {
        let nodes =
            graph.nodes.iter().enumerate().map(|(index, node)| foreign(graph, index, node, value)).collect();
        Self { nodes, metadata: BTreeMap::new(), inputs: Vec::new() }
    }
}

fn foreign(graph: &Graph, index: usize, node: &Node, value: f32) -> ForeignNode {
    let pooling = |is_average: bool, is_global: bool, side: usize, pad: i64| {
        Some(ForeignPooling { is_average, is_global, kernel: [side; 2], strides: [2; 2], pads: [pad; 4] })
    };
    let mut found = ForeignNode {
        name: node.scope.clone(),
        inputs: node.inputs.iter().map(|input| format!("v{}", input.0)).collect(),
        outputs: vec![format!("v{index}")],
        flow: flow(&node.op),
        ..ForeignNode::default()
    };
    found.kind = match node.op {
        Op::Input => "Input",
        Op::Convolution(op) => {
            let shape = graph.params_of(node).next().map(|param| param.shape.clone()).unwrap_or_default();
            found.convolution = Some(ForeignConvolution {
                weight: Tensor::full(&shape, value),
                bias: None,
                stride: op.stride,
                groups: op.groups,
            });
            "Conv"
        }
        Op::BatchNorm => "BatchNormalization",
        Op::Activation(activation) => {
            let (kind, activation) = foreign_activation(activation);
            found.activation = Some(activation);
            kind
        }
        Op::MaxPool => {
            found.pooling = pooling(false, false, 3, 1);
            "MaxPool"
        }
        Op::AveragePool => {
            found.pooling = pooling(true, false, 2, 0);
            "AveragePool"
        }
        Op::GlobalAveragePool => {
            found.pooling = pooling(true, true, 0, 0);
            "GlobalAveragePool"
        }
        Op::Add => "Add",
        Op::Scale | Op::GeometricMean { .. } => "Mul",
        Op::Concat => "Concat",
        Op::Slice { .. } => "Slice",
        Op::ChannelShuffle => "ShuffleChannel",
        Op::UpsampleNearest | Op::ResizeBilinear(_) => "Resize",
        Op::Linear { .. } => "Gemm",
        Op::Dropout { .. } => "Dropout",
    }
    .to_owned();
    found
}

fn foreign_activation(activation: Activation) -> (&'static str, ForeignActivation) {
    match activation {
        Activation::HardSwish => {
            ("HardSwish", ForeignActivation::HardSwish { slope: 1.0 / 6.0, offset: 0.5 })
        }
        Activation::Relu => ("Relu", ForeignActivation::Relu { slope: 0.0 }),
        Activation::LeakyRelu { slope } => ("LeakyRelu", ForeignActivation::Relu { slope }),
        Activation::HardSigmoid { slope } => {
            ("HardSigmoid", ForeignActivation::HardSigmoid { slope, offset: 0.5 })
        }
        Activation::Sigmoid => ("Sigmoid", ForeignActivation::Sigmoid),
        Activation::Relu6 => ("Clip", ForeignActivation::Other),
    }
}
