//! Finds label files without image.

use std::collections::HashSet;
use std::path::Path;

use super::label_path::{label_of, rows_in};
use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::unsupported::UnsupportedImages;
use crate::walk::{self, file_name, without_extension};

/// Texts in folders of labels that are not labels.
const SPECIAL: [&str; 6] =
    ["classes.txt", "README.txt", "train.txt", "val.txt", "test.txt", "predefined_classes.txt"];

/// Reports the label files of a folder of images that have no image: in its folder of labels, and next to the images.
/// `prefix` is the path of the folder relative to the dataset, and `images` are relative to the folder.
pub(super) fn report_orphans(
    folder: &Path,
    prefix: &str,
    images: &[String],
    findings: &mut Findings,
) -> Result<(), DataError> {
    let stems: HashSet<&str> = images.iter().map(|file| without_extension(file)).collect();
    let unsupported = UnsupportedImages::new(folder);
    let mut report = |labels: &Path, label: &str| {
        let location = Location::file(display(&labels.join(label)));
        let message = match unsupported.describe(label) {
            Some(what) => format!("{what}, which is not read; convert it to JPEG or PNG"),
            None => "no image of this name".to_string(),
        };
        findings.push(FindingKind::LabelWithoutImage, location, message);
    };
    if let Some(labels) = label_folder(folder, prefix) {
        for label in walk::files(&labels, &["txt"], &mut Findings::default())? {
            let is_special = SPECIAL.iter().any(|name| name.eq_ignore_ascii_case(file_name(&label)));
            if !is_special && !stems.contains(without_extension(&label)) {
                report(&labels, &label);
            }
        }
    }
    // A text next to images can be anything; one in a folder of labels belongs to images elsewhere.
    let folder_of = |file: &str| file.len() - file_name(file).len();
    let folders: HashSet<&str> = images.iter().map(|file| &file[..folder_of(file)]).collect();
    for label in walk::files(folder, &["txt"], &mut Findings::default())? {
        if folders.contains(&label[..folder_of(&label)])
            && !stems.contains(without_extension(&label))
            && rows_in(&folder.join(&label)).is_some()
        {
            report(folder, &label);
        }
    }
    Ok(())
}

/// Returns the folder of the labels of a folder of images, if it is another one.
fn label_folder(folder: &Path, prefix: &str) -> Option<std::path::PathBuf> {
    let probe = label_of(&format!("{prefix}x.jpg"));
    let below = probe.strip_suffix("x.txt")?;
    let base = folder.to_string_lossy();
    let root = base.strip_suffix(prefix.trim_end_matches('/'))?;
    let labels = Path::new(root).join(below);
    (labels.is_dir() && labels != folder).then_some(labels)
}
