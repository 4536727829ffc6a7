//! Finds the labels of single images that no split contains, and images without labels.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::images::Images;
use super::masks::Masks;
use super::paths::places;
use super::second::{Difference, boxes_of, difference};
use crate::dataset::{Class, Format, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::format::coco::is_other_task;
use crate::format::other_labels::{
    LabelBox, LabelFile, boxes_in, format_of_label, label_file, label_of_other_format,
};
use crate::input::same_bytes;
use crate::layout::foreign::of_file;
use crate::paths::{FileIndex, Lookup, Stated, plain, real};
use crate::text::read_text;
use crate::walk::{file_name, without_extension};

/// Largest file of a format that is not read, in bytes.
const MAX_FOREIGN: u64 = 256 << 20;

/// A label that is not read, of an image without objects otherwise, or with other ones.
pub(super) struct Lost {
    pub(super) kind: FindingKind,
    pub(super) location: Location,
    pub(super) message: String,
    pub(super) image: PathBuf,
}

/// The parts of a text that can be names of files.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'', '<', '>', ',', ';', '\t', '\r', '\n', '/', '\\']).map(str::trim)
}

pub(super) struct Sweep<'a> {
    pub(super) top: PathBuf,
    /// The folder as the user writes it.
    pub(super) shown: PathBuf,
    pub(super) format: Format,
    pub(super) images: Images<'a>,
    pub(super) files: FileIndex,
    /// The paths of the images below the folder without links.
    pub(super) real: HashMap<String, PathBuf>,
    /// The annotation files that are read.
    pub(super) beside: Vec<PathBuf>,
}

