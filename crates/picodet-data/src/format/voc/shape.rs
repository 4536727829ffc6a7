//! Bounding boxes of VOC objects: `<bndbox>`, rotated boxes and polygons.

use roxmltree::Node;

use super::xml::{child, text_of};
use crate::finding::FindingKind;
use crate::geometry::{bounds, rotated};
use crate::text::clip;

/// Why an object has no box.
pub(super) type Fault = (FindingKind, String);

/// Returns the box `[x1, y1, x2, y2]` of an object: of its `<bndbox>`, otherwise the bounding box of its rotated box or
/// polygon; `None` if it has neither.
pub(super) fn bounding_box(object: Node<'_, '_>) -> Option<Result<[f64; 4], Fault>> {
    if let Some(corners) = child(object, "bndbox") {
        let complete = || ["xmin", "ymin", "xmax", "ymax"].iter().all(|tag| child(corners, tag).is_some());
        return match points_box(corners) {
            Some(bbox) if !complete() => Some(bbox),
            _ => Some(corner_box(corners).map(|bbox| rotated_by_attribute(object, bbox))),
        };
    }
    if let Some(rotated) = ["robndbox", "rotated_bndbox", "rbndbox"].iter().find_map(|tag| child(object, tag))
    {
        return Some(rotated_box(rotated));
    }
    polygon(object).and_then(points_box)
}

fn polygon<'a, 'input>(object: Node<'a, 'input>) -> Option<Node<'a, 'input>> {
    ["polygon", "segmentation", "points"].iter().find_map(|tag| child(object, tag))
}

/// Returns the bounding box of the polygon of an object whose `<bndbox>` has no coordinates or no area.
pub(super) fn derived_box(object: Node<'_, '_>, bbox: &Result<[f64; 4], Fault>) -> Option<[f64; 4]> {
    let is_empty = match bbox {
        Ok([x1, y1, x2, y2]) => x1 == x2 || y1 == y2,
        Err((kind, _)) => *kind == FindingKind::MissingField,
    };
    let has_area = |[x1, y1, x2, y2]: &[f64; 4]| x1 < x2 && y1 < y2;
    let derived = polygon(object).filter(|_| is_empty).and_then(points_box)?.ok();
    derived.filter(has_area)
}

/// Reads `<xmin>`, `<ymin>`, `<xmax>`, `<ymax>`.
fn corner_box(corners: Node<'_, '_>) -> Result<[f64; 4], Fault> {
    let mut bbox = [f64::NAN; 4];
    for (slot, tag) in ["xmin", "ymin", "xmax", "ymax"].into_iter().enumerate() {
        bbox[slot] = number(corners, tag)?;
    }
    Ok(bbox)
}

/// Returns the bounding box of a box that CVAT rotates around its centre by an attribute `rotation`, in degrees.
fn rotated_by_attribute(object: Node<'_, '_>, bbox: [f64; 4]) -> [f64; 4] {
    let attributes = child(object, "attributes").into_iter().flat_map(|list| list.children());
    let rotation = attributes
        .filter(|attribute| text_of(*attribute, "name") == Some("rotation"))
        .find_map(|attribute| text_of(attribute, "value")?.parse::<f64>().ok())
        .filter(|degrees| degrees.is_finite() && *degrees != 0.0);
    let Some(degrees) = rotation else { return bbox };
    let [x1, y1, x2, y2] = bbox;
    rotated([(x1 + x2) / 2.0, (y1 + y2) / 2.0, x2 - x1, y2 - y1, degrees.to_radians()])
}

/// Returns the bounding box of a centre, size and angle in radians.
fn rotated_box(node: Node<'_, '_>) -> Result<[f64; 4], Fault> {
    let mut values = [0.0; 5];
    for (slot, tag) in ["cx", "cy", "w", "h", "angle"].into_iter().enumerate() {
        values[slot] = number(node, tag)?;
    }
    Ok(rotated(values))
}

/// Returns the bounding box of `<x1>`, `<y1>`, `<x2>`, … or of `<pt><x/><y/></pt>`; `None` without points.
fn points_box(node: Node<'_, '_>) -> Option<Result<[f64; 4], Fault>> {
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for element in node.descendants().filter(Node::is_element) {
        let tag = element.tag_name().name();
        let list = match tag.as_bytes() {
            [b'x' | b'X', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => &mut xs,
            [b'y' | b'Y', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => &mut ys,
            _ => continue,
        };
        let text = element.text().unwrap_or_default().trim();
        match text.parse::<f64>() {
            Ok(value) => list.push(value),
            Err(_) => {
                let message = format!("<{tag}> is `{}`; object left out", clip(text));
                return Some(Err((FindingKind::BadNumber, message)));
            }
        }
    }
    (xs.len() >= 2 && xs.len() == ys.len())
        .then(|| Ok(bounds(xs.into_iter(), ys.into_iter()).unwrap_or([f64::NAN; 4])))
}

fn number(node: Node<'_, '_>, tag: &str) -> Result<f64, Fault> {
    let Some(text) = text_of(node, tag) else {
        let message = format!("<{}> has no <{tag}>; object left out", node.tag_name().name());
        return Err((FindingKind::MissingField, message));
    };
    text.parse()
        .map_err(|_| (FindingKind::BadNumber, format!("<{tag}> is `{}`; object left out", clip(text))))
}
