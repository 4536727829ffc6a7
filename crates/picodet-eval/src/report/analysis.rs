//! The parts of the page that analyse errors: kinds of errors, calibration, confusion matrix.

use std::fmt::Write as _;

use picodet_report::{Axis, Bar, Chart, Line, PALETTE, Table, bars, escape, heat_map, section};

use crate::diagnostics::Diagnostics;
use crate::table::percent;

/// Rows and columns of the confusion matrix that is drawn, without the background.
const MATRIX_CLASSES: usize = 24;
/// Rows of the table of confused classes.
const CONFUSED_PAIRS: usize = 12;
/// Width of bar charts in pixels.
const BARS: f64 = 460.0;

/// The cost of each kind of error in AP, as TIDE computes it.
pub(super) fn errors(diagnostics: &Diagnostics) -> String {
    let errors = &diagnostics.errors;
    let rows: Vec<Bar<'_>> = (errors.kinds.iter().zip(PALETTE.iter().cycle()))
        .map(|(cost, colour)| Bar {
            name: cost.kind.name().to_owned(),
            value: cost.ap_gain,
            text: format!("{:+.1} ({})", 100.0 * cost.ap_gain, cost.count_shown),
            colour,
        })
        .collect();
    let mut table = Table::of_text(&["Kind", "All scores", "Meaning"]);
    for cost in &errors.kinds {
        table.row([cost.kind.name().into(), cost.count.into(), cost.kind.meaning().into()]);
    }
    let body = format!(
        "{}{}<p class=\"note\">Without any false positives: {:+.1}. Without any false negatives: {:+.1}.</p>",
        bars(&rows, BARS, "AP gained if a kind of error were corrected"),
        table.finish(),
        100.0 * errors.ap_gain_false_positives,
        100.0 * errors.ap_gain_false_negatives
    );
    let hint = format!(
        "AP gained, in points, at IoU {:.2} (AP {}) if one kind of error were corrected, as in TIDE; in brackets the \
         number of errors with scores from {:.2}.",
        diagnostics.iou_threshold,
        percent(errors.ap),
        diagnostics.score_threshold
    );
    section("Error analysis", &hint, &body)
}

/// Precision over score.
pub(super) fn calibration(diagnostics: &Diagnostics) -> String {
    let calibration = &diagnostics.calibration;
    let mut chart =
        Chart::new((460.0, 360.0), Axis::unit("score"), Axis::unit("precision"), "Calibration of scores");
    let most = calibration.bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    for bin in &calibration.bins {
        let height = 0.9 * (1.0 + bin.count as f64).ln() / (1.0 + most).ln();
        chart.column(bin.low, bin.high, height, &format!("{:.2}–{:.2}: {}", bin.low, bin.high, bin.count));
    }
    chart.diagonal();
    let filled = || calibration.bins.iter().filter(|bin| bin.count > 0);
    let points = filled().map(|bin| (bin.mean_score, bin.precision)).collect();
    chart.line(&Line { points, colour: PALETTE[0].to_owned(), width: 2.0, label: None });
    for bin in filled() {
        let title =
            format!("score {:.2}: {:.0} % of {} correct", bin.mean_score, 100.0 * bin.precision, bin.count);
        chart.dot(bin.mean_score, bin.precision, &title);
    }
    let hint = format!(
        "Dots: precision of the detections in a range of scores; on the dashed line the score is a calibrated \
         probability. Columns: number of detections (logarithmic). Expected calibration error {:.3}.",
        calibration.expected_error
    );
    section("Score calibration", &hint, &chart.finish())
}

/// The confusion matrix of the most frequent classes and the classes confused most often.
pub(super) fn confusion(diagnostics: &Diagnostics) -> String {
    let matrix = &diagnostics.confusion;
    let background = matrix.side() - 1;
    let weight = |class: usize| -> usize {
        (0..matrix.side()).map(|other| matrix.count(class, other) + matrix.count(other, class)).sum()
    };
    let mut shown: Vec<usize> = (0..background).filter(|&class| weight(class) > 0).collect();
    let with_boxes = shown.len();
    shown.sort_unstable_by_key(|&class| (std::cmp::Reverse(weight(class)), class));
    shown.truncate(MATRIX_CLASSES);
    shown.sort_unstable();
    let mut hint = format!(
        "Rows: true class; columns: detected class. Boxes with scores from {:.2}, matched by IoU {:.2} regardless of \
         class. Last column: missed; last row: background. Shade: fraction of the row.",
        diagnostics.score_threshold, diagnostics.iou_threshold
    );
    if with_boxes > shown.len() {
        let _ = write!(hint, " Only the {} most frequent of {with_boxes} classes are drawn.", shown.len());
    }
    shown.push(background);
    let name = |class: usize| matrix.categories.get(class).map_or("background", |category| &category.name);
    let names: Vec<String> = shown.iter().map(|&class| name(class).to_owned()).collect();
    let counts: Vec<usize> = shown
        .iter()
        .flat_map(|&truth| shown.iter().map(move |&detected| matrix.count(truth, detected)))
        .collect();
    let mut body = format!("<div class=\"scroll\">{}</div>", heat_map(&names, &counts, "Confusion matrix"));
    let pairs = matrix.most_confused(CONFUSED_PAIRS);
    if !pairs.is_empty() {
        let mut table = Table::of_numbers(&["True class", "Detected class", "Count"]);
        for (truth, detected, count) in pairs {
            table.row([name(truth).into(), name(detected).into(), count.into()]);
        }
        let _ = write!(body, "<h3>{}</h3>{}", escape("Most frequent confusions"), table.finish());
    }
    section("Confusion matrix", &hint, &body)
}
