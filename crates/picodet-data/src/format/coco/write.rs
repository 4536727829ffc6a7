//! Writes COCO annotation files.

use std::fs;
use std::io::{BufWriter, Write};

use serde::Serialize;

use crate::dataset::{Class, Dataset, Format, ImageRecord};
use crate::error::DataError;
use crate::format::handler::{SplitOutput, make_parent};

/// Writes `annotations/instances_<split>.json`.
pub(super) fn write_split(output: &SplitOutput<'_>) -> Result<(), DataError> {
    let path = output.out.join(format!("annotations/instances_{}.json", output.split));
    make_parent(&path)?;
    let mut renamed = output.dataset.clone();
    for (image, name) in renamed.images.iter_mut().zip(output.image_names) {
        image.file.clone_from(name);
    }
    let file = fs::File::create(&path).map_err(|source| DataError::io(&path, source))?;
    write_to(BufWriter::new(file), &renamed).map_err(|source| DataError::io(&path, source))
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

/// Writes a dataset as COCO JSON, one entry per line. Objects without an id get the next free one; the flags
/// difficult and truncated, which COCO does not define, are written as extra keys if set.
///
/// # Errors
/// The error of the writer.
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
    // Annotations keep the order of their file instead of the order of the images, so that a round trip is
    // exact.
    let mut order: Vec<(u32, usize, usize)> = Vec::with_capacity(dataset.object_count());
    for (position, image) in dataset.images.iter().enumerate() {
        order.extend(image.objects.iter().enumerate().map(|(o, object)| (object.source, position, o)));
    }
    if dataset.format == Format::COCO {
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
