//! The contents of a page.

use crate::diagnostics::Diagnostics;
use crate::evaluation::Evaluation;

/// The contents of a page.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The heading, such as the model's name.
    pub title: &'a str,
    /// Facts below it: name and value, such as `("Dataset", "coco-mini, 106 images")`.
    pub facts: &'a [(String, String)],
    /// The metrics.
    pub evaluation: &'a Evaluation,
    /// The error analysis.
    pub diagnostics: &'a Diagnostics,
    /// The worst images, drawn; see [`Diagnostics::images`] and [`crate::Evaluator::labelled_boxes`].
    pub pictures: &'a [Picture],
}

/// The colour in which a box is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A detected object, or a correct detection.
    Right,
    /// A missed object, or a wrong detection.
    Wrong,
    /// A crowd or ignored object, or a detection on one.
    Ignored,
}

/// A box with a caption.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledBox {
    /// `[x, y, width, height]`, pixels of the original image.
    pub bbox: [f64; 4],
    /// The caption.
    pub label: String,
    /// The colour.
    pub mark: Mark,
}

/// An image for the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The caption below the image.
    pub title: String,
    /// A JPEG file, of any size.
    pub jpeg: Vec<u8>,
    /// Width and height of the original image in pixels, which the boxes are in.
    pub size: (u32, u32),
    /// True boxes.
    pub truths: Vec<LabelledBox>,
    /// Detected boxes.
    pub detections: Vec<LabelledBox>,
}
