//! Writes a repaired copy of a checked dataset; the original is not modified.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::check::boxes::{fault, wrong_area};
use crate::check::{CheckOptions, Checked, ImageFacts};
use crate::convert::{Images, WriteReport, write};
use crate::dataset::{Dataset, Object, Part};
use crate::error::DataError;
use crate::finding::FindingKind;

/// The result of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FixReport {
    /// Number of repairs by description.
    pub actions: BTreeMap<&'static str, usize>,
    /// The result of writing the copy.
    pub written: WriteReport,
}

/// Writes a repaired copy in the same format under the new or empty folder `out`.
///
/// Removed: labels of missing or undecodable images, images that are also in an earlier split or twice in
/// one, boxes that are empty, outside of the image or not finite, duplicate boxes, and entries that the
/// reader left out. Corrected: swapped corners, boxes beyond the image, sizes, areas, duplicate ids, class
/// names and paths. Unchanged: faults that need a human decision (EXIF orientation, two classes on one box).
///
/// # Errors
/// As [`write()`].
pub fn fix(checked: &Checked, out: impl AsRef<Path>) -> Result<FixReport, DataError> {
    let mut actions = BTreeMap::new();
    let mut seen_elsewhere: HashSet<[u8; 32]> = HashSet::new();
    let mut repaired: Vec<Dataset> = Vec::new();
    for (dataset, facts) in checked.datasets.iter().zip(&checked.facts) {
        let dataset = repair(dataset, facts, &seen_elsewhere, &mut actions);
        seen_elsewhere.extend(facts.iter().filter_map(|facts| facts.hash));
        repaired.push(dataset);
    }
    let reader_losses: usize = checked
        .report
        .findings
        .counts()
        .iter()
        .filter(|(kind, _)| {
            matches!(
                kind,
                FindingKind::UnknownCategory
                    | FindingKind::UnknownImageId
                    | FindingKind::MissingField
                    | FindingKind::BadNumber
                    | FindingKind::DuplicateImageId
                    | FindingKind::YoloClass
                    | FindingKind::YoloColumns
                    | FindingKind::YoloRange
                    | FindingKind::ShapePoints
                    | FindingKind::ShapeUnsupported
                    | FindingKind::FileUnreadable
            )
        })
        .map(|(_, count)| count)
        .sum();
    if reader_losses > 0 {
        actions.insert("entries left out that could not be read", reader_losses);
    }
    let parts: Vec<Part<'_>> =
        repaired.iter().map(|dataset| Part { name: dataset.split_name(), dataset }).collect();
    let format = parts.first().map_or(crate::Format::COCO, |part| part.dataset.format);
    let written = write(&parts, format, out, Images::Copy)?;
    Ok(FixReport { actions, written })
}

