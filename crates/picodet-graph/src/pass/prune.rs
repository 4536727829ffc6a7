//! Keeps what leads to the outputs that a reader asks for.

use crate::{Graph, NodeId, Output, ParamId, Weights};

/// The graph with only the outputs named by `keep`, and without the nodes and parameters that none of them needs.
///
/// The order of nodes and of parameters stays. Names that the graph does not have are ignored.
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

/// The weights that `graph` has parameters for, and no others: what [`keep_outputs`] leaves of a larger network's.
pub fn keep_weights(graph: &Graph, weights: &Weights) -> Weights {
    let kept = graph.params.iter().filter_map(|param| weights.get_key_value(&param.name));
    kept.map(|(name, tensor)| (name.clone(), tensor.clone())).collect()
}
