//! ImageNet classifiers: the backbones with the heads that they are trained under before detection (SPEC §1.1, §1.2).

use picodet_graph::{Builder, Graph, NodeId};

use crate::backbone::{LcNet, esnet_stages, lcnet};
use crate::block::{HARD_SWISH, make_divisible, pointwise};

/// Width of the last layer before the classes.
const FEATURES: usize = 1280;

/// Which backbone is under the classifier.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Classifier {
    /// ESNet of the classification library: widths of 116, 232, 464 and ratio 1, unlike the detector's.
    EsNet {
        /// Width multiplier.
        scale: f32,
    },
    /// LCNet.
    LcNet {
        /// Width multiplier.
        scale: f32,
    },
}

impl Classifier {
    /// The graph from a normalised image to the output `logits`, `[n, classes, 1, 1]`.
    #[must_use]
    pub fn graph(&self, classes: usize) -> Graph {
        let mut g = Builder::new();
        let image = g.input();
        let map = match *self {
            Self::EsNet { scale } => {
                let widths = [116.0, 232.0, 464.0].map(|width| make_divisible(width * scale, 8));
                let [.., c5] =
                    g.scope("backbone", |g| esnet_stages(g, image, widths, &[1.0; 13], HARD_SWISH));
                g.scope("classifier", |g| {
                    let x = pointwise(g, "expand", c5, 1024, HARD_SWISH);
                    g.global_average_pool(x)
                })
            }
            Self::LcNet { scale } => {
                let [.., c5] = lcnet(&mut g, image, &LcNet::uniform(scale, HARD_SWISH));
                g.scope("classifier", |g| g.global_average_pool(c5))
            }
        };
        let logits = g.scope("classifier", |g| features_to_logits(g, map, classes));
        g.output("logits", logits);
        g.finish()
    }
}

fn features_to_logits(g: &mut Builder, x: NodeId, classes: usize) -> NodeId {
    let x = g.scope("last", |g| {
        let x = g.convolution(x, FEATURES, 1, 1, 1);
        g.activation(x, HARD_SWISH)
    });
    let x = g.dropout(x, 0.2);
    g.scope("logits", |g| g.linear(x, classes))
}
