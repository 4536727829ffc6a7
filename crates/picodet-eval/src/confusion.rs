//! Which class is taken for which: boxes are matched by place alone, then their classes compared.

use std::collections::HashMap;

use crate::evaluation::Evaluator;
use crate::types::{Category, intersection_over_union};

/// Counts of true class against detected class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// The classes by ascending id; one more row and column, the last, is the background.
    pub categories: Vec<Category>,
    /// `[true class][detected class]`, row by row, `categories.len() + 1` each. The last row counts
    /// detections where nothing is, the last column objects that nothing finds; their corner is 0.
    pub counts: Vec<usize>,
}

impl Confusion {
    /// Rows and columns.
    pub fn side(&self) -> usize {
        self.categories.len() + 1
    }

    /// How often the class in row `truth` was taken for the class in column `detected`.
    pub fn count(&self, truth: usize, detected: usize) -> usize {
        if truth >= self.side() || detected >= self.side() {
            return 0;
        }
        self.counts[truth * self.side() + detected]
    }

    /// The commonest confusions of two classes (not the background), most first.
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
    let class_of: HashMap<i64, usize> = classes.map(|(place, category)| (category.id, place)).collect();
    let (background, side) = (categories.len(), categories.len() + 1);
    let mut counts = vec![0; side * side];
    let mut images: Vec<Image> = index.images.iter().map(|_| Image::default()).collect();
    for cell in index.groups.iter().flatten() {
        let image = &mut images[cell.image];
        image.truths.extend(&index.truths[cell.truths.clone()]);
        let best = index.detections[cell.detections.clone()].iter().take(parameters.max_detections[2]);
        image.detections.extend(best.filter(|&&one| detections[one].score >= score_threshold));
    }
    let unwanted = |truth: usize| truths[truth].crowd || (parameters.respect_ignore && truths[truth].ignore);
    for image in &images {
        let overlap = |detection: usize, truth: usize| {
            intersection_over_union(&detections[detection].bbox, &truths[truth].bbox, truths[truth].crowd)
        };
        let mut pairs = Vec::new();
        for (place, &detection) in image.detections.iter().enumerate() {
            for (other, &truth) in image.truths.iter().enumerate().filter(|(_, truth)| !unwanted(**truth)) {
                let overlap = overlap(detection, truth);
                if overlap >= iou_threshold {
                    let same = detections[detection].category_id == truths[truth].category_id;
                    pairs.push((overlap, same, detections[detection].score, place, other));
                }
            }
        }
        // Largest overlap first; of equal ones the right class, then the surer.
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
            if free && !unwanted(truth) {
                counts[class_of[&truths[truth].category_id] * side + background] += 1;
            }
        }
        for (&detection, free) in image.detections.iter().zip(free_detections) {
            let forgiven = |&truth: &usize| unwanted(truth) && overlap(detection, truth) >= iou_threshold;
            if free && !image.truths.iter().any(forgiven) {
                counts[background * side + class_of[&detections[detection].category_id]] += 1;
            }
        }
    }
    Confusion { categories, counts }
}
