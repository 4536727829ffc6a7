//! Recognises copies of labels in folders of backups.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::dataset::{Object, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::input::same_bytes;
use crate::paths::real;
use crate::split_name::split_role;
use crate::walk::file_name;

/// A label file that was read.
pub(super) struct ReadLabel<'a> {
    /// Its path relative to the dataset.
    pub(super) label: &'a str,
    /// The path of its image relative to the dataset.
    pub(super) image: String,
    /// Class names and objects.
    pub(super) objects: &'a [(String, Object)],
}

/// Returns the labels that are copies of others of the same name: those without image that have the bytes of a label with
/// one, and those with the objects of a label in the folder of a split, or less deep below the dataset, whose image has the
/// same bytes. The latter are reported. A copy in the folder of another split is an image of that split.
pub(super) fn copies<'a>(root: &Path, labels: &[ReadLabel<'a>], findings: &mut Findings) -> HashSet<&'a str> {
    let mut by_name: HashMap<&str, Vec<&ReadLabel<'a>>> = HashMap::new();
    for label in labels {
        by_name.entry(file_name(label.label)).or_default().push(label);
    }
    let mut found = HashSet::new();
    let mut groups: Vec<Vec<&ReadLabel<'a>>> =
        by_name.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable_by_key(|group| group[0].label);
    for mut group in groups {
        group.sort_by_key(|label| {
            (split_of(label.label).is_none(), label.label.matches('/').count(), label.label)
        });
        let (with_image, without): (Vec<&ReadLabel<'a>>, Vec<&ReadLabel<'a>>) =
            group.into_iter().partition(|label| root.join(&label.image).is_file());
        let mut originals: Vec<&ReadLabel<'a>> = Vec::new();
        for label in with_image {
            match originals.iter().find(|original| is_copy(root, original, label)) {
                None => originals.push(label),
                Some(original) => {
                    found.insert(label.label);
                    report(root, original, label, findings);
                }
            }
        }
        let has_original = |label: &&ReadLabel<'a>| {
            let same = |other: &&ReadLabel<'a>| same_bytes(&root.join(other.label), &root.join(label.label));
            label.label.contains('/') && originals.iter().any(same)
        };
        found.extend(without.into_iter().filter(has_original).map(|label| label.label));
    }
    found
}

/// Whether a label and its image are copies of another one, which is not in the folder of another split.
fn is_copy(root: &Path, original: &ReadLabel<'_>, label: &ReadLabel<'_>) -> bool {
    let [image, other] = [label, original].map(|label| root.join(&label.image));
    original.objects == label.objects
        && split_of(label.label).is_none_or(|own| split_of(original.label) == Some(own))
        && real(&image) != real(&other)
        && same_bytes(&image, &other)
}

/// The role of the split in whose folder a label is.
fn split_of(label: &str) -> Option<&'static str> {
    label.split('/').rev().skip(1).find_map(split_role)
}

fn report(root: &Path, original: &ReadLabel<'_>, label: &ReadLabel<'_>, findings: &mut Findings) {
    let message =
        format!("{} and its label are copies of those of {}; read once", label.image, original.label);
    let location = Location::file(display(&root.join(label.label)));
    findings.push(FindingKind::LabelCopied, location, message);
}
