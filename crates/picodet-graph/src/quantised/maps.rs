//! Which nodes of a network are bytes, and the scales of those that only move bytes.

use super::{MapQuantisation, Quantisation};
use crate::pass::{ChannelSource, Fusion};
use crate::{Extent, Graph, NodeId, Op};

/// Whether a node is a convolution that is computed in 8 bits: of a map with a spatial extent and, unless it is depthwise,
/// of several channels. The convolutions of squeeze-excite read 1×1 maps and are not.
#[must_use]
pub fn is_quantisable(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    if !matches!(node.op, Op::Convolution(_)) {
        return false;
    }
    let input = graph.node(node.inputs[0]).shape;
    let is_spatial = matches!((input.height, input.width), (Extent::Input { .. }, Extent::Input { .. }));
    is_spatial && input.channels > 1
}

/// Returns for each node whether its value is stored as bytes: whether a quantisable convolution reads it, directly or
/// through operations on bytes.
///
/// Values inside a block count as those of its last node; the image counts as bytes.
#[must_use]
pub fn byte_nodes(graph: &Graph) -> Vec<bool> {
    let mut bytes = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        let id = NodeId(index);
        let reads_bytes = match node.op {
            Op::Convolution(_) => is_quantisable(graph, id),
            Op::Activation(_) | Op::MaxPool | Op::AveragePool | Op::Add | Op::Concat | Op::Slice { .. } => {
                bytes[index]
            }
            Op::ChannelShuffle | Op::UpsampleNearest | Op::Scale => bytes[index],
            _ => false,
        };
        if reads_bytes {
            let read = if node.op == Op::Scale { &node.inputs[..1] } else { &node.inputs[..] };
            read.iter().for_each(|input| bytes[input.0] = true);
        }
    }
    bytes
}

/// Returns the scales and zero points of the value of each node, in the order of the nodes; `None` for values in f32, for
/// the image, and for values inside a block.
///
/// Concat, slice, channel shuffle, nearest upsampling and max pool take them from their inputs. `quantisation` must fit
/// the graph ([`Quantisation::check`]).
#[must_use]
pub fn maps_of(graph: &Graph, fusion: &Fusion, quantisation: &Quantisation) -> Vec<Option<MapQuantisation>> {
    let mut maps: Vec<Option<MapQuantisation>> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let id = NodeId(index);
        let is_inside = fusion.block(id).is_some_and(|block| block.last != id);
        let map = match quantisation.maps.get(&node.scope) {
            _ if is_inside => None,
            Some(map) => Some(map.clone()),
            None => moved_map(graph, fusion, id, &maps),
        };
        maps.push(map);
    }
    maps
}

/// Where the channels of a node come from if it only moves bytes.
pub(super) fn moved_channels(graph: &Graph, fusion: &Fusion, id: NodeId) -> Option<Vec<ChannelSource>> {
    let node = graph.node(id);
    match node.op {
        Op::MaxPool if fusion.block(id).is_some() => None,
        Op::MaxPool | Op::UpsampleNearest => {
            Some(vec![ChannelSource { node: node.inputs[0], first: 0, len: node.shape.channels }])
        }
        Op::Concat | Op::Slice { .. } | Op::ChannelShuffle => fusion.channel_sources(graph, id),
        _ => None,
    }
}

/// Returns the scales and zero points of a node that only moves bytes, from those of the nodes before it; `None` for other
/// nodes and where an input is not bytes.
#[must_use]
pub fn moved_map(
    graph: &Graph,
    fusion: &Fusion,
    id: NodeId,
    maps: &[Option<MapQuantisation>],
) -> Option<MapQuantisation> {
    let sources = moved_channels(graph, fusion, id)?;
    let mut gathered = MapQuantisation::default();
    for source in sources {
        let map = maps[source.node.0].as_ref()?;
        let channels = source.first..source.first + source.len;
        gathered.scale.extend_from_slice(map.scale.get(channels.clone())?);
        gathered.zero.extend_from_slice(map.zero.get(channels)?);
    }
    Some(gathered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Builder, pass};

    #[test]
    fn bytes_end_at_the_predictions_and_at_squeeze_excite() {
        let mut g = Builder::new();
        let image = g.input();
        let stem = g.scope("stem", |g| g.convolution(image, 8, 3, 2, 1));
        let x = g.activation(stem, Activation::HardSwish);
        let mean = g.scope("se", |g| g.global_average_pool(x));
        let gate = g.scope("gate", |g| g.pointwise_with_bias(mean, 8, 0.0));
        let scaled = g.scale(x, gate);
        let (left, right) = g.halves(scaled);
        let joined = g.concat(&[right, left]);
        let shuffled = g.channel_shuffle(joined);
        let logit = g.scope("prediction", |g| g.pointwise_with_bias(shuffled, 4, 0.0));
        let score = g.scope("score", |g| g.activation(logit, Activation::Sigmoid));
        g.output("logit", logit);
        g.output("score", score);
        let graph = g.finish();
        let bytes = byte_nodes(&graph);
        let is = |ids: &[NodeId]| ids.iter().map(|id| bytes[id.0]).collect::<Vec<_>>();
        assert_eq!(is(&[image, stem, x, scaled, left, right, joined, shuffled]), [true; 8]);
        assert_eq!(is(&[mean, gate, logit, score]), [false; 4]);
        assert!(is_quantisable(&graph, logit) && !is_quantisable(&graph, gate));

        let fusion = pass::fuse(&graph);
        let mut quantisation = Quantisation::default();
        let map = |first: u8| MapQuantisation {
            scale: (first..first + 8).map(f32::from).collect(),
            zero: (first..first + 8).collect(),
        };
        quantisation.maps.insert(graph.node(x).scope.clone(), map(1));
        quantisation.maps.insert(graph.node(scaled).scope.clone(), map(100));
        let maps = maps_of(&graph, &fusion, &quantisation);
        let zeros = |id: NodeId| maps[id.0].as_ref().map(|map| map.zero.clone());
        assert_eq!(zeros(right), Some(vec![104, 105, 106, 107]));
        assert_eq!(zeros(shuffled), Some(vec![104, 100, 105, 101, 106, 102, 107, 103]));
        assert_eq!((zeros(stem), zeros(logit), zeros(image)), (None, None, None));
    }
}
