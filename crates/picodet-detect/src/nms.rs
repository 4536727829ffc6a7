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

    /// Appends the survivors of one class, whose candidates come best first.
    fn suppress(&self, class: usize, candidates: &[(f32, ImageBox)], kept: &mut Vec<Detection>) {
        let first = kept.len();
        for &(score, bbox) in candidates {
            let overlaps = |better: &Detection| better.bbox.iou(bbox) > self.iou_threshold;
            if !kept[first..].iter().any(overlaps) {
                kept.push(Detection { class, score, bbox });
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
