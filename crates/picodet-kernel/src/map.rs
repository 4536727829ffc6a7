//! Feature maps in memory.

/// The type of the elements of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats with an 8-bit mantissa.
    Bf16,
}

impl DType {
    /// Returns the number of elements in 32 bits.
    #[must_use]
    pub const fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
        }
    }
}

/// Channels that are neighbours in the source and in the destination of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First column in the source.
    pub source: usize,
    /// First column in the second source, where there is one.
    pub other: usize,
    /// First column in the destination.
    pub destination: usize,
    /// Number of columns.
    pub len: usize,
}
