//! Labels each detection as correct or with a type of error, and finds the missed objects: the error types of
//! TIDE (Bolya et al., 2020) for one IoU threshold, all areas.

use crate::evaluation::Evaluator;
use crate::matching::{BoxMatcher, Match, MatchKind};
use crate::parameters::{Parameters, ZeroId};
use crate::types::intersection_over_union;

/// IoU below which a detection is unrelated to an object (TIDE's background threshold).
pub(crate) const BACKGROUND_OVERLAP: f64 = 0.1;

/// Whether a detection is correct, or its type of error. Indices refer to the ground truth of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DetectionLabel {
    /// It matches an object.
    Correct {
        /// The object.
        truth: usize,
    },
    /// It matches a crowd region or an ignored object and does not count.
    Ignored,
    /// Correct location, wrong class.
    Class {
        /// The object of the other class.
        truth: usize,
    },
    /// Correct class, insufficient IoU.
    Location {
        /// The object of the same class.
        truth: usize,
    },
    /// Wrong class and insufficient IoU.
    Both,
    /// The object is already matched by another detection of at least the same score.
    Duplicate {
        /// The object.
        truth: usize,
    },
    /// It overlaps no object.
    Background,
    /// It does not count: beyond the maximum number of detections per image, or of an unknown class.
    NotCounted,
}

/// Labels of all detections and states of all objects.
pub(crate) struct Classification {
    /// One label per detection of the input.
    pub(crate) detections: Vec<DetectionLabel>,
    /// One state per object of the input.
    pub(crate) truths: Vec<MatchState>,
}

/// Whether an object is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchState {
    /// A crowd region, ignored, or of an image or class that is not evaluated.
    Ignored,
    /// Matched by this detection of the input.
    FoundBy(usize),
    /// Not matched.
    NotFound,
}

/// The objects of one image that are not ignored.
struct ImageTruths {
    /// Class and index in the input.
    objects: Vec<(usize, usize)>,
}

/// Labels all detections for one IoU threshold.
pub(crate) fn classify_errors(evaluator: &Evaluator<'_>, threshold: f64) -> Classification {
    let Evaluator { index, truths, detections, parameters } = evaluator;
    // The treatment of id 0 by pycocotools matters for its metrics only, not for error analysis.
    let parameters = &Parameters { zero_id: ZeroId::Ordinary, ..parameters.clone() };
    let all_areas = parameters.area_ranges[0];
    let mut states = vec![MatchState::Ignored; truths.len()];
    let mut result = vec![DetectionLabel::NotCounted; detections.len()];
    let mut images: Vec<ImageTruths> =
        index.images.iter().map(|_| ImageTruths { objects: Vec::new() }).collect();
    let mut false_positives = Vec::new();
    let mut matches: Vec<Match> = Vec::new();
    for (class, images_of_class) in index.classes.iter().enumerate() {
        for boxes in images_of_class {
            let matcher = BoxMatcher::new(boxes, index, truths, detections, parameters);
            matcher.match_boxes(&[threshold], all_areas, &mut matches);
            for (position, &truth) in index.truths[boxes.truths.clone()].iter().enumerate() {
                if !matcher.is_ignored(position, all_areas) {
                    states[truth] = MatchState::NotFound;
                    images[boxes.image].objects.push((class, truth));
                }
            }
            for (found, &detection) in matches.iter().zip(&index.detections[boxes.detections.clone()]) {
                match (found.kind, found.truth) {
                    (MatchKind::TruePositive, Some(position)) => {
                        let truth = index.truths[position];
                        result[detection] = DetectionLabel::Correct { truth };
                        states[truth] = MatchState::FoundBy(detection);
                    }
                    (MatchKind::Ignored, _) => result[detection] = DetectionLabel::Ignored,
                    _ => false_positives.push((class, boxes.image, detection)),
                }
            }
        }
    }
    for (class, image, detection) in false_positives {
        result[detection] = error_type(evaluator, threshold, class, detection, &images[image]);
    }
    Classification { detections: result, truths: states }
}

/// The type of error of a false positive of class `class`.
fn error_type(
    evaluator: &Evaluator<'_>,
    threshold: f64,
    class: usize,
    detection: usize,
    image: &ImageTruths,
) -> DetectionLabel {
    let (mut same, mut other) = ((0.0, None), (0.0, None));
    for &(truth_class, truth) in &image.objects {
        let bbox = &evaluator.truths[truth].bbox;
        let overlap = intersection_over_union(&evaluator.detections[detection].bbox, bbox, false);
        let best = if truth_class == class { &mut same } else { &mut other };
        if overlap > best.0 {
            *best = (overlap, Some(truth));
        }
    }
    // The order is that of TIDE: a confusion of classes takes precedence over a duplicate.
    match (same, other) {
        ((overlap, Some(truth)), _) if (BACKGROUND_OVERLAP..threshold).contains(&overlap) => {
            DetectionLabel::Location { truth }
        }
        (_, (overlap, Some(truth))) if overlap >= threshold => DetectionLabel::Class { truth },
        // The IoU suffices without a match: the object is matched by another detection.
        ((overlap, Some(truth)), _) if overlap >= threshold => DetectionLabel::Duplicate { truth },
        (_, (overlap, Some(_))) if overlap > BACKGROUND_OVERLAP => DetectionLabel::Both,
        _ => DetectionLabel::Background,
    }
}
