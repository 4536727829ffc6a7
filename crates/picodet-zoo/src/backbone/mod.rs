//! Backbones: from the image to the maps C3, C4, C5 at strides 8, 16, 32 (SPEC §1).

mod esnet;
mod lcnet;
mod mobilenet_v3;
mod resnet_vd;
mod shufflenet_v2;

use picodet_graph::{Builder, Defaults, InitRule, NodeId};

pub(crate) use esnet::stages as esnet_stages;
pub use esnet::{ESNET_DEPTHS, EsNet, SEARCHED_L, SEARCHED_M, SEARCHED_S};
pub(crate) use lcnet::lcnet;
pub use lcnet::{LCNET_GROUPS, LcNet};

/// A backbone and its width.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Backbone {
    /// The paper's Enhanced ShuffleNet.
    EsNet(EsNet),
    /// The light CPU network of the second generation.
    LcNet(LcNet),
    /// ShuffleNet V2 1.0x with leaky ReLU.
    ShuffleNetV2,
    /// MobileNetV3-large 1.0x.
    MobileNetV3Large,
    /// ResNet-18, variant d.
    ResNet18Vd,
}

impl Backbone {
    /// Appends the backbone to `g`; returns C3, C4, C5.
    pub(crate) fn append(&self, g: &mut Builder, image: NodeId) -> [NodeId; 3] {
        // Only MobileNetV3 keeps its convolutions out of weight decay (SPEC §7.1).
        let weights_decay = !matches!(self, Self::MobileNetV3Large);
        let defaults = Defaults { init: InitRule::KaimingNormal, weights_decay, norms_decay: false };
        g.with(defaults, |g| match *self {
            Self::EsNet(ref esnet) => esnet::esnet(g, image, esnet),
            Self::LcNet(ref net) => lcnet(g, image, net),
            Self::ShuffleNetV2 => shufflenet_v2::shufflenet_v2(g, image),
            Self::MobileNetV3Large => mobilenet_v3::mobilenet_v3_large(g, image),
            Self::ResNet18Vd => resnet_vd::resnet18_vd(g, image),
        })
    }
}
