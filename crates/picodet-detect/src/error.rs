//! The errors of loading a model and detecting in an image.

/// The reason why a model does not load or an image is not processed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The underlying I/O error.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// The underlying I/O error.
        source: std::io::Error,
    },
    /// The bytes are not a valid native model.
    #[error(transparent)]
    Model(#[from] picodet_model::ModelError),
    /// The metadata is inconsistent.
    #[error("the model's metadata gives {0}")]
    Metadata(String),
    /// The engine refuses the network.
    #[error(transparent)]
    Plan(#[from] picodet_engine::PlanError),
    /// The engine refuses the image.
    #[error(transparent)]
    Run(#[from] picodet_engine::RunError),
    /// An option is invalid.
    #[error("{0}")]
    Option(String),
    /// The caller has stopped the detection.
    #[error("stopped by the caller")]
    Cancelled,
    /// The image cannot be decoded.
    #[error(transparent)]
    Decode(#[from] picodet_image::DecodeError),
    /// The file cannot be decoded as an image.
    #[error("{path}: {source}")]
    DecodeFile {
        /// The file.
        path: String,
        /// The fault of its contents.
        source: picodet_image::DecodeError,
    },
}
