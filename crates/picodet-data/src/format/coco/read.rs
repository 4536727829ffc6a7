//! Reads COCO annotation files.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

use picodet_format::coco::{JsonError, read_annotations, read_segmentation_boxes};
use picodet_format::json::NonFiniteToNull;

use super::builder::{Builder, Built};
use crate::dataset::{Dataset, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::input::open_regular;
use crate::text::legacy_json;

/// Reads a COCO JSON file; image paths are relative to `root`.
///
/// Annotations of unlisted images become findings of severity error and are left out; all others are kept,
/// including implausible boxes. A missing or empty box is derived from the segmentation. Classes are in the
/// order of `categories`.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Syntax`] with the line at which the JSON is malformed.
pub fn read(path: &Path, root: &Path) -> Result<(Dataset, Findings), DataError> {
    let Built { mut dataset, findings, .. } = read_file(path)?;
    dataset.root = root.to_path_buf();
    dataset.annotations = Some(path.to_path_buf());
    Ok((dataset, findings))
}

/// Returns the numbers of the images of a file whose ids are texts, by these texts.
///
/// # Errors
/// As [`read`].
pub fn text_ids(path: &Path) -> Result<HashMap<String, i64>, DataError> {
    Ok(read_file(path)?.text_ids)
}

fn read_file(path: &Path) -> Result<Built, DataError> {
    let file = display(path);
    let mut builder = Builder::new(&file);
    let mut not_finite = None;
    let (mut legacy, mut findings) = (None, Findings::default());
    if let Err(error) = read_annotations(open_regular(path)?, &mut builder) {
        // Python writes NaN. Read the file again with null instead, and report it.
        let reader = NonFiniteToNull::new(BufReader::new(open_regular(path)?));
        let replaced = reader.replaced();
        builder = Builder::new(&file);
        match read_annotations(reader, &mut builder) {
            Ok(_) if replaced.get() > 0 => {
                let line = error.line().map(|line| format!(", the first in line {line}")).unwrap_or_default();
                not_finite = Some(format!("{} times NaN or Infinity{line}", replaced.get()));
            }
            _ => {
                // Python on Chinese Windows writes GBK.
                legacy = legacy_json(path, &mut findings);
                let Some(text) = &legacy else { return Err(DataError::json(path, &error)) };
                builder = Builder::new(&file);
                read_annotations(text.as_bytes(), &mut builder)
                    .map_err(|error| DataError::json(path, &error))?;
            }
        }
    }
    let without_box = builder.without_box();
    if !without_box.is_empty() {
        let reader: Box<dyn Read> = match &legacy {
            Some(text) => Box::new(text.as_bytes()),
            None => Box::new(open_regular(path)?),
        };
        let wanted = |index: usize| without_box.contains(&index);
        let boxes = match not_finite {
            None => read_segmentation_boxes(reader, &wanted),
            Some(_) => read_segmentation_boxes(NonFiniteToNull::new(BufReader::new(reader)), &wanted),
        };
        builder.derive_boxes(&boxes.map_err(|error| DataError::json(path, &error))?);
    }
    let mut built = builder.finish();
    built.findings.extend(findings);
    if let Some(message) = not_finite {
        built.findings.push(FindingKind::JsonNan, Location::file(&file), message);
    }
    Ok(built)
}

/// Parses COCO JSON with bounded depth and token length; `file` is the name in findings. Boxes are not derived
/// from segmentations.
///
/// # Errors
/// [`JsonError`] with entry, line and column.
pub fn parse(reader: impl Read, file: &str) -> Result<(Dataset, Findings), JsonError> {
    let mut builder = Builder::new(file);
    read_annotations(reader, &mut builder)?;
    let Built { dataset, findings, .. } = builder.finish();
    Ok((dataset, findings))
}
