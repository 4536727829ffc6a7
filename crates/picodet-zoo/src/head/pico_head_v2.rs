//! The second generation's head: squeeze-excite before the predictions, and an alignment that tempers the class
//! scores (SPEC §3.3).

use picodet_graph::{Activation, Builder, InitRule, NodeId};

use super::kind::{CLASS_PRIOR_BIAS, REG_CHANNELS};
use super::map::HeadMap;
use crate::block::{dense, pointwise};

/// Kernel of the alignment's dense convolution.
const ALIGN_KERNEL: usize = 5;

pub(super) fn pico_head_v2(g: &mut Builder, feature: NodeId, level: usize, classes: usize, act: Activation) {
    let excited = squeeze_excite(g, feature, act);
    let cls_logit = g.scope("cls", |g| g.pointwise_with_bias(excited, classes, CLASS_PRIOR_BIAS));
    let reg = g.scope("reg", |g| g.pointwise_with_bias(excited, REG_CHANNELS, 0.0));
    let align_logit = alignment(g, feature, act);
    let score = g.scope("score", |g| {
        let probability = g.scope("cls", |g| g.activation(cls_logit, Activation::Sigmoid));
        let alignment = g.scope("align", |g| g.activation(align_logit, Activation::Sigmoid));
        g.geometric_mean(probability, alignment)
    });
    g.output(HeadMap::Excited.name(level), excited);
    g.output(HeadMap::ClassLogit.name(level), cls_logit);
    g.output(HeadMap::Box.name(level), reg);
    g.output(HeadMap::AlignLogit.name(level), align_logit);
    g.output(HeadMap::Score.name(level), score);
}

/// PicoSE: a full-width gate, then a pointwise convolution.
fn squeeze_excite(g: &mut Builder, x: NodeId, act: Activation) -> NodeId {
    let channels = g.channels(x);
    g.scope("squeeze_excite", |g| {
        let pooled = g.global_average_pool(x);
        let factors = g.scope("gate", |g| {
            let logits =
                g.with_init(InitRule::Normal(0.001), |g| g.pointwise_with_bias(pooled, channels, 0.0));
            g.activation(logits, Activation::Sigmoid)
        });
        let x = g.scale(x, factors);
        pointwise(g, "pointwise", x, channels, act)
    })
}

/// One logit a cell from the tower's output: a dense convolution to one channel, then 1×1.
fn alignment(g: &mut Builder, feature: NodeId, act: Activation) -> NodeId {
    g.scope("align", |g| {
        g.with_init(InitRule::KaimingUniform, |g| {
            g.with_norms_decay(true, |g| {
                let x = dense(g, "dense", feature, 1, ALIGN_KERNEL, 1, act);
                pointwise(g, "pointwise", x, 1, None)
            })
        })
    })
}
