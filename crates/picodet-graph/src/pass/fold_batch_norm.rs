//! Folds each batch norm into the convolution whose result it reads: `γ(Wx - μ)/σ + β = (γ/σ)Wx + (β - γμ/σ)`.

use crate::op::BATCH_NORM_EPSILON;
use crate::{Graph, Initialiser, NodeId, Op, Param, ParamId, Role, Tensor, Weights};

/// A convolution and the batch norm that is its only reader.
struct Pair {
    convolution: NodeId,
    norm: NodeId,
}

fn pairs(graph: &Graph) -> Vec<Pair> {
    let readers = graph.readers();
    let is_named = |id: NodeId| graph.outputs.iter().any(|output| output.node == id);
    let mut pairs = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.op != Op::BatchNorm {
            continue;
        }
        let convolution = node.inputs[0];
        let is_only_reader = readers[convolution.0].len() == 1 && !is_named(convolution);
        if matches!(graph.node(convolution).op, Op::Convolution(_)) && is_only_reader {
            pairs.push(Pair { convolution, norm: NodeId(index) });
        }
    }
    pairs
}

/// Folds the graph as [`fold_batch_norm`] does, without weights: the structure of published weights whose batch norms are
/// folded (ncnn, ONNX).
pub fn fold_batch_norm_structure(graph: &Graph) -> Graph {
    let mut folded = graph.clone();
    let mut replaced: Vec<NodeId> = (0..graph.nodes.len()).map(NodeId).collect();
    for Pair { convolution, norm } in pairs(graph) {
        replaced[norm.0] = convolution;
        let node = &mut folded.nodes[convolution.0];
        let Op::Convolution(op) = &mut node.op else {
            continue;
        };
        if !op.bias {
            op.bias = true;
            let decays = graph.params[node.params[0].0].decays;
            let param = Param {
                name: format!("{}.bias", node.scope),
                shape: vec![op.out_channels],
                role: Role::Bias,
                initialiser: Initialiser::Constant(0.0),
                decays,
            };
            node.params.push(ParamId(folded.params.len()));
            folded.params.push(param);
        }
    }
    compact(folded, &replaced)
}

/// Folds every batch norm whose convolution has no other reader. Results differ only by rounding.
///
/// `weights` must match `graph` ([`Graph::check_weights`]). Computed in f64, rounded once.
#[must_use]
pub fn fold_batch_norm(graph: &Graph, weights: &Weights) -> (Graph, Weights) {
    let mut folded = weights.clone();
    for Pair { convolution, norm } in pairs(graph) {
        let convolution = graph.node(convolution);
        let names: Vec<&str> = graph.params_of(graph.node(norm)).map(|param| param.name.as_str()).collect();
        let [Some(gamma), Some(beta), Some(mean), Some(variance)] =
            [0, 1, 2, 3].map(|i| folded.remove(names[i]))
        else {
            continue;
        };
        let channels = gamma.data.len();
        let factor: Vec<f64> = (0..channels)
            .map(|c| f64::from(gamma.data[c]) / (f64::from(variance.data[c]) + BATCH_NORM_EPSILON).sqrt())
            .collect();
        let before = folded.remove(&format!("{}.bias", convolution.scope));
        let bias = (0..channels)
            .map(|c| {
                let old = before.as_ref().map_or(0.0, |bias| f64::from(bias.data[c]));
                (f64::from(beta.data[c]) + (old - f64::from(mean.data[c])) * factor[c]) as f32
            })
            .collect();
        if let Some(weight) = folded.get_mut(&format!("{}.weight", convolution.scope)) {
            let row = weight.data.len() / channels;
            for (values, factor) in weight.data.chunks_mut(row).zip(&factor) {
                values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
            }
        }
        folded.insert(format!("{}.bias", convolution.scope), Tensor { shape: vec![channels], data: bias });
    }
    (fold_batch_norm_structure(graph), folded)
}

/// Removes the nodes that `replaced` maps to another node, and the parameters without a reader.
pub(super) fn compact(graph: Graph, replaced: &[NodeId]) -> Graph {
    let mut index = vec![None; graph.nodes.len()];
    let mut params = vec![None; graph.params.len()];
    let mut result = Graph::default();
    for (old, mut node) in graph.nodes.into_iter().enumerate() {
        if replaced[old] != NodeId(old) {
            index[old] = index[replaced[old].0];
            continue;
        }
        index[old] = Some(NodeId(result.nodes.len()));
        node.inputs.iter_mut().for_each(|input| *input = index[input.0].unwrap_or(*input));
        for param in &mut node.params {
            let new = *params[param.0].get_or_insert_with(|| {
                result.params.push(graph.params[param.0].clone());
                ParamId(result.params.len() - 1)
            });
            *param = new;
        }
        result.nodes.push(node);
    }
    for mut output in graph.outputs {
        if let Some(node) = index[output.node.0] {
            output.node = node;
            result.outputs.push(output);
        }
    }
    result
}
