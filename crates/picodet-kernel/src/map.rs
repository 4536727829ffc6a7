//! Parts of feature maps.

/// Channels that are neighbours in the source and in the destination of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelRange {
    /// First column in the source.
    pub source: usize,
    /// First column in the second source, if any.
    pub other: usize,
    /// First column in the destination.
    pub destination: usize,
    /// Number of columns.
    pub len: usize,
}
