//! What can go wrong between a file and its detections.

/// Why a model does not load or an image is not detected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read from disk.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bytes are not a valid native model.
    #[error(transparent)]
    Model(#[from] picodet_model::ModelError),
    /// The metadata contradicts itself.
    #[error("the model's metadata gives {0}")]
    Metadata(String),
    /// The engine refuses the network.
    #[error(transparent)]
    Plan(#[from] picodet_engine::PlanError),
    /// The engine refuses the image.
    #[error(transparent)]
    Run(#[from] picodet_engine::RunError),
    /// An option does not make sense.
    #[error("{0}")]
    Option(String),
    /// The image cannot be decoded.
    #[error(transparent)]
    Decode(#[from] picodet_image::DecodeError),
}
