//! Recognises results that match the objects of a dataset better when their numbers are read in another way
//! than COCO's.

use std::collections::HashMap;
use std::fmt;

use crate::types::{Category, Detection, GroundTruth, intersection_over_union};

/// Detections with the highest scores that are compared in an image.
const PER_IMAGE: usize = 100;
/// Images that are compared.
const IMAGES: usize = 500;
/// Least IoU with an object.
const LEAST_IOU: f64 = 0.5;
/// Least number of objects that another reading matches in addition, and its shares.
const LEAST_GAIN: usize = 3;
const LEAST_SHARE_GAIN: f64 = 0.15;
const LEAST_RATIO: f64 = 1.3;
/// Least share of the objects that a reading in pixels of an input matches: there are many such readings.
const LEAST_INPUT_SHARE: f64 = 0.4;
/// Share of the objects below which the matched ones are reported.
const POOR_SHARE: f64 = 0.05;
/// Least number of objects and of detections for a statement on them.
const LEAST_COUNT: usize = 20;
/// Sides of network inputs whose pixels may be the unit.
const INPUT_SIDES: [u16; 6] = [320, 416, 512, 608, 640, 1280];

/// The meaning of the four numbers of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Numbers {
    Size,
    Corners,
    Centre,
    RowFirstCorners,
    RowFirstSize,
}

/// The unit of these numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Pixels,
    Fractions,
    /// Pixels of a square input to which the image was resized.
    Stretched(u16),
    /// Pixels of a square input in whose centre the image was placed.
    Letterboxed(u16),
}

/// A way to read a box.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    numbers: Numbers,
    unit: Unit,
}

const COCO: Reading = Reading { numbers: Numbers::Size, unit: Unit::Pixels };

impl Reading {
    fn all() -> impl Iterator<Item = Self> {
        use Numbers::{Centre, Corners, RowFirstCorners, RowFirstSize, Size};
        let inputs = INPUT_SIDES.iter().flat_map(|&side| [Unit::Stretched(side), Unit::Letterboxed(side)]);
        let units = [Unit::Pixels, Unit::Fractions].into_iter().chain(inputs);
        units.flat_map(|unit| {
            [Size, Corners, Centre, RowFirstCorners, RowFirstSize].map(|numbers| Self { numbers, unit })
        })
    }

    /// Returns `[left, top, width, height]` in pixels of an image with these sides.
    fn read(self, [a, b, c, d]: [f64; 4], [width, height]: [f64; 2]) -> [f64; 4] {
        let [x, y, w, h] = match self.numbers {
            Numbers::Size => [a, b, c, d],
            Numbers::Corners => [a, b, c - a, d - b],
            Numbers::Centre => [a - c / 2.0, b - d / 2.0, c, d],
            Numbers::RowFirstCorners => [b, a, d - b, c - a],
            Numbers::RowFirstSize => [b, a, d, c],
        };
        let scaled = |sx: f64, sy: f64| [x * sx, y * sy, w * sx, h * sy];
        match self.unit {
            Unit::Pixels => [x, y, w, h],
            Unit::Fractions => scaled(width, height),
            Unit::Stretched(side) => scaled(width / f64::from(side), height / f64::from(side)),
            Unit::Letterboxed(side) => {
                let scale = width.max(height) / f64::from(side);
                let [x, y, w, h] = scaled(scale, scale);
                let margin = |own: f64| (width.max(height) - own) / 2.0;
                [x - margin(width), y - margin(height), w, h]
            }
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.numbers {
            Numbers::Size => "[left, top, width, height]",
            Numbers::Corners => "[left, top, right, bottom]",
            Numbers::Centre => "[centre x, centre y, width, height]",
            Numbers::RowFirstCorners => "[top, left, bottom, right]",
            Numbers::RowFirstSize => "[top, left, height, width]",
        })?;
        match self.unit {
            Unit::Pixels => f.write_str(" in pixels of the image"),
            Unit::Fractions => f.write_str(" in fractions of the image's sides"),
            Unit::Stretched(side) => write!(f, " in pixels of an input of {side}×{side}"),
            Unit::Letterboxed(side) => write!(f, " in pixels of a letterboxed input of {side}×{side}"),
        }
    }
}

/// A way to read a category id.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CategoryReading {
    /// The id is the category's id less this number.
    Less(i64),
    /// The id is the position of the category in the dataset, counted from this number.
    PositionFrom(i64),
}

impl CategoryReading {
    const ALL: [Self; 4] = [Self::Less(1), Self::Less(-1), Self::PositionFrom(0), Self::PositionFrom(1)];

    /// Returns the id of the category in the dataset, whose ids are `ids`.
    fn read(self, id: i64, ids: &[i64]) -> Option<i64> {
        match self {
            Self::Less(difference) => Some(id.saturating_add(difference)),
            Self::PositionFrom(first) => {
                usize::try_from(id.checked_sub(first)?).ok().and_then(|index| ids.get(index).copied())
            }
        }
    }
}

impl fmt::Display for CategoryReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Less(1) => f.write_str("one less than the dataset's ids"),
            Self::Less(_) => f.write_str("one more than the dataset's ids"),
            Self::PositionFrom(first) => {
                write!(f, "positions in the dataset's list of categories, from {first}")
            }
        }
    }
}

/// Whether a box covers an object.
fn is_match(bbox: &[f64; 4], object: &GroundTruth) -> bool {
    intersection_over_union(bbox, &object.bbox, false) >= LEAST_IOU
}

/// The boxes of an image.
struct Picture<'a> {
    sides: [f64; 2],
    objects: Vec<&'a GroundTruth>,
    /// With descending scores.
    detections: Vec<&'a Detection>,
}

