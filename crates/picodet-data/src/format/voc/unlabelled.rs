//! Reads test images without XML: their labels are not public.

use std::collections::HashSet;
use std::path::Path;

use super::image_index::ImageIndex;
use super::layout::VocLayout;
use super::list::{Listed, candidates};
use crate::dataset::{ImageRecord, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::image_file::read_header;
use crate::split_name::is_test_split;

/// Whether a list is of a test split of which no image has an XML.
pub(super) fn is_unlabelled_test(name: &str, listed: &Listed) -> bool {
    is_test_split(name) && listed.labels.is_empty() && !listed.unlabelled.is_empty()
}

/// Returns the images of a test list without XML. Reports a list of images that all do not exist, and the lines that lead to no
/// image.
pub(super) fn read_unlabelled(
    layout: &VocLayout,
    list: &Path,
    mut listed: Listed,
    images: &ImageIndex,
    findings: &mut Findings,
) -> Vec<ImageRecord> {
    let mut seen = HashSet::new();
    let mut records = Vec::new();
    let lines = listed.unlabelled.len();
    listed.unlabelled.retain(|(_, line)| {
        let Some(file) = images.named(candidates(line)) else { return true };
        if seen.insert(file.clone()) {
            let header = read_header(&layout.root.join(&file));
            let (width, height) = header.map_or((0, 0), |header| (header.width, header.height));
            let id = records.len() as i64 + 1;
            records.push(ImageRecord {
                id,
                file,
                width,
                height,
                objects: Vec::new(),
                label: None,
                source: 0,
            });
        }
        false
    });
    if records.is_empty() {
        let message = format!("none of the {lines} images of the list has an XML or exists");
        findings.push(FindingKind::SplitAbsent, Location::file(display(list)), message);
    } else {
        listed.report_unlabelled(list, findings);
    }
    records
}
