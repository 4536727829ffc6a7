//! Reads the lists of splits: ids, image paths, or an image and its XML.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::image_file::EXTENSIONS;
use crate::paths::{FileIndex, Lookup, Stated};
use crate::text::{clip, read_text, unquoted};
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

    /// Returns the XML of a line: `id`, `id 1`, `image.jpg`, `image.jpg annotation.xml`, with or without folders. Columns
    /// can be quoted.
    fn find(&self, line: &str) -> Entry<'_> {
        // A name can begin or end with spaces or quotation marks, or contain what looks like a second column.
        let inside = unquoted(line.trim());
        for whole in [line, line.trim()].into_iter().chain(inside) {
            if let Some(&index) = self.by_stem.get(whole) {
                return Entry::One(index);
            }
        }
        for column in candidates(line) {
            let known = has_extension(column, EXTENSIONS) || has_extension(column, &["xml"]);
            let stem = if known { without_extension(column) } else { column };
            if let Some(&index) = self.by_stem.get(stem) {
                return Entry::One(index);
            }
            match self.by_name.find(&Stated::with_spaces(stem), &|_| true) {
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

/// Returns the candidates for the name of the XML of a line: the column with an XML, then the line as a whole, without the
/// flag at its end, and its first column.
pub(super) fn candidates(line: &str) -> Vec<&str> {
    let is_xml = |column: &&str| has_extension(column, &["xml"]);
    let quoted = quoted_columns(line);
    if let Some(first) = quoted.first() {
        return quoted.iter().find(|column| is_xml(column)).into_iter().chain([first]).copied().collect();
    }
    let trimmed = line.trim();
    let mut columns =
        trimmed.split(['\t', ',']).chain(trimmed.rsplitn(2, char::is_whitespace)).map(str::trim);
    let flagged = trimmed.rsplit_once(char::is_whitespace).filter(|(_, last)| is_flag(last));
    let halves = trimmed.split_once(char::is_whitespace);
    let flagged = flagged.map(|(name, _)| name);
    let names =
        [Some(line), Some(trimmed), flagged, flagged.map(str::trim_end), halves.map(|(first, _)| first)];
    columns.find(is_xml).into_iter().chain(names.into_iter().flatten()).collect()
}

/// Whether a column states if the image has objects of a class.
pub(super) fn is_flag(column: &str) -> bool {
    matches!(column, "-1" | "0" | "1" | "+1")
}

/// Returns the columns of a line that begins with a single or double quotation mark; empty for other lines. CVAT and
/// Datumaro quote names with spaces; a quotation mark within a name has no space behind it.
fn quoted_columns(line: &str) -> Vec<&str> {
    let mut columns = Vec::new();
    let mut rest = line.trim();
    let Some(mark) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return columns };
    while !rest.is_empty() {
        let ends = |(at, c): &(usize, char)| match rest.starts_with(mark) {
            true => *c == mark && *at > 0 && rest[at + 1..].chars().next().is_none_or(char::is_whitespace),
            false => c.is_whitespace(),
        };
        let end = rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at);
        columns.push(rest[..end].strip_prefix(mark).unwrap_or(&rest[..end]));
        rest = rest[end..].strip_prefix(mark).unwrap_or(&rest[end..]).trim_start();
    }
    columns
}

enum Entry<'a> {
    None,
    One(usize),
    Two(&'a str, &'a str),
}

/// The contents of a list.
#[derive(Default)]
pub(super) struct Listed {
    /// The indices of the XML files, in the order of the list.
    pub(super) labels: Vec<usize>,
    /// The lines without XML, with their numbers.
    pub(super) unlabelled: Vec<(u64, String)>,
}

impl Listed {
    /// Reports the lines without XML.
    pub(super) fn report_unlabelled(&self, list: &Path, findings: &mut Findings) {
        for (number, line) in &self.unlabelled {
            let message = format!("`{}` has no XML", clip(line.trim()));
            findings.push(FindingKind::SplitUnlabelled, Location::line(display(list), *number), message);
        }
    }
}

/// Reads a list.
pub(super) fn read_list(
    list: &Path,
    labels: &LabelIndex<'_>,
    findings: &mut Findings,
) -> Result<Listed, DataError> {
    let text = read_text(list, MAX_LIST, "an image list", findings)?;
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let mut listed = Listed::default();
    for (number, line) in (1..).zip(text.lines()) {
        let name = line.trim();
        if name.is_empty() {
            continue;
        }
        let location = || Location::line(display(list), number as u64);
        match labels.find(line) {
            Entry::None => listed.unlabelled.push((number as u64, line.to_string())),
            Entry::Two(first, second) => {
                let message = format!("`{}` can be `{first}` or `{second}`; line left out", clip(name));
                findings.push(FindingKind::PathAmbiguous, location(), message);
            }
            Entry::One(index) if seen.contains_key(&index) => {
                let message = format!("`{name}` is already in line {}", seen[&index]);
                findings.push(FindingKind::SplitDuplicate, location(), message);
            }
            Entry::One(index) => {
                seen.insert(index, number);
                listed.labels.push(index);
            }
        }
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_tool_name_their_xml() {
        let labels = ["a b", "a", " c", "d ", "e 1", "x/f g", "h\" i", "\"j k\"", "l'm", "'n'"];
        let labels = labels.map(|label| format!("{label}.xml")).to_vec();
        let index = LabelIndex::new(&labels);
        let cases = [
            ("a b", "a b"),
            ("\"a b\"", "a b"),
            ("\"a b\" 1", "a b"),
            ("\"a b\"  -1 ", "a b"),
            ("a b 1", "a b"),
            ("a b\t0", "a b"),
            ("\"JPEGImages/a b.jpg\" \"Annotations/a b.xml\"", "a b"),
            ("JPEGImages/a b.jpg", "a b"),
            ("a", "a"),
            (" a ", "a"),
            ("a 1", "a"),
            ("a.jpg,a.xml", "a"),
            (" c", " c"),
            ("\" c\"", " c"),
            ("\" c\" 1", " c"),
            ("JPEGImages/ c.jpg", " c"),
            ("d ", "d "),
            ("\"d \" 1", "d "),
            ("d  1", "d "),
            ("a  1", "a"),
            ("a b   -1", "a b"),
            ("a\t\t0", "a"),
            ("'a b'", "a b"),
            ("'a b' 1", "a b"),
            ("'JPEGImages/a b.jpg' 'Annotations/a b.xml'", "a b"),
            ("l'm", "l'm"),
            ("'n'", "'n'"),
            ("e 1", "e 1"),
            ("\"e 1\"", "e 1"),
            ("\"x/f g\"", "x/f g"),
            ("\"f g\" 0", "x/f g"),
            ("\"h\" i\"", "h\" i"),
            ("\"j k\"", "\"j k\""),
        ];
        let found = |line: &str| match index.find(line) {
            Entry::One(index) => without_extension(&labels[index]).to_string(),
            Entry::None => "none".to_string(),
            Entry::Two(..) => "two".to_string(),
        };
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|(line, label)| found(line) != *label)
            .map(|(line, _)| (line, found(line)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(["\"b\"", "\"", "\"a"].map(found), ["none", "none", "a"]);
    }
}
