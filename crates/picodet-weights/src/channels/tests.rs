//! Networks of the zoo as a file has them, with changes of single operations.

use picodet_graph::{Graph, NodeId, pass};
use picodet_testing::Cases;
use picodet_zoo::HeadMap;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{ForeignActivation, ForeignFlow, ForeignNode, ForeignPool, ForeignRange, ForeignResize, import};

fn graph(variant: &str) -> Graph {
    pass::fold_batch_norm_structure(&picodet_zoo::variant(variant).expect("a variant").architecture.graph(3))
}

fn compare(graph: &Graph, network: &ForeignNetwork) -> Result<ChannelCoverage, String> {
    let matches = import(graph, network).expect("the same convolutions").matches;
    compare_channels(graph, network, &matches).map_err(|error| error.to_string())
}

#[test]
fn every_convolution_of_every_variant_is_compared() {
    let mut cases = Cases::new();
    for variant in picodet_zoo::variants() {
        let graph = pass::fold_batch_norm_structure(&variant.architecture.graph(3));
        let count = graph.nodes.iter().filter(|node| matches!(node.op, Op::Convolution(_))).count();
        let all = ChannelCoverage { compared: count, exact: count, skipped: Vec::new() };
        cases.equal(variant.name, compare(&graph, &ForeignNetwork::of_graph(&graph, 0.0)), Ok(all));
    }
    cases.finish();
}

/// Changes the first node for which `change` returns true, and compares.
fn with(graph: &Graph, change: impl FnMut(&mut ForeignNode) -> bool) -> Result<ChannelCoverage, String> {
    let mut network = ForeignNetwork::of_graph(graph, 0.0);
    assert!(network.nodes.iter_mut().any(change), "no node is changed");
    compare(graph, &network)
}

fn replaced(from: ForeignFlow, to: ForeignFlow) -> impl FnMut(&mut ForeignNode) -> bool {
    move |node| {
        let is_it = node.flow == from;
        if is_it {
            node.flow = to.clone();
        }
        is_it
    }
}

#[test]
fn changed_operations_are_refused() {
    let graph = graph("legacy_s_416");
    let resize = |mode, factor| ForeignFlow::Resize { mode: Some(mode), factors: Some([factor; 2]) };
    let nearest = || resize(ForeignResize::Nearest, 2.0);
    let half = |start| ForeignFlow::Slice(vec![ForeignRange { axis: 1, start, end: start + 48, step: 1 }]);
    let swapped = |node: &mut ForeignNode| {
        let is_concat = matches!(node.flow, ForeignFlow::Concat { .. });
        if is_concat {
            node.inputs.reverse();
        }
        is_concat
    };
    let mut cases = Cases::new();
    let mut refused = |name: &str, found: Result<ChannelCoverage, String>, expected: &str| {
        let error = found.map_or_else(|error| error, |coverage| format!("{coverage:?}"));
        cases.check(format!("{name}: {error}"), error.contains(expected));
    };
    refused("concat", with(&graph, swapped), "reads its channels in another order");
    refused(
        "slice",
        with(&graph, replaced(half(0), half(48))),
        "reads other channels than in the network, from ",
    );
    refused(
        "range",
        with(&graph, replaced(half(48), half(47))),
        "reads other channels than in the network, from ",
    );
    let shuffle = |groups| ForeignFlow::Shuffle { groups };
    refused("shuffle", with(&graph, replaced(shuffle(2), shuffle(4))), "other channels than in the network");
    let factor = "resized by another factor";
    refused("factor", with(&graph, replaced(nearest(), resize(ForeignResize::Nearest, 4.0))), factor);
    refused("no resize", with(&graph, replaced(nearest(), ForeignFlow::SAME)), factor);
    let linear = with(&graph, replaced(nearest(), resize(ForeignResize::Linear, 2.0)));
    refused("interpolation", linear, "another interpolation than in the network");
    let product = with(&graph, replaced(ForeignFlow::Product, ForeignFlow::Sum));
    refused("product", product, "reads a sum where the network has a product");
    let maximum = ForeignFlow::Pool(ForeignPool::Maximum);
    refused("pooling", with(&graph, replaced(maximum.clone(), ForeignFlow::SAME)), "pooled in another way");
    let residual = self::graph("r18vd_640");
    let sum = with(&residual, replaced(ForeignFlow::Sum, ForeignFlow::Product));
    refused("sum", sum, "reads a product where the network has a sum");
    cases.finish();
}

