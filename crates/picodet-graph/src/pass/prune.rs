//! Removes the nodes and weights that selected outputs do not depend on.

use crate::{Graph, NodeId, Output, ParamId, Weights};

/// Returns the graph with the outputs selected by `keep` and the nodes and parameters that they depend on.
///
/// The order of nodes and parameters is preserved.
pub fn keep_outputs(graph: &Graph, keep: impl Fn(&str) -> bool) -> Graph {
    let outputs: Vec<&Output> = graph.outputs.iter().filter(|output| keep(&output.name)).collect();
    let mut needed = vec![false; graph.nodes.len()];
    outputs.iter().for_each(|output| needed[output.node.0] = true);
    for index in (0..graph.nodes.len()).rev() {
        if needed[index] {
            graph.nodes[index].inputs.iter().for_each(|input| needed[input.0] = true);
        }
    }
    let mut result = Graph::default();
    let mut index = vec![NodeId(0); graph.nodes.len()];
    for (old, node) in graph.nodes.iter().enumerate().filter(|(old, _)| needed[*old]) {
        let mut node = node.clone();
        node.inputs.iter_mut().for_each(|input| *input = index[input.0]);
        for param in &mut node.params {
            result.params.push(graph.params[param.0].clone());
            *param = ParamId(result.params.len() - 1);
        }
        index[old] = NodeId(result.nodes.len());
        result.nodes.push(node);
    }
    result.outputs = outputs.iter().map(|o| Output { name: o.name.clone(), node: index[o.node.0] }).collect();
    result
}

/// Returns the weights of the parameters of `graph`, out of those of a larger network.
#[must_use]
pub fn keep_weights(graph: &Graph, weights: &Weights) -> Weights {
    let kept = graph.params.iter().filter_map(|param| weights.get_key_value(&param.name));
    kept.map(|(name, tensor)| (name.clone(), tensor.clone())).collect()
}
