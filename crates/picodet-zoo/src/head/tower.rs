//! PicoFeat: the tower of convolutions that each level has for itself (SPEC §3.1).

use picodet_graph::{Activation, Builder, NodeId};

use crate::block::depthwise_pointwise;

/// Kernel of the depthwise convolutions.
const KERNEL: usize = 5;

pub(super) fn tower(g: &mut Builder, map: NodeId, convolutions: usize, act: Activation) -> NodeId {
    g.scope("tower", |g| {
        (0..convolutions).fold(map, |x, index| g.scope(index, |g| depthwise_pointwise(g, x, KERNEL, 1, act)))
    })
}
