//! The evaluation as one HTML page: no scripts, no network; styles, drawings and pictures are inside it.

use std::fmt::Write as _;

use crate::diagnostics::Diagnostics;
use crate::error_kinds::ErrorKind;
use crate::evaluation::{Evaluation, Summary};
use crate::parameters::AreaRange;
use crate::picture::{Picture, render};
use crate::plot::{Bar, Line, UnitChart, bars, escape, heat_map, small_curve};
use crate::table::percent;

/// What goes into a page.
pub struct Report<'a> {
    /// The heading, such as the model's name.
    pub title: &'a str,
    /// Facts below it: name and value, such as `("Dataset", "coco-mini, 106 images")`.
    pub facts: &'a [(String, String)],
    /// The numbers.
    pub evaluation: &'a Evaluation,
    /// Where they come from.
    pub diagnostics: &'a Diagnostics,
    /// The worst images, drawn; see [`Diagnostics::images`] and [`crate::Evaluator::labelled_boxes`].
    pub pictures: &'a [Picture],
}

/// Rows and columns of the confusion matrix that is drawn, without the background.
const MATRIX_CLASSES: usize = 24;
/// Rows of the table of images.
const IMAGE_ROWS: usize = 50;

const STYLE: &str = "\
:root{color-scheme:light}*{box-sizing:border-box}\
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK SC',sans-serif;margin:0;color:#1f2430;background:#f5f6f8}\
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}\
h1{font-size:26px;line-height:1.2;margin:0 0 12px}h2{font-size:19px;margin:0 0 4px}\
section{background:#fff;border:1px solid #e3e6eb;border-radius:8px;padding:20px 24px;margin-top:20px}\
.hint{color:#5d6675;font-size:13.5px;margin:0 0 14px;max-width:76ch}\
.facts{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0;font-size:14px}.facts dt{color:#5d6675}.facts dd{margin:0;overflow-wrap:anywhere}\
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));gap:12px;margin-top:20px}\
.card{background:#fff;border:1px solid #e3e6eb;border-radius:8px;padding:12px 16px}.card b{display:block;font-size:28px;line-height:1.2;font-variant-numeric:tabular-nums}.card span{color:#5d6675;font-size:13px}.card.main{background:#1d4ed8;border-color:#1d4ed8;color:#fff}.card.main span{color:#dbe4ff}\
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:20px}.two>section{min-width:0}\
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}th{font-weight:600;color:#5d6675;text-align:right;border-bottom:1px solid #cfd4dc;padding:5px 8px;white-space:nowrap}td{text-align:right;border-bottom:1px solid #eef0f3;padding:3px 8px}th:first-child,td:first-child{text-align:left;overflow-wrap:anywhere}td.words{text-align:left;color:#5d6675}.kinds td:first-child{white-space:nowrap}.scroll{overflow-x:auto}\
svg{display:block}svg text{font-size:11.5px;fill:#4a5261}.chart{width:100%;height:auto}.chart .axis{fill:#1f2430;font-size:12.5px}.chart .name{fill:#1f2430;font-size:13px}.grid{stroke:#e9ebef;fill:none}.line{fill:none;stroke-linejoin:round}.diagonal{stroke:#8b93a1;stroke-dasharray:4 4;fill:none}.columns{fill:#b9cbf5}.dot{fill:#1d4ed8;stroke:#fff}\
.heat{width:100%;height:auto}.heat text{font-size:11px}.heat rect{stroke:#e9ebef;stroke-width:1}.heat .right{fill:#1d4ed8}.heat .wrong{fill:#c2410c}.heat .light{fill:#fff;font-size:10px}.heat .dark{fill:#1f2430;font-size:10px}\
.small rect{fill:#f5f6f8}.small{margin-left:auto}\
.warn{background:#fff7e6;border:1px solid #f0c674;border-radius:8px;padding:10px 16px;margin-top:20px}.warn p{margin:2px 0}\
figure{margin:0 0 26px}.pair>div{display:grid;grid-template-columns:1fr 1fr;gap:10px}.pair svg{width:100%;height:auto;max-height:460px;border-radius:4px;overflow:hidden}.pair p{margin:4px 0 0;color:#5d6675;font-size:12.5px}figcaption{font-size:14px;font-weight:600;overflow-wrap:anywhere}\
.pair g rect{fill:none}.pair g .plate{stroke:none;fill-opacity:.88}.pair g text{fill:#fff}.found rect{stroke:#15803d}.found .plate{fill:#15803d!important}.failed rect{stroke:#dc2626}.failed .plate{fill:#dc2626!important}.ignored rect{stroke:#8b93a1}.ignored .plate{fill:#6b7280!important}\
@media(max-width:640px){.two,.pair>div{grid-template-columns:1fr}section{padding:16px}}@media print{body{background:#fff}section{break-inside:avoid}}";

