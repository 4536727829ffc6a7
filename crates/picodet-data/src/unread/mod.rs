//! Finds labels below the folder of a dataset that none of its splits contains.

mod files;
mod formats;
mod images;
mod masks;
mod outputs;
mod paths;
mod second;
mod sweep;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::dataset::{Dataset, Format};
use crate::finding::{FindingKind, Findings, Location};
use crate::format::yolo::is_data_yaml;
use crate::paths::{FileIndex, real};
use crate::sniff::files_with_extension;
use crate::walk::{self, has_extension};
use formats::OtherFormats;
use images::Images;
use outputs::Outputs;
use paths::{places, real_below};
use sweep::{Lost, Sweep};

/// Labels that are not read.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// One finding per image.
    pub(crate) findings: Findings,
    /// The images.
    pub(crate) images: HashSet<PathBuf>,
    /// Images without label that are in no split, and how they are shown.
    pub(crate) unused: Vec<(PathBuf, Location)>,
    /// Labels of other formats, of images that are read with objects.
    pub(crate) formats: OtherFormats,
}

/// Finds the labels below `path` that `datasets`, all splits of the dataset there, do not contain: label files of images
/// that have no objects in any split, and those of the same format whose objects differ from the ones that are read.
pub(crate) fn find_unread(path: &Path, datasets: &[&Dataset]) -> Unread {
    let mut unread = Unread::default();
    let Some(shown) = folder_of(path, datasets) else { return unread };
    let (Some(first), Ok(top)) = (datasets.first(), shown.canonicalize()) else { return unread };
    let read = label_files(datasets);
    let extensions = ["xml", "json", "txt", "csv"];
    let mut others = walk::files(&top, &extensions, &mut Findings::default()).unwrap_or_default();
    let places = real_below(&top, &others);
    let unread_ones = others.into_iter().zip(places).filter(|(_, place)| !read.contains(place));
    others = unread_ones.map(|(label, _)| label).collect();
    let mut files = walk::images(&top, &mut Findings::default()).unwrap_or_default();
    let images = Images::of(datasets);
    let outputs = Outputs::of(&top, &images);
    others = outputs.without(others);
    files = outputs.without(files);
    let real: HashMap<String, PathBuf> = files.iter().cloned().zip(real_below(&top, &files)).collect();
    let files = FileIndex::new(files);
    let labels: Vec<String> =
        others.iter().filter(|label| !has_extension(label, &["csv"])).cloned().collect();
    let beside = folders_of_annotations(datasets);
    let sweep = Sweep { top, shown, format: first.format, images, files, real, beside };
    let lost = picodet_parallel::map(0..labels.len(), 0, |index| sweep.lost(&labels[index]));
    for lost in lost.into_iter().flatten() {
        unread.add(lost);
    }
    for json in labels.iter().filter(|label| has_extension(label, &["json"])) {
        let lost = sweep.lost_of_coco(json, &mut unread.formats, &mut unread.findings);
        lost.into_iter().for_each(|lost| unread.add(lost));
    }
    sweep.compare_labels(&labels, &mut unread.formats);
    sweep.lost_of_foreign(&others, &unread.images).into_iter().for_each(|lost| unread.add(lost));
    unread.unused = sweep.unused(&unread.images);
    unread
}

impl Unread {
    /// Returns the findings, with one for each unused image.
    pub(crate) fn into_findings(mut self) -> Findings {
        self.report_unused(&|_| true);
        self.findings
    }

    /// Adds a finding for each unused image that `accept` admits.
    pub(crate) fn report_unused(&mut self, accept: &dyn Fn(&Path) -> bool) {
        for (_, location) in self.unused.drain(..).filter(|(image, _)| accept(image)) {
            let message = "no label or split refers to it".to_string();
            self.findings.push(FindingKind::ImageUnused, location, message);
        }
    }

    /// Adds a label, if it is the first one of its image.
    fn add(&mut self, lost: Lost) {
        if self.images.insert(lost.image) {
            self.findings.push(lost.kind, lost.location, lost.message);
        }
    }
}

/// Returns the folder of the whole dataset at a path. A data file of YOLO describes its folder, unless there are several;
/// another file is read on its own.
fn folder_of(path: &Path, datasets: &[&Dataset]) -> Option<PathBuf> {
    let first = datasets.first()?;
    if path.is_dir() {
        let (real, root) = (path.canonicalize().ok()?, first.root.canonicalize().ok()?);
        let inside = real != root && real.starts_with(&root);
        return Some(if inside { first.root.clone() } else { path.to_path_buf() });
    }
    let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut data_files = files_with_extension(beside, &["yaml", "yml", "data"]);
    data_files
        .retain(|file| file.extension().is_some_and(|extension| extension == "data") || is_data_yaml(file));
    (first.format == Format::YOLO && data_files.len() == 1).then(|| first.root.clone())
}

/// The label files that the datasets contain, without links.
fn label_files(datasets: &[&Dataset]) -> HashSet<PathBuf> {
    let mut read = HashSet::new();
    for dataset in datasets {
        let root = real(&dataset.root);
        let labels: Vec<String> = dataset.images.iter().filter_map(|image| image.label.clone()).collect();
        read.extend(real_below(&root, &labels));
        read.extend(dataset.annotations.iter().filter_map(|file| file.canonicalize().ok()));
    }
    read
}

/// The annotation files that are read, each in its folder without links, and as the file that a link leads to.
fn folders_of_annotations(datasets: &[&Dataset]) -> Vec<PathBuf> {
    let files = datasets.iter().filter_map(|dataset| dataset.annotations.as_deref());
    files.flat_map(places).collect()
}
