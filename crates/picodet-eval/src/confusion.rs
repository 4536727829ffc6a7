//! Confusion matrix: boxes are matched by IoU without regard to class, then their classes are compared.

use std::collections::HashMap;

use crate::evaluation::Evaluator;
use crate::types::{Category, intersection_over_union};

/// Counts by annotated class and detected class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// The classes by ascending id; the last row and column of the matrix are the background.
    pub categories: Vec<Category>,
    /// `[annotated class][detected class]`, `categories.len() + 1` each. The last row counts detections
    /// without object, the last column objects without detection; their common element is 0.
    pub counts: Vec<usize>,
}

impl Confusion {
    /// The number of rows and of columns.
    #[must_use]
    pub fn side(&self) -> usize {
        self.categories.len() + 1
    }

    /// The number of objects of class `truth` that were detected as class `detected`; 0 out of range.
    #[must_use]
    pub fn count(&self, truth: usize, detected: usize) -> usize {
        if truth >= self.side() || detected >= self.side() {
            return 0;
        }
        self.counts[truth * self.side() + detected]
    }

    /// The most frequent confusions of two classes (without background) as annotated class, detected class,
    /// count.
    #[must_use]
    pub fn most_confused(&self, most: usize) -> Vec<(usize, usize, usize)> {
        let side = self.categories.len();
        let pairs = (0..side).flat_map(|truth| (0..side).map(move |detected| (truth, detected)));
        let mut pairs: Vec<(usize, usize, usize)> = pairs
            .filter(|(truth, detected)| truth != detected)
            .map(|(truth, detected)| (truth, detected, self.count(truth, detected)))
            .filter(|pair| pair.2 > 0)
            .collect();
        pairs.sort_unstable_by_key(|&(truth, detected, count)| (std::cmp::Reverse(count), truth, detected));
        pairs.truncate(most);
        pairs
    }
}

/// Boxes of one image, by index in the input.
#[derive(Default)]
struct Image {
    truths: Vec<usize>,
    detections: Vec<usize>,
}

pub(crate) fn confusion(evaluator: &Evaluator<'_>, iou_threshold: f64, score_threshold: f64) -> Confusion {
    let Evaluator { index, truths, detections, parameters } = evaluator;
    let categories = index.categories.clone();
    let classes = categories.iter().enumerate();
    let class_of: HashMap<i64, usize> = classes.map(|(index, category)| (category.id, index)).collect();
    let (background, side) = (categories.len(), categories.len() + 1);
    let mut counts = vec![0; side * side];
    let mut images: Vec<Image> = index.images.iter().map(|_| Image::default()).collect();
    for boxes in index.classes.iter().flatten() {
        let image = &mut images[boxes.image];
        image.truths.extend(&index.truths[boxes.truths.clone()]);
        let best = index.detections[boxes.detections.clone()].iter().take(parameters.max_detections[2]);
        image.detections.extend(best.filter(|&&one| detections[one].score >= score_threshold));
    }
    let ignored = |truth: usize| truths[truth].crowd || (parameters.respect_ignore && truths[truth].ignore);
    for image in &images {
        let overlap = |detection: usize, truth: usize| {
            intersection_over_union(&detections[detection].bbox, &truths[truth].bbox, truths[truth].crowd)
        };
        let mut pairs = Vec::new();
        for (position, &detection) in image.detections.iter().enumerate() {
            for (other, &truth) in image.truths.iter().enumerate().filter(|(_, truth)| !ignored(**truth)) {
                let overlap = overlap(detection, truth);
                if overlap >= iou_threshold {
                    let same = detections[detection].category_id == truths[truth].category_id;
                    pairs.push((overlap, same, detections[detection].score, position, other));
                }
            }
        }
        // Largest IoU first; among equal ones the same class first, then the higher score.
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(b.2.total_cmp(&a.2)));
        let mut free_detections = vec![true; image.detections.len()];
        let mut free_truths = vec![true; image.truths.len()];
        for (.., detection, truth) in pairs {
            if !free_detections[detection] || !free_truths[truth] {
                continue;
            }
            (free_detections[detection], free_truths[truth]) = (false, false);
            let row = class_of[&truths[image.truths[truth]].category_id];
            counts[row * side + class_of[&detections[image.detections[detection]].category_id]] += 1;
        }
        for (&truth, free) in image.truths.iter().zip(free_truths) {
            if free && !ignored(truth) {
                counts[class_of[&truths[truth].category_id] * side + background] += 1;
            }
        }
        for (&detection, free) in image.detections.iter().zip(free_detections) {
            let excused = |&truth: &usize| ignored(truth) && overlap(detection, truth) >= iou_threshold;
            if free && !image.truths.iter().any(excused) {
                counts[background * side + class_of[&detections[detection].category_id]] += 1;
            }
        }
    }
    Confusion { categories, counts }
}
