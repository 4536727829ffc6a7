//! The result of a check.

use std::path::PathBuf;

use serde::Serialize;

use crate::dataset::Dataset;
use crate::finding::{Findings, Severity};
use crate::image_file::ImageHeader;

/// The contents of one dataset or split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetSummary {
    /// `coco`, `voc`, `yolo` or `labelme`.
    pub format: &'static str,
    /// The split, or `all`.
    pub split: String,
    /// Folder of the images.
    pub root: String,
    /// Number of images.
    pub images: usize,
    /// Number of images without objects.
    pub images_without_objects: usize,
    /// Number of objects.
    pub objects: usize,
    /// Number of crowd regions.
    pub crowd: usize,
    /// Number of objects marked difficult.
    pub difficult: usize,
    /// Class names and numbers of objects, in the order of the data.
    pub classes: Vec<(String, usize)>,
    /// Histogram of box sizes after resizing: counts of sides (square root of the area) below 4, 8, 16, …, 512 pixels of
    /// the input, and above.
    pub sizes: Vec<usize>,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The checked path.
    pub path: String,
    /// Width and height in pixels of the detector's input.
    pub input: (u32, u32),
    /// Finest stride in pixels.
    pub stride: u32,
    /// The smallest usual square input at which 90 % of the boxes have a side of at least twice the finest stride; `None`
    /// without boxes.
    pub suggested_input: Option<u32>,
    /// One summary per dataset or split.
    pub datasets: Vec<DatasetSummary>,
    /// Findings, errors first.
    pub findings: Findings,
}

impl Report {
    /// 0 for information only, 1 for warnings, 2 for errors.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.findings.count_of(Severity::Error) > 0 {
            2
        } else {
            u8::from(self.findings.count_of(Severity::Warning) > 0)
        }
    }
}

/// Properties of an image file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ImageFacts {
    pub(crate) exists: bool,
    /// The path without links, `.` and `..`.
    pub(crate) real: PathBuf,
    /// The image exists only inside its label file.
    pub(crate) embedded: bool,
    pub(crate) header: Option<ImageHeader>,
    /// The reason why it cannot be decoded.
    pub(crate) fault: Option<String>,
    pub(crate) hash: Option<[u8; 32]>,
}

/// A report with its datasets, for the HTML page and the repair.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The report.
    pub report: Report,
    /// The readable part of each dataset.
    pub datasets: Vec<Dataset>,
    pub(crate) facts: Vec<Vec<ImageFacts>>,
}
