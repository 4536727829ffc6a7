//! Errors of reading a native model.

use picodet_graph::CheckError;
use picodet_weights::ReadError;
use picodet_zoo::OverrideError;

/// An error in the architecture of a model's metadata.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// It is not a JSON object of this version.
    #[error("{0}; update picodet if a newer version wrote this file")]
    Syntax(#[from] serde_json::Error),
    /// It has a value that the network cannot have.
    #[error(transparent)]
    Override(#[from] OverrideError),
}

/// An error in a native model file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The bytes are not a native model.
    #[error("{prefix}{0}{remedy}", prefix = prefix(.0), remedy = remedy(.0))]
    File(#[from] ReadError),
    /// The metadata names an unknown network.
    #[error("the model is of the unknown variant `{0}`; `picodet models` lists all")]
    Variant(String),
    /// The metadata gives an architecture that is not possible.
    #[error("the model's architecture: {0}")]
    Architecture(#[from] ArchitectureError),
    /// The metadata holds an invalid value.
    #[error("the model's metadata gives {0}")]
    Metadata(String),
    /// The tensors are not those of the variant.
    #[error("the weights do not belong to {variant}: {source}")]
    Weights {
        /// The variant that the metadata names.
        variant: &'static str,
        /// The missing, unexpected and mis-shaped tensors.
        source: CheckError,
    },
    /// A parameter has values that no training gives.
    #[error("`{name}` contains a value that is {what}; the model is damaged")]
    Damaged {
        /// Name of the parameter.
        name: String,
        /// The kind of the value.
        what: &'static str,
    },
    /// The integers or the scales of a quantised model are not those of the variant.
    #[error("the quantisation does not belong to {variant}: {source}; `picodet quantise` writes a new file")]
    Quantisation {
        /// The variant that the metadata names.
        variant: &'static str,
        /// The missing, unexpected and mis-shaped integers and scales.
        source: CheckError,
    },
}

/// Returns the beginning of the error; a damaged model is a model.
fn prefix(error: &ReadError) -> &'static str {
    match error {
        ReadError::Size { .. }
        | ReadError::Truncated { .. }
        | ReadError::Tensor { .. }
        | ReadError::Version { .. } => "",
        _ => "not a picodet model: ",
    }
}

/// Returns advice about a file that is not a model, unless the error contains it.
fn remedy(error: &ReadError) -> &'static str {
    match error {
        ReadError::Format { .. } => "; `picodet convert` creates one from other weights",
        _ => "",
    }
}
