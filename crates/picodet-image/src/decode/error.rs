//! The reasons why an image is refused.

use std::fmt;

use super::FileKind;

/// The reasons why an image is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file has no bytes.
    #[error("the file is empty; copy or download it again")]
    Empty,
    /// The content is recognised, but is not of a supported image format.
    #[error("this is {}; {}", .0.description(), .0.remedy())]
    Unsupported(FileKind),
    /// The format is not recognised.
    #[error("not an image; expected JPEG, PNG, WebP, BMP or GIF")]
    UnknownFormat,
    /// The file ends before its picture does.
    #[error("the {format} picture is incomplete: {missing}; copy or download the file again")]
    Incomplete {
        /// The format.
        format: &'static str,
        /// The part that is missing.
        missing: Missing,
    },
    /// The format is supported but the bytes are broken or of an unsupported kind.
    #[error("broken or unsupported {format} image: {problem}")]
    Broken {
        /// The format.
        format: &'static str,
        /// The decoder's message.
        problem: String,
    },
    /// The decoder panicked.
    #[error("the decoder failed on this file; save it again in an image editor")]
    Panic,
    /// The image exceeds the limits.
    #[error(
        "an image of {width} x {height} pixels exceeds the limit of {limit} pixels; scale it down, or raise the limit \
         (--max-pixels)"
    )]
    TooLarge {
        /// Columns according to the header.
        width: u32,
        /// Rows according to the header.
        height: u32,
        /// Maximum number of pixels.
        limit: u64,
    },
}

/// The missing part of a picture, in the row order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// Rows from `first` to the last, counted from 0.
    Rows {
        /// The first missing row.
        first: usize,
        /// Rows of the picture.
        count: usize,
    },
    /// Fine detail of a progressive picture.
    Detail,
    /// The decoder does not report which part.
    Unknown,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows { first: 0, count } => write!(formatter, "all {count} rows are missing"),
            Self::Rows { first, count } => {
                write!(formatter, "rows {first} to {} of {count} are missing", count.saturating_sub(1))
            }
            Self::Detail => formatter.write_str("its fine detail is missing"),
            Self::Unknown => formatter.write_str("the file ends early"),
        }
    }
}
