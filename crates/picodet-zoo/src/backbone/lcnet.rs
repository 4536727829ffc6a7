//! LCNet, the backbone of the second generation (SPEC §1.2).

use picodet_graph::{Activation, Builder, NodeId};

use crate::block::{dense, depthwise_separable, make_divisible};

/// One block: kernel, output channels at scale 1, stride, squeeze-excite.
type Block = (usize, usize, usize, bool);

/// Number of LCNet's groups of blocks, each with its own width.
pub const LCNET_GROUPS: usize = 5;

/// `blocks2` to `blocks6`.
const GROUPS: [&[Block]; LCNET_GROUPS] = [
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

/// An LCNet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LcNet {
    /// Width multiplier of the stem; 1.0 gives 16 channels.
    pub scale: f32,
    /// Width multiplier of each group of blocks; 1.0 gives 32, 64, 128, 256, 512 channels, at strides of 2 to 32.
    pub scales: [f32; LCNET_GROUPS],
    /// Activation of every convolution.
    pub activation: Activation,
}

impl LcNet {
    /// Returns the network with the same width multiplier everywhere.
    #[must_use]
    pub const fn uniform(scale: f32, activation: Activation) -> Self {
        Self { scale, scales: [scale; LCNET_GROUPS], activation }
    }
}

pub(crate) fn lcnet(g: &mut Builder, image: NodeId, net: &LcNet) -> [NodeId; 3] {
    let act = net.activation;
    let width = |channels: usize, scale: f32| make_divisible(channels as f32 * scale, 8);
    g.scope("backbone", |g| {
        let mut x = dense(g, "stem", image, width(16, net.scale), 3, 2, act);
        let maps: Vec<NodeId> = (2..)
            .zip(GROUPS.into_iter().zip(net.scales))
            .map(|(number, (blocks, scale))| {
                g.scope(format!("blocks{number}"), |g| {
                    for (index, &(kernel, out, stride, squeeze_excite)) in blocks.iter().enumerate() {
                        x = g.scope(index, |g| {
                            depthwise_separable(g, x, width(out, scale), kernel, stride, squeeze_excite, act)
                        });
                    }
                    x
                })
            })
            .collect();
        [maps[2], maps[3], maps[4]]
    })
}
