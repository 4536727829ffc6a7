//! Compares the activations of an exported network (ncnn, ONNX, Paddle) with those of a graph.

use std::collections::HashSet;
use std::fmt;

use picodet_graph::{Activation, Graph, Op};
use picodet_weights::{ForeignActivation, ForeignNetwork, ForeignNode};

use super::error::WeightsError;
use super::layers::{before_convolutions, name_of};

/// Largest difference of the slopes and offsets of two equal activations: files have six or more digits.
const TOLERANCE: f32 = 1e-3;

/// Checks that the activations before the last convolutions are those of the graph.
///
/// Where the file computes one in several operations, only most of them are compared, by their names.
pub(super) fn check(graph: &Graph, network: &ForeignNetwork) -> Result<(), WeightsError> {
    let (Some(expected), Some(found)) = (of_graph(graph), of_file(network)) else {
        return check_names(graph, network);
    };
    let (in_file, in_graph) =
        (Counts::of(found.iter().map(|(_, kind)| *kind)), Counts::of(expected.iter().copied()));
    if in_file != in_graph {
        let (found, expected) = (in_file.to_string(), in_graph.to_string());
        return Err(WeightsError::ActivationCounts { found, expected });
    }
    for (node, kind) in found {
        if !expected.iter().any(|other| is_equal(kind, *other)) {
            return Err(WeightsError::Activation { name: name_of(node), found: describe(kind) });
        }
    }
    Ok(())
}

/// Returns the activations of a graph on which a convolution depends; `None` if exports have them in several operations.
fn of_graph(graph: &Graph) -> Option<Vec<ForeignActivation>> {
    let mut read = HashSet::new();
    let mut found = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        let is_before = read.contains(&index);
        if is_before || matches!(node.op, Op::Convolution(_)) {
            read.extend(node.inputs.iter().map(|input| input.0));
        }
        if let (true, Op::Activation(activation)) = (is_before, &node.op) {
            found.push(match *activation {
                Activation::HardSwish => ForeignActivation::HardSwish { slope: 1.0 / 6.0, offset: 0.5 },
                Activation::Relu => ForeignActivation::Relu { slope: 0.0 },
                Activation::LeakyRelu { slope } => ForeignActivation::Relu { slope },
                Activation::HardSigmoid { slope } => ForeignActivation::HardSigmoid { slope, offset: 0.5 },
                Activation::Sigmoid => ForeignActivation::Sigmoid,
                Activation::Relu6 => return None,
            });
        }
    }
    Some(found)
}

/// Returns the activations of a file on which a convolution depends; `None` if one is of another kind, or if there are none.
fn of_file(network: &ForeignNetwork) -> Option<Vec<(&ForeignNode, ForeignActivation)>> {
    let mut found = Vec::new();
    for node in before_convolutions(network) {
        found.push(match node.activation {
            Some(ForeignActivation::Other) => return None,
            Some(ForeignActivation::HardSigmoid { slope, offset }) if is_gate_of_input(node, network) => {
                (node, ForeignActivation::HardSwish { slope, offset })
            }
            // No activation of a network; its layer is refused by its type.
            Some(ForeignActivation::SquareRoot) => continue,
            Some(activation) => (node, activation),
            None => continue,
        });
    }
    (!found.is_empty()).then_some(found)
}

/// Whether the output of a node is multiplied by its input, as in a hard-swish of two operations.
fn is_gate_of_input(node: &ForeignNode, network: &ForeignNetwork) -> bool {
    let (Some(input), Some(output)) = (node.inputs.first(), node.outputs.first()) else { return false };
    node.convolution.is_none()
        && network.nodes.iter().any(|other| other.inputs.contains(input) && other.inputs.contains(output))
}

fn is_equal(one: ForeignActivation, other: ForeignActivation) -> bool {
    use ForeignActivation::{HardSigmoid, HardSwish, Relu};
    let is_near = |a: f32, b: f32| (a - b).abs() <= TOLERANCE;
    match (one, other) {
        (HardSwish { slope: a, offset: b }, HardSwish { slope, offset })
        | (HardSigmoid { slope: a, offset: b }, HardSigmoid { slope, offset }) => {
            is_near(a, slope) && is_near(b, offset)
        }
        (Relu { slope: a }, Relu { slope }) => is_near(a, slope),
        (one, other) => one == other,
    }
}

