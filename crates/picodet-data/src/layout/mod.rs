//! Finds the dataset at a path: formats by their own files, then folders of splits, then a dataset one folder below.

mod contents;
pub(crate) mod foreign;
mod merge;
mod search;
mod split_folders;

use std::path::Path;

use crate::error::DataError;
use crate::format::HANDLERS;
use crate::format::handler::{Evidence, FormatHandler, Recognition, Source};
use crate::split_name::subfolders;

use search::find_format;

pub(crate) use merge::{class_union, merge, with_classes};

/// Returns the dataset at a path.
pub(crate) fn find(path: &Path) -> Result<Box<dyn Source>, DataError> {
    let metadata = std::fs::metadata(path).map_err(|source| DataError::io(path, source))?;
    let mut reason = metadata.is_file().then(|| "a file that is neither .json, .yaml nor .data".to_string());
    match find_format(path, &[Evidence::Files, Evidence::Layout]) {
        Recognition::Found(source) => return Ok(source),
        Recognition::Refused(problem) => reason = Some(problem),
        Recognition::None => {}
    }
    if metadata.is_dir() {
        if let Some(source) = split_folders::recognise(path) {
            return Ok(source);
        }
        // An archive that was extracted into a folder of its name.
        if let [only] = &subfolders(path)[..]
            && let Ok(source) = find(&path.join(only))
        {
            return Ok(source);
        }
        match find_format(path, &[Evidence::Weak]) {
            Recognition::Found(source) => return Ok(source),
            Recognition::Refused(problem) => reason = Some(problem),
            Recognition::None => {}
        }
    }
    if let Some(foreign) = foreign::recognise(path) {
        let (format, remedy) = (foreign.format, foreign.remedy);
        return Err(DataError::ForeignFormat { path: path.to_path_buf(), format, remedy });
    }
    Err(DataError::UnknownFormat {
        path: path.to_path_buf(),
        reason: reason.unwrap_or_else(|| contents::describe(path)),
        expected: HANDLERS.into_iter().map(FormatHandler::description).collect(),
    })
}
