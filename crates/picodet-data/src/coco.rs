//! COCO detection JSON: a streaming reader (segmentation is skipped, never held) and a writer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::dataset::{Class, Dataset, Format, ImageRecord, Object, display};
use crate::error::DataError;
use crate::finding::{Findings, Kind, Place};
use crate::guard::{JsonGuard, MAX_COCO_TOKEN, NonFiniteToNull, open_json};

/// Reads a COCO JSON file; image paths will be relative to `root`.
///
/// Annotations of unlisted images or categories become findings of severity error and are left
/// out; everything else is kept, strange boxes included. Classes are in the order of `categories`.
///
/// # Errors
/// [`DataError::Io`], or [`DataError::Syntax`] with the line where the JSON stops being JSON.
pub fn read(path: &Path, root: &Path) -> Result<(Dataset, Findings), DataError> {
    let parsed = match parse(open_json(path, MAX_COCO_TOKEN)?, &display(path)) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Python writes NaN. Read the file once more with null in its place, and say so.
            let reader = NonFiniteToNull::new(open_json(path, MAX_COCO_TOKEN)?);
            let replaced = reader.replaced.clone();
            match parse(BufReader::new(reader), &display(path)) {
                Ok((dataset, mut findings)) if replaced.get() > 0 => {
                    let message = format!("{} times NaN or Infinity ({error})", replaced.get());
                    findings.push(Kind::JsonNan, Place::file(display(path)), message);
                    (dataset, findings)
                }
                _ => return Err(syntax(path, &error)),
            }
        }
    };
    let (mut dataset, findings) = parsed;
    dataset.root = root.to_path_buf();
    dataset.annotations = Some(path.to_path_buf());
    Ok((dataset, findings))
}

pub(crate) fn syntax(path: &Path, error: &serde_json::Error) -> DataError {
    DataError::Syntax {
        path: path.to_path_buf(),
        line: (error.line() > 0).then_some(error.line() as u64),
        message: format!("the JSON cannot be read: {error}"),
    }
}

/// Parses COCO JSON from any reader (depth and token length are the caller's to bound, as
/// [`read`] does); `file` is what findings name.
///
/// # Errors
/// serde_json's, with line and column.
pub fn parse(reader: impl Read, file: &str) -> Result<(Dataset, Findings), serde_json::Error> {
    let builder = RefCell::new(Builder::default());
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    deserializer.deserialize_map(Top { builder: &builder, file })?;
    deserializer.end()?;
    Ok(builder.into_inner().finish(file))
}

/// Parses COCO JSON from memory, bounded like [`read`].
///
/// # Errors
/// serde_json's, with line and column.
pub fn parse_slice(bytes: &[u8], file: &str) -> Result<(Dataset, Findings), serde_json::Error> {
    parse(BufReader::new(JsonGuard::new(bytes, MAX_COCO_TOKEN)), file)
}

#[derive(Default)]
struct Builder {
    classes: Vec<Class>,
    class_of: HashMap<i64, usize>,
    images: Vec<ImageRecord>,
    image_count: u32,
    annotations: Vec<(i64, i64, Object)>,
    annotation_count: u32,
    findings: Findings,
}

#[derive(Deserialize)]
struct RawImage {
    id: Option<Id>,
    file_name: Option<String>,
    width: Option<f64>,
    height: Option<f64>,
}

#[derive(Deserialize)]
struct RawCategory {
    id: Option<Id>,
    name: Option<String>,
    supercategory: Option<String>,
}

#[derive(Deserialize)]
struct RawAnnotation {
    id: Option<Id>,
    image_id: Option<Id>,
    category_id: Option<Id>,
    bbox: Option<RawBox>,
    area: Option<f64>,
    iscrowd: Option<Flag>,
    difficult: Option<Flag>,
    truncated: Option<Flag>,
}

/// An integer, also one written as `7.0`.
struct Id(i64);

/// 0, 1, false, true; anything else is kept to complain about.
struct Flag(i64);

/// The first four numbers, `null` as NaN, and how many there were.
struct RawBox {
    values: [f64; 4],
    count: usize,
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value).map_err(|_| E::custom("an integer below 2^63 is expected"))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<i64, E> {
        if value.fract() == 0.0 && value.abs() < 9e15 {
            Ok(value as i64)
        } else {
            Err(E::custom(format!("an integer is expected, not {value}")))
        }
    }

    fn visit_bool<E>(self, value: bool) -> Result<i64, E> {
        Ok(i64::from(value))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor).map(Id)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor).map(Flag)
    }
}

