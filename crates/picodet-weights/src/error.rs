//! Why a weight file is refused.

use picodet_format::pickle::PickleError;
use picodet_format::protobuf::ProtobufError;

/// Why a weight file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file ends too early.
    #[error("the file ends at byte {at} inside {what}; it is truncated")]
    Truncated {
        /// Length of the file.
        at: usize,
        /// The element that was being read.
        what: &'static str,
    },
    /// A safetensors file is shorter or longer than its header gives.
    #[error("the file has {found} bytes, its header gives {expected}; {}", size_advice(*.found, *.expected))]
    Size {
        /// The size by its header, or that of the header if it is cut inside.
        expected: u64,
        /// Its size.
        found: u64,
    },
    /// The bytes are not of this format.
    #[error("not {format}: {problem}")]
    Format {
        /// The format that was tried.
        format: &'static str,
        /// The problem and its position.
        problem: String,
    },
    /// The bytes are of another kind.
    #[error("{found}; {remedy}")]
    Contents {
        /// The kind, as in `an HTML page`.
        found: &'static str,
        /// Advice for the user.
        remedy: &'static str,
    },
    /// The second file of a pair, ncnn's `.bin` or Paddle's `.pdiparams`, is refused.
    #[error("the file of the weights: {0}")]
    Paired(Box<Self>),
    /// A `.pdparams` file is not a supported pickle.
    #[error("not a .pdparams file: {0}")]
    Pickle(#[from] PickleError),
    /// An ONNX file is not a well-formed protocol buffer.
    #[error("not an ONNX file: {0}")]
    Protobuf(#[from] ProtobufError),
    /// The program or a tensor of a Paddle inference model is not a well-formed protocol buffer.
    #[error("not a Paddle inference model: {0}")]
    Program(ProtobufError),
    /// A tensor is damaged or of an unsupported kind.
    #[error("tensor `{name}`: {problem}")]
    Tensor {
        /// The tensor.
        name: String,
        /// The problem.
        problem: String,
    },
    /// A native model of another version of the format.
    #[error(
        "a model of format version {found}, which is newer than version {supported} of this program; update picodet"
    )]
    Version {
        /// The version of the file.
        found: u64,
        /// The version that is read.
        supported: &'static str,
    },
    /// The metadata is missing or damaged.
    #[error("metadata `{key}`: {problem}")]
    Metadata {
        /// The key.
        key: String,
        /// The problem.
        problem: String,
    },
}

/// The problem of a tensor of integers where floats are expected.
pub(crate) fn integers(dtype: &str) -> String {
    format!(
        "its elements are integers (`{dtype}`), which are no weights without scales; give the file before quantisation"
    )
}

fn size_advice(found: u64, expected: u64) -> &'static str {
    if found < expected { "it is cut: copy or download it again" } else { "copy or download it again" }
}
