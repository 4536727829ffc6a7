//! Why a weight file is refused.

/// Why a weight file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file ends too early.
    #[error("the file ends at byte {at} in the middle of {what}; it is truncated")]
    Truncated {
        /// Where.
        at: usize,
        /// What was being read.
        what: &'static str,
    },
    /// The bytes are not of this format.
    #[error("not {format}: {problem}")]
    Format {
        /// The format that was tried.
        format: &'static str,
        /// What is wrong and where.
        problem: String,
    },
    /// A tensor is not what it says.
    #[error("tensor `{name}`: {problem}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The metadata is missing or broken.
    #[error("metadata `{key}`: {problem}")]
    Metadata {
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
    },
}
