//! Finds splits without images or objects.

use crate::dataset::{Dataset, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::split_name::{is_test_split, split_role};

/// Reports a split without images, and images without objects. The labels of test images are often not public, and images
/// without labels can be a further split; a dataset without any object, or without those of `train` and `val`, is a fault.
pub(super) fn check(dataset: &Dataset, datasets: &[Dataset], findings: &mut Findings) {
    let (total, empty) = (dataset.images.len(), dataset.images_without_objects());
    let split = dataset.split_name();
    let whole = Location::file(display(dataset.annotations.as_ref().unwrap_or(&dataset.root)));
    let has_objects = || datasets.iter().any(|other| other.object_count() > 0);
    let is_needed = dataset.split.is_none() || split_role(split).is_some() || split == "trainval";
    let can_be_empty = is_test_split(split) || (!is_needed && has_objects());
    if empty < total {
        if empty > 0 {
            let share = 100.0 * empty as f64 / total as f64;
            let message = format!("{split}: {total} images, {empty} without objects ({share:.0} %)");
            findings.push(FindingKind::ImagesWithoutObjects, whole, message);
        }
        return;
    }
    let (kind, message) = match total {
        0 => (FindingKind::DatasetEmpty, format!("split `{split}` has no images")),
        _ => (FindingKind::NoObjects, format!("none of the {total} images of `{split}` has objects")),
    };
    let kind = if can_be_empty { FindingKind::SplitWithoutObjects } else { kind };
    findings.push(kind, whole, message);
}
