//! Compares the layers without weights of an exported network (ncnn, ONNX, Paddle) with those of a graph.

use std::collections::HashSet;

use picodet_graph::{Activation, Graph, Op};
use picodet_weights::{ForeignNetwork, ForeignNode, ForeignPool, ForeignPooling};

use super::error::WeightsError;

/// Types of layers that exports of a PicoDet have before a convolution: its own operations, whole or in parts, and the
/// arithmetic of shapes.
const KNOWN: &[&str] = &[
    "Add",
    "AveragePool",
    "BatchNorm",
    "BatchNormalization",
    "BinaryOp",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Convolution",
    "ConvolutionDepthWise",
    "Crop",
    "Dequantize",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Eltwise",
    "Equal",
    "Expand",
    "ExpandDims",
    "Flatten",
    "Floor",
    "Gather",
    "GlobalAveragePool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InnerProduct",
    "Input",
    "Interp",
    "LeakyRelu",
    "Max",
    "MaxPool",
    "MemoryData",
    "Min",
    "Mul",
    "Noop",
    "PReLU",
    "PRelu",
    "Packing",
    "Pad",
    "Padding",
    "Permute",
    "Pooling",
    "Quantize",
    "QuantizeLinear",
    "ReLU",
    "ReduceMean",
    "Reduction",
    "Relu",
    "Reshape",
    "Resize",
    "Scale",
    "Shape",
    "ShuffleChannel",
    "Sigmoid",
    "Slice",
    "Split",
    "Squeeze",
    "Sub",
    "Sum",
    "Transpose",
    "Unsqueeze",
    "Upsample",
    "Where",
];

/// The same in Paddle programs, without the `_` of operations in place.
const KNOWN_OF_PADDLE: &[&str] = &[
    "add",
    "assign",
    "batch_norm",
    "builtin_slice",
    "builtin_split",
    "cast",
    "channel_shuffle",
    "combine",
    "concat",
    "conv2d",
    "data",
    "depthwise_conv2d",
    "dropout",
    "elementwise_add",
    "elementwise_mul",
    "feed",
    "flatten",
    "flatten_contiguous_range",
    "hard_sigmoid",
    "hard_swish",
    "hardsigmoid",
    "hardswish",
    "leaky_relu",
    "mean",
    "multiply",
    "nearest_interp",
    "nearest_interp_v2",
    "bilinear_interp",
    "bilinear_interp_v2",
    "reduce_mean",
    "relu",
    "reshape",
    "reshape2",
    "scale",
    "share_data",
    "shuffle_channel",
    "sigmoid",
    "slice",
    "split",
    "split_with_num",
    "squeeze",
    "squeeze2",
    "strided_slice",
    "transpose",
    "transpose2",
    "unsqueeze",
    "unsqueeze2",
];
/// Paddle's name of an activation that has one operation there, and several in other formats.
const RELU6: &str = "relu6";

/// Checks that the layers before the last convolutions are of known types, and that the poolings are those of the graph.
pub(super) fn check(graph: &Graph, network: &ForeignNetwork) -> Result<(), WeightsError> {
    let count = |is_kind: fn(&Op) -> bool| graph.nodes.iter().filter(|node| is_kind(&node.op)).count();
    let maxima = count(|op| matches!(op, Op::MaxPool));
    let means = count(|op| matches!(op, Op::AveragePool));
    let has_relu6 = count(|op| matches!(op, Op::Activation(Activation::Relu6))) > 0;
    let mut found = [0; 2];
    let padded: HashSet<&String> = (network.nodes.iter())
        .filter(|node| matches!(node.kind.as_str(), "Pad" | "Padding"))
        .flat_map(|node| &node.outputs)
        .collect();
    for node in before_convolutions(network).into_iter().filter(|node| node.convolution.is_none()) {
        let Some(pooling) = node.pooling else {
            let is_known = KNOWN.contains(&node.kind.as_str())
                || KNOWN_OF_PADDLE.contains(&node.kind.trim_end_matches('_'))
                || node.kind == RELU6 && has_relu6;
            if is_known {
                continue;
            }
            return Err(WeightsError::Layer { name: name_of(node), kind: node.kind.clone() });
        };
        let is_padded = node.inputs.iter().any(|input| padded.contains(input));
        match place(&pooling, is_padded) {
            Some(ForeignPool::Maximum) if maxima > 0 => found[0] += 1,
            Some(ForeignPool::Mean) if means > 0 => found[1] += 1,
            Some(ForeignPool::Whole) => {}
            _ => return Err(WeightsError::Pooling { name: name_of(node), found: describe(&pooling) }),
        }
    }
    if found != [maxima, means] {
        let [found, expected] = [found.iter().sum(), maxima + means];
        return Err(WeightsError::Poolings { found, expected });
    }
    Ok(())
}

