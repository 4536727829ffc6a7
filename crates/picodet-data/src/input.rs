//! Opens label files: regular files only, with a limit on their size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::DataError;

/// Opens a regular file; a pipe or device would block or never end.
pub(crate) fn open_regular(path: &Path) -> Result<File, DataError> {
    let kind = std::fs::metadata(path).map_err(|source| DataError::io(path, source))?;
    if !kind.is_file() {
        return Err(DataError::io(path, io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    File::open(path).map_err(|source| DataError::io(path, source))
}

/// Reads a file of at most `limit` bytes; `what` is its kind in the error.
pub(crate) fn read_bounded(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    open_regular(path)?
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| DataError::io(path, source))?;
    if bytes.len() as u64 > limit {
        let size = std::fs::metadata(path).map_or(limit + 1, |metadata| metadata.len());
        return Err(DataError::TooLarge { path: path.to_path_buf(), what, size, limit });
    }
    Ok(bytes)
}

/// Largest label file whose bytes are compared.
const MAX_COMPARED: u64 = 16 << 20;

/// Whether two files have the same bytes; `false` for large ones.
pub(crate) fn same_bytes(a: &Path, b: &Path) -> bool {
    let size = |path: &Path| open_regular(path).ok()?.metadata().ok().map(|metadata| metadata.len());
    let read = |path: &Path| read_bounded(path, MAX_COMPARED, "a label file").ok();
    size(a).is_some() && size(a) == size(b) && read(a).is_some_and(|bytes| Some(bytes) == read(b))
}
