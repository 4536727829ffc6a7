//! Parses one LabelMe JSON.

use std::io::{BufReader, Read};

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _};
use picodet_format::coco::JsonError;
use picodet_format::json::{JsonGuard, MAX_TOKEN};
use serde::Deserialize;
use serde_json::Value;

use super::shape::{Extent, extent, is_known, kind_of, number, points_of};
use crate::dataset::Object;
use crate::finding::{FindingKind, Findings, Location};
use crate::text::clip;

#[derive(Deserialize)]
struct RawFile {
    #[serde(default)]
    shapes: Value,
    #[serde(default, rename = "imagePath")]
    image_path: Value,
    #[serde(default, rename = "imageWidth")]
    width: Value,
    #[serde(default, rename = "imageHeight")]
    height: Value,
}

/// The contents of one LabelMe file; classes are names, not indices.
#[derive(Debug, Default, PartialEq)]
pub struct Annotation {
    /// `imagePath`, relative to the label file.
    pub image_path: Option<String>,
    /// Width and height in pixels; 0 if missing.
    pub size: [u32; 2],
    /// Class name as in the file, and object (its `class` is 0).
    pub objects: Vec<(String, Object)>,
    /// Class names of the shapes that have no bounding box.
    pub other_classes: Vec<String>,
}

/// Parses one LabelMe JSON with bounded depth and token length; faults inside it are added to `findings` with
/// the file name `file`.
///
/// # Errors
/// [`JsonError`] when the text is not an object with LabelMe's fields.
pub fn parse(reader: impl Read, file: &str, findings: &mut Findings) -> Result<Annotation, JsonError> {
    // LabelMe embeds the image as one string.
    let raw: RawFile = serde_json::from_reader(BufReader::new(JsonGuard::new(reader, MAX_TOKEN)))?;
    let size = [raw.width, raw.height].map(|size| {
        let size = number(Some(&size));
        if size.fract() == 0.0 && (1.0..=1e9).contains(&size) { size as u32 } else { 0 }
    });
    let image_path = raw.image_path.as_str().filter(|path| !path.trim().is_empty()).map(str::to_string);
    let mut annotation = Annotation { image_path, size, ..Annotation::default() };
    let shapes = match raw.shapes {
        Value::Array(shapes) => shapes,
        Value::Null => Vec::new(),
        _ => {
            let message = "`shapes` is not a list; ignored".to_string();
            findings.push(FindingKind::MissingField, Location::pointer(file, "/shapes"), message);
            Vec::new()
        }
    };
    for (index, shape) in shapes.into_iter().enumerate() {
        parse_shape(&shape, index, file, findings, &mut annotation);
    }
    Ok(annotation)
}

/// Adds one shape to the annotation.
fn parse_shape(
    shape: &Value,
    index: usize,
    file: &str,
    findings: &mut Findings,
    annotation: &mut Annotation,
) {
    let location = || Location::pointer(file, format!("/shapes/{index}"));
    let label = match shape.get("label") {
        Some(Value::String(label)) => label.clone(),
        Some(Value::Number(label)) => label.to_string(),
        _ => {
            let message = "a shape without `label`; left out".to_string();
            findings.push(FindingKind::MissingField, location(), message);
            return;
        }
    };
    let (kind, points) = (kind_of(shape), points_of(shape));
    match extent(&kind, &points) {
        Extent::Box(bbox) => {
            let flags = shape.get("flags");
            let flag = |name: &str| {
                let own = shape.get(name).filter(|value| value.is_boolean() || value.is_number());
                let value = own.or_else(|| flags?.get(name));
                value.is_some_and(|value| value.as_bool() == Some(true) || value.as_u64() == Some(1))
            };
            if !is_known(&kind) {
                let message = format!("`shape_type` is `{}`; read as a polygon", clip(&kind));
                let pointer = format!("/shapes/{index}/shape_type");
                findings.push(FindingKind::OddValue, Location::pointer(file, pointer), message);
            }
            let (crowd, difficult, truncated) = (flag("crowd"), flag("difficult"), flag("truncated"));
            let source = u32::try_from(index).unwrap_or(u32::MAX);
            let object = Object { crowd, difficult, truncated, source, ..Object::new(0, bbox) };
            annotation.objects.push((label, object));
        }
        Extent::WrongPoints => {
            let message = format!("a {kind} with {} points; left out", points.len());
            findings.push(FindingKind::ShapePoints, location(), message);
            annotation.other_classes.push(label);
        }
        Extent::Unknown => {
            let message =
                format!("unknown `shape_type` `{}` with {} points; left out", clip(&kind), points.len());
            findings.push(FindingKind::ShapeUnknown, location(), message);
            annotation.other_classes.push(label);
        }
        Extent::None => {
            let message = format!("a {kind} of class `{}`; left out", clip(&label));
            findings.push(FindingKind::ShapeUnsupported, location(), message);
            annotation.other_classes.push(label);
        }
    }
}

