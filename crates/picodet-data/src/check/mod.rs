//! Looking for everything that makes a training run silently bad.

pub(crate) mod boxes;
mod classes;
mod images;
pub(crate) mod size;

use std::path::Path;

use serde::Serialize;

use crate::dataset::{Dataset, Loaded, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location, Severity};
use crate::image_file::ImageHeader;
use crate::open::{open_lenient, splits_without_unions};

pub use size::suggest_input_size;

/// What counts as a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckOptions {
    /// Width and height in pixels that images will be resized to.
    pub input: (u32, u32),
    /// Finest stride of the detector in pixels of the input.
    pub stride: u32,
    /// Decode every image completely; otherwise only headers are read.
    pub decode: bool,
    /// Hash every image's bytes to find duplicates and leakage.
    pub hash: bool,
    /// Pixels that a box may reach beyond its image (annotation tools round).
    pub outside_tolerance: f64,
    /// The most frequent class may have this many times the objects of another.
    pub imbalance_ratio: f64,
    /// Images of more pixels than this are huge.
    pub huge_pixels: u64,
    /// Images with a side shorter than this many pixels are tiny.
    pub tiny_side: u32,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            input: (416, 416),
            stride: 8,
            decode: true,
            hash: true,
            outside_tolerance: 1.0,
            imbalance_ratio: 100.0,
            huge_pixels: 50_000_000,
            tiny_side: 32,
        }
    }
}

/// What one dataset (or split) holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetSummary {
    /// `coco`, `voc`, `yolo` or `labelme`.
    pub format: &'static str,
    /// The split, or `all`.
    pub split: String,
    /// Folder of the images.
    pub root: String,
    /// Number of images.
    pub images: usize,
    /// Number of images without objects.
    pub images_without_objects: usize,
    /// Number of objects.
    pub objects: usize,
    /// Of them crowd regions.
    pub crowd: usize,
    /// Of them marked difficult.
    pub difficult: usize,
    /// Objects per class, in the order of the data.
    pub classes: Vec<(String, usize)>,
    /// Boxes by size after resizing: counts for a side (square root of the area) in pixels of the
    /// input below 4, 8, 16, …, 512, and above.
    pub sizes: Vec<usize>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What was checked.
    pub path: String,
    /// Width and height in pixels of the detector's input.
    pub input: (u32, u32),
    /// Finest stride in pixels.
    pub stride: u32,
    /// The smallest usual square input at which nine of ten boxes cover two cells of the finest
    /// stride; `None` without boxes.
    pub suggested_input: Option<u32>,
    /// Each dataset or split.
    pub datasets: Vec<DatasetSummary>,
    /// Sorted, worst first.
    pub findings: Findings,
}

impl Report {
    /// 0: nothing but information; 1: warnings; 2: errors.
    pub fn exit_code(&self) -> u8 {
        if self.findings.count_of(Severity::Error) > 0 {
            2
        } else {
            u8::from(self.findings.count_of(Severity::Warning) > 0)
        }
    }
}

/// What an image file turned out to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ImageFacts {
    pub(crate) exists: bool,
    pub(crate) header: Option<ImageHeader>,
    /// Why it cannot be decoded.
    pub(crate) fault: Option<String>,
    pub(crate) hash: Option<[u8; 32]>,
}

/// A report, with the datasets that it is about (for the HTML page and for [`crate::fix()`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The report.
    pub report: Report,
    /// What could be read.
    pub datasets: Vec<Dataset>,
    pub(crate) facts: Vec<Vec<ImageFacts>>,
}

/// Checks a dataset of any format; without `split`, all its splits together.
///
/// # Errors
/// [`DataError`] when no dataset is at `path`. A label file that cannot be parsed is a finding.
pub fn check(
    path: impl AsRef<Path>,
    split: Option<&str>,
    options: &CheckOptions,
) -> Result<Checked, DataError> {
    let path = path.as_ref();
    let mut broken = Findings::default();
    let mut loaded = Vec::new();
    let names = match split {
        Some(split) => vec![Some(split.to_string())],
        None => match splits_without_unions(path) {
            Ok(names) if names.is_empty() => vec![None],
            Ok(names) => names.into_iter().map(Some).collect(),
            Err(error) if as_finding(&error, &mut broken) => Vec::new(),
            Err(error) => return Err(error),
        },
    };
    for name in names {
        match open_lenient(path, name.as_deref()) {
            Ok(mut part) => {
                part.complete |= split.is_none() && name.is_some();
                loaded.push(part);
            }
            Err(error) if as_finding(&error, &mut broken) => {}
            Err(error) => return Err(error),
        }
    }
    let mut checked = check_datasets(loaded, options);
    checked.report.path = display(path);
    checked.report.findings.extend(broken);
    checked.report.findings.sort();
    Ok(checked)
}

/// Adds an error of opening that is a fault of the data as a finding; returns whether it is one.
fn as_finding(error: &DataError, findings: &mut Findings) -> bool {
    let location = match error {
        DataError::Syntax { path, line, .. } => Location { file: display(path), line: *line, pointer: None },
        DataError::TooLarge { path, .. } => Location::file(display(path)),
        _ => return false,
    };
    findings.push(FindingKind::FileUnreadable, location, error.to_string());
    true
}

/// Checks datasets that belong together (the splits of one).
pub fn check_datasets(loaded: Vec<Loaded>, options: &CheckOptions) -> Checked {
    let complete = loaded.iter().all(|part| part.complete);
    let mut findings = Findings::default();
    let mut datasets = Vec::new();
    for part in loaded {
        // Splits of one YOLO or LabelMe dataset share files, and so the faults in them.
        findings.extend(part.findings);
        datasets.push(part.dataset);
    }
    findings.deduplicate();
    let facts: Vec<Vec<ImageFacts>> =
        datasets.iter().map(|dataset| images::facts(dataset, options)).collect();
    for (dataset, facts) in datasets.iter().zip(&facts) {
        if dataset.images.is_empty() {
            let file = dataset.annotations.as_ref().unwrap_or(&dataset.root);
            let message = format!("split `{}` has no images", dataset.split_name());
            findings.push(FindingKind::DatasetEmpty, Location::file(display(file)), message);
            continue;
        }
        images::check(dataset, facts, options, &mut findings);
        boxes::check(dataset, facts, options, &mut findings);
        size::check(dataset, options, &mut findings);
    }
    images::across(&datasets, &facts, &mut findings);
    if complete {
        images::unreferenced(&datasets, &mut findings);
    }
    classes::check(&datasets, options, &mut findings);
    findings.sort();
    let report = Report {
        path: datasets.first().map(|dataset| display(&dataset.root)).unwrap_or_default(),
        input: options.input,
        stride: options.stride,
        suggested_input: suggest_input_size(&datasets, options.stride),
        datasets: datasets.iter().map(|dataset| summary(dataset, options)).collect(),
        findings,
    };
    Checked { report, datasets, facts }
}

fn summary(dataset: &Dataset, options: &CheckOptions) -> DatasetSummary {
    let objects = || dataset.images.iter().flat_map(|image| &image.objects);
    let names = dataset.classes.iter().map(|class| class.name.clone());
    DatasetSummary {
        format: dataset.format.name(),
        split: dataset.split_name().to_string(),
        root: display(&dataset.root),
        images: dataset.images.len(),
        images_without_objects: dataset.images_without_objects(),
        objects: dataset.object_count(),
        crowd: objects().filter(|object| object.crowd).count(),
        difficult: objects().filter(|object| object.difficult).count(),
        classes: names.zip(dataset.class_counts()).collect(),
        sizes: size::histogram(dataset, options.input),
    }
}
