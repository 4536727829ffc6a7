//! LabelMe: one JSON an image; rectangles, and polygons as their bounding boxes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dataset::{Class, Dataset, Format, ImageRecord, Object, display};
use crate::error::DataError;
use crate::finding::{Findings, Kind, Place};
use crate::guard::{JsonGuard, open_json, read_bounded};
use crate::image_file::{parallel, read_header};
use crate::walk::{self, without_extension};
use crate::yolo::bounds;

/// Longest string: LabelMe embeds the whole image.
const MAX_TOKEN: u64 = 256 << 20;

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

/// The shape flags that we write ourselves; others are ignored.
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

/// What one LabelMe file says; class names not yet indices.
#[derive(Debug, Default, PartialEq)]
pub struct Annotation {
    /// `imagePath`, relative to the label file.
    pub image_path: Option<String>,
    /// Width and height in pixels; 0 when not stated.
    pub size: [u32; 2],
    /// Class name and object (its `class` is 0).
    pub objects: Vec<(String, Object)>,
}

/// Parses one LabelMe JSON; faults inside it go to `findings` under the name `file`.
///
/// # Errors
/// serde_json's, with line and column.
pub fn parse(
    reader: impl Read,
    file: &str,
    findings: &mut Findings,
) -> Result<Annotation, serde_json::Error> {
    let raw: RawFile = serde_json::from_reader(reader)?;
    let size = [raw.width, raw.height].map(|size| {
        let size = size.unwrap_or(0.0);
        if size.fract() == 0.0 && (1.0..=1e9).contains(&size) { size as u32 } else { 0 }
    });
    let mut objects = Vec::with_capacity(raw.shapes.len());
    for (index, shape) in raw.shapes.into_iter().enumerate() {
        let place = || Place::pointer(file, format!("/shapes/{index}"));
        let Some(label) = shape.label else {
            let message = "a shape without `label`; left out".to_string();
            findings.push(Kind::MissingField, place(), message);
            continue;
        };
        let kind = shape.shape_type.as_deref().unwrap_or("polygon");
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let points: Vec<[f64; 2]> = shape.points.iter().map(|[x, y]| [number(*x), number(*y)]).collect();
        let bbox = match (kind, &points[..]) {
            // LabelMe lets the user start from any corner.
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
                findings.push(Kind::ShapePoints, place(), message);
                continue;
            }
            _ => {
                let kind: String = kind.chars().take(40).collect();
                let message = format!("a {kind} of class `{label}`; left out");
                findings.push(Kind::ShapeUnsupported, place(), message);
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

/// Parses one LabelMe JSON from memory, bounded in depth.
///
/// # Errors
/// serde_json's, with line and column.
pub fn parse_slice(
    bytes: &[u8],
    file: &str,
    findings: &mut Findings,
) -> Result<Annotation, serde_json::Error> {
    parse(BufReader::new(JsonGuard::new(bytes, MAX_TOKEN)), file, findings)
}

/// Reads a folder of LabelMe files in the order of their names; JSON files without `shapes` are
/// not LabelMe's and are passed over. Classes are in the order of `labels.txt` where there is
/// one (`__ignore__` and `_background_` left out), otherwise sorted by name.
///
/// # Errors
/// [`DataError`] when the folder cannot be read; a broken file is a finding.
pub fn read(root: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let labels = walk::files(root, &["json"], &mut findings)?;
    let parsed = parallel(labels.len(), |index| {
        let path = root.join(&labels[index]);
        let mut own = Findings::default();
        let file = display(&path);
        if crate::open::json_kind(&path) == crate::open::JsonKind::Other {
            return None;
        }
        let result = open_json(&path, MAX_TOKEN).and_then(|reader| {
            parse(reader, &file, &mut own).map_err(|error| crate::coco::syntax(&path, &error))
        });
        match result {
            Ok(annotation) => Some((Some(annotation), own)),
            Err(error) => {
                own.push(Kind::FileUnreadable, Place::file(file), error.to_string());
                Some((None, own))
            }
        }
    });
    let listed = class_names(root)?;
    let mut found = BTreeSet::new();
    for (annotation, _) in parsed.iter().flatten() {
        found.extend(annotation.iter().flat_map(|a| a.objects.iter().map(|(name, _)| name.clone())));
    }
    let known: HashSet<&String> = listed.iter().collect();
    let extra: Vec<String> = found.into_iter().filter(|name| !known.contains(name)).collect();
    let classes: Vec<Class> = listed
        .into_iter()
        .chain(extra)
        .enumerate()
        .map(|(index, name)| Class { id: index as i64 + 1, name, supercategory: None })
        .collect();
    let class_of: HashMap<&str, usize> =
        classes.iter().enumerate().map(|(index, class)| (class.name.as_str(), index)).collect();

    let mut images = Vec::new();
    let mut unsized_images = Vec::new();
    for (label, result) in labels.into_iter().zip(parsed) {
        let Some((annotation, own)) = result else { continue };
        findings.extend(own);
        let Some(annotation) = annotation else { continue };
        let folder = label.rsplit_once('/').map_or("", |(folder, _)| folder);
        let stated = annotation
            .image_path
            .unwrap_or_else(|| format!("{}.jpg", walk::file_name(without_extension(&label))));
        let file = join(folder, &stated);
        let [width, height] = annotation.size;
        if width == 0 || height == 0 {
            unsized_images.push(images.len());
        }
        let objects = annotation
            .objects
            .into_iter()
            .filter_map(|(name, object)| class_of.get(name.as_str()).map(|&class| Object { class, ..object }))
            .collect();
        let id = images.len() as i64 + 1;
        images.push(ImageRecord { id, file, width, height, objects, label: Some(label), source: 0 });
    }
    let mut dataset = Dataset {
        format: Format::LabelMe,
        root: root.to_path_buf(),
        annotations: None,
        split: split.map(str::to_string),
        classes,
        images,
    };
    for index in unsized_images {
        let message = "imageWidth or imageHeight is missing".to_string();
        findings.push(Kind::SizeUnknown, dataset.image_place(index), message);
        if let Ok(header) = read_header(&root.join(&dataset.images[index].file)) {
            (dataset.images[index].width, dataset.images[index].height) = (header.width, header.height);
        }
    }
    Ok((dataset, findings))
}

/// The image path relative to the dataset, as the label says it (`check` reports backslashes).
fn join(folder: &str, stated: &str) -> String {
    if folder.is_empty() || Path::new(stated).is_absolute() {
        stated.to_string()
    } else {
        format!("{folder}/{stated}")
    }
}

fn class_names(root: &Path) -> Result<Vec<String>, DataError> {
    let list = root.join("labels.txt");
    if !list.is_file() {
        return Ok(Vec::new());
    }
    let bytes = read_bounded(&list, 4 << 20, "a class list")?;
    Ok(String::from_utf8_lossy(&bytes)
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty() && !matches!(*name, "__ignore__" | "_background_"))
        .map(str::to_string)
        .collect())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutFile<'a> {
    version: &'static str,
    flags: serde_json::Map<String, serde_json::Value>,
    shapes: Vec<OutShape<'a>>,
    image_path: &'a str,
    image_data: Option<&'static str>,
    image_height: u32,
    image_width: u32,
}

#[derive(Serialize)]
struct OutShape<'a> {
    label: &'a str,
    points: [[f64; 2]; 2],
    group_id: Option<i64>,
    shape_type: &'static str,
    flags: serde_json::Map<String, serde_json::Value>,
}

/// The LabelMe JSON of one image; `image_path` is relative to the JSON.
///
/// # Errors
/// serde_json's.
pub fn write_one(
    dataset: &Dataset,
    image: &ImageRecord,
    image_path: &str,
) -> Result<String, serde_json::Error> {
    let shapes = image
        .objects
        .iter()
        .map(|object| {
            let [x1, y1, x2, y2] = object.bbox;
            let set =
                [("crowd", object.crowd), ("difficult", object.difficult), ("truncated", object.truncated)];
            OutShape {
                label: dataset.classes.get(object.class).map_or("", |class| class.name.as_str()),
                points: [[x1, y1], [x2, y2]],
                group_id: None,
                shape_type: "rectangle",
                flags: set
                    .into_iter()
                    .filter(|(_, on)| *on)
                    .map(|(name, on)| (name.to_string(), on.into()))
                    .collect(),
            }
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&OutFile {
        version: "5.5.0",
        flags: serde_json::Map::new(),
        shapes,
        image_path,
        image_data: None,
        image_height: image.height,
        image_width: image.width,
    })?;
    text.push('\n');
    Ok(text)
}
