//! Recognises results that match the objects of a dataset better when their numbers are read in another way
//! than COCO's.

mod boxes;
mod categories;
mod choice;
mod ids;
mod sample;

use crate::types::{Category, Detection, GroundTruth, ImageSize};

use boxes::{COCO, Reading};
use choice::{best_of, is_better};
use ids::IdReading;
use sample::{LEAST_IOU, Matches, Sample, overlap};

/// Least share of the objects or detections that a reading in a unit of many, such as pixels of an input, matches.
const LEAST_INPUT_SHARE: f64 = 0.4;
/// Factor by which such a unit matches better than a simple one.
const INPUT_MARGIN: f64 = 1.05;
/// Share of the objects and of the detections below which the matched ones are reported.
const POOR_SHARE: f64 = 0.05;
/// The same of the detections with the highest scores.
const POOR_SUREST_SHARE: f64 = 0.15;
/// Least number of objects and of detections for a statement on them.
const LEAST_COUNT: usize = 20;
/// Images with which the units of many are compared first.
const FIRST_IMAGES: usize = 16;
/// Share of the objects or of the detections above which boxes and image ids are not doubted.
const SOUND_SHARE: f64 = 0.6;

impl Matches {
    fn of_objects(&self) -> (usize, usize) {
        (self.objects, self.object_count)
    }

    fn of_hits(&self) -> (usize, usize) {
        (self.hits, self.hit_count)
    }

    fn is_better_than(&self, own: &Self) -> bool {
        is_better(self.of_objects(), own.of_objects()) || is_better(self.of_hits(), own.of_hits())
    }

    /// Whether another reading can be better.
    fn can_improve(&self) -> bool {
        let all = Self { objects: self.object_count, hits: self.hit_count, ..*self };
        let is_sound = |matched: usize, total: usize| matched as f64 > SOUND_SHARE * total as f64;
        all.is_better_than(self)
            && !is_sound(self.objects, self.object_count)
            && !is_sound(self.hits, self.hit_count)
    }
}

/// Whether detections that match an object of their category have lower scores than the others, on average.
fn is_reversed(sample: &Sample<'_>) -> bool {
    let mut sums = [(0.0, 0usize); 2];
    for picture in sample.pictures() {
        for found in &picture.detections {
            let is_match = (picture.objects.iter()).any(|object| {
                object.category_id == found.category_id && overlap(&found.bbox, object) >= LEAST_IOU
            });
            let (sum, count) = &mut sums[usize::from(is_match)];
            *sum += found.score;
            *count += 1;
        }
    }
    let [(others, other_count), (matches, match_count)] = sums;
    let mean = |sum: f64, count: usize| sum / count as f64;
    other_count.min(match_count) >= LEAST_COUNT && mean(matches, match_count) < mean(others, other_count)
}

/// Returns the reading of the boxes that fits far better than COCO's, whose matches are `own`.
fn boxes_of(sample: &Sample<'_>, own: &Matches) -> Option<(Matches, Reading)> {
    let quality = |reading: &Reading, images| sample.matches(*reading, images).quality;
    let simple = best_of(Reading::simple(), |reading| quality(reading, usize::MAX));
    let one_of_many = best_of(Reading::of_many(), |reading| quality(reading, FIRST_IMAGES))
        .map(|(_, reading)| (quality(&reading, usize::MAX), reading));
    let best = match (simple, one_of_many) {
        (Some(simple), Some(other)) if other.0 > INPUT_MARGIN * simple.0 => Some(other),
        (simple, other) => simple.or(other),
    };
    let matches = |(_, reading): (f64, Reading)| (sample.matches(reading, usize::MAX), reading);
    best.map(matches).filter(|(matches, reading)| {
        let is_enough = |matched: usize, total: usize| matched as f64 >= LEAST_INPUT_SHARE * total as f64;
        let is_enough =
            is_enough(matches.objects, matches.object_count) || is_enough(matches.hits, matches.hit_count);
        matches.is_better_than(own) && (is_enough || !reading.is_one_of_many())
    })
}

/// Returns the reading of the image ids that fits far better than the same ids, whose matches are `own`.
fn image_ids_of<'a>(
    sample: &mut Sample<'a>,
    detections: impl Iterator<Item = &'a Detection> + Clone,
    images: &[ImageSize],
    own: &Matches,
) -> Option<(Matches, IdReading)> {
    let ids: Vec<i64> = images.iter().map(|image| image.id).collect();
    let mut matches_of = |reading: IdReading| {
        sample.assign(detections.clone(), |id| reading.read(id, &ids));
        sample.matches(COCO, usize::MAX)
    };
    let best = (IdReading::ALL.into_iter())
        .map(|reading| (matches_of(reading), reading))
        .reduce(|best, next| if next.0.objects > best.0.objects { next } else { best });
    best.filter(|(matches, _)| matches.is_better_than(own))
}

/// Describes in one line what seems to be meant in another way than COCO's: the boxes, image ids or categories of
/// detections that match far more of the objects when they are read so, or scores in reverse order. `detections`
/// may have image and category ids that the dataset does not have; `images` has the order of the dataset. Objects of
/// images without detections do not count.
#[must_use]
pub fn reading_note<'a>(
    detections: impl IntoIterator<Item = &'a Detection, IntoIter: Clone>,
    objects: &'a [GroundTruth],
    categories: &[Category],
    images: &[ImageSize],
) -> Option<String> {
    let detections = detections.into_iter();
    let mut sample = Sample::new(objects, images);
    sample.assign(detections.clone(), Some);
    let own = sample.matches(COCO, usize::MAX);
    // Most results are right: the others are tried only if they can be better.
    if own.can_improve() || own.hit_count == 0 {
        let boxes = boxes_of(&sample, &own);
        let (surest, surest_count) = sample.surest(COCO);
        let shifted = image_ids_of(&mut sample, detections.clone(), images, &own);
        let of_boxes = boxes.as_ref().map_or(0, |(matches, _)| matches.objects);
        if let Some((matches, reading)) = shifted.filter(|(matches, _)| matches.objects > of_boxes) {
            return Some(format!(
                "the detections match {} of {} objects; with image ids read as {reading}, {} of {}",
                own.objects, own.object_count, matches.objects, matches.object_count
            ));
        }
        if let Some((matches, reading)) = boxes {
            let counts = if is_better(matches.of_objects(), own.of_objects()) {
                format!(
                    "the boxes match {} of {} objects; read as {reading}, {}",
                    own.objects, own.object_count, matches.objects
                )
            } else {
                format!(
                    "{} of {} boxes match an object; read as {reading}, {}",
                    own.hits, own.hit_count, matches.hits
                )
            };
            return Some(format!("{counts}; a box is {COCO}"));
        }
        let is_poor = |matched: usize, total: usize, share: f64| {
            total >= LEAST_COUNT && (matched as f64) < share * total as f64
        };
        if is_poor(own.objects, own.object_count, POOR_SHARE)
            && is_poor(own.hits, own.hit_count, POOR_SHARE)
            && is_poor(surest, surest_count, POOR_SUREST_SHARE)
        {
            return Some(format!(
                "the boxes match {} of {} objects with an IoU of {LEAST_IOU} or more; a box is {COCO}",
                own.objects, own.object_count
            ));
        }
        sample.assign(detections, Some);
    }
    let ids: Vec<i64> = categories.iter().map(|category| category.id).collect();
    categories::note(&sample, &ids).or_else(|| {
        is_reversed(&sample).then(|| {
            "detections that match an object have lower scores than the others; the surer a detection, the higher its score"
                .to_owned()
        })
    })
}
