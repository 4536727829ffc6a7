//! The reasons why raw pixels are refused.

/// The reasons why raw pixels are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// A side is 0 or too long.
    #[error("an image of {width} x {height} pixels: sides must be between 1 and {limit}", limit = super::MAX_SIDE)]
    Size {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Rows overlap.
    #[error("a stride of {stride} bytes in the {plane} plane: a row has {row} bytes")]
    Stride {
        /// The name of the plane.
        plane: &'static str,
        /// The stride in bytes.
        stride: usize,
        /// The length of a row in bytes.
        row: usize,
    },
    /// Samples of a row overlap.
    #[error(
        "samples of the {plane} plane are 0 bytes from one another; expected 1, or 2 where U and V alternate"
    )]
    Step {
        /// The name of the plane.
        plane: &'static str,
    },
    /// A plane ends before its last row does.
    #[error("the {plane} plane has {found} bytes, where its size and stride need {needed}")]
    Short {
        /// The name of the plane.
        plane: &'static str,
        /// The length that is needed in bytes.
        needed: usize,
        /// The length in bytes.
        found: usize,
    },
    /// There is no memory for the upright image.
    #[error("no memory for an image of {width} x {height} pixels")]
    Memory {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
}
