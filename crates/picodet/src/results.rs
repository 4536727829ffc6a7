//! Detections of an image file as text, JSON, CSV and COCO results.

use std::fmt::Write;

use picodet_detect::{Detection, Detections};
use serde_json::{Value, json};

/// The detections of one image.
#[derive(Clone, Debug)]
pub struct ImageResult {
    /// The file name as it was given.
    pub file: String,
    /// Width and height of the upright image in pixels.
    pub size: (usize, usize),
    /// COCO id of the image.
    pub image_id: Option<u64>,
    /// The detections.
    pub detections: Detections,
}

/// Returns one line per object: file, class, score, box; best score first.
#[must_use]
pub fn text(result: &ImageResult) -> String {
    let mut text = String::new();
    for found in result.detections.by_score() {
        let [x1, y1, x2, y2] = found.bbox.xyxy();
        let (file, name, score) = (&result.file, &found.label, found.score);
        let _ = writeln!(text, "{file}: {name} {score:.3} [{x1:.1}, {y1:.1}, {x2:.1}, {y2:.1}]");
    }
    if result.detections.is_empty() {
        let _ = writeln!(text, "{}: nothing found", result.file);
    }
    text
}

/// Returns one JSON object per image: file, width, height, detections with class, name, score and box
/// `[x1, y1, x2, y2]` in pixels.
#[must_use]
pub fn json(result: &ImageResult) -> Value {
    json!({
        "file": result.file,
        "width": result.size.0,
        "height": result.size.1,
        "detections": result.detections,
    })
}

/// The columns of [`csv`].
pub const CSV_HEADER: &str = "file,class,name,score,x1,y1,x2,y2\n";

/// Returns one row per object, without header.
#[must_use]
pub fn csv(result: &ImageResult) -> String {
    let mut text = String::new();
    for found in &result.detections {
        let [x1, y1, x2, y2] = found.bbox.xyxy();
        let (file, name) = (quoted(&result.file), quoted(&found.label));
        let _ = writeln!(text, "{file},{},{name},{},{x1},{y1},{x2},{y2}", found.class, found.score);
    }
    text
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Returns COCO results: image id, category id, `[x, y, width, height]`, score. Empty when the image has no id.
#[must_use]
pub fn coco(result: &ImageResult, category_ids: &[u32]) -> Vec<Value> {
    let Some(image_id) = result.image_id else {
        return Vec::new();
    };
    let entry = |found: &Detection| {
        json!({
            "image_id": image_id,
            "category_id": category_ids[found.class],
            "bbox": found.bbox.xywh(),
            "score": found.score,
        })
    };
    result.detections.iter().map(entry).collect()
}
