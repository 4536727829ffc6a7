//! Drawings as SVG elements; text is escaped, numbers are rounded to a tenth of a pixel.

use std::fmt::Write as _;

/// Text for HTML and SVG; control characters, which they do not allow, become spaces.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// At most `most` characters.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A line of a chart.
pub(crate) struct Line {
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) color: String,
    pub(crate) width: f64,
    pub(crate) label: Option<String>,
}

const LEFT: f64 = 46.0;
const BOTTOM: f64 = 42.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 14.0;

/// A chart over 0..1 in both directions.
pub(crate) struct UnitChart {
    svg: String,
    width: f64,
    height: f64,
}

impl UnitChart {
    /// Pixels of the drawing; names of the axes; what it is, for those who cannot see it.
    pub(crate) fn new(width: f64, height: f64, x_name: &str, y_name: &str, title: &str) -> Self {
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            escape(title)
        );
        let mut chart = Self { svg: String::new(), width, height };
        for tick in 0..=5 {
            let value = f64::from(tick) / 5.0;
            let (x, y) = (chart.x(value), chart.y(value));
            let (left, right, top, bottom) = (chart.x(0.0), chart.x(1.0), chart.y(1.0), chart.y(0.0));
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}M{left:.1} {y:.1}H{right:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.1}</text>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.1}</text>",
                bottom + 15.0,
                left - 6.0,
                y + 4.0
            );
        }
        let (middle_x, middle_y) = (chart.x(0.5), chart.y(0.5));
        let _ = write!(
            svg,
            "<text class=\"axis\" x=\"{middle_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"axis\" transform=\"translate(13 {middle_y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            height - 8.0,
            escape(x_name),
            escape(y_name)
        );
        chart.svg = svg;
        chart
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + value.clamp(0.0, 1.0) * (self.width - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.height - BOTTOM - value.clamp(0.0, 1.0) * (self.height - BOTTOM - TOP)
    }

    /// A line and, at its label, a title that shows under the mouse.
    pub(crate) fn line(&mut self, line: &Line) {
        let mut path = String::new();
        for (place, &(x, y)) in line.points.iter().enumerate() {
            let _ = write!(path, "{}{:.1} {:.1}", if place == 0 { "M" } else { "L" }, self.x(x), self.y(y));
        }
        let title =
            line.label.as_ref().map_or_else(String::new, |label| format!("<title>{}</title>", escape(label)));
        let _ = write!(
            self.svg,
            "<path class=\"line\" d=\"{path}\" stroke=\"{}\" stroke-width=\"{}\">{title}</path>",
            line.color, line.width
        );
    }

    /// A dashed line from corner to corner.
    pub(crate) fn diagonal(&mut self) {
        let (a, b, c, d) = (self.x(0.0), self.y(0.0), self.x(1.0), self.y(1.0));
        let _ = write!(self.svg, "<path class=\"diagonal\" d=\"M{a:.1} {b:.1}L{c:.1} {d:.1}\"/>");
    }

    /// A bar that stands on the axis; `title` shows under the mouse.
    pub(crate) fn bar(&mut self, from: f64, to: f64, height: f64, class: &str, title: &str) {
        let (x, y) = (self.x(from), self.y(height));
        let _ = write!(
            self.svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            x + 1.0,
            (self.x(to) - x - 2.0).max(0.0),
            self.y(0.0) - y,
            escape(title)
        );
    }

    /// A filled circle.
    pub(crate) fn dot(&mut self, x: f64, y: f64, title: &str) {
        let (x, y) = (self.x(x), self.y(y));
        let _ = write!(
            self.svg,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}</title></circle>",
            escape(title)
        );
    }

    /// Names of colours from the top right corner down, or from the bottom left up.
    pub(crate) fn legend(&mut self, entries: &[(String, String)], at_top_right: bool) {
        for (place, (color, name)) in entries.iter().enumerate() {
            let (x, y) = if at_top_right {
                (self.x(1.0) - 118.0, self.y(1.0) + 16.0 + 16.0 * place as f64)
            } else {
                (self.x(0.0) + 12.0, self.y(1.0) + 16.0 + 16.0 * place as f64)
            };
            let _ = write!(
                self.svg,
                "<path d=\"M{x:.1} {:.1}h16\" stroke=\"{color}\" stroke-width=\"3\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                y - 4.0,
                x + 22.0,
                escape(name)
            );
        }
    }

    pub(crate) fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// A row of a bar chart.
