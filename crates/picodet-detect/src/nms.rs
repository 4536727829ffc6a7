//! Non-maximum suppression for many classes, as the reference does it bit for bit (SPEC §6.3).

use crate::{Detection, ImageBox};

/// The settings of the suppression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nms {
    /// Only scores above this take part.
    pub score_threshold: f32,
    /// A box that overlaps a better one of its class by more than this is dropped.
    pub iou_threshold: f32,
    /// The best so many of each class take part.
    pub candidates_per_class: usize,
    /// The best so many of an image are kept.
    pub max_detections: usize,
}

impl Default for Nms {
    /// The reference's evaluation settings.
    fn default() -> Self {
        Self { score_threshold: 0.025, iou_threshold: 0.6, candidates_per_class: 1000, max_detections: 100 }
    }
}

impl Nms {
    /// Keeps the detections of one image: `scores` is `[classes, anchors]`, `boxes` has one box an anchor.
    ///
    /// The result is ordered by class, and by falling score within a class. Equal scores keep the order of their
    /// anchors. Scores that are not numbers never take part.
    pub fn run(&self, scores: &[f32], boxes: &[ImageBox]) -> Vec<Detection> {
        if boxes.is_empty() {
            return Vec::new();
        }
        let above = scores.iter().enumerate().filter(|(_, score)| **score > self.score_threshold);
        let candidate = |(i, &score): (usize, &f32)| Detection {
            class: i / boxes.len(),
            score,
            bbox: boxes[i % boxes.len()],
        };
        self.run_candidates(&mut above.map(candidate).collect::<Vec<_>>())
    }

    /// As [`Nms::run`], of those that score above the threshold only: `candidates` come by class, and within a class
    /// by anchor; they are left in another order.
    pub fn run_candidates(&self, candidates: &mut [Detection]) -> Vec<Detection> {
        let mut kept = Vec::new();
        for candidates in candidates.chunk_by_mut(|a, b| a.class == b.class) {
            candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
            let best = candidates.len().min(self.candidates_per_class);
            self.suppress(&candidates[..best], &mut kept);
        }
        self.keep_best(kept)
    }

    /// Appends the survivors of one class, whose candidates come best first.
    fn suppress(&self, candidates: &[Detection], kept: &mut Vec<Detection>) {
        let first = kept.len();
        for candidate in candidates {
            let overlaps = |better: &Detection| better.bbox.iou(candidate.bbox) > self.iou_threshold;
            if !kept[first..].iter().any(overlaps) {
                kept.push(*candidate);
            }
        }
    }

    /// The best of the image, again ordered by class.
    fn keep_best(&self, mut kept: Vec<Detection>) -> Vec<Detection> {
        if kept.len() > self.max_detections {
            kept.sort_by(|a, b| b.score.total_cmp(&a.score));
            kept.truncate(self.max_detections);
            kept.sort_by_key(|detection| detection.class);
        }
        kept
    }
}
