//! Reads text files of any encoding, and shortens quoted input in messages.

use std::path::Path;

use picodet_format::text::{NotText, Text, decode, decode_xml};

use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::input::read_bounded;

/// Largest JSON file that is not UTF-8, in bytes.
const MAX_JSON: u64 = 512 << 20;

/// Returns the first 40 characters.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Returns the text inside of single or double quotation marks; `None` if there are none around it.
pub(crate) fn unquoted(text: &str) -> Option<&str> {
    let inside = |mark: char| text.strip_prefix(mark)?.strip_suffix(mark).filter(|inside| !inside.is_empty());
    inside('"').or_else(|| inside('\''))
}

/// Reads a text file of at most `limit` bytes; `what` is its kind in the error. A guessed encoding is a finding.
pub(crate) fn read_text(
    path: &Path,
    limit: u64,
    what: &'static str,
    findings: &mut Findings,
) -> Result<String, DataError> {
    text_of(path, decode(read_bounded(path, limit, what)?), findings)
}

/// Reads an XML file as [`read_text`]; the encoding is that of its declaration, if it has one.
pub(crate) fn read_xml(
    path: &Path,
    limit: u64,
    what: &'static str,
    findings: &mut Findings,
) -> Result<String, DataError> {
    text_of(path, decode_xml(read_bounded(path, limit, what)?), findings)
}

/// Decodes a JSON file that is not UTF-8; `None` if it is, or cannot be read as text.
pub(crate) fn legacy_json(path: &Path, findings: &mut Findings) -> Option<String> {
    let bytes = read_bounded(path, MAX_JSON, "a JSON file").ok()?;
    if std::str::from_utf8(&bytes).is_ok() {
        return None;
    }
    text_of(path, decode(bytes), findings).ok()
}

fn text_of(
    path: &Path,
    decoded: Result<Text, NotText>,
    findings: &mut Findings,
) -> Result<String, DataError> {
    let Text { text, encoding, guessed } = decoded.map_err(|error| DataError::Syntax {
        path: path.to_path_buf(),
        line: None,
        message: error.to_string(),
    })?;
    // Old programs end lines with a carriage return.
    let text = if text.contains('\r') && !text.contains('\n') { text.replace('\r', "\n") } else { text };
    if guessed {
        let message = format!("not UTF-8; read as {encoding}");
        findings.push(FindingKind::LabelNotUtf8, Location::file(display(path)), message);
    }
    Ok(text)
}