/// Returns the operation of a graph that a pooling can be.
fn place(pooling: &ForeignPooling, is_padded: bool) -> Option<ForeignPool> {
    let &ForeignPooling { kernel, strides, pads, .. } = pooling;
    // Some exporters pad by a separate layer.
    let is_centred = pads == [1; 4] || is_padded && pads == [0; 4];
    pooling.kind().filter(|kind| match kind {
        ForeignPool::Maximum => kernel == [3; 2] && strides == [2; 2] && is_centred,
        ForeignPool::Mean => kernel == [2; 2] && strides == [2; 2],
        _ => true,
    })
}

fn describe(pooling: &ForeignPooling) -> String {
    let kind = if pooling.is_average { "a mean" } else { "a maximum" };
    if pooling.is_global {
        return format!("{kind} over the whole map");
    }
    let ([height, width], [rows, columns]) = (pooling.kernel, pooling.strides);
    format!("{kind} over {height}x{width} with strides {rows} and {columns} and padding {:?}", pooling.pads)
}

pub(super) fn name_of(node: &ForeignNode) -> String {
    let output = node.outputs.first().map(String::as_str).unwrap_or_default();
    if node.name.is_empty() { output.to_owned() } else { node.name.clone() }
}

/// Returns the nodes that a convolution depends on: later ones decode the outputs of the head.
pub(super) fn before_convolutions(network: &ForeignNetwork) -> Vec<&ForeignNode> {
    let mut read: HashSet<&str> = HashSet::new();
    let mut before = Vec::new();
    for node in network.nodes.iter().rev() {
        let is_before = node.outputs.iter().any(|output| read.contains(output.as_str()));
        if is_before || node.convolution.is_some() {
            read.extend(node.inputs.iter().map(String::as_str));
        }
        if is_before {
            before.push(node);
        }
    }
    before.reverse();
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAXIMUM: ForeignPooling =
        ForeignPooling { is_average: false, is_global: false, kernel: [3; 2], strides: [2; 2], pads: [1; 4] };

    /// The layers of the graph as a file has them, with a change of each node.
    fn network(graph: &Graph, change: impl Fn(&mut ForeignNode)) -> ForeignNetwork {
        let mut network = ForeignNetwork::of_graph(graph, 0.0);
        network.nodes.iter_mut().for_each(change);
        network
    }

    #[test]
    fn the_layers_of_every_variant_are_accepted_and_others_refused() {
        for variant in picodet_zoo::variants() {
            let graph = variant.architecture.graph(3);
            assert!(check(&graph, &network(&graph, |_| {})).is_ok(), "{}", variant.name);
            let unknown = |node: &mut ForeignNode| {
                if node.pooling.is_none() && node.name.starts_with("backbone") {
                    node.kind = "Mish".to_owned();
                }
            };
            let error = check(&graph, &network(&graph, unknown)).expect_err("Mish").to_string();
            assert!(error.contains("Mish"), "{error}");
            let after = |node: &mut ForeignNode| {
                if node.name.starts_with("head") && node.name.contains("prob") {
                    node.kind = "Softplus".to_owned();
                }
            };
            assert!(check(&graph, &network(&graph, after)).is_ok(), "{}", variant.name);
        }
    }

    #[test]
    fn changed_poolings_are_refused() {
        let variant = picodet_zoo::variant("legacy_s_416").expect("a variant");
        let graph = variant.architecture.graph(3);
        let with = |pooling: Option<ForeignPooling>| {
            let change = |node: &mut ForeignNode| {
                if node.pooling == Some(MAXIMUM) {
                    node.pooling = pooling;
                }
            };
            check(&graph, &network(&graph, change)).map_err(|error| error.to_string())
        };
        assert_eq!(with(Some(MAXIMUM)), Ok(()));
        let others = [
            ForeignPooling { kernel: [2; 2], pads: [0; 4], ..MAXIMUM },
            ForeignPooling { strides: [1; 2], ..MAXIMUM },
            ForeignPooling { pads: [0; 4], ..MAXIMUM },
            ForeignPooling { is_average: true, ..MAXIMUM },
            ForeignPooling { is_global: true, ..MAXIMUM },
        ];
        for other in others {
            assert!(with(Some(other)).is_err_and(|error| error.contains("pooling `backbone")), "{other:?}");
        }
        assert!(with(None).is_err_and(|error| error.contains("0 poolings, the network 1")));
    }
}
