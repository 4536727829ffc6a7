//! ESNet, the Enhanced ShuffleNet of the paper (SPEC §1.1).

use picodet_graph::{Activation, Builder, NodeId};

use crate::block::{GATE, HARD_SWISH, dense, depthwise, make_divisible, pointwise, squeeze_excite};

/// Number of blocks in each of ESNet's three stages; their sum is the number of channel ratios.
pub const ESNET_DEPTHS: [usize; 3] = [3, 7, 3];

/// Channel ratios that the paper's search found for S.
pub const SEARCHED_S: [f32; 13] = [0.875, 0.5, 0.5, 0.5, 0.625, 0.5, 0.625, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5];
/// Channel ratios that the paper's search found for M.
pub const SEARCHED_M: [f32; 13] =
    [0.875, 0.5, 1.0, 0.625, 0.5, 0.75, 0.625, 0.625, 0.5, 0.625, 1.0, 0.625, 0.75];
/// Channel ratios of L, which are those of M.
pub const SEARCHED_L: [f32; 13] = SEARCHED_M;

/// An ESNet of the detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EsNet {
    /// Width multiplier of the stages' 128, 256, 512 channels.
    pub scale: f32,
    /// For each of the 13 blocks, its inner width as a fraction of its output width.
    pub ratios: [f32; 13],
    /// Activation, except in the fused end of the stride-2 blocks, which is always hard-swish.
    pub activation: Activation,
}

pub(crate) fn esnet(g: &mut Builder, image: NodeId, net: &EsNet) -> [NodeId; 3] {
    let widths = [128.0, 256.0, 512.0].map(|width| make_divisible(width * net.scale, 16));
    g.scope("backbone", |g| stages(g, image, widths, &net.ratios, net.activation))
}

/// Appends the stem and the three stages, with `widths` channels each; returns the output of each stage.
pub(crate) fn stages(
    g: &mut Builder,
    image: NodeId,
    widths: [usize; 3],
    ratios: &[f32; 13],
    act: Activation,
) -> [NodeId; 3] {
    let stem = dense(g, "stem", image, 24, 3, 2, act);
    let mut x = g.max_pool(stem);
    let mut ratios = ratios.iter();
    let mut stage = |g: &mut Builder, number: usize| {
        g.scope(format!("stage{}", number + 2), |g| {
            for (block, ratio) in (0..ESNET_DEPTHS[number]).zip(&mut ratios) {
                let out = widths[number];
                let mid = make_divisible((out as f32 * ratio).floor(), 8);
                x = g.scope(block, |g| match block {
                    0 => downsampling_block(g, x, mid, out, act),
                    _ => inverted_residual_block(g, x, mid, out, act),
                });
            }
            x
        })
    };
    [stage(g, 0), stage(g, 1), stage(g, 2)]
}

/// Block of stride 1: half of the channels bypass it; the other half goes through a ghost convolution (half computed by a
/// pointwise convolution, half derived from it by a depthwise one) and a squeeze-excite.
fn inverted_residual_block(g: &mut Builder, x: NodeId, mid: usize, out: usize, act: Activation) -> NodeId {
    let (passing, x) = g.halves(x);
    let computed = pointwise(g, "expand", x, mid / 2, act);
    let cheap = depthwise(g, "depthwise", computed, 3, 1, None);
    let ghost = g.scope("ghost", |g| g.concat(&[computed, cheap]));
    let x = squeeze_excite(g, ghost, GATE);
    let x = pointwise(g, "project", x, out / 2, act);
    let x = g.concat(&[passing, x]);
    g.channel_shuffle(x)
}

/// Block of stride 2: two branches, concatenated and mixed by a depthwise and a pointwise convolution; no shuffle.
fn downsampling_block(g: &mut Builder, x: NodeId, mid: usize, out: usize, act: Activation) -> NodeId {
    let first = g.scope("branch1", |g| {
        let x = depthwise(g, "depthwise", x, 3, 2, None);
        pointwise(g, "project", x, out / 2, act)
    });
    let second = g.scope("branch2", |g| {
        let x = pointwise(g, "expand", x, mid / 2, act);
        let x = depthwise(g, "depthwise", x, 3, 2, None);
        let x = squeeze_excite(g, x, GATE);
        pointwise(g, "project", x, out / 2, act)
    });
    let x = g.concat(&[first, second]);
    g.scope("fuse", |g| {
        let x = depthwise(g, "depthwise", x, 3, 1, HARD_SWISH);
        pointwise(g, "pointwise", x, out, HARD_SWISH)
    })
}
