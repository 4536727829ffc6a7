//! Reads the objects of label files of any format with one file per image, and finds the labels that images have in other
//! formats than the one that is read.

use std::path::Path;

use super::{labelme, voc, yolo};
use crate::dataset::{Format, Object};
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

/// An object of a label file.
pub(crate) struct LabelBox {
    /// The name of the class; its index in YOLO.
    pub(crate) class: String,
    /// `[x1, y1, x2, y2]` in pixels; a row of YOLO can be a box or a polygon.
    pub(crate) boxes: Vec<[f64; 4]>,
}

/// The format of files with one label, by the extension.
pub(crate) fn format_of_label(name: &str) -> Option<Format> {
    let formats = [("xml", Format::VOC), ("json", Format::LABELME), ("txt", Format::YOLO)];
    formats.into_iter().find(|(extension, _)| has_extension(name, &[extension])).map(|(_, format)| format)
}

/// Reads the objects of a label of one image of `size` pixels; empty for another file.
pub(crate) fn boxes_in(path: &Path, size: (u32, u32)) -> Vec<LabelBox> {
    let named = |objects: Vec<(String, Object)>| {
        let label = |(class, object): (String, Object)| LabelBox {
            class: class.trim().to_string(),
            boxes: vec![object.bbox],
        };
        objects.into_iter().map(label).collect()
    };
    match format_of_label(&path.to_string_lossy()) {
        Some(Format::VOC) => voc::annotation_in(path).map(|read| named(read.objects)).unwrap_or_default(),
        Some(Format::LABELME) => {
            labelme::annotation_in(path).map(|read| named(read.objects)).unwrap_or_default()
        }
        Some(_) => {
            let rows = yolo::boxes_in(path, size).unwrap_or_default();
            let label = |(class, boxes): (u32, Vec<[f64; 4]>)| LabelBox { class: class.to_string(), boxes };
            rows.into_iter().map(label).collect()
        }
        None => Vec::new(),
    }
}

/// Reads a file that can be a label of one image; `None` if it is another file.
pub(crate) fn label_file(path: &Path) -> Option<LabelFile> {
    let format = format_of_label(path.to_str()?).unwrap_or(Format::YOLO);
    let (objects, image) = match format {
        Format::VOC => voc::annotation_in(path).map(|read| (read.objects.len(), read.file_name))?,
        Format::LABELME => labelme::annotation_in(path).map(|read| (read.objects.len(), read.image_path))?,
        _ => (yolo::rows_in(path)?, None),
    };
    Some(LabelFile { format, objects, image })
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
