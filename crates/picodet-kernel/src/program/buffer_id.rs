//! The name of a buffer.

/// Index of a [`super::operation::Buffer`].
pub type BufferId = usize;
