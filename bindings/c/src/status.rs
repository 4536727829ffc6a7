//! Status codes, and the errors behind them.

use picodet::Error;

/// The result of a call: `PICODET_OK` or one of `PICODET_ERROR_…`; `picodet_last_error` describes the error.
pub type Status = i32;

/// The call succeeded.
pub const PICODET_OK: Status = 0;
/// An argument is NULL, misaligned or out of its range.
pub const PICODET_ERROR_ARGUMENT: Status = 1;
/// A handle is closed, of another kind, or not from this library.
pub const PICODET_ERROR_HANDLE: Status = 2;
/// A file cannot be read or written.
pub const PICODET_ERROR_FILE: Status = 3;
/// The model is not valid, or not possible with the options.
pub const PICODET_ERROR_MODEL: Status = 4;
/// The bytes are not a supported image, or the image is incomplete or too large.
pub const PICODET_ERROR_IMAGE: Status = 5;
/// There is not enough memory.
pub const PICODET_ERROR_MEMORY: Status = 6;
/// An error in the library; please report it with its message.
pub const PICODET_ERROR_INTERNAL: Status = 7;

/// The reason why a call fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("`{0}` is NULL")]
    Null(&'static str),
    #[error("`{0}` is not aligned")]
    Misaligned(&'static str),
    #[error("`{name}` is {value}; expected {expected}")]
    Value { name: &'static str, value: String, expected: &'static str },
    #[error("`{0}` is not UTF-8")]
    NotUtf8(&'static str),
    #[error("`{0}` is closed, or not a handle of this library")]
    Closed(&'static str),
    #[error("`{name}` is a handle of a {found}; expected a {expected}")]
    Kind { name: &'static str, found: &'static str, expected: &'static str },
    #[error("{0}")]
    Detection(#[from] Error),
    #[error("`image`: {0}")]
    Pixels(#[from] picodet::RawError),
    #[error("the image has {image:?} pixels, where the result belongs to one of {result:?}")]
    OtherImage { image: (usize, usize), result: (usize, usize) },
    #[error("internal error: {0}; please report it")]
    Panic(String),
}

impl Failure {
    /// Returns the status code.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Null(_) | Self::Misaligned(_) | Self::Value { .. } | Self::NotUtf8(_) => {
                PICODET_ERROR_ARGUMENT
            }
            Self::OtherImage { .. } => PICODET_ERROR_ARGUMENT,
            Self::Closed(_) | Self::Kind { .. } => PICODET_ERROR_HANDLE,
            Self::Pixels(picodet::RawError::Memory { .. }) => PICODET_ERROR_MEMORY,
            Self::Pixels(_) => PICODET_ERROR_ARGUMENT,
            Self::Detection(error) => match error {
                Error::Read { .. } | Error::Write { .. } => PICODET_ERROR_FILE,
                Error::Model(_) | Error::Metadata(_) | Error::Plan(_) => PICODET_ERROR_MODEL,
                Error::Option(_) => PICODET_ERROR_ARGUMENT,
                Error::Decode(_) | Error::DecodeFile { .. } => PICODET_ERROR_IMAGE,
                _ => PICODET_ERROR_INTERNAL,
            },
            Self::Panic(_) => PICODET_ERROR_INTERNAL,
        }
    }
}
