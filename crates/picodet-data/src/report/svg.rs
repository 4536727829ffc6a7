//! The two drawings of the report as inline SVG: bars, and an image with its boxes.

use std::fmt::Write as _;

use crate::dataset::{Dataset, ImageRecord};
use crate::voc::escape;

/// Colours of classes, told apart also by people with colour-blindness (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5c00"];

/// Horizontal bars with names at the left and counts at the right.
pub(super) fn bars(rows: &[(String, usize)]) -> String {
    let largest = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1) as f64;
    let height = rows.len() * 22 + 6;
    let mut svg = format!(
        "<svg class=\"bars\" viewBox=\"0 0 640 {height}\" width=\"640\" height=\"{height}\" role=\"img\">"
    );
    for (index, (name, count)) in rows.iter().enumerate() {
        let y = index * 22 + 4;
        let length = (*count as f64 / largest * 360.0).max(if *count > 0 { 1.0 } else { 0.0 });
        let name: String = name.chars().take(24).collect();
        let _ = write!(
            svg,
            "<text x=\"176\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"184\" y=\"{y}\" width=\"{length:.1}\" height=\"16\" fill=\"#0072b2\"/><text x=\"{:.1}\" y=\"{}\">{count}</text>",
            y + 13,
            escape(&name),
            190.0 + length,
            y + 13
        );
    }
    svg.push_str("</svg>");
    svg
}

/// An image with its boxes over it; `jpeg` is base64.
pub(super) fn sample(dataset: &Dataset, image: &ImageRecord, jpeg: &str) -> String {
    let (width, height) = (f64::from(image.width.max(1)), f64::from(image.height.max(1)));
    let unit = width.max(height) / 320.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{:.0}\" height=\"{:.0}\"><image href=\"data:image/jpeg;base64,{jpeg}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"/>",
        width / unit,
        height / unit
    );
    for object in image.objects.iter().filter(|object| object.is_finite()).take(300) {
        let [x1, y1, x2, y2] = object.bbox;
        let colour = COLOURS[object.class % COLOURS.len()];
        let dash = if object.crowd || object.difficult { " stroke-dasharray=\"4 3\"" } else { "" };
        let name = dataset.classes.get(object.class).map_or("?", |class| class.name.as_str());
        let _ = write!(
            svg,
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\"{dash}/><text x=\"{:.2}\" y=\"{:.2}\" font-size=\"{:.2}\" fill=\"{colour}\" stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
            x1.min(x2),
            y1.min(y2),
            (x2 - x1).abs(),
            (y2 - y1).abs(),
            x1.min(x2) + 2.0 * unit,
            y1.min(y2) + 11.0 * unit,
            10.0 * unit,
            escape(name)
        );
    }
    svg.push_str("</svg>");
    svg
}