#[test]
fn what_cannot_be_followed_is_not_compared() {
    let graph = graph("legacy_s_416");
    let shuffle = ForeignFlow::Shuffle { groups: 2 };
    let coverage = with(&graph, replaced(shuffle, ForeignFlow::Unknown)).expect("no difference");
    assert!(!coverage.skipped.is_empty() && coverage.compared > 120, "{coverage:?}");
    let nearest = ForeignFlow::Resize { mode: Some(ForeignResize::Nearest), factors: Some([2.0; 2]) };
    let without_factors = ForeignFlow::Resize { mode: Some(ForeignResize::Nearest), factors: None };
    let coverage = with(&graph, replaced(nearest.clone(), without_factors.clone())).expect("no difference");
    assert!(coverage.skipped.is_empty() && coverage.exact < coverage.compared, "{coverage:?}");
}

/// Values of many channels that many nodes rearrange: a bounded number of labels.
#[test]
fn the_work_on_a_hostile_file_is_bounded() {
    let graph = graph("legacy_s_416");
    let mut network = ForeignNetwork::of_graph(&graph, 0.0);
    let mut before = "v1".to_owned();
    for index in 0..100_000 {
        let output = format!("w{index}");
        network.nodes.push(ForeignNode {
            inputs: vec![before.clone(); 8],
            outputs: vec![output.clone()],
            flow: if index % 2 == 0 { ForeignFlow::Concat { axis: 1 } } else { ForeignFlow::Sum },
            ..ForeignNode::default()
        });
        before = if index % 4 == 3 { "v1".to_owned() } else { output };
    }
    let count = graph.nodes.iter().filter(|node| matches!(node.op, Op::Convolution(_))).count();
    assert_eq!(compare(&graph, &network).map(|coverage| coverage.compared), Ok(count));
    // Copies of a value are followed without labels of their own.
    let wide = network.nodes.iter().rposition(|node| matches!(node.flow, ForeignFlow::Concat { .. }));
    let wide = network.nodes[wide.expect("a concatenation")].outputs[0].clone();
    network.nodes.extend((0..100_000).map(|index| ForeignNode {
        inputs: vec![wide.clone()],
        outputs: vec![format!("c{index}")],
        flow: ForeignFlow::SAME,
        ..ForeignNode::default()
    }));
    assert_eq!(head(&graph, &network, &[(NodeId(1), HeadRole::Class)]), Ok(HeadReading::default()));
}

/// A network of the second generation, whose scores have a square root, with the nodes of its head.
fn second_generation() -> (Graph, ForeignNetwork, Vec<(NodeId, HeadRole)>) {
    let graph = graph("v2_xs_320");
    let mut network = ForeignNetwork::of_graph(&graph, 0.0);
    let roles = [
        (HeadMap::ClassLogit, HeadRole::Class),
        (HeadMap::Box, HeadRole::Box),
        (HeadMap::AlignLogit, HeadRole::Alignment),
        (HeadMap::Score, HeadRole::Score),
    ];
    let node = |map: HeadMap, level| graph.output(&map.name(level)).expect("an output");
    let maps = (0..4).flat_map(|level| roles.map(|(map, role)| (node(map, level), role))).collect();
    for level in 0..4 {
        network.nodes.push(ForeignNode {
            inputs: vec![format!("v{}", node(HeadMap::Score, level).0)],
            outputs: vec![format!("root {level}")],
            activation: Some(ForeignActivation::SquareRoot),
            flow: ForeignFlow::SAME,
            ..ForeignNode::default()
        });
    }
    (graph, network, maps)
}

fn head(
    graph: &Graph,
    network: &ForeignNetwork,
    maps: &[(NodeId, HeadRole)],
) -> Result<HeadReading, HeadError> {
    let matches = import(graph, network).expect("the same convolutions").matches;
    compare_head(graph, network, &matches, maps)
}