impl<'de> Deserialize<'de> for RawBox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoxVisitor;
        impl<'de> Visitor<'de> for BoxVisitor {
            type Value = RawBox;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[x, y, width, height]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawBox, A::Error> {
                let mut raw = RawBox { values: [f64::NAN; 4], count: 0 };
                while raw.count < 4 {
                    let Some(value) = list.next_element::<Option<f64>>()? else {
                        return Ok(raw);
                    };
                    raw.values[raw.count] = value.unwrap_or(f64::NAN);
                    raw.count += 1;
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    raw.count += 1;
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_seq(BoxVisitor)
    }
}

/// The top level object: each list is handed on element by element.
struct Top<'a> {
    builder: &'a RefCell<Builder>,
    file: &'a str,
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a COCO object with images, annotations and categories")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (builder, file) = (self.builder, self.file);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "images" => map.next_value_seed(Each::new(|raw| {
                    builder.borrow_mut().image(raw, file);
                }))?,
                "categories" => map.next_value_seed(Each::new(|raw| {
                    builder.borrow_mut().category(raw, file);
                }))?,
                "annotations" => map.next_value_seed(Each::new(|raw| {
                    builder.borrow_mut().annotation(raw, file);
                }))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Calls a function for each element of a list, holding one at a time.
struct Each<T, F> {
    call: F,
    element: std::marker::PhantomData<fn(T)>,
}

impl<T, F: FnMut(T)> Each<T, F> {
    fn new(call: F) -> Self {
        Self { call, element: std::marker::PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<T>()? {
            (self.call)(element);
        }
        Ok(())
    }
}

impl Builder {
    fn image(&mut self, raw: RawImage, file: &str) {
        let source = self.image_count;
        self.image_count = self.image_count.saturating_add(1);
        let place = || Place::pointer(file, format!("/images/{source}"));
        let (Some(Id(id)), Some(name)) = (raw.id, raw.file_name) else {
            let message = "an image without `id` or `file_name`; left out".to_string();
            return self.findings.push(Kind::MissingField, place(), message);
        };
        let [width, height] = [raw.width, raw.height].map(|size| {
            let size = size.unwrap_or(0.0);
            // Sizes that no image has are reported like a missing size.
            if size.fract() == 0.0 && (1.0..=1e9).contains(&size) { size as u32 } else { 0 }
        });
        self.images.push(ImageRecord {
            id,
            file: name,
            width,
            height,
            objects: Vec::new(),
            label: None,
            source,
        });
    }

    fn category(&mut self, raw: RawCategory, file: &str) {
        let place = Place::pointer(file, format!("/categories/{}", self.classes.len()));
        let Some(Id(id)) = raw.id else {
            let message = "a category without `id`; left out".to_string();
            return self.findings.push(Kind::MissingField, place, message);
        };
        if self.class_of.contains_key(&id) {
            let name = raw.name.unwrap_or_default();
            let message = format!("category id {id} is used again by `{name}`; left out");
            return self.findings.push(Kind::DuplicateCategoryId, place, message);
        }
        self.class_of.insert(id, self.classes.len());
        let name = raw.name.unwrap_or_default();
        self.classes.push(Class { id, name, supercategory: raw.supercategory });
    }

    fn annotation(&mut self, raw: RawAnnotation, file: &str) {
        let source = self.annotation_count;
        self.annotation_count = self.annotation_count.saturating_add(1);
        let place = || Place::pointer(file, format!("/annotations/{source}"));
        let (Some(Id(image)), Some(Id(category)), Some(bbox)) = (raw.image_id, raw.category_id, raw.bbox)
        else {
            let message = "an annotation without `image_id`, `category_id` or `bbox`; left out".to_string();
            return self.findings.push(Kind::MissingField, place(), message);
        };
        if bbox.count != 4 {
            let message = format!("`bbox` has {} numbers instead of 4; left out", bbox.count);
            return self.findings.push(Kind::MissingField, place(), message);
        }
        let mut flag = |flag: Option<Flag>, name: &str| match flag {
            None | Some(Flag(0)) => false,
            Some(Flag(1)) => true,
            Some(Flag(other)) => {
                let message = format!("`{name}` is {other}; taken as 1");
                self.findings.push(Kind::BadFlag, place(), message);
                true
            }
        };
        let [x, y, width, height] = bbox.values;
        let object = Object {
            class: 0,
            bbox: [x, y, x + width, y + height],
            crowd: flag(raw.iscrowd, "iscrowd"),
            difficult: flag(raw.difficult, "difficult"),
            truncated: flag(raw.truncated, "truncated"),
            stated_area: raw.area,
            id: raw.id.map(|Id(id)| id),
            source,
        };
        self.annotations.push((image, category, object));
    }

