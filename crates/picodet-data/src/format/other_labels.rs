//! Reads the objects of label files of any format with one file per image, and finds the labels that images have in other
//! formats than the one that is read.

use std::path::Path;

use super::{labelme, voc, yolo};
use crate::dataset::Format;
use crate::walk::{file_name, has_extension, without_extension};

/// Folders of labels at the place of a folder of images.
const LABEL_FOLDERS: [&str; 3] = ["Annotations", "annotations", "labels"];

/// The label file of one image.
pub(crate) struct LabelFile {
    pub(crate) format: Format,
    /// Number of objects.
    pub(crate) objects: usize,
    /// The name of its image, if it states one.
    pub(crate) image: Option<String>,
}

/// Reads a file that can be a label of one image; `None` if it is another file.
pub(crate) fn label_file(path: &Path) -> Option<LabelFile> {
    let name = path.to_str()?;
    if has_extension(name, &["xml"]) {
        let (objects, image) = voc::objects_in(path)?;
        return Some(LabelFile { format: Format::VOC, objects, image });
    }
    if has_extension(name, &["json"]) {
        let (objects, image) = labelme::objects_in(path)?;
        return Some(LabelFile { format: Format::LABELME, objects, image });
    }
    let objects = yolo::rows_in(path)?;
    Some(LabelFile { format: Format::YOLO, objects, image: None })
}

/// Returns the label file with objects that an image has in another format than `own`: next to it, or in a folder of labels.
pub(crate) fn label_of_other_format(root: &Path, image: &str, own: Format) -> Option<String> {
    let stem = without_extension(image);
    let mut stems = vec![stem.to_string()];
    for labels in LABEL_FOLDERS {
        let below = stem.split_once('/').map_or(stem, |(_, below)| below);
        for below in [below, file_name(stem)] {
            let candidate = format!("{labels}/{below}");
            if !stems.contains(&candidate) {
                stems.push(candidate);
            }
        }
    }
    let candidates = ["xml", "json", "txt"]
        .into_iter()
        .flat_map(|extension| stems.iter().map(move |stem| format!("{stem}.{extension}")));
    candidates.into_iter().find(|file| {
        let path = root.join(file);
        let is_label = |label: LabelFile| label.format != own && label.objects > 0;
        path.is_file() && label_file(&path).is_some_and(is_label)
    })
}
