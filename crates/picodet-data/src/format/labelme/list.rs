//! Reads the lists of splits of PaddleX: an image and its JSON in each line, or the JSON only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::image_file::EXTENSIONS;
use crate::paths::{FileIndex, Lookup, Stated};
use crate::sniff::files_with_extension;
use crate::split_name::{sort_splits, split_role};
use crate::text::{clip, read_text, unquoted};
use crate::walk::{has_extension, without_extension};

/// Largest list in bytes.
const MAX_LIST: u64 = 256 << 20;

/// Returns the lists of splits in a folder (`train_anno_list.txt`, `val_list.txt`), train first.
pub(super) fn lists(root: &Path) -> Vec<(String, PathBuf)> {
    let named = files_with_extension(root, &["txt"]).into_iter().filter_map(|list| {
        let stem = list.file_stem()?.to_str()?;
        let suffixes = ["_anno_list", "_list"];
        let name = suffixes.into_iter().find_map(|suffix| stem.strip_suffix(suffix)).unwrap_or(stem);
        Some((split_role(name).map(|_| name.to_string())?, list))
    });
    let mut lists: Vec<(String, PathBuf)> = named.filter(|(_, list)| names_json(list)).collect();
    let mut names: Vec<String> = lists.iter().map(|(name, _)| name.clone()).collect();
    sort_splits(&mut names);
    lists.sort_by_cached_key(|(name, _)| names.iter().position(|other| other == name));
    lists.dedup_by(|other, first| other.0 == first.0);
    lists
}

/// Whether the first line of a list names a JSON file.
fn names_json(list: &Path) -> bool {
    let text = read_text(list, MAX_LIST, "an image list", &mut Findings::default()).unwrap_or_default();
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    first.is_some_and(|line| has_extension(unquoted(line).unwrap_or(line), &["json"]))
}

/// Returns the positions of the labels that a list names, in its order.
pub(super) fn read_list(
    list: &Path,
    labels: &[String],
    findings: &mut Findings,
) -> Result<Vec<usize>, DataError> {
    let text = read_text(list, MAX_LIST, "an image list", findings)?;
    let position: HashMap<&str, usize> =
        labels.iter().enumerate().map(|(index, label)| (label.as_str(), index)).collect();
    let by_name = FileIndex::new(labels.to_vec());
    let mut seen: HashMap<usize, u64> = HashMap::new();
    let mut chosen = Vec::new();
    for (number, line) in (1u64..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let location = || Location::line(display(list), number);
        let shown = clip(line.trim());
        match find(line, &position, &by_name) {
            Lookup::Missing => {
                let message = format!("`{shown}` has no JSON");
                findings.push(FindingKind::SplitUnlabelled, location(), message);
            }
            Lookup::Ambiguous(first, second) => {
                let message = format!("`{shown}` can be `{first}` or `{second}`; line left out");
                findings.push(FindingKind::PathAmbiguous, location(), message);
            }
            Lookup::Found(label) => {
                let Some(&index) = position.get(label) else { continue };
                if let Some(first) = seen.insert(index, number) {
                    let message = format!("`{shown}` is already in line {first}");
                    findings.push(FindingKind::SplitDuplicate, location(), message);
                    continue;
                }
                chosen.push(index);
            }
        }
    }
    Ok(chosen)
}

/// Returns the label of a line: its longest end that is a path as written, then the longest one with the name of a label. A
/// name can contain spaces.
fn find<'a>(line: &str, position: &HashMap<&'a str, usize>, by_name: &'a FileIndex) -> Lookup<'a> {
    let line = line.trim();
    let starts = line.match_indices([' ', '\t', ',']).map(|(at, _)| at + 1);
    let starts: Vec<usize> = std::iter::once(0).chain(starts).collect();
    let columns = || starts.iter().map(|&start| line[start..].trim_matches(['"', '\'']));
    for column in columns() {
        let stated = Stated::new(column).joined();
        if let Some((&label, _)) = position.get_key_value(stated.as_str()) {
            return Lookup::Found(label);
        }
    }
    for column in columns() {
        let known = has_extension(column, &["json"]) || has_extension(column, EXTENSIONS);
        let stem = if known { without_extension(column) } else { column };
        match by_name.find(&Stated::new(stem), &|_| true) {
            Lookup::Missing => {}
            found => return found,
        }
    }
    Lookup::Missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_their_json() {
        let labels = ["annotations/a.json", "annotations/b c.json", "c.json"].map(str::to_string).to_vec();
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("train_anno_list.txt");
        let lines = [
            "images/a.jpg annotations/a.json",
            "images/b c.jpg annotations/b c.json",
            "c.json",
            "/data/set/annotations/a.json",
            "\"images/x.jpg\" \"annotations/x.json\"",
        ];
        std::fs::write(&list, lines.join("\n")).unwrap();
        let mut findings = Findings::default();
        assert_eq!(read_list(&list, &labels, &mut findings).unwrap(), [0, 1, 2]);
        let kinds: Vec<&str> = findings.list().iter().map(|finding| finding.kind.id()).collect();
        assert_eq!(kinds, ["split-duplicate", "split-unlabelled"]);
    }
}