fn describe(kind: ForeignActivation) -> String {
    match kind {
        ForeignActivation::HardSwish { slope, offset } => {
            format!("a hard-swish whose gate has the slope {slope} and the offset {offset}")
        }
        ForeignActivation::HardSigmoid { slope, offset } => {
            format!("a hard sigmoid with the slope {slope} and the offset {offset}")
        }
        ForeignActivation::Relu { slope } => format!("a ReLU with the slope {slope}"),
        ForeignActivation::Sigmoid => "a sigmoid".to_owned(),
        _ => "of another kind".to_owned(),
    }
}

/// Numbers of hard-swish, ReLU, hard sigmoid and sigmoid.
#[derive(PartialEq)]
struct Counts([usize; 4]);

impl Counts {
    fn of(kinds: impl Iterator<Item = ForeignActivation>) -> Self {
        let mut counts = [0; 4];
        for kind in kinds {
            counts[match kind {
                ForeignActivation::HardSwish { .. } => 0,
                ForeignActivation::Relu { .. } => 1,
                ForeignActivation::HardSigmoid { .. } => 2,
                _ => 3,
            }] += 1;
        }
        Self(counts)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["hard-swish", "ReLU", "hard sigmoid", "sigmoid"];
        let counts = self.0.iter().zip(names).filter(|(count, _)| **count > 0);
        let texts: Vec<String> = counts.map(|(count, name)| format!("{count} {name}")).collect();
        f.write_str(&texts.join(", "))
    }
}

/// Least number of activations that tell their kind; squeeze-excite has a few others.
const ACTIVATIONS: usize = 12;

/// Checks by their names that most activations are of the graph's kind, hard-swish or ReLU.
fn check_names(graph: &Graph, network: &ForeignNetwork) -> Result<(), WeightsError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use ForeignActivation::{HardSigmoid, HardSwish, Other, Relu, Sigmoid};

    /// The operations of the graph as a file has them, with a change of each activation.
    fn network(graph: &Graph, change: impl Fn(ForeignActivation) -> ForeignActivation) -> ForeignNetwork {
        let mut network = ForeignNetwork::of_graph(graph, 0.0);
        for node in &mut network.nodes {
            node.activation = node.activation.map(&change);
        }
        network
    }

    #[test]
    fn the_activations_of_every_variant_are_accepted() {
        for variant in picodet_zoo::variants() {
            let graph = variant.architecture.graph(3);
            assert!(check(&graph, &network(&graph, |kind| kind)).is_ok(), "{}", variant.name);
            assert!(check(&graph, &network(&graph, |_| Other)).is_ok(), "{}", variant.name);
        }
    }

    #[test]
    fn other_activations_are_refused() {
        let variant = picodet_zoo::variant("legacy_s_416").expect("a variant");
        let graph = variant.architecture.graph(3);
        let with = |from: fn(&ForeignActivation) -> bool, to: ForeignActivation| {
            let change = |kind| if from(&kind) { to } else { kind };
            check(&graph, &network(&graph, change)).expect_err("another network").to_string()
        };
        let is_swish = |kind: &ForeignActivation| matches!(kind, HardSwish { .. });
        let is_gate = |kind: &ForeignActivation| matches!(kind, HardSigmoid { .. });
        let is_relu = |kind: &ForeignActivation| matches!(kind, Relu { .. });
        let found = with(is_swish, Relu { slope: 0.0 });
        assert!(found.contains("its activations are") && found.contains("those of the network"), "{found}");
        assert!(with(is_swish, Sigmoid).contains("sigmoid"));
        assert!(with(is_gate, Sigmoid).contains("sigmoid"));
        let found = with(is_swish, HardSwish { slope: 0.2, offset: 0.5 });
        assert!(found.contains("gate has the slope 0.2 and the offset 0.5"), "{found}");
        assert!(with(is_gate, HardSigmoid { slope: 0.2, offset: 0.5 }).contains("the slope 0.2"));
        assert!(with(is_relu, Relu { slope: 0.1 }).contains("a ReLU with the slope 0.1"));
    }

    #[test]
    fn a_hard_swish_can_be_a_gate_and_a_product() {
        let variant = picodet_zoo::variant("legacy_s_416").expect("a variant");
        let graph = variant.architecture.graph(3);
        let mut network = network(&graph, |kind| kind);
        let swish = network.nodes.iter().position(|node| matches!(node.activation, Some(HardSwish { .. })));
        let index = swish.expect("a hard-swish");
        let mut product = network.nodes[index].clone();
        let gate = &mut network.nodes[index];
        gate.activation = Some(HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 });
        gate.outputs = vec!["gate".to_owned()];
        product.activation = None;
        product.inputs.push("gate".to_owned());
        network.nodes.insert(index + 1, product);
        assert!(check(&graph, &network).is_ok());
    }
}
