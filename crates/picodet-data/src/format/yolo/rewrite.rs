//! Copies the rows of label files with all their columns, and changes only those that differ in the dataset.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::data_yaml::{load_yaml, parse_data_yaml};
use super::labels::MAX_LABELS;
use super::write::{has_row, write_row};
use super::yaml::{self, Yaml};
use crate::dataset::{Dataset, ImageRecord, Object, Part};
use crate::finding::Findings;
use crate::geometry::bounds;
use crate::loss::Loss;
use crate::text::{clip, read_text};
use crate::walk::has_extension;

/// Keys of a data file that are written from the dataset.
const WRITTEN: [&str; 8] = ["path", "train", "val", "valid", "validation", "test", "nc", "names"];

/// Returns the rows of one image with the columns of its label file that the dataset does not represent; `None`
/// if the label file cannot be read.
pub(super) fn rewrite_rows(dataset: &Dataset, image: &ImageRecord) -> Option<String> {
    let text = source(dataset, image)?;
    let lines: Vec<&str> = text.lines().collect();
    let mut rows = String::new();
    for object in image.objects.iter().filter(|object| has_row(image, object)) {
        let line = (object.source as usize).checked_sub(1).and_then(|line| lines.get(line));
        let columns: Vec<&str> = line.map(|line| line.split_whitespace().collect()).unwrap_or_default();
        match rest_of_row(&columns, object, image) {
            Some(rest) => {
                let _ = writeln!(rows, "{} {rest}", object.class);
            }
            None => write_row(&mut rows, object, image),
        }
    }
    Some(rows)
}

fn source(dataset: &Dataset, image: &ImageRecord) -> Option<String> {
    let path = dataset.root.join(image.label.as_ref()?);
    read_text(&path, MAX_LABELS, "a YOLO label file", &mut Findings::default()).ok()
}

/// Returns the columns of a row after the class, clipped to the image if the object is; `None` if the row is of
/// another object, or only of a box that has changed.
fn rest_of_row(columns: &[&str], object: &Object, image: &ImageRecord) -> Option<String> {
    let numbers: Option<Vec<f64>> = columns.iter().skip(1).map(|text| text.parse().ok()).collect();
    let numbers = numbers.filter(|numbers| numbers.len() >= 4)?;
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    let clipped = |[x1, y1, x2, y2]: [f64; 4]| [x1.max(0.0), y1.max(0.0), x2.min(width), y2.min(height)];
    let [x, y, w, h] = [numbers[0], numbers[1], numbers[2], numbers[3]];
    let as_box =
        [(x - w / 2.0) * width, (y - h / 2.0) * height, (x + w / 2.0) * width, (y + h / 2.0) * height];
    let points = || numbers.iter().copied();
    let as_polygon = bounds(points().step_by(2), points().skip(1).step_by(2))
        .filter(|_| numbers.len() >= 6 && numbers.len() % 2 == 0)
        .map(|[x1, y1, x2, y2]| [x1 * width, y1 * height, x2 * width, y2 * height]);
    if object.bbox == as_box || Some(object.bbox) == as_polygon {
        return Some(columns[1..].join(" "));
    }
    if as_polygon.map(clipped) == Some(object.bbox) {
        let inside: Vec<String> = points().map(|value| value.clamp(0.0, 1.0).to_string()).collect();
        return Some(inside.join(" "));
    }
    if columns.len() > 5 && clipped(as_box) == object.bbox {
        let mut row = String::new();
        write_row(&mut row, object, image);
        let fields = row.trim_end().split_once(' ')?.1.to_string();
        return Some(format!("{fields} {}", columns[5..].join(" ")));
    }
    None
}

