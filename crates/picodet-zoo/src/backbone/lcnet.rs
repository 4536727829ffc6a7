//! LCNet, the backbone of the second generation (SPEC §1.2).

use picodet_graph::{Activation, Builder, NodeId};

use crate::block::{dense, depthwise_separable, make_divisible};

/// One block: kernel, output channels at scale 1, stride, squeeze-excite.
type Block = (usize, usize, usize, bool);

/// `blocks2` to `blocks6`.
const GROUPS: [&[Block]; 5] = [
    &[(3, 32, 1, false)],
    &[(3, 64, 2, false), (3, 64, 1, false)],
    &[(3, 128, 2, false), (3, 128, 1, false)],
    &[
        (3, 256, 2, false),
        (5, 256, 1, false),
        (5, 256, 1, false),
        (5, 256, 1, false),
        (5, 256, 1, false),
        (5, 256, 1, false),
    ],
    &[(5, 512, 2, true), (5, 512, 1, true)],
];

pub(crate) fn lcnet(g: &mut Builder, image: NodeId, scale: f32, act: Activation) -> [NodeId; 3] {
    let width = |channels: usize| make_divisible(channels as f32 * scale, 8);
    g.scope("backbone", |g| {
        let mut x = dense(g, "stem", image, width(16), 3, 2, act);
        let maps: Vec<NodeId> = (2..)
            .zip(GROUPS)
            .map(|(number, blocks)| {
                g.scope(format!("blocks{number}"), |g| {
                    for (index, &(kernel, out, stride, squeeze_excite)) in blocks.iter().enumerate() {
                        x = g.scope(index, |g| {
                            depthwise_separable(g, x, width(out), kernel, stride, squeeze_excite, act)
                        });
                    }
                    x
                })
            })
            .collect();
        [maps[2], maps[3], maps[4]]
    })
}
