//! Describes the contents of a folder that is no dataset.

use std::collections::BTreeMap;
use std::path::Path;

use crate::format::other_labels::label_file;
use crate::image_file::EXTENSIONS;
use crate::unsupported::unsupported_format;
use crate::walk::{self, has_extension};

/// Number of files that are read to find out whether they are labels.
const INSPECTED: usize = 500;
/// Number of extensions of other files that are named.
const NAMED: usize = 3;

/// Returns the numbers of images, labels and other files below a folder.
pub(super) fn describe(folder: &Path) -> String {
    let files = walk::all(folder).unwrap_or_default();
    if files.is_empty() {
        return "the folder has no files".to_string();
    }
    let (mut images, mut inspected) = (0, 0);
    let mut unread: BTreeMap<&str, usize> = BTreeMap::new();
    let mut labels: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for file in &files {
        if has_extension(file, EXTENSIONS) {
            images += 1;
            continue;
        }
        if let Some(format) = unsupported_format(file) {
            *unread.entry(format).or_default() += 1;
            continue;
        }
        let can_be_label = has_extension(file, &["xml", "json", "txt"]) && inspected < INSPECTED;
        inspected += usize::from(can_be_label);
        if let Some(label) = can_be_label.then(|| label_file(&folder.join(file))).flatten() {
            labels.entry(label.format.name()).or_insert((0, file)).0 += 1;
            continue;
        }
        let name = file.rsplit('/').next().unwrap_or(file);
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        *others.entry(extension.to_ascii_lowercase()).or_default() += 1;
    }
    let mut parts = vec![format!("{images} images")];
    for (format, count) in &unread {
        parts.push(format!("{count} {format} images, which are not read"));
    }
    for (format, (count, first)) in &labels {
        parts.push(format!("{count} labels of {format}, the first is {first}"));
    }
    if labels.is_empty() {
        parts.push("no label files".to_string());
        let mut others: Vec<(String, usize)> = others.into_iter().collect();
        others.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let names = others.into_iter().take(NAMED).map(|(extension, count)| match extension.as_str() {
            "" => format!("{count} without extension"),
            _ => format!("{count} .{extension}"),
        });
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            parts.push(format!("other files: {}", names.join(", ")));
        }
    }
    parts.join("; ")
}
