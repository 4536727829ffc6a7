//! Heads: from the pyramid to class logits and box distributions (SPEC §3).

mod map;
mod pico_head;
mod pico_head_v2;
mod tower;

use picodet_graph::{Activation, Builder, Defaults, InitRule, NodeId};

pub use map::HeadMap;

/// Largest distance of a side from the cell centre, in strides.
pub const REG_MAX: usize = 7;
/// Bins of each side's distribution.
pub const BINS: usize = REG_MAX + 1;
/// Channels of the box distribution: left, top, right, bottom, each of [`BINS`] bins.
pub const REG_CHANNELS: usize = 4 * BINS;
/// Initial bias of the class logits, for a probability of 0.01: `-ln(99)`.
pub(crate) const CLASS_PRIOR_BIAS: f32 = -4.595_12;

/// The kind of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// The paper's head: one convolution for classes and boxes.
    PicoHead,
    /// The second generation's head: squeeze-excite and a task alignment of one channel.
    PicoHeadV2,
}

/// A head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// Which of the two heads.
    pub kind: HeadKind,
    /// Pairs of depthwise and pointwise convolution in each level's tower.
    pub tower_convolutions: usize,
    /// Activation of every convolution.
    pub activation: Activation,
}

impl Head {
    /// Appends the head to `g`; its outputs are named by [`HeadMap::name`].
    pub(crate) fn append(&self, g: &mut Builder, pyramid: &[NodeId], classes: usize) {
        let defaults = Defaults { init: InitRule::Normal(0.01), weights_decay: true, norms_decay: false };
        g.with(defaults, |g| {
            g.scope("head", |g| {
                for (level, &map) in pyramid.iter().enumerate() {
                    g.scope(format!("level{level}"), |g| {
                        let feature = tower::tower(g, map, self.tower_convolutions, self.activation);
                        g.output(HeadMap::Tower.name(level), feature);
                        match self.kind {
                            HeadKind::PicoHead => pico_head::pico_head(g, feature, level, classes),
                            HeadKind::PicoHeadV2 => {
                                pico_head_v2::pico_head_v2(g, feature, level, classes, self.activation);
                            }
                        }
                    });
                }
            });
        });
    }
}
