//! The check report as one self-contained HTML page.

use std::collections::HashSet;
use std::fmt::Write as _;

use picodet_image::class_colour;
use picodet_report::{
    Bar, Cell, PALETTE, Page, PictureBox, Table, bars, embedded_jpeg, escape, picture, section,
};

use super::headline;
use crate::check::size::BINS;
use crate::check::{Checked, DatasetSummary};
use crate::dataset::{Dataset, ImageRecord};
use crate::finding::{Finding, Location, Severity};

/// Images drawn per dataset.
const SAMPLES: usize = 12;
/// Longest side of a drawn image in pixels.
const PREVIEW_SIDE: usize = 480;
/// Longest side at which a drawn image is displayed.
const DISPLAY_SIDE: f64 = 320.0;
/// Rows of findings per kind.
const ROWS: usize = 200;
/// Classes drawn per dataset.
const CLASSES: usize = 100;
/// Width of bar charts in pixels.
const BARS: f64 = 640.0;

/// Renders one self-contained page: summary, findings with their fixes, class and size histograms,
/// samples with boxes drawn (images with findings first).
pub fn render_html(checked: &Checked) -> String {
    let report = &checked.report;
    let mut page = Page::new(&format!("Check of {}", report.path));
    page.push(&summary(checked));
    page.push(&section("Findings", "", &findings(checked)));
    for (index, part) in report.datasets.iter().enumerate() {
        let body = histograms(part, report.input) + &samples(checked, index);
        page.push(&section(&part.split, "", &body));
    }
    page.finish()
}

fn summary(checked: &Checked) -> String {
    let report = &checked.report;
    let mut html = String::from("<p class=\"badge\">");
    for (severity, name) in
        [(Severity::Error, "errors"), (Severity::Warning, "warnings"), (Severity::Info, "notes")]
    {
        let count = report.findings.count_of(severity);
        let _ = write!(html, "<span class=\"{}\">{count} {name}</span> &nbsp; ", severity.name());
    }
    html.push_str("</p><ul>");
    for part in &report.datasets {
        let _ = write!(html, "<li>{}</li>", escape(&headline(part)));
    }
    if let Some(size) = report.suggested_input {
        let (width, height) = report.input;
        let _ =
            write!(html, "<li>Input size: checked for {width} × {height}, suggested {size} × {size}</li>");
    }
    html + "</ul>"
}

fn findings(checked: &Checked) -> String {
    let all = &checked.report.findings;
    if all.list().is_empty() {
        return "<p>None.</p>".to_owned();
    }
    let mut html = String::new();
    for group in all.list().chunk_by(|a, b| a.kind == b.kind) {
        let kind = group[0].kind;
        let total = all.counts().get(&kind).copied().unwrap_or(group.len());
        let open = if kind.severity() == Severity::Info { "" } else { " open" };
        let mut table = Table::of_text(&["Where", "Finding"]);
        for Finding { location, message, .. } in group.iter().take(ROWS) {
            table.row([Cell::code(&location.to_string()), message.as_str().into()]);
        }
        let _ = write!(
            html,
            "<details{open} class=\"where\"><summary><span class=\"badge {0}\">{0}</span> <code>{1}</code> {2} ({total})</summary><p class=\"hint\">Fix: {3}</p>{4}",
            kind.severity().name(),
            kind.id(),
            escape(kind.what()),
            escape(kind.fix()),
            table.finish()
        );
        if total > ROWS {
            let _ = write!(html, "<p class=\"note\">… and {} more</p>", total - ROWS);
        }
        html.push_str("</details>");
    }
    html
}

