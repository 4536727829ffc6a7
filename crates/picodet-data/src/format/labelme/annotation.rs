//! Parses one LabelMe JSON.

use std::io::{BufReader, Read};

use picodet_format::coco::JsonError;
use picodet_format::json::{JsonGuard, MAX_TOKEN};
use serde::Deserialize;

use crate::dataset::Object;
use crate::finding::{FindingKind, Findings, Location};
use crate::geometry::bounds;

#[derive(Deserialize)]
struct RawFile {
    shapes: Vec<RawShape>,
    #[serde(rename = "imagePath")]
    image_path: Option<String>,
    #[serde(rename = "imageWidth")]
    width: Option<f64>,
    #[serde(rename = "imageHeight")]
    height: Option<f64>,
}

#[derive(Deserialize)]
struct RawShape {
    label: Option<String>,
    #[serde(default)]
    points: Vec<[Option<f64>; 2]>,
    shape_type: Option<String>,
    #[serde(default, deserialize_with = "flags")]
    flags: Flags,
}

/// The shape flags that the writer produces; others are ignored.
#[derive(Default, Deserialize)]
struct Flags {
    #[serde(default)]
    crowd: bool,
    #[serde(default)]
    difficult: bool,
    #[serde(default)]
    truncated: bool,
}

fn flags<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Flags, D::Error> {
    Ok(Option::<Flags>::deserialize(deserializer)?.unwrap_or_default())
}

/// The contents of one LabelMe file; classes are names, not indices.
#[derive(Debug, Default, PartialEq)]
pub struct Annotation {
    /// `imagePath`, relative to the label file.
    pub image_path: Option<String>,
    /// Width and height in pixels; 0 if missing.
    pub size: [u32; 2],
    /// Class name and object (its `class` is 0).
    pub objects: Vec<(String, Object)>,
}

/// Parses one LabelMe JSON with bounded depth and token length; faults inside it are added to `findings` with
/// the file name `file`.
///
/// # Errors
/// [`JsonError`] with line and column.
pub fn parse(reader: impl Read, file: &str, findings: &mut Findings) -> Result<Annotation, JsonError> {
    // LabelMe embeds the image as one string.
    let raw: RawFile = serde_json::from_reader(BufReader::new(JsonGuard::new(reader, MAX_TOKEN)))?;
    let size = [raw.width, raw.height].map(|size| {
        let size = size.unwrap_or(0.0);
        if size.fract() == 0.0 && (1.0..=1e9).contains(&size) { size as u32 } else { 0 }
    });
    let mut objects = Vec::with_capacity(raw.shapes.len());
    for (index, shape) in raw.shapes.into_iter().enumerate() {
        let location = || Location::pointer(file, format!("/shapes/{index}"));
        let Some(label) = shape.label else {
            let message = "a shape without `label`; left out".to_string();
            findings.push(FindingKind::MissingField, location(), message);
            continue;
        };
        let kind = shape.shape_type.as_deref().unwrap_or("polygon");
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let points: Vec<[f64; 2]> = shape.points.iter().map(|[x, y]| [number(*x), number(*y)]).collect();
        let bbox = match (kind, &points[..]) {
            // LabelMe allows to start from any corner.
            ("rectangle", [[x1, y1], [x2, y2]]) if [x1, y1, x2, y2].iter().all(|v| v.is_finite()) => {
                [x1.min(*x2), y1.min(*y2), x1.max(*x2), y1.max(*y2)]
            }
            ("rectangle", [_, _]) => [f64::NAN; 4],
            ("polygon", points) if points.len() >= 3 => {
                bounds(points.iter().map(|p| p[0]), points.iter().map(|p| p[1])).unwrap_or([f64::NAN; 4])
            }
            // Newer versions write rectangles with four corners.
            ("rectangle", points) if points.len() == 4 => {
                bounds(points.iter().map(|p| p[0]), points.iter().map(|p| p[1])).unwrap_or([f64::NAN; 4])
            }
            ("rectangle" | "polygon", points) => {
                let message = format!("a {kind} with {} points; left out", points.len());
                findings.push(FindingKind::ShapePoints, location(), message);
                continue;
            }
            _ => {
                let kind: String = kind.chars().take(40).collect();
                let message = format!("a {kind} of class `{label}`; left out");
                findings.push(FindingKind::ShapeUnsupported, location(), message);
                continue;
            }
        };
        let Flags { crowd, difficult, truncated } = shape.flags;
        let source = u32::try_from(index).unwrap_or(u32::MAX);
        let object = Object { crowd, difficult, truncated, source, ..Object::new(0, bbox) };
        objects.push((label, object));
    }
    Ok(Annotation { image_path: raw.image_path, size, objects })
}
