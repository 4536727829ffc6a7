//! Recognises JSON of other forms in the place of results, for the error.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Largest number of fields of an object that are compared.
const FIELDS: usize = 32;

/// The structure of a JSON value.
enum Shape {
    Null,
    Number,
    Text,
    /// The first element, if there is one.
    List(Option<Box<Shape>>),
    /// The first fields.
    Object(Vec<(String, Shape)>),
}

impl Shape {
    fn field(&self, name: &str) -> Option<&Shape> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.field(name).is_some())
    }

    fn first(&self) -> Option<&Shape> {
        match self {
            Self::List(first) => first.as_deref(),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShapeVisitor;

        impl<'de> Visitor<'de> for ShapeVisitor {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::Number)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::Number)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
                Ok(Shape::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::Number)
            }

            fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
                Ok(Shape::Text)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let first = list.next_element()?.map(Box::new);
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Shape::List(first))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut fields = Vec::new();
                while fields.len() < FIELDS {
                    let Some(field) = map.next_entry()? else { return Ok(Shape::Object(fields)) };
                    fields.push(field);
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Shape::Object(fields))
            }
        }

        deserializer.deserialize_any(ShapeVisitor)
    }
}

const TORCHVISION: [&str; 3] = ["boxes", "labels", "scores"];
const MMDETECTION: [&str; 3] = ["bboxes", "labels", "scores"];

/// Advice for boxes as corners without image ids.
const WRITE_CORNERS: &str =
    "write one entry per box: image_id of the dataset, category_id, bbox [x1, y1, x2 - x1, y2 - y1], score";

/// Describes JSON that is not results, with advice; `None` if its form is unknown.
pub(super) fn describe(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const RESULTS: &str = "a results file is a list of {image_id, category_id, bbox, score}";
    let shape = serde_json::Deserializer::from_slice(bytes).into_iter::<Shape>().next()?.ok()?;
    let found = match &shape {
        Shape::Null => "`null`",
        Shape::Number => "a single number",
        Shape::Text => "a single text",
        Shape::Object(fields) if fields.is_empty() => "an empty object",
        Shape::Object(_) if shape.has(&["images", "categories"]) || shape.has(&["images", "annotations"]) => {
            let object = shape.field("annotations").and_then(Shape::first);
            if object.is_some_and(|object| object.has(&["score"])) {
                return None;
            }
            return Some(("a COCO dataset file, whose objects have no scores", RESULTS));
        }
        Shape::Object(fields) => {
            // An entry of a file with one document per line, or results by the id of the image.
            let is_group = |shape: &Shape| shape.has(&TORCHVISION) || shape.has(&MMDETECTION);
            let by_image = fields.first().map(|(_, value)| value).filter(|value| is_group(value));
            let detections = shape.field("detections").and_then(Shape::first);
            return entry(&shape)
                .or_else(|| by_image.and_then(entry))
                .or_else(|| detections.and_then(of_picodet));
        }
        Shape::List(None) => return None,
        Shape::List(Some(first)) => return entry(first).or_else(|| lists(first)),
    };
    Some((found, RESULTS))
}

/// Describes an entry of a list, or a document of one image.
fn entry(shape: &Shape) -> Option<(&'static str, &'static str)> {
    if shape.has(&TORCHVISION) && !shape.has(&["image_id"]) {
        return Some(("torchvision's outputs (boxes, labels, scores) without image_id", WRITE_CORNERS));
    }
    if shape.has(&MMDETECTION) {
        let advice = "labels count from 0 in the order of the classes; write one entry per box: image_id and \
                      category_id of the dataset, bbox [x1, y1, x2 - x1, y2 - y1], score (MMDetection: format_only)";
        return Some(("MMDetection's predictions (bboxes, labels, scores)", advice));
    }
    if shape.has(&["pred_instances"]) {
        let advice = "write one entry per box: image_id (`img_id`) and category_id of the dataset, bbox \
                      [x1, y1, x2 - x1, y2 - y1], score (MMDetection: format_only)";
        return Some(("MMDetection's outputs (img_id, pred_instances)", advice));
    }
    if shape.has(&["box", "confidence"]) {
        let advice = "they are of one image; write COCO results with `val` and save_json=True";
        return Some(("ultralytics' detections in JSON (name, class, confidence, box)", advice));
    }
    if shape.field("box").is_some_and(|corners| corners.has(&["xmin", "ymin", "xmax", "ymax"])) {
        return Some(("detections of Hugging Face's pipeline (score, label, box)", WRITE_CORNERS));
    }
    shape.field("detections").and_then(Shape::first).and_then(of_picodet)
}

/// Describes the detections of `picodet detect --format json`.
fn of_picodet(detection: &Shape) -> Option<(&'static str, &'static str)> {
    let is_own = detection.has(&["box", "class", "name", "score"]);
    is_own.then_some((
        "the output of `picodet detect --format json`",
        "write COCO results with `picodet detect --format coco`",
    ))
}

/// Describes a list whose first element is a list.
fn lists(first: &Shape) -> Option<(&'static str, &'static str)> {
    match first {
        Shape::List(Some(inner)) if matches!(**inner, Shape::List(_)) => Some((
            "MMDetection's lists of boxes per class and image, without image ids",
            "write one entry per box: image_id and category_id of the dataset, bbox [x1, y1, x2 - x1, y2 - y1], \
             score (MMDetection: format_only)",
        )),
        Shape::List(Some(inner)) if entry(inner).is_some() => entry(inner),
        Shape::List(_) => Some(("a list of lists", WRITE_CORNERS)),
        _ => None,
    }
}
