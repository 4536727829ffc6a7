//! Writes label files and `data.yaml`.

use std::fmt::Write as _;

use super::yaml;
use crate::dataset::{Class, ImageRecord, Object};

/// Returns the rows of one image of known size. Crowd regions are left out, since YOLO would train on them.
#[must_use]
pub fn write_rows(image: &ImageRecord) -> String {
    let mut rows = String::new();
    for object in image.objects.iter().filter(|object| !object.crowd) {
        write_row(&mut rows, object, image);
    }
    rows
}

/// Adds the row of an object.
pub(super) fn write_row(rows: &mut String, object: &Object, image: &ImageRecord) {
    let (width, height) = (f64::from(image.width.max(1)), f64::from(image.height.max(1)));
    let [x1, y1, x2, y2] = object.bbox;
    let x = (x1 + x2) / 2.0 / width;
    let y = (y1 + y2) / 2.0 / height;
    let (w, h) = ((x2 - x1) / width, (y2 - y1) / height);
    let _ = writeln!(rows, "{} {x} {y} {w} {h}", object.class);
}

/// Returns a `data.yaml` for these splits (name and folder).
#[must_use]
pub fn write_data_yaml(classes: &[Class], splits: &[(String, String)]) -> String {
    let mut text = String::from("path: .\n");
    for (name, folder) in splits {
        let _ = writeln!(text, "{name}: {}", yaml::quote(folder));
    }
    let _ = writeln!(text, "nc: {}\nnames:", classes.len());
    for (index, class) in classes.iter().enumerate() {
        let _ = writeln!(text, "  {index}: {}", yaml::quote(&class.name));
    }
    text
}
