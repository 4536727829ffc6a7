//! Renders an evaluation as one self-contained HTML page.

mod analysis;
mod overview;
mod picture;

use picodet_report::{Page, side_by_side};

use crate::diagnostics::Diagnostics;
use crate::evaluation::Evaluation;

pub use picture::{LabelledBox, Mark, Picture};

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

/// Renders the page.
#[must_use]
pub fn render_html(report: &Report<'_>) -> String {
    let summary = report.evaluation.summary();
    let mut page = Page::new(report.title);
    page.push(&overview::facts_of(report));
    page.push(&overview::metrics(&summary));
    page.push(&overview::warnings(report));
    page.push(&side_by_side(&[
        overview::precision_recall(report.evaluation),
        analysis::errors(report.diagnostics),
    ]));
    page.push(&side_by_side(&[
        analysis::calibration(report.diagnostics),
        overview::areas(&summary, report.diagnostics),
    ]));
    page.push(&overview::classes(report));
    page.push(&analysis::confusion(report.diagnostics));
    page.push(&picture::worst_images(report));
    page.finish()
}
