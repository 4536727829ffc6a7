//! What can go wrong between a file and its detections.

use picodet_graph::CheckError;

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
    /// The file is not a native model.
    #[error("not a picodet model: {0}; `picodet convert` makes one from .pdparams, ncnn and ONNX files")]
    File(#[from] picodet_weights::ReadError),
    /// The metadata names a network that does not exist.
    #[error("the model is of the unknown variant `{0}`; `picodet models` lists all")]
    Variant(String),
    /// The metadata contradicts itself.
    #[error("the model's metadata gives {0}")]
    Metadata(String),
    /// The tensors are not those of the variant.
    #[error("the weights do not belong to {0}: {1}")]
    Weights(&'static str, CheckError),
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
