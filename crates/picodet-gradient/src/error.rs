//! Errors of a tape.

use picodet_graph::CheckError;

/// An invalid argument or call of a [`crate::Tape`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GradientError {
    /// The graph is invalid.
    #[error("invalid graph: {0}")]
    Graph(CheckError),
    /// The weights do not match the graph.
    #[error("the weights do not match the network: {0}")]
    Weights(CheckError),
    /// The image is not `[n, 3, h, w]` with positive extents, or has another number of values.
    #[error(
        "image of shape {shape:?} with {len} values: expected [n, 3, height, width] and the product of these"
    )]
    Image {
        /// The given shape.
        shape: [usize; 4],
        /// The given number of values.
        len: usize,
    },
    /// An image size for which the maps of the pyramid do not match.
    #[error("{scope}: unsupported image size {height}x{width} (height x width): use multiples of 32")]
    Size {
        /// The operation whose inputs do not match.
        scope: String,
        /// Height of the image in pixels.
        height: usize,
        /// Width of the image in pixels.
        width: usize,
    },
    /// Not enough memory for the maps of a batch.
    #[error("not enough memory for a batch of shape {0:?}: use a smaller batch or image size")]
    Memory([usize; 4]),
    /// A gradient of an output that the graph does not have.
    #[error("the graph has no output `{0}`")]
    Output(String),
    /// A gradient has another shape than its output.
    #[error("the gradient of `{name}` has shape {found:?}; expected {expected:?}")]
    GradientShape {
        /// The output.
        name: String,
        /// The shape of the gradient.
        found: [usize; 4],
        /// The shape of the output.
        expected: [usize; 4],
    },
    /// A parameter to freeze that the graph does not have.
    #[error("the graph has no parameter `{0}`")]
    Parameter(String),
    /// Scales of a map that the graph does not compute, or of another number of channels.
    #[error("the graph computes no map `{0}` with as many channels as there are scales")]
    Map(String),
    /// A backward pass without a forward pass before it.
    #[error("call forward before each backward")]
    NoForward,
}
