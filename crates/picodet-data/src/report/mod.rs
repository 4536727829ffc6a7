//! Renders the report of a check as text, JSON, or one self-contained HTML page.

mod html;

use std::fmt::Write as _;

use serde::Serialize;

use crate::check::{DatasetSummary, Report};
use crate::finding::{Finding, Severity};
use crate::loss::Loss;

pub use html::render_html;

/// Findings of one kind that the text lists; further ones are counted.
const SHOWN_PER_KIND: usize = 5;

/// Renders the report for a terminal: a summary, then the findings, most severe first.
pub fn render_text(report: &Report) -> String {
    let mut text = String::new();
    for part in &report.datasets {
        let _ = writeln!(text, "{}", headline(part));
    }
    if let Some(size) = report.suggested_input {
        let (width, height) = report.input;
        let _ = writeln!(text, "input size: checked for {width} × {height}, suggested {size} × {size}");
    }
    for loss in report.findings.losses() {
        let _ = writeln!(text, "lost: {loss}");
    }
    let mut list = report.findings.list().iter().peekable();
    while let Some(finding) = list.next() {
        let kind = finding.kind;
        let total = report.findings.counts().get(&kind).copied().unwrap_or(1);
        let _ = writeln!(
            text,
            "\n{}[{}] {} ({total})\n  fix: {}",
            kind.severity().name(),
            kind.id(),
            kind.what(),
            kind.fix()
        );
        let _ = writeln!(text, "  {}: {}", finding.location, finding.message);
        let mut shown = 1;
        while let Some(next) = list.next_if(|next| next.kind == kind) {
            if shown < SHOWN_PER_KIND {
                let _ = writeln!(text, "  {}: {}", next.location, next.message);
            }
            shown += 1;
        }
        if total > SHOWN_PER_KIND {
            let _ = writeln!(text, "  … and {} more", total - SHOWN_PER_KIND);
        }
    }
    let count = |severity| report.findings.count_of(severity);
    let _ = writeln!(
        text,
        "\n{} errors, {} warnings, {} notes",
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Info)
    );
    text
}

/// `train: 701 images, 214 without objects (31 %), 3,000 objects in 20 classes`.
fn headline(part: &DatasetSummary) -> String {
    let percent = 100.0 * part.images_without_objects as f64 / part.images.max(1) as f64;
    let mut line = format!(
        "{} ({}): {} images, {} without objects ({percent:.0} %), {} objects in {} classes",
        part.split,
        part.format,
        part.images,
        part.images_without_objects,
        part.objects,
        part.classes.len()
    );
    for (count, name) in [(part.crowd, "crowd"), (part.difficult, "difficult")] {
        if count > 0 {
            let _ = write!(line, ", {count} {name}");
        }
    }
    line
}

/// Renders the whole report as JSON, with the counts of findings beyond those listed.
pub fn render_json(report: &Report) -> String {
    #[derive(Serialize)]
    struct Json<'a> {
        path: &'a str,
        input: (u32, u32),
        stride: u32,
        suggested_input: Option<u32>,
        exit_code: u8,
        errors: usize,
        warnings: usize,
        infos: usize,
        lost: Vec<Loss>,
        counts: std::collections::BTreeMap<&'static str, usize>,
        datasets: &'a [DatasetSummary],
        findings: &'a [Finding],
    }
    let findings = &report.findings;
    let json = Json {
        path: &report.path,
        input: report.input,
        stride: report.stride,
        suggested_input: report.suggested_input,
        exit_code: report.exit_code(),
        errors: findings.count_of(Severity::Error),
        warnings: findings.count_of(Severity::Warning),
        infos: findings.count_of(Severity::Info),
        lost: findings.losses(),
        counts: findings.counts().iter().map(|(kind, count)| (kind.id(), *count)).collect(),
        datasets: &report.datasets,
        findings: findings.list(),
    };
    // These types always serialise.
    serde_json::to_string_pretty(&json).unwrap_or_default()
}
