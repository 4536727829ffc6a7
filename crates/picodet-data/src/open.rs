//! Finds and reads the dataset at a path.

use std::path::Path;

use crate::dataset::{Dataset, Loaded};
use crate::error::DataError;
use crate::format::HANDLERS;
use crate::format::handler::{Evidence, FormatHandler, Recognition, Source};

impl Dataset {
    /// Reads a dataset of any format, and refuses one with labels that cannot be represented.
    ///
    /// `path` is a COCO `.json`, a YOLO `.yaml`, or a folder of any format. Without `split`, VOC and YOLO
    /// datasets are read as a whole; COCO and LabelMe datasets need it if there are several splits.
    ///
    /// # Errors
    /// [`DataError`]; in particular [`DataError::Faulty`] when the reader had to leave out labels. Boxes that
    /// are merely implausible (empty, outside of the image) are kept.
    pub fn open(path: impl AsRef<Path>, split: Option<&str>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let loaded = open_lenient(path, split)?;
        match loaded.findings.first_error() {
            None => Ok(loaded.dataset),
            Some(first) => Err(DataError::Faulty {
                path: path.to_path_buf(),
                count: loaded.findings.errors(),
                first: Box::new(first.clone()),
            }),
        }
    }
}

/// Reads a dataset of any format and reports faults as findings; see [`Dataset::open`] for paths and splits.
///
/// # Errors
/// [`DataError`] when there is no dataset at `path`, or the label file of a COCO or YOLO dataset cannot be
/// parsed.
pub fn open_lenient(path: impl AsRef<Path>, split: Option<&str>) -> Result<Loaded, DataError> {
    find(path.as_ref())?.read(split)
}

/// Returns the splits of the dataset at `path`; empty if there is only one, without a name.
///
/// # Errors
/// [`DataError`] when there is no dataset at `path`.
pub fn splits(path: impl AsRef<Path>) -> Result<Vec<String>, DataError> {
    find(path.as_ref())?.splits()
}

/// Returns the splits without `trainval` if `train` and `val` exist, of which it is the union.
pub(crate) fn splits_without_unions(path: &Path) -> Result<Vec<String>, DataError> {
    let mut names = splits(path)?;
    let has = |names: &[String], name: &str| names.iter().any(|other| other == name);
    if has(&names, "train") && has(&names, "val") {
        names.retain(|name| name != "trainval");
    }
    Ok(names)
}

fn find(path: &Path) -> Result<Box<dyn Source>, DataError> {
    let metadata = std::fs::metadata(path).map_err(|source| DataError::io(path, source))?;
    let mut reason =
        if metadata.is_file() { "a file that is neither .json nor .yaml" } else { "no label files" };
    for evidence in [Evidence::Files, Evidence::Layout] {
        for handler in HANDLERS {
            match handler.recognise(path, evidence) {
                Recognition::None => {}
                Recognition::Refused(problem) => reason = problem,
                Recognition::Found(source) => return Ok(source),
            }
        }
    }
    Err(DataError::UnknownFormat {
        path: path.to_path_buf(),
        reason: reason.to_string(),
        expected: HANDLERS.into_iter().map(FormatHandler::description).collect(),
    })
}
