//! Renders an evaluation as one self-contained HTML page.

mod analysis;
mod contents;
mod overview;
mod picture;

use picodet_report::{Page, side_by_side};

pub use contents::{LabelledBox, Mark, Picture, Report};

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