impl Sweep<'_> {
    /// Returns what is lost with a label file of one image.
    pub(super) fn lost(&self, label: &str) -> Option<Lost> {
        let path = self.top.join(label);
        let mut images = self.images_of(without_extension(label));
        let read = |images: &[&str]| images.iter().all(|image| !self.has_no_objects(image));
        if !images.is_empty() && read(&images) {
            return self.differing(label, &images);
        }
        let LabelFile { format, objects, image: stated } = label_file(&path)?;
        if images.is_empty() {
            let folder = label.rsplit_once('/').map_or("", |(folder, _)| folder);
            images = stated.map(|stated| self.images_of(&format!("{folder}/{stated}"))).unwrap_or_default();
            if !images.is_empty() && read(&images) {
                return self.differing(label, &images);
            }
        }
        let image = images.iter().rev().find(|image| self.has_no_objects(image)).filter(|_| objects > 0)?;
        // With two images of this name the label can belong to the other one.
        if let [_, _] = images[..]
            && !images.iter().all(|image| self.has_no_objects(image))
            && self.differing(label, &images).is_none()
        {
            return None;
        }
        let known = self.images.by_path.contains_key(&self.path_of(image));
        // The reader of YOLO has reported the images of its splits.
        if format != self.format
            && self.format == Format::YOLO
            && known
            && label_of_other_format(&self.top, image, self.format).is_some()
        {
            return None;
        }
        Some(self.loss(format, image, label, Location::file(display(&self.shown.join(label)))))
    }

    /// Returns the images that neither a split nor a label that is reported contains.
    pub(super) fn unused(&self, reported: &HashSet<PathBuf>) -> Vec<(PathBuf, Location)> {
        let located = |file: &str| (self.path_of(file), Location::file(display(&self.shown.join(file))));
        let is_unused = |path: &PathBuf| self.images.get(path).is_none() && !reported.contains(path);
        let unused: Vec<(&str, PathBuf, Location)> = (self.files.iter().map(|file| (file, located(file))))
            .filter(|(_, (path, _))| is_unused(path))
            .map(|(file, (path, location))| (file, path, location))
            .collect();
        if unused.is_empty() {
            return Vec::new();
        }
        let masks = Masks::of(&self.images);
        let pictures = unused.into_iter().filter(|(file, path, _)| !masks.contain(file, path));
        pictures.map(|(_, path, location)| (path, location)).collect()
    }

    /// The path of an image below the folder, without links.
    pub(super) fn path_of(&self, image: &str) -> PathBuf {
        self.real.get(image).cloned().unwrap_or_else(|| self.top.join(image))
    }

    /// Returns the image of this name, with or without extension, that has the most folders in common; two, if both have.
    pub(super) fn images_of(&self, name: &str) -> Vec<&str> {
        match self.files.find(&Stated::with_spaces(name), &|_| true) {
            Lookup::Found(image) => vec![image],
            Lookup::Ambiguous(first, second) => vec![first, second],
            Lookup::Missing => Vec::new(),
        }
    }

    /// Returns what is lost with a second label of an image that is read with objects, or of one of two images; `None` if
    /// the objects of an image are equal, and for labels of another format.
    pub(super) fn differing(&self, label: &str, images: &[&str]) -> Option<Lost> {
        if format_of_label(label) != Some(self.format) {
            return None;
        }
        let path = self.top.join(label);
        let mut lost = None;
        for image in images.iter().rev() {
            let file = self.path_of(image);
            let Some((dataset, record)) = self.images.get(&file) else { continue };
            let root = real(&dataset.root);
            let own = plain(&root.join(record.label.as_deref().unwrap_or_default()));
            if same_bytes(&own, &path) {
                return None;
            }
            let key = |class: &Class| match self.format {
                Format::YOLO => class.id.to_string(),
                _ => class.name.trim().to_string(),
            };
            let other = boxes_in(&path, (record.width, record.height));
            if other.is_empty() {
                return None;
            }
            let difference = difference(&boxes_of(dataset, record, key), &other)?;
            let location = Location::file(display(&self.shown.join(label)));
            lost = Some(second_label(file, image, &self.below(&own), &other, difference, location));
        }
        lost
    }

    /// Returns what is lost with files of formats that are not read: the images without objects that they name, except the
    /// `reported` ones.
    pub(super) fn lost_of_foreign(&self, labels: &[String], reported: &HashSet<PathBuf>) -> Vec<Lost> {
        let is_open = |image: &&str| self.has_no_objects(image) && !reported.contains(&self.path_of(image));
        let open: Vec<&str> = self.files.iter().filter(is_open).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let by_name: HashMap<&str, &str> = open.iter().map(|image| (file_name(image), *image)).collect();
        let by_stem: HashMap<&str, &str> =
            open.iter().map(|image| (without_extension(file_name(image)), *image)).collect();
        let of_label = |label: &String| -> Vec<Lost> {
            let path = self.top.join(label);
            let Some(foreign) = of_file(&path).filter(|_| !self.is_other_task(&path)) else {
                return Vec::new();
            };
            let stem = without_extension(file_name(label));
            let own = by_name.get(stem).or_else(|| by_stem.get(stem)).copied();
            let text =
                || read_text(&path, MAX_FOREIGN, "labels", &mut Findings::default()).unwrap_or_default();
            let images: BTreeSet<&str> = match own {
                Some(image) => [image].into(),
                None => words(&text()).filter_map(|word| by_name.get(word).copied()).collect(),
            };
            let lost = |image: &str| {
                let message = format!(
                    "{image} has no label of the format {}, but one in {label} ({}), which is not read; {}",
                    self.format, foreign.format, foreign.remedy
                );
                let location = Location::file(display(&self.shown.join(image)));
                Lost { kind: FindingKind::LabelOtherFormat, location, message, image: self.path_of(image) }
            };
            images.into_iter().map(lost).collect()
        };
        picodet_parallel::map(0..labels.len(), 0, |index| of_label(&labels[index]))
            .into_iter()
            .flatten()
            .collect()
    }

    /// A path relative to the folder of the dataset, with `/`.
    pub(super) fn below(&self, path: &Path) -> String {
        display(path.strip_prefix(&self.top).unwrap_or(path)).replace('\\', "/")
    }

    pub(super) fn has_no_objects(&self, image: &str) -> bool {
        !self.images.has_objects(&self.path_of(image))
    }

    pub(super) fn loss(&self, format: Format, image: &str, label: &str, location: Location) -> Lost {
        let own = self.format;
        let known = self.images.by_path.contains_key(&self.path_of(image));
        let (kind, location, message) = if format != own {
            let location = Location::file(display(&self.shown.join(image)));
            let message = format!("{image} has no label of the format {own}, but {label}, which is not read");
            (FindingKind::LabelOtherFormat, location, message)
        } else if known {
            let message = format!("{image} has no objects in its split, but in {label}, which is not read");
            (FindingKind::LabelUnread, location, message)
        } else {
            let message = format!("{image}, labelled in {label}, is in no split");
            (FindingKind::LabelUnread, location, message)
        };
        Lost { kind, location, message, image: self.path_of(image) }
    }

    /// Whether a file has labels of another task for the images of an annotation file next to it, which is read.
    pub(super) fn is_other_task(&self, path: &Path) -> bool {
        let beside = |file: &PathBuf| self.beside.iter().any(|read| read.parent() == file.parent());
        is_other_task(path) && places(path).iter().any(beside)
    }
}

/// A second label of an image that is read with the objects of the label `own`.
pub(super) fn second_label(
    path: PathBuf,
    image: &str,
    own: &str,
    other: &[LabelBox],
    difference: Difference,
    location: Location,
) -> Lost {
    let Difference { only_read, only_other } = difference;
    let differs = match only_other {
        0 => format!("lacks {only_read} of the objects there"),
        _ => format!("has {} objects, of which {only_other} are not there", other.len()),
    };
    let message = format!("{image} is read from {own}; this second label {differs}, and is not read");
    Lost { kind: FindingKind::LabelUnread, location, message, image: path }
}