const COLORS: [&str; 6] = ["#7c3aed", "#2563eb", "#0f766e", "#d97706", "#64748b", "#dc2626"];

/// Renders the page.
pub fn render_html(report: &Report<'_>) -> String {
    let title = escape(report.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>"
    );
    facts(&mut page, report);
    let summary = report.evaluation.summary();
    cards(&mut page, &summary);
    notes(&mut page, report);
    page.push_str("<div class=\"two\">");
    precision_recall(&mut page, report.evaluation);
    errors(&mut page, report.diagnostics);
    page.push_str("</div><div class=\"two\">");
    calibration(&mut page, report.diagnostics);
    areas(&mut page, &summary, report.diagnostics);
    page.push_str("</div>");
    classes(&mut page, report);
    confusion(&mut page, report.diagnostics);
    pictures(&mut page, report);
    page.push_str("</main></body></html>\n");
    page
}

fn facts(page: &mut String, report: &Report<'_>) {
    page.push_str("<dl class=\"facts\">");
    let classes = report.evaluation.classes();
    let objects: usize = classes.iter().map(|class| class.truths).sum();
    let detections: usize = classes.iter().map(|class| class.detections).sum();
    let counted = (
        "Counted".to_owned(),
        format!(
            "{} images, {} classes, {objects} objects, {detections} detections",
            report.evaluation.image_count(),
            classes.len()
        ),
    );
    for (name, value) in report.facts.iter().chain([&counted]) {
        let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    page.push_str("</dl>");
}

fn cards(page: &mut String, summary: &Summary) {
    page.push_str("<div class=\"cards\">");
    for (place, (name, value)) in [
        ("AP, IoU 0.50:0.95", summary.ap),
        ("AP50", summary.ap50),
        ("AP75", summary.ap75),
        ("AP small", summary.ap_small),
        ("AP medium", summary.ap_medium),
        ("AP large", summary.ap_large),
        ("AR, 100 detections", summary.ar100),
    ]
    .into_iter()
    .enumerate()
    {
        let class = if place == 0 { "card main" } else { "card" };
        let _ = write!(page, "<div class=\"{class}\"><b>{}</b><span>{name}</span></div>", percent(value));
    }
    page.push_str("</div>");
}

fn notes(page: &mut String, report: &Report<'_>) {
    let notes = report.evaluation.notes();
    let lines = [
        (
            notes.zero_ids,
            "annotations have id 0, which pycocotools takes for “no match”: their detections count as false. Number annotations from 1.",
        ),
        (notes.truths_without_image, "annotations are of images that were not evaluated."),
        (notes.truths_without_category, "annotations are of unknown classes and were left out."),
        (
            notes.detections_without_category,
            "detections are of unknown classes and were left out: compare the class ids of model and dataset.",
        ),
    ];
    if lines.iter().all(|line| line.0 == 0) {
        return;
    }
    page.push_str("<div class=\"warn\">");
    for (count, text) in lines.iter().filter(|line| line.0 > 0) {
        let _ = write!(page, "<p>{count} {text}</p>");
    }
    page.push_str("</div>");
}

fn precision_recall(page: &mut String, evaluation: &Evaluation) {
    page.push_str("<section><h2>Precision and recall</h2><p class=\"hint\">Mean over the classes that have objects. A line for each overlap (IoU); the area below a line is the AP at that overlap.</p>");
    let mut chart = UnitChart::new(460.0, 500.0, "recall", "precision", "Precision over recall");
    let recalls = &evaluation.parameters().recall_thresholds;
    let thresholds = &evaluation.parameters().iou_thresholds;
    let mut entries = Vec::new();
    for (place, &iou) in thresholds.iter().enumerate().rev() {
        let curve = evaluation.mean_precision(Some(iou));
        if curve.iter().any(|&value| value < 0.0) {
            continue;
        }
        let ap = curve.iter().sum::<f64>() / curve.len().max(1) as f64;
        // From blue to pale.
        let pale = place as f64 / thresholds.len().max(2) as f64;
        let mix = |from: f64, to: f64| (from + (to - from) * pale) as u8;
        let color = format!("#{:02x}{:02x}{:02x}", mix(29.0, 200.0), mix(78.0, 210.0), mix(216.0, 235.0));
        let named = place == 0 || iou == 0.75 || place + 1 == thresholds.len();
        let label = format!("{iou:.2}: AP {}", percent(ap));
        if named {
            entries.insert(0, (color.clone(), label.clone()));
        }
        let points = recalls.iter().copied().zip(curve).collect();
        chart.line(&Line { points, color, width: if named { 2.4 } else { 1.2 }, label: Some(label) });
    }
    chart.legend(&entries, true);
    page.push_str(&chart.finish());
    page.push_str("</section>");
}

fn errors(page: &mut String, diagnostics: &Diagnostics) {
    let _ = write!(
        page,
        "<section><h2>What the errors cost</h2><p class=\"hint\">Points of AP at IoU {:.2} (now {}) that would be gained if one kind of error alone were repaired, as in TIDE; in brackets how often it is made from score {:.2} up.</p>",
        diagnostics.iou_threshold,
        percent(diagnostics.errors.ap),
        diagnostics.score_threshold
    );
    let rows: Vec<Bar> = (diagnostics.errors.kinds.iter().zip(COLORS))
        .map(|(cost, color)| Bar {
            name: cost.kind.name().to_owned(),
            value: cost.ap_gain,
            text: format!("{:+.1} ({})", 100.0 * cost.ap_gain, cost.count_shown),
            color,
        })
        .collect();
    page.push_str(&bars(&rows, "AP gained if a kind of error were repaired"));
    page.push_str(
        "<table class=\"kinds\"><tr><th>Kind</th><th>all scores</th><th style=\"text-align:left\">meaning</th></tr>",
    );
    for cost in &diagnostics.errors.kinds {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"words\">{}</td></tr>",
            cost.kind.name(),
            cost.count,
            cost.kind.meaning()
        );
    }
    let _ = write!(
        page,
        "</table><p class=\"hint\" style=\"margin-top:10px\">No false positives at all: {:+.1}. No false negatives at all: {:+.1}.</p></section>",
        100.0 * diagnostics.errors.ap_gain_false_positives,
        100.0 * diagnostics.errors.ap_gain_false_negatives
    );
}

