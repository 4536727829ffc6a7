//! Line charts as SVG; coordinates are rounded to a tenth of a pixel.

use std::fmt::Write as _;

use crate::{PALETTE, escape};

/// Margins in pixels.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;
/// Height of a row of the legend.
const LEGEND_ROW: f64 = 16.0;
/// Size of a chart of [`line_chart`].
const LINE_CHART: (f64, f64) = (460.0, 300.0);

/// An axis: its name, its range and the values with grid lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    name: String,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis from 0 to 1.
    #[must_use]
    pub fn unit(name: &str) -> Self {
        let ticks = (0..=5).map(|tick| f64::from(tick) / 5.0).collect();
        Self { name: name.to_owned(), low: 0.0, high: 1.0, ticks }
    }

    /// An axis over the finite `values`.
    #[must_use]
    pub fn over(name: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = range(values);
        Self { name: name.to_owned(), low, high, ticks: ticks(low, high) }
    }

    /// An axis over the finite `values` that begins at 0 where that costs little of its length.
    #[must_use]
    pub fn from_zero(name: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = range(values);
        let low = if low > 0.0 && low < 0.5 * high { 0.0 } else { low };
        Self { name: name.to_owned(), low, high, ticks: ticks(low, high) }
    }

    /// The position of a value on the axis, 0 to 1; values outside its range are clamped.
    fn position(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The range of the finite values, widened for a single value; 0 to 1 without values.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low < high {
        (low, high)
    } else if low.is_finite() {
        (low - 0.5, low + 0.5)
    } else {
        (0.0, 1.0)
    }
}

/// About four round values from `low` to `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    (first..)
        .map(|index| index as f64 * step)
        .take_while(|tick| *tick <= high + 1e-9 * step)
        .take(12)
        .collect()
}

/// A tick's value without needless digits.
fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if value != 0.0 && value.abs() < 1e-4 { format!("{value:.0e}") } else { format!("{rounded}") }
}

/// A curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Points (x, y); those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// The colour as in CSS.
    pub colour: String,
    /// Width in pixels.
    pub width: f64,
    /// A title that shows under the mouse.
    pub label: Option<String>,
}

/// A chart with two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    svg: String,
    width: f64,
    height: f64,
    top: f64,
    x: Axis,
    y: Axis,
}

impl Chart {
    /// A chart of (width, height) pixels. `title` describes it to those who cannot see it.
    #[must_use]
    pub fn new(size: (f64, f64), x: Axis, y: Axis, title: &str) -> Self {
        Self::with_top(size, TOP, x, y, title)
    }

    /// A chart with names of colours above it; entries are (colour, name).
    #[must_use]
    pub fn named(size: (f64, f64), x: Axis, y: Axis, title: &str, entries: &[(&str, &str)]) -> Self {
        let top = if entries.is_empty() { TOP } else { TOP + LEGEND_ROW + 4.0 };
        let mut chart = Self::with_top(size, top, x, y, title);
        let mut left = LEFT;
        for (colour, name) in entries {
            chart.legend_entry(left, TOP + 4.0, colour, name);
            left += 40.0 + 6.2 * name.chars().count() as f64;
        }
        chart
    }

