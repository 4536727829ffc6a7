//! Necks: from C3, C4, C5 to the feature pyramid P3 to P6 (SPEC §2).

mod csp_pan;
mod lc_pan;
mod pan;
mod path_aggregation;

use picodet_graph::{Activation, Builder, Defaults, InitRule, NodeId};

/// A neck and its width.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Neck {
    /// The paper's CSP-PAN.
    CspPan {
        /// Channels of every level.
        channels: usize,
        /// 4 levels, or 3 in the ablation's second row.
        levels: usize,
        /// Kernel of every depthwise convolution.
        kernel: usize,
        /// Activation of every convolution.
        activation: Activation,
    },
    /// The second generation's LC-PAN, four levels.
    LcPan {
        /// Channels of every level.
        channels: usize,
        /// Kernel of every depthwise convolution.
        kernel: usize,
    },
    /// The ablation's Base: sums of resized maps, three levels, no convolution but the lateral ones.
    Pan {
        /// Channels of every level.
        channels: usize,
    },
}

impl Neck {
    /// Channels of every level.
    pub fn channels(&self) -> usize {
        match *self {
            Self::CspPan { channels, .. } | Self::LcPan { channels, .. } | Self::Pan { channels } => channels,
        }
    }

    /// Kernel of the depthwise convolutions; `None` for a neck without any.
    pub fn kernel(&self) -> Option<usize> {
        match *self {
            Self::CspPan { kernel, .. } | Self::LcPan { kernel, .. } => Some(kernel),
            Self::Pan { .. } => None,
        }
    }

    /// Appends the neck to `g`; returns P3, P4, … .
    pub(crate) fn append(&self, g: &mut Builder, maps: [NodeId; 3]) -> Vec<NodeId> {
        let defaults = Defaults { init: InitRule::KaimingUniform, weights_decay: true, norms_decay: true };
        g.with(defaults, |g| {
            g.scope("neck", |g| match *self {
                Self::CspPan { channels, levels, kernel, activation } => {
                    csp_pan::csp_pan(g, maps, channels, levels, kernel, activation)
                }
                Self::LcPan { channels, kernel } => lc_pan::lc_pan(g, maps, channels, kernel),
                Self::Pan { channels } => pan::pan(g, maps, channels),
            })
        })
    }
}