fn calibration(page: &mut String, diagnostics: &Diagnostics) {
    let calibration = &diagnostics.calibration;
    let _ = write!(
        page,
        "<section><h2>Can the scores be believed?</h2><p class=\"hint\">Dots: share of detections that are right, against their score; on the dashed line a score is a probability. Bars: how many detections there are (logarithmic). Expected calibration error {:.3}.</p>",
        calibration.expected_error
    );
    let mut chart = UnitChart::new(460.0, 360.0, "score", "share that is right", "Calibration of scores");
    let most = calibration.bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    for bin in &calibration.bins {
        let height = 0.9 * (1.0 + bin.count as f64).ln() / (1.0 + most).ln();
        chart.bar(
            bin.low,
            bin.high,
            height,
            "columns",
            &format!("{:.2}–{:.2}: {}", bin.low, bin.high, bin.count),
        );
    }
    chart.diagonal();
    let filled = || calibration.bins.iter().filter(|bin| bin.count > 0);
    let points = filled().map(|bin| (bin.mean_score, bin.precision)).collect();
    chart.line(&Line { points, color: "#1d4ed8".to_owned(), width: 2.0, label: None });
    for bin in filled() {
        let title =
            format!("score {:.2}: {:.0} % of {} right", bin.mean_score, 100.0 * bin.precision, bin.count);
        chart.dot(bin.mean_score, bin.precision, &title);
    }
    page.push_str(&chart.finish());
    page.push_str("</section>");
}

