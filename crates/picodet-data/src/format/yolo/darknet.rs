//! Parses the files of darknet and CVAT's "YOLO 1.1": `obj.data`, `obj.names`, and one image list per split.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::data_yaml::{DataYaml, report_repeated};
use crate::class_names::read_names;
use crate::error::DataError;
use crate::finding::Findings;
use crate::paths::{Stated, is_absent};
use crate::sniff::files_with_extension;
use crate::text::read_text;

/// Image lists that are looked for without an `obj.data`, with their splits.
const LISTS: [(&str, &str); 6] = [
    ("train.txt", "train"),
    ("valid.txt", "valid"),
    ("val.txt", "val"),
    ("test.txt", "test"),
    ("images.txt", "all"),
    ("obj_train_data", "train"),
];

/// Keys of splits.
const SPLITS: [&str; 4] = ["train", "valid", "val", "test"];

/// Returns the `*.data` file, or else the `*.names` file of a darknet dataset in this folder.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    find_data(folder).or_else(|| {
        let names = files_with_extension(folder, &["names"]).into_iter().next()?;
        LISTS.iter().any(|(list, _)| folder.join(list).exists()).then_some(names)
    })
}

/// Returns the `*.data` file of this folder.
pub(super) fn find_data(folder: &Path) -> Option<PathBuf> {
    files_with_extension(folder, &["data"])
        .into_iter()
        .find(|file| lines(file).iter().any(|(key, _)| key == "names"))
}

/// Reads a `*.data` or `*.names` file.
pub(super) fn load(file: &Path, findings: &mut Findings) -> Result<DataYaml, DataError> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let is_names = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("names"));
    let mut splits = BTreeMap::new();
    let mut names_file = file.to_path_buf();
    if is_names {
        for (list, split) in LISTS {
            if folder.join(list).exists() {
                splits.entry(split.to_string()).or_insert_with(|| vec![list.to_string()]);
            }
        }
    } else {
        let lines = lines(file);
        report_repeated_keys(&lines, file, findings);
        // Of equal keys the last one counts.
        let entries: BTreeMap<String, String> = lines.into_iter().collect();
        for split in SPLITS {
            if let Some(list) = entries.get(split).filter(|list| !is_absent(list)) {
                splits.insert(split.to_string(), vec![list.clone()]);
            }
        }
        let stated = entries.get("names").map(String::as_str).unwrap_or_default();
        let normalised = Stated::new(stated);
        let suffixes = normalised.suffixes().map(|suffix| folder.join(suffix));
        let found = std::iter::once(folder.join(stated)).chain(suffixes).find(|path| path.is_file());
        names_file = found.ok_or_else(|| DataError::Syntax {
            path: file.to_path_buf(),
            line: None,
            message: format!("the file of class names `{stated}` does not exist; add it next to this file"),
        })?;
    }
    let names = read_names(&names_file, findings)?;
    let indices = (0..).take(names.len()).collect();
    Ok(DataYaml { names, indices, splits, ..DataYaml::default() })
}

/// Reports the known keys of a `*.data` file that occur more than once.
fn report_repeated_keys(lines: &[(String, String)], file: &Path, findings: &mut Findings) {
    for key in SPLITS.into_iter().chain(["names", "classes"]) {
        if lines.iter().filter(|(other, _)| other == key).count() > 1 {
            report_repeated(key, file, findings);
        }
    }
}

/// The `key = value` lines of a `*.data` file; empty if it cannot be read.
fn lines(file: &Path) -> Vec<(String, String)> {
    let text = read_text(file, 1 << 20, "a darknet data file", &mut Findings::default()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_string()))
        .collect()
}
