//! Writes COCO annotation files.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use serde::Serialize;

use crate::dataset::{Class, Dataset, Format, ImageRecord, Object};

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

/// Returns the ids of the objects without one, and of those with the id of an earlier object: the next free ones, by image
/// and object.
pub(super) fn annotation_ids(dataset: &Dataset) -> HashMap<(usize, usize), i64> {
    let objects = || {
        let images = dataset.images.iter().enumerate();
        images.flat_map(|(image, record)| {
            record.objects.iter().enumerate().map(move |(number, object)| ((image, number), object))
        })
    };
    let largest = objects().filter_map(|(_, object)| object.id).max().unwrap_or(0).max(0);
    let mut seen = HashSet::new();
    let without = objects().filter(|(_, object)| object.id.is_none_or(|id| !seen.insert(id)));
    without.zip(1i64..).map(|((place, _), number)| (place, largest.saturating_add(number))).collect()
}

pub(super) fn image(record: &ImageRecord) -> impl Serialize {
    let ImageRecord { id, ref file, width, height, .. } = *record;
    OutImage { id, file_name: file, width, height }
}

pub(super) fn category(class: &Class) -> impl Serialize {
    let Class { id, name, supercategory } = class;
    OutCategory { id: *id, name, supercategory: supercategory.as_deref() }
}

pub(super) fn annotation(
    dataset: &Dataset,
    image: &ImageRecord,
    object: &Object,
    id: i64,
) -> impl Serialize + use<> {
    OutAnnotation {
        id,
        image_id: image.id,
        category_id: dataset.classes.get(object.class).map_or(0, |class| class.id),
        bbox: object.xywh(),
        area: object.area(),
        iscrowd: object.crowd.into(),
        difficult: object.difficult.into(),
        truncated: object.truncated.into(),
    }
}

/// Writes a dataset as COCO JSON, one entry per line. Objects without an id get the next free one; the flags
/// difficult and truncated, which COCO does not define, are written as extra keys if set.
///
/// # Errors
/// The error of the writer.
pub fn write_to(mut out: impl Write, dataset: &Dataset) -> std::io::Result<()> {
    let ids = annotation_ids(dataset);
    out.write_all(b"{\"images\":[")?;
    for (position, record) in dataset.images.iter().enumerate() {
        out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &image(record))?;
    }
    out.write_all(b"\n],\n\"annotations\":[")?;
    // Annotations keep the order of their file instead of the order of the images, so that a round trip is
    // exact.
    let mut order: Vec<(u32, usize, usize)> = Vec::with_capacity(dataset.object_count());
    for (position, record) in dataset.images.iter().enumerate() {
        order.extend(record.objects.iter().enumerate().map(|(o, object)| (object.source, position, o)));
    }
    if dataset.format == Format::COCO {
        order.sort_unstable();
    }
    for (count, (_, position, number)) in order.into_iter().enumerate() {
        out.write_all(if count == 0 { b"\n" } else { b",\n" })?;
        let record = &dataset.images[position];
        let object = &record.objects[number];
        let id = ids.get(&(position, number)).copied().or(object.id).unwrap_or(0);
        serde_json::to_writer(&mut out, &annotation(dataset, record, object, id))?;
    }
    out.write_all(b"\n],\n\"categories\":[")?;
    for (position, class) in dataset.classes.iter().enumerate() {
        out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &category(class))?;
    }
    out.write_all(b"\n]}\n")?;
    out.flush()
}