/// Returns the lines of the data file, from keys at its top level that are not written from the dataset.
pub(super) fn rest_of_yaml(parts: &[Part<'_>]) -> String {
    let Some((text, splits)) = data_file(parts) else { return String::new() };
    let mut kept = String::new();
    let mut entry = Entry::Written;
    for line in text.lines() {
        let first = line.chars().next();
        if first.is_some_and(|c| !c.is_whitespace() && !matches!(c, '#' | '-' | '}' | ']')) {
            entry = Entry::of(line, &splits);
        } else if matches!(line, "---" | "...") {
            entry = Entry::Written;
        }
        let is_content = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        // Within a block of text, lines that look like comments are text.
        if entry == Entry::Text || (entry == Entry::Kept && is_content) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The keys of the data file that a dataset does not represent.
fn other_keys(parts: &[Part<'_>]) -> Vec<String> {
    let Some((text, splits)) = data_file(parts) else { return Vec::new() };
    match yaml::parse(&text, Path::new("")) {
        Ok(Yaml::Map(entries)) => {
            let names = entries.into_iter().map(|(key, _)| key);
            names.filter(|key| !is_written(key, &splits) && key != "kpt_shape").collect()
        }
        _ => Vec::new(),
    }
}

/// An entry of a data file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// It is written from the dataset.
    Written,
    Kept,
    /// It is kept, and its value is a block of text.
    Text,
}

impl Entry {
    /// The entry that begins with a line.
    fn of(line: &str, splits: &[String]) -> Self {
        let Some((key, value)) = line.split_once(':').filter(|_| !line.starts_with('{')) else {
            return Self::Written;
        };
        if is_written(key.trim().trim_matches(['"', '\'']), splits) {
            return Self::Written;
        }
        if value.trim_start().starts_with(['|', '>']) { Self::Text } else { Self::Kept }
    }
}

fn is_written(key: &str, splits: &[String]) -> bool {
    WRITTEN.iter().any(|written| written.eq_ignore_ascii_case(key)) || splits.iter().any(|split| split == key)
}

/// Returns the text and the splits of the data file of a dataset.
fn data_file(parts: &[Part<'_>]) -> Option<(String, Vec<String>)> {
    let path = parts.first()?.dataset.annotations.as_ref()?;
    // A list of classes is no data file, even if a name has a colon.
    if !has_extension(&path.to_string_lossy(), &["yaml", "yml"]) {
        return None;
    }
    let text = read_text(path, 4 << 20, "a data.yaml", &mut Findings::default()).ok()?;
    let data = parse_data_yaml(&text, path, &mut Findings::default()).ok()?;
    Some((text, data.splits.into_keys().collect()))
}

/// Counts the columns of the label files that a dataset does not represent.
pub(super) fn extras(parts: &[Part<'_>]) -> Vec<Loss> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for part in parts {
        let yaml = part.dataset.annotations.as_ref();
        let data = yaml.and_then(|path| load_yaml(path, &mut Findings::default()).ok());
        let pose = data.is_some_and(|data| data.keypoints.is_some());
        let images = &part.dataset.images;
        let found = picodet_parallel::map(0..images.len(), 0, |index| {
            let text = source(part.dataset, &images[index]).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            // Rows that were left out are no objects.
            let row =
                |object: &&Object| (object.source as usize).checked_sub(1).and_then(|line| lines.get(line));
            let is_longer = |object: &&Object| {
                row(object).is_some_and(|line| line.split_whitespace().take(6).count() > 5)
            };
            images[index].objects.iter().filter(is_longer).count()
        });
        let total: usize = found.into_iter().sum();
        let what = if pose { "keypoints of objects" } else { "polygons (their bounding boxes are kept)" };
        if total > 0 {
            *counts.entry(what).or_default() += total;
        }
    }
    let of_rows = counts.into_iter().map(|(what, count)| Loss { what: what.to_string(), count });
    let of_file = other_keys(parts).into_iter();
    of_rows
        .chain(of_file.map(|key| Loss { what: format!("`{}` of the data file", clip(&key)), count: 1 }))
        .collect()
}
