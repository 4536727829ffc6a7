//! Formats metrics as text tables for a terminal.

use std::fmt::Write as _;

use picodet_report::columns;

use crate::error_types::ErrorCosts;
use crate::evaluation::{ClassResult, Summary};

/// Formats a fraction 0 to 1 in percent with one decimal; `–` for -1, which stands for a metric without
/// objects.
pub(crate) fn percent(value: f64) -> String {
    if value < 0.0 { "–".to_owned() } else { format!("{:.1}", 100.0 * value) }
}

/// Formats a table: the first column aligned left, the others right, a rule below the head.
pub fn text_table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |row: &[String], column: usize| row.get(column).map_or(0, |text| columns(text));
    let widths: Vec<usize> = (head.iter().enumerate())
        .map(|(column, name)| rows.iter().map(|row| cell(row, column)).max().unwrap_or(0).max(columns(name)))
        .collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (column, (cell, &width)) in cells.zip(&widths).enumerate() {
            let space = " ".repeat(width.saturating_sub(columns(cell)));
            line += &if column == 0 { format!("{cell}{space}") } else { format!("  {space}{cell}") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line(&mut head.iter().copied());
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    line(&mut rule.iter().map(String::as_str));
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// Formats COCO's twelve metrics in percent, AP next to AR.
#[must_use]
pub fn summary_table(summary: &Summary) -> String {
    let row = |name: &str, ap: f64, other: &str, ar: f64| {
        vec![name.to_owned(), percent(ap), other.to_owned(), percent(ar)]
    };
    let rows = [
        row("AP   IoU 0.50:0.95", summary.ap, "AR   1 detection", summary.ar1),
        row("AP50 IoU 0.50", summary.ap50, "AR  10 detections", summary.ar10),
        row("AP75 IoU 0.75", summary.ap75, "AR 100 detections", summary.ar100),
        row("AP   small, below 32²", summary.ap_small, "AR          small", summary.ar_small),
        row("AP   medium", summary.ap_medium, "AR         medium", summary.ar_medium),
        row("AP   large, above 96²", summary.ap_large, "AR          large", summary.ar_large),
    ];
    text_table(&["Precision", "%", "Recall", "%"], &rows)
}

/// Formats the metrics of each class in percent.
#[must_use]
pub fn class_table(classes: &[ClassResult]) -> String {
    let row = |class: &ClassResult| {
        let [small, medium, large] = class.ap_by_area.map(percent);
        vec![
            class.category.name.clone(),
            class.truths.to_string(),
            class.detections.to_string(),
            percent(class.ap),
            percent(class.ap50),
            percent(class.ap75),
            small,
            medium,
            large,
            percent(class.ar100),
        ]
    };
    let head = ["Class", "objects", "detections", "AP", "AP50", "AP75", "small", "medium", "large", "AR100"];
    text_table(&head, &classes.iter().map(row).collect::<Vec<_>>())
}

/// Formats the number of errors of each kind and the AP that correcting them would gain, in points.
#[must_use]
pub fn error_table(costs: &ErrorCosts) -> String {
    let gain = |gain: f64| format!("{:+.1}", 100.0 * gain);
    let mut rows: Vec<Vec<String>> = (costs.kinds.iter())
        .map(|cost| {
            let [count, shown] = [cost.count, cost.count_shown].map(|count| count.to_string());
            let name = format!("{}: {}", cost.kind.name(), cost.kind.meaning());
            vec![name, gain(cost.ap_gain), shown, count]
        })
        .collect();
    for (name, value) in [
        ("all false positives", costs.ap_gain_false_positives),
        ("all false negatives", costs.ap_gain_false_negatives),
    ] {
        rows.push(vec![name.to_owned(), gain(value), String::new(), String::new()]);
    }
    text_table(&["Error", "AP gain", "shown", "all scores"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["人".to_owned(), "1".to_owned()], vec!["car".to_owned(), "234".to_owned()]];
        assert_eq!(text_table(&["Class", "n"], &rows), "Class    n\n-----  ---\n人       1\ncar    234\n");
    }

    #[test]
    fn missing_metrics_are_dashes() {
        assert_eq!([percent(-1.0), percent(0.0), percent(0.3756)], ["–", "0.0", "37.6"]);
    }
}
