//! Horizontal bars.

use std::fmt::Write as _;

use crate::escape;
use crate::text::{columns, fitted};

/// A row of a bar chart.
#[derive(Clone, Debug)]
pub struct Bar<'a> {
    /// The name to the left of the bar.
    pub name: String,
    /// The length; negative values are drawn as 0.
    pub value: f64,
    /// The text to the right of the bar.
    pub text: String,
    /// The colour as in CSS.
    pub colour: &'a str,
}

/// Height of a row in pixels.
const ROW: f64 = 24.0;
/// Width of a column of text in pixels.
const COLUMN: f64 = 7.0;
/// Columns of a name before it is cut.
const NAME_COLUMNS: usize = 24;
/// Smallest visible length in pixels.
const SHORTEST: f64 = 1.0;

/// Bars from one axis, the longest as long as the `width` in pixels allows. `title` describes the chart to
/// those who cannot see it.
#[must_use]
pub fn bars(rows: &[Bar<'_>], width: f64, title: &str) -> String {
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0) as f64 * COLUMN;
    let names = widest(&mut rows.iter().map(|row| columns(&row.name).min(NAME_COLUMNS)));
    let texts = widest(&mut rows.iter().map(|row| columns(&row.text)));
    let (left, room) = (names + 10.0, (width - names - texts - 26.0).max(20.0));
    let longest = rows.iter().map(|row| row.value).fold(f64::MIN_POSITIVE, f64::max);
    let height = ROW * rows.len() as f64 + 4.0;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" style=\"max-width:{width}px\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for (index, row) in rows.iter().enumerate() {
        let y = 2.0 + ROW * index as f64;
        let length = row.value / longest * room;
        let length = if row.value > 0.0 { length.max(SHORTEST) } else { 0.0 };
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left - 8.0,
            y + 16.0,
            escape(&fitted(&row.name, NAME_COLUMNS)),
            y + 3.0,
            ROW - 6.0,
            row.colour,
            left + length + 7.0,
            y + 16.0,
            escape(&row.text)
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_room_and_zero_has_no_bar() {
        let bar = |name: &str, value: f64| Bar {
            name: name.to_owned(),
            value,
            text: "<1>".to_owned(),
            colour: "red",
        };
        let svg = bars(&[bar("a", 4.0), bar("b", 2.0), bar("c", 0.0), bar("d", -1.0)], 400.0, "title");
        let widths: Vec<f64> = svg
            .split("<rect ")
            .skip(1)
            .filter_map(|rect| rect.split(" width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths.len(), 4);
        assert!(
            (widths[0] - 2.0 * widths[1]).abs() < 0.11 && widths[2] == 0.0 && widths[3] == 0.0,
            "{widths:?}"
        );
        assert!(svg.contains("&lt;1&gt;"));
    }
}
