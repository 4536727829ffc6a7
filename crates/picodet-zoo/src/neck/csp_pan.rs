//! CSP-PAN: path aggregation whose merges are cross-stage-partial layers (SPEC §2.1).

use picodet_graph::{Activation, Builder, NodeId};

use super::path_aggregation::path_aggregation;
use crate::block::{depthwise_pointwise, pointwise};

pub(super) fn csp_pan(
    g: &mut Builder,
    maps: [NodeId; 3],
    channels: usize,
    levels: usize,
    kernel: usize,
    act: Activation,
) -> Vec<NodeId> {
    path_aggregation(g, maps, channels, levels, kernel, act, |g, x, out| csp_layer(g, x, out, kernel, act))
}

/// One half of the width goes through a bottleneck, the other passes; both are joined, the worked half first.
fn csp_layer(g: &mut Builder, x: NodeId, out: usize, kernel: usize, act: Activation) -> NodeId {
    let mid = out / 2;
    let main = pointwise(g, "main", x, mid, act);
    let main = g.scope("bottleneck", |g| {
        let x = pointwise(g, "reduce", main, mid, act);
        depthwise_pointwise(g, x, kernel, 1, act)
    });
    let short = pointwise(g, "short", x, mid, act);
    let joined = g.scope("halves", |g| g.concat(&[main, short]));
    pointwise(g, "final", joined, out, act)
}
