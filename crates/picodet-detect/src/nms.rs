//! Multi-class non-maximum suppression, bitwise equal to the reference's (SPEC §6.3).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::decode::Candidate;
use crate::{ImageBox, ScoredBox};

/// The settings of the non-maximum suppression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nms {
    /// Lower bound of the scores of candidates, exclusive.
    pub score_threshold: f32,
    /// IoU above which a box is suppressed by a better one of its class.
    pub iou_threshold: f32,
    /// Maximum number of candidates per class, the best first (pre-NMS top-k).
    pub candidates_per_class: usize,
    /// Maximum number of detections per image, the best first.
    pub max_detections: usize,
}

impl Default for Nms {
    /// The reference's evaluation settings.
    fn default() -> Self {
        Self { score_threshold: 0.025, iou_threshold: 0.6, candidates_per_class: 1000, max_detections: 100 }
    }
}

impl Nms {
    /// Suppresses the boxes of one image: `scores` is `[classes, anchors]`, `boxes` has one box per anchor.
    ///
    /// The result is ordered by class, and by falling score within a class. Equal scores keep the order of their
    /// anchors. Scores that are NaN are ignored.
    #[must_use]
    pub fn run(&self, scores: &[f32], boxes: &[ImageBox]) -> Vec<ScoredBox> {
        let mut kept = Vec::new();
        if boxes.is_empty() {
            return kept;
        }
        for (class, scores) in scores.chunks(boxes.len()).enumerate() {
            let candidates = scores.iter().enumerate().filter(|(_, score)| **score > self.score_threshold);
            let mut candidates: Vec<(f32, ImageBox)> =
                candidates.map(|(anchor, &score)| (score, boxes[anchor])).collect();
            candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
            candidates.truncate(self.candidates_per_class);
            self.suppress(class, &candidates, &mut kept);
        }
        self.keep_best(kept)
    }

    /// Returns the same boxes, bit for bit, as [`Nms::run`] of all anchors, from only the candidates that score above
    /// the threshold, ordered by class, then by anchor. `bbox` returns the box of an anchor; it is called for few of
    /// them.
    ///
    /// Classes do not suppress each other, so the candidates of all classes are taken together, best first, until
    /// `max_detections` are kept.
    pub fn run_candidates(
        &self,
        candidates: &[Candidate],
        mut bbox: impl FnMut(usize) -> ImageBox,
    ) -> Vec<ScoredBox> {
        let classes = candidates.last().map_or(0, |candidate| candidate.class as usize + 1);
        let mut boxes_of: Vec<Vec<ImageBox>> = vec![Vec::new(); classes];
        let mut taken = vec![0; classes];
        let mut kept = Vec::new();
        let entry =
            |(index, candidate): (usize, &Candidate)| (ordered(candidate.score), Reverse(index as u32));
        let entries: Vec<_> = candidates.iter().enumerate().map(entry).collect();
        let mut best_first = BinaryHeap::from(entries);
        while kept.len() < self.max_detections
            && let Some((_, Reverse(index))) = best_first.pop()
        {
            let Candidate { class, anchor, score } = candidates[index as usize];
            let class = class as usize;
            if taken[class] == self.candidates_per_class {
                continue;
            }
            taken[class] += 1;
            let bbox = bbox(anchor as usize);
            if !boxes_of[class].iter().any(|better| better.iou(bbox) > self.iou_threshold) {
                boxes_of[class].push(bbox);
                kept.push(ScoredBox { class, score, bbox });
            }
        }
        kept.sort_by_key(|found| found.class);
        kept
    }

    /// Appends the boxes of one class that are not suppressed; `candidates` are ordered best first.
    fn suppress(&self, class: usize, candidates: &[(f32, ImageBox)], kept: &mut Vec<ScoredBox>) {
        let first = kept.len();
        for &(score, bbox) in candidates {
            let overlaps = |better: &ScoredBox| better.bbox.iou(bbox) > self.iou_threshold;
            if !kept[first..].iter().any(overlaps) {
                kept.push(ScoredBox { class, score, bbox });
            }
        }
    }

    /// Keeps the `max_detections` best boxes, ordered by class.
    fn keep_best(&self, mut kept: Vec<ScoredBox>) -> Vec<ScoredBox> {
        if kept.len() > self.max_detections {
            kept.sort_by(|a, b| b.score.total_cmp(&a.score));
            kept.truncate(self.max_detections);
            kept.sort_by_key(|found| found.class);
        }
        kept
    }
}

/// Maps floats to integers in the order of [`f32::total_cmp`].
fn ordered(score: f32) -> i32 {
    let bits = score.to_bits().cast_signed();
    // The order of negative floats is the reverse of that of their bits.
    if bits < 0 { bits ^ i32::MAX } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_ordered_as_floats() {
        let floats = [f32::NEG_INFINITY, -2.0, -1.0, -0.0, 0.0, 1e-30, 0.5, 0.500_001, 2.0, f32::INFINITY];
        assert!(floats.map(ordered).is_sorted());
    }

    #[test]
    fn candidates_give_the_same_detections_as_all_anchors() {
        let mut noise = picodet_testing::Noise::new(3);
        let mut below = |limit: u32| noise.below(limit as usize) as u32;
        let mut wrong = Vec::new();
        let mut dropped = 0;
        for (case, (classes, anchors)) in
            [(1, 1), (3, 40), (5, 300), (2, 1500), (80, 50)].into_iter().enumerate()
        {
            // Few different scores, so that many are equal, and some boxes that are empty or inverted.
            let scores: Vec<f32> = (0..classes * anchors).map(|_| below(40) as f32 / 40.0).collect();
            let boxes: Vec<ImageBox> = (0..anchors)
                .map(|_| {
                    let [x, y] = [below(60), below(60)].map(|value| value as f32);
                    ImageBox([x, y, x + below(40) as f32 - 2.0, y + below(40) as f32 - 2.0])
                })
                .collect();
            for (score_threshold, iou_threshold, candidates_per_class, max_detections) in [
                (0.025, 0.6, 1000, 100),
                (0.5, 0.5, 20, 10),
                (0.9, 0.0, 5, 1),
                (0.0, 1.0, 1000, 0),
                (-1.0, 0.3, 7, 9999),
            ] {
                let nms = Nms { score_threshold, iou_threshold, candidates_per_class, max_detections };
                let above = scores.iter().enumerate().filter(|(_, score)| **score > score_threshold);
                let candidates: Vec<Candidate> = above
                    .map(|(i, &score)| Candidate {
                        class: (i / anchors) as u32,
                        anchor: (i % anchors) as u32,
                        score,
                    })
                    .collect();
                let expected = nms.run(&scores, &boxes);
                dropped += candidates.len() - expected.len();
                if nms.run_candidates(&candidates, |anchor| boxes[anchor]) != expected {
                    wrong.push((case, nms));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(dropped > 1000, "only {dropped} candidates were dropped");
    }
}