fn histograms(part: &DatasetSummary, input: (u32, u32)) -> String {
    let bar = |name: String, count: usize| Bar {
        name,
        value: count as f64,
        text: count.to_string(),
        colour: PALETTE[0],
    };
    let mut classes = part.classes.clone();
    classes.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rarer = classes.len().saturating_sub(CLASSES);
    classes.truncate(CLASSES);
    let rows: Vec<Bar<'_>> = classes.into_iter().map(|(name, count)| bar(name, count)).collect();
    let mut html = String::from("<h3>Objects per class</h3>");
    html.push_str(&bars(&rows, BARS, "Objects per class"));
    if rarer > 0 {
        let _ = write!(html, "<p class=\"note\">… and {rarer} rarer classes</p>");
    }
    let _ = write!(html, "<h3>Box sizes at {} × {} (square root of the area, pixels)</h3>", input.0, input.1);
    let mut rows = Vec::new();
    for (bin, &count) in part.sizes.iter().enumerate() {
        let low = if bin == 0 { 0 } else { BINS[bin - 1] };
        let name = BINS.get(bin).map_or_else(|| format!("{low} –"), |high| format!("{low} – {high}"));
        rows.push(bar(name, count));
    }
    html + &bars(&rows, BARS, "Box sizes")
}

fn samples(checked: &Checked, part: usize) -> String {
    let dataset = &checked.datasets[part];
    let chosen = choose(checked, part);
    let jpegs = picodet_parallel::map(0..chosen.len(), 0, |index| {
        dataset.image_source(chosen[index])?.preview(PREVIEW_SIDE)
    });
    let mut html = String::from("<h3>Samples</h3><div class=\"samples\">");
    for (&index, jpeg) in chosen.iter().zip(jpegs) {
        let Some(jpeg) = jpeg else { continue };
        let image = &dataset.images[index];
        let _ = write!(
            html,
            "<figure>{}<figcaption>{} ({} objects)</figcaption></figure>",
            sample(dataset, image, &format!("sample{part}-{index}"), &jpeg),
            escape(&image.file),
            image.objects.len()
        );
    }
    html + "</div>"
}

/// An image with its boxes; crowd regions and difficult objects are dashed.
fn sample(dataset: &Dataset, image: &ImageRecord, id: &str, jpeg: &[u8]) -> String {
    let size = (image.width, image.height);
    let boxes: Vec<PictureBox> = image
        .objects
        .iter()
        .filter(|object| object.is_finite())
        .map(|object| PictureBox {
            bbox: object.bbox,
            label: dataset.classes.get(object.class).map_or("?", |class| class.name.as_str()).to_owned(),
            colour: class_colour(object.class),
            dashed: object.crowd || object.difficult,
        })
        .collect();
    picture(&embedded_jpeg(id, size, jpeg), size, DISPLAY_SIDE, &boxes, &image.file)
}

/// The images to draw, in order: up to half of them have findings, the others are evenly spaced.
fn choose(checked: &Checked, part: usize) -> Vec<usize> {
    let dataset = &checked.datasets[part];
    let readable =
        |index: &usize| checked.facts[part].get(*index).is_some_and(|f| f.exists && f.fault.is_none());
    let locations: HashSet<String> = checked
        .report
        .findings
        .list()
        .iter()
        .filter(|finding| finding.severity > Severity::Info)
        .map(|finding| location_key(&finding.location))
        .collect();
    let faulty = (0..dataset.images.len()).filter(readable).filter(|&index| {
        locations.contains(&location_key(&dataset.image_location(index)))
            || (0..dataset.images[index].objects.len())
                .any(|object| locations.contains(&location_key(&dataset.object_location(index, object))))
    });
    let mut chosen: Vec<usize> = faulty.take(SAMPLES / 2).collect();
    let count = dataset.images.len();
    let spaced = (0..SAMPLES.min(count)).map(|n| n * count / SAMPLES.min(count)).filter(readable);
    for index in spaced {
        if chosen.len() < SAMPLES && !chosen.contains(&index) {
            chosen.push(index);
        }
    }
    chosen.sort_unstable();
    chosen
}

fn location_key(location: &Location) -> String {
    // A label file belongs to one image whatever the line; a pointer into COCO identifies the entry.
    format!("{}#{}", location.file, location.pointer.as_deref().unwrap_or_default())
}
