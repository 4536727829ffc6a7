//! ShuffleNet V2 1.0x (SPEC §1.3).

use picodet_graph::{Builder, NodeId};

use crate::block::{LEAKY_RELU, dense, depthwise, pointwise};

/// Blocks and width of each stage.
const STAGES: [(usize, usize); 3] = [(4, 116), (8, 232), (4, 464)];

pub(crate) fn shufflenet_v2(g: &mut Builder, image: NodeId) -> [NodeId; 3] {
    g.scope("backbone", |g| {
        let stem = dense(g, "stem", image, 24, 3, 2, LEAKY_RELU);
        let mut x = g.max_pool(stem);
        [0, 1, 2].map(|number| {
            let (depth, out) = STAGES[number];
            g.scope(format!("stage{}", number + 2), |g| {
                for block in 0..depth {
                    x = g.scope(block, |g| match block {
                        0 => downsampling_block(g, x, out),
                        _ => basic_block(g, x, out),
                    });
                }
                x
            })
        })
    })
}

fn basic_block(g: &mut Builder, x: NodeId, out: usize) -> NodeId {
    let (passing, x) = g.halves(x);
    let x = pointwise(g, "expand", x, out / 2, LEAKY_RELU);
    let x = depthwise(g, "depthwise", x, 3, 1, None);
    let x = pointwise(g, "project", x, out / 2, LEAKY_RELU);
    let x = g.concat(&[passing, x]);
    g.channel_shuffle(x)
}

fn downsampling_block(g: &mut Builder, x: NodeId, out: usize) -> NodeId {
    let first = g.scope("branch1", |g| {
        let x = depthwise(g, "depthwise", x, 3, 2, None);
        pointwise(g, "project", x, out / 2, LEAKY_RELU)
    });
    let second = g.scope("branch2", |g| {
        let x = pointwise(g, "expand", x, out / 2, LEAKY_RELU);
        let x = depthwise(g, "depthwise", x, 3, 2, None);
        pointwise(g, "project", x, out / 2, LEAKY_RELU)
    });
    let x = g.concat(&[first, second]);
    g.channel_shuffle(x)
}
