//! Recognises results that match the objects of a dataset better when their numbers are read in another way
//! than COCO's.

mod boxes;
mod ids;

use std::collections::HashMap;

use crate::types::{Category, Detection, GroundTruth, ImageSize, intersection_over_union};

use boxes::{COCO, Reading};
use ids::IdReading;

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
/// Least share of the objects that a reading in a unit of many, such as pixels of an input, matches.
const LEAST_INPUT_SHARE: f64 = 0.4;
/// Share of the objects below which the matched ones are reported.
const POOR_SHARE: f64 = 0.05;
/// Least number of objects and of detections for a statement on them.
const LEAST_COUNT: usize = 20;

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

/// Returns the images that have objects and a size, without detections.
fn pictures<'a>(objects: &'a [GroundTruth], images: &[ImageSize]) -> (Vec<Picture<'a>>, HashMap<i64, usize>) {
    let sizes: HashMap<i64, &ImageSize> = images.iter().map(|image| (image.id, image)).collect();
    let mut by_image: HashMap<i64, usize> = HashMap::new();
    let mut pictures: Vec<Picture<'_>> = Vec::new();
    for object in objects.iter().filter(|object| !object.crowd && !object.ignore) {
        let size = sizes.get(&object.image_id).filter(|size| size.width > 0 && size.height > 0);
        let Some(size) = size else { continue };
        let next = pictures.len();
        if next == IMAGES && !by_image.contains_key(&object.image_id) {
            continue;
        }
        let index = *by_image.entry(object.image_id).or_insert(next);
        if index == next {
            let sides = [f64::from(size.width), f64::from(size.height)];
            pictures.push(Picture { sides, objects: Vec::new(), detections: Vec::new() });
        }
        pictures[index].objects.push(object);
    }
    (pictures, by_image)
}

/// Replaces the detections of the images by those whose image id, as `read` returns it, is theirs.
fn assign<'a>(
    pictures: &mut [Picture<'a>],
    by_image: &HashMap<i64, usize>,
    detections: impl Iterator<Item = &'a Detection>,
    read: impl Fn(i64) -> Option<i64>,
) {
    pictures.iter_mut().for_each(|picture| picture.detections.clear());
    for detection in detections {
        if let Some(&index) = read(detection.image_id).and_then(|id| by_image.get(&id)) {
            pictures[index].detections.push(detection);
        }
    }
    for picture in pictures {
        picture.detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        picture.detections.truncate(PER_IMAGE);
    }
}

/// Returns the reading that matches most objects, the first of equals, and their number.
fn best_of<R>(readings: impl IntoIterator<Item = R>, matched: impl FnMut(&R) -> usize) -> Option<(usize, R)> {
    let mut matched = matched;
    (readings.into_iter())
        .map(|reading| (matched(&reading), reading))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
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

/// Whether a number of matched objects of `total` is so much greater than that of COCO's reading that the other is meant.
fn is_better(other: usize, own: usize, total: usize) -> bool {
    other >= own + LEAST_GAIN
        && other as f64 >= LEAST_RATIO * own as f64
        && (other - own) as f64 >= LEAST_SHARE_GAIN * total as f64
}

/// Describes in one line what seems to be meant in another way than COCO's: the boxes, image ids or categories of
/// detections that match far more of the objects when they are read so, or scores in reverse order. `detections`
/// may have image and category ids that the dataset does not have; `images` has the order of the dataset.
#[must_use]
pub fn reading_note<'a>(
    detections: impl IntoIterator<Item = &'a Detection, IntoIter: Clone>,
    objects: &'a [GroundTruth],
    categories: &[Category],
    images: &[ImageSize],
) -> Option<String> {
    let detections = detections.into_iter();
    let (mut pictures, by_image) = pictures(objects, images);
    assign(&mut pictures, &by_image, detections.clone(), Some);
    let total: usize = pictures.iter().map(|picture| picture.objects.len()).sum();
    let matched_in = |pictures: &[Picture<'_>], reading: Reading| -> usize {
        pictures.iter().map(|picture| picture.matched(reading, None)).sum()
    };
    let own = matched_in(&pictures, COCO);
    // Most results are right: the others are tried only if they can be better.
    if is_better(total, own, total) {
        let boxes = best_of(Reading::all(), |reading| matched_in(&pictures, *reading));
        let boxes = boxes.filter(|&(matched, reading)| {
            let is_enough = matched as f64 >= LEAST_INPUT_SHARE * total as f64;
            is_better(matched, own, total) && (is_enough || !reading.is_one_of_many())
        });
        let ids: Vec<i64> = images.iter().map(|image| image.id).collect();
        let shifted = best_of(IdReading::ALL, |reading| {
            assign(&mut pictures, &by_image, detections.clone(), |id| reading.read(id, &ids));
            matched_in(&pictures, COCO)
        });
        let shifted = shifted.filter(|(matched, _)| is_better(*matched, own, total));
        let of_boxes = boxes.map_or(0, |(matched, _)| matched);
        if let Some((matched, reading)) = shifted.filter(|(matched, _)| *matched > of_boxes) {
            return Some(format!(
                "the detections match {own} of {total} objects; with image ids read as {reading}, {matched}"
            ));
        }
        if let Some((matched, reading)) = boxes {
            return Some(format!(
                "the boxes match {own} of {total} objects; read as {reading}, {matched}; a box is {COCO}"
            ));
        }
        let is_poor = (own as f64) < POOR_SHARE * total as f64;
        if is_poor && total >= LEAST_COUNT && detections.clone().take(LEAST_COUNT).count() == LEAST_COUNT {
            return Some(format!(
                "the boxes match {own} of {total} objects with an IoU of {LEAST_IOU} or more; a box is {COCO}"
            ));
        }
        assign(&mut pictures, &by_image, detections, Some);
    }
    let ids: Vec<i64> = categories.iter().map(|category| category.id).collect();
    let with = |category: &dyn Fn(i64) -> Option<i64>| -> usize {
        pictures.iter().map(|picture| picture.matched(COCO, Some(category))).sum()
    };
    let same = with(&Some);
    if is_better(own, same, total) {
        let best = best_of(IdReading::ALL, |reading| with(&|id| reading.read(id, &ids)));
        if let Some((matched, reading)) = best.filter(|(matched, _)| is_better(*matched, same, total)) {
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
