//! The ways to read the bytes of a COCO file.

use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use picodet_format::json::{JsonGuard, MAX_TOKEN, NonFiniteToNull};

use crate::error::DataError;
use crate::finding::Findings;
use crate::input::open_regular;
use crate::text::legacy_json;

/// A way to read a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading {
    /// Unchanged.
    Plain,
    /// With null for NaN and Infinity, which Python writes.
    NonFinite,
    /// Decoded from another encoding than UTF-8.
    Legacy,
}

impl Reading {
    /// All ways, in the order in which they are tried.
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::NonFinite, Self::Legacy];

    /// Opens a file, with limits on the depth and length of its values.
    ///
    /// # Errors
    /// The error of the file.
    pub(super) fn open(self, path: &Path) -> io::Result<Box<dyn Read>> {
        let file = || open_regular(path).map(BufReader::new).map_err(io_error);
        Ok(match self {
            Self::Plain => Box::new(JsonGuard::new(file()?, MAX_TOKEN)),
            Self::NonFinite => Box::new(JsonGuard::new(NonFiniteToNull::new(file()?), MAX_TOKEN)),
            Self::Legacy => {
                let text = legacy_json(path, &mut Findings::default()).unwrap_or_default();
                Box::new(JsonGuard::new(Cursor::new(text), MAX_TOKEN))
            }
        })
    }
}

fn io_error(error: DataError) -> io::Error {
    match error {
        DataError::Io { source, .. } => source,
        error => io::Error::other(error.to_string()),
    }
}
