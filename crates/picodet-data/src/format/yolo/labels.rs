//! Parses one label file.

use crate::dataset::Object;
use crate::finding::{FindingKind, Findings, Location};
use crate::geometry::bounds;
use crate::text::clip;

/// Largest label file in bytes.
pub(super) const MAX_LABELS: u64 = 64 << 20;
/// Maximum number of columns in one row: a polygon of ten thousand points.
const MAX_COLUMNS: usize = 20_001;
/// Fractions from −0.5 to 1.5 are boxes that extend beyond the image; others are pixels.
const RANGE: std::ops::RangeInclusive<f64> = -0.5..=1.5;
/// The largest width and height of a box in the range.
const MAX_EXTENT: f64 = 2.0;

/// The meaning of rows, from the data file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RowFormat {
    /// Class index in the rows of each class; sorted.
    pub(super) indices: Vec<u32>,
    /// Number of keypoints per object and of values per keypoint; the first five columns are the box.
    pub(super) keypoints: Option<[usize; 2]>,
}

impl RowFormat {
    /// Rows of `classes` classes with the indices 0, 1, 2, ….
    fn plain(classes: usize) -> Self {
        Self { indices: (0..).take(classes).collect(), keypoints: None }
    }

    /// The position of a class in the list, by its index in the rows.
    fn class(&self, text: &str) -> Option<usize> {
        self.indices.binary_search(&class_index(text)?).ok()
    }

    /// Whether the indices of the classes are 0, 1, 2, ….
    pub(super) fn begins_at_zero(&self) -> bool {
        !self.indices.is_empty() && (0..).zip(&self.indices).all(|(expected, index)| expected == *index)
    }
}

/// The first column of a row.
pub(super) fn class_index(text: &str) -> Option<u32> {
    let index = text.parse::<f64>().ok()?;
    (index.fract() == 0.0 && (0.0..4e9).contains(&index)).then_some(index as u32)
}

/// Sorted indices as text, as in `0 to 2, 5`; the first ten ranges.
fn ranges(indices: &[u32]) -> String {
    let follows = |a: &u32, b: &u32| a.checked_add(1) == Some(*b);
    let mut parts: Vec<String> = Vec::new();
    for run in indices.chunk_by(follows) {
        match run {
            _ if parts.len() == 10 => {
                parts.push("…".to_string());
                break;
            }
            [first, .., last] => parts.push(format!("{first} to {last}")),
            [only] => parts.push(only.to_string()),
            [] => {}
        }
    }
    parts.join(", ")
}

/// Least and largest class index of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IndexRange(Option<(u32, u32)>);

impl IndexRange {
    /// The smallest range that contains both.
    pub(super) fn union(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some((a, b)), Some((c, d))) => Self(Some((a.min(c), b.max(d)))),
            (range, other) => Self(range.or(other)),
        }
    }

    /// Whether index 0 does not occur.
    pub(super) fn is_without_zero(self) -> bool {
        self.0.is_some_and(|(least, _)| least > 0)
    }

    /// Whether these are the indices 1 to `classes`, of which the last one occurs.
    pub(super) fn begins_at_one(self, classes: usize) -> bool {
        self.is_without_zero() && self.0.is_some_and(|(_, most)| most as usize == classes)
    }
}

/// The rows of a label file.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The objects of valid rows.
    pub(super) objects: Vec<Object>,
    /// Number of rows with a class and coordinates.
    pub(super) count: usize,
    /// The class indices of all rows.
    pub(super) indices: IndexRange,
    /// Rows with values far outside of 0…1, which were left out.
    pub(super) in_pixels: Findings,
    /// The largest of their values.
    pub(super) largest: f64,
}

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
    let rows = parse_rows(text, size, &RowFormat::plain(classes), file, findings);
    findings.extend(rows.in_pixels);
    rows.objects
}

/// Parses the rows of a label file as [`parse_labels`].
pub(super) fn parse_rows(
    text: &str,
    size: (u32, u32),
    format: &RowFormat,
    file: &str,
    findings: &mut Findings,
) -> Rows {
    let mut rows = Rows::default();
    // Number of polygons, with the line and the number of points of the first.
    let mut polygons: (usize, Option<(Location, usize)>) = (0, None);
    for (number, line) in (1..).zip(text.lines()) {
        let location = Location::line(file, number);
        let index = line.split_whitespace().next().and_then(class_index);
        rows.indices = rows.indices.union(IndexRange(index.map(|index| (index, index))));
        match parse_row(line, size, format, &location, findings) {
            Row::Empty | Row::LeftOut => {}
            Row::InPixels(value) => {
                rows.count += 1;
                let values =
                    line.split_whitespace().skip(1).take(4).filter_map(|text| text.parse::<f64>().ok());
                rows.largest = values.fold(rows.largest, f64::max);
                let message = format!("{value} is not between 0 and 1; row left out");
                rows.in_pixels.push(FindingKind::YoloRange, location, message);
            }
            Row::Object(object, points) => {
                rows.count += 1;
                if let Some(points) = points {
                    polygons.0 += 1;
                    polygons.1.get_or_insert((location, points));
                }
                let source = u32::try_from(number).unwrap_or(u32::MAX);
                rows.objects.push(Object { source, ..object });
            }
        }
    }
    if let (count, Some((location, points))) = polygons {
        let message = match count {
            1 => format!("{points} points"),
            _ => format!("{count} rows are polygons, the first has {points} points"),
        };
        findings.push(FindingKind::YoloPolygon, location, message);
    }
    rows
}