/// Returns the image that is embedded in a LabelMe JSON, or an error if it is not base64; `None` if there is none.
pub(super) fn embedded_image(reader: impl Read) -> Option<Result<Vec<u8>, DecodeError>> {
    #[derive(Deserialize)]
    struct Embedded {
        #[serde(rename = "imageData")]
        data: Option<String>,
    }
    let raw: Embedded = serde_json::from_reader(BufReader::new(JsonGuard::new(reader, MAX_TOKEN))).ok()?;
    let text: Vec<u8> = raw.data?.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let start = text.windows(7).take(64).position(|part| part == b"base64,").map_or(0, |start| start + 7);
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let data = &text[start..];
    (!data.is_empty()).then(|| GeneralPurpose::new(&STANDARD, config).decode(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_become_boxes_and_odd_values_are_findings() {
        let text = r#"{"imagePath": "a.png", "imageWidth": "320", "imageHeight": 240.0, "shapes": [
            {"label": "cat", "shape_type": "circle", "points": [[10, 10], [13, 14]]},
            {"label": 7, "shape_type": "Rectangle", "points": [[5, "6"], [1, 2]], "flags": null},
            {"label": "dot", "shape_type": "point", "points": [[5, 6]]},
            {"label": "cat", "points": [[5, 6]]},
            {"points": []}, 9]}"#;
        let mut findings = Findings::default();
        let annotation = parse(text.as_bytes(), "a.json", &mut findings).expect("LabelMe");
        let found: Vec<_> =
            annotation.objects.iter().map(|(name, object)| (name.as_str(), object.bbox)).collect();
        assert_eq!(found, [("cat", [5.0, 5.0, 15.0, 15.0]), ("7", [1.0, 2.0, 5.0, 6.0])]);
        assert_eq!(
            (annotation.size, annotation.other_classes),
            ([320, 240], vec!["dot".into(), "cat".into()])
        );
        let kinds = [FindingKind::ShapeUnsupported, FindingKind::ShapePoints, FindingKind::MissingField];
        assert_eq!(kinds.map(|kind| findings.counts().get(&kind).copied()), [Some(1), Some(1), Some(2)]);
    }

    #[test]
    fn embedded_images_are_decoded() {
        let image = |data: &str| embedded_image(format!("{{\"imageData\": {data}}}").as_bytes());
        assert_eq!(image("\"AQID\""), Some(Ok(vec![1, 2, 3])));
        assert_eq!(image("\"AQ\\nIDBA\""), Some(Ok(vec![1, 2, 3, 4])));
        assert_eq!(image("\"data:image/png;base64,AQID\""), Some(Ok(vec![1, 2, 3])));
        assert_eq!([image("null"), image("\"\""), image("7")], [None, None, None]);
        assert!(matches!(image("\"***\""), Some(Err(_))));
    }
}
