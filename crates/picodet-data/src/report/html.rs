//! The HTML page: no scripts, no network; styles, drawings and previews are inside it.

use std::collections::HashSet;
use std::fmt::Write as _;

use base64::Engine as _;

use super::{headline, svg};
use crate::check::size::BINS;
use crate::check::{Checked, DatasetSummary};
use crate::finding::{Finding, Severity};
use crate::image_file::{parallel, preview};
use crate::voc::escape;

/// Images drawn per dataset.
const SAMPLES: usize = 12;
/// Longest side of a drawn image in pixels.
const PREVIEW_SIDE: usize = 480;
/// Rows of findings per kind.
const ROWS: usize = 200;
/// Classes drawn per dataset.
const CLASSES: usize = 100;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:68rem;padding:0 1rem;color:#1b1b1b;background:#fff}h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ddd}svg text{font-family:system-ui,sans-serif}.bars text{font-size:12px}table{border-collapse:collapse;width:100%;font-size:13px}td,th{border-bottom:1px solid #eee;text-align:left;padding:.25rem .5rem;vertical-align:top;overflow-wrap:anywhere}details{margin:.5rem 0}summary{cursor:pointer}.error{color:#b00020}.warning{color:#8a5a00}.info{color:#00558a}.badge{font-weight:600}.samples{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;max-width:320px}figure svg{max-width:100%;height:auto;display:block}figcaption{font-size:12px;overflow-wrap:anywhere}.fix{color:#444}";

/// One self-contained page: summary, findings with their fixes, class and size histograms,
/// samples with boxes drawn (images with findings first).
pub fn render_html(checked: &Checked) -> String {
    let report = &checked.report;
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
    );
    let _ = write!(
        page,
        "<title>Check of {0}</title><style>{STYLE}</style></head><body><h1>Check of {0}</h1><p class=\"badge\">",
        escape(&report.path)
    );
    for (severity, name) in
        [(Severity::Error, "errors"), (Severity::Warning, "warnings"), (Severity::Info, "notes")]
    {
        let count = report.findings.count_of(severity);
        let _ = write!(page, "<span class=\"{}\">{count} {name}</span> &nbsp; ", severity.name());
    }
    page.push_str("</p><ul>");
    for part in &report.datasets {
        let _ = write!(page, "<li>{}</li>", escape(&headline(part)));
    }
    if let Some(size) = report.suggested_input {
        let (width, height) = report.input;
        let _ =
            write!(page, "<li>Input size: checked for {width} × {height}, suggested {size} × {size}</li>");
    }
    page.push_str("</ul><h2>Findings</h2>");
    findings(&mut page, checked);
    for (index, part) in report.datasets.iter().enumerate() {
        let _ = write!(page, "<h2>{}</h2>", escape(&part.split));
        histograms(&mut page, part, report.input);
        samples(&mut page, checked, index);
    }
    page.push_str("</body></html>\n");
    page
}

fn findings(page: &mut String, checked: &Checked) {
    let all = &checked.report.findings;
    if all.list().is_empty() {
        page.push_str("<p>None.</p>");
    }
    let mut rest = all.list();
    while let Some(first) = rest.first() {
        let kind = first.kind;
        let length = rest.iter().take_while(|finding| finding.kind == kind).count();
        let (group, tail) = rest.split_at(length);
        rest = tail;
        let total = all.counts().get(&kind).copied().unwrap_or(length);
        let open = if kind.severity() == Severity::Info { "" } else { " open" };
        let _ = write!(
            page,
            "<details{open}><summary><span class=\"badge {0}\">{0}</span> <code>{1}</code> {2} ({total})</summary><p class=\"fix\">Fix: {3}</p><table><tr><th>Where</th><th>What</th></tr>",
            kind.severity().name(),
            kind.id(),
            escape(kind.what()),
            escape(kind.fix())
        );
        for Finding { place, message, .. } in group.iter().take(ROWS) {
            let place = escape(&place.to_string());
            let _ = write!(page, "<tr><td><code>{place}</code></td><td>{}</td></tr>", escape(message));
        }
        page.push_str("</table>");
        if total > ROWS {
            let _ = write!(page, "<p>… and {} more</p>", total - ROWS);
        }
        page.push_str("</details>");
    }
}

fn histograms(page: &mut String, part: &DatasetSummary, input: (u32, u32)) {
    let mut classes = part.classes.clone();
    classes.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    page.push_str("<h3>Objects per class</h3>");
    page.push_str(&svg::bars(&classes[..classes.len().min(CLASSES)]));
    if classes.len() > CLASSES {
        let _ = write!(page, "<p>… and {} rarer classes</p>", classes.len() - CLASSES);
    }
    let _ = write!(page, "<h3>Box sizes at {} × {} (square root of the area, pixels)</h3>", input.0, input.1);
    let mut rows = Vec::new();
    for (bin, &count) in part.sizes.iter().enumerate() {
        let low = if bin == 0 { 0 } else { BINS[bin - 1] };
        let name = BINS.get(bin).map_or_else(|| format!("{low} –"), |high| format!("{low} – {high}"));
        rows.push((name, count));
    }
    page.push_str(&svg::bars(&rows));
}

fn samples(page: &mut String, checked: &Checked, part: usize) {
    let dataset = &checked.datasets[part];
    let chosen = choose(checked, part);
    let drawn = parallel(chosen.len(), |index| preview(&dataset.image_path(chosen[index])?, PREVIEW_SIDE));
    page.push_str("<h3>Samples</h3><div class=\"samples\">");
    for (&index, jpeg) in chosen.iter().zip(drawn) {
        let Some(jpeg) = jpeg else { continue };
        let image = &dataset.images[index];
        let jpeg = base64::engine::general_purpose::STANDARD.encode(jpeg);
        let _ = write!(
            page,
            "<figure>{}<figcaption>{} ({} objects)</figcaption></figure>",
            svg::sample(dataset, image, &jpeg),
            escape(&image.file),
            image.objects.len()
        );
    }
    page.push_str("</div>");
}

/// Up to half of the samples have findings, the others are evenly spaced; in order.
fn choose(checked: &Checked, part: usize) -> Vec<usize> {
    let dataset = &checked.datasets[part];
    let readable =
        |index: &usize| checked.facts[part].get(*index).is_some_and(|f| f.exists && f.fault.is_none());
    let places: HashSet<String> = checked
        .report
        .findings
        .list()
        .iter()
        .filter(|finding| finding.severity > Severity::Info)
        .map(|finding| place_key(&finding.place))
        .collect();
    let faulty = (0..dataset.images.len()).filter(readable).filter(|&index| {
        places.contains(&place_key(&dataset.image_place(index)))
            || (0..dataset.images[index].objects.len())
                .any(|object| places.contains(&place_key(&dataset.object_place(index, object))))
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

fn place_key(place: &crate::finding::Place) -> String {
    // A line of a label file belongs to its one image; a pointer into COCO tells the entry.
    format!("{}#{}", place.file, place.pointer.as_deref().unwrap_or_default())
}
