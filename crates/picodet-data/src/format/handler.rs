//! The interface between dataset operations and formats.

use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::{Dataset, Format, ImageRecord, Loaded, Object, Part};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings};
use crate::image_paths::ImagePaths;
use crate::loss::Loss;
use crate::split_name::find_split;

/// Reads and writes one format.
pub(crate) trait FormatHandler: Sync {
    /// The format.
    fn format(&self) -> Format;

    /// Files and folders of this format, for error messages.
    fn description(&self) -> &'static str;

    /// Properties that checks and conversions depend on.
    fn conventions(&self) -> Conventions;

    /// Recognises a dataset of this format at `path`, a file or folder.
    fn recognise(&self, path: &Path, evidence: Evidence) -> Recognition;

    /// Folder of the images of a split in a dataset that is written.
    fn image_folder(&self, split: &str) -> String;

    /// The name for a folder of images in a dataset that is written, where the format gives `name` a meaning of its own.
    fn folder_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Properties of objects that the format cannot represent.
    fn losses(&self) -> &'static [LossRule];

    /// Counts the contents of the label files that a [`Dataset`] does not represent, and that are lost when
    /// it is written in another format.
    ///
    /// # Errors
    /// [`DataError::Io`].
    fn extras(&self, _parts: &[Part<'_>]) -> Result<Vec<Loss>, DataError> {
        Ok(Vec::new())
    }

    /// Returns the bytes of an image that is embedded in its label file.
    fn embedded_image(&self, _dataset: &Dataset, _image: usize) -> Option<Vec<u8>> {
        None
    }

    /// Whether the label file of an image contains an image that cannot be read from it.
    fn has_broken_image(&self, _dataset: &Dataset, _image: usize) -> bool {
        false
    }

    /// Counts the contents of label files of whole datasets that are lost when these are joined; empty for formats with a
    /// label file per image.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::BadArgument`] for contents that would be confused.
    fn losses_of_join(&self, _files: &[PathBuf]) -> Result<Vec<Loss>, DataError> {
        Ok(Vec::new())
    }

    /// Writes the labels of one split. A dataset that was read in this format keeps what its label files
    /// contain beyond the dataset.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::BadArgument`] for an image that the format cannot represent.
    fn write_split(&self, output: &SplitOutput<'_>) -> Result<(), DataError>;

    /// Writes the files of the whole dataset after all splits.
    ///
    /// # Errors
    /// [`DataError::Io`].
    fn write_lists(&self, _parts: &[Part<'_>], _splits: &[String], _out: &Path) -> Result<(), DataError> {
        Ok(())
    }
}

/// Strength of the evidence for a format; folders are searched for the strongest evidence of any format first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Files that only this format has.
    Files,
    /// The layout of folders, or files that other formats may have as well.
    Layout,
    /// Label files anywhere below, in a folder that is not divided into splits.
    Weak,
}

/// The result of looking for a dataset of one format.
pub(crate) enum Recognition {
    /// There is no such dataset.
    None,
    /// There is no such dataset, for this reason.
    Refused(String),
    /// There is one.
    Found(Box<dyn Source>),
}

/// A dataset at a path.
pub(crate) trait Source {
    /// The splits; empty if there is only one, without a name.
    ///
    /// # Errors
    /// [`DataError`] when the list of splits cannot be read.
    fn splits(&self) -> Result<Vec<String>, DataError>;

    /// Reads one split, or all of them; the images of COCO as `paths` states.
    ///
    /// # Errors
    /// [`DataError`]; faults of single entries are findings.
    fn read(&self, split: Option<&str>, paths: ImagePaths) -> Result<Loaded, DataError>;
}

/// Properties of a format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conventions {
    /// Boxes are in pixels, not fractions of the image.
    pub(crate) pixel_boxes: bool,
    /// Boxes are stored as x, y, width, height.
    pub(crate) stores_extents: bool,
    /// One file holds the labels of all images, with ids of images and annotations, and areas.
    pub(crate) single_file: bool,
    /// The images are those in the folders of the dataset, with or without labels.
    pub(crate) images_from_folders: bool,
    /// Images are found by the extensions of their names, so an image must have one.
    pub(crate) images_by_extension: bool,
    /// Meaning of [`crate::Object::source`].
    pub(crate) object_source: ObjectSource,
}

/// Position of an object in its label file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ObjectSource {
    /// 1-based line.
    Line,
    /// Index into the list at this JSON pointer.
    Element(&'static str),
}

/// A property that a format cannot represent.
pub(crate) struct LossRule {
    /// Description of the loss.
    pub(crate) what: &'static str,
    /// Whether an object of an image has the property.
    pub(crate) applies: fn(&ImageRecord, &Object) -> bool,
    /// Such objects are left out entirely.
    pub(crate) drops_object: bool,
}

/// One split of a dataset that is written.
pub(crate) struct SplitOutput<'a> {
    /// The data.
    pub(crate) dataset: &'a Dataset,
    /// Name of the split, safe as a file name.
    pub(crate) split: &'a str,
    /// New name of each image below its folder, safe and unique.
    pub(crate) image_names: &'a [String],
    /// The output folder.
    pub(crate) out: &'a Path,
    /// All splits that are written.
    pub(crate) parts: &'a [Part<'a>],
}

