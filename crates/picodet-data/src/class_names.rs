//! Names of classes in text files, without the spaces around them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::text::{clip, read_text};

/// Reads a list of class names, one per line. An empty line between names keeps its index.
pub(crate) fn read_names(path: &Path, findings: &mut Findings) -> Result<Vec<String>, DataError> {
    let text = read_text(path, 4 << 20, "a class list", findings)?;
    report_spaces(text.lines(), &Location::file(display(path)), findings);
    Ok(text.trim_end().lines().map(|line| line.trim().to_string()).collect())
}

/// Whether a name in a class list is no class: LabelMe lists these for its tools.
pub(crate) fn is_placeholder(name: &str) -> bool {
    matches!(name, "__ignore__" | "_background_")
}

/// Reports the names that differ from others only in the spaces around them, which are removed.
pub(crate) fn report_spaces<'a>(
    names: impl Iterator<Item = &'a str>,
    location: &Location,
    findings: &mut Findings,
) {
    let names: BTreeSet<&str> = names.collect();
    for name in names.iter().filter(|name| name.trim() != **name && names.contains(name.trim())) {
        let message = format!("class {:?} is read as `{}`, another class", clip(name), clip(name.trim()));
        findings.push(FindingKind::ClassNameChanged, location.clone(), message);
    }
}
