//! The heads and the sizes of their maps.

use picodet_graph::Activation;

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
    /// Kernel of the tower's depthwise convolutions.
    pub tower_kernel: usize,
    /// Activation of every convolution.
    pub activation: Activation,
}
