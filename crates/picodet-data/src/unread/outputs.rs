//! Recognises folders of predictions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::images::Images;

/// The folders below a dataset to which a detector writes its predictions, except those with images of the dataset.
pub(super) struct Outputs<'a> {
    top: &'a Path,
    /// The images of the dataset.
    images: Vec<&'a Path>,
}

impl<'a> Outputs<'a> {
    pub(super) fn of(top: &'a Path, images: &'a Images<'_>) -> Self {
        Self { top, images: images.by_path.keys().map(PathBuf::as_path).collect() }
    }

    /// Returns the files that are in none of the folders.
    pub(super) fn without(&self, files: Vec<String>) -> Vec<String> {
        let mut known: HashMap<String, bool> = HashMap::new();
        let is_output =
            |folder: &str| !self.images.iter().any(|image| image.starts_with(self.top.join(folder)));
        let mut contain = |file: &str| {
            let ends = file.match_indices('/').map(|(at, _)| &file[..at]);
            let mut named = ends.filter(|folder| is_name(folder.rsplit('/').next().unwrap_or(folder)));
            named.any(|folder| *known.entry(folder.to_string()).or_insert_with(|| is_output(folder)))
        };
        files.into_iter().filter(|file| !contain(file)).collect()
    }
}

/// Whether a folder has a name that Ultralytics gives to its results.
fn is_name(folder: &str) -> bool {
    matches!(folder.trim_end_matches(|c: char| c.is_ascii_digit()), "runs" | "predict")
}
