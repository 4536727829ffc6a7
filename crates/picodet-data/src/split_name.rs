//! Names of splits: their order, and how they are derived from files and folders.

use std::path::Path;

/// Usual names of splits, in the order in which splits are listed.
const USUAL: [&str; 5] = ["train", "val", "valid", "validation", "test"];

/// Sort key of a split: train, val, test, then all others.
pub(crate) fn split_rank(name: &str) -> usize {
    USUAL.iter().position(|usual| *usual == name).unwrap_or(usize::MAX)
}

/// Returns the split in the name of a COCO file: `instances_val2017.json` → `val2017`, `train.json` →
/// `train`.
pub(crate) fn split_of_file(json: &Path) -> Option<String> {
    let stem = json.file_stem()?.to_str()?;
    if let Some(split) = stem.strip_prefix("instances_") {
        return Some(split.to_string());
    }
    let tail = stem.rsplit(['_', '.', '-']).next().unwrap_or(stem);
    Some(if tail == "annotations" || tail == "coco" { stem } else { tail }.to_string())
}

/// Returns the names of the subfolders, train first; hidden ones are left out.
pub(crate) fn subfolders(inside: &Path) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(inside) else {
        return Vec::new();
    };
    let mut names: Vec<String> = listing
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().to_str().map(str::to_string))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort_unstable_by_key(|name| (split_rank(name), name.clone()));
    names
}

/// Returns the subfolders that have a usual name of a split.
pub(crate) fn split_folders(inside: &Path) -> Vec<String> {
    subfolders(inside).into_iter().filter(|name| split_rank(name) != usize::MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_named_by_their_files() {
        let cases = [
            ("a/instances_val2017.json", "val2017"),
            ("train.json", "train"),
            ("cups_test.json", "test"),
            ("_annotations.coco.json", "_annotations.coco"),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|(file, split)| split_of_file(Path::new(file)).as_deref() != Some(*split))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
