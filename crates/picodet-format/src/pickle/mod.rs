//! Pickles of arrays (`.pdparams`), read by a closed parser: a fixed list of opcodes builds values, a fixed
//! list of globals may be called, and a call only builds a value. No code is imported or executed.

mod machine;
mod value;

pub use machine::{load, load_prefix};
pub use value::{Global, Object, RcCell, Value};

/// Why a pickle is refused. Offsets are bytes from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// The file ends inside an opcode or value, or before the end opcode.
    #[error("the file ends at byte {offset} inside a pickle; it is truncated")]
    Truncated {
        /// Length of the file.
        offset: usize,
    },
    /// An opcode outside of the list that weight files need.
    #[error("opcode {opcode:#04x} at byte {offset} is not supported in a weight file")]
    UnknownOpcode {
        /// The opcode.
        opcode: u8,
        /// Its offset.
        offset: usize,
    },
    /// A protocol version outside of 2 to 5.
    #[error("pickle protocol {protocol} is not supported; save with protocol 2 to 5")]
    Protocol {
        /// The version.
        protocol: usize,
    },
    /// A global that is not in the fixed list of [`Global`].
    #[error(
        "the file refers to `{module}.{name}` at byte {offset}, which is never run; do not trust this file"
    )]
    ForbiddenGlobal {
        /// Module of the global.
        module: String,
        /// Name in the module.
        name: String,
        /// Offset of the opcode.
        offset: usize,
    },
    /// A limit on nesting, number of values or decoded bytes is exceeded.
    #[error("{limit} at byte {offset}; no weight file needs that")]
    Limit {
        /// The limit that is exceeded.
        limit: &'static str,
        /// Offset of the opcode that exceeds it.
        offset: usize,
    },
    /// An opcode whose operands are missing or of the wrong kind.
    #[error("{problem} at byte {offset}")]
    Invalid {
        /// The problem.
        problem: &'static str,
        /// Offset of the opcode or after it.
        offset: usize,
    },
}
