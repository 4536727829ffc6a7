//! PicoFeat: the tower of convolutions that each level has for itself (SPEC §3.1).

use picodet_graph::{Builder, NodeId};

use super::kind::Head;
use crate::block::depthwise_pointwise;

pub(super) fn tower(g: &mut Builder, map: NodeId, head: &Head) -> NodeId {
    let convolution = |g: &mut Builder, x| depthwise_pointwise(g, x, head.tower_kernel, 1, head.activation);
    g.scope("tower", |g| {
        (0..head.tower_convolutions).fold(map, |x, index| g.scope(index, |g| convolution(g, x)))
    })
}
