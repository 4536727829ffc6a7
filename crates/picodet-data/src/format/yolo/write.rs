//! Writes label files and `data.yaml`.

use std::fmt::Write as _;

use super::labels::value_in_pixels;
use super::yaml;
use crate::dataset::{Class, ImageRecord, Object};

/// Returns the rows of one image of known size. Crowd regions are left out, since YOLO would train on them, and boxes
/// far outside of the image, whose rows would be read as pixels.
#[must_use]
pub fn write_rows(image: &ImageRecord) -> String {
    let mut rows = String::new();
    for object in image.objects.iter().filter(|object| has_row(image, object)) {
        write_row(&mut rows, object, image);
    }
    rows
}

/// Whether a row can represent an object.
pub(super) fn has_row(image: &ImageRecord, object: &Object) -> bool {
    let [x, y, w, h] = fractions(image, object);
    !object.crowd && value_in_pixels(&[x, y], &[w, h]).is_none()
}

/// Adds the row of an object.
pub(super) fn write_row(rows: &mut String, object: &Object, image: &ImageRecord) {
    let [x, y, w, h] = fractions(image, object);
    let _ = writeln!(rows, "{} {x} {y} {w} {h}", object.class);
}

/// Returns centre and size of a box as fractions of the image.
fn fractions(image: &ImageRecord, object: &Object) -> [f64; 4] {
    let (width, height) = (f64::from(image.width.max(1)), f64::from(image.height.max(1)));
    let [x1, y1, x2, y2] = object.bbox;
    [(x1 + x2) / 2.0 / width, (y1 + y2) / 2.0 / height, (x2 - x1) / width, (y2 - y1) / height]
}

/// Returns a `data.yaml` for these splits (name and folder).
#[must_use]
pub fn write_data_yaml(classes: &[Class], splits: &[(String, String)]) -> String {
    let mut text = String::from("path: .\n");
    for (name, folder) in splits {
        let _ = writeln!(text, "{name}: {}", yaml::quote(folder));
    }
    let _ = writeln!(text, "nc: {}\nnames:{}", classes.len(), if classes.is_empty() { " []" } else { "" });
    for (index, class) in classes.iter().enumerate() {
        let _ = writeln!(text, "  {index}: {}", yaml::quote(&class.name));
    }
    text
}
