//! Computes precision and recall of one class from the matches in all images.

use crate::index::{ImageClass, Index};
use crate::matching::{BoxMatcher, Match, MatchKind};
use crate::parameters::Parameters;
use crate::types::{Detection, GroundTruth};

/// Precision and recall of one class; -1 without objects.
#[derive(Debug, Clone)]
pub(crate) struct ClassCurves {
    /// `[area][threshold][recall]`, at the largest `max_detections`.
    pub(crate) precision: Vec<f64>,
    /// `[threshold][recall]`: the lowest score of the detections that reach the recall; all areas.
    pub(crate) scores: Vec<f64>,
    /// `[area][max_detections][threshold]`.
    pub(crate) recall: Vec<f64>,
    /// Number of objects that are not ignored, all areas.
    pub(crate) truths: usize,
    /// Number of detections that count.
    pub(crate) detections: usize,
}

/// The detections of a class in all images.
struct Pool {
    scores: Vec<f64>,
    /// 0-based rank among the detections of the class in its image.
    ranks: Vec<usize>,
    /// Indices into the two lists, best score first, equal scores by image and rank.
    by_score: Vec<usize>,
}

/// Evaluates one class.
pub(crate) fn evaluate_class(
    images: &[ImageClass],
    index: &Index,
    truths: &[GroundTruth],
    detections: &[Detection],
    parameters: &Parameters,
) -> ClassCurves {
    let matchers: Vec<BoxMatcher<'_>> =
        images.iter().map(|boxes| BoxMatcher::new(boxes, index, truths, detections, parameters)).collect();
    let pool = pool(images, &matchers, index, detections);
    let threshold_count = parameters.iou_thresholds.len();
    let recall_count = parameters.recall_thresholds.len();
    let area_count = parameters.area_ranges.len();
    let mut result = ClassCurves {
        precision: vec![-1.0; area_count * threshold_count * recall_count],
        scores: vec![-1.0; threshold_count * recall_count],
        recall: vec![-1.0; area_count * parameters.max_detections.len() * threshold_count],
        truths: 0,
        detections: pool.scores.len(),
    };
    let mut kinds = vec![Vec::with_capacity(pool.scores.len()); threshold_count];
    let mut matches: Vec<Match> = Vec::new();
    for (area, &range) in parameters.area_ranges.iter().enumerate() {
        kinds.iter_mut().for_each(Vec::clear);
        let mut objects = 0;
        for matcher in &matchers {
            objects += matcher.match_boxes(&parameters.iou_thresholds, range, &mut matches);
            for (threshold, kinds) in kinds.iter_mut().enumerate() {
                let row = &matches[threshold * matcher.detection_count..][..matcher.detection_count];
                kinds.extend(row.iter().map(|found| found.kind));
            }
        }
        if area == 0 {
            result.truths = objects;
        }
        if objects == 0 {
            continue;
        }
        for (threshold, kinds) in kinds.iter().enumerate() {
            for (limit, &most) in parameters.max_detections.iter().enumerate() {
                let found = (kinds.iter().zip(&pool.ranks))
                    .filter(|&(&kind, &rank)| kind == MatchKind::TruePositive && rank < most)
                    .count();
                let at = (area * parameters.max_detections.len() + limit) * threshold_count + threshold;
                result.recall[at] = found as f64 / objects as f64;
            }
            let curve = Curve::new(pool.by_score.iter().map(|&index| kinds[index]), objects);
            let row = (area * threshold_count + threshold) * recall_count;
            let precision = &mut result.precision[row..row + recall_count];
            for (value, &recall) in precision.iter_mut().zip(&parameters.recall_thresholds) {
                *value = curve.reach(recall).map_or(0.0, |at| curve.precision[at]);
            }
            if area == 0 {
                let scores = &mut result.scores[threshold * recall_count..][..recall_count];
                for (value, &recall) in scores.iter_mut().zip(&parameters.recall_thresholds) {
                    *value = curve.reach(recall).map_or(0.0, |at| pool.scores[pool.by_score[at]]);
                }
            }
        }
    }
    result
}

fn pool(images: &[ImageClass], matchers: &[BoxMatcher<'_>], index: &Index, detections: &[Detection]) -> Pool {
    let (mut scores, mut ranks) = (Vec::new(), Vec::new());
    for (boxes, matcher) in images.iter().zip(matchers) {
        for rank in 0..matcher.detection_count {
            scores.push(detections[index.detections[boxes.detections.start + rank]].score);
            ranks.push(rank);
        }
    }
    let by_score = best_first(&scores);
    Pool { scores, ranks, by_score }
}

/// Indices by descending value, equal values in their order.
pub(crate) fn best_first(scores: &[f64]) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..scores.len()).collect();
    indices.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap_or(std::cmp::Ordering::Equal));
    indices
}

/// The precision-recall curve after each detection, best first; precision is monotonically decreasing.
pub(crate) struct Curve {
    pub(crate) recall: Vec<f64>,
    pub(crate) precision: Vec<f64>,
}

impl Curve {
    /// Computes the curve for `objects` > 0 objects.
    pub(crate) fn new(kinds: impl Iterator<Item = MatchKind>, objects: usize) -> Self {
        let (mut true_positives, mut false_positives) = (0.0, 0.0);
        let (mut recall, mut precision) = (Vec::new(), Vec::new());
        for kind in kinds {
            match kind {
                MatchKind::TruePositive => true_positives += 1.0,
                MatchKind::FalsePositive => false_positives += 1.0,
                // It remains a point of the curve, as in pycocotools.
                MatchKind::Ignored => {}
            }
            recall.push(true_positives / objects as f64);
            precision.push(true_positives / (false_positives + true_positives + f64::EPSILON));
        }
        for at in (1..precision.len()).rev() {
            if precision[at] > precision[at - 1] {
                precision[at - 1] = precision[at];
            }
        }
        Self { recall, precision }
    }

    /// The first point that reaches the recall.
    pub(crate) fn reach(&self, recall: f64) -> Option<usize> {
        let at = self.recall.partition_point(|&value| value < recall);
        (at < self.recall.len()).then_some(at)
    }
}