impl Picture<'_> {
    /// Counts the objects that a detection matches; without `category`, of any category.
    fn matched(&self, reading: Reading, category: Option<&dyn Fn(i64) -> Option<i64>>) -> usize {
        let found: Vec<_> = (self.detections.iter())
            .map(|found| {
                let category = category.and_then(|category| category(found.category_id));
                (category, reading.read(found.bbox, self.sides))
            })
            .collect();
        let is_matched = |object: &&&GroundTruth| {
            found.iter().any(|(id, bbox)| {
                (category.is_none() || *id == Some(object.category_id)) && is_match(bbox, object)
            })
        };
        self.objects.iter().filter(is_matched).count()
    }
}

/// Groups detections and objects by image; images whose size is unknown, and those without objects, are not compared.
fn pictures<'a>(
    detections: impl Iterator<Item = &'a Detection>,
    objects: &'a [GroundTruth],
    sizes: &HashMap<i64, (u32, u32)>,
) -> Vec<Picture<'a>> {
    let mut by_image: HashMap<i64, usize> = HashMap::new();
    let mut pictures: Vec<Picture<'_>> = Vec::new();
    for object in objects.iter().filter(|object| !object.crowd && !object.ignore) {
        let size = sizes.get(&object.image_id).filter(|(width, height)| *width > 0 && *height > 0);
        let Some(&(width, height)) = size else { continue };
        let next = pictures.len();
        if next == IMAGES && !by_image.contains_key(&object.image_id) {
            continue;
        }
        let index = *by_image.entry(object.image_id).or_insert(next);
        if index == next {
            let sides = [f64::from(width), f64::from(height)];
            pictures.push(Picture { sides, objects: Vec::new(), detections: Vec::new() });
        }
        pictures[index].objects.push(object);
    }
    for detection in detections {
        if let Some(&index) = by_image.get(&detection.image_id) {
            pictures[index].detections.push(detection);
        }
    }
    for picture in &mut pictures {
        picture.detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        picture.detections.truncate(PER_IMAGE);
    }
    pictures
}

/// Whether detections that match an object of their category have lower scores than the others, on average.
fn is_reversed(pictures: &[Picture<'_>]) -> bool {
    let mut sums = [(0.0, 0usize); 2];
    for picture in pictures {
        for found in &picture.detections {
            let is_match = picture
                .objects
                .iter()
                .any(|object| object.category_id == found.category_id && is_match(&found.bbox, object));
            let (sum, count) = &mut sums[usize::from(is_match)];
            *sum += found.score;
            *count += 1;
        }
    }
    let [(others, other_count), (matches, match_count)] = sums;
    let mean = |sum: f64, count: usize| sum / count as f64;
    other_count.min(match_count) >= LEAST_COUNT && mean(matches, match_count) < mean(others, other_count)
}

/// Describes in one line what seems to be meant in another way than COCO's: the boxes or categories of
/// detections that match far more of the objects when they are read so, or scores in reverse order. `detections`
/// may have categories that the dataset does not have.
#[must_use]
pub fn reading_note<'a>(
    detections: impl IntoIterator<Item = &'a Detection, IntoIter: Clone>,
    objects: &'a [GroundTruth],
    categories: &[Category],
    sizes: &HashMap<i64, (u32, u32)>,
) -> Option<String> {
    let detections = detections.into_iter();
    let pictures = pictures(detections.clone(), objects, sizes);
    let total: usize = pictures.iter().map(|picture| picture.objects.len()).sum();
    let is_better = |other: usize, own: usize| {
        other >= own + LEAST_GAIN
            && other as f64 >= LEAST_RATIO * own as f64
            && (other - own) as f64 >= LEAST_SHARE_GAIN * total as f64
    };
    let with = |reading: Reading| pictures.iter().map(|picture| picture.matched(reading, None)).sum();
    let own: usize = with(COCO);
    // Most results are right: the others are tried only if they can be better.
    if is_better(total, own) {
        // The first of equals, which is the simplest.
        let best = Reading::all()
            .map(|reading| (with(reading), reading))
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        let is_likely = |&(matched, reading): &(usize, Reading)| {
            let is_input = matches!(reading.unit, Unit::Stretched(_) | Unit::Letterboxed(_));
            is_better(matched, own) && (!is_input || matched as f64 >= LEAST_INPUT_SHARE * total as f64)
        };
        if let Some((matched, reading)) = best.filter(is_likely) {
            return Some(format!(
                "the boxes match {own} of {total} objects; read as {reading}, {matched}; a box is {COCO}"
            ));
        }
        let is_poor = (own as f64) < POOR_SHARE * total as f64;
        if is_poor && total >= LEAST_COUNT && detections.take(LEAST_COUNT).count() == LEAST_COUNT {
            return Some(format!(
                "the boxes match {own} of {total} objects with an IoU of {LEAST_IOU} or more; a box is {COCO}"
            ));
        }
    }
    let ids: Vec<i64> = categories.iter().map(|category| category.id).collect();
    let with = |category: &dyn Fn(i64) -> Option<i64>| -> usize {
        pictures.iter().map(|picture| picture.matched(COCO, Some(category))).sum()
    };
    let same = with(&Some);
    if is_better(own, same) {
        let best = (CategoryReading::ALL.into_iter())
            .map(|reading| (with(&|id| reading.read(id, &ids)), reading))
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        if let Some((matched, reading)) = best.filter(|(matched, _)| is_better(*matched, same)) {
            return Some(format!(
                "the categories of the detections match {same} of {total} objects; read as {reading}, {matched}"
            ));
        }
    }
    is_reversed(&pictures).then(|| {
        "detections that match an object have lower scores than the others; the surer a detection, the higher its score"
            .to_owned()
    })
}
