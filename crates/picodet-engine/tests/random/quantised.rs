//! Quantisations of random networks, by the ranges of one image.

use picodet_engine::{Engine, ReferenceEngine};
use picodet_graph::pass::fuse;
use picodet_graph::quantised::{byte_nodes, is_quantisable, maps_of};
use picodet_graph::{
    Graph, MapQuantisation, NodeId, Op, Output, Quantisation, QuantisedConvolution, Tensor4, Weights,
};

/// Mean and standard deviation of the image's channels.
pub(crate) const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
pub(crate) const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The byte nodes that have their own values: the last ones of their blocks.
fn stored(graph: &Graph) -> Vec<NodeId> {
    let (bytes, fusion) = (byte_nodes(graph), fuse(graph));
    let is_inside = |id: NodeId| fusion.block(id).is_some_and(|block| block.last != id);
    let nodes = (0..graph.nodes.len()).map(NodeId);
    nodes.filter(|&id| bytes[id.0] && !is_inside(id) && graph.node(id).op != Op::Input).collect()
}

/// Returns the graph with every map of bytes as an output.
pub(crate) fn with_all_maps(graph: &Graph) -> Graph {
    let mut marked = graph.clone();
    for id in stored(graph) {
        marked.outputs.push(Output { name: format!("map {}", graph.node(id).scope), node: id });
    }
    marked
}

/// Quantises a folded network by the ranges that `image` gives.
pub(crate) fn quantise(graph: &Graph, weights: &Weights, image: &Tensor4) -> Quantisation {
    let size = (image.shape[2], image.shape[3]);
    let marked = with_all_maps(graph);
    let plan = ReferenceEngine::<f32>::new().plan(&marked, weights, size).expect("a sound network");
    let values = plan.run(image).expect("an image of this size");
    let fusion = fuse(graph);
    let mut quantisation = Quantisation { mean: MEAN, std: STD, ..Quantisation::default() };
    for id in stored(graph) {
        let node = graph.node(id);
        let is_moved = matches!(
            node.op,
            Op::Concat | Op::Slice { .. } | Op::ChannelShuffle | Op::UpsampleNearest | Op::MaxPool
        ) && fusion.block(id).is_none();
        if is_moved {
            continue;
        }
        let name = format!("map {}", node.scope);
        let (_, map) = values.iter().find(|(found, _)| *found == name).expect("an output of each map");
        let extreme = |fold: fn(f32, f32) -> f32| -> Vec<f32> {
            map.data.chunks(map.plane()).map(|plane| plane.iter().copied().fold(0.0, fold)).collect()
        };
        let map = MapQuantisation::of_ranges(&extreme(f32::min), &extreme(f32::max));
        quantisation.maps.insert(node.scope.clone(), map);
    }
    let maps = maps_of(graph, &fusion, &quantisation);
    for id in (0..graph.nodes.len()).map(NodeId).filter(|&id| is_quantisable(graph, id)) {
        let node = graph.node(id);
        let Op::Convolution(op) = node.op else { continue };
        let params: Vec<&[f32]> =
            graph.params_of(node).map(|param| weights[&param.name].data.as_slice()).collect();
        let row = params[0].len() / op.out_channels;
        let scale_of = |o: usize, tap: usize| {
            let group = o / (op.out_channels / op.groups);
            let channel = group * (row / (op.kernel * op.kernel)) + tap / (op.kernel * op.kernel);
            maps[node.inputs[0].0]
                .as_ref()
                .map_or_else(|| 1.0 / (255.0 * STD[channel]), |map| map.scale[channel])
        };
        let mut quantised = QuantisedConvolution {
            bias: params.get(1).map_or(vec![0.0; op.out_channels], |bias| bias.to_vec()),
            ..QuantisedConvolution::default()
        };
        for (o, weights) in params[0].chunks(row).enumerate() {
            let values: Vec<f32> =
                weights.iter().enumerate().map(|(tap, weight)| weight * scale_of(o, tap)).collect();
            let scale = values.iter().fold(1e-12f32, |most, value| most.max(value.abs())) / 127.0;
            quantised.scale.push(scale);
            quantised.weight.extend(values.iter().map(|value| (value / scale).round() as i8));
        }
        quantisation.convolutions.insert(node.scope.clone(), quantised);
    }
    quantisation
}
