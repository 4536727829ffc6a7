//! Reads the lists of splits: ids, image paths, or an image and its XML.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::image_file::EXTENSIONS;
use crate::paths::{FileIndex, Lookup, Stated};
use crate::text::{clip, read_text};
use crate::walk::{has_extension, without_extension};

/// Largest list in bytes.
const MAX_LIST: u64 = 1 << 30;

/// The XML files by path and by name.
pub(super) struct LabelIndex<'a> {
    by_stem: HashMap<&'a str, usize>,
    by_name: FileIndex,
}

impl<'a> LabelIndex<'a> {
    /// Indexes the paths of XML files relative to their folder.
    pub(super) fn new(labels: &'a [String]) -> Self {
        let by_stem =
            labels.iter().enumerate().map(|(index, label)| (without_extension(label), index)).collect();
        Self { by_stem, by_name: FileIndex::new(labels.to_vec()) }
    }

    /// Returns the XML of a line: `id`, `id 1`, `image.jpg`, `image.jpg annotation.xml`, with or without folders.
    fn find(&self, line: &str) -> Entry<'_> {
        let columns = || line.split(['\t', ',']).chain(line.rsplitn(2, char::is_whitespace));
        if let Some(&index) = self.by_stem.get(line) {
            return Entry::One(index);
        }
        // The second column, then the line as a whole, then the first column.
        let xml = columns().map(str::trim).find(|column| has_extension(column, &["xml"]));
        let halves = line.split_once(char::is_whitespace).map(|(first, _)| first);
        for column in xml.into_iter().chain([line]).chain(halves) {
            let known = has_extension(column, EXTENSIONS) || has_extension(column, &["xml"]);
            let stem = if known { without_extension(column) } else { column };
            if let Some(&index) = self.by_stem.get(stem) {
                return Entry::One(index);
            }
            match self.by_name.find(&Stated::new(stem), &|_| true) {
                Lookup::Found(label) => {
                    return self
                        .by_stem
                        .get(without_extension(label))
                        .map_or(Entry::None, |&index| Entry::One(index));
                }
                Lookup::Ambiguous(first, second) => return Entry::Two(first, second),
                Lookup::Missing => {}
            }
        }
        Entry::None
    }
}

enum Entry<'a> {
    None,
    One(usize),
    Two(&'a str, &'a str),
}

/// Returns the indices of the XML files that a list names, in its order.
pub(super) fn read_list(
    list: &Path,
    labels: &LabelIndex<'_>,
    findings: &mut Findings,
) -> Result<Vec<usize>, DataError> {
    let text = read_text(list, MAX_LIST, "an image list", findings)?;
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let mut chosen = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let location = || Location::line(display(list), number as u64);
        match labels.find(line) {
            Entry::None => {
                let message = format!("`{}` has no XML", clip(line));
                findings.push(FindingKind::SplitUnlabelled, location(), message);
            }
            Entry::Two(first, second) => {
                let message = format!("`{}` can be `{first}` or `{second}`; line left out", clip(line));
                findings.push(FindingKind::PathAmbiguous, location(), message);
            }
            Entry::One(index) if seen.contains_key(&index) => {
                let message = format!("`{line}` is already in line {}", seen[&index]);
                findings.push(FindingKind::SplitDuplicate, location(), message);
            }
            Entry::One(index) => {
                seen.insert(index, number);
                chosen.push(index);
            }
        }
    }
    Ok(chosen)
}
