//! Images with boxes over them.

use std::fmt::Write as _;

use picodet_image::contrasting;

use crate::page::data_uri;
use crate::text::{columns, fitted};
use crate::{escape, hex};

/// A box over an image.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureBox {
    /// `[x1, y1, x2, y2]` in pixels of the original image; the corners may be in any order.
    pub bbox: [f64; 4],
    /// The caption.
    pub label: String,
    /// The colour of the outline and behind the caption.
    pub colour: [u8; 3],
    /// Whether the outline is dashed.
    pub dashed: bool,
}

/// Boxes drawn per image.
const MAX_BOXES: usize = 300;
/// Columns of a caption before it is cut.
const LABEL_COLUMNS: usize = 40;

/// A JPEG file of any size as an SVG image of the original's `size` = (width, height). [`repeated_jpeg`] with the
/// same `id` shows it again without a second copy of the bytes.
#[must_use]
pub fn embedded_jpeg(id: &str, (width, height): (u32, u32), jpeg: &[u8]) -> String {
    format!(
        "<image id=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" href=\"{}\"/>",
        escape(id),
        width.max(1),
        height.max(1),
        data_uri("image/jpeg", jpeg)
    )
}

/// The SVG image that [`embedded_jpeg`] embedded as `id`.
#[must_use]
pub fn repeated_jpeg(id: &str) -> String {
    format!("<use href=\"#{}\"/>", escape(id))
}

/// An SVG `image` of `size` = (width, height) pixels with boxes over it, for display at about `side` pixels on its
/// longer side.
#[must_use]
pub fn picture(
    image: &str,
    (width, height): (u32, u32),
    side: f64,
    boxes: &[PictureBox],
    title: &str,
) -> String {
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    // Lines and text have the same size on small and large images.
    let unit = width.max(height) / side;
    let mut svg = format!(
        "<svg class=\"picture\" viewBox=\"0 0 {width} {height}\" style=\"max-width:{:.0}px\" role=\"img\" aria-label=\"{}\">{image}",
        width / unit,
        escape(title)
    );
    let drawn = boxes.iter().filter(|one| one.bbox.iter().all(|side| side.is_finite())).take(MAX_BOXES);
    for one in drawn.clone() {
        draw_outline(&mut svg, one, unit);
    }
    for one in drawn.filter(|one| !one.label.is_empty()) {
        draw_caption(&mut svg, one, unit, (width, height));
    }
    svg + "</svg>"
}

fn draw_outline(svg: &mut String, one: &PictureBox, unit: f64) {
    let [x1, y1, x2, y2] = one.bbox;
    let dash = if one.dashed {
        format!(" stroke-dasharray=\"{:.1} {:.1}\"", 4.0 * unit, 3.0 * unit)
    } else {
        String::new()
    };
    let _ = write!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:.1}\"{dash}/>",
        x1.min(x2),
        y1.min(y2),
        (x2 - x1).abs(),
        (y2 - y1).abs(),
        hex(one.colour),
        1.6 * unit
    );
}

/// Draws the caption above the box, shifted into the image of `size` = (width, height).
fn draw_caption(svg: &mut String, one: &PictureBox, unit: f64, size: (f64, f64)) {
    let [x1, y1, x2, y2] = one.bbox;
    let label = fitted(&one.label, LABEL_COLUMNS);
    let (height, width) = (12.0 * unit, (columns(&label) as f64 * 6.0 + 6.0) * unit);
    let left = x1.min(x2).min(size.0 - width).max(0.0);
    let top = (y1.min(y2) - height).clamp(0.0, (size.1 - height).max(0.0));
    let _ = write!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{}\" fill-opacity=\".88\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" style=\"font-size:{:.1}px;fill:{}\">{}</text>",
        hex(one.colour),
        left + 3.0 * unit,
        top + 9.2 * unit,
        10.0 * unit,
        hex(contrasting(one.colour)),
        escape(&label)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_are_not_finite_are_left_out() {
        let one = |bbox| PictureBox { bbox, label: "<a>".to_owned(), colour: [1, 2, 3], dashed: false };
        let boxes = [one([1.0, 2.0, 3.0, 4.0]), one([f64::NAN, 0.0, 1.0, 1.0])];
        let svg = picture(&repeated_jpeg("x"), (10, 10), 320.0, &boxes, "title");
        assert_eq!(svg.matches("<text").count(), 1);
        assert!(svg.contains("&lt;a&gt;") && svg.contains("#010203") && !svg.contains("NaN"));
    }
}
