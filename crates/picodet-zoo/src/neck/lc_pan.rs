//! LC-PAN: path aggregation whose merges are two of LCNet's blocks (SPEC §2.2).

use picodet_graph::{Builder, NodeId};

use super::path_aggregation::path_aggregation;
use crate::block::{HARD_SWISH, depthwise_separable};

pub(super) fn lc_pan(g: &mut Builder, maps: [NodeId; 3], channels: usize, kernel: usize) -> Vec<NodeId> {
    path_aggregation(g, maps, channels, 4, kernel, HARD_SWISH, |g, x, out| {
        // LCNet's blocks keep their batch norms out of weight decay, in the neck too (SPEC §7.1).
        g.with_norms_decay(false, |g| {
            let x = g.scope(0, |g| depthwise_separable(g, x, 2 * out, kernel, 1, false, HARD_SWISH));
            g.scope(1, |g| depthwise_separable(g, x, out, kernel, 1, false, HARD_SWISH))
        })
    })
}
