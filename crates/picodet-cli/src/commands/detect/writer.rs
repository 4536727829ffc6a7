//! Writes detections to standard output in the chosen format.

use anyhow::Result;
use picodet::Detector;
use picodet::results::{self, ImageResult};

use crate::args::Format;
use crate::output::{print_part, print_result};

/// A writer of the detections of one image after another.
pub(super) enum Writer {
    /// One line per object.
    Text,
    /// One document per image.
    Json,
    /// One row per object, after a header.
    Csv,
    /// One array of COCO results, written at the end.
    Coco(Vec<serde_json::Value>),
}

impl Writer {
    /// Creates a writer and writes the header of the format.
    pub(super) fn new(format: Format) -> Result<Self> {
        Ok(match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
            Format::Csv => {
                print_result(results::CSV_HEADER)?;
                Self::Csv
            }
            Format::Coco => Self::Coco(Vec::new()),
        })
    }

    /// Writes the detections of one image.
    ///
    /// # Errors
    /// When the reader closed the pipe, or standard output cannot be written.
    pub(super) fn write(&mut self, result: &ImageResult, detector: &Detector) -> Result<()> {
        let text = match self {
            Self::Text => results::text(result),
            Self::Json => format!("{}\n", results::json(result)),
            Self::Csv => results::csv(result),
            Self::Coco(entries) => {
                entries.extend(results::coco(result, detector.category_ids()));
                return Ok(());
            }
        };
        Ok(print_part(&text)?)
    }

    /// Writes the results that the format collects.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Coco(entries) => Ok(print_result(&format!("{}\n", serde_json::Value::Array(entries)))?),
            Self::Text | Self::Json | Self::Csv => Ok(()),
        }
    }
}
