//! Assigns detections to objects: the greedy matching of pycocotools for one class in one image.

use crate::index::{ImageClass, Index};
use crate::parameters::{Parameters, ZeroId};
use crate::types::{Detection, GroundTruth, intersection_over_union};

/// How a detection counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchKind {
    /// It matches an object.
    TruePositive,
    /// It matches no object.
    FalsePositive,
    /// It matches an ignored object, or no object and its own area is outside of the range.
    Ignored,
}

/// How a detection counts and which object it matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    pub(crate) kind: MatchKind,
    /// Index into [`Index::truths`].
    pub(crate) truth: Option<usize>,
}

/// Matches the boxes of one class in one image.
pub(crate) struct BoxMatcher<'a> {
    boxes: &'a ImageClass,
    index: &'a Index,
    truths: &'a [GroundTruth],
    detections: &'a [Detection],
    parameters: &'a Parameters,
    /// The number of detections that count: the best of the class in the image.
    pub(crate) detection_count: usize,
    /// IoU `[detection][truth]`, both in the order of `boxes`.
    overlaps: Vec<f64>,
}

impl<'a> BoxMatcher<'a> {
    pub(crate) fn new(
        boxes: &'a ImageClass,
        index: &'a Index,
        truths: &'a [GroundTruth],
        detections: &'a [Detection],
        parameters: &'a Parameters,
    ) -> Self {
        let detection_count = boxes.detections.len().min(parameters.max_detections[2]);
        let mut overlaps = Vec::with_capacity(detection_count * boxes.truths.len());
        for &detection in &index.detections[boxes.detections.clone()][..detection_count] {
            for &truth in &index.truths[boxes.truths.clone()] {
                let truth = &truths[truth];
                overlaps.push(intersection_over_union(&detections[detection].bbox, &truth.bbox, truth.crowd));
            }
        }
        Self { boxes, index, truths, detections, parameters, detection_count, overlaps }
    }

    fn truth(&self, position: usize) -> &GroundTruth {
        &self.truths[self.index.truths[self.boxes.truths.start + position]]
    }

    /// Whether an object is ignored in the area range (square pixels, inclusive).
    pub(crate) fn is_ignored(&self, position: usize, area: [f64; 2]) -> bool {
        let truth = self.truth(position);
        truth.crowd
            || (self.parameters.respect_ignore && truth.ignore)
            || truth.area < area[0]
            || truth.area > area[1]
    }

    /// Matches at each IoU threshold; `matches` becomes `[threshold][detection]`. Returns the number of
    /// objects that are not ignored.
    pub(crate) fn match_boxes(&self, thresholds: &[f64], area: [f64; 2], matches: &mut Vec<Match>) -> usize {
        let count = self.boxes.truths.len();
        let ignored: Vec<bool> = (0..count).map(|position| self.is_ignored(position, area)).collect();
        // Ignored objects last, otherwise in the order of the input.
        let (mut order, rest): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|&position| !ignored[position]);
        let object_count = order.len();
        order.extend(rest);
        matches.clear();
        let mut matched = vec![false; count];
        for &threshold in thresholds {
            matched.fill(false);
            for detection in 0..self.detection_count {
                let best = self.best_truth(detection, threshold, &order, &ignored, &matched);
                if let Some(position) = best {
                    matched[position] = true;
                }
                matches.push(self.classify(detection, best, area, &ignored));
            }
        }
        object_count
    }

    /// The unmatched object with the largest IoU; an ignored one only if no other reaches the threshold.
    fn best_truth(
        &self,
        detection: usize,
        threshold: f64,
        order: &[usize],
        ignored: &[bool],
        matched: &[bool],
    ) -> Option<usize> {
        let overlaps = &self.overlaps[detection * order.len()..][..order.len()];
        let mut least = threshold.min(1.0 - 1e-10);
        let mut best: Option<usize> = None;
        for &position in order {
            if matched[position] && !self.truth(position).crowd {
                continue;
            }
            if best.is_some_and(|best| !ignored[best]) && ignored[position] {
                break;
            }
            // The comparison is such that the last of equal values wins, and the NaN of an empty box as well.
            if overlaps[position] < least {
                continue;
            }
            least = overlaps[position];
            best = Some(position);
        }
        best
    }

    fn classify(&self, detection: usize, best: Option<usize>, area: [f64; 2], ignored: &[bool]) -> Match {
        let as_pycocotools = self.parameters.zero_id == ZeroId::AsPycocotools;
        // pycocotools stores a match as the id of the object, and 0 means no match.
        let stored = best.filter(|&position| !(as_pycocotools && self.truth(position).id == 0));
        let truth = stored.map(|position| self.boxes.truths.start + position);
        let detection = &self.detections[self.index.detections[self.boxes.detections.start + detection]];
        let own_area = detection.bbox[2] * detection.bbox[3];
        let outside = own_area < area[0] || own_area > area[1];
        let kind = if best.is_some_and(|position| ignored[position]) || (stored.is_none() && outside) {
            MatchKind::Ignored
        } else if stored.is_some() {
            MatchKind::TruePositive
        } else {
            MatchKind::FalsePositive
        };
        Match { kind, truth }
    }
}
