//! A square matrix of counts as a heat map.

use std::fmt::Write as _;

use crate::{escape, shorten};

/// Side of a cell in pixels.
const CELL: f64 = 26.0;
/// Room for the names in pixels.
const LABEL: f64 = 118.0;

/// Counts in rows and columns of the same `names`, darker for a larger fraction of the row; the diagonal has the
/// colour of correct cells. `counts` has `names.len()` squared values, row by row; missing ones are not drawn.
#[must_use]
pub fn heat_map(names: &[String], counts: &[usize], title: &str) -> String {
    let side = names.len();
    let extent = LABEL + CELL * side as f64 + 4.0;
    // The last of the slanted names leans out of the matrix.
    let width = extent + 56.0;
    // A small matrix is not enlarged to the width of the page.
    let mut svg = format!(
        "<svg class=\"heat\" viewBox=\"0 0 {width:.0} {extent:.0}\" style=\"max-width:{width:.0}px\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for (row, name) in names.iter().enumerate() {
        let short = escape(&shorten(name, 16));
        let middle = LABEL + CELL * (row as f64 + 0.5);
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{short}</text>\
             <text transform=\"translate({:.1} {:.1}) rotate(-60)\">{short}</text>",
            LABEL - 6.0,
            middle + 4.0,
            middle + 4.0,
            LABEL - 6.0
        );
        let counts = counts.iter().skip(row * side).take(side);
        let total: usize = counts.clone().sum();
        for (column, &count) in counts.enumerate() {
            let fraction = if total == 0 { 0.0 } else { count as f64 / total as f64 };
            cell(&mut svg, (row, column), count, fraction, (name, &names[column]));
        }
    }
    svg + "</svg>"
}

fn cell(
    svg: &mut String,
    (row, column): (usize, usize),
    count: usize,
    fraction: f64,
    (row_name, column_name): (&str, &str),
) {
    let (x, y) = (LABEL + CELL * column as f64, LABEL + CELL * row as f64);
    let class = if row == column { "right" } else { "wrong" };
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0}\" height=\"{0}\" fill-opacity=\"{1:.2}\">\
         <title>{2} → {3}: {count} ({4:.0} %)</title></rect>",
        CELL - 1.0,
        // The square root keeps rare mistakes visible.
        if count == 0 { 0.0 } else { 0.12 + 0.88 * fraction.sqrt() },
        escape(row_name),
        escape(column_name),
        100.0 * fraction
    );
    if count > 0 {
        let class = if fraction > 0.3 { "light" } else { "dark" };
        let _ = write!(
            svg,
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>",
            x + CELL / 2.0 - 0.5,
            y + CELL / 2.0 + 3.0
        );
    }
}