fn areas(page: &mut String, summary: &Summary, diagnostics: &Diagnostics) {
    page.push_str("<section><h2>All twelve numbers</h2><p class=\"hint\">In percent, as pycocotools computes them; – where there is no such object. Small: below 32² pixels; large: above 96².</p><table><tr><th>Precision</th><th>AP</th><th>Recall</th><th>AR</th></tr>");
    let names = [
        ("IoU 0.50:0.95", "1 detection"),
        ("IoU 0.50", "10 detections"),
        ("IoU 0.75", "100 detections"),
        ("small", "small"),
        ("medium", "medium"),
        ("large", "large"),
    ];
    let values = summary.values();
    for (place, (precision, recall)) in names.into_iter().enumerate() {
        let _ = write!(
            page,
            "<tr><td>{precision}</td><td>{}</td><td>{recall}</td><td>{}</td></tr>",
            percent(values[place]),
            percent(values[place + 6])
        );
    }
    page.push_str("</table>");
    if let Some(best) = diagnostics.best {
        let _ = write!(
            page,
            "<p style=\"margin:14px 0 0\">Best single threshold over all classes: score <b>{:.3}</b>, where precision is {} %, recall {} % and F1 {:.3} (IoU {:.2}).</p>",
            best.score,
            percent(best.precision),
            percent(best.recall),
            best.f1,
            diagnostics.iou_threshold
        );
    }
    page.push_str("</section>");
}

fn classes(page: &mut String, report: &Report<'_>) {
    let Report { evaluation, diagnostics, .. } = report;
    page.push_str("<section><h2>Classes</h2><p class=\"hint\">Best AP first; classes without objects are left out. Score: where F1 is best. Curves: precision over recall at the smallest overlap (blue) and at 0.75 (orange).</p><div class=\"scroll\"><table><tr><th>Class</th><th>objects</th><th>AP</th><th>AP50</th><th>AP75</th><th>small</th><th>medium</th><th>large</th><th>AR</th><th>score</th><th>F1</th><th>curves</th></tr>");
    let mut rows: Vec<(usize, _)> = evaluation.classes().into_iter().enumerate().collect();
    let all = rows.len();
    rows.retain(|(_, class)| class.truths > 0);
    rows.sort_unstable_by(|a, b| b.1.ap.total_cmp(&a.1.ap).then(a.0.cmp(&b.0)));
    let at75 = evaluation.parameters().iou_thresholds.iter().position(|&iou| iou == 0.75);
    for (place, class) in &rows {
        let _ = write!(page, "<tr><td>{}</td><td>{}</td>", escape(&class.category.name), class.truths);
        let [small, medium, large] = class.ap_by_area;
        for value in [class.ap, class.ap50, class.ap75, small, medium, large, class.ar100] {
            let _ = write!(page, "<td>{}</td>", percent(value));
        }
        match diagnostics.best_by_class.get(*place).copied().flatten() {
            Some(best) => {
                let _ = write!(page, "<td>{:.2}</td><td>{:.2}</td>", best.score, best.f1);
            }
            None => page.push_str("<td>–</td><td>–</td>"),
        }
        let curve = |threshold| evaluation.precision(*place, AreaRange::All, threshold);
        let lines = [(curve(0), "#1d4ed8"), (at75.and_then(curve), "#d97706")];
        let lines: Vec<(&[f64], &str)> =
            lines.into_iter().filter_map(|(curve, color)| curve.map(|curve| (curve, color))).collect();
        let _ = write!(page, "<td>{}</td></tr>", small_curve(&lines));
    }
    page.push_str("</table></div>");
    if all > rows.len() {
        let _ = write!(
            page,
            "<p class=\"hint\" style=\"margin-top:10px\">{} classes have no objects here.</p>",
            all - rows.len()
        );
    }
    page.push_str("</section>");
}

