//! Visits the nodes of a network with the labels of their inputs and results.

use std::collections::HashMap;

use picodet_graph::{Graph, Node, Op};

use crate::{ForeignNetwork, ForeignNode};

use super::follow::Follower;
use super::map::Map;

/// Calls `visit` with each node of a graph, its inputs and its result.
pub(super) fn walk_graph<'a>(
    graph: &'a Graph,
    mut visit: impl FnMut(&'a Node, &[Option<&Map>], Option<&Map>),
) {
    let mut follower = Follower::new();
    let mut values: Vec<Option<Map>> = Vec::with_capacity(graph.nodes.len());
    let mut convolutions = 0;
    for node in &graph.nodes {
        let inputs: Vec<Option<&Map>> = node.inputs.iter().map(|input| values[input.0].as_ref()).collect();
        let value = if let Op::Convolution(op) = node.op {
            convolutions += 1;
            follower.convolved(convolutions - 1, op.out_channels, inputs.first().copied().flatten())
        } else {
            follower.results(&super::graph::flow(&node.op), &inputs, 1).pop().flatten()
        };
        visit(node, &inputs, value.as_ref());
        values.push(value);
    }
}

/// Calls `visit` with each node of a file, its inputs and its results; `matches` as for [`compare_channels`].
pub(super) fn walk_network<'a>(
    network: &'a ForeignNetwork,
    matches: &[usize],
    mut visit: impl FnMut(&'a ForeignNode, &[Option<&Map>], &[Option<Map>]),
) {
    let mut site_of = vec![None; matches.len()];
    for (site, &index) in matches.iter().enumerate() {
        if let Some(entry) = site_of.get_mut(index) {
            *entry = Some(site);
        }
    }
    let mut follower = Follower::new();
    let mut values: HashMap<&str, Map> = HashMap::new();
    for input in &network.inputs {
        values.extend(Follower::image().map(|image| (input.as_str(), image)));
    }
    let mut convolutions = 0;
    for node in &network.nodes {
        let inputs: Vec<Option<&Map>> = node.inputs.iter().map(|input| values.get(input.as_str())).collect();
        let results = if let Some(convolution) = &node.convolution {
            let site = site_of.get(convolutions).copied().flatten();
            convolutions += 1;
            let channels = convolution.weight.shape.first().copied().unwrap_or(0);
            let input = inputs.first().copied().flatten();
            vec![site.and_then(|site| follower.convolved(site, channels, input))]
        } else {
            follower.results(&node.flow, &inputs, node.outputs.len())
        };
        visit(node, &inputs, &results);
        for (output, result) in node.outputs.iter().zip(results) {
            match result {
                Some(map) => drop(values.insert(output, map)),
                None => drop(values.remove(output.as_str())),
            }
        }
    }
}
