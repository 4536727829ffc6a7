//! Detections as text, JSON, CSV and COCO results.

use std::fmt::Write;

use picodet_detect::Detection;
use serde_json::{Value, json};

/// The detections of one image.
#[derive(Clone, Debug)]
pub struct ImageResult {
    /// The file, as it was named.
    pub file: String,
    /// Width and height of the upright image in pixels.
    pub size: (usize, usize),
    /// Id of the image in COCO's sense.
    pub image_id: Option<u64>,
    /// What was found.
    pub detections: Vec<Detection>,
}

/// One line an object: file, class, score, box.
pub fn text(result: &ImageResult, classes: &[String]) -> String {
    let mut text = String::new();
    for found in by_score(result) {
        let [x1, y1, x2, y2] = found.bbox.0;
        let name = &classes[found.class];
        let _ =
            writeln!(text, "{}: {name} {:.3} [{x1:.1}, {y1:.1}, {x2:.1}, {y2:.1}]", result.file, found.score);
    }
    if result.detections.is_empty() {
        let _ = writeln!(text, "{}: nothing found", result.file);
    }
    text
}

fn by_score(result: &ImageResult) -> Vec<&Detection> {
    let mut detections: Vec<&Detection> = result.detections.iter().collect();
    detections.sort_by(|a, b| b.score.total_cmp(&a.score));
    detections
}

/// One object an image: file, width, height, detections with class, name, score and box `[x1, y1, x2, y2]` in pixels.
pub fn json(result: &ImageResult, classes: &[String]) -> Value {
    let detection = |found: &Detection| {
        json!({
            "class": found.class,
            "name": classes[found.class],
            "score": found.score,
            "box": found.bbox.0,
        })
    };
    json!({
        "file": result.file,
        "width": result.size.0,
        "height": result.size.1,
        "detections": result.detections.iter().map(detection).collect::<Vec<_>>(),
    })
}

/// The columns of [`csv`].
pub const CSV_HEADER: &str = "file,class,name,score,x1,y1,x2,y2\n";

/// One row an object, without header.
pub fn csv(result: &ImageResult, classes: &[String]) -> String {
    let mut text = String::new();
    for found in &result.detections {
        let [x1, y1, x2, y2] = found.bbox.0;
        let (file, name) = (quoted(&result.file), quoted(&classes[found.class]));
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

/// COCO results: image id, category id, `[x, y, width, height]`, score. Empty when the image has no id.
pub fn coco(result: &ImageResult, category_ids: &[u32]) -> Vec<Value> {
    let Some(image_id) = result.image_id else {
        return Vec::new();
    };
    let entry = |found: &Detection| {
        let [x1, y1, x2, y2] = found.bbox.0;
        json!({
            "image_id": image_id,
            "category_id": category_ids[found.class],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": found.score,
        })
    };
    result.detections.iter().map(entry).collect()
}
