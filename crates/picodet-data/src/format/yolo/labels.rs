//! Parses one label file.

use crate::dataset::Object;
use crate::finding::{FindingKind, Findings, Location};
use crate::geometry::bounds;
use crate::text::clip;

/// Maximum number of columns in one row: a polygon of ten thousand points.
const MAX_COLUMNS: usize = 20_001;
/// Tolerance of coordinates below 0 and above 1, for rounding errors.
const TOLERANCE: f64 = 1e-3;

/// Parses the rows `class x y w h` of a label file; centre and size are fractions of the upright image of
/// `size` pixels (width, height). Polygon rows are replaced by their bounding boxes. Malformed rows are left
/// out and added to `findings` with the file name `file`.
pub fn parse_labels(
    text: &str,
    size: (u32, u32),
    classes: usize,
    file: &str,
    findings: &mut Findings,
) -> Vec<Object> {
    let mut objects = Vec::new();
    for (number, line) in text.lines().enumerate() {
        objects.extend(parse_row(line, number as u64 + 1, size, classes, file, findings));
    }
    objects
}

/// Parses the row in this 1-based line; `None` if it is empty or left out.
fn parse_row(
    line: &str,
    number: u64,
    size: (u32, u32),
    classes: usize,
    file: &str,
    findings: &mut Findings,
) -> Option<Object> {
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let location = || Location::line(file, number);
    // One more than the maximum is sufficient; a row of a million numbers is not collected.
    let columns: Vec<&str> = line.split_whitespace().take(MAX_COLUMNS + 1).collect();
    if columns.is_empty() {
        return None;
    }
    let polygon = columns.len() >= 7 && columns.len() % 2 == 1;
    if columns.len() > MAX_COLUMNS || !(columns.len() == 5 || polygon) {
        let count = line.split_whitespace().count();
        let hint = if count == 6 { " (a sixth column is a detector's score)" } else { "" };
        let message = format!("{count} columns; a row is `class x y w h`{hint}; row left out");
        findings.push(FindingKind::YoloColumns, location(), message);
        return None;
    }
    let numbers: Result<Vec<f64>, _> =
        columns[1..].iter().map(|text| text.parse::<f64>().map_err(|_| *text)).collect();
    let numbers = match numbers {
        Ok(numbers) => numbers,
        Err(text) => {
            let message = format!("`{}` is not a number; row left out", clip(text));
            findings.push(FindingKind::BadNumber, location(), message);
            return None;
        }
    };
    let class = match columns[0].parse::<f64>() {
        Ok(class) if class.fract() == 0.0 && class >= 0.0 && class < classes as f64 => class as usize,
        _ => {
            let message = format!(
                "class `{}` is not an index below {classes}, the number of names; row left out",
                clip(columns[0])
            );
            findings.push(FindingKind::YoloClass, location(), message);
            return None;
        }
    };
    let out_of_range = |value: &&f64| value.is_finite() && !(-TOLERANCE..=1.0 + TOLERANCE).contains(*value);
    // A negative width is reported by the checks as an inverted box.
    let checked = if polygon { &numbers[..] } else { &numbers[..2] };
    let too_large = numbers.iter().find(|value| value.is_finite() && **value > 1.0 + TOLERANCE);
    if let Some(value) = checked.iter().find(out_of_range).or(too_large) {
        let message = format!("{value} is not between 0 and 1; row left out");
        findings.push(FindingKind::YoloRange, location(), message);
        return None;
    }
    let bbox = if polygon {
        findings.push(FindingKind::YoloPolygon, location(), format!("{} points", numbers.len() / 2));
        let xs = || numbers.iter().step_by(2).copied();
        let ys = || numbers.iter().skip(1).step_by(2).copied();
        bounds(xs(), ys())
            .map_or([f64::NAN; 4], |[x1, y1, x2, y2]| [x1 * width, y1 * height, x2 * width, y2 * height])
    } else {
        let [x, y, w, h] = numbers[..] else { return None };
        [(x - w / 2.0) * width, (y - h / 2.0) * height, (x + w / 2.0) * width, (y + h / 2.0) * height]
    };
    let source = u32::try_from(number).unwrap_or(u32::MAX);
    Some(Object { source, ..Object::new(class, bbox) })
}
