//! An exported network: operations named as in its format, convolutions with their weights.

mod flow;
mod fold;

use std::collections::{BTreeMap, HashMap};

use picodet_graph::Tensor;

pub use flow::{ForeignFlow, ForeignPool, ForeignRange, ForeignResize};
pub(crate) use fold::{Affine, Channels, Foldable, Transform, fold};

/// A convolution of an exported network.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignConvolution {
    /// `[out, in / groups, k, k]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// Stride along both axes.
    pub stride: usize,
    /// Number of groups.
    pub groups: usize,
}

/// A pooling of an exported network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignPooling {
    /// Whether it takes the mean instead of the maximum.
    pub is_average: bool,
    /// Whether its window is the whole map.
    pub is_global: bool,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Strides along both axes.
    pub strides: [usize; 2],
    /// Padding at top, left, bottom and right.
    pub pads: [i64; 4],
}

impl ForeignPooling {
    /// Largest window of a mean that is not that of a whole map.
    const LARGEST_LOCAL: usize = 4;

    /// Returns the kind of operation that it can be: a mean over a large window is one over the whole map. `None` for a
    /// maximum over the whole map, which no PicoDet has.
    #[must_use]
    pub fn kind(&self) -> Option<ForeignPool> {
        let is_large = self.kernel.iter().all(|&side| side > Self::LARGEST_LOCAL);
        match (self.is_average, self.is_global) {
            (false, true) => None,
            (false, false) => Some(ForeignPool::Maximum),
            (true, false) if !is_large => Some(ForeignPool::Mean),
            (true, _) => Some(ForeignPool::Whole),
        }
    }
}

/// An activation of an exported network.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ForeignActivation {
    /// `x · clip(slope · x + offset, 0, 1)`.
    HardSwish {
        /// Factor of the value.
        slope: f32,
        /// The gate's value at 0.
        offset: f32,
    },
    /// `clip(slope · x + offset, 0, 1)`.
    HardSigmoid {
        /// Factor of the value.
        slope: f32,
        /// The value at 0.
        offset: f32,
    },
    /// `x` where positive, `slope · x` elsewhere; a slope of 0 is ReLU.
    Relu {
        /// Factor of negative values.
        slope: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The square root, as in the scores of the second generation.
    SquareRoot,
    /// Another function, or one that is computed in several operations.
    Other,
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForeignNode {
    /// Its name in the file.
    pub name: String,
    /// Its operator type in the file, as in `HardSwish`.
    pub kind: String,
    /// Names of the values that it reads.
    pub inputs: Vec<String>,
    /// Names of the values that it computes.
    pub outputs: Vec<String>,
    /// The weights, if it is a convolution.
    pub convolution: Option<ForeignConvolution>,
    /// The window, if it is a pooling.
    pub pooling: Option<ForeignPooling>,
    /// The activation that it is, or that is applied to the values of the convolution.
    pub activation: Option<ForeignActivation>,
    /// How the channels of its results follow from those of its inputs, unless it is a convolution.
    pub flow: ForeignFlow,
}

/// A network in the order of its file, which is a topological one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForeignNetwork {
    /// The operations.
    pub nodes: Vec<ForeignNode>,
    /// Key-value metadata of the file.
    pub metadata: BTreeMap<String, String>,
    /// Names of the values that no node computes: the image.
    pub inputs: Vec<String>,
}

impl ForeignNetwork {
    /// For each value, the node that computes it.
    pub(crate) fn producers(&self) -> HashMap<&str, usize> {
        let outputs = |(index, node): (usize, &'_ ForeignNode)| -> Vec<(usize, usize)> {
            (0..node.outputs.len()).map(move |output| (index, output)).collect()
        };
        let all = self.nodes.iter().enumerate().flat_map(outputs);
        all.map(|(node, output)| (self.nodes[node].outputs[output].as_str(), node)).collect()
    }
}
