//! What can be wrong with what a tape is given.

use picodet_graph::CheckError;

/// Why a tape does not run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GradientError {
    /// The graph itself is broken.
    #[error("the graph is not sound: {0}")]
    Graph(CheckError),
    /// The weights are not those of the graph.
    #[error("the weights do not belong to this network: {0}")]
    Weights(CheckError),
    /// The image is not `[n, 3, h, w]` with positive extents, or holds another number of values.
    #[error(
        "an image of shape {shape:?} with {len} values: [n, 3, height, width] and their product is needed"
    )]
    Image {
        /// The shape that came.
        shape: [usize; 4],
        /// The number of values that came.
        len: usize,
    },
    /// Maps of this image size do not fit each other.
    #[error("{scope}: an image of {height}x{width} (height x width) does not fit: multiples of 32 do")]
    Size {
        /// The operation that cannot be done.
        scope: String,
        /// Height of the image in pixels.
        height: usize,
        /// Width of the image in pixels.
        width: usize,
    },
    /// The maps of this image would be larger than memory can be.
    #[error("an image of shape {0:?} needs more memory than there is")]
    Memory([usize; 4]),
    /// A gradient was given for an output that the graph does not have.
    #[error("the graph has no output `{0}`")]
    Output(String),
    /// A gradient has another number of values than its output.
    #[error("the gradient of `{name}` has {found} values instead of {expected}")]
    GradientLength {
        /// The output.
        name: String,
        /// The number of values that came.
        found: usize,
        /// The number of values of the output.
        expected: usize,
    },
    /// Parameters to be frozen that the graph does not have.
    #[error("the graph has no parameter `{0}`")]
    Parameter(String),
    /// `backward` without a `forward` before it: each forward serves one backward.
    #[error("backward needs a forward before it, and each forward serves one backward")]
    NoForward,
}
