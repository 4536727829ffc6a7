//! Bounding boxes of LabelMe's shapes.

use serde_json::Value;

use crate::geometry::bounds;

/// The meaning of a shape for detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Extent {
    /// Its bounding box `[x1, y1, x2, y2]` in pixels; NaN if a coordinate is not a number.
    Box([f64; 4]),
    /// It has no area: points and lines.
    None,
    /// The number of its points is wrong for its kind.
    WrongPoints,
    /// Its kind is unknown, and its points enclose no area.
    Unknown,
}

/// Returns the kind of a shape in lower case; `polygon` if it is missing, as in the first versions of LabelMe.
pub(super) fn kind_of(shape: &Value) -> String {
    let kind = shape.get("shape_type").and_then(Value::as_str).unwrap_or("polygon");
    kind.trim().chars().take(40).collect::<String>().to_lowercase()
}

/// Whether LabelMe or X-AnyLabeling has this kind of shapes.
pub(super) fn is_known(kind: &str) -> bool {
    let kinds = [
        "rectangle",
        "polygon",
        "circle",
        "line",
        "point",
        "points",
        "linestrip",
        "mask",
        "rotation",
        "quadrilateral",
        "cuboid",
        "oriented_rectangle",
    ];
    kinds.contains(&kind)
}

/// Returns the points of a shape; NaN for coordinates that are not numbers.
pub(super) fn points_of(shape: &Value) -> Vec<[f64; 2]> {
    let points = shape.get("points").and_then(Value::as_array);
    points.into_iter().flatten().map(|point| [0, 1].map(|axis| number(point.get(axis)))).collect()
}

/// A number, or a text with one; NaN otherwise.
pub(super) fn number(value: Option<&Value>) -> f64 {
    match value {
        Some(Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
        Some(Value::String(text)) => text.trim().parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

/// Returns the bounding box of a shape of this kind with these points.
pub(super) fn extent(kind: &str, points: &[[f64; 2]]) -> Extent {
    let around = || {
        let bbox = bounds(points.iter().map(|point| point[0]), points.iter().map(|point| point[1]));
        bbox.unwrap_or([f64::NAN; 4])
    };
    let has_area = || {
        let [x1, y1, x2, y2] = around();
        // A box with NaN is reported as such.
        !(x2 <= x1 || y2 <= y1)
    };
    match (kind, points.len()) {
        // The corners are in any order; newer versions write all four.
        ("rectangle" | "mask", 2 | 4..) | ("rotation" | "polygon", 3..) => Extent::Box(around()),
        ("rectangle" | "mask" | "rotation" | "polygon", _) => Extent::WrongPoints,
        ("circle", 2) => Extent::Box(circle(points[0], points[1])),
        ("circle", _) => Extent::WrongPoints,
        ("point" | "points" | "line", _) => Extent::None,
        // Open lines and the kinds of other tools (quadrilateral, cuboid) enclose an area, if they have one.
        (_, 3..) if has_area() => Extent::Box(around()),
        ("linestrip" | "quadrilateral" | "cuboid" | "oriented_rectangle", _) => Extent::None,
        _ => Extent::Unknown,
    }
}

/// The box around a circle, given by its centre and a point of its line.
fn circle(centre: [f64; 2], point: [f64; 2]) -> [f64; 4] {
    let radius = (point[0] - centre[0]).hypot(point[1] - centre[1]);
    let bbox = [centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius];
    if bbox.iter().all(|value| value.is_finite()) { bbox } else { [f64::NAN; 4] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_with_an_area_has_its_bounding_box() {
        let square = [[20.0, 130.0], [120.0, 130.0], [120.0, 210.0], [20.0, 210.0]];
        let boxed = Extent::Box([20.0, 130.0, 120.0, 210.0]);
        let cases: [(&str, &[[f64; 2]], Extent); 19] = [
            ("rectangle", &[[120.0, 210.0], [20.0, 130.0]], boxed),
            ("rectangle", &square, boxed),
            ("rectangle", &square[..1], Extent::WrongPoints),
            ("mask", &[[20.0, 130.0], [120.0, 210.0]], boxed),
            ("polygon", &square, boxed),
            ("polygon", &square[..2], Extent::WrongPoints),
            ("rotation", &square, boxed),
            ("circle", &[[200.0, 100.0], [203.0, 104.0]], Extent::Box([195.0, 95.0, 205.0, 105.0])),
            ("circle", &square, Extent::WrongPoints),
            ("linestrip", &square[..3], boxed),
            ("linestrip", &[[0.0, 0.0], [5.0, 0.0], [9.0, 0.0]], Extent::None),
            ("quadrilateral", &square, boxed),
            ("point", &square[..1], Extent::None),
            ("line", &square[..2], Extent::None),
            ("points", &square, Extent::None),
            ("ellipse", &square, boxed),
            ("ellipse", &square[..2], Extent::Unknown),
            ("dot", &square[..1], Extent::Unknown),
            ("quadrilateral", &square[..2], Extent::None),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|(kind, points, expected)| extent(kind, points) != *expected)
            .map(|(kind, points, _)| (kind, points.len(), extent(kind, points)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn coordinates_that_are_no_numbers_give_nan() {
        let shape = serde_json::json!({"shape_type": " Rectangle", "points": [[1, "2.5"], [null, 4], 7]});
        let points = points_of(&shape);
        assert_eq!((kind_of(&shape).as_str(), points[0], points.len()), ("rectangle", [1.0, 2.5], 3));
        assert!(points[1][0].is_nan() && points[2][1].is_nan());
        assert!(matches!(extent("rectangle", &points[..2]), Extent::Box([x, ..]) if x.is_nan()));
    }
}
