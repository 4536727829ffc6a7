//! The wiring that CSP-PAN and LC-PAN share: reduce, top-down, bottom-up, and one level more (SPEC §2.1).

use picodet_graph::{Activation, Builder, NodeId};

use crate::block::{depthwise_pointwise, pointwise};

/// Joins two maps of `channels` channels each, by `merge`, and a level at stride 64 when `levels` is 4.
pub(super) fn path_aggregation(
    g: &mut Builder,
    maps: [NodeId; 3],
    channels: usize,
    levels: usize,
    kernel: usize,
    act: Activation,
    merge: impl Fn(&mut Builder, NodeId, usize) -> NodeId,
) -> Vec<NodeId> {
    let [t3, t4, t5] = g.scope("reduce", |g| {
        let mut level = 0;
        maps.map(|map| {
            level += 1;
            pointwise(g, &(level - 1).to_string(), map, channels, act)
        })
    });
    let up = |g: &mut Builder, index: usize, coarse: NodeId, fine: NodeId| {
        g.scope("top_down", |g| {
            g.scope(index, |g| {
                let coarse = g.upsample(coarse);
                let joined = g.concat(&[coarse, fine]);
                merge(g, joined, channels)
            })
        })
    };
    let u4 = up(g, 0, t5, t4);
    let p3 = up(g, 1, u4, t3);

    let down = |g: &mut Builder, index: usize, fine: NodeId, coarse: NodeId| {
        let fine =
            g.scope("downsample", |g| g.scope(index, |g| depthwise_pointwise(g, fine, kernel, 2, act)));
        g.scope("bottom_up", |g| {
            g.scope(index, |g| {
                let joined = g.concat(&[fine, coarse]);
                merge(g, joined, channels)
            })
        })
    };
    let p4 = down(g, 0, p3, u4);
    let p5 = down(g, 1, p4, t5);
    let mut pyramid = vec![p3, p4, p5];

    if levels == 4 {
        let p6 = g.scope("extra", |g| {
            let reduced = g.scope("from_reduced", |g| depthwise_pointwise(g, t5, kernel, 2, act));
            let aggregated = g.scope("from_aggregated", |g| depthwise_pointwise(g, p5, kernel, 2, act));
            g.add(reduced, aggregated)
        });
        pyramid.push(p6);
    }
    pyramid
}
