//! Precision and recall of one class from the matches of all images.

use crate::index::{Cell, Index};
use crate::matching::{CellBoxes, Match, Outcome};
use crate::parameters::Parameters;
use crate::types::{Detection, GroundTruth};

/// The numbers of one class; -1 where there is nothing to find.
pub(crate) struct GroupResult {
    /// `[area][threshold][recall]`, at the largest `max_detections`.
    pub(crate) precision: Vec<f64>,
    /// `[threshold][recall]`: the score down to which one must go; all areas.
    pub(crate) scores: Vec<f64>,
    /// `[area][max_detections][threshold]`.
    pub(crate) recall: Vec<f64>,
    /// Objects that are wanted, all areas.
    pub(crate) truths: usize,
    /// Detections that are looked at.
    pub(crate) detections: usize,
}

/// The detections of a class over all images.
struct Pool {
    scores: Vec<f64>,
    /// 0-based place among the detections of the class in its image.
    ranks: Vec<usize>,
    /// Places in the two lists above, best score first, equal ones by image and rank.
    by_score: Vec<usize>,
}

/// Evaluates one class.
pub(crate) fn evaluate_group(
    cells: &[Cell],
    index: &Index,
    truths: &[GroundTruth],
    detections: &[Detection],
    parameters: &Parameters,
) -> GroupResult {
    let boxes: Vec<CellBoxes<'_>> =
        cells.iter().map(|cell| CellBoxes::new(cell, index, truths, detections, parameters)).collect();
    let pool = pool(cells, &boxes, index, detections);
    let threshold_count = parameters.iou_thresholds.len();
    let recall_count = parameters.recall_thresholds.len();
    let area_count = parameters.area_ranges.len();
    let mut result = GroupResult {
        precision: vec![-1.0; area_count * threshold_count * recall_count],
        scores: vec![-1.0; threshold_count * recall_count],
        recall: vec![-1.0; area_count * parameters.max_detections.len() * threshold_count],
        truths: 0,
        detections: pool.scores.len(),
    };
    let mut outcomes = vec![Vec::with_capacity(pool.scores.len()); threshold_count];
    let mut matches: Vec<Match> = Vec::new();
    for (area, &range) in parameters.area_ranges.iter().enumerate() {
        outcomes.iter_mut().for_each(Vec::clear);
        let mut wanted = 0;
        for cell in &boxes {
            wanted += cell.match_boxes(&parameters.iou_thresholds, range, &mut matches);
            for (threshold, outcomes) in outcomes.iter_mut().enumerate() {
                let row = &matches[threshold * cell.detection_count..][..cell.detection_count];
                outcomes.extend(row.iter().map(|one| one.outcome));
            }
        }
        if area == 0 {
            result.truths = wanted;
        }
        if wanted == 0 {
            continue;
        }
        for (threshold, outcomes) in outcomes.iter().enumerate() {
            for (limit, &most) in parameters.max_detections.iter().enumerate() {
                let found = (outcomes.iter().zip(&pool.ranks))
                    .filter(|&(&outcome, &rank)| outcome == Outcome::True && rank < most)
                    .count();
                let place = (area * parameters.max_detections.len() + limit) * threshold_count + threshold;
                result.recall[place] = found as f64 / wanted as f64;
            }
            let curve = Curve::new(pool.by_score.iter().map(|&place| outcomes[place]), wanted);
            let row = (area * threshold_count + threshold) * recall_count;
            let precision = &mut result.precision[row..row + recall_count];
            for (value, &recall) in precision.iter_mut().zip(&parameters.recall_thresholds) {
                *value = curve.reach(recall).map_or(0.0, |place| curve.precision[place]);
            }
            if area == 0 {
                let scores = &mut result.scores[threshold * recall_count..][..recall_count];
                for (value, &recall) in scores.iter_mut().zip(&parameters.recall_thresholds) {
                    let place = curve.reach(recall);
                    *value = place.map_or(0.0, |place| pool.scores[pool.by_score[place]]);
                }
            }
        }
    }
    result
}

fn pool(cells: &[Cell], boxes: &[CellBoxes<'_>], index: &Index, detections: &[Detection]) -> Pool {
    let (mut scores, mut ranks) = (Vec::new(), Vec::new());
    for (cell, boxes) in cells.iter().zip(boxes) {
        for rank in 0..boxes.detection_count {
            scores.push(detections[index.detections[cell.detections.start + rank]].score);
            ranks.push(rank);
        }
    }
    let by_score = best_first(&scores);
    Pool { scores, ranks, by_score }
}

/// Places by descending value, equal ones in their order.
pub(crate) fn best_first(scores: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap_or(std::cmp::Ordering::Equal));
    places
}

/// Recall and the precision that is kept from there on, after each detection, best first.
pub(crate) struct Curve {
    pub(crate) recall: Vec<f64>,
    pub(crate) precision: Vec<f64>,
}

impl Curve {
    /// `wanted` > 0 objects could be found.
    pub(crate) fn new(outcomes: impl Iterator<Item = Outcome>, wanted: usize) -> Self {
        let (mut right, mut wrong) = (0.0, 0.0);
        let (mut recall, mut precision) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                Outcome::True => right += 1.0,
                Outcome::False => wrong += 1.0,
                // It still has its place in the list, as in pycocotools.
                Outcome::Ignored => {}
            }
            recall.push(right / wanted as f64);
            precision.push(right / (wrong + right + f64::EPSILON));
        }
        for place in (1..precision.len()).rev() {
            if precision[place] > precision[place - 1] {
                precision[place - 1] = precision[place];
            }
        }
        Self { recall, precision }
    }

    /// The first place where the recall is reached.
    pub(crate) fn reach(&self, recall: f64) -> Option<usize> {
        let place = self.recall.partition_point(|&value| value < recall);
        (place < self.recall.len()).then_some(place)
    }
}