/// Returns the first value that can only be in pixels, of the positions and then of the extents.
pub(super) fn value_in_pixels(positions: &[f64], extents: &[f64]) -> Option<f64> {
    let far = |value: &&f64| value.is_finite() && !RANGE.contains(*value);
    let too_large = |value: &&f64| value.is_finite() && **value > MAX_EXTENT;
    positions.iter().find(far).or_else(|| extents.iter().find(too_large)).copied()
}

/// Whether a row is of DOTA: four corners in pixels, the name of the class, and usually the difficulty.
pub(crate) fn is_dota(columns: &[&str]) -> bool {
    let is_number = |text: &&str| text.parse::<f64>().is_ok();
    matches!(columns.len(), 9 | 10) && columns[..8].iter().all(is_number) && !is_number(&columns[8])
}

/// The meaning of a row.
enum Row {
    Empty,
    /// Malformed; a finding has the reason.
    LeftOut,
    /// A value is far outside of 0…1.
    InPixels(f64),
    /// An object, with the number of points of its polygon.
    Object(Object, Option<usize>),
}

fn parse_row(
    line: &str,
    size: (u32, u32),
    format: &RowFormat,
    location: &Location,
    findings: &mut Findings,
) -> Row {
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    // One more than the maximum is sufficient; a row of a million numbers is not collected.
    let columns: Vec<&str> = line.split_whitespace().take(MAX_COLUMNS + 1).collect();
    if columns.is_empty() {
        return Row::Empty;
    }
    let mut leave_out = |kind: FindingKind, message: String| {
        findings.push(kind, location.clone(), message);
        Row::LeftOut
    };
    let pose = format.keypoints.map(|[count, values]| 5 + count * values);
    let polygon = pose.is_none() && columns.len() >= 7 && columns.len() % 2 == 1;
    let has_known_count = columns.len() == 5 || polygon || pose == Some(columns.len());
    if columns.len() > MAX_COLUMNS || !has_known_count || is_dota(&columns) {
        let count = line.split_whitespace().count();
        let expected = match format.keypoints {
            Some([number, values]) => format!("`class x y w h` and {number} keypoints of {values} values"),
            None => "`class x y w h`".to_string(),
        };
        let hint = match (pose, count) {
            _ if is_dota(&columns) => " (this is a row of DOTA, with corners in pixels and a class name)",
            (None, 6) => " (a sixth column is a detector's score)",
            (None, 8..) => " (rows with keypoints need `kpt_shape` in the data file)",
            _ => "",
        };
        return leave_out(
            FindingKind::YoloColumns,
            format!("{count} columns; a row is {expected}{hint}; row left out"),
        );
    }
    // Keypoints are not read.
    let values = if polygon { &columns[1..] } else { &columns[1..5] };
    let numbers: Result<Vec<f64>, &str> = values
        .iter()
        .map(|text| text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(*text))
        .collect();
    let numbers = match numbers {
        Ok(numbers) => numbers,
        Err(text) => {
            let message = format!("`{}` is not a finite number; row left out", clip(text));
            return leave_out(FindingKind::BadNumber, message);
        }
    };
    let Some(class) = format.class(columns[0]) else {
        let expected = if format.begins_at_zero() || format.indices.is_empty() {
            format!("an index below {}, the number of names", format.indices.len())
        } else {
            format!("one of the indices {} of `names`", ranges(&format.indices))
        };
        let message = format!("class `{}` is not {expected}; row left out", clip(columns[0]));
        return leave_out(FindingKind::YoloClass, message);
    };
    // A negative width is reported by the checks as an inverted box.
    let (positions, extents) = if polygon { (&numbers[..], &[][..]) } else { numbers.split_at(2) };
    if let Some(value) = value_in_pixels(positions, extents) {
        return Row::InPixels(value);
    }
    let bbox = if polygon {
        let xs = || numbers.iter().step_by(2).copied();
        let ys = || numbers.iter().skip(1).step_by(2).copied();
        bounds(xs(), ys())
            .map_or([f64::NAN; 4], |[x1, y1, x2, y2]| [x1 * width, y1 * height, x2 * width, y2 * height])
    } else {
        let [x, y, w, h] = numbers[..] else { return Row::LeftOut };
        [(x - w / 2.0) * width, (y - h / 2.0) * height, (x + w / 2.0) * width, (y + h / 2.0) * height]
    };
    Row::Object(Object::new(class, bbox), polygon.then_some(numbers.len() / 2))
}
