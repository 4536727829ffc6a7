//! The parts of the page that show COCO metrics.

use std::fmt::Write as _;

use picodet_report::{Axis, Cell, Chart, Line, PALETTE, Table, cards, escape, facts, section, small_curves};

use super::contents::Report;
use crate::diagnostics::Diagnostics;
use crate::evaluation::{Evaluation, Summary};
use crate::parameters::AreaRange;
use crate::table::percent;

/// Facts about the dataset and the run.
pub(super) fn facts_of(report: &Report<'_>) -> String {
    let classes = report.evaluation.classes();
    let objects: usize = classes.iter().map(|class| class.truths).sum();
    let detections: usize = classes.iter().map(|class| class.detections).sum();
    let counted = format!(
        "{} images, {} classes, {objects} objects, {detections} detections",
        report.evaluation.image_count(),
        classes.len()
    );
    let given = report.facts.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    facts(given.chain([("Evaluated", counted.as_str())]))
}

/// The main metrics, large.
pub(super) fn metrics(summary: &Summary) -> String {
    cards(&[
        ("AP, IoU 0.50:0.95", percent(summary.ap)),
        ("AP50", percent(summary.ap50)),
        ("AP75", percent(summary.ap75)),
        ("AP small", percent(summary.ap_small)),
        ("AP medium", percent(summary.ap_medium)),
        ("AP large", percent(summary.ap_large)),
        ("AR, 100 detections", percent(summary.ar100)),
    ])
}

/// Warnings about annotations and detections that were left out; empty without any.
pub(super) fn warnings(report: &Report<'_>) -> String {
    let notes = report.evaluation.notes();
    let lines = [
        (
            notes.zero_ids,
            "annotations have id 0, which pycocotools interprets as “no match”: their detections count as false \
             positives. Number annotations from 1.",
        ),
        (notes.truths_without_image, "annotations are of images that were not evaluated."),
        (notes.truths_without_category, "annotations are of unknown classes and were left out."),
        (
            notes.detections_without_category,
            "detections are of unknown classes and were left out: compare the class ids of model and dataset.",
        ),
    ];
    let mut html = String::new();
    for (count, text) in lines.iter().filter(|line| line.0 > 0) {
        let _ = write!(html, "<p>{count} {}</p>", escape(text));
    }
    if html.is_empty() { html } else { format!("<div class=\"warn\">{html}</div>") }
}

/// Precision-recall curves, one per IoU threshold.
pub(super) fn precision_recall(evaluation: &Evaluation) -> String {
    let mut chart =
        Chart::new((460.0, 500.0), Axis::unit("recall"), Axis::unit("precision"), "Precision over recall");
    let recalls = &evaluation.parameters().recall_thresholds;
    let thresholds = &evaluation.parameters().iou_thresholds;
    let mut entries = Vec::new();
    for (index, &iou) in thresholds.iter().enumerate().rev() {
        let curve = evaluation.mean_precision(Some(iou));
        if curve.iter().any(|&value| value < 0.0) {
            continue;
        }
        let ap = curve.iter().sum::<f64>() / curve.len().max(1) as f64;
        // From blue to pale.
        let pale = index as f64 / thresholds.len().max(2) as f64;
        let mix = |from: f64, to: f64| (from + (to - from) * pale) as u8;
        let colour = picodet_report::hex([mix(29.0, 200.0), mix(78.0, 210.0), mix(216.0, 235.0)]);
        let named = index == 0 || iou == 0.75 || index + 1 == thresholds.len();
        let label = format!("{iou:.2}: AP {}", percent(ap));
        if named {
            entries.insert(0, (colour.clone(), label.clone()));
        }
        let points = recalls.iter().copied().zip(curve).collect();
        chart.line(&Line { points, colour, width: if named { 2.4 } else { 1.2 }, label: Some(label) });
    }
    chart.legend(&entries);
    section(
        "Precision and recall",
        "Mean over the classes that have objects, one curve per IoU threshold. The area below a curve is the AP at \
         that threshold.",
        &chart.finish(),
    )
}

/// The twelve COCO metrics and the best score threshold.
pub(super) fn areas(summary: &Summary, diagnostics: &Diagnostics) -> String {
    let mut table = Table::of_numbers(&["Precision", "AP", "Recall", "AR"]);
    let names = [
        ("IoU 0.50:0.95", "1 detection"),
        ("IoU 0.50", "10 detections"),
        ("IoU 0.75", "100 detections"),
        ("small", "small"),
        ("medium", "medium"),
        ("large", "large"),
    ];
    let values = summary.values();
    for (index, (precision, recall)) in names.into_iter().enumerate() {
        table.row([
            precision.into(),
            percent(values[index]).into(),
            recall.into(),
            percent(values[index + 6]).into(),
        ]);
    }
    let mut body = table.finish();
    if let Some(best) = diagnostics.best {
        let _ = write!(
            body,
            "<p>Best single threshold over all classes: score <b>{:.3}</b>, with precision {} %, recall {} % and F1 {:.3} (IoU {:.2}).</p>",
            best.score,
            percent(best.precision),
            percent(best.recall),
            best.f1,
            diagnostics.iou_threshold
        );
    }
    section(
        "All twelve metrics",
        "In percent, as pycocotools computes them; – without objects of that size. Small: below 32² pixels; large: \
         above 96².",
        &body,
    )
}

/// The metrics per class.
pub(super) fn classes(report: &Report<'_>) -> String {
    let Report { evaluation, diagnostics, .. } = report;
    let mut table = Table::of_numbers(&[
        "Class", "objects", "AP", "AP50", "AP75", "small", "medium", "large", "AR", "score", "F1", "curves",
    ]);
    let mut rows: Vec<(usize, _)> = evaluation.classes().into_iter().enumerate().collect();
    let all = rows.len();
    rows.retain(|(_, class)| class.truths > 0);
    rows.sort_unstable_by(|a, b| b.1.ap.total_cmp(&a.1.ap).then(a.0.cmp(&b.0)));
    let at75 = evaluation.parameters().iou_thresholds.iter().position(|&iou| iou == 0.75);
    for (index, class) in &rows {
        let [small, medium, large] = class.ap_by_area;
        let metrics = [class.ap, class.ap50, class.ap75, small, medium, large, class.ar100];
        let best = match diagnostics.best_by_class.get(*index).copied().flatten() {
            Some(best) => [format!("{:.2}", best.score), format!("{:.2}", best.f1)],
            None => ["–".to_owned(), "–".to_owned()],
        };
        let curve = |threshold| evaluation.precision(*index, AreaRange::All, threshold);
        let curves = [(PALETTE[0], curve(0)), (PALETTE[1], at75.and_then(curve))];
        let curves: Vec<(&str, &[f64])> =
            curves.into_iter().filter_map(|(colour, curve)| Some((colour, curve?))).collect();
        let head: [Cell; 2] = [class.category.name.as_str().into(), class.truths.into()];
        let values = metrics.map(|value| Cell::from(percent(value)));
        table.row(
            head.into_iter()
                .chain(values)
                .chain(best.map(Cell::from))
                .chain([Cell::html(small_curves(&curves))]),
        );
    }
    let mut body = table.finish();
    if all > rows.len() {
        let _ = write!(body, "<p class=\"note\">{} classes have no objects here.</p>", all - rows.len());
    }
    section(
        "Classes",
        "Sorted by AP; classes without objects are left out. Score: the threshold with the best F1. Curves: \
         precision over recall at the lowest IoU threshold (blue) and at 0.75 (orange).",
        &body,
    )
}