#[test]
fn sigmoids_that_are_merged_into_convolutions_are_those_of_the_head() {
    let (graph, mut network, maps) = second_generation();
    assert_eq!(head(&graph, &network, &maps), Ok(HeadReading::default()));
    let of_role =
        |role: HeadRole| maps.iter().filter(move |(_, other)| *other == role).map(|(node, _)| node.0);
    let logits: Vec<usize> = of_role(HeadRole::Class).chain(of_role(HeadRole::Alignment)).collect();
    for node in &mut network.nodes {
        let reads_logits = logits.iter().any(|logit| node.inputs.contains(&format!("v{logit}")));
        if node.activation == Some(ForeignActivation::Sigmoid) && reads_logits {
            node.activation = None;
        }
    }
    let without = head(&graph, &network, &maps);
    assert!(matches!(without, Err(HeadError::NoSigmoid(_))), "{without:?}");
    for &logit in &logits {
        network.nodes[logit].activation = Some(ForeignActivation::Sigmoid);
    }
    assert_eq!(head(&graph, &network, &maps), Ok(HeadReading::default()));
    let first = of_role(HeadRole::Box).next().expect("a map of boxes");
    network.nodes[first].activation = Some(ForeignActivation::Sigmoid);
    let of_boxes = head(&graph, &network, &maps);
    assert!(matches!(of_boxes, Err(HeadError::SigmoidOfBoxes(_))), "{of_boxes:?}");
}

#[test]
fn layers_that_are_not_followed_leave_the_head_open() {
    let (graph, mut network, maps) = second_generation();
    for node in network.nodes.iter_mut().filter(|node| node.activation == Some(ForeignActivation::SquareRoot))
    {
        (node.activation, node.flow) = (None, ForeignFlow::Unknown);
    }
    assert!(head(&graph, &network, &maps).is_ok());
}

/// Any numbers in place of axes, extents and indices.
fn flow((kind, numbers): (u8, Vec<i64>)) -> ForeignFlow {
    let number = |index: usize| numbers.get(index).copied().unwrap_or(1);
    let axis = number(0);
    match kind % 12 {
        0 => ForeignFlow::Concat { axis },
        1 => ForeignFlow::Split { axis, sizes: numbers[numbers.len().min(1)..].to_vec() },
        2 => {
            ForeignFlow::Slice(vec![ForeignRange { axis, start: number(1), end: number(2), step: number(3) }])
        }
        3 => ForeignFlow::Gather { axis, indices: numbers, is_removed: kind > 99 },
        4 => ForeignFlow::Shuffle { groups: axis.unsigned_abs() as usize },
        5 | 6 => {
            ForeignFlow::Reshape(numbers.into_iter().map(|extent| (extent != -1).then_some(extent)).collect())
        }
        7 => ForeignFlow::Transpose(numbers),
        8 => ForeignFlow::Squeeze(numbers),
        9 => ForeignFlow::Unsqueeze(numbers),
        10 => ForeignFlow::Flatten { axis },
        _ => ForeignFlow::Pool(if kind > 99 { ForeignPool::Whole } else { ForeignPool::Mean }),
    }
}

#[test]
fn a_map_without_channels_has_no_large_extents() {
    let mut follower = Follower::new();
    let image = Follower::image();
    let mut one =
        |flow: &ForeignFlow, map: Option<&super::map::Map>| follower.results(flow, &[map], 2).swap_remove(0);
    let slice = ForeignFlow::Slice(vec![ForeignRange { axis: 1, start: 3, end: 3, step: 1 }]);
    assert!(one(&slice, image.as_ref()).is_none());
    let reshape = ForeignFlow::Reshape(vec![None, Some(0), Some(i64::MAX / 2), None, None]);
    assert!(one(&reshape, image.as_ref()).is_none());
}

proptest! {
    #[test]
    fn any_numbers_are_followed_without_panic(
        flows in vec((any::<u8>(), vec(prop_oneof![-3i64..7, any::<i64>()], 0..6)), 1..8),
        orders in vec(prop_oneof![Just(vec![0i64, 2, 1, 3]), Just(vec![1, 0, 2, 3]), Just(vec![0, 1, 2])], 1..8),
    ) {
        let mut values = vec![Follower::image()];
        let mut follower = Follower::new();
        let orders = orders.into_iter().map(ForeignFlow::Transpose);
        for flow in flows.into_iter().map(flow).chain(orders) {
            let inputs = [values.last().and_then(Option::as_ref), values.first().and_then(Option::as_ref)];
            let count = if matches!(flow, ForeignFlow::Concat { .. }) { 2 } else { 1 };
            let mut results = follower.results(&flow, &inputs[..count], 2);
            values.extend(results.swap_remove(0).map(Some));
        }
    }
}
