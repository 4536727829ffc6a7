//! Finds the labels that images have in other formats than the one that is read.

use std::collections::HashSet;
use std::path::Path;

use super::voc::is_voc;
use super::yolo::row_file_of;
use crate::dataset::{Dataset, Format, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::paths::Stated;
use crate::sniff::{JsonKind, json_kind};
use crate::walk::{file_name, without_extension};

/// Folders of labels at the place of a folder of images.
const LABEL_FOLDERS: [&str; 3] = ["Annotations", "annotations", "labels"];

/// Returns the label file that an image has in another format than `own`: beside it, or in a folder of labels.
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
    let is_labelme = |path: &Path| path.is_file() && json_kind(path) == JsonKind::LabelMe;
    let find = |extension: &str, is_label: &dyn Fn(&Path) -> bool| {
        let files = stems.iter().map(|stem| format!("{stem}.{extension}"));
        files.into_iter().find(|file| is_label(&root.join(file)))
    };
    let xml = || if own == Format::VOC { None } else { find("xml", &is_voc) };
    let json = || if own == Format::LABELME { None } else { find("json", &is_labelme) };
    let rows = || if own == Format::YOLO { None } else { row_file_of(root, image) };
    xml().or_else(json).or_else(rows)
}

/// Reports the images among `files`, relative to the dataset, that it does not contain since they have only a label of another
/// format.
pub(super) fn report_other_labels(dataset: &Dataset, files: &[String], findings: &mut Findings) {
    let used: HashSet<String> =
        dataset.images.iter().map(|image| Stated::with_spaces(&image.file).joined()).collect();
    let others = picodet_parallel::map(0..files.len(), 0, |index| {
        let file = &files[index];
        if used.contains(file) { None } else { label_of_other_format(&dataset.root, file, dataset.format) }
    });
    for (file, other) in files.iter().zip(others) {
        let Some(other) = other else { continue };
        let message =
            format!("{file} has no label of the format {}, but {other}, which is not read", dataset.format);
        let location = Location::file(display(&dataset.root.join(file)));
        findings.push(FindingKind::LabelOtherFormat, location, message);
    }
}
