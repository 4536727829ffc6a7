//! Models: the network graph, its weights and its metadata, and the conversion of published weights.
//!
//! [`Model`] reads and writes the native format. [`convert`] reads `.pdparams`, ncnn and ONNX files.
//! [`metadata`] describes trained and converted models.

#![forbid(unsafe_code)]

mod check;
mod convert;
mod error;
pub mod metadata;
mod model;
mod quantised;

pub use convert::{ConvertError, ConvertOptions, WeightsError, convert, convert_with_notes};
pub use error::{ArchitectureError, ModelError};
pub use model::{Model, graph_of};

/// Largest number of classes of a model.
pub const MAX_CLASSES: usize = 10_000;
/// Largest height and width of the network input in pixels.
pub const MAX_INPUT_SIDE: usize = 4096;