    fn with_top((width, height): (f64, f64), top: f64, x: Axis, y: Axis, title: &str) -> Self {
        let svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" style=\"max-width:{:.0}px\" role=\"img\" aria-label=\"{}\">",
            1.25 * width,
            escape(title)
        );
        let mut chart = Self { svg, width, height, top, x, y };
        chart.grid();
        chart
    }

    fn grid(&mut self) {
        let (left, right) = (LEFT, self.width - RIGHT);
        let (top, bottom) = (self.top, self.height - BOTTOM);
        for &tick in &self.x.ticks {
            let x = self.x(tick);
            let _ = write!(
                self.svg,
                "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 15.0,
                number(tick)
            );
        }
        for &tick in &self.y.ticks {
            let y = self.y(tick);
            let _ = write!(
                self.svg,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                number(tick)
            );
        }
        let _ = write!(
            self.svg,
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (left + right) / 2.0,
            self.height - 8.0,
            escape(&self.x.name)
        );
        if !self.y.name.is_empty() {
            let _ = write!(
                self.svg,
                "<text class=\"axis\" transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                (top + bottom) / 2.0,
                escape(&self.y.name)
            );
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.position(value) * (self.width - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.height - BOTTOM - self.y.position(value) * (self.height - BOTTOM - self.top)
    }

    /// Draws a curve.
    pub fn line(&mut self, line: &Line) {
        let points = line.points.iter().filter(|point| point.0.is_finite() && point.1.is_finite());
        let path = path(points.map(|&(x, y)| (self.x(x), self.y(y))));
        if path.is_empty() {
            return;
        }
        let title =
            line.label.as_ref().map_or_else(String::new, |label| format!("<title>{}</title>", escape(label)));
        let _ = write!(
            self.svg,
            "<path class=\"line\" d=\"{path}\" stroke=\"{}\" stroke-width=\"{}\">{title}</path>",
            line.colour, line.width
        );
    }

    /// Draws a dashed line from corner to corner.
    pub fn diagonal(&mut self) {
        let (left, right) = (LEFT, self.width - RIGHT);
        let (top, bottom) = (self.top, self.height - BOTTOM);
        let _ =
            write!(self.svg, "<path class=\"diagonal\" d=\"M{left:.1} {bottom:.1}L{right:.1} {top:.1}\"/>");
    }

    /// Draws a column from the x axis up to `height`; `title` shows under the mouse.
    pub fn column(&mut self, from: f64, to: f64, height: f64, title: &str) {
        let (x, y) = (self.x(from), self.y(height));
        let _ = write!(
            self.svg,
            "<rect class=\"column\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            x + 1.0,
            (self.x(to) - x - 2.0).max(0.0),
            self.height - BOTTOM - y,
            escape(title)
        );
    }

    /// Draws a filled circle; `title` shows under the mouse.
    pub fn dot(&mut self, x: f64, y: f64, title: &str) {
        let (x, y) = (self.x(x), self.y(y));
        let _ = write!(
            self.svg,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}</title></circle>",
            escape(title)
        );
    }

    /// Draws a circle of a radius in pixels; `title` shows under the mouse.
    pub fn circle(&mut self, (x, y): (f64, f64), radius: f64, colour: &str, title: &str) {
        let (x, y) = (self.x(x), self.y(y));
        let _ = write!(
            self.svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{colour}\" stroke=\"#fff\"><title>{}</title></circle>",
            escape(title)
        );
    }

    /// Writes a text below and to the right of a point, to the left if there is no room.
    pub fn label(&mut self, (x, y): (f64, f64), text: &str) {
        let (x, y) = (self.x(x), self.y(y));
        let room = self.width - RIGHT - x;
        let (x, anchor) = match room > 6.5 * text.chars().count() as f64 {
            true => (x + 9.0, "start"),
            false => (x - 9.0, "end"),
        };
        let _ = write!(
            self.svg,
            "<text class=\"axis\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            y + 15.0,
            escape(text)
        );
    }

    /// Names colours in the top right corner; entries are (colour, name).
    pub fn legend(&mut self, entries: &[(String, String)]) {
        for (index, (colour, name)) in entries.iter().enumerate() {
            let y = self.top + LEGEND_ROW * (index + 1) as f64;
            self.legend_entry(self.width - RIGHT - 118.0, y, colour, name);
        }
    }

    fn legend_entry(&mut self, x: f64, y: f64, colour: &str, name: &str) {
        let _ = write!(
            self.svg,
            "<path d=\"M{x:.1} {:.1}h16\" stroke=\"{colour}\" stroke-width=\"3\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            y - 4.0,
            x + 22.0,
            escape(name)
        );
    }

    /// Returns the chart as SVG.
    #[must_use]
    pub fn finish(self) -> String {
        self.svg + "</svg>"
    }
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
    }
    path
}

/// Named curves over their own range, in the colours of the palette, with the names above. Empty without points.
#[must_use]
pub fn line_chart(title: &str, x_name: &str, curves: &[(&str, Vec<(f64, f64)>)]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.1);
    if points().next().is_none() {
        return String::new();
    }
    let x = Axis::over(x_name, points().map(|point| point.0));
    let y = Axis::from_zero("", points().map(|point| point.1));
    let colours = PALETTE.iter().cycle();
    let names: Vec<(&str, &str)> =
        colours.clone().zip(curves).map(|(colour, curve)| (*colour, curve.0)).collect();
    let names = if curves.len() > 1 { &names[..] } else { &[] };
    let mut chart = Chart::named(LINE_CHART, x, y, title, names);
    for ((name, points), colour) in curves.iter().zip(colours) {
        let label = Some((*name).to_owned());
        chart.line(&Line { points: points.clone(), colour: (*colour).to_owned(), width: 1.6, label });
    }
    chart.finish()
}

/// Curves over 0 to 1 at the size of a table's row; each is a colour and values at equal distances.
#[must_use]
pub fn small_curves(curves: &[(&str, &[f64])]) -> String {
    const WIDTH: f64 = 92.0;
    const HEIGHT: f64 = 34.0;
    let mut svg = format!(
        "<svg class=\"small\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\"><rect width=\"{WIDTH}\" height=\"{HEIGHT}\"/>"
    );
    for (colour, values) in curves {
        let last = values.len().saturating_sub(1).max(1) as f64;
        let point = |(index, value): (usize, &f64)| {
            (index as f64 / last * WIDTH, HEIGHT - 1.0 - value.clamp(0.0, 1.0) * (HEIGHT - 2.0))
        };
        let path = path(values.iter().enumerate().map(point));
        let _ = write!(svg, "<path class=\"line\" d=\"{path}\" stroke=\"{colour}\" stroke-width=\"1.3\"/>");
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(12.0, 43.0), [20.0, 30.0, 40.0]);
        assert!(ticks(-0.5, 0.5).len() >= 2);
    }

    #[test]
    fn an_axis_needs_no_values_and_no_extent() {
        for values in [&[][..], &[3.0], &[f64::NAN, f64::INFINITY]] {
            let axis = Axis::over("", values.iter().copied());
            assert!(axis.low < axis.high && !axis.ticks.is_empty(), "{values:?}");
        }
        assert_eq!(Axis::from_zero("", [2.0, 10.0].into_iter()).low, 0.0);
        assert_eq!(Axis::from_zero("", [8.0, 10.0].into_iter()).low, 8.0);
    }

    #[test]
    fn values_that_are_not_finite_leave_no_trace() {
        let svg =
            line_chart("t", "x", &[("<a>", vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)]), ("b", vec![])]);
        assert!(!svg.contains("NaN") && svg.contains("&lt;a&gt;"));
        assert_eq!(svg.matches("class=\"line\"").count(), 1);
        assert!(line_chart("t", "x", &[("a", Vec::new())]).is_empty());
    }
}
