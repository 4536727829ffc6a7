//! Ground truth and detections in COCO's JSON.

use std::io::{Read, Write};

use picodet_format::coco::{self, AnnotationSink, DetectionRecord, FieldError, JsonError};

use crate::types::{Category, Detection, GroundTruth};

/// Reads COCO results; see [`coco::read_results`]. Whether the images exist is checked by
/// [`crate::Evaluator::new`].
///
/// # Errors
/// [`JsonError`] for anything other than a list of detections of at most `limit` bytes with finite values.
pub fn read_results(reader: impl Read, limit: u64) -> Result<Vec<Detection>, JsonError> {
    let convert = |record: DetectionRecord| Detection {
        image_id: record.image_id,
        category_id: record.category_id,
        bbox: record.bbox,
        score: record.score,
    };
    Ok(coco::read_results(reader, limit)?.into_iter().map(convert).collect())
}

/// Writes COCO results, one detection per line; numbers round-trip exactly.
///
/// # Errors
/// [`JsonError::NotFinite`] before anything is written; [`JsonError::Io`].
pub fn write_results(writer: impl Write, detections: &[Detection]) -> Result<(), JsonError> {
    let convert = |detection: &Detection| DetectionRecord {
        image_id: detection.image_id,
        category_id: detection.category_id,
        bbox: detection.bbox,
        score: detection.score,
    };
    coco::write_results(writer, detections.iter().map(convert))
}

/// An image of an annotation file.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotatedImage {
    /// COCO image id.
    pub id: i64,
    /// Path relative to the image folder; empty if the file has none.
    pub file_name: String,
    /// Width in pixels; 0 if the file has none.
    pub width: u32,
    /// Height in pixels; 0 if the file has none.
    pub height: u32,
}

/// The ground truth of a COCO annotation file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Annotations {
    /// The images in the order of the file.
    pub images: Vec<AnnotatedImage>,
    /// The classes in the order of the file.
    pub categories: Vec<Category>,
    /// The objects in the order of the file.
    pub truths: Vec<GroundTruth>,
}

impl Annotations {
    /// The ids of the images in the order of the file.
    #[must_use]
    pub fn image_ids(&self) -> Vec<i64> {
        self.images.iter().map(|image| image.id).collect()
    }
}

/// Reads the ground truth of a COCO annotation file without checking the dataset. A missing `area` defaults
/// to the area of the box, a missing `iscrowd` or `ignore` to 0.
///
/// # Errors
/// [`JsonError`] when a list, an id or a box is missing, with the 0-based index of the entry, line and
/// column; more than `limit` bytes.
pub fn read_annotations(reader: impl Read, limit: u64) -> Result<Annotations, JsonError> {
    let bytes = coco::read_all(reader, limit)?;
    let mut annotations = Annotations::default();
    let sections = coco::read_annotations(&bytes[..], &mut annotations)?;
    let missing = [
        ("images", sections.images),
        ("categories", sections.categories),
        ("annotations", sections.annotations),
    ];
    match missing.into_iter().find(|(_, present)| !present) {
        Some((field, _)) => Err(JsonError::MissingList { field }),
        None => Ok(annotations),
    }
}

fn required<T>(value: Option<T>, field: &'static str) -> Result<T, FieldError> {
    value.ok_or(FieldError::Missing(field))
}

fn number(id: Option<coco::Id>, field: &'static str) -> Result<i64, FieldError> {
    required(id, field)?.number().ok_or(FieldError::TextId(field))
}

impl AnnotationSink for Annotations {
    fn image(&mut self, _: usize, image: coco::Image) -> Result<(), FieldError> {
        let pixels = |extent: Option<f64>| extent.unwrap_or(0.0) as u32;
        self.images.push(AnnotatedImage {
            id: number(image.id, "id")?,
            file_name: image.file_name.unwrap_or_default(),
            width: pixels(image.width),
            height: pixels(image.height),
        });
        Ok(())
    }

    fn category(&mut self, _: usize, category: coco::Category) -> Result<(), FieldError> {
        let (id, name) = (number(category.id, "id")?, required(category.name, "name")?);
        self.categories.push(Category { id, name });
        Ok(())
    }

    fn annotation(&mut self, _: usize, annotation: coco::Annotation) -> Result<(), FieldError> {
        let bbox = required(annotation.bbox, "bbox")?.four()?;
        self.truths.push(GroundTruth {
            id: number(annotation.id, "id")?,
            image_id: number(annotation.image_id, "image_id")?,
            category_id: number(annotation.category_id, "category_id")?,
            bbox,
            area: annotation.area.unwrap_or(bbox[2] * bbox[3]),
            crowd: annotation.iscrowd.is_some_and(|flag| flag != 0),
            ignore: annotation.ignore.is_some_and(|flag| flag != 0),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DEFAULT_LIMIT;

    #[test]
    fn missing_fields_have_defaults_or_are_refused() {
        let text = r#"{"info": {}, "images": [{"id": 3}], "categories": [{"id": 7, "name": "cup", "supercategory": "x"}],
            "annotations": [{"id": 1, "image_id": 3, "category_id": 7, "bbox": [1, 2, 3, 4]},
                            {"id": 2, "image_id": 3, "category_id": 7, "bbox": [1, 2, 3, 4], "area": 5, "iscrowd": 1, "ignore": true}]}"#;
        let read =
            |text: &str| read_annotations(text.as_bytes(), DEFAULT_LIMIT).map_err(|error| error.to_string());
        let whole = read(text).unwrap();
        let flags: Vec<_> =
            whole.truths.iter().map(|truth| (truth.area, truth.crowd, truth.ignore)).collect();
        assert_eq!(flags, [(12.0, false, false), (5.0, true, true)]);
        let cases = [
            (text.replace("\"id\": 2, ", ""), ["annotation 1:", "`id`"]),
            (text.replace("[1, 2, 3, 4]}", "[1, 2, 3]}"), ["annotation 0:", "3 values"]),
            (text.replace("[1, 2, 3, 4]}", "[1, 2, 3, null]}"), ["annotation 0:", "null"]),
            (r#"{"images": [], "annotations": []}"#.to_owned(), ["missing list", "`categories`"]),
        ];
        let failures: Vec<String> = (cases.iter())
            .filter_map(|(text, expected)| {
                let error = read(text).err().unwrap_or_default();
                (!expected.iter().all(|part| error.contains(part))).then(|| format!("{expected:?}: {error}"))
            })
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
