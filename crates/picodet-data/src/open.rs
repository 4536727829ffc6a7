//! Finds and reads the dataset at a path.

use std::path::Path;

use crate::dataset::{Dataset, Format, Loaded, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::image_paths::ImagePaths;
use crate::layout;
use crate::split_name::{sort_splits, split_role};
use crate::text::clip;
use crate::unread::find_unread;

impl Dataset {
    /// Reads a dataset of any format, and refuses one with labels that cannot be represented.
    ///
    /// `path` is a COCO `.json`, a YOLO `.yaml` or darknet `.data`, or a folder of any layout. Without `split`, VOC and
    /// YOLO datasets are read as a whole; COCO and LabelMe datasets need it if there are several splits. `val` also
    /// means a split named `valid` or `val2017`.
    ///
    /// # Errors
    /// [`DataError`]; in particular [`DataError::Faulty`] when the reader had to leave out labels. Boxes that
    /// are merely implausible (empty, outside of the image) are kept.
    pub fn open(path: impl AsRef<Path>, split: Option<&str>) -> Result<Self, DataError> {
        let path = path.as_ref();
        open_lenient(path, split)?.strict(path)
    }
}

impl Loaded {
    /// Returns the dataset if no labels were left out that cannot be represented; `path` is for the error.
    ///
    /// # Errors
    /// [`DataError::Faulty`].
    pub fn strict(self, path: &Path) -> Result<Dataset, DataError> {
        let remedy = "`picodet check --fix FOLDER --allow-loss` writes a copy without them";
        refuse_faults(&self.findings, path, remedy)?;
        Ok(self.dataset)
    }

    /// Returns the dataset to write a copy of it as [`Self::strict`], or with `allow_loss` without the labels that were left
    /// out.
    ///
    /// # Errors
    /// [`DataError::Faulty`].
    pub fn for_copy(self, path: &Path, allow_loss: bool) -> Result<Dataset, DataError> {
        if !allow_loss {
            refuse_faults_of_copy(&self.findings, path)?;
        }
        Ok(self.dataset)
    }
}

/// Refuses to write a copy of a dataset with labels that were left out.
pub(crate) fn refuse_faults_of_copy(findings: &Findings, path: &Path) -> Result<(), DataError> {
    refuse_faults(findings, path, "--allow-loss leaves them out")
}

fn refuse_faults(findings: &Findings, path: &Path, remedy: &'static str) -> Result<(), DataError> {
    let Some(first) = findings.first_error() else { return Ok(()) };
    let (path, count, first) = (path.to_path_buf(), findings.errors(), Box::new(first.clone()));
    Err(DataError::Faulty { path, count, first, remedy })
}

/// Reads a dataset of any format and reports faults as findings; see [`Dataset::open`] for paths and splits. Without `split`,
/// labels of images that no split contains are among the findings.
///
/// # Errors
/// [`DataError`] when there is no dataset at `path`, or the label file of a COCO or YOLO dataset cannot be
/// parsed.
pub fn open_lenient(path: impl AsRef<Path>, split: Option<&str>) -> Result<Loaded, DataError> {
    open_lenient_with(path, split, ImagePaths::default())
}

/// Reads a dataset as [`open_lenient`], and finds its images as `paths` states. The labels below a folder are not searched for
/// a COCO dataset whose paths stay as written.
///
/// # Errors
/// As [`open_lenient`].
pub fn open_lenient_with(
    path: impl AsRef<Path>,
    split: Option<&str>,
    paths: ImagePaths,
) -> Result<Loaded, DataError> {
    let path = path.as_ref();
    let mut loaded = open_with(path, split, paths)?;
    let are_elsewhere = paths == ImagePaths::AsWritten && loaded.dataset.format == Format::COCO;
    if split.is_none() && !are_elsewhere {
        loaded.findings.extend(find_unread(path, &[&loaded.dataset]).into_findings());
    }
    Ok(loaded)
}

/// Reads one split, or a dataset as a whole, without the search for labels that no split contains.
pub(crate) fn open_split(path: &Path, split: Option<&str>) -> Result<Loaded, DataError> {
    open_with(path, split, ImagePaths::default())
}

fn open_with(path: &Path, split: Option<&str>, paths: ImagePaths) -> Result<Loaded, DataError> {
    let mut loaded = layout::find(path)?.read(split, paths)?;
    let location = Location::file(display(loaded.dataset.annotations.as_deref().unwrap_or(path)));
    for class in &mut loaded.dataset.classes {
        // Lists of classes have one name per line, and readers remove the spaces around it.
        let words = class.name.split(char::is_control).map(str::trim).filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join(" ");
        if name != class.name && !name.is_empty() {
            let message = format!("class {:?} is read as `{}`", clip(&class.name), clip(&name));
            loaded.findings.push(FindingKind::ClassNameChanged, location.clone(), message);
            class.name = name;
        }
    }
    Ok(loaded)
}

/// Returns the splits of the dataset at `path`; empty if there is only one, without a name.
///
/// # Errors
/// [`DataError`] when there is no dataset at `path`.
pub fn splits(path: impl AsRef<Path>) -> Result<Vec<String>, DataError> {
    layout::find(path.as_ref())?.splits()
}

/// Returns the splits without `trainval` if `train` and `val` exist, of which it is the union.
pub(crate) fn splits_without_unions(path: &Path) -> Result<Vec<String>, DataError> {
    let mut names = splits(path)?;
    sort_splits(&mut names);
    let has = |role: &str| names.iter().any(|name| split_role(name) == Some(role));
    if has("train") && has("val") {
        names.retain(|name| name != "trainval");
    }
    Ok(names)
}
