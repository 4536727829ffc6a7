//! Finds faults that degrade training or evaluation without an error message.

pub(crate) mod boxes;
mod classes;
mod empty;
mod images;
mod options;
mod result;
pub(crate) mod size;

use std::collections::HashSet;
use std::path::Path;

use crate::contained::without_contained;
use crate::dataset::{Dataset, Loaded, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings};
use crate::open::{open_split, splits_without_unions};
use crate::unread::{Unread, find_unread};

pub use options::CheckOptions;
pub(crate) use result::ImageFacts;
pub use result::{Checked, DatasetSummary, Report};
pub use size::suggest_input_size;

/// Checks a dataset of any format; without `split`, all splits together.
///
/// # Errors
/// [`DataError`] when there is no dataset at `path`. A label file that cannot be parsed is a finding.
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
        match open_split(path, name.as_deref()) {
            Ok(mut part) => {
                part.complete |= split.is_none() && name.is_some();
                loaded.push(part);
            }
            Err(error) if as_finding(&error, &mut broken) => {}
            Err(error) => return Err(error),
        }
    }
    let loaded = without_contained(loaded, &mut broken);
    let unread = match split {
        Some(_) => Unread::default(),
        None => find_unread(path, &loaded.iter().map(|part| &part.dataset).collect::<Vec<_>>()),
    };
    let mut checked = check_parts(loaded, unread, Some(path), options);
    checked.report.path = display(path);
    checked.report.findings.extend(broken);
    checked.report.findings.sort();
    Ok(checked)
}

/// Adds an error of opening that is a fault of the data as a finding; returns whether it is one.
fn as_finding(error: &DataError, findings: &mut Findings) -> bool {
    let (DataError::Syntax { path, .. } | DataError::TooLarge { path, .. }) = error else { return false };
    let (location, message) = error.in_file(&display(path));
    findings.push(FindingKind::FileUnreadable, location, message);
    true
}

/// Checks datasets that belong together (the splits of one).
#[must_use]
pub fn check_datasets(loaded: Vec<Loaded>, options: &CheckOptions) -> Checked {
    check_parts(loaded, Unread::default(), None, options)
}

/// Checks the splits of the dataset at `path`, of which `unread` labels are in no split.
fn check_parts(
    loaded: Vec<Loaded>,
    mut unread: Unread,
    path: Option<&Path>,
    options: &CheckOptions,
) -> Checked {
    let complete = loaded.iter().all(|part| part.complete);
    let mut findings = Findings::default();
    let mut datasets = Vec::new();
    for part in loaded {
        // Splits of a YOLO or LabelMe dataset share files and therefore their faults.
        findings.extend(part.findings);
        let mut dataset = part.dataset;
        if options.crowds_as_objects {
            dataset.crowds_as_objects();
        }
        datasets.push(dataset);
    }
    findings.deduplicate();
    let facts: Vec<Vec<ImageFacts>> =
        datasets.iter().map(|dataset| images::facts(dataset, options)).collect();
    for (dataset, facts) in datasets.iter().zip(&facts) {
        empty::check(dataset, &datasets, &mut findings);
        images::check(dataset, facts, path, options, &mut findings);
        boxes::check(dataset, facts, options, &mut findings);
        boxes::crowds(dataset, &mut findings);
        size::check(dataset, options, &mut findings);
    }
    images::across(&datasets, &facts, &mut findings);
    images::alike(&datasets, &facts, &mut findings);
    let mut reported = HashSet::new();
    if complete {
        reported = images::unreferenced(&datasets, &facts, &unread.images, &mut findings);
    }
    unread.formats.report(&mut findings);
    unread.report_unused(&|image| !reported.contains(image));
    findings.extend(unread.findings);
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