impl SplitOutput<'_> {
    /// Returns an image, with the size of the image file if the label has none.
    pub(crate) fn sized(&self, index: usize) -> ImageRecord {
        let mut image = self.dataset.images[index].clone();
        if (image.width == 0 || image.height == 0)
            && let Some(header) = self.dataset.image_header(index)
        {
            (image.width, image.height) = (header.width, header.height);
        }
        image
    }
}

/// Takes sizes that are missing in the label (0) from the images, and reports them with `message`.
pub(crate) fn fill_sizes(dataset: &mut Dataset, findings: &mut Findings, message: &str) {
    let unknown: Vec<usize> = (0..dataset.images.len())
        .filter(|&index| dataset.images[index].width == 0 || dataset.images[index].height == 0)
        .collect();
    let headers = picodet_parallel::map(0..unknown.len(), 0, |index| dataset.image_header(unknown[index]));
    for (index, header) in unknown.into_iter().zip(headers) {
        let message = format!("{}: {message}", dataset.images[index].file);
        findings.push(FindingKind::SizeUnknown, dataset.image_location(index), message);
        if let Some(header) = header {
            (dataset.images[index].width, dataset.images[index].height) = (header.width, header.height);
        }
    }
}

/// Writes a text file and its parent folders.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), DataError> {
    make_parent(path)?;
    fs::write(path, text).map_err(|source| DataError::io(path, source))
}

/// Creates the parent folders of a file.
pub(crate) fn make_parent(path: &Path) -> Result<(), DataError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|source| DataError::io(parent, source)),
        None => Ok(()),
    }
}

/// The distinct class names of all splits, one per line.
pub(crate) fn class_lines(parts: &[Part<'_>]) -> String {
    let mut seen = std::collections::HashSet::new();
    let names = parts.iter().flat_map(|part| &part.dataset.classes).map(|class| class.name.as_str());
    names.filter(|name| seen.insert(*name)).collect::<Vec<_>>().join("\n") + "\n"
}

/// Returns the split that a name means, among the available ones.
///
/// # Errors
/// [`DataError::UnknownSplit`].
pub(crate) fn choose_split<'a>(
    path: &Path,
    split: &str,
    available: &'a [String],
) -> Result<&'a str, DataError> {
    find_split(available, split).ok_or_else(|| unknown_split(path, split, available.to_vec()))
}

/// An error for a split that does not exist.
pub(crate) fn unknown_split(path: &Path, split: &str, available: Vec<String>) -> DataError {
    DataError::UnknownSplit { path: path.to_path_buf(), split: split.to_string(), available }
}
