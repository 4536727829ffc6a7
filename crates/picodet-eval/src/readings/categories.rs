//! Recognises category ids in another numbering or order.

use std::collections::{BTreeMap, HashSet};

use super::boxes::COCO;
use super::choice::{best_of, is_better};
use super::ids::IdReading;
use super::sample::{LEAST_IOU, Sample, overlap};

/// Least number of objects of a category for a statement on it.
const LEAST_OBJECTS: usize = 3;
/// Least share of the objects in categories that a numbering does not explain.
const LEAST_SHARE: f64 = 0.05;
/// Objects matched with the highest scores that are judged if all matched objects show no other numbering.
const SUREST: usize = 10;
/// Share of the objects with the right category above which the categories are not doubted, and least share of the
/// objects whose category follows from that of the detection, for another numbering or order.
const SOUND_SHARE: f64 = 0.5;
const LEAST_ORDER_SHARE: f64 = 0.6;

/// A matched object: the category and score of the surest detection that matches it, and its own category.
struct Found {
    category: i64,
    score: f64,
    object: i64,
}

/// Returns the matched objects with descending scores.
fn found(sample: &Sample<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for picture in sample.pictures() {
        for object in &picture.objects {
            let is_match = |bbox| overlap(&COCO.read(bbox, picture.sides), object) >= LEAST_IOU;
            let surest = picture.detections.iter().find(|found| is_match(found.bbox));
            all.extend(surest.map(|found| Found {
                category: found.category_id,
                score: found.score,
                object: object.category_id,
            }));
        }
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all
}

/// The matched objects by the category of the surest detection that matches them, and by their own.
struct Pairs(BTreeMap<i64, BTreeMap<i64, usize>>);

impl Pairs {
    fn of<'a>(found: impl IntoIterator<Item = &'a Found>) -> Self {
        let mut pairs: BTreeMap<i64, BTreeMap<i64, usize>> = BTreeMap::new();
        for found in found {
            *pairs.entry(found.category).or_default().entry(found.object).or_default() += 1;
        }
        Self(pairs)
    }

    fn total(&self) -> usize {
        self.0.values().flat_map(BTreeMap::values).sum()
    }

    /// Counts the objects whose category is that of the detection, as `read` returns it.
    fn matched(&self, read: impl Fn(i64) -> Option<i64>) -> usize {
        let of = |(id, objects): (&i64, &BTreeMap<i64, usize>)| {
            read(*id).and_then(|id| objects.get(&id).copied()).unwrap_or_default()
        };
        self.0.iter().map(of).sum()
    }

    /// The category of most objects of each category of detections, with their number and that of all.
    fn majorities(&self) -> impl Iterator<Item = (i64, i64, usize, usize)> {
        self.0.iter().filter_map(|(id, objects)| {
            let (object, count) = objects.iter().max_by_key(|(_, count)| **count)?;
            Some((*id, *object, *count, objects.values().sum()))
        })
    }

    /// Whether a reading explains every category that has enough objects, except for a few objects.
    fn are_explained(&self, read: impl Fn(i64) -> Option<i64>) -> bool {
        let is_other = |id: i64, most: usize| {
            let read = read(id).and_then(|read| self.0[&id].get(&read).copied());
            2 * read.unwrap_or_default() < most
        };
        let others =
            self.majorities().filter(|(id, _, most, all)| *all >= LEAST_OBJECTS && is_other(*id, *most));
        let count: usize = others.map(|(_, _, _, all)| all).sum();
        count as f64 <= LEAST_SHARE * self.total() as f64
    }

    /// Whether the category of most objects follows from that of the detection, which is another one.
    fn are_in_another_order(&self) -> bool {
        let mut objects = HashSet::new();
        let (mut others, mut explained) = (0, 0);
        for (id, object, most, all) in self.majorities() {
            if all >= LEAST_OBJECTS && 2 * most > all && objects.insert(object) {
                others += usize::from(id != object);
                explained += most;
            }
        }
        others >= 2 && explained as f64 >= LEAST_ORDER_SHARE * self.total() as f64
    }
}

/// Describes categories of detections in another numbering or order than the dataset's, whose ids are `ids`.
pub(super) fn note(sample: &Sample<'_>, ids: &[i64]) -> Option<String> {
    let found = found(sample);
    let pairs = Pairs::of(&found);
    let total = pairs.total();
    if let Some((same, matched, reading)) = numbering(&pairs, ids) {
        return Some(format!(
            "the categories of the detections match {same} of {total} objects; read as {reading}, {matched}"
        ));
    }
    let same = pairs.matched(Some);
    if (same as f64) < SOUND_SHARE * total as f64 && pairs.are_in_another_order() {
        return Some(format!(
            "the boxes match {total} objects, {same} of them with the right category; the categories of the \
             detections seem to be in another order than the dataset's"
        ));
    }
    // Results of some classes have many uncertain boxes on objects of others.
    let surest = Pairs::of(found.iter().take(SUREST.max(found.len() / 4)));
    let (same, matched, reading) = numbering(&surest, ids)?;
    Some(format!(
        "the categories of the detections with the highest scores match {same} of {} objects; read as {reading}, {matched}",
        surest.total()
    ))
}

/// Returns the numbering that explains far more of the categories than the dataset's ids, with the number of objects that
/// these and it explain.
fn numbering(pairs: &Pairs, ids: &[i64]) -> Option<(usize, usize, IdReading)> {
    let (total, same) = (pairs.total(), pairs.matched(Some));
    let matched = |reading: &IdReading| pairs.matched(|id| reading.read(id, ids));
    let (_, reading) = best_of(IdReading::of_categories(), |reading| matched(reading) as f64)?;
    let matched = matched(&reading);
    let is_meant = is_better((matched, total), (same, total))
        && matched as f64 >= LEAST_ORDER_SHARE * total as f64
        && pairs.are_explained(|id| reading.read(id, ids));
    is_meant.then_some((same, matched, reading))
}
