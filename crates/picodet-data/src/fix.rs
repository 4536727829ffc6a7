//! Writes a repaired copy of a checked dataset; the original is not modified.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::check::boxes::{fault, wrong_area};
use crate::check::{CheckOptions, Checked, ImageFacts};
use crate::convert::{WriteOptions, WriteReport, write};
use crate::dataset::{Dataset, ImageRecord, Object, Part};
use crate::error::DataError;
use crate::finding::FindingKind;
use crate::loss::Loss;

/// The result of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FixReport {
    /// Number of repairs by description.
    pub actions: BTreeMap<&'static str, usize>,
    /// The result of writing the copy.
    pub written: WriteReport,
}

/// Repairs and losses, counted by description.
#[derive(Debug, Default)]
struct Tally {
    actions: BTreeMap<&'static str, usize>,
    /// Objects that are left out.
    lost: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn done(&mut self, what: &'static str) {
        *self.actions.entry(what).or_default() += 1;
    }

    fn lost(&mut self, what: &'static str, objects: usize) {
        if objects > 0 {
            *self.lost.entry(what).or_default() += objects;
        }
    }
}

/// Writes a repaired copy in the same format under the new or empty folder `out`.
///
/// Corrected: swapped corners, boxes beyond the image, sizes, areas, duplicate ids, class ids and names, and
/// paths. Removed: images that are also in an earlier split, or twice in one, whose objects are merged, and
/// duplicate boxes. Left out if the options allow it: boxes that are empty, outside of the image or not finite, labels
/// of missing or undecodable images, other objects of images in an earlier split, and entries that cannot be read.
/// Unchanged: faults that need a human decision (EXIF orientation, two classes on one box). Fields that a [`Dataset`] does not represent are kept.
///
/// # Errors
/// As [`write()`]; [`DataError::WouldLose`] when objects would be left out that the options do not allow to lose,
/// [`DataError::SplitWouldBeEmpty`] when all images of a split would.
pub fn fix(
    checked: &Checked,
    out: impl AsRef<Path>,
    options: impl Into<WriteOptions>,
) -> Result<FixReport, DataError> {
    let (out, options) = (out.as_ref(), options.into());
    let mut tally = Tally::default();
    let mut seen_elsewhere = Seen::new();
    let mut repaired: Vec<Dataset> = Vec::new();
    let mut emptied = None;
    for (source, facts) in checked.datasets.iter().zip(&checked.facts) {
        let mut dataset = repair(source, facts, &seen_elsewhere, &mut tally);
        if dataset.images.is_empty() && !source.images.is_empty() && !repaired.is_empty() {
            emptied.get_or_insert_with(|| source.split_name().to_string());
        }
        if options.crowds_as_objects {
            dataset.crowds_as_objects();
        }
        for (image, facts) in source.images.iter().zip(facts) {
            if let Some(hash) = facts.hash {
                seen_elsewhere.entry(hash).or_default().push((source, image));
            }
        }
        repaired.push(dataset);
    }
    let of_reader = checked.report.findings.losses_of_copy();
    let lost = tally.lost.iter().map(|(what, count)| Loss { what: (*what).to_string(), count: *count });
    // Categories that group others, spaces in names and images without labels are no objects.
    let harmless = [
        FindingKind::CategoryRoot,
        FindingKind::ClassNameChanged,
        FindingKind::ImageUnused,
        FindingKind::ImageUnreferenced,
    ]
    .map(FindingKind::lost);
    let objects: Vec<Loss> = of_reader
        .iter()
        .filter(|loss| !harmless.contains(&Some(loss.what.as_str())))
        .cloned()
        .chain(lost.clone())
        .collect();
    if !objects.is_empty() && !options.allow_loss {
        return Err(DataError::WouldLose { path: out.to_path_buf(), losses: objects });
    }
    if let Some(name) = emptied.filter(|_| !options.allow_loss) {
        return Err(DataError::SplitWouldBeEmpty { name });
    }
    let parts: Vec<Part<'_>> =
        repaired.iter().map(|dataset| Part { name: dataset.split_name(), dataset }).collect();
    let format = parts.first().map_or(crate::Format::COCO, |part| part.dataset.format);
    let mut losses: Vec<Loss> = of_reader;
    losses.extend(lost);
    let mut written = write(&parts, format, out, options)?;
    written.losses.splice(0..0, losses);
    Ok(FixReport { actions: tally.actions, written })
}

/// The images of earlier splits by the hash of their file.
type Seen<'a> = HashMap<[u8; 32], Vec<(&'a Dataset, &'a ImageRecord)>>;

/// Returns class name and box of each object of an image.
fn contents<'a>(
    (dataset, image): (&'a Dataset, &'a ImageRecord),
) -> impl Iterator<Item = (Option<&'a str>, [u64; 4])> {
    let class = |object: &Object| dataset.classes.get(object.class).map(|class| class.name.as_str());
    image.objects.iter().map(move |object| (class(object), bits(object.bbox)))
}

