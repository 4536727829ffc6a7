//! Heads: from the pyramid to class logits and box distributions (SPEC §3).

mod kind;
mod map;
mod pico_head;
mod pico_head_v2;
mod tower;

use picodet_graph::{Builder, Defaults, InitRule, NodeId};

pub use kind::{BINS, Head, HeadKind, REG_CHANNELS, REG_MAX};
pub use map::HeadMap;

impl Head {
    /// Appends the head to `g`; its outputs are named by [`HeadMap::name`].
    pub(crate) fn append(&self, g: &mut Builder, pyramid: &[NodeId], classes: usize) {
        let defaults = Defaults { init: InitRule::Normal(0.01), weights_decay: true, norms_decay: false };
        g.with(defaults, |g| {
            g.scope("head", |g| {
                for (level, &map) in pyramid.iter().enumerate() {
                    g.scope(format!("level{level}"), |g| {
                        let feature = tower::tower(g, map, self);
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
