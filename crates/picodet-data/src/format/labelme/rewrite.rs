//! Copies a LabelMe file with all its fields, and changes only shapes that differ in the dataset.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use picodet_format::json::{JsonGuard, MAX_TOKEN, NonFiniteToNull};
use serde_json::Value;
use serde_json::value::RawValue;

use super::shape::{Extent, extent, kind_of, points_of};
use super::write::shape_of;
use crate::dataset::{Dataset, ImageRecord, Object, Part};
use crate::format::raw_entry::RawEntry;
use crate::geometry::bounds;
use crate::input::open_regular;
use crate::loss::Loss;

/// Returns the JSON of one image with the fields of its label file that the dataset does not represent;
/// `image_path` is relative to the JSON. `None` if the label file cannot be read.
pub(super) fn rewrite_one(dataset: &Dataset, image: &ImageRecord, image_path: &str) -> Option<String> {
    let mut file = read(&dataset.root.join(image.label.as_ref()?))?;
    let shapes: Vec<Box<RawValue>> = file.get("shapes").unwrap_or_default();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    let mut added: Vec<usize> = Vec::new();
    for (index, object) in image.objects.iter().enumerate() {
        if let Some(other) = open.insert(object.source, index) {
            added.push(index.max(other));
            open.insert(object.source, index.min(other));
        }
    }
    let mut written: Vec<String> = Vec::new();
    for (position, raw) in (0u32..).zip(&shapes) {
        let value: Value = serde_json::from_str(raw.get()).ok()?;
        let found = match value.get("label") {
            Some(Value::String(_) | Value::Number(_)) => extent(&kind_of(&value), &points_of(&value)),
            _ => Extent::WrongPoints,
        };
        match found {
            // Points and lines are no objects.
            Extent::None => written.push(raw.get().to_string()),
            Extent::WrongPoints | Extent::Unknown => {}
            Extent::Box(bbox) => {
                let Some(index) = open.remove(&position) else { continue };
                let object = &image.objects[index];
                let mut entry: RawEntry = serde_json::from_str(raw.get()).ok()?;
                let stated = match value.get("label") {
                    Some(Value::String(label)) => label.clone(),
                    Some(label) => label.to_string(),
                    None => String::new(),
                };
                if let Some(class) = dataset.classes.get(object.class)
                    && class.name != stated.trim()
                {
                    entry.set_text("label", &class.name);
                }
                if !same_box(bbox, object.bbox) {
                    move_to(&mut entry, &value, object);
                }
                written.push(entry.to_json());
            }
        }
    }
    added.extend(open.into_values());
    added.sort_unstable();
    for index in added {
        written.push(serde_json::to_string(&shape_of(dataset, &image.objects[index])).ok()?);
    }
    let list = format!("[\n{}\n]", written.join(",\n"));
    file.set("shapes", &*RawValue::from_string(list).ok()?);
    file.set_text("imagePath", image_path);
    for (name, extent) in [("imageHeight", image.height), ("imageWidth", image.width)] {
        if extent > 0 && file.get::<f64>(name) != Some(f64::from(extent)) {
            file.set(name, &extent);
        }
    }
    Some(file.to_json() + "\n")
}

fn read(path: &Path) -> Option<RawEntry> {
    let file: File = open_regular(path).ok()?;
    let reader = BufReader::new(JsonGuard::new(file, MAX_TOKEN));
    let entry: Result<RawEntry, _> = serde_json::from_reader(reader);
    // Python writes NaN.
    let entry = entry.or_else(|_| {
        let file = NonFiniteToNull::new(BufReader::new(open_regular(path).map_err(std::io::Error::other)?));
        serde_json::from_reader(BufReader::new(JsonGuard::new(file, MAX_TOKEN))).map_err(std::io::Error::from)
    });
    entry.ok().filter(|entry: &RawEntry| !entry.is_empty())
}

/// Whether two boxes are equal, with NaN equal to NaN.
fn same_box(a: [f64; 4], b: [f64; 4]) -> bool {
    a.iter().zip(&b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

/// Moves the points of a shape into the box of its object; a shape whose box cannot be changed by its points
/// becomes a rectangle.
fn move_to(entry: &mut RawEntry, value: &Value, object: &Object) {
    let [x1, y1, x2, y2] = object.bbox;
    let kind = kind_of(value);
    let points: Vec<[f64; 2]> = points_of(value)
        .into_iter()
        .map(|[x, y]| [x.clamp(x1, x2.max(x1)), y.clamp(y1, y2.max(y1))])
        .collect();
    let inside = bounds(points.iter().map(|point| point[0]), points.iter().map(|point| point[1]));
    if !matches!(kind.as_str(), "circle" | "mask") && inside.is_some_and(|bbox| same_box(bbox, object.bbox)) {
        entry.set("points", &points);
        return;
    }
    entry.set("points", &[[x1, y1], [x2, y2]]);
    entry.set_text("shape_type", "rectangle");
}

/// Counts the fields of the label files that a dataset does not represent.
pub(super) fn extras(parts: &[Part<'_>]) -> Vec<Loss> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for part in parts {
        let labels: Vec<&String> =
            part.dataset.images.iter().filter_map(|image| image.label.as_ref()).collect();
        let found = picodet_parallel::map(0..labels.len(), 0, |index| {
            let mut found: Vec<String> = Vec::new();
            let Some(file) = read(&part.dataset.root.join(labels[index])) else { return found };
            if file.get::<serde_json::Map<String, Value>>("flags").is_some_and(|flags| !flags.is_empty()) {
                found.push("`flags` of images".to_string());
            }
            for shape in file.get::<Vec<Value>>("shapes").unwrap_or_default() {
                extras_of_shape(&shape, &mut found);
            }
            found
        });
        for what in found.into_iter().flatten() {
            *counts.entry(what).or_default() += 1;
        }
    }
    counts.into_iter().map(|(what, count)| Loss { what, count }).collect()
}

fn extras_of_shape(shape: &Value, found: &mut Vec<String>) {
    let kind = kind_of(shape);
    if matches!(extent(&kind, &points_of(shape)), Extent::Box(_)) && kind != "rectangle" {
        found.push(format!("outlines of {kind} shapes (their bounding boxes are kept)"));
    }
    for (name, value) in shape.as_object().into_iter().flatten() {
        let content = match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) if name == "flags" => {
                map.keys().any(|flag| !matches!(flag.as_str(), "crowd" | "difficult" | "truncated"))
            }
            Value::Object(map) => !map.is_empty(),
            _ => true,
        };
        let known = ["label", "points", "shape_type", "mask", "difficult", "direction"];
        if content && !known.contains(&name.as_str()) {
            found.push(format!("`{}` of shapes", crate::text::clip(name)));
        }
    }
}
