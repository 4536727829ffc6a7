//! Quantised models between memory and file.

use std::collections::BTreeSet;

use picodet_graph::quantised::{image_scales, is_quantisable, maps_of};
use picodet_graph::{
    CheckError, Graph, Node, NodeId, Op, Quantisation, QuantisedConvolution, Tensor, Weights, pass,
};
use picodet_weights::{IntegerRows, Metadata, StoredQuantisation};

/// Returns the quantisation of a file, whose tensors have the shapes of the graph, and adds to `weights` what is stored in 8
/// bits but computed in floats.
pub(crate) fn restore(
    graph: &Graph,
    mut stored: StoredQuantisation,
    metadata: &Metadata,
    weights: &mut Weights,
) -> Result<Quantisation, CheckError> {
    let mut quantisation =
        Quantisation { mean: metadata.mean, std: metadata.std, maps: stored.maps, ..Quantisation::default() };
    let mut problems = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate().filter(|(i, _)| is_quantisable(graph, NodeId(*i))) {
        let [weight, bias] = [0, 1].map(|p| node.params.get(p).map(|&id| &graph.params[id.0].name));
        let rows = weight.and_then(|name| stored.rows.remove(name));
        let is_float =
            || metadata.quantisation.as_ref().is_some_and(|record| record.floats.contains(&node.scope));
        let Some(IntegerRows { integers, scales, .. }) = rows else {
            if is_float() {
                continue;
            }
            problems.push(format!("{}: has no 8-bit weights", graph.nodes[index].scope));
            continue;
        };
        let bias = match bias.and_then(|name| weights.get(name)) {
            Some(bias) => bias.data.clone(),
            None => vec![0.0; scales.len()],
        };
        let convolution = QuantisedConvolution { weight: integers, scale: scales, bias };
        quantisation.convolutions.insert(node.scope.clone(), convolution);
    }
    if !problems.is_empty() {
        return Err(CheckError { problems });
    }
    quantisation.check(graph)?;
    let floats = stored.rows.into_iter().filter_map(|(name, rows)| Some((name, rows.dequantise()?)));
    weights.extend(floats);
    Ok(quantisation)
}

/// Returns the weights of quantised convolutions that are not in `weights`: the integers, times the scale of the row, divided by
/// the scales of the input. The quantisation fits the graph.
pub(crate) fn missing_weights(graph: &Graph, quantisation: &Quantisation, weights: &Weights) -> Weights {
    let name = |node: &Node| node.params.first().map(|id| &graph.params[id.0].name);
    let is_missing = |node: &&Node| name(node).is_some_and(|name| !weights.contains_key(name));
    let mut missing = Weights::new();
    let mut maps = Vec::new();
    for node in graph.nodes.iter().filter(is_missing) {
        if maps.is_empty() {
            maps = maps_of(graph, &pass::fuse(graph), quantisation);
        }
        let (Op::Convolution(op), Some(convolution)) = (node.op, quantisation.convolutions.get(&node.scope))
        else {
            continue;
        };
        let input = node.inputs[0];
        let scales = match &maps[input.0] {
            Some(map) => map.scale.clone(),
            None => image_scales(quantisation.std).to_vec(),
        };
        let window = op.kernel * op.kernel;
        let inputs = graph.node(input).shape.channels / op.groups;
        let outputs = op.out_channels / op.groups;
        let value = |(index, &integer): (usize, &i8)| {
            let o = index / (inputs * window);
            let channel = o / outputs * inputs + index / window % inputs;
            f32::from(integer) * convolution.scale[o] / scales[channel]
        };
        let data = convolution.weight.iter().enumerate().map(value).collect();
        let param = &graph.params[node.params[0].0];
        missing.insert(param.name.clone(), Tensor { shape: param.shape.clone(), data });
    }
    missing
}

/// Returns the names of the weights that are not stored in 8 bits: those of the convolutions that a mixed model computes in f32.
pub(crate) fn float_parameters(graph: &Graph, quantisation: &Quantisation) -> BTreeSet<String> {
    let is_float = |(index, node): &(usize, &Node)| {
        is_quantisable(graph, NodeId(*index)) && !quantisation.convolutions.contains_key(&node.scope)
    };
    let floats = graph.nodes.iter().enumerate().filter(is_float);
    floats.filter_map(|(_, node)| Some(graph.params[node.params.first()?.0].name.clone())).collect()
}

/// Returns the integers to store. The biases of quantised convolutions replace those of `weights`.
pub(crate) fn store(graph: &Graph, quantisation: &Quantisation, weights: &mut Weights) -> StoredQuantisation {
    let mut stored = StoredQuantisation { maps: quantisation.maps.clone(), ..StoredQuantisation::default() };
    for node in &graph.nodes {
        let Some(convolution) = quantisation.convolutions.get(&node.scope) else { continue };
        let [weight, bias] = [0, 1].map(|p| node.params.get(p).map(|&id| &graph.params[id.0].name));
        if let Some(weight) = weight {
            let rows = IntegerRows {
                shape: graph.params[node.params[0].0].shape.clone(),
                integers: convolution.weight.clone(),
                scales: convolution.scale.clone(),
            };
            stored.rows.insert(weight.clone(), rows);
        }
        if let Some(tensor) = bias.and_then(|bias| weights.get_mut(bias)) {
            tensor.data.clone_from(&convolution.bias);
        }
    }
    stored
}
