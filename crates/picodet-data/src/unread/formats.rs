//! Compares the objects of labels of other formats with those that are read.

use super::second::difference_within;
use crate::finding::{FindingKind, Findings, Location};
use crate::format::other_labels::LabelBox;

/// Largest difference of equal coordinates in pixels: Pascal VOC has whole pixels.
const TOLERANCE: f64 = 1.01;

/// The labels of other formats of images that are read with objects.
#[derive(Debug, Default)]
pub(crate) struct OtherFormats {
    /// Number of labels with the same objects.
    equal: usize,
    /// The finding of the first label with other objects.
    first: Option<(Location, String)>,
}

impl OtherFormats {
    /// Adds the result of a comparison: whether the objects of a label are different, and then the finding.
    pub(super) fn add(&mut self, is_different: bool, finding: impl FnOnce() -> (Location, String)) {
        if is_different {
            self.first.get_or_insert_with(finding);
        } else {
            self.equal += 1;
        }
    }

    /// Corrects the finding that a folder has labels of several formats: there is none if all have the same objects, and one
    /// if some have other objects.
    pub(crate) fn report(&self, findings: &mut Findings) {
        let kind = FindingKind::FormatsMixed;
        match &self.first {
            None if self.equal > 0 => findings.remove(kind),
            Some((location, message)) if !findings.counts().contains_key(&kind) => {
                findings.push(kind, location.clone(), message.clone());
            }
            _ => {}
        }
    }
}

/// Whether the objects of a label of another format are different.
pub(super) fn are_different(own: &[LabelBox], other: &[LabelBox]) -> bool {
    difference_within(own, other, TOLERANCE).is_some()
}