fn confusion(page: &mut String, diagnostics: &Diagnostics) {
    let matrix = &diagnostics.confusion;
    let _ = write!(
        page,
        "<section><h2>Which class is taken for which</h2><p class=\"hint\">Rows: what it is; columns: what it was taken for. Boxes from score {:.2} up, matched by place alone (IoU {:.2}). Last column: not found; last row: nothing is there. Shade: share of the row.",
        diagnostics.score_threshold, diagnostics.iou_threshold
    );
    let background = matrix.side() - 1;
    let weight = |class: usize| -> usize {
        (0..matrix.side()).map(|other| matrix.count(class, other) + matrix.count(other, class)).sum()
    };
    let mut shown: Vec<usize> = (0..background).filter(|&class| weight(class) > 0).collect();
    let with_boxes = shown.len();
    shown.sort_unstable_by_key(|&class| (std::cmp::Reverse(weight(class)), class));
    shown.truncate(MATRIX_CLASSES);
    shown.sort_unstable();
    if with_boxes > shown.len() {
        let _ = write!(page, " Only the {} most frequent of {with_boxes} classes are drawn.", shown.len());
    }
    page.push_str("</p>");
    shown.push(background);
    let name = |class: usize| matrix.categories.get(class).map_or("background", |category| &category.name);
    let names: Vec<String> = shown.iter().map(|&class| name(class).to_owned()).collect();
    let counts: Vec<usize> = shown
        .iter()
        .flat_map(|&truth| shown.iter().map(move |&detected| matrix.count(truth, detected)))
        .collect();
    let _ = write!(page, "<div class=\"scroll\">{}</div>", heat_map(&names, &counts, "Confusion matrix"));
    let pairs = matrix.most_confused(12);
    if !pairs.is_empty() {
        page.push_str("<table style=\"max-width:480px;margin-top:18px\"><tr><th>It is</th><th>taken for</th><th>times</th></tr>");
        for (truth, detected, count) in pairs {
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{count}</td></tr>",
                escape(name(truth)),
                escape(name(detected))
            );
        }
        page.push_str("</table>");
    }
    page.push_str("</section>");
}

fn pictures(page: &mut String, report: &Report<'_>) {
    let _ = write!(
        page,
        "<section><h2>Worst images</h2><p class=\"hint\">Most errors from score {:.2} up. Green: found or right; red: not found or wrong; grey: crowds and ignored.</p>",
        report.diagnostics.score_threshold
    );
    for (number, picture) in report.pictures.iter().enumerate() {
        page.push_str(&render(picture, number));
    }
    page.push_str("<div class=\"scroll\"><table><tr><th>Image id</th><th>errors</th><th>found</th>");
    for kind in ErrorKind::ALL {
        let _ = write!(page, "<th>{}</th>", kind.name());
    }
    page.push_str("</tr>");
    let failing = report.diagnostics.images.iter().filter(|image| image.total() > 0);
    for image in failing.clone().take(IMAGE_ROWS) {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td>",
            image.image_id,
            image.total(),
            image.correct
        );
        for count in image.errors {
            let _ = write!(page, "<td>{}</td>", if count == 0 { "·".to_owned() } else { count.to_string() });
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
    let count = failing.count();
    if count > IMAGE_ROWS {
        let _ = write!(
            page,
            "<p class=\"hint\" style=\"margin-top:10px\">… and {} more images with errors.</p>",
            count - IMAGE_ROWS
        );
    }
    page.push_str("</section>");
}
