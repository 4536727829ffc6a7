//! The name of a buffer.

/// Index of a [`Buffer`].
pub type BufferId = usize;
