//! Names of splits: their role and order, and how they are derived from files and folders.

use std::path::Path;

use crate::walk::is_folder;

/// Roles of splits with the names that they have in datasets.
const ROLES: [(&str, &[&str]); 3] = [
    ("train", &["train", "training", "trn"]),
    ("val", &["val", "valid", "validation", "dev", "eval", "evaluation", "minival"]),
    ("test", &["test", "testing", "tst"]),
];

/// Returns the role of a split by its name, `train`, `val` or `test`; years (`train2017`) and letter case are ignored.
///
/// ```
/// use picodet_data::split_role;
/// assert_eq!(split_role("valid"), Some("val"));
/// assert_eq!(split_role("Train2017"), Some("train"));
/// assert_eq!(split_role("trainval"), None);
/// ```
#[must_use]
pub fn split_role(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['_', '-', ' ']);
    ROLES.into_iter().find(|(_, names)| names.contains(&name)).map(|(role, _)| role)
}

/// Whether a split is of test images, by its name: `test`, `test2017`, `test-dev2017`.
pub(crate) fn is_test_split(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    split_role(&name) == Some("test") || ["test-", "test_"].iter().any(|start| name.starts_with(start))
}

/// Returns the split that a name means: the one of this name, otherwise the only one of the same role (`val` for
/// `valid` or `val2017`).
#[must_use]
pub fn find_split<'a>(available: &'a [String], wanted: &str) -> Option<&'a str> {
    if let Some(exact) = available.iter().find(|name| *name == wanted) {
        return Some(exact);
    }
    let role = split_role(wanted)?;
    let mut same = available.iter().filter(|name| split_role(name) == Some(role));
    match (same.next(), same.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// Sort key of a split: train, val, test, then all others.
pub(crate) fn split_rank(name: &str) -> usize {
    let role = split_role(name);
    ROLES.iter().position(|(known, _)| role == Some(known)).unwrap_or(usize::MAX)
}

/// Sorts splits: train, val, test, then all others by name.
pub(crate) fn sort_splits(names: &mut [String]) {
    names.sort_by_cached_key(|name| (split_rank(name), name.clone()));
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

/// Returns the names of the subfolders, train first; hidden ones and archive leftovers are left out.
pub(crate) fn subfolders(inside: &Path) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(inside) else {
        return Vec::new();
    };
    let mut names: Vec<String> = listing
        .flatten()
        .filter(is_folder)
        .filter_map(|entry| entry.file_name().to_str().map(str::to_string))
        .filter(|name| !name.starts_with('.') && name != "__MACOSX")
        .collect();
    sort_splits(&mut names);
    names
}

/// Returns the subfolders that have a usual name of a split.
pub(crate) fn split_folders(inside: &Path) -> Vec<String> {
    subfolders(inside).into_iter().filter(|name| split_role(name).is_some()).collect()
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
            ("instance_train.json", "train"),
            ("_annotations.coco.json", "_annotations.coco"),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|(file, split)| split_of_file(Path::new(file)).as_deref() != Some(*split))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_split_is_found_by_its_role() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
        let coco = names(&["train2017", "val2017", "minival"]);
        assert_eq!(find_split(&coco, "train"), Some("train2017"));
        assert_eq!(find_split(&coco, "val2017"), Some("val2017"));
        assert_eq!(find_split(&coco, "val"), None);
        let roboflow = names(&["train", "valid", "test"]);
        assert_eq!(find_split(&roboflow, "val"), Some("valid"));
        assert_eq!(find_split(&roboflow, "other"), None);
    }
}
