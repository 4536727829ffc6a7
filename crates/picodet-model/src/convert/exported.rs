//! Weights of an exported network (ncnn, ONNX), matched by structure, batch norms folded.

use std::collections::BTreeMap;

use picodet_graph::{Activation, Graph, Op};
use picodet_weights::{ForeignNetwork, Imported};
use picodet_zoo::{HeadKind, REG_CHANNELS, Variant};

use super::error::WeightsError;
use super::network::Network;

/// Assigns the convolutions of an exported network to those of `variant`.
pub(super) fn network(variant: &Variant, network: &ForeignNetwork) -> Result<Network, WeightsError> {
    let mut problem = WeightsError::NoPrediction;
    for classes in possible_class_counts(variant, network) {
        match picodet_weights::import(&variant.architecture.graph(classes), network) {
            Ok(Imported { graph, weights, names }) => {
                graph.check_weights(&weights)?;
                check_activations(&graph, network)?;
                return Ok(Network { graph, weights, folded: true, names, notes: Vec::new() });
            }
            Err(error) => problem = error.into(),
        }
    }
    Err(problem)
}

/// Least number of activations that tell their kind; squeeze-excite has a few others.
const ACTIVATIONS: usize = 12;

/// Checks that the file's activations are of the graph's kind, hard-swish or ReLU, where it has operations of these names.
fn check_activations(graph: &Graph, network: &ForeignNetwork) -> Result<(), WeightsError> {
    let of_graph = |is_kind: fn(&Activation) -> bool| {
        let activations = graph.nodes.iter().filter_map(|node| match &node.op {
            Op::Activation(activation) => Some(activation),
            _ => None,
        });
        activations.filter(|activation| is_kind(activation)).count()
    };
    let swish = of_graph(|activation| matches!(activation, Activation::HardSwish));
    let relu = of_graph(|activation| matches!(activation, Activation::Relu | Activation::LeakyRelu { .. }));
    let in_file = |is_kind: fn(&str) -> bool| {
        network.nodes.iter().filter(|node| is_kind(&node.kind.to_ascii_lowercase())).count()
    };
    let swish_in_file = in_file(|kind| kind.contains("swish"));
    // Before version 14 ONNX has no hard-swish: a hard sigmoid or clip, and products.
    let parts_in_file = in_file(|kind| ["hardsigmoid", "hard_sigmoid", "clip"].contains(&kind));
    let relu_in_file = in_file(|kind| kind.contains("relu") && !kind.contains("relu6"));
    let dominates = |most: usize, least: usize| most >= ACTIVATIONS && most > 2 * least;
    let problem = |found, expected| Err(WeightsError::Activations { found, expected });
    if dominates(relu_in_file, swish_in_file + parts_in_file) && dominates(swish, relu) {
        return problem("ReLU", "hard-swish");
    }
    if dominates(swish_in_file, relu_in_file) && dominates(relu, swish) {
        return problem("hard-swish", "ReLU");
    }
    Ok(())
}

/// Returns the class counts that follow from the 1×1 convolutions of a network, that of the variant first.
///
/// The head has one such convolution of equal output channels per pyramid level.
fn possible_class_counts(variant: &Variant, network: &ForeignNetwork) -> Vec<usize> {
    let convolutions = network.nodes.iter().filter_map(|node| node.convolution.as_ref());
    let mut count_by_channels: BTreeMap<usize, usize> = BTreeMap::new();
    for convolution in convolutions.filter(|convolution| convolution.weight.shape.ends_with(&[1, 1])) {
        *count_by_channels.entry(convolution.weight.shape[0]).or_default() += 1;
    }
    let levels = variant.architecture.levels();
    let box_channels = match variant.architecture.head.kind {
        HeadKind::PicoHead => REG_CHANNELS,
        HeadKind::PicoHeadV2 => 0,
    };
    let frequent = count_by_channels.into_iter().filter(|(_, count)| *count >= levels);
    let classes = frequent.map(|(channels, _)| channels.saturating_sub(box_channels));
    let mut classes: Vec<usize> = classes.filter(|&classes| classes > 0).collect();
    classes.sort_unstable_by_key(|&classes| (classes != variant.classes.len(), classes));
    classes
}