fn repair(
    source: &Dataset,
    facts: &[ImageFacts],
    seen_elsewhere: &HashSet<[u8; 32]>,
    actions: &mut BTreeMap<&'static str, usize>,
) -> Dataset {
    let mut done = |what: &'static str| *actions.entry(what).or_default() += 1;
    let mut dataset = Dataset { images: Vec::new(), classes: Vec::new(), ..source.clone() };
    // Classes of the same name are merged into the first.
    let mut class_map = Vec::new();
    let mut class_of: HashMap<&str, usize> = HashMap::new();
    for class in &source.classes {
        match class_of.get(class.name.as_str()) {
            Some(&first) => {
                done("classes of the same name merged");
                class_map.push(first);
            }
            None => {
                class_map.push(dataset.classes.len());
                class_of.insert(&class.name, dataset.classes.len());
                dataset.classes.push(class.clone());
            }
        }
    }
    let mut ids: HashSet<i64> = HashSet::new();
    let mut next_id = source
        .images
        .iter()
        .flat_map(|image| &image.objects)
        .filter_map(|object| object.id)
        .fold(0i64, i64::max);
    let mut by_file: HashMap<&str, usize> = HashMap::new();
    let mut hashes: HashSet<[u8; 32]> = HashSet::new();
    for (image, facts) in source.images.iter().zip(facts) {
        if !facts.exists {
            done("missing images removed with their labels");
            continue;
        }
        if facts.fault.is_some() {
            done("undecodable images removed with their labels");
            continue;
        }
        let mut record = image.clone();
        if let Some(&first) = by_file.get(image.file.as_str()) {
            done("entries of the same file merged");
            let objects = clean(record.objects, &dataset, first, &class_map, &mut done);
            let target: &mut Vec<Object> = &mut dataset.images[first].objects;
            target.extend(objects);
            continue;
        }
        if let Some(hash) = facts.hash {
            if seen_elsewhere.contains(&hash) {
                done("images removed that are in an earlier split");
                continue;
            }
            if !hashes.insert(hash) {
                done("duplicate images removed");
                continue;
            }
        }
        if let Some(header) = facts.header {
            let turned = header.turned && (image.width, image.height) == (header.height, header.width);
            if (image.width, image.height) != (header.width, header.height) && !turned {
                done("sizes corrected");
                (record.width, record.height) = (header.width, header.height);
            }
        }
        by_file.insert(&image.file, dataset.images.len());
        let objects = std::mem::take(&mut record.objects);
        dataset.images.push(record);
        let index = dataset.images.len() - 1;
        let objects = clean(objects, &dataset, index, &class_map, &mut done);
        dataset.images[index].objects = objects;
    }
    for object in dataset.images.iter_mut().flat_map(|image| &mut image.objects) {
        if let Some(id) = object.id
            && !ids.insert(id)
        {
            done("annotation ids renumbered");
            next_id = next_id.saturating_add(1);
            object.id = Some(next_id);
            ids.insert(next_id);
        }
    }
    dataset
}

/// Returns the repaired objects of one image.
fn clean(
    objects: Vec<Object>,
    dataset: &Dataset,
    image: usize,
    class_map: &[usize],
    done: &mut impl FnMut(&'static str),
) -> Vec<Object> {
    let record = &dataset.images[image];
    let (width, height) = (f64::from(record.width), f64::from(record.height));
    let options = CheckOptions::default();
    let mut seen: HashSet<(usize, [u64; 4])> = record
        .objects
        .iter()
        .map(|object| (object.class, object.bbox.map(|value| (value + 0.0).to_bits())))
        .collect();
    let mut kept = Vec::with_capacity(objects.len());
    for mut object in objects {
        object.class = class_map.get(object.class).copied().unwrap_or(object.class);
        let mut changed = false;
        if let Some((FindingKind::BoxInverted, _)) = fault(&object, (width, height), &options) {
            let [x1, y1, x2, y2] = object.bbox;
            object.bbox = [x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2)];
            done("swapped corners corrected");
            changed = true;
        }
        match fault(&object, (width, height), &options).map(|(kind, _)| kind) {
            Some(
                FindingKind::BoxNotFinite
                | FindingKind::BoxEmpty
                | FindingKind::BoxOutside
                | FindingKind::BoxInverted,
            ) => {
                done("boxes removed that are empty, outside of the image or not finite");
                continue;
            }
            Some(FindingKind::BoxPartlyOutside) => {
                let [x1, y1, x2, y2] = object.bbox;
                object.bbox = [x1.max(0.0), y1.max(0.0), x2.min(width), y2.min(height)];
                done("boxes clipped to the image");
                changed = true;
            }
            _ => {}
        }
        if (changed && object.stated_area.is_some()) || wrong_area(&object).is_some() {
            let (w, h) = object.size();
            object.stated_area = Some(w * h);
            done("areas recomputed");
        }
        let bits = object.bbox.map(|value| (value + 0.0).to_bits());
        if !object.crowd && !seen.insert((object.class, bits)) {
            done("duplicate boxes removed");
            continue;
        }
        kept.push(object);
    }
    kept
}
