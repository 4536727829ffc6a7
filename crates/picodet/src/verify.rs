//! Compares two sets of detections box by box.

use std::fmt::Write;

use picodet_detect::ScoredBox;

/// The tolerance within which two detections match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Least score of the detections that must have a counterpart.
    pub score_threshold: f32,
    /// Least IoU of the two boxes.
    pub iou: f32,
    /// Largest difference of the two scores.
    pub score: f32,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { score_threshold: 0.3, iou: 0.99, score: 0.01 }
    }
}

/// The comparison of the detections of one or more images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Number of detections of the first side that must have a counterpart.
    pub first: usize,
    /// Number of them that have one.
    pub first_matched: usize,
    /// Number of detections of the second side that must have a counterpart.
    pub second: usize,
    /// Number of them that have one.
    pub second_matched: usize,
    /// Largest difference of the scores of counterparts.
    pub largest_score_difference: f32,
    /// Least IoU of counterparts; 1 when there are none.
    pub least_iou: f32,
    /// Detections without counterpart.
    pub unmatched: Vec<Unmatched>,
}

/// A detection without counterpart.
#[derive(Clone, Debug, PartialEq)]
pub struct Unmatched {
    /// Name of the image, as passed to [`Comparison::add`].
    pub image: String,
    /// The side that has the detection: 1 or 2.
    pub side: usize,
    /// The detection.
    pub detection: ScoredBox,
    /// The detection of the same class on the other side with the largest IoU, and that IoU.
    pub nearest: Option<(ScoredBox, f32)>,
}

impl Comparison {
    /// Returns an empty comparison.
    pub fn new() -> Self {
        Self { least_iou: 1.0, ..Self::default() }
    }

    /// Returns whether every detection has its counterpart.
    pub fn is_equal(&self) -> bool {
        self.unmatched.is_empty()
    }

    /// Adds the detections of one image, named `image`.
    pub fn add(&mut self, image: &str, first: &[ScoredBox], second: &[ScoredBox], tolerance: &Tolerance) {
        for (side, ours, theirs) in [(1, first, second), (2, second, first)] {
            for detection in ours.iter().filter(|detection| detection.score >= tolerance.score_threshold) {
                let nearest = theirs
                    .iter()
                    .filter(|other| other.class == detection.class)
                    .map(|other| (*other, other.bbox.iou(detection.bbox)))
                    .max_by(|a, b| a.1.total_cmp(&b.1));
                let is_same = |(other, iou): &(ScoredBox, f32)| {
                    *iou >= tolerance.iou && (other.score - detection.score).abs() <= tolerance.score
                };
                let matched = nearest.filter(is_same);
                let (count, hits) = match side {
                    1 => (&mut self.first, &mut self.first_matched),
                    _ => (&mut self.second, &mut self.second_matched),
                };
                *count += 1;
                match matched {
                    Some((other, iou)) => {
                        *hits += 1;
                        let difference = (other.score - detection.score).abs();
                        self.largest_score_difference = self.largest_score_difference.max(difference);
                        self.least_iou = self.least_iou.min(iou);
                    }
                    None => {
                        let image = image.to_owned();
                        self.unmatched.push(Unmatched { image, side, detection: *detection, nearest });
                    }
                }
            }
        }
    }

    /// Returns the comparison as text.
    pub fn text(&self, classes: &[impl AsRef<str>]) -> String {
        let mut text = String::new();
        for Unmatched { image, side, detection, nearest } in &self.unmatched {
            let name = classes.get(detection.class).map_or("?", AsRef::as_ref);
            let [x1, y1, x2, y2] = detection.bbox.xyxy();
            let _ = write!(text, "{image}: only {side} has {name} {:.3} ", detection.score);
            let _ = write!(text, "[{x1:.1}, {y1:.1}, {x2:.1}, {y2:.1}]");
            let _ = match nearest {
                Some((other, iou)) => {
                    writeln!(text, "; nearest of the other: {:.3}, overlap {iou:.3}", other.score)
                }
                None => writeln!(text, "; the other has none of this class"),
            };
        }
        let _ = writeln!(text, "1: {} of {} have their counterpart in 2", self.first_matched, self.first);
        let _ = writeln!(text, "2: {} of {} have their counterpart in 1", self.second_matched, self.second);
        if self.first_matched + self.second_matched > 0 {
            let (score, iou) = (self.largest_score_difference, self.least_iou);
            let _ = writeln!(
                text,
                "counterparts differ by at most {score:.4} in score, and overlap by at least {iou:.4}"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picodet_detect::ImageBox;

    fn detection(class: usize, score: f32, x: f32) -> ScoredBox {
        ScoredBox { class, score, bbox: ImageBox([x, 0.0, x + 100.0, 100.0]) }
    }

    #[test]
    fn differences_are_found_on_both_sides() {
        let first = [detection(0, 0.9, 0.0), detection(1, 0.8, 0.0), detection(2, 0.1, 0.0)];
        let second = [detection(0, 0.905, 0.1), detection(1, 0.6, 0.0), detection(3, 0.5, 0.0)];
        let mut comparison = Comparison::new();
        comparison.add("a", &first, &second, &Tolerance::default());
        assert_eq!((comparison.first_matched, comparison.first), (1, 2));
        assert_eq!((comparison.second_matched, comparison.second), (1, 3));
        let without: Vec<_> = comparison.unmatched.iter().map(|u| (u.side, u.detection.class)).collect();
        assert_eq!(without, [(1, 1), (2, 1), (2, 3)]);
        assert!((comparison.largest_score_difference - 0.005).abs() < 1e-6);
    }
}
