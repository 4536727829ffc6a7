//! The paper's head: one 1×1 convolution computes class logits and box distributions (SPEC §3.2).

use picodet_graph::{Activation, Builder, NodeId};

use super::kind::{CLASS_PRIOR_BIAS, REG_CHANNELS};
use super::map::HeadMap;

pub(super) fn pico_head(g: &mut Builder, feature: NodeId, level: usize, classes: usize) {
    let prediction =
        g.scope("prediction", |g| g.pointwise_with_bias(feature, classes + REG_CHANNELS, CLASS_PRIOR_BIAS));
    let cls_logit = g.scope("cls", |g| g.slice(prediction, 0, classes));
    let reg = g.scope("reg", |g| g.slice(prediction, classes, REG_CHANNELS));
    let score = g.scope("score", |g| g.activation(cls_logit, Activation::Sigmoid));
    g.output(HeadMap::ClassLogit.name(level), cls_logit);
    g.output(HeadMap::Box.name(level), reg);
    g.output(HeadMap::Score.name(level), score);
}
