//! How the channels of a node's results follow from those of its inputs.

/// How the channels of a node's results follow from those of its inputs.
///
/// Axes are those of maps `[n, c, h, w]`, whatever the format of the file; negative ones count from the last.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ForeignFlow {
    /// Not known.
    #[default]
    Unknown,
    /// The result is the image, `[n, 3, h, w]`.
    Image,
    /// Each result has the channels of one input: an activation, a copy, an operation with constants.
    Elementwise {
        /// Index of the input.
        input: usize,
        /// Number of values of the constants that take part; 1 if there are none.
        values: usize,
    },
    /// The sum of all inputs.
    Sum,
    /// The product of all inputs.
    Product,
    /// All inputs one after the other.
    Concat {
        /// The axis.
        axis: i64,
    },
    /// One part of the input for each result.
    Split {
        /// The axis.
        axis: i64,
        /// Extent of each part, -1 for an equal share of the remaining extent; empty if all parts are equal.
        sizes: Vec<i64>,
    },
    /// A part of the first input.
    Slice(Vec<ForeignRange>),
    /// Single indices of the first input.
    Gather {
        /// The axis.
        axis: i64,
        /// The indices; negative ones count from the end.
        indices: Vec<i64>,
        /// Whether the axis is removed, as a single index does.
        is_removed: bool,
    },
    /// The channels of the first input in `groups` groups, interleaved: the first of each group, then the second.
    Shuffle {
        /// Number of groups.
        groups: usize,
    },
    /// The first input with these extents: 0 keeps that of the input, -1 or `None` is another one.
    Reshape(Vec<Option<i64>>),
    /// The first input with its axes in this order.
    Transpose(Vec<i64>),
    /// The first input without these axes of extent 1; all such axes if there are none.
    Squeeze(Vec<i64>),
    /// The first input with additional axes of extent 1.
    Unsqueeze(Vec<i64>),
    /// The first input with its axes from `axis` on as one.
    Flatten {
        /// The axis.
        axis: i64,
    },
    /// The first input, resized.
    Resize {
        /// The interpolation, if it is known.
        mode: Option<ForeignResize>,
        /// Factors of height and width, if they are known.
        factors: Option<[f32; 2]>,
    },
    /// The first input, pooled.
    Pool(ForeignPool),
}

/// Indices of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignRange {
    /// The axis.
    pub axis: i64,
    /// First index; negative ones count from the end.
    pub start: i64,
    /// Index after the last one; negative ones count from the end, larger ones than the extent are the end.
    pub end: i64,
    /// Distance of two indices.
    pub step: i64,
}

/// An interpolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignResize {
    /// Pixel `floor(i / factor)`.
    Nearest,
    /// Linear between the centres of pixels (`align_corners` false).
    Linear,
    /// Another one.
    Other,
}

/// A kind of pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignPool {
    /// The maximum of windows.
    Maximum,
    /// The mean of windows.
    Mean,
    /// The mean of the whole map.
    Whole,
}

impl ForeignFlow {
    /// The flow of a node whose result has the channels of its first input.
    pub(crate) const SAME: Self = Self::Elementwise { input: 0, values: 1 };
}
