//! Recognises masks: PNG files with the name of a picture, in another folder.

use std::collections::HashMap;
use std::path::Path;

use super::images::Images;
use crate::walk::has_extension;

/// Words in the names of folders of masks.
const WORDS: [&str; 9] =
    ["mask", "segm", "panoptic", "trimap", "stuff", "semantic", "annotation", "label", "depth"];

/// The pictures of a dataset by their names without extension.
pub(super) struct Masks<'a>(HashMap<&'a str, &'a Path>);

impl<'a> Masks<'a> {
    pub(super) fn of(images: &'a Images<'_>) -> Self {
        let named =
            images.by_path.keys().filter_map(|path| Some((path.file_stem()?.to_str()?, path.as_path())));
        Self(named.collect())
    }

    /// Whether a file is a mask: of a JPEG, or in a folder with a usual name.
    pub(super) fn contain(&self, file: &str, path: &Path) -> bool {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let Some(picture) = self.0.get(stem).filter(|_| has_extension(file, &["png"])) else { return false };
        let is_png = has_extension(&picture.to_string_lossy(), &["png"]);
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_ascii_lowercase();
        picture.parent() != path.parent() && (!is_png || WORDS.iter().any(|word| folder.contains(word)))
    }
}