pub(crate) struct Bar {
    pub(crate) name: String,
    /// Length, at least 0.
    pub(crate) value: f64,
    /// Written behind the bar.
    pub(crate) text: String,
    pub(crate) color: &'static str,
}

/// Bars that lie, all from one axis.
pub(crate) fn bars(rows: &[Bar], title: &str) -> String {
    const WIDTH: f64 = 460.0;
    const NAME: f64 = 96.0;
    const TEXT: f64 = 150.0;
    let longest = rows.iter().map(|row| row.value).fold(f64::MIN_POSITIVE, f64::max);
    let height = 12.0 + 30.0 * rows.len() as f64;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for (place, row) in rows.iter().enumerate() {
        let y = 8.0 + 30.0 * place as f64;
        let length = row.value.max(0.0) / longest * (WIDTH - NAME - TEXT);
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{NAME}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"20\" rx=\"2\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            NAME - 8.0,
            y + 14.5,
            escape(&row.name),
            length.max(1.0),
            row.color,
            NAME + length.max(1.0) + 8.0,
            y + 14.5,
            escape(&row.text)
        );
    }
    svg + "</svg>"
}

/// A matrix of counts, darker for a larger share of its row. `names`: of rows and columns.
pub(crate) fn heat_map(names: &[String], counts: &[usize], title: &str) -> String {
    const CELL: f64 = 26.0;
    const LABEL: f64 = 118.0;
    let side = names.len();
    let extent = LABEL + CELL * side as f64 + 4.0;
    // The last of the slanted names leans out of the matrix.
    let width = extent + 56.0;
    // A small matrix is not blown up to the width of the page.
    let mut svg = format!(
        "<svg class=\"heat\" viewBox=\"0 0 {width:.0} {extent:.0}\" style=\"max-width:{width:.0}px\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for (row, name) in names.iter().enumerate() {
        let name = escape(&shorten(name, 16));
        let middle = LABEL + CELL * (row as f64 + 0.5);
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\
             <text transform=\"translate({:.1} {:.1}) rotate(-60)\">{name}</text>",
            LABEL - 6.0,
            middle + 4.0,
            middle + 4.0,
            LABEL - 6.0
        );
        let total: usize = counts.iter().skip(row * side).take(side).sum();
        for (column, &count) in counts.iter().skip(row * side).take(side).enumerate() {
            let share = if total == 0 { 0.0 } else { count as f64 / total as f64 };
            let (x, y) = (LABEL + CELL * column as f64, LABEL + CELL * row as f64);
            let class = if row == column { "right" } else { "wrong" };
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0}\" height=\"{0}\" fill-opacity=\"{1:.2}\">\
                 <title>{2} → {3}: {count} ({4:.0} %)</title></rect>",
                CELL - 1.0,
                // Square root: rare mistakes are to be seen.
                if count == 0 { 0.0 } else { 0.12 + 0.88 * share.sqrt() },
                name,
                escape(&names[column]),
                100.0 * share
            );
            if count > 0 {
                let class = if share > 0.3 { "light" } else { "dark" };
                let _ = write!(
                    svg,
                    "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>",
                    x + CELL / 2.0 - 0.5,
                    y + CELL / 2.0 + 3.0
                );
            }
        }
    }
    svg + "</svg>"
}

/// Precision over recall, thumb-sized.
pub(crate) fn small_curve(lines: &[(&[f64], &str)]) -> String {
    const WIDTH: f64 = 92.0;
    const HEIGHT: f64 = 34.0;
    let mut svg = format!(
        "<svg class=\"small\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\"><rect width=\"{WIDTH}\" height=\"{HEIGHT}\"/>"
    );
    for (values, color) in lines {
        let last = values.len().saturating_sub(1).max(1) as f64;
        let mut path = String::new();
        for (place, value) in values.iter().enumerate() {
            let (x, y) = (place as f64 / last * WIDTH, HEIGHT - 1.0 - value.clamp(0.0, 1.0) * (HEIGHT - 2.0));
            let _ = write!(path, "{}{x:.1} {y:.1}", if place == 0 { "M" } else { "L" });
        }
        let _ = write!(svg, "<path class=\"line\" d=\"{path}\" stroke=\"{color}\" stroke-width=\"1.3\"/>");
    }
    svg + "</svg>"
}
