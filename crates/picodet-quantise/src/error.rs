//! Why a network cannot be quantised.

/// Why a network cannot be quantised.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// There are no images.
    #[error("no images to calibrate with; 60 or more of those that the model will see are best")]
    NoImages,
    /// The images have different shapes.
    #[error("an image has shape {found:?}; all must have [1, 3, {height}, {width}]", height = size.0, width = size.1)]
    ImageShape {
        /// The shape of the image.
        found: [usize; 4],
        /// Height and width of the first image.
        size: (usize, usize),
    },
    /// A weight is NaN or infinite.
    #[error("`{0}` contains a value that is NaN or infinite; the model is damaged")]
    Weights(String),
    /// A parameter is missing.
    #[error("the weights do not match the network: {0}")]
    Parameters(picodet_graph::CheckError),
    /// The network has an operation that has no quantised form.
    #[error("{scope}: {op} cannot be quantised")]
    Operation {
        /// The node.
        scope: String,
        /// The operation.
        op: String,
    },
    /// The network gives values that are NaN or infinite.
    #[error("{0}: the float network gives values that are NaN or infinite for these images")]
    Values(String),
    /// The progress callback asked to stop.
    #[error("stopped")]
    Cancelled,
}
