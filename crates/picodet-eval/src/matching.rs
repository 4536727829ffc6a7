//! Which detection finds which object: pycocotools' greedy matching of one class in one image.

use crate::index::{Cell, Index};
use crate::parameters::{Parameters, ZeroId};
use crate::types::{Detection, GroundTruth, intersection_over_union};

/// What a detection counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It finds a wanted object.
    True,
    /// It finds nothing.
    False,
    /// It finds an unwanted object, or nothing and is itself outside of the area range.
    Ignored,
}

/// A detection's outcome and the truth it was matched to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    pub(crate) outcome: Outcome,
    /// Place in [`Index::truths`].
    pub(crate) truth: Option<usize>,
}

/// The boxes of one class in one image and their overlaps.
pub(crate) struct CellBoxes<'a> {
    cell: &'a Cell,
    index: &'a Index,
    truths: &'a [GroundTruth],
    detections: &'a [Detection],
    parameters: &'a Parameters,
    /// Detections that count: the best of the class in the image.
    pub(crate) detection_count: usize,
    /// Overlaps `[detection][truth]`, both in the cell's order.
    overlaps: Vec<f64>,
}

impl<'a> CellBoxes<'a> {
    pub(crate) fn new(
        cell: &'a Cell,
        index: &'a Index,
        truths: &'a [GroundTruth],
        detections: &'a [Detection],
        parameters: &'a Parameters,
    ) -> Self {
        let detection_count = cell.detections.len().min(parameters.max_detections[2]);
        let mut overlaps = Vec::with_capacity(detection_count * cell.truths.len());
        for &detection in &index.detections[cell.detections.clone()][..detection_count] {
            for &truth in &index.truths[cell.truths.clone()] {
                let truth = &truths[truth];
                overlaps.push(intersection_over_union(&detections[detection].bbox, &truth.bbox, truth.crowd));
            }
        }
        Self { cell, index, truths, detections, parameters, detection_count, overlaps }
    }

    fn truth(&self, place: usize) -> &GroundTruth {
        &self.truths[self.index.truths[self.cell.truths.start + place]]
    }

    /// Whether an object is not wanted in the area range (square pixels, inclusive).
    pub(crate) fn unwanted(&self, place: usize, area: [f64; 2]) -> bool {
        let truth = self.truth(place);
        truth.crowd
            || (self.parameters.respect_ignore && truth.ignore)
            || truth.area < area[0]
            || truth.area > area[1]
    }

    /// Matches at each threshold; `matches` becomes `[threshold][detection]`. Returns how many objects
    /// are wanted.
    pub(crate) fn match_boxes(&self, thresholds: &[f64], area: [f64; 2], matches: &mut Vec<Match>) -> usize {
        let count = self.cell.truths.len();
        let unwanted: Vec<bool> = (0..count).map(|place| self.unwanted(place, area)).collect();
        // Wanted objects first, otherwise in the order of the input.
        let (mut order, rest): (Vec<usize>, Vec<usize>) = (0..count).partition(|&place| !unwanted[place]);
        let wanted = order.len();
        order.extend(rest);
        matches.clear();
        let mut taken = vec![false; count];
        for &threshold in thresholds {
            taken.fill(false);
            for detection in 0..self.detection_count {
                let best = self.best_truth(detection, threshold, &order, &unwanted, &taken);
                if let Some(place) = best {
                    taken[place] = true;
                }
                matches.push(self.judge(detection, best, area, &unwanted));
            }
        }
        wanted
    }

    /// The free truth that overlaps most, a wanted one if any reaches the threshold.
    fn best_truth(
        &self,
        detection: usize,
        threshold: f64,
        order: &[usize],
        unwanted: &[bool],
        taken: &[bool],
    ) -> Option<usize> {
        let overlaps = &self.overlaps[detection * order.len()..][..order.len()];
        let mut least = threshold.min(1.0 - 1e-10);
        let mut best: Option<usize> = None;
        for &place in order {
            if taken[place] && !self.truth(place).crowd {
                continue;
            }
            if best.is_some_and(|best| !unwanted[best]) && unwanted[place] {
                break;
            }
            // Written so that the last of equal overlaps wins, and so does the NaN of a vanishing box.
            if overlaps[place] < least {
                continue;
            }
            least = overlaps[place];
            best = Some(place);
        }
        best
    }

    fn judge(&self, detection: usize, best: Option<usize>, area: [f64; 2], unwanted: &[bool]) -> Match {
        let as_pycocotools = self.parameters.zero_id == ZeroId::AsPycocotools;
        // A match is remembered by the object's id there, and 0 means none.
        let counts = best.filter(|&place| !(as_pycocotools && self.truth(place).id == 0));
        let truth = counts.map(|place| self.cell.truths.start + place);
        let detection = &self.detections[self.index.detections[self.cell.detections.start + detection]];
        let own_area = detection.bbox[2] * detection.bbox[3];
        let outside = own_area < area[0] || own_area > area[1];
        let outcome = if best.is_some_and(|place| unwanted[place]) || (counts.is_none() && outside) {
            Outcome::Ignored
        } else if counts.is_some() {
            Outcome::True
        } else {
            Outcome::False
        };
        Match { outcome, truth }
    }
}