    fn finish(mut self, file: &str) -> (Dataset, Findings) {
        let mut index: HashMap<i64, usize> = HashMap::with_capacity(self.images.len());
        let mut images: Vec<ImageRecord> = Vec::with_capacity(self.images.len());
        for image in self.images {
            if index.contains_key(&image.id) {
                let place = Place::pointer(file, format!("/images/{}", image.source));
                let message = format!("image id {} is used again by {}", image.id, image.file);
                self.findings.push(Kind::DuplicateImageId, place, message);
                continue;
            }
            index.insert(image.id, images.len());
            images.push(image);
        }
        // Count first: each image's list is then allocated once and to size.
        let mut counts = vec![0u32; images.len()];
        for (image, _, _) in &self.annotations {
            if let Some(&position) = index.get(image) {
                counts[position] += 1;
            }
        }
        for (image, &count) in images.iter_mut().zip(&counts) {
            image.objects.reserve_exact(count as usize);
        }
        for (image, category, mut object) in self.annotations {
            let place = || Place::pointer(file, format!("/annotations/{}", object.source));
            let Some(&position) = index.get(&image) else {
                let message = format!("image_id {image} is not in `images`; left out");
                self.findings.push(Kind::UnknownImageId, place(), message);
                continue;
            };
            let Some(&class) = self.class_of.get(&category) else {
                let message = format!("category_id {category} is not in `categories`; left out");
                self.findings.push(Kind::UnknownCategory, place(), message);
                continue;
            };
            object.class = class;
            images[position].objects.push(object);
        }
        let dataset = Dataset {
            format: Format::Coco,
            root: PathBuf::new(),
            annotations: None,
            split: None,
            classes: self.classes,
            images,
        };
        (dataset, self.findings)
    }
}

#[derive(Serialize)]
struct OutImage<'a> {
    id: i64,
    file_name: &'a str,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct OutCategory<'a> {
    id: i64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    supercategory: Option<&'a str>,
}

#[derive(Serialize)]
struct OutAnnotation {
    id: i64,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
    #[serde(skip_serializing_if = "is_zero")]
    difficult: u8,
    #[serde(skip_serializing_if = "is_zero")]
    truncated: u8,
}

fn is_zero(value: &u8) -> bool {
    *value == 0
}

/// Writes a dataset as COCO JSON, one entry a line. Objects without an id get the next free one;
/// difficult and truncated, which COCO does not have, are written as extra keys where set.
///
/// # Errors
/// What the writer returns.
pub fn write_to(mut out: impl Write, dataset: &Dataset) -> std::io::Result<()> {
    let objects = || dataset.images.iter().flat_map(|image| &image.objects);
    let mut next_id = objects().filter_map(|object| object.id).max().unwrap_or(0).max(0);
    out.write_all(b"{\"images\":[")?;
    for (position, image) in dataset.images.iter().enumerate() {
        out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
        let ImageRecord { id, ref file, width, height, .. } = *image;
        serde_json::to_writer(&mut out, &OutImage { id, file_name: file, width, height })?;
    }
    out.write_all(b"\n],\n\"annotations\":[")?;
    // The file's own order of annotations, not the images', so that a round trip changes nothing.
    let mut order: Vec<(u32, usize, usize)> = Vec::with_capacity(dataset.object_count());
    for (position, image) in dataset.images.iter().enumerate() {
        order.extend(image.objects.iter().enumerate().map(|(o, object)| (object.source, position, o)));
    }
    if dataset.format == Format::Coco {
        order.sort_unstable();
    }
    for (count, (_, position, object)) in order.into_iter().enumerate() {
        out.write_all(if count == 0 { b"\n" } else { b",\n" })?;
        let image = &dataset.images[position];
        let object = &image.objects[object];
        let id = object.id.unwrap_or_else(|| {
            next_id = next_id.saturating_add(1);
            next_id
        });
        let annotation = OutAnnotation {
            id,
            image_id: image.id,
            category_id: dataset.classes.get(object.class).map_or(0, |class| class.id),
            bbox: object.xywh(),
            area: object.area(),
            iscrowd: object.crowd.into(),
            difficult: object.difficult.into(),
            truncated: object.truncated.into(),
        };
        serde_json::to_writer(&mut out, &annotation)?;
    }
    out.write_all(b"\n],\n\"categories\":[")?;
    for (position, class) in dataset.classes.iter().enumerate() {
        out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
        let Class { id, name, supercategory } = class;
        let supercategory = supercategory.as_deref();
        serde_json::to_writer(&mut out, &OutCategory { id: *id, name, supercategory })?;
    }
    out.write_all(b"\n]}\n")?;
    out.flush()
}