/// Returns the bits of a box; those of -0 are those of 0.
fn bits(bbox: [f64; 4]) -> [u64; 4] {
    bbox.map(|value| (value + 0.0).to_bits())
}

fn repair(source: &Dataset, facts: &[ImageFacts], seen_elsewhere: &Seen<'_>, tally: &mut Tally) -> Dataset {
    let mut dataset = Dataset { images: Vec::new(), classes: Vec::new(), ..source.clone() };
    // Classes of the same name are merged into the first.
    let mut class_map = Vec::new();
    let mut class_of: HashMap<&str, usize> = HashMap::new();
    for class in &source.classes {
        match class_of.get(class.name.as_str()) {
            Some(&first) => {
                tally.done("classes of the same name merged");
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
    let mut by_file: HashMap<&Path, usize> = HashMap::new();
    let mut hashes: HashMap<[u8; 32], usize> = HashMap::new();
    for (image, facts) in source.images.iter().zip(facts) {
        if !facts.exists {
            tally.done("missing images removed with their labels");
            tally.lost("objects of missing images", image.objects.len());
            continue;
        }
        if facts.fault.is_some() {
            tally.done("undecodable images removed with their labels");
            tally.lost("objects of undecodable images", image.objects.len());
            continue;
        }
        let mut record = image.clone();
        if let Some(&first) = by_file.get(facts.real.as_path()) {
            tally.done("entries of the same file merged");
            let objects = clean(record.objects, &dataset, first, &class_map, tally);
            let target: &mut Vec<Object> = &mut dataset.images[first].objects;
            target.extend(objects);
            continue;
        }
        if let Some(hash) = facts.hash {
            if let Some(known) = seen_elsewhere.get(&hash) {
                tally.done("images removed that are in an earlier split");
                let known: HashSet<_> = known.iter().copied().flat_map(contents).collect();
                let others = contents((source, image)).filter(|object| !known.contains(object)).count();
                tally.lost("objects of images that are in an earlier split without them", others);
                continue;
            }
            if let Some(&first) = hashes.get(&hash) {
                tally.done("duplicate images removed, their objects merged");
                let objects = clean(record.objects, &dataset, first, &class_map, tally);
                dataset.images[first].objects.extend(objects);
                continue;
            }
            hashes.insert(hash, dataset.images.len());
        }
        if let Some(header) = facts.header {
            let turned = header.turned && (image.width, image.height) == (header.height, header.width);
            if (image.width, image.height) != (header.width, header.height) && !turned {
                tally.done("sizes corrected");
                (record.width, record.height) = (header.width, header.height);
            }
        }
        by_file.insert(&facts.real, dataset.images.len());
        let objects = std::mem::take(&mut record.objects);
        dataset.images.push(record);
        let index = dataset.images.len() - 1;
        let objects = clean(objects, &dataset, index, &class_map, tally);
        dataset.images[index].objects = objects;
    }
    for object in dataset.images.iter_mut().flat_map(|image| &mut image.objects) {
        if let Some(id) = object.id
            && !ids.insert(id)
        {
            tally.done("annotation ids renumbered");
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
    tally: &mut Tally,
) -> Vec<Object> {
    let record = &dataset.images[image];
    let (width, height) = (f64::from(record.width), f64::from(record.height));
    let options = CheckOptions::default();
    let mut seen: HashSet<(usize, [u64; 4])> =
        record.objects.iter().map(|object| (object.class, bits(object.bbox))).collect();
    let mut kept = Vec::with_capacity(objects.len());
    for mut object in objects {
        object.class = class_map.get(object.class).copied().unwrap_or(object.class);
        let mut changed = false;
        if let Some((FindingKind::BoxInverted, _)) = fault(&object, (width, height), &options) {
            let [x1, y1, x2, y2] = object.bbox;
            object.bbox = [x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2)];
            tally.done("swapped corners corrected");
            changed = true;
        }
        match fault(&object, (width, height), &options).map(|(kind, _)| kind) {
            Some(
                FindingKind::BoxNotFinite
                | FindingKind::BoxEmpty
                | FindingKind::BoxOutside
                | FindingKind::BoxInverted,
            ) => {
                tally.done("boxes removed that are empty, outside of the image or not finite");
                tally.lost("boxes that are empty, outside of the image or not finite", 1);
                continue;
            }
            Some(FindingKind::BoxPartlyOutside) => {
                let [x1, y1, x2, y2] = object.bbox;
                object.bbox = [x1.max(0.0), y1.max(0.0), x2.min(width), y2.min(height)];
                tally.done("boxes clipped to the image");
                changed = true;
            }
            _ => {}
        }
        let (w, h) = object.size();
        let of_segmentation = |area: f64| area.is_finite() && area > 0.0 && area <= w * h;
        let stale = changed && object.stated_area.is_some_and(|area| !of_segmentation(area));
        if stale || wrong_area(&object).is_some() {
            object.stated_area = Some(w * h);
            tally.done("areas recomputed");
        }
        if !object.crowd && !seen.insert((object.class, bits(object.bbox))) {
            tally.done("duplicate boxes removed");
            continue;
        }
        kept.push(object);
    }
    kept
}
